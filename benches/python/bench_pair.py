"""What the Python package costs its callers: prints one JSON object per measured work, times in nanoseconds.

`value` is the median of many short loops in which everything is warm and the core is ours alone (`of_all`: of all); `cold` the median of single calls between
which 8 MB are touched, as they are in an application that makes a model call now and then.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict

import spendrail
from neighbours import warm

LOOPS, CALLS, COLD = 60, 2_000, 300
CALL = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-6",
    "input_tokens": 1_200,
    "max_output_tokens": 500,
    "tenant": "acme",
    "user": "u1",
    "feature": "chat",
}
BUDGETS = [
    spendrail.Budget("all", limit="900_000_000 USD", window="month"),
    spendrail.Budget("tenant", per=["tenant"], limit="900_000_000 USD", window="day"),
    spendrail.Budget(
        "user", per=["tenant", "user"], limit="900_000_000 USD", window="day"
    ),
    spendrail.Budget(
        "feature",
        per=["tenant", "feature"],
        limit="900_000_000_000 tokens",
        window="day",
    ),
]
USAGE = spendrail.Usage(input=900, cache_read=300, output=120)
ELSEWHERE = bytearray(8 << 20)
NOISE = bytes(8 << 20)


def cold(work: Callable[[], object]) -> float:
    """The median of calls whose memory others have pushed out of the caches."""
    times = []
    for _ in range(COLD):
        ELSEWHERE[:] = NOISE
        began = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - began)
    return statistics.median(times)


def measure(name: str, work: Callable[[], object]) -> None:
    """Prints one line."""
    work()
    gc.collect()
    gc.disable()
    line = {
        "name": name,
        "unit": "ns",
        **asdict(warm(work, LOOPS, CALLS)),
        "cold": round(cold(work), 1),
    }
    gc.enable()
    print(json.dumps(line), flush=True)


def main() -> None:
    """Everything is made on the background thread and thrown away: nobody listens at port 9."""
    traced = spendrail.Telemetry(
        mode="native", endpoint="http://127.0.0.1:9", service_name="bench"
    )
    guard = spendrail.Guard(budgets=BUDGETS, telemetry=traced)
    plain = spendrail.Guard(budgets=BUDGETS, telemetry=spendrail.Telemetry(mode="off"))
    tight = spendrail.Guard(
        budgets=[spendrail.Budget("b", limit="0 USD", window="day")]
    )

    def denied() -> None:
        try:
            tight.reserve(**CALL)
        except spendrail.Denied:
            pass

    def in_a_run() -> None:
        guard.reserve(**CALL).settle(USAGE)

    measure("python pair", lambda: guard.reserve(**CALL).settle(USAGE))
    measure("python pair, telemetry off", lambda: plain.reserve(**CALL).settle(USAGE))
    with guard.run(tenant="acme", agent="bench", max_calls=900_000_000):
        measure("python pair in a run", in_a_run)
    measure("python denial", denied)
    measure(
        "python price",
        lambda: guard.cost("claude-sonnet-4-6", USAGE, provider="anthropic"),
    )
    guard.close(0.1)


if __name__ == "__main__":
    main()
