"""What was spent, call by call, and what other rules would have made of it."""

from __future__ import annotations

from .records import Balance, Record, instant, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from typing import Any

    from ._native import Usage


class Entry(Record):
    """What one call used and cost. `cost` is exact, in USD; `posted_nano_usd` is what every budget in USD was charged.
    `input_tokens` and `output_tokens` are the worst case that had been reserved."""

    __slots__ = (
        "cost",
        "flags",
        "id",
        "input_tokens",
        "is_tool",
        "model",
        "output_tokens",
        "posted_nano_usd",
        "price_version",
        "provider",
        "reserved_nano_usd",
        "scope",
        "settled_at",
        "started_at",
        "told",
        "usage",
    )

    id: str
    started_at: datetime
    settled_at: datetime
    provider: str | None
    model: str
    is_tool: bool
    scope: dict[str, Any]
    usage: Usage | None
    cost: str
    posted_nano_usd: int
    reserved_nano_usd: int
    input_tokens: int
    output_tokens: int
    flags: list[str]
    price_version: str
    told: Mapping[str, Any]
    """As the core told it: exact to the nanosecond, and what `simulate` reads."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        """From what the core tells."""
        for name in self.__slots__:
            if name not in ("told", "started_at", "settled_at", "usage"):
                setattr(self, name, told[name])
        self.started_at, self.settled_at = instant(told["started_at"]), instant(told["settled_at"])  # type: ignore[assignment]
        self.usage = None if told["usage"] is None else usage(told["usage"])
        self.told = told

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: one line of a file that `spendrail.simulate(path, …)` reads."""
        return dict(self.told)


class DenialCount(Record):
    """One reason to deny: its code, the first budget that did not fit, how often and when first."""

    __slots__ = ("budget", "code", "count", "first_at")

    code: str
    budget: str | None
    count: int
    first_at: datetime

    def __init__(self, told: Mapping[str, Any]) -> None:
        """From what the core tells."""
        for name in self.__slots__:
            setattr(self, name, instant(told[name]) if name == "first_at" else told[name])


class Simulation(Record):
    """What other rules would have done: of `calls`, so many `denied`; the others would have cost `cost` (USD, exact),
    posted as `posted_nano_usd`; the entries say that `recorded_nano_usd` was posted for all of them."""

    __slots__ = ("balances", "calls", "cost", "denials", "denied", "posted_nano_usd", "recorded_nano_usd")

    calls: int
    denied: int
    cost: str
    posted_nano_usd: int
    recorded_nano_usd: int
    denials: list[DenialCount]
    balances: list[Balance]

    def __init__(self, told: Mapping[str, Any]) -> None:
        """From what the core tells."""
        for name in self.__slots__:
            setattr(self, name, told[name])
        self.denials = [DenialCount(one) for one in told["denials"]]
        self.balances = [Balance(one) for one in told["balances"]]


def simulate(
    entries: Iterable[Entry | Mapping[str, Any]] | str | os.PathLike[str],
    config: str | os.PathLike[str] | Mapping[str, Any],
    *,
    prices: Any = None,
) -> Simulation:
    """Plays entries against another configuration (a file, or tables as in the file), and other `prices` (as for
    `Guard`). `entries` are those of `guard.statement()`, or the path of a file with one `entry.to_dict()` as JSON a
    line. Calls overlap as they did; limits of runs are not played. Nothing is exported and no other guard is touched.

    Raises `ConfigError`, and `InvalidInput` with the entry and its field.
    """
    import os

    from . import _native
    from .config import setup

    tables: Mapping[str, Any] = {} if isinstance(config, (str, os.PathLike)) else config
    file = config if isinstance(config, (str, os.PathLike)) else None
    args: dict[str, Any] = setup(file, tables, prices, None)
    if file is None:
        args.setdefault("config", {})
    if isinstance(entries, (str, os.PathLike)):
        args["path"] = os.fspath(entries)
    else:
        args["entries"] = [one.to_dict() if isinstance(one, Entry) else dict(one) for one in entries]
    return Simulation(_native.simulate(args))
