"""Plain answers: values with names. Amounts are in the unit of their budget; money in nano-USD."""

from __future__ import annotations

from ._native import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from typing import Any


def instant(text: str | None) -> datetime | None:
    """An instant of the core (RFC 3339, UTC) as a `datetime` with a time zone."""
    if text is None:
        return None
    from datetime import datetime, timezone

    whole, _, fraction = text.rstrip("Z").partition(".")
    at = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return at.replace(microsecond=int(f"{fraction[:6]:0<6}")) if fraction else at


def usage(buckets: Mapping[str, int]) -> Usage:
    """A `Usage` from its buckets: how one is unpickled."""
    return Usage(**buckets)


class Record:
    """Named values, compared by value."""

    __slots__: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything as a dict."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items())
        return f"{type(self).__name__}({fields})"


class Balance(Record):
    """One account at one instant: `available = limit + topped_up - spent - held - unconfirmed`."""

    __slots__ = (
        "as_of",
        "available",
        "budget",
        "escrowed",
        "held",
        "limit",
        "resets_at",
        "scope",
        "spent",
        "topped_up",
        "unconfirmed",
        "unit",
        "window_start",
    )

    budget: str
    unit: str
    scope: dict[str, str | None]
    limit: int
    topped_up: int
    spent: int
    held: int
    escrowed: int
    unconfirmed: int
    available: int
    window_start: datetime | None
    resets_at: datetime | None
    as_of: datetime

    def __init__(self, told: Mapping[str, Any]) -> None:
        """From what the core tells."""
        for name in self.__slots__:
            value = told[name]
            setattr(self, name, instant(value) if name in ("window_start", "resets_at", "as_of") else value)


class ToppedUp(Record):
    """What a top-up did. `repeated`: this id was known, and nothing changed."""

    __slots__ = ("balance", "repeated")

    balance: Balance
    repeated: bool

    def __init__(self, told: Mapping[str, Any]) -> None:
        """From what the core tells."""
        self.balance, self.repeated = Balance(told["balance"]), told["repeated"]


class Failure(Record):
    """One account that a call does not fit on. `limit` includes top-ups."""

    __slots__ = (
        "available",
        "budget",
        "enforce",
        "held",
        "limit",
        "resets_at",
        "scope",
        "spent",
        "unconfirmed",
        "unit",
        "wanted",
    )

    budget: str
    scope: dict[str, str | None]
    unit: str
    limit: int
    spent: int
    held: int
    unconfirmed: int
    available: int
    wanted: int
    enforce: str
    resets_at: datetime | None

    def __init__(self, told: Mapping[str, Any]) -> None:
        """From what the core tells."""
        for name in self.__slots__:
            setattr(self, name, instant(told[name]) if name == "resets_at" else told[name])


def failures(told: Iterable[Mapping[str, Any]]) -> tuple[Failure, ...]:
    """The accounts that a call does not fit on."""
    return tuple(Failure(one) for one in told)


class Stop(Record):
    """A stop in force."""

    __slots__ = ("match", "reason", "stop_id")

    stop_id: str
    reason: str
    match: str

    def __init__(self, told: Mapping[str, Any]) -> None:
        """From what the core tells."""
        for name in self.__slots__:
            setattr(self, name, told[name])


class Flushed(Record):
    """What a flush delivered. True if nothing is left behind."""

    __slots__ = ("complete", "dropped", "exported", "failed", "last_error")

    complete: bool
    exported: int
    dropped: int
    failed: int
    last_error: str | None

    def __init__(self, told: Mapping[str, Any]) -> None:
        """From what the core tells."""
        for name in self.__slots__:
            setattr(self, name, told[name])

    def __bool__(self) -> bool:
        return self.complete


class Reloaded(Record):
    """What a reload did."""

    __slots__ = (
        "added",
        "changed",
        "generation",
        "models_added",
        "models_removed",
        "models_repriced",
        "price_version",
        "prices",
        "prices_changed",
        "removed",
        "warnings",
    )

    changed: bool
    generation: int
    price_version: str
    prices_changed: bool
    added: list[str]
    removed: list[str]
    warnings: list[str]
    models_added: dict[str, Any]
    """How many (`count`) and the `first` hundred, as `provider/model`; so for those removed and repriced."""
    models_removed: dict[str, Any]
    models_repriced: dict[str, Any]
    prices: dict[str, Any]
    """As `Guard.price_report`."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        """From what the core tells."""
        for name in self.__slots__:
            setattr(self, name, told[name])


class Decision(Record):
    """Would the call be admitted now? True if it would."""

    __slots__ = ("allowed", "denial", "input_tokens", "output_tokens", "worst_case_nano_usd")

    allowed: bool
    denial: Any
    """The `Denied` that a reserve would raise; also present where the mode only observes."""
    worst_case_nano_usd: int
    input_tokens: int
    output_tokens: int

    def __init__(self, told: Mapping[str, Any]) -> None:
        """From what the core tells."""
        from .errors import denied

        for name in self.__slots__:
            setattr(self, name, told[name])
        self.denial = None if told["denial"] is None else denied(told["denial"])

    def __bool__(self) -> bool:
        return self.allowed


class Page:
    """Some balances, and where the next page begins: `guard.balances(after=page.next)`."""

    __slots__ = ("items", "next")

    def __init__(self, items: list[Balance], next: str | None) -> None:
        """`next` is `None` at the end."""
        self.items = items
        self.next = next

    def __iter__(self) -> Iterator[Balance]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: int) -> Balance:
        return self.items[at]

    def __repr__(self) -> str:
        return f"Page({self.items!r}, next={self.next!r})"
