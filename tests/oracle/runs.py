"""Runs: a scope with limits of its own. Every call of a child counts on every ancestor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from accounts import Account
from policy import RUN_UNITS, Scope

REMEMBERED = 64


@dataclass
class Run:
    """One agent run."""

    id: str
    scope: Scope
    limits: dict[str, Any]
    enforce: str
    started: datetime
    parent: Run | None = None
    ended: bool = False
    requests: list[Any] = field(default_factory=list)

    def chain(self) -> Iterator[Run]:
        """This run, then its ancestors."""
        run: Run | None = self
        while run is not None:
            yield run
            run = run.parent

    def elsewhere(self) -> Run:
        """The run as another process sees it: the same accounts, its own end, its own memory of requests."""
        above = self.parent.elsewhere() if self.parent else None
        return replace(self, parent=above, ended=False, requests=[])

    @property
    def root(self) -> Run:
        """The outermost run."""
        return list(self.chain())[-1]

    def too_deep(self) -> bool:
        """Whether this run lies deeper below some run than that one allows; 1 is that run alone."""
        levels = enumerate(self.chain(), start=1)
        return any(
            one.enforce == "hard" and depth > one.limits.get("max_depth", depth) for depth, one in levels
        )

    def account(self, what: str) -> Account:
        """The account of ``calls``, ``tool_calls``, ``tokens`` or ``cost``."""
        return Account(f"run.{what}", (("run", self.id),), None, None)

    def limit(self, what: str) -> int | None:
        """The limit of that account."""
        found = self.limits.get(f"max_{what}")
        return None if found is None else int(found)


def over_plain_limits(run: Run, now: datetime) -> bool:
    """Whether the run, or an ancestor, has lasted too long."""
    for one in run.chain():
        most = one.limits.get("max_duration")
        lasted = (now - one.started).total_seconds() * 1000
        if most is not None and one.enforce == "hard" and lasted >= most:
            return True
    return False


def repeated_too_often(run: Run, fingerprint: Any) -> bool:
    """Whether the root run made this request as often as it may, among its last 64."""
    bounds = [
        one.limits["max_repeats"]
        for one in run.chain()
        if "max_repeats" in one.limits and one.enforce == "hard"
    ]
    return (
        fingerprint is not None
        and bool(bounds)
        and run.root.requests[-REMEMBERED:].count(fingerprint) >= min(bounds)
    )


def remember(run: Run, fingerprint: Any) -> None:
    """The request was admitted."""
    if fingerprint is not None:
        run.root.requests.append(fingerprint)


def tightened(rule: dict[str, Any], stated: dict[str, Any]) -> dict[str, Any]:
    """The stricter of the two, bound by bound: what a caller states can only tighten the policy's rule."""
    keys = {key for key in (*rule, *stated) if key.startswith("max_")}
    return {key: min(limits[key] for limits in (rule, stated) if key in limits) for key in keys}


ACCOUNTS = tuple(RUN_UNITS)
