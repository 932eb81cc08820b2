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
RUNS: Final = 3
AT_LEAST: Final = {row.name for row in ROWS if row.at_least}

Results = dict[str, dict[str, Any]]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def lines(command: list[str | Path], **options: Any) -> Results:
    """Runs a program that prints one JSON object per measured work."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, **options)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["name"]: line for line in found}


def undisturbed(command: list[str | Path]) -> Results:
    """Of some runs the best of each row: what a neighbour on the machine takes away is not ours. All are written down."""
    runs = [lines(command) for _ in range(RUNS)]
    best: Results = {}
    for name in runs[0]:
        taken = [run[name] for run in runs]
        values = [one["value"] for one in taken]
        pick = max if name in AT_LEAST else min
        found = {**taken[0], "value": pick(values), "runs": values}
        if taken[0].get("cold") is not None:
            found["cold"] = min(one["cold"] for one in taken)
        best[name] = found
    return best


def build() -> None:
    say("building release …")
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "spendrail-benches"], cwd=ROOT, check=True)


def rust() -> Results:
    say("Rust …")
    names = subprocess.run([BINARY, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    results = undisturbed([BINARY, *names])
    # A process of its own each: memory that others gave back must not be counted as none.
    results |= undisturbed([BINARY, "threads"]) | lines([BINARY, "memory"])
    without, with_it = results["pair_4"]["value"], results["pair_4_telemetry"]["value"]
    share = max(0.0, 100 * (with_it - without) / with_it)
    results["telemetry_share"] = {"name": "telemetry_share", "unit": "%", "value": round(share, 1)}
    return results


def counts() -> dict[str, int]:
    """Instructions per call, by callgrind; empty without valgrind."""
    if not shutil.which("valgrind"):
        say("instruction counts are left out: valgrind is not installed")
        return {}
    found: dict[str, int] = {}
    for name in COUNTED:
        say(f"counting {name} …")
        out = TARGET / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--toggle-collect=*measured*"]
        command += [str(BINARY), "--once", name, str(COUNTED_CALLS)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
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


def python() -> Results:
    """The peers, and our own package if it can be built, in one environment and one process each."""
    say("Python and its peers …")
    interpreter = VENV / "bin" / "python"
    if not interpreter.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wanted = ROOT / "benches" / "python" / "requirements.txt"
    subprocess.run([*pip, "-r", wanted], check=True)
    results = undisturbed([interpreter, "benches/python/peers.py"])
    if install_our_own(pip):
        results |= undisturbed([interpreter, "benches/python/bench_pair.py"])
        results |= undisturbed([interpreter, "benches/python/bench_import.py"])
    return results


def install_our_own(pip: list[Any]) -> bool:
    maturin = shutil.which("maturin") or shutil.which("maturin", path=str(Path(sys.executable).parent))
    if not (ROOT / "bindings-python" / "pyproject.toml").exists() or maturin is None:
        say("the Python package is left out: there is no pyproject.toml or no maturin (`make setup` installs it)")
        return False
    wheels = TARGET / "bench-wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    build = [maturin, "build", "--quiet", "--release", "--out", wheels]
    subprocess.run(build, cwd=ROOT / "bindings-python", check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", *wheels.glob("*.whl")], check=True)
    return True


def node() -> Results:
    script = ROOT / "benches" / "node" / "bench_pair.mjs"
    package = ROOT / "bindings-node" / "package.json"
    if not (script.exists() and package.exists() and shutil.which("node")):
        say("Node is left out: no package, no script or no node")
        return {}
    say("Node …")
    scripts = json.loads(package.read_text()).get("scripts", {})
    target = "build:release" if "build:release" in scripts else "build"
    subprocess.run(["npm", "run", "--silent", target], cwd=package.parent, check=True)
    return undisturbed(["node", script])


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:,.2f}"


def cells(row: Row, results: Results) -> list[str] | None:
    result = results.get(row.name, {})
    value = result.get(row.field)
    if value is None:
        return None
    anchor = results.get(row.anchor, {}).get("value")
    ratio = value / anchor if anchor else None
    peers = [(name, results[name].get(row.field)) for name in row.peers if name in results]
    peers = [(name, taken) for name, taken in peers if taken]
    # Of the fastest: better than one peer is no achievement.
    peer = min(peers, key=lambda one: one[1], default=None)
    if row.name in MILLIONS:
        value /= 1e6
    of_anchor = "" if ratio is None else f"{ratio:,.1f}"
    if row.anchor_most:
        of_anchor += f" (≤ {row.anchor_most:g})"
    return [
        row.what,
        shown(value),
        "" if row.issue is None else shown(row.issue),
        "" if row.design is None else shown(row.design),
        of_anchor,
        "" if peer is None else f"1/{peer[1] / result[row.field]:,.1f} of {peer[0]}",
        verdict(row, value, ratio),
    ]


def verdict(row: Row, value: float, ratio: float | None) -> str:
    """Against the issue's goal where there is one; `design` says that its goal is met as well."""
    meets = [
        None if goal is None else (value >= goal if row.at_least else value <= goal) for goal in (row.issue, row.design)
    ]
    if row.anchor_most and ratio is not None:
        meets[1] = meets[1] is not False and ratio <= row.anchor_most
    if meets[0] is False:
        return "NO"
    if meets[1] is not None:
        return "yes, design" if meets[1] else ("yes" if meets[0] else "not yet")
    return "yes" if meets[0] else ""


def table(results: Results, counted: dict[str, int]) -> str:
    heads = ["work", "measured", "issue", "design", "× anchor A", "of the fastest peer", "ok?"]
    body = [made for row in ROWS if (made := cells(row, results))]
    named = {row.name for row in ROWS}
    body += [[name, shown(one["value"]), "", "", "", "", ""] for name, one in results.items() if name not in named]
    widths = [max(len(line[at]) for line in [heads, *body]) for at in range(len(heads))]

    def line(row: list[str]) -> str:
        parts = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "  ".join(parts).rstrip()

    unit = f"nanoseconds unless the row says otherwise; warm unless marked; medians, the best of {RUNS} runs"
    out = [unit, "", line(heads)]
    out += ["  ".join("─" * width for width in widths), *map(line, body)]
    if counted:
        out += ["", "instructions per call: " + ", ".join(f"{name} {count:,}" for name, count in counted.items())]
    return "\n".join(out)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--gate", action="store_true", help="count instructions and compare them with their limits")
    options.add_argument("--only", default=",".join(PARTS), help="a list of " + ", ".join(PARTS))
    arguments = options.parse_args()
    build()
    if arguments.gate:
        return 0 if gate(counts()) else 1
    wanted = arguments.only.split(",")
    results: Results = {}
    for part, measure in (("rust", rust), ("python", python), ("node", node)):
        if part in wanted:
            results |= measure()
    counted = counts() if "counts" in wanted else {}
    (TARGET / "bench.json").write_text(json.dumps({"results": results, "instructions": counted}, indent=1) + "\n")
    print("\n" + table(results, counted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
