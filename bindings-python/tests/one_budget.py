"""A guard with one budget of $1.00 and a model of $1 a million tokens, for tests that look at its balance."""

from __future__ import annotations

from typing import Any

import spendrail

PRICES = {
    "catalog": 1,
    "provider": "test",
    "models": {"m": {"max_output_tokens": 1_000_000, "prices": [{"rates": {"input": "1", "output": "1"}}]}},
}
CALL: dict[str, Any] = {"provider": "test", "model": "m", "input_tokens": 60_000, "max_output_tokens": 40_000}
"""Costs $0.10 at worst: $0.06 in, $0.04 out."""
INPUT, WORST = 60_000_000, 100_000_000


def guard(**more: Any) -> spendrail.Guard:
    budget = spendrail.Budget("b", limit="1 USD", window="lifetime", release_cap="0%")
    return spendrail.Guard(**{"budgets": [budget], "prices": PRICES, **more})


def books(own: spendrail.Guard) -> tuple[int, int, int]:
    """Spent, held, unconfirmed."""
    balances = own.balances("b")
    assert len(balances) <= 1
    return (balances[0].spent, balances[0].held, balances[0].unconfirmed) if len(balances) else (0, 0, 0)
