"""Why a usage costs what it costs: plain facts, and a text that people read."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .records import instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is said: `built-in`, `file`, `code` or `configuration`, the file, and the line if it is known."""

    layer: str
    file: str | None
    line: int | None

    def __str__(self) -> str:
        """As an editor opens it."""
        file = "" if self.file is None else f" {self.file}"
        return f"{self.layer}{file}" if self.line is None else f"{self.layer}{file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Selection:
    """What was selected of the price entry: the period, the tier that is priced, the variant whose rates hold, and the
    length of input that is exceeded."""

    begins: datetime | None
    ends: datetime | None
    period_place: Place | None
    source: str | None
    note: str | None
    tier: str
    variant: str | None
    variant_place: Place | None
    input_gt: int | None


@dataclass(frozen=True, slots=True)
class ExplainedMultiplier:
    """One multiplier of a line: `modifier`, `variant`, `override` or `batch_default`, and its conditions."""

    factor: str
    by: str
    when: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    """One line. `chain` is the bucket and the keys under which its rate was looked for until it was found; `used` is
    less than `quantity` where the provider bills a minimum; `rate_from` is empty for a rate of the catalog."""

    bucket: str
    quantity: int
    used: int
    rate: Decimal
    per: int
    factor: str
    amount: Decimal
    chain: tuple[str, ...]
    rate_from: str
    place: Place | None
    multipliers: tuple[ExplainedMultiplier, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a usage costs what it costs. `str()` of it settles an invoice dispute.

    `found` says how the name led to the entry: `exact`, `alias`, `date_suffix`, `pattern`, `inherited`, or what stands
    for a model that is in no catalog: `fallback_price`, `zero_with_warning`."""

    asked_provider: str | None
    asked_model: str
    asked_tier: str | None
    at: datetime
    deployment: str | None
    provider: str
    model: str
    found: str
    same_as: str | None
    places: tuple[Place, ...]
    price_version: str
    total_input: int
    selection: Selection | None
    lines: tuple[ExplainedLine, ...]
    unpriced: tuple[str, ...]
    cost: Decimal
    posted_nano_usd: int
    text: str

    def __str__(self) -> str:
        """For people."""
        return self.text


def explanation(told: Mapping[str, Any]) -> Explanation:
    """From what the core tells."""
    selection = told["selection"]
    return Explanation(
        **{
            **told,
            "at": instant(told["at"]),
            "places": tuple(Place(**place) for place in told["places"]),
            "selection": None if selection is None else _selection(selection),
            "lines": tuple(_line(line) for line in told["lines"]),
            "unpriced": tuple(told["unpriced"]),
            "cost": Decimal(told["cost"]),
        }
    )


def _place(told: Mapping[str, Any] | None) -> Place | None:
    return None if told is None else Place(**told)


def _selection(told: Mapping[str, Any]) -> Selection:
    times = {name: instant(told[name]) for name in ("begins", "ends")}
    places = {name: _place(told[name]) for name in ("period_place", "variant_place")}
    return Selection(**{**told, **times, **places})


def _line(told: Mapping[str, Any]) -> ExplainedLine:
    return ExplainedLine(
        **{
            **told,
            "rate": Decimal(told["rate"]),
            "amount": Decimal(told["amount"]),
            "chain": tuple(told["chain"]),
            "place": _place(told["place"]),
            "multipliers": tuple(
                ExplainedMultiplier(**{**one, "place": _place(one["place"])}) for one in told["multipliers"]
            ),
        }
    )
