"""Who else is on this core: see benches/rust/src/neighbours.rs. Batches count in which the core was ours alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

ROUNDS: Final = 3_000
DISTURBED: Final = 1.05
# So many undisturbed batches are looked for; with fewer than the least of them all batches count.
QUIET, QUIET_LEAST, MORE = 20, 5, 5


@dataclass
class Warm:
    """Nanoseconds per call: of the undisturbed batches, and of all."""

    value: float
    of_all: float


def pace() -> int:
    """How long a fixed piece of arithmetic takes right now."""
    began = time.perf_counter_ns()
    a, b, c = 1, 2, 3
    for round_ in range(ROUNDS):
        a = (a * 3 + round_) & 0xFFFF
        b = (b ^ a) & 0xFFFF
        c = (c + b) & 0xFFFF
    return time.perf_counter_ns() - began


def warm(work: Callable[[], object], batches: int, count: int) -> Warm:
    """So many batches of so many calls; more until enough of them were undisturbed."""
    taken: list[tuple[float, int]] = []

    def quiet() -> list[float]:
        best = min(pace for _, pace in taken) * DISTURBED
        return [per_call for per_call, pace in taken if pace <= best]

    while len(taken) < batches or (
        len(taken) < MORE * batches and len(quiet()) < QUIET
    ):
        before = pace()
        began = time.perf_counter_ns()
        for _ in range(count):
            work()
        per_call = (time.perf_counter_ns() - began) / count
        taken.append((per_call, max(before, pace())))
    of_all = statistics.median(per_call for per_call, _ in taken)
    alone = quiet()
    value = statistics.median(alone) if len(alone) >= QUIET_LEAST else of_all
    return Warm(round(value, 1), round(of_all, 1))
