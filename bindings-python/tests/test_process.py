"""Processes: fork, exit, import. Each in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

SETUP = """
import asyncio, gc, os, sys, time
import spendrail
prices = {"catalog": 1, "provider": "p", "models": {"m": {"prices": [{"rates": {"input": "1", "output": "1"}}]}}}
budget = spendrail.Budget("b", limit="1 USD", window="day", release_cap="0%")
guard = spendrail.Guard(budgets=[budget], prices=[prices])
call = {"provider": "p", "model": "m", "input_tokens": 50_000, "max_output_tokens": 50_000}
def spent():
    balance, = guard.balances("b")
    return balance.spent, balance.held, balance.unconfirmed
"""


def run(body: str, setup: str = SETUP, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", setup + textwrap.dedent(body)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "panicked" not in done.stderr, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_a_forked_child_builds_its_own() -> None:
    out = run(
        """
        guard.on("settled", lambda event: None)
        hold = guard.reserve(**call)
        guard.reserve(**call).settle()
        child = os.fork()
        if child == 0:
            try:
                hold.settle()
                print("settled", flush=True)
            except spendrail.Error as foreign:
                print(foreign.code, flush=True)
            with guard.run(max_calls=1):
                guard.reserve(**call).settle()
            print(spent(), flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        hold.settle()
        print(spent(), flush=True)
        """
    )
    assert out.splitlines() == ["hold_foreign", "(100000000, 0, 0)", "(200000000, 0, 0)"]


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_a_shared_ledger_that_is_required_is_required_of_the_child() -> None:
    out = run(
        """
        guard = spendrail.Guard(budgets=[budget], prices=[prices], ledger={"require_shared": True})
        guard.reserve(**call).settle()
        child = os.fork()
        if child == 0:
            try:
                guard.reserve(**call)
            except spendrail.Denied as denied:
                print(denied.code, flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """
    )
    assert out == "ledger_not_shared"


@pytest.mark.parametrize("attempt", range(3))
def test_exit_right_after_the_last_await(attempt: int) -> None:
    run(
        """
        guard.on("settled", lambda event: time.sleep(0))
        async def main():
            async with guard.reserve(**call) as hold:
                await hold.asettle()
            await guard.aflush()
        asyncio.run(main())
        """
    )


def test_exit_with_everything_open() -> None:
    run(
        """
        guard.on(["settled", "denied"], print)
        hold = guard.reserve(**call)
        run = guard.start_run()
        run.__enter__()
        circle = [hold, guard]
        circle.append(circle)
        sys.exit(0)
        """
    )


def test_a_hold_that_is_garbage_is_not_free() -> None:
    out = run(
        """
        class Node: pass
        node = Node()
        node.hold, node.self = guard.reserve(**call), node
        del node
        gc.collect()
        print(spent())
        """
    )
    assert out == "(50000000, 0, 50000000)"


def test_nothing_starts_at_import() -> None:
    out = run(
        """
        import os, sys, threading
        before = set(sys.modules)
        import spendrail
        new = set(sys.modules) - before
        heavy = {"typing", "dataclasses", "inspect", "asyncio", "json", "decimal", "opentelemetry", "anthropic"}
        print(sorted(heavy & new), threading.active_count(), len(os.listdir("/proc/self/task")))
        """,
        setup="",
    )
    assert out == "[] 1 1"
