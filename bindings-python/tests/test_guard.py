"""The guard's own methods."""

from decimal import Decimal
from typing import Any

import pytest

import spendrail
from spendrail._native import CODES
from spendrail.errors import BY_CODE

CALL: dict[str, Any] = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-6",
    "input_tokens": 1_200,
    "max_output_tokens": 500,
}


def guard(limit: str = "1 USD", **more: object) -> spendrail.Guard:
    budget = spendrail.Budget("tenant-day", per=["tenant"], limit=limit, window="day")
    return spendrail.Guard(budgets=[budget], **more)  # type: ignore[arg-type]


def test_reserve_and_settle() -> None:
    g = guard()
    with g.reserve(**CALL, tenant="acme") as hold:
        assert hold.held_nano_usd > 0
        receipt = hold.settle(spendrail.Usage(input=1_000, output=100))
    assert receipt.cost == Decimal("0.0045") and receipt.posted_nano_usd == 4_500_000
    assert sum(line.amount for line in receipt.lines) == receipt.cost
    (balance,) = g.balances("tenant-day", tenant="acme")
    assert (balance.spent, balance.held, balance.available) == (4_500_000, 0, 995_500_000)


def test_every_code_of_the_core_has_a_class() -> None:
    assert set(BY_CODE) == set(CODES)
    for code, (kind, status) in CODES.items():
        if kind == "denial":
            assert issubclass(BY_CODE[code], spendrail.Denied), code
        else:
            assert not issubclass(BY_CODE[code], spendrail.Denied), code
        assert 400 <= status < 600


def test_a_denial_says_why() -> None:
    with pytest.raises(spendrail.BudgetExceeded) as denied:
        guard("0.001 USD").reserve(**CALL, tenant="acme")
    (failure,) = denied.value.failures
    assert (failure.budget, failure.scope, failure.limit) == ("tenant-day", {"tenant": "acme"}, 1_000_000)
    assert denied.value.http_status == 402 and denied.value.to_problem()["status"] == 402
    assert "tenant-day" not in str(denied.value.to_problem())
