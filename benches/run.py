"""Speed and size: builds release, measures everything, prints one table, writes target/bench.json.

`python benches/run.py` measures; `--gate` only counts instructions and compares them with benches/limits.toml (quick
and steady enough for CI); `--only rust,python` measures a part. Times are reported and never gated: machines differ.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from rows import COUNTED, MILLIONS, ROWS, Row

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY: Final = TARGET / "release" / "spendrail-benches"
VENV: Final = TARGET / "bench-venv"
LIMITS: Final = ROOT / "benches" / "limits.toml"
PARTS: Final = ("rust", "counts", "python", "node")
COUNTED_CALLS: Final = 2_000
RUNS: Final = 5
AT_LEAST: Final = {row.name for row in ROWS if row.at_least}

Command = list[str | Path]
Results = dict[str, dict[str, Any]]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def lines(command: Command, **options: Any) -> Results:
    """Runs a program that prints one JSON object per measured work."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, **options
    )
    found = [
        json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")
    ]
    return {line["name"]: line for line in found}


def undisturbed(runs: list[Results]) -> Results:
    """Of each row the best run: what a neighbour on the machine takes away is not ours. All of them are written down."""
    best: Results = {}
    for name, first in runs[0].items():
        taken = [run[name] for run in runs]
        values = [one["value"] for one in taken]
        best[name] = {
            **first,
            "value": (max if name in AT_LEAST else min)(values),
            "runs": values,
        }
        if "of_all" in first:
            best[name]["of_all"] = min(one["of_all"] for one in taken)
        if first.get("cold") is not None:
            best[name]["cold"] = min(one["cold"] for one in taken)
    if "pair_4" in best:
        without, with_it = best["pair_4"]["value"], best["pair_4_telemetry"]["value"]
        share = max(0.0, 100 * (with_it - without) / with_it)
        best["telemetry_share"] = {
            "name": "telemetry_share",
            "unit": "%",
            "value": round(share, 1),
        }
    return best


def build() -> None:
    say("building release …")
    subprocess.run(
        ["cargo", "build", "--quiet", "--release", "-p", "spendrail-benches"],
        cwd=ROOT,
        check=True,
    )


