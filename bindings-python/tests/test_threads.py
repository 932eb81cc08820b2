"""Threads that do everything at once on one guard, and on holds, runs and blocks that they share. Whatever the
interleaving, the ledger is the sum of the receipts. With a free-threaded Python they truly run at once."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import spendrail
from one_budget import PRICES

THREADS, ROUNDS = 8, 60
CALL: Any = {"provider": "test", "model": "m", "input_tokens": 1_000, "max_output_tokens": 500}
DELTA: Any = {"index": 0, "delta": {"content": "some text"}}
EVENT: Any = {"object": "chat.completion.chunk", "model": "m", "choices": [DELTA]}
FILE = """
[prices]
builtin = false
[ledger]
journal = 100_000
[[budgets]]
name = "all"
limit = "1_000_000 USD"
window = "lifetime"
release_cap = "0"
[[budgets]]
name = "tenant"
per = ["tenant"]
limit = "{limit} USD"
window = "lifetime"
release_cap = "0"
"""


@pytest.fixture(autouse=True)
def switched_often() -> Iterator[None]:
    """Where there is a GIL, it changes hands in the midst of everything."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Books:
    """What the receipts of all threads add up to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.posted: dict[str, int] = {}
        self.unconfirmed = 0

    def add(self, tenant: str, receipt: spendrail.Receipt, *, is_cut: bool = False) -> None:
        with self._lock:
            self.posted[tenant] = self.posted.get(tenant, 0) + receipt.posted_nano_usd
            if is_cut:
                self.unconfirmed += receipt.reserved_nano_usd - receipt.posted_nano_usd


def at_once(work: Callable[[int], None], threads: int = THREADS) -> None:
    """Runs `work(n)` in so many threads that start together; the first failure is raised."""
    meet = threading.Barrier(threads)

    def one(n: int) -> None:
        meet.wait(30)
        work(n)

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(one, n) for n in range(threads)]:
            done.result(timeout=120)


def file(folder: Path, limit: int) -> Path:
    path = folder / "spendrail.toml"
    path.write_text(FILE.format(limit=limit))
    return path


def settled(guard: spendrail.Guard, books: Books, tenant: str, dice: random.Random) -> None:
    used = spendrail.Usage(input=dice.randrange(1_000), output=dice.randrange(500))
    books.add(tenant, guard.reserve(**CALL, tenant=tenant).settle(used))


def released(guard: spendrail.Guard, books: Books, tenant: str, dice: random.Random) -> None:
    guard.reserve(**CALL, tenant=tenant).release()


def streamed(guard: spendrail.Guard, books: Books, tenant: str, dice: random.Random) -> None:
    hold = guard.reserve(**CALL, tenant=tenant)
    hold.stream("openai_chat")
    for _ in range(dice.randrange(5)):
        hold.chunk(EVENT)
    how = dice.choice(["finish", "close", "cut"])
    books.add(tenant, getattr(hold, how)(), is_cut=how == "cut")


def detached(guard: spendrail.Guard, books: Books, tenant: str, dice: random.Random) -> None:
    token = guard.reserve(**CALL, tenant=tenant).detach()
    books.add(tenant, guard.settle(token, usage=spendrail.Usage(output=dice.randrange(500))))


def recorded(guard: spendrail.Guard, books: Books, tenant: str, dice: random.Random) -> None:
    used = spendrail.Usage(input=dice.randrange(1_000))
    books.add(tenant, guard.record(id=f"{dice.random()}", provider="test", model="m", usage=used, tenant=tenant))


def in_a_block(guard: spendrail.Guard, books: Books, tenant: str, dice: random.Random) -> None:
    with guard.scope(tenant=tenant), guard.reserve(**CALL) as hold:
        books.add(tenant, hold.settle(spendrail.Usage(input=1)))


def looked_at(guard: spendrail.Guard, books: Books, tenant: str, dice: random.Random) -> None:
    assert guard.check(**CALL, tenant=tenant).allowed
    assert guard.cost("m", spendrail.Usage(input=1_000_000), provider="test").posted_nano_usd == 1_000_000_000
    for balance in guard.balances():
        assert balance.available == balance.limit - balance.spent - balance.held - balance.unconfirmed


WORK = [settled, settled, released, streamed, detached, recorded, in_a_block, looked_at]


def test_everything_at_once_adds_up(tmp_path: Path) -> None:
    guard = spendrail.Guard(file(tmp_path, 500_000), prices=[PRICES])
    heard: list[Any] = []
    guard.on("settled", heard.append)
    books, reloads = Books(), 0

    def work(n: int) -> None:
        nonlocal reloads
        dice = random.Random(n)
        for at in range(ROUNDS):
            if n == 0:
                file(tmp_path, 500_000 + at % 2)
                reloads += guard.reload().changed
            dice.choice(WORK)(guard, books, f"t{dice.randrange(3)}", dice)

    at_once(work)
    assert reloads > 0
    (whole,) = guard.balances("all")
    assert (whole.spent, whole.held, whole.unconfirmed) == (sum(books.posted.values()), 0, books.unconfirmed)
    parts = {balance.scope["tenant"]: balance.spent for balance in guard.balances("tenant")}
    assert parts == books.posted
    assert sum(entry.posted_nano_usd for entry in guard.statement()) == whole.spent
    assert guard.close().complete and heard


def test_a_shared_hold_is_ended_once() -> None:
    budget = spendrail.Budget("all", limit="1_000_000 USD", window="lifetime", release_cap="0")
    guard = spendrail.Guard(budgets=[budget], prices=PRICES)
    books = Books()
    endings: dict[str, Callable[[spendrail.Hold], object]] = {
        "settle": lambda hold: hold.settle(spendrail.Usage(input=7)),
        "finish": lambda hold: hold.finish(),
        "close": lambda hold: hold.close(),
        "cut": lambda hold: hold.cut("timeout"),
        "release": lambda hold: hold.release(),
        "chunk": lambda hold: hold.chunk(EVENT),
        "repr": repr,
        "abandon": lambda hold: hold.span,
    }
    for _ in range(ROUNDS):
        hold = guard.reserve(**CALL)
        hold.stream("openai_chat")
        winners: list[str] = []

        def work(n: int, hold: spendrail.Hold = hold, winners: list[str] = winners) -> None:
            name, end = list(endings.items())[n]
            try:
                answer = end(hold)
            except spendrail.InvalidInput as closed:
                assert closed.code == "hold_closed"
                return
            if name in ("settle", "finish", "close", "cut", "release"):
                winners.append(name)
            if isinstance(answer, spendrail.Receipt):
                books.add("", answer, is_cut=name == "cut")

        at_once(work, len(endings))
        assert len(winners) == 1, winners
    (whole,) = guard.balances("all")
    assert (whole.spent, whole.held, whole.unconfirmed) == (books.posted.get("", 0), 0, books.unconfirmed)


def test_blocks_and_runs_that_are_shared_keep_each_threads_surroundings() -> None:
    budget = spendrail.Budget("tenant", per=["tenant", "user"], limit="1_000_000 USD", window="lifetime")
    guard = spendrail.Guard(budgets=[budget], prices=PRICES)
    shared, run = guard.scope(tenant="shared"), guard.start_run(tenant="run", max_calls=1_000_000)
    used = spendrail.Usage(input=1_000)

    def work(n: int) -> None:
        for _ in range(ROUNDS):
            with guard.scope(user=f"u{n}"):
                with shared:
                    time.sleep(0)  # others enter and leave it meanwhile
                    guard.reserve(**CALL).settle(used)
                guard.reserve(**CALL).settle(used)
                run.reserve(**CALL).settle(used)

    at_once(work)
    each = ROUNDS * 1_000_000
    spent = {(balance.scope["tenant"], balance.scope["user"]): balance.spent for balance in guard.balances()}
    expected = {(tenant, f"u{n}"): each for n in range(THREADS) for tenant in ("shared", None, "run")}
    assert spent == expected
    assert run.spent == THREADS * each


def test_a_guard_that_is_closed_under_its_threads() -> None:
    budget = spendrail.Budget("all", limit="1_000_000 USD", window="lifetime", release_cap="0")
    guard = spendrail.Guard(budgets=[budget], prices=PRICES)
    books, closed = Books(), threading.Event()

    def work(n: int) -> None:
        if n == 0:
            closed.wait(30)
            guard.close(1.0)
            return
        for at in range(1_000_000):
            try:
                hold = guard.reserve(**CALL)
            except spendrail.Closed:
                assert closed.is_set()
                return
            books.add("", hold.settle(spendrail.Usage(input=at)))
            if at == 20:
                closed.set()

    at_once(work)
    (whole,) = guard.balances("all")
    assert (whole.spent, whole.held, whole.unconfirmed) == (books.posted[""], 0, 0)
