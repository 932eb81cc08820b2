"""The price catalog, as far as stories need it: rates, periods, lengths, conditions, multipliers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import names
from amounts import QUANTITY_MAX, Denial, Fault, line, usd_exact
from windows import instant

TOKEN_BUCKETS = (
    "input input_audio input_image input_video input_tool "
    "cache_read cache_read_audio cache_read_image cache_read_video "
    "cache_write cache_write_5m cache_write_30m cache_write_1h cache_write_12h cache_write_audio "
    "output output_reasoning output_audio output_image output_video output_citation"
).split()
BY_QUANTITY = {
    10**6: "cache_storage input_character output_character",
    1000: "request web_search web_fetch file_search maps_grounding social_search rerank_search text_message "
    "classification page page_annotated",
    1: "code_session input_image_unit output_image_unit dbu custom_1 custom_2",
    10**9: "output_pixel input_pixel",
    # Counted in milliseconds, priced per hour.
    3_600_000: "input_audio_second output_audio_second audio_second input_video_second output_video_second "
    "compute_second",
}
PER = dict.fromkeys(TOKEN_BUCKETS, 10**6)
PER |= {bucket: quantity for quantity, buckets in BY_QUANTITY.items() for bucket in buckets.split()}
WRITES = ("cache_write_5m", "cache_write_30m", "cache_write_1h", "cache_write_12h")

Usage = dict[str, int]
Rates = dict[str, Fraction]
Context = dict[str, Any]
"""What a price depends on besides the amounts: tier, speed, geo, search_context, …"""
NAMES = ("platform", "aliases", "hosts", "strip_prefixes", "strip_suffixes", "date_suffix", "fallback")


def is_input(bucket: str) -> bool:
    """Input tokens of any kind."""
    return bucket in TOKEN_BUCKETS and not bucket.startswith("output")


def is_output(bucket: str) -> bool:
    """Output tokens of any kind."""
    return bucket in TOKEN_BUCKETS and bucket.startswith("output")


def total(usage: Usage, of: Any) -> int:
    """The sum of the buckets for which ``of`` holds."""
    return sum(count for bucket, count in usage.items() if of(bucket))


def checked_usage(usage: Any) -> Usage:
    """A usage with known buckets and whole, bounded quantities."""
    if not isinstance(usage, dict):
        raise Fault("usage_invalid")
    for bucket, count in usage.items():
        if bucket not in PER:
            raise Fault("usage_invalid", str(bucket))
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= QUANTITY_MAX:
            raise Fault("usage_invalid", bucket)
    return {bucket: count for bucket, count in usage.items() if count}


def inclusive(totals: Any) -> Usage:
    """Disjoint buckets from totals that include their parts."""
    parts = checked_usage({"output_reasoning" if key == "reasoning" else key: n for key, n in totals.items()})
    for whole_, of in (("input", is_input), ("output", is_output)):
        parts[whole_] = parts.get(whole_, 0)
        for bucket in (b for b in PER if b != whole_ and of(b)):
            parts[whole_] -= parts.get(bucket, 0)
            if parts[whole_] < 0:
                raise Fault("usage_invalid", bucket)
    return {bucket: count for bucket, count in parts.items() if count}


def conditions(when: dict[str, Any]) -> list[str]:
    """What a condition depends on; a time of day is one thing."""
    times = {"utc", "weekdays", "calendar", "clock"}
    return [key for key in when if key not in times] + (["time"] if times & set(when) else [])


def holds(when: dict[str, Any], day: str, context: Context) -> bool:
    """Whether all conditions hold. What is not known is no value of a condition."""
    for key in conditions(when):
        if key == "time":
            if not in_time(when, instant(day)):
                return False
        elif when[key].startswith("!"):
            if context.get(key) in (None, when[key][1:]):
                return False
        elif context.get(key) != when[key]:
            return False
    return True


def in_time(when: dict[str, Any], at: datetime) -> bool:
    """Windows of the day in UTC, the end not included; weekdays by the vendor's calendar."""
    weekday = at.astimezone(ZoneInfo(when.get("calendar", "UTC"))).weekday()
    days = when.get("weekdays")
    if days and "mon tue wed thu fri sat sun".split()[weekday] not in days:
        return False
    now = f"{at:%H:%M}"
    spans = [span.split("-") for span in when.get("utc", [])]
    return not spans or any(start <= now < end for start, end in spans)


