"""Users of the packages: each in a folder of its own, with nothing of this repository in sight. What they cannot do is
what is returned. The providers that the documents speak of are played by the local one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from billing import Prices
from provider import Provider

ROOT: Final = Path(__file__).resolve().parents[2]
FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
PRICES: Final[dict[str, Any]] = {
    "version": "dist",
    "models": {
        "gpt-4o-mini": {"input": "0.15", "cache_read": "0.075", "output": "0.6"},
        "claude-haiku-4-5": {"input": "1", "cache_read": "0.1", "cache_write": "1.25", "output": "5"},
    },
}
TYPED_NODE: Final = """
import { Guard } from "spendrail";
export const guard: Guard = new Guard({ mode: "observe" });
"""
TYPED: Final = """
import spendrail
guard = spendrail.Guard(budgets=[spendrail.Budget("all", limit="1 USD", window="day")])
cost: int = guard.cost("gpt-4o", spendrail.Usage(input=1)).posted_nano_usd
"""
FREE: Final = "import sys, spendrail; spendrail.Guard; assert not sys._is_gil_enabled()"


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="spendrail-user-") as made:
        yield Path(made)


def snippets(document: str, language: str) -> list[str]:
    return [match[2] for match in FENCE.finditer((ROOT / document).read_text()) if match[1] == language]


def does(name: str, command: list[Any], where: Path, **env: str) -> list[str]:
    """Runs something; what is wrong with it, if anything."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "NODE_", "VIRTUAL_ENV"))}
    words = [str(part) for part in command]
    done = subprocess.run(words, cwd=where, env=kept | env, capture_output=True, text=True, timeout=900, check=False)
    return [] if done.returncode == 0 else [f"{name}: {(done.stderr or done.stdout).strip()[-1500:]}"]


def environment(provider: Provider) -> dict[str, str]:
    return {
        "ANTHROPIC_API_KEY": "acme",
        "ANTHROPIC_BASE_URL": provider.url,
        "OPENAI_API_KEY": "acme",
        "OPENAI_BASE_URL": f"{provider.url}/v1",
    }


def installed(wheel: Path, interpreter: str, where: Path) -> tuple[Path, list[str]]:
    python = where / "venv" / "bin" / "python"
    found = does("venv", [interpreter, "-m", "venv", where / "venv"], where)
    offline = ["--quiet", "--disable-pip-version-check", "--no-index"]
    return python, found or does("pip install", [python, "-m", "pip", "install", *offline, wheel], where)


def plain_python(wheel: Path, interpreter: str) -> list[str]:
    """Without any SDK."""
    with folder() as where:
        python, found = installed(wheel, interpreter, where)
        for code in snippets("bindings-python/README.md", "python"):
            found = found or does("README", [python, "-c", code], where)
        return found or does("without a GIL", [python, "-c", FREE], where)


def python(wheel: Path, interpreter: str) -> list[str]:
    """The documents' snippets, and a type checker. The SDKs are borrowed from here."""
    with folder() as where, Provider(Prices.from_json(PRICES)) as provider:
        python, found = installed(wheel, interpreter, where)
        sdks = {"PYTHONPATH": sysconfig.get_paths()["purelib"]}
        is_own = f"import spendrail; assert {str(where)!r} in spendrail.__file__"
        own = does("its own files", [python, "-c", is_own], where)
        documents = ("bindings-python/README.md", "README.md")
        for at, code in enumerate(code for document in documents for code in snippets(document, "python")):
            own += does(f"snippet {at}", [python, "-c", code], where, **sdks, **environment(provider))
        (where / "typed.py").write_text(TYPED)
        mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "typed.py"]
        return found or own + does("mypy", mypy, where)


def node(tarballs: list[Path]) -> list[str]:
    """`require`, `import`, the types, and the documents' snippets."""
    modules = ROOT / "bindings-node" / "node_modules"
    with folder() as where, Provider(Prices.from_json(PRICES)) as provider:
        (where / "package.json").write_text('{"name": "user", "version": "1.0.0", "private": true}')
        found = does("npm install", ["npm", "install", "--offline", "--no-audit", "--no-fund", *tarballs], where)
        for name in ("openai", "@anthropic-ai"):
            (where / "node_modules" / name).symlink_to(modules / name)
        use = 'const guard = new Guard({ mode: "observe" }); guard.close();'
        found += does("require", ["node", "-e", f'const {{ Guard }} = require("spendrail"); {use}'], where)
        for at, code in enumerate([f'import {{ Guard }} from "spendrail"; {use}', *snippets("README.md", "js")]):
            (where / f"{at}.mjs").write_text(code)
            found += does(f"snippet {at}", ["node", f"{at}.mjs"], where, **environment(provider))
        (where / "typed.mts").write_text(TYPED_NODE)
        tsc = [modules / ".bin" / "tsc", "--noEmit", "--strict", "--module", "nodenext", "--target", "es2022"]
        return found + does("tsc", [*tsc, "--types", "node", "--typeRoots", modules / "@types", "typed.mts"], where)


def rust(crates: list[Path]) -> list[str]:
    """The README's program, with the crates in place of those of the registry."""
    with folder() as where:
        patched = []
        for crate in crates:
            with tarfile.open(crate) as archive:
                archive.extractall(where, filter="data")
            name = crate.name.rpartition("-")[0]
            patched.append(f'{name} = {{ path = "{crate.name.removesuffix(".crate")}" }}')
        (where / "src").mkdir()
        (where / "src" / "main.rs").write_text(snippets("README.md", "rust")[0])
        manifest = '[package]\nname = "user"\nversion = "0.1.0"\nedition = "2024"\n[dependencies]\nspendrail = "0.1"\n'
        (where / "Cargo.toml").write_text(manifest + "[patch.crates-io]\n" + "\n".join(patched) + "\n")
        shutil.copy2(ROOT / "Cargo.lock", where / "Cargo.lock")
        return does("cargo run", ["cargo", "run", "--quiet", "--offline"], where)


def builder(sdist: Path) -> list[str]:
    """Who builds from source: the workspace in it is whole, and its lock file asks for what was built here."""
    with folder() as where:
        with tarfile.open(sdist) as archive:
            archive.extractall(where, filter="data")
        source = where / sdist.name.removesuffix(".tar.gz")
        return does("cargo metadata", ["cargo", "metadata", "--quiet", "--offline", "--format-version=1"], source)
