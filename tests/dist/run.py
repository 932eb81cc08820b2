"""Everything that is published, built into dist/, looked into, and used as its users would.

    python tests/dist/run.py [free-threaded Python]

The wheel for every Python from 3.10, the wheel of one free-threaded Python if it is named, the source distribution, the
npm packages of this platform, and the crates. Nothing is uploaded.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.extend([str(ROOT / "tests"), str(ROOT / "tests" / "e2e")])

import free_threaded

import contents
import users

OUT: Final = ROOT / "dist"
PYTHON: Final = ROOT / "bindings-python"
NODE: Final = ROOT / "bindings-node"
TARGET: Final = ROOT / "target" / "dist"
STAGE: Final = TARGET / "npm"
CRATES: Final = ("spendrail-pricing", "spendrail")
LICENCES: Final = ("LICENSE-MIT", "LICENSE-APACHE")


def without_our_folders() -> None:
    """What is built from here on tells nobody where it was built."""
    sources = sorted(contents.CARGO_HOME.glob("registry/src/*"))
    remap = [*((source, "/cargo") for source in sources), (contents.CARGO_HOME, "/cargo"), (ROOT, "/spendrail")]
    # The later of two that fit wins.
    flags = [f"--remap-path-prefix={ours}={told}" for ours, told in reversed(remap)]
    os.environ |= {"CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags), "CARGO_TARGET_DIR": str(TARGET)}


def call(*command: str | Path, folder: Path = ROOT) -> None:
    subprocess.run(command, cwd=folder, check=True)


def python() -> list[Path]:
    call(free_threaded.MATURIN, "build", "--quiet", "--release", "--out", OUT, folder=PYTHON)
    call(free_threaded.MATURIN, "sdist", "--out", OUT, folder=PYTHON)
    return sorted([*OUT.glob("*-abi3-*.whl"), *OUT.glob("*.tar.gz")])


def npm() -> list[Path]:
    """The package, and those of its platforms if it has any, each packed from a copy that has the licences in it."""
    call("npm", "run", "--silent", "build:release", folder=NODE)
    packages = [NODE, *(manifest.parent for manifest in sorted(NODE.glob("npm/*/package.json")))]
    return [pack(package) for package in packages]


def pack(package: Path) -> Path:
    manifest = json.loads((package / "package.json").read_text())
    stage = STAGE / manifest["name"]
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    for name in ("package.json", *manifest["files"]):
        source = package / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, stage / name)
    # Of licences npm packs by itself only one that is called LICENSE.
    said = {**manifest, "files": [*manifest["files"], *LICENCES]}
    (stage / "package.json").write_text(json.dumps(said, indent=2) + "\n")
    for name in (*LICENCES, "README.md"):
        own = package / name
        shutil.copy2(own if own.exists() else ROOT / name, stage / name)
    before = set(OUT.glob("*.tgz"))
    call("npm", "pack", "--silent", "--pack-destination", OUT, folder=stage)
    (made,) = set(OUT.glob("*.tgz")) - before
    return made


def crates() -> list[Path]:
    """Not built again here: that is what the user below does with them."""
    names = [word for name in CRATES for word in ("--package", name)]
    call("cargo", "package", "--quiet", "--no-verify", "--allow-dirty", *names)
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    made = [TARGET / "package" / f"{name}-{version}.crate" for name in CRATES]
    return [Path(shutil.copy2(crate, OUT / crate.name)) for crate in made]


def main(interpreter: str | None) -> int:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    without_our_folders()
    wheels = python()
    if interpreter is not None:
        wheels.append(free_threaded.build(interpreter, OUT, "--release"))
    tarballs, packed = npm(), crates()
    checks: list[tuple[str, Callable[[], list[str]]]] = [
        *((made.name, lambda made=made: contents.faults(made)) for made in (*wheels, *tarballs, *packed)),
        ("a user of the wheel", lambda: users.python(next(OUT.glob("*-abi3-*.whl")), sys.executable)),
        ("a builder from source", lambda: users.builder(next(OUT.glob("*.tar.gz")))),
        ("a user of the npm package", lambda: users.node(tarballs)),
        ("a user of the crates", lambda: users.rust(packed)),
    ]
    if interpreter is not None:
        checks.append(("a user of the free-threaded wheel", lambda: users.plain_python(wheels[-1], interpreter)))
    broken = 0
    for name, check in checks:
        found = check()
        broken += bool(found)
        print(f"{name}: {'; '.join(found) or 'ok'}", flush=True)
    print()
    for made in sorted(OUT.iterdir()):
        print(f"{made.stat().st_size / 1e6:7.2f} MB  {made.name}")
    print(f"\n{len(checks) - broken} passed, {broken} failed")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] else None))
