"""What other packages need for a part of the same work, measured in this process. One JSON line per figure.

Warm: the median of the batches in which the core was ours alone. Cold: the median of single calls with 8 MB touched in
between, as an application does. Each peer is called the way its own documentation does it: reserve and settle where it
has them, else the check and the recording that its patched clients make; and pricing of one usage with cached tokens.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

from neighbours import Warm, warm

# Nothing is fetched: each peer prices by the list that it ships.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

MODEL: Final = "claude-sonnet-4-6"
INPUT, CACHED, OUTPUT = 1_180, 1_000, 120
BATCHES: Final = 60
BATCH_NANOS: Final = 2_000_000
COLD_CALLS: Final = 300
MEMORY: Final = bytearray(8 << 20)
# One byte of every cache line, changed by C code: Python's own loop would take a second per round.
LINES: Final = bytes(len(MEMORY) // 64)


def touch() -> None:
    MEMORY[::64] = LINES


def in_batches(work: Callable[[], object]) -> Warm:
    started = time.perf_counter_ns()
    for _ in range(20):
        work()
    count = max(1, 20 * BATCH_NANOS // (time.perf_counter_ns() - started))
    return warm(work, BATCHES, count)


def cold(work: Callable[[], object]) -> list[float]:
    clock = time.perf_counter_ns
    samples = []
    for _ in range(COLD_CALLS):
        touch()
        clock()
        started = clock()
        work()
        samples.append(clock() - started)
    return samples


def say(name: str, unit: str, value: float, **more: float) -> None:
    print(
        json.dumps({"name": name, "unit": unit, "value": round(value, 2), **more}),
        flush=True,
    )


def measure(name: str, work: Callable[[], object]) -> None:
    taken = in_batches(work)
    say(
        name,
        "ns",
        taken.value,
        of_all=taken.of_all,
        cold=statistics.median(cold(work)),
    )


def floe_guard() -> None:
    from floe_guard import BudgetGuard

    guard = BudgetGuard(limit_usd=1e9)

    def pair() -> None:
        handle = guard.reserve(0.02)
        guard.settle(
            MODEL, INPUT, OUTPUT, reserved=handle, cache_read_input_tokens=CACHED
        )

    measure("floe-guard pair", pair)


def shekel() -> None:
    from shekel import _patch, budget

    with budget(max_usd=1e9, name="bench"):
        # What its patched clients do after every reply: price, add up, check the limit. It does not know our model.
        measure("shekel record", lambda: _patch._record(INPUT, OUTPUT, "gpt-4o"))


def genai_prices() -> None:
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=INPUT, cache_read_tokens=CACHED, output_tokens=OUTPUT)
    measure(
        "genai-prices price",
        lambda: calc_price(usage, MODEL, provider_id="anthropic").total_price,
    )


def litellm() -> None:
    from litellm import cost_per_token

    def price() -> object:
        return cost_per_token(
            model=MODEL,
            custom_llm_provider="anthropic",
            prompt_tokens=INPUT,
            completion_tokens=OUTPUT,
            cache_read_input_tokens=CACHED,
        )

    measure("litellm price", price)


IMPORT: Final = """
import os, resource, json
page = os.sysconf("SC_PAGE_SIZE")
def now():
    use = resource.getrusage(resource.RUSAGE_SELF)
    resident = int(open("/proc/self/statm").read().split()[1]) * page if os.path.exists("/proc/self/statm") else 0
    return use.ru_utime + use.ru_stime, resident
before = now()
import {module}
after = now()
print(json.dumps([1000 * (after[0] - before[0]), (after[1] - before[1]) / 1e6]))
"""


def imports(name: str, module: str, rounds: int = 5) -> None:
    """CPU in milliseconds and resident megabytes of an import, each in a fresh interpreter."""
    command = [sys.executable, "-c", IMPORT.format(module=module)]
    found = [
        json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        for _ in range(rounds)
    ]
    cpu, resident = (statistics.median(one) for one in zip(*found, strict=True))
    say(f"{name} import cpu", "ms", cpu)
    say(f"{name} import rss", "MB", resident)


def main() -> None:
    """A peer that cannot be measured is named, and the others are measured."""
    for peer in (floe_guard, shekel, genai_prices, litellm):
        try:
            peer()
        except Exception as error:  # noqa: BLE001 - whatever a peer raises, the others are measured
            print(
                f"{peer.__name__} is left out: {type(error).__name__}: {error}",
                file=sys.stderr,
            )
    for name, module in (("genai-prices", "genai_prices"), ("litellm", "litellm")):
        imports(name, module, rounds=3)


if __name__ == "__main__":
    main()
