"""What must be in a package, what must not, and what it must say of itself. Quick: nothing is run."""

from __future__ import annotations

import json
import os
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
CARGO_HOME: Final = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
VERSION: Final = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
LICENCES: Final = ("LICENSE-MIT", "LICENSE-APACHE")
JUNK: Final = re.compile(
    r"(^|/)(tests?|__pycache__|node_modules|target|benches|\.[a-z]+_cache)/"
    r"|\.(pyc|orig|rej|log|tsbuildinfo)$|(^|/)(conftest|test_\w+)\.py$"
)
EXPECTED: Final = re.compile(r"^Cargo\.toml\.orig$|(^|/)src/.*\.rs$")
"""Cargo's own; Rust's unit tests are modules of what they test."""
WHEEL: Final = (
    "spendrail/__init__.py",
    "spendrail/_native.pyi",
    "spendrail/py.typed",
    "spendrail/testing.py",
    "spendrail/wrap/openai.py",
)
NPM: Final = ("package.json", "README.md", *LICENCES)
NPM_MAIN: Final = ("dist/index.js", "dist/index.mjs", "dist/index.d.ts", "dist/index.d.mts", "dist/testing.js")
CRATE: Final = ("Cargo.toml", "src/lib.rs", *LICENCES)


def faults(package: Path) -> list[str]:
    """What is wrong with a package that was built."""
    files = read(package)
    names = [name.partition("/")[2] if package.suffix != ".whl" else name for name in files]
    files = dict(zip(names, files.values(), strict=True))
    found = [f"{name} is in it" for name in names if JUNK.search(name) and not EXPECTED.search(name)]
    ours = [str(folder).encode() for folder in (ROOT, CARGO_HOME)]
    found += [
        f"{name} names a folder of this machine"
        for name, data in files.items()
        if any(folder in data for folder in ours)
    ]
    if package.suffix == ".whl":
        return found + wheel(package, files)
    if package.name.endswith(".tar.gz"):
        wanted = ["PKG-INFO", "pyproject.toml", "Cargo.lock", "core/src/lib.rs", "pricing/compiled/catalog.json"]
        return found + missing(files, wanted) + metadata(Parser().parsestr(files.get("PKG-INFO", b"").decode()))
    if package.suffix == ".tgz":
        return found + npm(files)
    readme = ["README.md"] if package.name == f"spendrail-{VERSION}.crate" else []
    return found + missing(files, [*CRATE, *readme]) + crate(files)


def read(package: Path) -> dict[str, bytes]:
    """Every file of a package, by its path."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(package) as archive:
        files = {}
        for member in archive.getmembers():
            data = archive.extractfile(member)
            files[member.name] = b"" if data is None else data.read()
        return files


def missing(files: Iterable[str], wanted: Iterable[str]) -> list[str]:
    return [f"{name} is missing" for name in wanted if name not in files]


def wheel(package: Path, files: dict[str, bytes]) -> list[str]:
    about = f"spendrail-{VERSION}.dist-info"
    found = missing(files, [*WHEEL, f"{about}/METADATA", *(f"{about}/licenses/{name}" for name in LICENCES)])
    libraries = [name for name in files if name.endswith((".so", ".pyd", ".dylib"))]
    if len(libraries) != 1:
        found.append(f"it has {len(libraries)} libraries: {libraries}")
    if package.name.split("-")[2:4] not in (["cp310", "abi3"], [tag := package.name.split("-")[2], f"{tag}t"]):
        found.append("it is neither of the stable ABI nor of a free-threaded Python")
    return found + metadata(Parser().parsestr(files.get(f"{about}/METADATA", b"").decode()))


def metadata(said: Message) -> list[str]:
    expected = {
        "Name": "spendrail",
        "Version": VERSION,
        "Requires-Python": ">=3.10",
        "License-Expression": "MIT OR Apache-2.0",
        "Description-Content-Type": "text/markdown; charset=UTF-8; variant=GFM",
    }
    found = [f"{key} is {said[key]!r}" for key, value in expected.items() if said[key] != value]
    if said.get_all("Requires-Dist") and any("extra ==" not in one for one in said.get_all("Requires-Dist", [])):
        found.append("it needs other packages")
    if "Typing :: Typed" not in said.get_all("Classifier", []):
        found.append("it does not say that it is typed")
    if "```python" not in str(said.get_payload()):
        found.append("it has no README")
    return found


def npm(files: dict[str, bytes]) -> list[str]:
    said = json.loads(files.get("package.json", b"{}"))
    is_main = said.get("name") == "spendrail"
    found = missing(files, [*NPM, *(NPM_MAIN if is_main else ())])
    if said.get("version") != VERSION or said.get("license") != "MIT OR Apache-2.0" or said.get("private"):
        found.append(f"it says of itself {said.get('version')}, {said.get('license')}, private: {said.get('private')}")
    if said.get("dependencies"):
        found.append(f"it needs {list(said['dependencies'])}")
    return found


def crate(files: dict[str, bytes]) -> list[str]:
    said = tomllib.loads(files["Cargo.toml"].decode())
    about = said["package"]
    found = [f"it has no {key}" for key in ("description", "license", "rust-version") if not about.get(key)]
    if about.get("version") != VERSION:
        found.append(f"its version is {about.get('version')}")
    paths = [name for name, wanted in said.get("dependencies", {}).items() if "path" in wanted]
    return found + [f"{name} is wanted by its path" for name in paths]
