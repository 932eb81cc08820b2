"""The guard's own methods."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

import spendrail
from conftest import CLAUDE, make_guard, spent
from spendrail._native import CODES, EVENTS
from spendrail.errors import BY_CODE
from spendrail.testing import ManualClock

CALL: Any = {"provider": "anthropic", "model": CLAUDE, "input_tokens": 100, "max_output_tokens": 50, "tenant": "acme"}
HELD = 450_000
"""100 input tokens at 2 USD (a cache write for an hour) and 50 output tokens at 5 USD per million, in nano-USD."""


def test_reserve_and_settle() -> None:
    guard = make_guard()
    with guard.reserve(**CALL) as hold:
        assert (hold.held_nano_usd, hold.input_tokens, hold.output_tokens) == (HELD, 100, 50)
        assert spent(guard) == (0, HELD, 0)
        receipt = hold.settle(spendrail.Usage(input=80, output=10))
    assert receipt.cost == Decimal("0.00013") and receipt.posted_nano_usd == 130_000
    assert sum(line.amount for line in receipt.lines) == receipt.cost
    assert [(line.bucket, line.quantity, line.rate, line.per) for line in receipt.lines] == [
        ("input", 80, Decimal(1), 1_000_000),
        ("output", 10, Decimal(5), 1_000_000),
    ]
    assert receipt.usage == spendrail.Usage(input=80, output=10)
    assert (receipt.provider, receipt.model, receipt.flags, receipt.repeated) == ("anthropic", CLAUDE, (), False)
    assert receipt.remaining == {"tenant-day": 5_000_000_000 - 130_000}
    assert spent(guard) == (130_000, 0, 0)


def test_async_twins() -> None:
    guard = make_guard()

    async def main() -> None:
        async with guard.reserve(**CALL) as hold:
            assert (await hold.asettle(usage={"input": 1})).posted_nano_usd == 1_000
        hold = await asyncio.create_task(guard.areserve(**CALL))
        token = await hold.adetach()
        assert (await guard.asettle(token, usage={"input": 2})).posted_nano_usd == 2_000  # type: ignore[arg-type]
        await (await guard.areserve(**CALL)).arelease()
        assert await guard.acheck(**CALL)
        await guard.arecord(id="r1", provider="anthropic", model=CLAUDE, usage={"input": 5}, tenant="acme")
        assert (await guard.acost(CLAUDE, {"input": 1_000_000}, provider="anthropic")).total == 1
        assert (await guard.atop_up("tenant-day", "1 USD", tenant="acme")).balance.topped_up == 10**9
        await guard.aset_limit("tenant-day", "2 USD", tenant="acme")
        (balance,) = await guard.abalances("tenant-day")
        assert (balance.limit, balance.spent) == (2 * 10**9, 8_000)
        await guard.aresume(await guard.astop(reason="test", tenant="acme"))
        assert await guard.astops() == []
        assert (await guard.aflush()).complete and (await guard.aclose()).complete

    asyncio.run(main())


def test_a_later_answer_is_awaited_once() -> None:
    hold = make_guard().reserve(**CALL)
    later = hold.asettle()
    asyncio.run(_wait(later))
    with pytest.raises(RuntimeError):
        asyncio.run(_wait(later))
    never = make_guard().reserve(**CALL).asettle()
    never.close()  # type: ignore[attr-defined]


async def _wait(later: Any) -> Any:
    return await later


def test_a_hold_is_settled_once() -> None:
    hold = make_guard().reserve(**CALL)
    hold.settle()
    for again in (hold.settle, hold.release, hold.detach, hold.finish):
        with pytest.raises(spendrail.InvalidInput) as refused:
            again()
        assert refused.value.code == "hold_closed"


def test_a_block_without_a_settle_is_abandoned() -> None:
    guard = make_guard()
    with guard.reserve(**CALL):
        pass
    assert spent(guard) == (100_000, 0, 350_000), "the input counts, the rest is unconfirmed"


def test_a_block_that_fails_is_not_free() -> None:
    guard = make_guard()
    with pytest.raises(ZeroDivisionError), guard.reserve(**CALL):
        raise ZeroDivisionError
    assert spent(guard) == (100_000, 0, 350_000)


def test_a_lost_hold_is_abandoned() -> None:
    guard = make_guard()
    hold = guard.reserve(**CALL)
    circle: list[Any] = [hold]
    circle.append(circle)
    del hold, circle
    gc.collect()
    assert spent(guard) == (100_000, 0, 350_000)


def test_tokens_outlive_the_block() -> None:
    guard = make_guard()
    with guard.reserve(**CALL) as hold:
        token = hold.detach()
    assert spent(guard) == (0, HELD, 0)
    guard.settle(token, spendrail.Usage(input=100, output=20))
    assert guard.settle(token, spendrail.Usage(input=100, output=20)).repeated
    with pytest.raises(spendrail.IdReused):
        guard.settle(token, spendrail.Usage(input=100, output=21))
    other = guard.reserve(**CALL).detach()
    guard.release(other)
    assert spent(guard) == (200_000, 0, 0)


def test_the_same_id_is_the_same_hold() -> None:
    guard = make_guard()
    first, second = guard.reserve(**CALL, id="a"), guard.reserve(**CALL, id="a")
    assert second.repeated and not first.repeated and spent(guard) == (0, HELD, 0)
    with pytest.raises(spendrail.IdReused):
        guard.reserve(**{**CALL, "max_output_tokens": 51}, id="a")
    first.settle()


def test_check_and_cost_hold_nothing() -> None:
    guard = make_guard("0.0003 USD")
    decision = guard.check(**CALL)
    assert not decision and decision.worst_case_nano_usd == HELD
    assert isinstance(decision.denial, spendrail.BudgetExceeded) and decision.denial.max_output_tokens == 20
    assert guard.check(**{**CALL, "max_output_tokens": 20}).allowed
    cost = guard.cost(CLAUDE, spendrail.Usage(input=1, output=1), provider="anthropic")
    assert (cost.total, cost.posted_nano_usd, cost.unpriced) == (Decimal("0.000006"), 6_000, ())
    assert spent(guard, tenant="acme") == (0, 0, 0)


def test_records_are_never_denied() -> None:
    guard = make_guard("0.01 USD")
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    receipts = guard.record_many(
        [
            {"id": "a", "provider": "anthropic", "model": CLAUDE, "cost": "31.20 USD", "tenant": "acme"},
            {"id": "b", "provider": "anthropic", "model": CLAUDE, "usage": {"input": 1_000}, "at": yesterday},
        ]
    )
    assert [receipt.posted_nano_usd for receipt in receipts] == [31_200_000_000, 1_000_000]
    again = guard.record(id="a", provider="anthropic", model=CLAUDE, cost="31.20 USD", tenant="acme")
    assert again.repeated
    assert spent(guard, tenant="acme")[0] == 31_200_000_000


def test_balances_come_in_pages() -> None:
    guard = make_guard()
    for n in range(5):
        guard.reserve(**{**CALL, "tenant": f"t{n}"}).release()
    page = guard.balances("tenant-day", limit=3)
    rest = guard.balances("tenant-day", limit=3, after=page.next)
    assert [balance.scope["tenant"] for balance in (*page, *rest)] == [f"t{n}" for n in range(5)]
    assert len(page) == 3 and rest.next is None
    balance = page[0]
    assert balance.resets_at is not None and balance.window_start is not None
    assert balance.resets_at - balance.window_start == timedelta(days=1)
    assert balance == guard.balances("tenant-day", tenant="t0")[0] or balance.as_of


def test_limits_and_top_ups() -> None:
    guard = make_guard("0 USD")
    assert not guard.check(**CALL)
    assert not guard.top_up("tenant-day", "1 USD", id="x", tenant="acme").repeated
    assert guard.top_up("tenant-day", "1 USD", id="x", tenant="acme").repeated
    assert guard.check(**CALL)
    limits: list[Any] = [spendrail.Limit("3 USD", tenant="globex"), {"amount": "4 USD", "tenant": "acme"}]
    assert guard.set_limits("tenant-day", limits) == 2
    assert [balance.limit for balance in guard.balances("tenant-day", tenant="acme")] == [4 * 10**9]
    guard.set_limit("tenant-day", None, tenant="acme")
    assert [balance.limit for balance in guard.balances("tenant-day", tenant="acme")] == [0]


def test_stops() -> None:
    guard = make_guard()
    stop_id = guard.stop(reason="INC-7", tenant="acme")
    assert [(stop.stop_id, stop.reason) for stop in guard.stops()] == [(stop_id, "INC-7")]
    with pytest.raises(spendrail.Stopped, match="INC-7") as denied:
        guard.reserve(**CALL)
    assert denied.value.http_status == 403
    guard.resume(stop_id)
    guard.reserve(**CALL).release()


# -- errors ----------------------------------------------------------------------------------------


def test_every_code_of_the_core_has_a_class() -> None:
    assert set(BY_CODE) == set(CODES)
    for code, (kind, status) in CODES.items():
        assert issubclass(BY_CODE[code], spendrail.Denied) == (kind == "denial"), code
        assert issubclass(BY_CODE[code], spendrail.InvalidInput) == (kind == "input"), code
        assert 400 <= status < 600


def denial() -> spendrail.Denied:
    with pytest.raises(spendrail.BudgetExceeded) as denied:
        make_guard("0.0003 USD", clock=ManualClock("2026-11-20T10:00:00Z")).reserve(**CALL)
    return denied.value


def test_a_denial_says_why() -> None:
    denied = denial()
    (failure,) = denied.failures
    assert (failure.budget, failure.scope, failure.unit) == ("tenant-day", {"tenant": "acme"}, "USD")
    assert (failure.limit, failure.available, failure.wanted) == (300_000, 300_000, HELD)
    assert denied.max_output_tokens == 20 and denied.retry_at is None, "it does not fit an empty account either"
    assert denied.http_status == 402
    problem = denied.to_problem()
    assert problem["status"] == 402 and problem["code"] == "budget_exceeded"
    assert "tenant-day" not in str(problem) and "acme" not in str(problem)


def test_a_denial_says_when_to_retry() -> None:
    clock = ManualClock("2026-11-20T10:00:00Z")
    guard = make_guard("0.0005 USD", clock=clock)
    guard.reserve(**CALL).settle()
    with pytest.raises(spendrail.BudgetExceeded) as denied:
        guard.reserve(**CALL)
    assert denied.value.retry_at == datetime(2026, 11, 21, tzinfo=timezone.utc)
    assert denied.value.retry_after == 14 * 3600
    clock.set("2026-11-21T00:00:00Z")
    guard.reserve(**CALL).release()


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_pickle_and_copy(again: Any) -> None:
    denied = denial()
    same = again(denied)
    assert type(same) is spendrail.BudgetExceeded and same is not denied
    assert (str(same), same.code, same.failures) == (str(denied), denied.code, denied.failures)
    assert same.to_problem() == denied.to_problem()
    with pytest.raises(spendrail.InvalidInput) as refused:
        make_guard().reserve(model="")
    assert again(refused.value).field == refused.value.field
    usage = spendrail.Usage(input=5, output_reasoning=7)
    assert again(usage) == usage and hash(again(usage)) == hash(usage)


def test_a_closed_guard() -> None:
    guard = make_guard()
    hold = guard.reserve(**CALL)
    assert guard.close()
    with pytest.raises(spendrail.Closed):
        guard.reserve(**CALL)
    hold.settle()


# -- many callers ----------------------------------------------------------------------------------


def a_dollar() -> tuple[spendrail.Guard, Any]:
    """A guard with 1 USD, and a call of exactly 0.10 USD."""
    prices = {"catalog": 1, "provider": "p", "models": {"m": {"prices": [{"rates": {"input": "1", "output": "1"}}]}}}
    guard = spendrail.Guard(budgets=[spendrail.Budget("b", limit="1 USD", window="day")], prices=[prices])
    return guard, {"provider": "p", "model": "m", "input_tokens": 50_000, "max_output_tokens": 50_000}


def test_fifty_threads_ten_calls() -> None:
    guard, call = a_dollar()
    gate = threading.Barrier(50)

    def caller(_: int) -> bool:
        gate.wait()
        try:
            with guard.reserve(**call) as hold:
                time.sleep(0.01)
                hold.settle()
        except spendrail.BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(50) as pool:
        assert sum(pool.map(caller, range(50))) == 10
    (balance,) = guard.balances("b")
    assert (balance.spent, balance.available) == (10**9, 0)


def test_fifty_tasks_ten_calls() -> None:
    guard, call = a_dollar()

    async def caller() -> bool:
        try:
            async with guard.reserve(**call) as hold:
                await asyncio.sleep(0.01)
                await hold.asettle()
        except spendrail.BudgetExceeded:
            return False
        return True

    async def main() -> int:
        return sum(await asyncio.gather(*(caller() for _ in range(50))))

    assert asyncio.run(main()) == 10
    assert guard.balances("b")[0].available == 0


# -- events ----------------------------------------------------------------------------------------


def until(condition: Any) -> None:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def test_listeners_hear_events_on_a_thread_of_their_own() -> None:
    guard = make_guard("0.0005 USD")
    heard: list[tuple[str, str]] = []

    def listener(event: dict[str, Any]) -> None:
        heard.append((event["event"], threading.current_thread().name))
        raise RuntimeError("a listener that fails is logged")

    assert guard.on(["settled", "denied", "stopped"], listener) is listener
    guard.reserve(**CALL).settle()
    with pytest.raises(spendrail.Denied):
        guard.reserve(**CALL)
    guard.stop(tenant="x")
    until(lambda: len(heard) == 3)
    assert heard == [(kind, "spendrail-events") for kind in ("settled", "denied", "stopped")]
    assert threading.current_thread().name != "spendrail-events"


def test_a_changed_file_is_reloaded(tmp_path: Any) -> None:
    file = tmp_path / "spendrail.toml"
    file.write_text('[[budgets]]\nname = "b"\nlimit = "1 USD"\nwindow = "day"\n')
    guard = spendrail.Guard(file)
    heard: list[dict[str, Any]] = []
    guard.on(["reloaded", "reload_failed"], heard.append)
    guard.check(**CALL)
    file.write_text(file.read_text().replace("1 USD", "2 USD"))
    until(lambda: heard)
    assert heard[0]["event"] == "reloaded" and guard.balances("b")[0].limit == 2 * 10**9
    heard.clear()
    file.write_text('mode = "enforce"\n[[budgets]]\nname = "b"\nlimt = "3 USD"\n')
    until(lambda: heard)
    error = heard[0]["error"]
    assert (heard[0]["event"], error["line"], error["field"]) == ("reload_failed", 4, "budgets[0].limt")
    assert "limit" in error["hint"] and guard.balances("b")[0].limit == 2 * 10**9
    with pytest.raises(spendrail.ConfigError):
        guard.reload()
    file.write_text(file.read_text().replace("limt", "limit").replace("3 USD", "3"))
    with pytest.raises(spendrail.ConfigError) as bad:
        guard.reload()
    assert (bad.value.code, bad.value.field, bad.value.line) == ("amount_invalid", "budgets[0].limit", 4)
    with pytest.raises(spendrail.InvalidInput) as none:
        guard.on("settled", None)  # type: ignore[arg-type]
    assert none.value.field == "listener"
    guard.close()


@pytest.mark.parametrize(
    ("name", "content", "code"), [("gone.toml", None, "io"), ("latin.toml", b"# \xff", "prices_invalid")]
)
def test_a_price_file_that_cannot_be_read_says_where_it_is_named(
    tmp_path: Any, name: str, content: bytes | None, code: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    file = tmp_path / "spendrail.toml"
    file.write_text(f'[prices]\nfiles = ["{name}"]\n')
    with pytest.raises(spendrail.Error) as bad:
        spendrail.Guard(file)
    assert (bad.value.code, bad.value.field) == (code, "prices.files")
    assert bad.value.hint and bad.value.file == str(tmp_path / name)


def test_events_are_known() -> None:
    kinds = {"settled", "denied", "threshold", "over_run", "loop", "stopped", "reloaded", "reload_failed"}
    kinds |= {"cost_differs"}
    assert set(EVENTS) == kinds


PRICES = {
    "catalog": 1,
    "provider": "openrouter",
    "models": {"m": {"prices": [{"rates": {"input": "3", "output": "15"}}]}},
}


def test_a_cost_that_differs_is_told() -> None:
    """The provider's own figure counts; the catalog's stands beside it, and a listener hears of the difference."""
    guard = spendrail.Guard(prices=[PRICES, {"builtin": False}])
    heard: queue.Queue[dict[str, Any]] = queue.Queue()
    guard.on("cost_differs", heard.put)
    with guard.reserve(provider="openrouter", model="m", input_tokens=1000, max_output_tokens=100) as hold:
        usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "cost": 0.002}
        receipt = hold.settle({"object": "chat.completion", "model": "m", "choices": [], "usage": usage})
    assert (receipt.cost, receipt.reported_cost, receipt.computed_cost) == (
        Decimal("0.002"),
        Decimal("0.002"),
        Decimal("0.0045"),
    )
    assert receipt.computed is not None
    assert [line.bucket for line in receipt.computed.lines] == ["input", "output"]
    [line] = receipt.lines
    assert (line.bucket, line.quantity, line.rate, line.per, line.amount) == (
        "reported",
        1,
        Decimal("0.002"),
        1,
        Decimal("0.002"),
    )
    assert heard.get(timeout=10)["receipt"]["computed_cost"] == "0.0045"


def test_an_explanation_is_frozen_and_readable() -> None:
    """What was agreed in code, for the tenant of the block around."""
    discount = {"match": {"tenant": "acme"}, "multiply": "0.85"}
    guard = spendrail.Guard(prices=[PRICES, {"builtin": False, "overrides": [discount]}])
    with guard.scope(tenant="acme"):
        told = guard.explain("m", {"input": 1000}, provider="openrouter", at="2026-11-20T00:00:00Z")
        assert guard.cost("m", {"input": 1000}, provider="openrouter").total == told.cost == Decimal("0.00255")
    assert guard.cost("m", {"input": 1000}, provider="openrouter", tenant="other").total == Decimal("0.003")
    [line] = told.lines
    assert (line.rate, line.multipliers[0].factor, line.multipliers[0].by) == (Decimal(3), "0.85", "override")
    assert line.place is not None and line.place.layer == "code"
    assert "× 0.85 (override prices.overrides[0], for tenant=acme, configuration)" in str(told)
    with pytest.raises(AttributeError):
        told.cost = Decimal(0)  # type: ignore[misc]
    with pytest.raises(spendrail.UnknownModel):
        guard.explain("nobody's", {"input": 1}, provider="openrouter")