@dataclass(frozen=True)
class Terms:
    """What an operator's settings make of an entry."""

    changes: tuple[dict[str, Any], ...] = ()
    unlisted: Rates = field(default_factory=dict)
    forgiving: bool = False
    half_batch: bool = False
    stand_in: str | None = None


@dataclass(frozen=True)
class Table:
    """The rates of one instant, prompt size and context, and what multiplies them, each with the keys it spares."""

    rates: Rates
    factors: list[tuple[Fraction, frozenset[str]]]

    def price(self, key: str) -> Fraction:
        """What one unit of a rate key costs, times the unit."""
        out = self.rates[key]
        for factor, spared in self.factors:
            out *= 1 if key in spared else factor
        return out

    def of(self, bucket: str) -> Fraction | None:
        """The same of a bucket, by the fallback chain."""
        key = key_of(bucket, self.rates)
        return None if key is None else self.price(key)


@dataclass(frozen=True)
class Entry:
    """One model of one provider."""

    provider: str
    model: str
    body: dict[str, Any]
    modifiers: tuple[dict[str, Any], ...] = ()
    terms: Terms = field(default_factory=Terms)

    @property
    def max_input_tokens(self) -> int | None:
        """Size of the context."""
        return self.body.get("max_input_tokens")

    @property
    def max_output_tokens(self) -> int | None:
        """Most output of one choice."""
        return self.body.get("max_output_tokens")

    def period(self, day: str) -> dict[str, Any]:
        """The last period that has begun. ``day`` is RFC 3339, which sorts as text."""
        begun = [p for p in self.body.get("prices", []) if p.get("from", "") <= day]
        return max(begun, key=lambda p: p.get("from", "")) if begun else {"rates": {}}

    def table(self, day: str, input_tokens: int, context: Context) -> Table:
        """The rates of one instant, prompt size and context, and what multiplies them."""
        period, terms = self.period(day), self.terms
        rates = {key: Fraction(rate) for key, rate in period["rates"].items()}
        if not rates:
            return Table({}, [])
        rates |= {key: rate for key, rate in terms.unlisted.items() if key_of(key, rates) is None}
        overs, variants = period.get("over", []), period.get("variants", [])
        holding = [v for v in variants if holds(v["when"], day, context)]
        # Of several that replace rates the most particular one does.
        replacing = sorted((v for v in holding if "rates" in v), key=lambda v: len(conditions(v["when"])))
        for variant in replacing[-1:]:
            rates |= {key: Fraction(rate) for key, rate in variant["rates"].items()}
            overs = variant.get("over", overs)
        for over in sorted(overs, key=lambda o: o["input_gt"]):
            if input_tokens > over["input_gt"]:
                rates |= {key: Fraction(rate) for key, rate in over["rates"].items()}
        # The provider's before the period's.
        times = [
            modifier
            for modifier in self.modifiers
            if any(names.matches(glob, self.model) for glob in modifier.get("models", ["**"]))
            and holds(modifier["when"], day, context)
        ]
        times += [v for v in holding if "multiply" in v]
        listed = any(v["when"].get("tier") == "batch" for v in (*variants, *self.modifiers))
        if terms.half_batch and context.get("tier") == "batch" and not listed:
            times.append({"multiply": "0.5", "except": set(PER) - set(TOKEN_BUCKETS)})
        factors = [(Fraction(one["multiply"]), frozenset(one.get("except", ()))) for one in times]
        for change in terms.changes:
            if change.get("from", "") <= day and ("to" not in change or day < change["to"]):
                agreed = change.get("rates", {})
                rates |= agreed
                factors = [(factor, spared | set(agreed)) for factor, spared in factors]
                if "multiply" in change:
                    factors.append((Fraction(change["multiply"]), frozenset(change.get("except", []))))
        return Table(rates, factors)

    def cost(
        self, usage: Usage, day: str, context: Context | None = None
    ) -> tuple[Fraction, list[dict[str, Any]], list[str]]:
        """The exact cost, its lines, and the buckets that have no rate."""
        context = context or {}
        if context.get("tier") == "auto":
            # Not known which: the dearest that is listed.
            listed = {v["when"].get("tier") for v in self.period(day).get("variants", [])} - {"batch"}
            return max(
                (self.cost(usage, day, context | {"tier": tier}) for tier in {None, *listed}),
                key=lambda c: c[0],
            )
        table = self.table(day, total(usage, is_input), context)
        counted = dict(usage)
        if "request" in table.rates and usage:
            # A fee for the request, once.
            counted.setdefault("request", 1)
        sum_, lines, unpriced = Fraction(0), [], []
        for bucket in (b for b in PER if counted.get(b)):
            rate = table.of(bucket)
            if rate is None:
                unpriced += [bucket] if bucket != "request" else []
                continue
            if context.get("tier") == "provisioned" and bucket in TOKEN_BUCKETS:
                # Paid by the hour.
                rate = Fraction(0)
            quantity = max(counted[bucket], self.least(bucket))
            amount = line(quantity * rate / PER[bucket])
            lines.append({"bucket": bucket, "quantity": quantity, "amount": amount})
            sum_ += amount
        return sum_, lines, unpriced

    def least(self, bucket: str) -> int:
        """What is billed at least of a bucket that is used; durations are stated in seconds."""
        unit = 1000 if PER[bucket] == 3_600_000 else 1
        return int(Fraction(self.body.get("minimum", {}).get(bucket, "0")) * unit)

    def worst_case(
        self, input_tokens: int, output_tokens: int, extra: Usage, day: str, context: Context
    ) -> Fraction:
        """The dearest that such a call can become; a denial if something reachable has no rate."""
        table = self.table(day, input_tokens, context)
        into = [table.price(name) for name in ("input", "cache_write", *WRITES) if name in table.rates]
        out = [table.price(name) for name in ("output", "output_reasoning") if name in table.rates]
        bare = (input_tokens and "input" not in table.rates) or (
            output_tokens and "output" not in table.rates
        )
        if bare and not self.terms.forgiving:
            raise Denial("unpriced_bucket")
        sum_ = line(input_tokens * max(into, default=Fraction(0)) / 10**6)
        sum_ += line(output_tokens * max(out, default=Fraction(0)) / 10**6)
        sum_ += line((table.of("request") or Fraction(0)) / 1000)
        for bucket, count in extra.items():
            price = table.of(bucket)
            if price is None and not self.terms.forgiving:
                raise Denial("unpriced_bucket")
            sum_ += line(max(count, self.least(bucket)) * (price or Fraction(0)) / PER[bucket])
        return sum_


