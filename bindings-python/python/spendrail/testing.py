"""For tests of applications: a clock that only moves when told to, and a provider that answers what it is told.

    clock = ManualClock("2026-11-20T10:00:00Z")
    guard = spendrail.Guard(budgets=[...], clock=clock)
    clock.advance(60_000)  # milliseconds

Nothing expires by itself then: `guard.expire_due()` does it.
"""

from __future__ import annotations

from ._native import ManualClock
from .replay import ReplayProvider, Reply, Request

__all__ = ["ManualClock", "ReplayProvider", "Reply", "Request"]
