"""Bad input: a clear typed error that names the field; never a panic, a hang or a lost amount."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

import spendrail
from conftest import CLAUDE, make_guard, spent

CALL: Any = {"provider": "anthropic", "model": CLAUDE, "input_tokens": 100, "max_output_tokens": 50, "tenant": "acme"}
HUGE = "x" * 10_000_000


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("tenant", HUGE, "label_invalid"),
        ("tenant", "", "label_invalid"),
        ("tenant", "lone \ud800 surrogate", "label_invalid"),
        ("tenant", 5, "argument_invalid"),
        ("tenant", True, "argument_invalid"),
        ("tenant", b"acme", "argument_invalid"),
        ("user", HUGE, "label_invalid"),
        ("tags", {"team": HUGE}, "label_invalid"),
        ("tags", {HUGE: "a"}, "label_invalid"),
        ("tags", {"team": 5}, "argument_invalid"),
        ("tags", {5: "a"}, "argument_invalid"),
        ("tags", {f"k{n}": "v" for n in range(17)}, "label_invalid"),
        ("tags", "team", "argument_invalid"),
        ("model", HUGE, "label_invalid"),
        ("model", "", "label_invalid"),
        ("model", "\udfff", "label_invalid"),
        ("model", None, "argument_invalid"),
        ("model", ["a"], "argument_invalid"),
        ("provider", HUGE, "label_invalid"),
        ("provider", 1.5, "argument_invalid"),
        ("id", HUGE, "label_invalid"),
        ("input_tokens", -1, "argument_invalid"),
        ("input_tokens", True, "argument_invalid"),
        ("input_tokens", 1.0, "argument_invalid"),
        ("input_tokens", float("nan"), "argument_invalid"),
        ("input_tokens", float("inf"), "argument_invalid"),
        ("input_tokens", "100", "argument_invalid"),
        ("input_tokens", 2**41, "amount_too_large"),
        ("input_tokens", 2**64, "argument_invalid"),
        ("max_output_tokens", -(2**70), "argument_invalid"),
        ("max_output_tokens", Decimal(5), "argument_invalid"),
        ("choices", 0, "argument_invalid"),
        ("choices", 2**30, "argument_invalid"),
        ("tier", 5, "argument_invalid"),
        ("mistake", 1, "argument_invalid"),
        ("request", {"api": "none", "body": {}}, "argument_invalid"),
        ("request", {"api": "openai_chat", "body": "{"}, "argument_invalid"),
        ("request", {"api": "openai_chat", "body": []}, "argument_invalid"),
        ("server", {"port": 99_999}, "argument_invalid"),
    ],
)
def test_a_call_that_does_not_hold(field: str, value: Any, code: str) -> None:
    guard = make_guard()
    with pytest.raises(spendrail.InvalidInput) as refused:
        guard.reserve(**{**CALL, field: value})
    assert refused.value.code == code, refused.value
    told = (refused.value.field or "").partition(".")[0]
    assert told == field or (told, field) == ("tag", "tags"), refused.value
    assert len(str(refused.value)) < 2_000
    assert spent(guard, tenant="acme") == (0, 0, 0)


@pytest.mark.parametrize("cost", [0.5, 1, True, float("nan"), "0.50", "0.50 EUR", "-1 USD", "1e3 USD", Decimal("0.5")])
def test_money_is_a_text_with_its_unit(cost: Any) -> None:
    guard = make_guard()
    with guard.run(tenant="acme") as run, pytest.raises(spendrail.InvalidInput) as refused, run.tool("t", cost=cost):
        pass
    assert refused.value.field == "cost"
    hold = guard.reserve(**CALL)
    with pytest.raises(spendrail.InvalidInput):
        hold.settle(cost=cost)
    hold.settle(cost="0.01 USD")
    with pytest.raises(spendrail.InvalidInput):
        guard.top_up("tenant-day", cost, tenant="acme")
    with pytest.raises(spendrail.InvalidInput):
        guard.record(id="r", provider="anthropic", model=CLAUDE, cost=cost)


def test_a_float_as_money_has_the_hint() -> None:
    hold = make_guard().reserve(**CALL)
    with pytest.raises(spendrail.InvalidInput, match=r"0\.50 USD"):
        hold.settle(cost=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "budget",
    [
        {"name": "b", "limit": 0.5},
        {"name": "b", "limit": "50"},
        {"name": "b", "limit": "-1 USD"},
        {"name": "b", "limit": "1 USD", "timezone": "Mars/Olympus"},
        {"name": "b", "limit": "1 USD", "window": "30d"},
        {"name": "b", "limit": "1 USD", "per": ["tennant"]},
        {"name": "b", "limit": "1 USD", "windwo": "day"},
        {"name": "", "limit": "1 USD"},
        {"name": HUGE, "limit": "1 USD"},
        {"name": "b", "limit": f"{2**70} USD"},
        {"name": "b", "limit": float("nan")},
        {"name": "b"},
        {"limit": "1 USD"},
        "b",
        None,
    ],
)
def test_a_configuration_that_does_not_hold(budget: Any) -> None:
    with pytest.raises(spendrail.ConfigError) as refused:
        spendrail.Guard(budgets=[budget])
    assert refused.value.field and len(str(refused.value)) < 2_000


@pytest.mark.parametrize(
    "config", [{"mode": "perhaps"}, {"mdoe": "off"}, {"ledger": {"url": "redis://h"}}, {"mode": 1}]
)
def test_a_table_that_does_not_hold(config: Any) -> None:
    with pytest.raises(spendrail.ConfigError):
        spendrail.Guard(config=config)


@pytest.mark.parametrize("file", [5, {}, [], {"budgets": []}])
def test_a_file_that_is_no_path(file: Any) -> None:
    with pytest.raises(spendrail.ConfigError) as refused:
        spendrail.Guard(file)
    assert refused.value.field == "file"


@pytest.mark.parametrize(
    ("field", "given"),
    [("prices", {"prices": 5}), ("prices", {"prices": [5]}), ("scope.require", {"require": 5})],
)
def test_a_list_that_is_none(field: str, given: Any) -> None:
    with pytest.raises(spendrail.ConfigError) as refused:
        spendrail.Guard(**given)
    assert refused.value.field == field


def test_one_text_stands_for_a_list_of_it_as_in_the_file() -> None:
    budget = spendrail.Budget("b", limit="1 USD", window="day", per="tenant", alerts="50%")
    guard = spendrail.Guard(budgets=[budget], require="tenant")
    with pytest.raises(spendrail.Denied) as denied:
        guard.reserve(provider="openai", model="gpt-4o-mini", input_tokens=1, max_output_tokens=1)
    assert denied.value.code == "scope_missing"
    with pytest.raises(spendrail.ConfigError) as refused:
        spendrail.Guard(budgets=[spendrail.Budget("b", limit="1 USD", window="day", per=5)])  # type: ignore[arg-type]
    assert refused.value.field == "budgets[0].per"


def test_a_file_that_is_not_there_or_not_toml(tmp_path: Any) -> None:
    with pytest.raises(spendrail.ConfigError) as missing:
        spendrail.Guard(tmp_path / "none.toml")
    assert missing.value.code == "io"
    (tmp_path / "spendrail.toml").write_bytes(b"mode = \xff")
    with pytest.raises(spendrail.Error):
        spendrail.Guard(tmp_path / "spendrail.toml")
    (tmp_path / "spendrail.toml").write_text('mode = "enforce"\n[[budgets]]\nname = "b"\nlimit = 1\n')
    with pytest.raises(spendrail.ConfigError) as refused:
        spendrail.Guard(tmp_path / "spendrail.toml")
    assert (refused.value.line, refused.value.field) == (4, "budgets[0].limit")
    assert refused.value.file and refused.value.file.endswith("spendrail.toml") and refused.value.hint


@pytest.mark.parametrize(
    "usage",
    [
        {"input": -1},
        {"input": 1.5},
        {"input": float("nan")},
        {"input": True},
        {"input": "5"},
        {"input": 2**41},
        {"input": 2**70},
        {"inptu": 5},
        {"input": None, "output": []},
        5,
        "many",
    ],
)
def test_a_usage_that_does_not_hold(usage: Any) -> None:
    guard = make_guard()
    hold = guard.reserve(**CALL)
    with pytest.raises(spendrail.InvalidInput):
        hold.settle(usage=usage)
    assert hold.held_nano_usd > 0, "the hold is as it was"
    with pytest.raises(spendrail.InvalidInput):
        guard.cost(CLAUDE, usage)
    if isinstance(usage, dict) and usage.get("input", 0) is not None:
        with pytest.raises(spendrail.InvalidInput):
            spendrail.Usage(**usage)
    hold.release()


def test_parts_are_not_larger_than_their_total() -> None:
    with pytest.raises(spendrail.InvalidInput, match="cache_read") as refused:
        spendrail.Usage.inclusive(input=10, cache_read=11, output=1)
    assert refused.value.code == "usage_invalid"


@pytest.mark.parametrize("reply", [5, "text", "{", b"\xff", [1], object(), {"usage": {"input_tokens": -5}}, 1.5, True])
def test_a_reply_that_is_none(reply: Any) -> None:
    guard = make_guard()
    hold = guard.reserve(**CALL)
    try:
        receipt = hold.settle(reply)
    except spendrail.InvalidInput as refused:
        assert refused.code in ("usage_invalid", "argument_invalid")
        hold.settle()
    else:
        assert receipt.posted_nano_usd == receipt.reserved_nano_usd, "unknown is not free"
    assert spent(guard, tenant="acme")[:2] == (450_000, 0)


def test_a_reply_without_usage_costs_what_was_reserved() -> None:
    reply = {"id": "msg_1", "type": "message", "role": "assistant", "model": CLAUDE, "content": []}
    receipt = make_guard().reserve(**CALL).settle(reply)
    assert receipt.posted_nano_usd == receipt.reserved_nano_usd == 450_000
    assert set(receipt.flags) >= {"no_usage"}


def test_a_reply_nested_too_deep() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"usage": deep}
    hold = make_guard().reserve(**CALL)
    with pytest.raises(spendrail.InvalidInput, match="too deep"):
        hold.settle(deep)
    hold.release()
    circle: Any = {}
    circle["self"] = circle
    with pytest.raises(spendrail.InvalidInput, match="too deep"):
        make_guard().reserve(**CALL).settle(circle)


def test_exceptions_of_the_callers_own_objects_pass_through() -> None:
    class Bad(dict):  # type: ignore[type-arg]
        def model_dump_json(self, **_: Any) -> str:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        make_guard().reserve(**CALL).settle(Bad())


@pytest.mark.parametrize("method", ["top_up", "set_limit"])
def test_accounts_that_are_not_there(method: str) -> None:
    with pytest.raises(spendrail.InvalidInput) as refused:
        getattr(make_guard(), method)("tenant-dya", "1 USD")
    assert refused.value.code == "budget_unknown"


def test_what_is_not_known() -> None:
    guard = make_guard()
    with pytest.raises(spendrail.InvalidInput) as token:
        guard.settle("sr1.nonsense")
    assert token.value.code == "token_invalid"
    with pytest.raises(spendrail.InvalidInput) as stop:
        guard.resume("none")
    assert stop.value.code == "stop_unknown"
    with pytest.raises(spendrail.UnknownModel) as model:
        guard.cost("gpt-9-imaginary", {"input": 1})
    assert model.value.to_problem()["code"] == "unknown_model"
    with pytest.raises(spendrail.InvalidInput):
        guard.on("nonsense", print)  # type: ignore[arg-type]
    with pytest.raises(spendrail.InvalidInput):
        guard.flush(timeout=-1)
    with pytest.raises(spendrail.InvalidInput):
        guard.balances(limit=10**9)
    with pytest.raises(spendrail.InvalidInput):
        guard.record(id="r", provider="anthropic", model=CLAUDE, usage={"input": 1}, at="yesterday")


def test_bad_input_costs_no_time() -> None:
    guard = make_guard()
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(spendrail.InvalidInput):
            guard.reserve(**{**CALL, "tenant": HUGE})
    assert time.monotonic() - began < 5