def key_of(bucket: str, rates: Rates) -> str | None:
    """The key that prices a bucket by the fallback chain."""
    return next((name for name in chain_of(bucket) if name in rates), None)


def chain_of(bucket: str) -> list[str]:
    """Where a rate is looked for, from the special to the general."""
    chain = [bucket]
    if bucket in WRITES or bucket == "cache_write_audio":
        chain += ["cache_write"]
    if bucket.startswith("cache_read_"):
        chain += ["cache_read"]
    if is_input(bucket):
        chain += ["input"]
    if is_output(bucket):
        chain += ["output"]
    return list(dict.fromkeys(chain))


class Catalog:
    """All entries. Later files win."""

    def __init__(self, files: list[dict[str, Any]]) -> None:
        self.entries: dict[tuple[str, str], Entry] = {}
        self.files: dict[str, dict[str, Any]] = {}
        for file in files:
            self._add(file)

    def _add(self, file: Any) -> None:
        known = {"catalog", "provider", "models", "source", "checked", "modifiers", *NAMES}
        if not isinstance(file, dict) or file.get("catalog") != 1 or set(file) - known:
            raise Fault("prices_invalid")
        provider = file["provider"]
        self.files[provider] = self.files.get(provider, {}) | file
        for model, body in file["models"].items():
            for period in body.get("prices", []):
                if "rates" not in period or set(period["rates"]) - set(PER):
                    raise Fault("prices_invalid")
                for rate in period["rates"].values():
                    try:
                        usd_exact(rate, "rate")
                    except Fault as fault:
                        raise Fault("prices_invalid") from fault
            old = self.entries.get((provider, model))
            merged = (old.body if old else {}) | body
            self.entries[(provider, model)] = Entry(
                provider, model, merged, tuple(file.get("modifiers", old.modifiers if old else ()))
            )

    def resolve(self, provider: str | None, model: str) -> Entry:
        """The one entry of this name; a denial if there is none or more than one. No rates is unknown."""
        found = names.find(self, provider, model)
        if len(found) > 1:
            raise Denial("ambiguous_model")
        if not found or not found[0].body.get("prices"):
            raise Denial("unknown_model")
        return found[0]
