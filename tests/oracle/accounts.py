"""The ledger as a history of facts. No counter is kept: every question reads the whole history again.

The rules of each unit stand in `settled`, `released` and `lost` and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from amounts import CONCURRENT, INPUT, OUTPUT, REQUESTS, TOKENS, TOOL_CALLS, USD

Amounts = dict[str, int]
MONEY_LIKE = (USD, TOKENS, INPUT, OUTPUT)


@dataclass(frozen=True)
class Account:
    """One budget, one value of `per`, one window. A lifetime window has no start."""

    budget: str
    per: tuple[tuple[str, str | None], ...]
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True)
class Leg:
    """One account's part of a call."""

    account: Account
    unit: str
    amount: int


@dataclass(frozen=True)
class Part:
    """What one hold is to one account: one of these per hold, replaced by what happens to the hold."""

    held: int = 0
    settled: int = 0
    unconfirmed: int = 0
    freed: int = 0


@dataclass(frozen=True)
class Counters:
    """An account at one moment."""

    topped_up: int
    spent: int
    held: int
    unconfirmed: int
    freed: int

    @property
    def counts(self) -> int:
        """What admission counts."""
        return self.spent + self.held + self.unconfirmed


@dataclass(frozen=True)
class Fact:
    """Something that happened. ``what``: hold, record, settle, release, expire, abandon, top_up, move."""

    what: str
    hold: int = 0
    legs: tuple[Leg, ...] = ()
    used: tuple[tuple[str, int], ...] = ()
    account: Account | None = None
    source: Account | None = None
    amount: int = 0
    caps: tuple[tuple[Account, int], ...] = ()


def settled(unit: str, held: int, used: Amounts) -> Part:
    """USD and tokens: what was used. Requests: one. Tool calls: as reserved. Concurrent: nothing."""
    if unit in MONEY_LIKE:
        return Part(settled=used[unit])
    return Part(settled=held if unit in (REQUESTS, TOOL_CALLS) else 0)


def released(unit: str, held: int) -> Part:
    """USD and tokens go back. Requests and tool calls stay counted: a failing loop meets its limit."""
    return Part(settled=held if unit in (REQUESTS, TOOL_CALLS) else 0)


def lost(unit: str, held: int, floor: int, room: int) -> Part:
    """The owner is gone: the floor is spent, of the rest ``room`` may be freed, the other is unconfirmed."""
    if unit == CONCURRENT:
        return Part()
    if unit in (REQUESTS, TOOL_CALLS):
        return Part(settled=held)
    rest = max(0, held - floor)
    freed = min(max(0, room), rest)
    return Part(settled=floor, unconfirmed=rest - freed, freed=freed)


def counters(history: list[Fact], account: Account) -> Counters:
    """The account after the whole history."""
    parts: dict[int, Part] = {}
    legs: dict[int, Leg] = {}
    topped_up = 0
    for at, fact in enumerate(history):
        if fact.what in ("hold", "record"):
            for leg in fact.legs:
                if moved(history[at:], leg.account) == account:
                    legs[fact.hold] = leg
                    held = fact.what == "hold"
                    parts[fact.hold] = Part(held=leg.amount) if held else Part(settled=leg.amount)
        elif fact.what == "top_up" and fact.account is not None:
            topped_up += fact.amount if moved(history[at:], fact.account) == account else 0
        elif fact.hold in legs and fact.what in ("settle", "release", "expire", "abandon"):
            freed = sum(part.freed for part in parts.values())
            room = dict(fact.caps).get(legs[fact.hold].account, 0) - freed
            parts[fact.hold] = changed(fact, legs[fact.hold], room)
    values = parts.values()
    return Counters(
        topped_up=topped_up,
        spent=sum(part.settled for part in values),
        held=sum(part.held for part in values),
        unconfirmed=sum(part.unconfirmed for part in values),
        freed=sum(part.freed for part in values),
    )


def moved(history: list[Fact], account: Account) -> Account:
    """Where an account is now: a reload that changes the window moves it, with all that is on it."""
    for fact in history:
        if fact.what == "move" and fact.source == account and fact.account is not None:
            account = fact.account
    return account


def changed(fact: Fact, leg: Leg, room: int) -> Part:
    """What the hold is to the account after the fact, whatever it was before."""
    used: Any = dict(fact.used)
    if fact.what == "settle":
        return settled(leg.unit, leg.amount, used)
    if fact.what == "release":
        return released(leg.unit, leg.amount)
    return lost(leg.unit, leg.amount, used.get(leg.unit, 0), room)


def accounts(history: list[Fact]) -> list[Account]:
    """Every account that was ever written, in order of its first fact."""
    seen: dict[Account, None] = {}
    for at, fact in enumerate(history):
        named = [leg.account for leg in fact.legs] + ([fact.account] if fact.account is not None else [])
        seen |= dict.fromkeys(moved(history[at:], account) for account in named)
    return list(seen)
