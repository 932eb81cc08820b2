"""What `import spendrail` costs: CPU time, resident memory, and the size of the library. Prints JSON lines."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

RUNS = 15
PROBE = """
import resource, sys, time
def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()
before, began = resident(), time.process_time()
import spendrail; spendrail.Guard  # names load when they are used
print((time.process_time() - began) * 1000, (resident() - before) / 1e6, spendrail._native.__file__)
"""


def main() -> None:
    """Each import in a process of its own; the first one, which writes byte code, is thrown away."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True
        )
        for _ in range(RUNS)
    ]
    told = [run.stdout.split(maxsplit=2) for run in runs[1:]]
    library = Path(told[0][2].strip()).stat().st_size / 1e6
    for name, unit, value in (
        ("python import cpu", "ms", statistics.median(float(line[0]) for line in told)),
        ("python import rss", "MB", statistics.median(float(line[1]) for line in told)),
        ("python library", "MB", library),
    ):
        print(
            json.dumps({"name": name, "unit": unit, "value": round(value, 2)}),
            flush=True,
        )


if __name__ == "__main__":
    main()
