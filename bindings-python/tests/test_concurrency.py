"""Fifty calls at once, $0.10 each, on a budget of $1.00: exactly ten pass, however they are interleaved."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import spendrail
from one_budget import CALL, guard

CALLS = 50
FIT = 10


def call(own: spendrail.Guard, meet: Callable[[], object]) -> spendrail.Hold | None:
    meet()
    try:
        return own.reserve(**CALL)
    except spendrail.BudgetExceeded as denied:
        (failure,) = denied.failures
        assert failure.budget == "b" and failure.wanted == 100_000_000 and failure.available < failure.wanted
        return None


def exactly_ten(own: spendrail.Guard, holds: list[spendrail.Hold]) -> None:
    """Ten are held; settled in full, the budget is spent to the last nano-USD."""
    assert len(holds) == FIT and len({hold.id for hold in holds}) == FIT
    (balance,) = own.balances("b")
    assert (balance.spent, balance.held, balance.available) == (0, 1_000_000_000, 0)
    for hold in holds:
        assert hold.settle().posted_nano_usd == 100_000_000
    (balance,) = own.balances("b")
    assert (balance.spent, balance.held, balance.unconfirmed, balance.available) == (1_000_000_000, 0, 0, 0)
    with pytest.raises(spendrail.BudgetExceeded):
        own.reserve(**CALL)


@pytest.mark.parametrize("_round", range(5))
def test_fifty_threads(_round: int) -> None:
    own, meet = guard(), threading.Barrier(CALLS)
    with ThreadPoolExecutor(CALLS) as pool:
        asked = [pool.submit(call, own, meet.wait) for _ in range(CALLS)]
        holds = [hold for one in asked if (hold := one.result(timeout=30)) is not None]
    exactly_ten(own, holds)


@pytest.mark.parametrize("_round", range(5))
def test_fifty_tasks(_round: int) -> None:
    own = guard()

    async def one(started: asyncio.Event) -> spendrail.Hold | None:
        await started.wait()
        try:
            hold = await own.areserve(**CALL)
        except spendrail.BudgetExceeded:
            return None
        await asyncio.sleep(0)
        return hold

    async def all_of_them() -> list[spendrail.Hold]:
        started = asyncio.Event()
        tasks = [asyncio.create_task(one(started)) for _ in range(CALLS)]
        await asyncio.sleep(0)
        started.set()
        return [hold for hold in await asyncio.gather(*tasks) if hold is not None]

    exactly_ten(own, asyncio.run(all_of_them()))


def test_threads_that_settle_never_overspend() -> None:
    """What is settled below its hold makes room for the next; together never more than the limit."""
    own, meet = guard(), threading.Barrier(CALLS)

    def some(_: int) -> int:
        meet.wait()
        posted = 0
        for _ in range(20):
            try:
                with own.reserve(**CALL) as hold:
                    posted += hold.settle(usage={"input": 10_000}).posted_nano_usd
            except spendrail.BudgetExceeded:
                pass
        return posted

    with ThreadPoolExecutor(CALLS) as pool:
        posted = sum(pool.map(some, range(CALLS), timeout=60))
    (balance,) = own.balances("b")
    assert (balance.spent, balance.held, balance.unconfirmed) == (posted, 0, 0)
    assert 900_000_000 < posted <= 1_000_000_000


def test_one_hold_settled_by_many_threads_is_settled_once() -> None:
    own, meet = guard(), threading.Barrier(CALLS)
    hold = own.reserve(**CALL)

    def settle(at: int) -> int:
        meet.wait()
        try:
            return hold.settle(usage={"input": 1_000 + at}).posted_nano_usd
        except spendrail.InvalidInput as closed:
            assert closed.code == "hold_closed"
            return 0

    with ThreadPoolExecutor(CALLS) as pool:
        posted = [amount for amount in pool.map(settle, range(CALLS), timeout=30) if amount]
    (balance,) = own.balances("b")
    assert len(posted) == 1 and (balance.spent, balance.held) == (posted[0], 0)