def rust() -> list[Command]:
    names = subprocess.run(
        [BINARY, "--list"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()
    # A process of its own each: memory that others gave back must not be counted as none.
    return [[BINARY, *names], [BINARY, "threads"], [BINARY, "memory"]]


def counts() -> dict[str, int]:
    """Instructions per call, by callgrind; empty without valgrind."""
    if not shutil.which("valgrind"):
        say("instruction counts are left out: valgrind is not installed")
        return {}
    found: dict[str, int] = {}
    for name in COUNTED:
        say(f"counting {name} …")
        out = TARGET / "callgrind.out"
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={out}",
            "--toggle-collect=*measured*",
        ]
        command += [str(BINARY), "--once", name, str(COUNTED_CALLS)]
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
        total = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
        if total is None:
            raise SystemExit(f"callgrind counted nothing for {name}:\n{done.stderr}")
        found[name] = int(total[1]) // COUNTED_CALLS
    return found


def gate(counted: dict[str, int]) -> bool:
    """Compares instruction counts with their limits; says when a limit has become too generous."""
    limits = tomllib.loads(LIMITS.read_text())
    band = 1 + limits["band_percent"] / 100
    good = True
    print(f"\n{'work':24} {'instructions':>12} {'limit':>8}   ok?")
    for name, count in counted.items():
        limit = limits["instructions"][name]
        most = int(limit * band)
        verdict = "yes" if count <= most else f"NO: more than {most}"
        if count * band < limit:
            verdict += f"; lower the limit to {count}"
        good &= count <= most
        print(f"{name:24} {count:12} {limit:8}   {verdict}")
    return good


def python() -> list[Command]:
    """The peers, and our own package if it can be built, in one environment and one process each."""
    say("setting up Python and its peers …")
    interpreter = VENV / "bin" / "python"
    if not interpreter.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    pip = [
        interpreter,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    wanted = ROOT / "benches" / "python" / "requirements.txt"
    subprocess.run([*pip, "-r", wanted], check=True)
    scripts = ["peers.py"]
    if install_our_own(pip):
        scripts += ["bench_pair.py", "bench_import.py"]
    return [[interpreter, f"benches/python/{script}"] for script in scripts]


def install_our_own(pip: list[Any]) -> bool:
    maturin = shutil.which("maturin") or shutil.which(
        "maturin", path=str(Path(sys.executable).parent)
    )
    if not (ROOT / "bindings-python" / "pyproject.toml").exists() or maturin is None:
        say(
            "the Python package is left out: there is no pyproject.toml or no maturin (`make setup` installs it)"
        )
        return False
    wheels = TARGET / "bench-wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    build = [maturin, "build", "--quiet", "--release", "--out", wheels]
    subprocess.run(build, cwd=ROOT / "bindings-python", check=True)
    subprocess.run(
        [*pip, "--force-reinstall", "--no-deps", *wheels.glob("*.whl")], check=True
    )
    return True


def node() -> list[Command]:
    script = ROOT / "benches" / "node" / "bench_pair.mjs"
    package = ROOT / "bindings-node" / "package.json"
    if not (script.exists() and package.exists() and shutil.which("node")):
        say("Node is left out: no package, no script or no node")
        return []
    say("building the Node package …")
    scripts = json.loads(package.read_text()).get("scripts", {})
    target = "build:release" if "build:release" in scripts else "build"
    subprocess.run(["npm", "run", "--silent", target], cwd=package.parent, check=True)
    return [["node", script]]


def shown(value: float) -> str:
    return (
        f"{value:,.0f}"
        if value >= 100
        else f"{value:,.1f}"
        if value >= 10
        else f"{value:,.2f}"
    )


def cells(row: Row, results: Results) -> list[str] | None:
    result = results.get(row.name, {})
    value = result.get(row.field)
    if value is None:
        return None
    anchor = results.get(row.anchor, {}).get("value")
    ratio = value / anchor if anchor else None
    peers = [
        (name, results[name].get(row.field)) for name in row.peers if name in results
    ]
    peers = [(name, taken) for name, taken in peers if taken]
    # Of the fastest: better than one peer is no achievement.
    peer = min(peers, key=lambda one: one[1], default=None)
    scale = 1e-6 if row.name in MILLIONS else 1.0
    value *= scale
    of_anchor = "" if ratio is None else f"{ratio:,.1f}"
    if row.anchor_most:
        of_anchor += f" (≤ {row.anchor_most:g})"
    return [
        row.what,
        shown(value),
        ""
        if row.field != "value" or (of_all := result.get("of_all")) is None
        else shown(scale * of_all),
        "" if row.issue is None else shown(row.issue),
        "" if row.design is None else shown(row.design),
        of_anchor,
        "" if peer is None else f"1/{peer[1] / result[row.field]:,.1f} of {peer[0]}",
        verdict(row, value, ratio),
    ]


def verdict(row: Row, value: float, ratio: float | None) -> str:
    """Against the issue's goal where there is one; `design` says that its goal is met as well."""
    meets = [
        None if goal is None else (value >= goal if row.at_least else value <= goal)
        for goal in (row.issue, row.design)
    ]
    if row.anchor_most and ratio is not None:
        meets[1] = meets[1] is not False and ratio <= row.anchor_most
    if meets[0] is False:
        return "NO"
    if meets[1] is not None:
        return "yes, design" if meets[1] else ("yes" if meets[0] else "not yet")
    return "yes" if meets[0] else ""


def table(results: Results, counted: dict[str, int]) -> str:
    heads = [
        "work",
        "measured",
        "disturbed",
        "issue",
        "design",
        "× anchor A",
        "of the fastest peer",
        "ok?",
    ]
    body = [made for row in ROWS if (made := cells(row, results))]
    named = {row.name for row in ROWS}
    body += [
        [name, shown(one["value"]), *[""] * 6]
        for name, one in results.items()
        if name not in named
    ]
    widths = [max(len(line[at]) for line in [heads, *body]) for at in range(len(heads))]

    def line(row: list[str]) -> str:
        parts = [row[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        return "  ".join(parts).rstrip()

    unit = (
        "nanoseconds unless the row says otherwise; warm unless marked; medians, of each row the best run"
        "\n(of the batches with the core to themselves, where there were any; `disturbed` is of all batches; Node: means)"
    )
    out = [unit, "", line(heads)]
    out += ["  ".join("─" * width for width in widths), *map(line, body)]
    if counted:
        out += [
            "",
            "instructions per call: "
            + ", ".join(f"{name} {count:,}" for name, count in counted.items()),
        ]
    return "\n".join(out)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--gate",
        action="store_true",
        help="count instructions and compare them with their limits",
    )
    options.add_argument(
        "--only", default=",".join(PARTS), help="a list of " + ", ".join(PARTS)
    )
    options.add_argument(
        "--runs",
        type=int,
        default=RUNS,
        help=f"how often everything is measured; {RUNS} if not given",
    )
    arguments = options.parse_args()
    build()
    if arguments.gate:
        return 0 if gate(counts()) else 1
    wanted = arguments.only.split(",")
    prepared = [
        made()
        for part, made in (("rust", rust), ("python", python), ("node", node))
        if part in wanted
    ]
    commands = [command for part in prepared for command in part]
    runs: list[Results] = []
    for nth in range(arguments.runs):
        say(f"run {nth + 1} of {arguments.runs} …")
        runs.append(
            {
                name: result
                for command in commands
                for name, result in lines(command).items()
            }
        )
    results = undisturbed(runs) if commands else {}
    counted = counts() if "counts" in wanted else {}
    (TARGET / "bench.json").write_text(
        json.dumps({"results": results, "instructions": counted}, indent=1) + "\n"
    )
    print("\n" + table(results, counted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
