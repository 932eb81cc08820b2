"""A run in another process: by headers, by a token, in the shapes that servers have."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import spendrail
from conftest import CLAUDE

CALL: Any = {"provider": "anthropic", "model": CLAUDE, "input_tokens": 100, "max_output_tokens": 50}


def make() -> spendrail.Guard:
    return spendrail.Guard(budgets=[spendrail.Budget("all", per=["tenant"], limit="5 USD", window="day")])


def test_headers_in_every_shape() -> None:
    guard = make()
    with guard.run(tenant="acme", agent="planner", max_calls=9) as run:
        headers = run.headers()
        assert list(headers) == ["spendrail-run"]
        pairs = [(name.upper().encode(), value.encode()) for name, value in headers.items()]
        for carried in (headers, headers["spendrail-run"], run.token(), pairs, {"Spendrail-Run": [run.token()]}):
            with guard.resume_run(carried) as here:
                assert here.id == run.id
                guard.reserve(**CALL).settle()
        # Its calls counted on the run that was started; its end was not that run's end.
        calls = {balance.budget: balance for balance in run.balances()}["run.calls"]
        assert (calls.spent, calls.available) == (5, 4)
        run.child().reserve(**CALL).release()


@pytest.mark.parametrize("carried", [{}, {"traceparent": "00-1"}, "", "srr1.x", [], [("spendrail-run", "x")]])
def test_what_carries_no_run_is_refused(carried: Any) -> None:
    with pytest.raises(spendrail.Error) as refused:
        make().resume_run(carried)
    assert refused.value.code == "token_invalid"
    assert refused.value.field in ("token", "headers")


def test_a_process_that_works_for_a_run_has_its_limits() -> None:
    program = f"""
import spendrail, sys
guard = spendrail.Guard(budgets=[spendrail.Budget("all", per=["tenant"], limit="5 USD", window="day")])
with guard.resume_run(sys.argv[1]) as run:
    guard.reserve(**{CALL!r}).settle()
    print(run.id, guard.balances(tenant="acme").items[0].spent)
    try:
        guard.reserve(**{CALL!r})
    except spendrail.RunLimitExceeded as denied:
        print(denied.failures[0].budget)
"""
    with make().run(id="r-1", tenant="acme", max_calls=1) as run:
        done = subprocess.run(
            [sys.executable, "-c", program, run.token()], capture_output=True, text=True, timeout=60, check=True
        )
    assert done.stdout.split() == ["r-1", "450000", "run.calls"], done.stderr
