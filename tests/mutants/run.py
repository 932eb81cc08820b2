"""Seeded faults: each mutant of the engine must be caught by the vectors, the histories or the properties.

    python tests/mutants/run.py [--only TEXT]

Works on a copy of the sources in target/mutants. A text that does not stand exactly once in its file is an error:
then the list is to be brought up to date.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Not the project's own target folder: cargo would take a mutant's build for the project's.
BUILD = ROOT / "target" / "mutants" / "target"
COPY = ROOT / "target" / "mutants" / "work"
PARTS = ["Cargo.toml", "Cargo.lock", "clippy.toml", "README.md", "CONTRIBUTING.md"]
FOLDERS = [
    "core",
    "pricing",
    "bindings-python",
    "bindings-node",
    "benches",
    "examples",
    "tests",
]
TESTS = ["--test", "vectors", "--test", "properties", "--test", "histories"]


def copy() -> None:
    """A fresh copy of the workspace. Times are kept, so that only what has changed is built again."""
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    for name in PARTS:
        shutil.copy2(ROOT / name, COPY / name)
    leave = shutil.ignore_patterns(
        "node_modules", "target", ".venv", "__pycache__", "dist", "*.node", "*.so"
    )
    for name in FOLDERS:
        shutil.copytree(ROOT / name, COPY / name, ignore=leave, symlinks=True)


def cargo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs cargo in the copy."""
    env = os.environ | {
        "CARGO_TARGET_DIR": str(BUILD),
        "HISTORIES": "300",
        "RUST_BACKTRACE": "0",
    }
    command = ["cargo", *arguments]
    return subprocess.run(
        command, cwd=COPY, env=env, capture_output=True, text=True, check=False
    )


def caught(mutant: dict[str, str]) -> str:
    """How it ended: caught, SURVIVED, or why the mutant is none."""
    path = COPY / mutant["file"]
    text = path.read_text()
    if text.count(mutant["from"]) != 1:
        return f"STALE: its text stands {text.count(mutant['from'])} times in {mutant['file']}"
    path.write_text(text.replace(mutant["from"], mutant["to"]))
    try:
        built = cargo("test", "--quiet", "-p", "spendrail-tests", "--no-run", *TESTS)
        if built.returncode:
            return "STALE: it does not compile\n" + built.stderr[-2000:]
        told = cargo(
            "test", "--quiet", "-p", "spendrail-tests", "--no-fail-fast", *TESTS
        )
        names = ("vectors", "properties", "histories")
        by = [
            name
            for name in names
            if f"`-p spendrail-tests --test {name}`" in told.stderr
        ]
        return f"caught by {', '.join(by)}" if told.returncode else "SURVIVED"
    finally:
        path.write_text(text)


def main() -> int:
    """Every mutant, one line each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    mutants: list[dict[str, str]] = json.loads(
        (Path(__file__).parent / "mutants.json").read_text()
    )
    copy()
    clean = cargo("test", "--quiet", "-p", "spendrail-tests", *TESTS)
    if clean.returncode:
        print(clean.stdout[-3000:] + clean.stderr[-2000:])
        print("the tests fail without a mutant")
        return 1
    alive = 0
    for mutant in (one for one in mutants if only in one["name"]):
        outcome = caught(mutant)
        alive += not outcome.startswith("caught")
        print(f"{mutant['name']}: {outcome}", flush=True)
    print(f"{alive} of {len(mutants)} mutants were not caught")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
