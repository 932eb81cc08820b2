"""The price catalog, as far as stories need it: rates, length tiers, service tiers, periods, aliases."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from amounts import QUANTITY_MAX, Denial, Fault, line, usd_exact

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


@dataclass(frozen=True)
class Entry:
    """One model of one provider."""

    provider: str
    model: str
    body: dict[str, Any]

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

    def rates(self, day: str, input_tokens: int, tier: str | None) -> tuple[Rates, Fraction]:
        """The rates of one instant, prompt size and service tier, and the multiplier."""
        period = self.period(day)
        rates, overs, times = dict(period["rates"]), period.get("over", []), Fraction(1)
        for variant in period.get("variants", []):
            if variant["when"] == {"tier": tier}:
                rates |= variant.get("rates", {})
                overs = variant.get("over", overs)
                times *= Fraction(variant.get("multiply", "1"))
        for over in sorted(overs, key=lambda o: o["input_gt"]):
            if input_tokens > over["input_gt"]:
                rates |= over["rates"]
        return {bucket: Fraction(rate) for bucket, rate in rates.items()}, times

    def cost(
        self, usage: Usage, day: str, tier: str | None = None
    ) -> tuple[Fraction, list[dict[str, Any]], list[str]]:
        """The exact cost, its lines, and the buckets that have no rate."""
        rates, times = self.rates(day, total(usage, is_input), tier)
        sum_, lines, unpriced = Fraction(0), [], []
        for bucket in (b for b in PER if usage.get(b)):
            rate = rate_of(bucket, rates)
            if rate is None:
                unpriced.append(bucket)
                continue
            amount = line(usage[bucket] * rate * times / PER[bucket])
            lines.append({"bucket": bucket, "quantity": usage[bucket], "amount": amount})
            sum_ += amount
        return sum_, lines, unpriced

    def worst_case(
        self, input_tokens: int, output_tokens: int, extra: Usage, day: str, tier: str | None
    ) -> Fraction:
        """The dearest that such a call can become; a denial if something reachable has no rate."""
        rates, times = self.rates(day, input_tokens, tier)
        writes = [rates[name] for name in ("cache_write", *WRITES) if name in rates]
        into = [rates["input"], *writes] if "input" in rates else []
        out = [rates["output"]] if "output" in rates else []
        out += [rates["output_reasoning"]] if out and "output_reasoning" in rates else []
        if (input_tokens and not into) or (output_tokens and not out):
            raise Denial("unpriced_bucket")
        sum_ = line(input_tokens * max(into, default=Fraction(0)) * times / 10**6)
        sum_ += line(output_tokens * max(out, default=Fraction(0)) * times / 10**6)
        for bucket, count in extra.items():
            rate = rate_of(bucket, rates)
            if rate is None:
                raise Denial("unpriced_bucket")
            sum_ += line(count * rate * times / PER[bucket])
        return sum_


def rate_of(bucket: str, rates: Rates) -> Fraction | None:
    """The bucket's rate by the fallback chain: from the special to the general."""
    chain = [bucket]
    if bucket in WRITES or bucket == "cache_write_audio":
        chain += ["cache_write"]
    if bucket.startswith("cache_read_"):
        chain += ["cache_read"]
    if is_input(bucket):
        chain += ["input"]
    if is_output(bucket):
        chain += ["output"]
    return next((rates[name] for name in chain if name in rates), None)


class Catalog:
    """All entries. Later files win."""

    def __init__(self, files: list[dict[str, Any]]) -> None:
        self.entries: dict[tuple[str, str], Entry] = {}
        for file in files:
            self._add(file)

    def _add(self, file: Any) -> None:
        known = {"catalog", "provider", "models", "source", "checked", "aliases"}
        if not isinstance(file, dict) or file.get("catalog") != 1 or set(file) - known:
            raise Fault("prices_invalid")
        for model, body in file["models"].items():
            for period in body.get("prices", []):
                if "rates" not in period or set(period["rates"]) - set(PER):
                    raise Fault("prices_invalid")
                for rate in period["rates"].values():
                    try:
                        usd_exact(rate, "rate")
                    except Fault as fault:
                        raise Fault("prices_invalid") from fault
            old = self.entries.get((file["provider"], model))
            merged = (old.body if old else {}) | body
            self.entries[(file["provider"], model)] = Entry(file["provider"], model, merged)

    def resolve(self, provider: str | None, model: str) -> Entry:
        """The one entry of this name; a denial if there is none or more than one. No rates is unknown."""
        found = [
            entry
            for (owner, name), entry in self.entries.items()
            if (provider in (None, owner)) and model in (name, *entry.body.get("aliases", []))
        ]
        if len(found) > 1:
            raise Denial("ambiguous_model")
        if not found or not found[0].body.get("prices"):
            raise Denial("unknown_model")
        return found[0]
