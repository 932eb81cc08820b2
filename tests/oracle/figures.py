"""Numbers of a provider's usage, and the step from totals with parts to disjoint buckets (prices, 2.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from amounts import ATTO, QUANTITY_MAX
from prices import Usage

Json = dict[str, Any]
TTLS = ("cache_write", "cache_write_5m", "cache_write_30m", "cache_write_1h", "cache_write_12h")
MEDIA = ("audio", "image", "video")


class Unreadable(Exception):
    """A figure that is no count: nothing that is computed from the others can be trusted."""

    def __init__(self, rule: str = "unreadable") -> None:
        super().__init__(rule)
        self.rule = rule


def exact(value: Any) -> Fraction:
    """A JSON number, or a decimal as text, to the last digit."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Unreadable
    try:
        return Fraction(repr(value) if isinstance(value, float) else str(value))
    except (ValueError, ZeroDivisionError, OverflowError) as why:
        raise Unreadable from why


def get(map_: Any, *names: str) -> int | None:
    """The first count of these names that is there. Spellings of one figure are never added."""
    for name in names:
        value = map_.get(name) if isinstance(map_, dict) else None
        if value is None:
            continue
        if isinstance(value, str):
            raise Unreadable
        number = exact(value)
        if number.denominator != 1 or not 0 <= number <= QUANTITY_MAX:
            raise Unreadable
        return int(number)
    return None


def count(map_: Any, *names: str) -> int:
    """As ``get``; nothing is zero."""
    return get(map_, *names) or 0


