"""How a call, a block or a process can end: nothing hangs, nothing is lost, nothing is counted twice."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import select
import signal
import threading
from collections.abc import Callable

import pytest

import spendrail
from one_budget import CALL, INPUT, WORST, books, guard
from spendrail.errors import BY_CODE

PATIENCE = 30
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def in_child(body: Callable[[], object]) -> str:
    """What `body` answers in a forked child; "hangs" if it gives no answer."""
    get, put = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = repr(body())
        except BaseException as error:
            answer = f"{type(error).__name__}: {getattr(error, 'code', error)}"
        os.write(put, answer.encode())
        os._exit(0)
    os.close(put)
    try:
        if not select.select([get], [], [], PATIENCE)[0]:
            os.kill(child, signal.SIGKILL)
            return "hangs"
        return os.read(get, 65_536).decode()
    finally:
        os.close(get)
        os.waitpid(child, 0)


# -- fork ------------------------------------------------------------------------------------------


@FORKS
def test_a_child_has_books_of_its_own() -> None:
    own = guard()
    own.reserve(**CALL).settle()

    def child() -> tuple[object, ...]:
        before = books(own)
        hold = own.reserve(**CALL)
        held = books(own)
        hold.settle(usage={"input": 10})
        return before, held, books(own), own.close(0.5).complete

    assert in_child(child) == repr(((0, 0, 0), (0, WORST, 0), (10_000, 0, 0), True))
    assert books(own) == (WORST, 0, 0)


@FORKS
@pytest.mark.parametrize("what", ["settle", "release", "detach", "cut", "close", "finish"])
def test_a_hold_of_the_parent_is_foreign_in_the_child(what: str) -> None:
    own = guard()
    hold = own.reserve(**CALL)
    assert in_child(getattr(hold, what)) == "Error: hold_foreign"
    assert books(own) == (0, WORST, 0)
    hold.settle(usage={"input": 1})
    assert books(own) == (1_000, 0, 0)


@FORKS
def test_a_hold_lost_in_the_child_stays_the_parents() -> None:
    own = guard()
    holds = [own.reserve(**CALL)]

    def child() -> object:
        holds.clear()
        gc.collect()
        return books(own)

    assert in_child(child) == "(0, 0, 0)"
    assert books(own) == (0, WORST, 0)


@FORKS
def test_a_token_settles_in_the_child_as_a_call_of_another_process() -> None:
    own = guard()
    token = own.reserve(**CALL).detach()
    assert in_child(lambda: own.settle(token, usage={"input": 10}).flags) == "('orphan',)"
    assert books(own) == (0, WORST, 0)


@FORKS
def test_a_shared_ledger_is_asked_for() -> None:
    own = guard(ledger={"require_shared": True})
    own.reserve(**CALL).settle()
    assert in_child(lambda: own.reserve(**CALL)) == "Denied: ledger_not_shared"


@FORKS
def test_a_fork_in_the_middle_of_other_threads_calls() -> None:
    """The child inherits locks that nobody will ever open."""
    own, stop = guard(mode="observe"), threading.Event()

    def busy() -> None:
        while not stop.is_set():
            own.reserve(**CALL).settle(usage={"input": 1})

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        answers = {in_child(lambda: (own.reserve(**CALL).settle() and None) or books(own)) for _ in range(20)}
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert answers == {repr((WORST, 0, 0))}


@FORKS
def test_a_child_goes_on_with_an_inherited_run() -> None:
    own = guard()
    with own.run(agent="forks", max_calls=2) as run:
        own.reserve(**CALL).settle()

        def child() -> tuple[object, ...]:
            for _ in range(2):
                own.reserve(**CALL).settle()
            with own.run(agent="child") as below:
                try:
                    own.reserve(**CALL)
                except spendrail.Denied as denied:
                    code = denied.code
            run.end()
            return run.spent, below.spent, code, books(own)

        assert in_child(child) == repr((2 * WORST, 0, "run_limit_exceeded", (2 * WORST, 0, 0)))
        own.reserve(**CALL).settle()
    assert (run.spent, books(own)) == (2 * WORST, (2 * WORST, 0, 0))


# -- the end of a hold -----------------------------------------------------------------------------


def test_a_hold_that_is_collected_is_unconfirmed() -> None:
    own = guard()
    hold = own.reserve(**CALL)
    assert books(own) == (0, WORST, 0)
    del hold
    gc.collect()
    assert books(own) == (INPUT, 0, WORST - INPUT)


def test_a_hold_in_a_cycle_is_collected_too() -> None:
    own = guard()
    cycle: list[object] = [own.reserve(**CALL)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert books(own) == (INPUT, 0, WORST - INPUT)


def test_an_exception_inside_a_hold() -> None:
    own = guard()
    with pytest.raises(ZeroDivisionError), own.reserve(**CALL):
        raise ZeroDivisionError
    assert books(own) == (INPUT, 0, WORST - INPUT)


def test_an_exception_after_the_settle_changes_nothing() -> None:
    own = guard()
    with pytest.raises(KeyError), own.reserve(**CALL) as hold:
        hold.settle(usage={"input": 10})
        raise KeyError("after")
    assert books(own) == (10_000, 0, 0)


def test_a_task_cancelled_inside_a_hold() -> None:
    own = guard()

    async def call(entered: asyncio.Event) -> None:
        async with own.reserve(**CALL):
            entered.set()
            await asyncio.sleep(PATIENCE)

    async def main() -> None:
        entered = asyncio.Event()
        task = asyncio.create_task(call(entered))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert books(own) == (INPUT, 0, WORST - INPUT)


def test_a_coroutine_that_nobody_awaits_settles_nothing() -> None:
    own = guard()
    hold = own.reserve(**CALL)
    hold.asettle()
    assert books(own) == (0, WORST, 0)
    hold.release()
    assert books(own) == (0, 0, 0)


def test_an_open_hold_is_settled_after_the_guard_is_closed() -> None:
    own = guard()
    hold = own.reserve(**CALL)
    own.close()
    with pytest.raises(spendrail.Closed) as closed:
        own.reserve(**CALL)
    assert closed.value.code == "closed"
    assert hold.settle(usage={"input": 10}).posted_nano_usd == 10_000


# -- denials travel --------------------------------------------------------------------------------


def denial() -> spendrail.BudgetExceeded:
    own = guard()
    with pytest.raises(spendrail.BudgetExceeded) as denied:
        own.reserve(provider="test", model="m", input_tokens=1_000_000, max_output_tokens=1)
    return denied.value


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_denial_is_copied_and_pickled(way: Callable[[spendrail.Denied], spendrail.Denied]) -> None:
    first = denial()
    second = way(first)
    assert type(second) is type(first) and str(second) == str(first) and second.args == first.args
    assert second.to_dict() == first.to_dict() and second.to_problem() == first.to_problem()
    assert second.failures == first.failures and second.retry_at == first.retry_at
    assert (second.code, second.http_status) == ("budget_exceeded", 402)


def test_every_kind_of_error_is_pickled() -> None:
    for code, kind in BY_CODE.items():
        error = pickle.loads(pickle.dumps(kind({"code": code, "message": "text", "field": "f"})))
        assert (type(error), error.code, str(error), error.field) == (kind, code, "text", "f")
