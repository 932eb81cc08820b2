"""The gate: builds what is needed, runs every stage, counts every test, and says so in the last line.

`python tests/run.py test | demo | lint | stubs`. A stage that fails does not stop the others: a person sees all that
is wrong at once. The exit status is 0 only if every stage passed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
NODE: Final = ROOT / "bindings-node"
PYTHON: Final = ROOT / "bindings-python"
STAGE_SECONDS: Final = 1500
BIN: Final = Path(sys.executable).parent


@dataclass(frozen=True)
class Stage:
    """One command. `needs`: stages without which it makes no sense."""

    name: str
    command: list[str]
    folder: Path = ROOT
    needs: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    name: str
    ok: bool
    passed: int
    failed: int
    seconds: float
    note: str = ""


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def pytest(*paths: str) -> list[str]:
    return python("-m", "pytest", "-q", "-p", "no:cacheprovider", *paths)


BUILD_PYTHON: Final = Stage("build the Python package", [str(BIN / "maturin"), "develop", "--quiet"], PYTHON)
BUILD_NODE: Final = Stage("build the Node package", ["npm", "run", "--silent", "build"], NODE)
DEMO: Final = Stage(
    "the demo", python("tests/e2e/demo.py"), needs=(BUILD_PYTHON.name, BUILD_NODE.name)
)
LINT: Final = [
    Stage("rustfmt", ["cargo", "fmt", "--all", "--check"]),
    Stage("clippy", ["cargo", "clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    Stage("ruff", [str(BIN / "ruff"), "check", "--quiet", "tests", "bindings-python", "pricing", "benches", "examples"]),
    Stage("prices", python("pricing/check.py", "--check")),
    Stage("Node lint", ["npm", "run", "--silent", "lint"], NODE),
]
STUBS: Final = [
    Stage("mypy", python("-m", "mypy", "--strict", "python/spendrail"), PYTHON, (BUILD_PYTHON.name,)),
    Stage(
        "stubs against the module",
        python("-m", "mypy.stubtest", "spendrail._native", "--ignore-missing-stub"),
        PYTHON,
        (BUILD_PYTHON.name,),
    ),
]
WORKSPACE: Final = ["--workspace", "--exclude", "spendrail-python", "--exclude", "spendrail-node"]
TEST: Final = [
    BUILD_PYTHON,
    BUILD_NODE,
    *LINT,
    *STUBS,
    Stage("Rust", ["cargo", "test", "--quiet", *WORKSPACE]),
    Stage("the core without telemetry", ["cargo", "check", "--quiet", "-p", "spendrail", "--no-default-features"]),
    Stage("the oracle", pytest("tests/oracle")),
    Stage("price rules", pytest("pricing/tests")),
    Stage("Python", pytest("bindings-python/tests"), needs=(BUILD_PYTHON.name,)),
    Stage("Node", ["npm", "test", "--silent"], NODE, (BUILD_NODE.name,)),
    Stage("provider and receiver", pytest("tests/e2e"), needs=(BUILD_NODE.name,)),
    Stage("documents", pytest("tests/docs"), needs=(BUILD_PYTHON.name, BUILD_NODE.name)),
    DEMO,
]
PLANS: Final = {
    "test": TEST,
    "demo": [BUILD_PYTHON, BUILD_NODE, DEMO],
    "lint": LINT,
    "stubs": [BUILD_PYTHON, *STUBS],
}

# How the runners close: cargo test, pytest, node's test runner.
COUNTS: Final = [
    (re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed", re.MULTILINE), 1, 2),
    (re.compile(r"(?:^|, |\s)(\d+) passed(?=.* in [\d.]+s)", re.MULTILINE), 1, 0),
    (re.compile(r"(?:^|, |\s)(\d+) (?:failed|errors?)(?=.* in [\d.]+s)", re.MULTILINE), 0, 1),
    (re.compile(r"^(?:#|ℹ) pass (\d+)$", re.MULTILINE), 1, 0),
    (re.compile(r"^(?:#|ℹ) (?:fail|cancelled) (\d+)$", re.MULTILINE), 0, 1),
]


def count(text: str) -> tuple[int, int]:
    """Passed and failed tests in the output of a runner."""
    passed = failed = 0
    for pattern, passing, failing in COUNTS:
        for match in pattern.finditer(text):
            passed += int(match[passing]) if passing else 0
            failed += int(match[failing]) if failing else 0
    return passed, failed


def run(stage: Stage) -> Result:
    """Runs one stage, shows its output as it comes, and counts its tests."""
    print(f"\n── {stage.name} ──", flush=True)
    started = time.monotonic()
    env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(BIN.parent)} | stage.env
    output: list[str] = []
    process = subprocess.Popen(
        stage.command,
        cwd=stage.folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    for line in process.stdout:
        output.append(line)
        print(line, end="", flush=True)
        if time.monotonic() - started > STAGE_SECONDS:
            process.kill()
    status = process.wait()
    passed, failed = count("".join(output))
    if stage is DEMO or (passed == 0 and failed == 0):
        # A check without tests of its own is one test.
        passed, failed = (1, 0) if status == 0 else (0, 1)
    elif status != 0 and failed == 0:
        failed = 1
    return Result(stage.name, status == 0, passed, failed, time.monotonic() - started)


def main(plan: str) -> int:
    results: list[Result] = []
    broken: set[str] = set()
    for stage in PLANS[plan]:
        missing = [name for name in stage.needs if name in broken]
        if missing:
            results.append(Result(stage.name, False, 0, 1, 0.0, f"not run: {missing[0]} failed"))
        else:
            results.append(run(stage))
        if not results[-1].ok:
            broken.add(stage.name)
    if plan == "demo" and not broken:
        return 0
    print("\n── all stages ──")
    for result in results:
        verdict = "ok" if result.ok else "FAILED"
        print(f"{result.name:<28} {verdict:<7} {result.passed:>5} passed {result.failed:>4} failed {result.seconds:>7.1f} s  {result.note}")
    passed, failed = sum(r.passed for r in results), sum(r.failed for r in results)
    print(f"\n{passed} passed, {failed} failed")
    return 1 if broken or failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in PLANS:
        sys.exit(f"usage: run.py {' | '.join(PLANS)}")
    sys.exit(main(sys.argv[1]))