def milliseconds(map_: Json, *names: str) -> int | None:
    """Seconds, as a number or as text, in milliseconds, rounded up."""
    value = next((map_[name] for name in names if map_.get(name) not in (None, {})), None)
    if value is None:
        return None
    number = -(-exact(value) * 1000 // 1)
    if not 0 <= number <= QUANTITY_MAX:
        raise Unreadable
    return int(number)


def money(value: Any, per: int = 1) -> Fraction | None:
    """USD, rounded up to 10^-18; what is no number is no money."""
    try:
        amount = exact(value) / per
    except Unreadable:
        return None
    return Fraction(-(-amount * ATTO // 1), ATTO)


def inside(map_: Any, *names: str) -> Json:
    """The first object of these names, else an empty one."""
    found = (map_.get(name) for name in names) if isinstance(map_, dict) else ()
    return next((one for one in found if isinstance(one, dict)), {})


def listed(map_: Any, *names: str) -> list[Any]:
    """The first list of these names, else an empty one."""
    found = (map_.get(name) for name in names) if isinstance(map_, dict) else ()
    return next((one for one in found if isinstance(one, list)), [])


@dataclass
class Figures:
    """Totals and their parts, as a provider tells them."""

    input: int = 0
    output: int = 0
    cached: int = 0
    written: Usage = field(default_factory=dict)
    reasoning: int = 0
    tool_input: int = 0
    total: int | None = None
    media: Usage = field(default_factory=dict)
    """``input_audio``, ``cache_read_image``, ``output_video``, …: parts of input, cached and output."""

    def sum_of(self, *names: str) -> int:
        """The sum of some media."""
        return sum(self.media.get(name, 0) for name in names)

    @property
    def cache(self) -> int:
        """Everything read from and written to a cache."""
        return self.cached + sum(self.written.values())

    def sum_up(self, cache_inside: bool, reasoning_inside: bool) -> int:
        """What the total would be under a reading."""
        all_ = self.input + self.output + self.tool_input
        return all_ + (0 if cache_inside else self.cache) + (0 if reasoning_inside else self.reasoning)

    def possible(self, cache_inside: bool, reasoning_inside: bool) -> bool:
        """No subtraction goes below zero."""
        output_media = self.sum_of(*(f"output_{kind}" for kind in MEDIA))
        fits = self.reasoning == 0 or self.reasoning + output_media <= self.output
        return (not cache_inside or self.cache <= self.input) and (not reasoning_inside or fits)


def ttl_split(total: int | None, split: Usage, odd: list[str]) -> Usage:
    """Writes by time to live. What the split leaves out has the dearest that it shows."""
    parts = sum(split.values())
    if total is None or total == parts:
        return split
    if parts == 0:
        return {"cache_write": total}
    odd.append("cache_split")
    dearest = next(
        (ttl for ttl in ("cache_write_12h", "cache_write_1h", "cache_write_30m") if split.get(ttl)),
        "cache_write_5m",
    )
    return split | {dearest: split.get(dearest, 0) + max(total - parts, 0)}


def disjoint(
    figures: Figures, odd: list[str], cache_inside: bool, reasoning_inside: bool, decides: bool
) -> Usage:
    """The buckets: as documented if that is possible and adds up, else the first other reading that does."""
    readings = [
        (cache_inside, reasoning_inside),
        (cache_inside, not reasoning_inside),
        (not cache_inside, reasoning_inside),
        (not cache_inside, not reasoning_inside),
    ]
    possible = [reading for reading in readings if figures.possible(*reading)]
    adds_up = [reading for reading in possible if decides and figures.sum_up(*reading) == figures.total]
    cache_in, reasoning_in = (adds_up or possible)[0]
    if cache_in != cache_inside:
        above = figures.cache > figures.input
        odd.append(
            "cache_inside_input" if cache_in else "cache_above_input" if above else "cache_outside_input"
        )
    if reasoning_in != reasoning_inside and not adds_up:
        odd.append("reasoning_above_output")
    usage = input_buckets(figures, cache_in, odd) | output_buckets(figures, reasoning_in, odd)
    if decides and figures.total is not None:
        rest = figures.total - figures.sum_up(cache_in, reasoning_in)
        if rest > 0:
            # A server without any reasoning figure leaves it out of the output: that is a known convention.
            odd += ["total_above_parts"] if figures.reasoning else []
            usage["output_reasoning"] = usage.get("output_reasoning", 0) + rest
        elif rest < 0:
            odd.append("total_below_parts")
    return {bucket: n for bucket, n in usage.items() if n}


def input_buckets(figures: Figures, cache_inside: bool, odd: list[str]) -> Usage:
    """Uncached, cached and written input, by kind."""
    uncached = figures.input - (figures.cache if cache_inside else 0)
    cached = {kind: figures.media.get(f"cache_read_{kind}", 0) for kind in MEDIA}
    fresh = {}
    for kind in MEDIA:
        whole = figures.media.get(f"input_{kind}", 0)
        fresh[kind] = whole - cached[kind] if cached[kind] <= whole else whole
    text = max(figures.cached - sum(cached.values()), 0)
    # More media than uncached input: some of what was cached is media, as little as the figures allow.
    excess = sum(fresh.values()) - uncached
    for kind in ("image", "video", "audio"):
        moved = max(min(excess, fresh[kind], text), 0)
        fresh[kind], cached[kind] = fresh[kind] - moved, cached[kind] + moved
        text, excess = text - moved, excess - moved
    told = figures.sum_of(*(f"cache_read_{kind}" for kind in MEDIA))
    if excess > 0 or told > figures.cached:
        odd.append("media_above_total")
    usage = {
        "input": max(uncached - sum(fresh.values()), 0),
        "input_tool": figures.tool_input,
        "cache_read": text,
    }
    usage |= {f"input_{kind}": n for kind, n in fresh.items()}
    return usage | {f"cache_read_{kind}": n for kind, n in cached.items()} | figures.written


def output_buckets(figures: Figures, reasoning_inside: bool, odd: list[str]) -> Usage:
    """Visible output, reasoning, and output by kind."""
    visible = figures.output - (figures.reasoning if reasoning_inside else 0)
    media = {f"output_{kind}": figures.media.get(f"output_{kind}", 0) for kind in MEDIA}
    if sum(media.values()) > visible:
        odd.append("media_above_total")
    return media | {"output": max(visible - sum(media.values()), 0), "output_reasoning": figures.reasoning}
