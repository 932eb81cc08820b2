"""Bad input at every other door of the guard: what `reserve` and `settle` refuse is in `test_input.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import spendrail
from one_budget import CALL, WORST, books, guard
from spendrail.testing import ManualClock

HUGE, LONE = "x" * 10_000_000, "a\ud800b"
TEXTS: dict[str, Any] = {"number": 5, "bytes": b"x", "list": ["x"], "huge": HUGE, "surrogate": LONE}
RIGHT = {("limit", "number"), ("max_calls", "number"), ("timeout", "number"), ("after", "huge")}
Door = Callable[[spendrail.Guard, spendrail.Hold, Any], object]

DOORS: dict[str, Door] = {
    "token": lambda own, hold, bad: own.settle(bad, cost="0 USD"),
    "token of release": lambda own, hold, bad: own.release(bad),
    "budget": lambda own, hold, bad: own.balances(bad),
    "budget of top_up": lambda own, hold, bad: own.top_up(bad, "1 USD", id="t"),
    "after": lambda own, hold, bad: own.balances(after=bad),
    "limit": lambda own, hold, bad: own.balances(limit=bad),
    "amount": lambda own, hold, bad: own.top_up("b", bad, id="t"),
    "amount of set_limit": lambda own, hold, bad: own.set_limit("b", bad),
    "limits[0].amount": lambda own, hold, bad: own.set_limits("b", [{"amount": bad}]),
    "stop_id": lambda own, hold, bad: own.resume(bad),
    "tenant": lambda own, hold, bad: own.stop(tenant=bad),
    "tenant of scope": lambda own, hold, bad: own.scope(tenant=bad),
    "agent": lambda own, hold, bad: own.run(agent=bad),
    "max_cost": lambda own, hold, bad: own.run(max_cost=bad),
    "max_duration": lambda own, hold, bad: own.run(max_duration=bad),
    "max_calls": lambda own, hold, bad: own.run(max_calls=bad),
    "at": lambda own, hold, bad: own.record(provider="test", model="m", usage={"input": 1}, id="r", at=bad),
    "cost": lambda own, hold, bad: own.record(provider="test", model="m", cost=bad, id="r"),
    "at of cost": lambda own, hold, bad: own.cost("m", {"input": 1}, at=bad),
    "api": lambda own, hold, bad: hold.stream(bad),
    "now": lambda own, hold, bad: ManualClock(bad),
    "event": lambda own, hold, bad: own.on([bad], print),
    "timeout": lambda own, hold, bad: own.flush(bad),
    "config": lambda own, hold, bad: spendrail.Guard(config=bad),
    "limits": lambda own, hold, bad: own.set_limits("b", bad),
    "mode": lambda own, hold, bad: spendrail.Guard(mode=bad),
    "budgets[0].timezone": lambda own, hold, bad: guard(
        budgets=[{"name": "b", "limit": "1 USD", "window": "day", "timezone": bad}]
    ),
}


WRONG = [(door, kind) for door in DOORS for kind in TEXTS if (door, kind) not in RIGHT]


@pytest.mark.parametrize(("door", "kind"), WRONG)
def test_a_text_that_is_none_or_does_not_hold(door: str, kind: str) -> None:
    own = guard()
    hold = own.reserve(**CALL)
    with pytest.raises(spendrail.Error) as refused:
        DOORS[door](own, hold, TEXTS[kind])
    field = door.partition(" of ")[0]
    named = (refused.value.field or "").removeprefix("config.")
    if not (kind == "huge" and refused.value.code in ("token_invalid", "stop_unknown", "budget_unknown")):
        assert named == field or named.startswith((f"{field}.", f"{field}[")), refused.value.to_dict()
    assert isinstance(refused.value, spendrail.InvalidInput)
    assert all(len(str(value)) < 2_000 for value in refused.value.to_dict().values())
    assert books(own) == (0, WORST, 0), "nothing happened, nothing is lost"
    hold.release()
    assert books(own) == (0, 0, 0)


@pytest.mark.parametrize("number", [-1, math.nan, math.inf, -(2**70), 2**70, 1.5, True])
@pytest.mark.parametrize("door", ["limit", "max_calls", "max_depth", "max_tokens", "max_repeats"])
def test_a_number_that_does_not_hold(door: str, number: Any) -> None:
    own = guard()
    with pytest.raises(spendrail.InvalidInput) as refused:
        own.balances(limit=number) if door == "limit" else own.run(**{door: number})
    assert (refused.value.code, refused.value.field) == ("argument_invalid", door)


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, 2**70, 1e300, "soon", None])
def test_a_timeout_that_does_not_hold(seconds: Any) -> None:
    own = guard()
    for ask in (own.flush, own.close):
        with pytest.raises(spendrail.InvalidInput) as refused:
            ask(seconds)
        assert (refused.value.field or "").startswith("timeout")
    own.reserve(**CALL).release()


MISTAKES: dict[str, tuple[str, Callable[[spendrail.Guard], object]]] = {
    "reserve": ("max_output_token", lambda own: own.reserve(**{**CALL, "max_output_token": 5})),
    "check": ("tennant", lambda own: own.check(**CALL, tennant="acme")),
    "record": ("tennant", lambda own: own.record(model="m", cost="1 USD", id="r", tennant="acme")),
    "balances": ("tennant", lambda own: own.balances(tennant="acme")),
    "top_up": ("tennant", lambda own: own.top_up("b", "1 USD", tennant="acme")),
    "set_limit": ("tennant", lambda own: own.set_limit("b", "2 USD", tennant="acme")),
    "set_limits": (
        "limits[0].tennant",
        lambda own: own.set_limits("b", [{"amount": "1 USD", "tennant": "a"}]),
    ),
    "stop": ("tennant", lambda own: own.stop(user="ann", tennant="acme")),
    "scope": ("tennant", lambda own: own.scope(tennant="acme")),
    "run": ("max_call", lambda own: own.run(max_call=1)),
    "config": ("bugdets", lambda own: spendrail.Guard(config={"bugdets": []})),
    "budget": (
        "budgets[0].windwo",
        lambda own: guard(budgets=[{"name": "b", "limit": "1 USD", "windwo": "day"}]),
    ),
}


@pytest.mark.parametrize("door", MISTAKES)
def test_an_unknown_key_is_named(door: str) -> None:
    own = guard()
    field, ask = MISTAKES[door]
    with pytest.raises(spendrail.InvalidInput) as refused:
        ask(own)
    assert refused.value.field == field
    hold = own.reserve(**CALL)
    (balance,) = own.balances("b")
    assert (balance.limit, balance.topped_up, balance.held) == (1_000_000_000, 0, WORST), "nothing of it was done"
    assert own.stops() == []
    hold.release()


def test_a_key_that_is_not_utf_8() -> None:
    own = guard()
    for ask in (own.reserve, own.check, own.scope, own.run, own.stop):
        with pytest.raises(spendrail.InvalidInput) as refused:
            ask(**{**CALL, LONE: 1} if ask in (own.reserve, own.check) else {LONE: "x"})
        assert refused.value.code == "label_invalid"
    assert books(own) == (0, 0, 0)


@pytest.mark.parametrize("error_type", [5, LONE, b"x"])
def test_the_name_of_a_failure_is_a_text(error_type: Any) -> None:
    own = guard()
    hold = own.reserve(**CALL)
    for ask in (hold.release, hold.cut, lambda bad: hold.settle(usage={"input": 1}, error_type=bad)):
        with pytest.raises(spendrail.InvalidInput) as refused:
            ask(error_type)
        assert refused.value.field == "error_type"
    assert books(own) == (0, WORST, 0)
    hold.release("timeout")


def test_a_time_without_a_zone_is_no_instant() -> None:
    own = guard()
    record: dict[str, Any] = {"provider": "test", "model": "m", "usage": {"input": 1_000}}
    for naive in (datetime(2026, 1, 1, 12), "2026-01-01T12:00:00"):
        with pytest.raises(spendrail.InvalidInput) as refused:
            own.record(**record, id="r", at=naive)
        assert refused.value.field == "at"
    assert books(own) == (0, 0, 0)
    own.record(**record, id="r", at=datetime(2026, 1, 1, 12, tzinfo=timezone.utc))
    assert books(own) == (1_000_000, 0, 0)


def test_what_a_hold_is_settled_with_is_one_thing() -> None:
    own = guard()
    hold = own.reserve(**CALL)
    for two in ({"usage": {}, "cost": "0 USD"}, {"cost": "0 USD", "usage": {"input": 1}}):
        with pytest.raises(spendrail.InvalidInput) as refused:
            hold.settle(**two)  # type: ignore[arg-type]
        assert refused.value.field == "usage"
    assert books(own) == (0, WORST, 0)
    hold.release()


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_lifts_no_budget(tmp_path: Path, text: str) -> None:
    file = tmp_path / "spendrail.toml"
    file.write_text('[[budgets]]\nname = "b"\nlimit = "1 USD"\nwindow = "lifetime"\n')
    own = spendrail.Guard(file)
    file.write_text(text)
    for ask in (own.reload, lambda: spendrail.Guard(file)):
        with pytest.raises(spendrail.ConfigError) as refused:
            ask()
        assert refused.value.file == str(file)
    assert [one.limit for one in own.balances("b")] == [1_000_000_000]
