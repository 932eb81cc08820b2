"""Scopes and runs: what surrounds a call, in blocks, threads, tasks and generators."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import spendrail
from conftest import CLAUDE, make_guard

CALL: Any = {"provider": "anthropic", "model": CLAUDE, "input_tokens": 100, "max_output_tokens": 50}
PER = ["tenant", "user", "feature", "agent", "session", "tag.team", "tag.env"]


def make(**more: Any) -> spendrail.Guard:
    budget = spendrail.Budget("all", per=PER, limit="5 USD", window="day")
    return make_guard(config={"budgets": [budget.to_dict()]}, **more) if more else spendrail.Guard(budgets=[budget])


def labels(guard: spendrail.Guard, **own: Any) -> dict[str, str]:
    """The labels that a call made here has."""
    with pytest.raises(spendrail.Denied) as denied:
        guard.reserve(**{**CALL, "input_tokens": 2**40, "model": "claude-haiku-4-5"}, **own)
    (failure,) = denied.value.failures
    return {key: value for key, value in failure.scope.items() if value is not None}


def test_inner_replaces_tags_merge_none_clears() -> None:
    guard = make()
    assert labels(guard) == {}
    with guard.scope(tenant="acme", user="u1", tags={"team": "a", "env": "prod"}):
        with guard.scope(user="u2", tags={"team": "b"}):
            assert labels(guard) == {"tenant": "acme", "user": "u2", "tag.team": "b", "tag.env": "prod"}
            assert labels(guard, user="u3", tags={"env": "dev"}) == {
                "tenant": "acme",
                "user": "u3",
                "tag.team": "b",
                "tag.env": "dev",
            }
            with guard.scope(user=None, tags={"env": None}):
                assert labels(guard) == {"tenant": "acme", "tag.team": "b"}
            with guard.scope(tags=None):
                assert labels(guard) == {"tenant": "acme", "user": "u2"}
        assert labels(guard) == {"tenant": "acme", "user": "u1", "tag.team": "a", "tag.env": "prod"}
    assert labels(guard) == {}


def test_scopes_are_of_one_guard() -> None:
    one, other = make(), make()
    with one.scope(tenant="acme"), other.scope(user="u"):
        assert labels(one) == {"tenant": "acme"} and labels(other) == {"user": "u"}


def test_a_label_that_does_not_hold_is_told_where_it_is_written() -> None:
    guard = make()
    with pytest.raises(spendrail.InvalidInput):
        guard.scope(tenant="")
    with pytest.raises(spendrail.InvalidInput):
        guard.scope(tennant="acme")


def test_a_label_cleared_inside_a_run_stays_cleared() -> None:
    guard = make()
    with guard.run(tenant="acme", user="u1", agent="a") as run:
        assert labels(guard) == {"tenant": "acme", "user": "u1", "agent": "a"}
        with guard.scope(user=None):
            assert labels(guard) == {"tenant": "acme", "agent": "a"}
        assert guard.reserve(**CALL).settle().flags == ()
    assert run.spent > 0


def test_tasks_have_the_scope_that_they_were_made_in() -> None:
    guard = make()

    async def child() -> dict[str, str]:
        await asyncio.sleep(0)
        return labels(guard)

    async def main() -> None:
        async with guard.scope(tenant="acme"):
            task = asyncio.create_task(child())
            with guard.scope(tenant="globex"):
                assert await child() == {"tenant": "globex"}
        assert await task == {"tenant": "acme"}
        assert await asyncio.to_thread(lambda: labels(guard)) == {}

    asyncio.run(main())


def test_threads_start_without_a_scope_and_bound_functions_carry_it() -> None:
    guard = make()
    seen: list[dict[str, str]] = []
    with guard.scope(tenant="acme"):
        plain = threading.Thread(target=lambda: seen.append(labels(guard)))
        bound = threading.Thread(target=guard.bind(lambda: seen.append(labels(guard))))
        plain.start()
        plain.join()
    bound.start()
    bound.join()
    assert seen == [{}, {"tenant": "acme"}]


def test_leaving_in_another_context_is_tolerated() -> None:
    guard = make()
    scope, run = guard.scope(tenant="acme"), guard.run(tenant="globex")
    inside = contextvars.copy_context()
    inside.run(scope.__enter__)
    inside.run(run.__enter__)
    scope.__exit__(None, None, None)
    run.__exit__(None, None, None)
    assert labels(guard) == {}

    def fixture() -> Iterator[int]:
        with guard.scope(tenant="acme"):
            yield 1

    steps = fixture()
    contextvars.copy_context().run(next, steps)
    with pytest.raises(StopIteration):
        next(steps)
    assert labels(guard) == {}


@pytest.mark.parametrize("block", ["scope", "run"])
def test_a_block_that_tasks_share_is_left_by_each_where_it_entered_it(block: str) -> None:
    guard = make()
    shared: Any = guard.scope(tenant="acme") if block == "scope" else guard.start_run(tenant="acme")

    async def first(other_is_inside: asyncio.Event, left: asyncio.Event) -> None:
        with shared:
            await other_is_inside.wait()
        assert labels(guard) == {}
        left.set()

    async def second(is_inside: asyncio.Event, other_left: asyncio.Event) -> None:
        with guard.scope(user="u"):
            with shared:
                is_inside.set()
                await other_left.wait()
                assert labels(guard) == {"tenant": "acme", "user": "u"}
            assert labels(guard) == {"user": "u"}

    async def main() -> None:
        inside, left = asyncio.Event(), asyncio.Event()
        await asyncio.gather(first(inside, left), second(inside, left))

    asyncio.run(main())


def test_a_block_ends_what_was_left_open_inside_it() -> None:
    guard = make()

    def steps() -> Iterator[None]:
        with guard.scope(user="u"):
            yield

    with guard.scope(tenant="acme"):
        left_open = steps()
        next(left_open)
        assert labels(guard) == {"tenant": "acme", "user": "u"}
    assert labels(guard) == {}
    left_open.close()
    assert labels(guard) == {}, "what has ended does not come back"


def test_bound_generators_have_their_scope_at_each_step_only() -> None:
    guard = make()

    def steps(first: str) -> Iterator[Any]:
        got = yield first, labels(guard)
        try:
            yield got, labels(guard)
        except KeyError:
            yield "caught", labels(guard)
        finally:
            closed.append(labels(guard))

    closed: list[Any] = []
    with guard.run(tenant="acme") as run:
        bound = run.bind(steps)("one")
    assert next(bound) == ("one", {"tenant": "acme"})
    assert labels(guard) == {}, "not across a yield"
    assert bound.send("two") == ("two", {"tenant": "acme"})  # type: ignore[attr-defined]
    assert bound.throw(KeyError()) == ("caught", {"tenant": "acme"})  # type: ignore[attr-defined]
    bound.close()  # type: ignore[attr-defined]
    assert closed == [{"tenant": "acme"}] and labels(guard) == {}
    with guard.scope(tenant="globex"):
        other = guard.bind(steps("three"))
    assert next(other) == ("three", {"tenant": "globex"})


def test_bound_async_functions_and_generators() -> None:
    guard = make()

    async def one() -> dict[str, str]:
        await asyncio.sleep(0)
        return labels(guard)

    async def many() -> AsyncIterator[dict[str, str]]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield labels(guard)

    async def main() -> None:
        run = guard.start_run(tenant="acme")
        assert await asyncio.create_task(run.bind(one)()) == {"tenant": "acme"}
        async for step in run.bind(many)():
            assert step == {"tenant": "acme"} and labels(guard) == {}
        early = run.bind(many())
        assert await early.__anext__() == {"tenant": "acme"}
        await early.aclose()  # type: ignore[attr-defined]
        run.end()

    asyncio.run(main())


# -- runs ------------------------------------------------------------------------------------------


def test_a_run_bounds_its_children_too() -> None:
    guard = make()
    with guard.run(tenant="acme", max_calls=3, max_cost="0.01 USD") as run:
        guard.reserve(**CALL).settle()
        with guard.run(agent="inner") as inner:
            assert inner.id != run.id
            guard.reserve(**CALL).settle()
        other = run.child(agent="other")
        other.reserve(**CALL).settle()
        with pytest.raises(spendrail.RunLimitExceeded):
            other.reserve(**CALL)
        assert guard.start_run(agent="of the block").spent == 0
        assert run.spent == inner.spent + other.spent + 450_000
        assert run.remaining == 10_000_000 - run.spent
        assert {balance.budget: balance.available for balance in run.balances()}["run.calls"] == 0
        with pytest.raises(spendrail.RunLimitExceeded):
            guard.reserve(**CALL)
    guard.reserve(**CALL).release()


def test_a_run_that_ended_takes_no_children_and_late_calls_count() -> None:
    guard = make()
    with guard.run(max_calls=5) as run:
        hold = guard.reserve(**CALL)
    hold.settle()
    assert run.spent == 450_000
    with pytest.raises(spendrail.Denied) as denied:
        run.child()
    assert denied.value.code == "run_closed"


def test_depth_is_bounded() -> None:
    guard = make()
    with guard.run(max_depth=2), guard.run(), pytest.raises(spendrail.RunLimitExceeded), guard.run():
        pass


def test_a_run_by_its_own_parent() -> None:
    guard = make()
    root = guard.start_run(max_calls=1)
    with guard.run():
        child = guard.start_run(parent=root)
    child.reserve(**CALL).settle()
    with pytest.raises(spendrail.RunLimitExceeded):
        root.reserve(**CALL)


def test_tools_are_counted_priced_and_watched_for_loops() -> None:
    guard = make()
    with guard.run(tenant="acme", max_tool_calls=4, max_repeats=1) as run:
        with run.tool("search", {"q": 1}, cost="0.01 USD") as tool:
            assert labels(guard)["tenant"] == "acme"
        assert tool.receipt is not None and tool.receipt.posted_nano_usd == 10_000_000
        assert (tool.receipt.model, run.spent) == ("search", 10_000_000)
        with pytest.raises(spendrail.LoopDetected), run.tool("search", {"q": 1}):
            pass
        with run.tool("search", {"q": 2}), run.tool("fetch", {"q": 1}):
            pass
        with pytest.raises(KeyError), run.tool("search"):
            raise KeyError
        with pytest.raises(spendrail.RunLimitExceeded):
            run.tool("search").__enter__()

    async def main() -> None:
        async with guard.run() as outer, outer.tool("t") as tool:
            assert tool.hold is not None

    asyncio.run(main())


def test_a_run_shared_by_threads() -> None:
    guard = make()
    passed: list[int] = []
    with guard.run(max_calls=10) as run:

        def work() -> None:
            try:
                guard.reserve(**CALL).settle()
                passed.append(1)
            except spendrail.RunLimitExceeded:
                pass

        threads = [threading.Thread(target=run.bind(work)) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(passed) == 10
