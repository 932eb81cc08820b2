"""The provider's own books: what it charges for each request, counted without any help from Spendrail.

Prices are decimal strings per 1M tokens (`web_search`, `rerank_search`: per 1,000). Sums are exact fractions;
only the figure that is compared with Spendrail's ledger is rounded: up to a nano-USD, once per call.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, Final

PER_MILLION: Final = Fraction(1, 1_000_000)
PER_THOUSAND: Final = Fraction(1, 1_000)
NANO: Final = 1_000_000_000

Json = dict[str, Any]


class PriceError(ValueError):
    """The price table is not usable; the message names the model and the rate."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Disjoint counts, except that `output` includes `reasoning` (as every provider reports it)."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    web_search: int = 0
    rerank_search: int = 0

    @property
    def total_input(self) -> int:
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h

    def generated_until(self, output: int) -> Tokens:
        """The same request, stopped when `output` tokens had been generated."""
        return replace(self, output=output, reasoning=min(self.reasoning, output))


@dataclass(frozen=True, slots=True)
class Model:
    """One row of the price table."""

    name: str
    served_as: str
    rates: Mapping[str, Fraction]

    def bill(self, tokens: Tokens) -> Fraction:
        """Exact cost in USD. A quantity without a rate is an error: this provider gives nothing away."""
        reasoning_rate = "reasoning" if "reasoning" in self.rates else "output"
        lines = [
            ("input", tokens.input, PER_MILLION),
            ("cache_read", tokens.cache_read, PER_MILLION),
            ("cache_write", tokens.cache_write, PER_MILLION),
            ("cache_write_1h", tokens.cache_write_1h, PER_MILLION),
            ("output", tokens.output - tokens.reasoning, PER_MILLION),
            (reasoning_rate, tokens.reasoning, PER_MILLION),
            ("web_search", tokens.web_search, PER_THOUSAND),
            ("rerank_search", tokens.rerank_search, PER_THOUSAND),
        ]
        total = Fraction(0)
        for rate, quantity, per in lines:
            if quantity == 0:
                continue
            if rate not in self.rates:
                raise PriceError(f"model {self.name} has no rate {rate!r} for {quantity}")
            total += self.rates[rate] * quantity * per
        return total


@dataclass(frozen=True, slots=True)
class Prices:
    """The whole table: `{"version": "1", "models": {"gpt-4o-mini": {"input": "0.15", …}}}`.

    A row's `served_as` is the name that replies carry.
    """

    version: str
    models: Mapping[str, Model]

    @classmethod
    def from_json(cls, table: Json) -> Prices:
        """Errors: `PriceError` for anything that is not a decimal string."""
        models = {}
        for name, row in table["models"].items():
            rates = {}
            for rate, text in row.items():
                if rate == "served_as":
                    continue
                if not isinstance(text, str):
                    raise PriceError(f"{name}.{rate}: a price is a decimal string, not {text!r}")
                rates[rate] = Fraction(Decimal(text))
            models[name] = Model(name, row.get("served_as", name), rates)
        return cls(str(table["version"]), models)


def usd(amount: Fraction) -> str:
    """The exact decimal text of an amount. Prices are decimals per a power of ten, so it always ends."""
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(amount.numerator) / Decimal(amount.denominator)
        if Fraction(exact) != amount:
            raise PriceError(f"{amount} USD is not a finite decimal")
        return format(exact, "f")


def nano_usd_up(amount: Fraction) -> int:
    """An amount in nano-USD, rounded up: what one call weighs in a ledger of whole nano-USD."""
    return math.ceil(amount * NANO)


@dataclass(slots=True)
class Entry:
    """One request in the journal.

    `outcome` is open, complete, rejected, truncated, cut, hung, error_event or client_closed.
    """

    seq: int
    key: str
    path: str
    api: str = ""
    model: str = ""
    stream: bool = False
    directive: str = ""
    retry: int = 0
    price_version: str = ""
    status: int = 0
    outcome: str = "open"
    tokens: Tokens = field(default_factory=Tokens)
    cost: Fraction = Fraction(0)
    user_agent: str = ""
    reply_id: str = ""

    def to_json(self) -> Json:
        values = {name: getattr(self, name) for name in self.__slots__ if name not in ("tokens", "cost")}
        return values | {
            "tokens": asdict(self.tokens) | {"total_input": self.tokens.total_input},
            "cost_usd": usd(self.cost),
            "cost_nano_usd": nano_usd_up(self.cost),
        }


class Journal:
    """Every request the provider saw, in order of arrival, with what it charged."""

    def __init__(self, prices: Prices) -> None:
        self._lock = threading.Lock()
        self._prices = prices
        self._entries: list[Entry] = []
        self._faults: dict[tuple[str, str], int] = {}

    def arrive(self, key: str, path: str) -> Entry:
        """A request has come in: it is in the journal before anything is done about it."""
        with self._lock:
            entry = Entry(len(self._entries) + 1, key, path, price_version=self._prices.version)
            self._entries.append(entry)
            return entry

    def model(self, name: str) -> Model | None:
        """The row of the model at the prices of this moment; a request keeps the row it got."""
        with self._lock:
            return self._prices.models.get(name)

    def models(self) -> list[str]:
        with self._lock:
            return sorted(self._prices.models)

    def set_prices(self, prices: Prices) -> None:
        with self._lock:
            self._prices = prices

    def fault_is_due(self, key: str, directive: str, times: int) -> bool:
        """Counts the requests with this directive; a fault with `times` hits only the first ones."""
        with self._lock:
            seen = self._faults.get((key, directive), 0)
            self._faults[(key, directive)] = seen + 1
            return times == 0 or seen < times

    def close(self, entry: Entry, *, status: int, outcome: str, model: Model | None = None,
              tokens: Tokens | None = None) -> None:  # fmt: skip
        """The request is over (or about to be): books its usage at the given row's prices."""
        cost = model.bill(tokens) if model is not None and tokens is not None else Fraction(0)
        with self._lock:
            entry.status, entry.outcome, entry.cost = status, outcome, cost
            if tokens is not None:
                entry.tokens = tokens

    def reset(self) -> None:
        with self._lock:
            self._entries.clear()
            self._faults.clear()

    def to_json(self) -> Json:
        """All requests, and per API key the totals: exact, and as the sum of calls rounded up one by one."""
        with self._lock:
            entries = [replace(entry) for entry in self._entries]
            version = self._prices.version
        keys: dict[str, Json] = {}
        sums: dict[str, Fraction] = {}
        for entry in entries:
            row = keys.setdefault(
                entry.key,
                {"requests": 0, "billed": 0, "input_tokens": 0, "output_tokens": 0, "cost_nano_usd": 0},
            )
            row["requests"] += 1
            row["billed"] += 1 if entry.cost else 0
            row["input_tokens"] += entry.tokens.total_input
            row["output_tokens"] += entry.tokens.output
            row["cost_nano_usd"] += nano_usd_up(entry.cost)
            sums[entry.key] = sums.get(entry.key, Fraction(0)) + entry.cost
        for key, total in sums.items():
            keys[key]["cost_usd"] = usd(total)
        return {
            "price_version": version,
            "open": sum(1 for entry in entries if entry.outcome == "open"),
            "requests": [entry.to_json() for entry in entries],
            "keys": keys,
        }
