"""Two listings of one model become one. What one catalog lists is taken, two equal figures are taken; of two figures
the dearer is taken, with a note: a guard that counts too much stops early, one that counts too little pays.

litellm has no history: genai-prices' periods stand, and litellm's figures belong to the one in force today. If they are
the figures before the last change, litellm has not followed it, and genai-prices is believed. What neither catalog can
say, and what no catalog means, is decided by `rules`.
"""

from dataclasses import replace
from decimal import Decimal

from published import CHECKED
from published.listing import Period, Variant, exact, text
from rules import tidy

# What Bedrock's regional ids cost more than its global ones; nothing else differs by exactly this.
UPLIFT = Decimal("1.1")
KINDS = (
    ("embed", "embedding"),
    ("rerank", "rerank"),
    ("ocr", "ocr"),
    ("moderation", "moderation"),
    ("-tts", "audio"),
    ("transcribe", "audio"),
    ("realtime", "realtime"),
    ("-live", "realtime"),
    ("image", "image"),
)


def merge(lite, genai):
    """One listing from one or two of them."""
    if lite is None or genai is None:
        merged = replace(lite or genai)
        merged.periods = [replace(p, sources=(merged.catalog,)) for p in merged.periods]
    else:
        merged = replace(
            lite,
            catalog="both",
            max_input=lite.max_input or genai.max_input,
            page=lite.page or genai.page,
            aliases=lite.aliases + genai.aliases,
            origins=lite.origins + [f"genai-prices: {name}" for name in genai.origins],
            periods=merged_periods(lite, genai),
        )
    if lite is None:
        merged.mode = next((mode for word, mode in KINDS if word in merged.id.lower()), merged.mode)
    for period in merged.periods:
        tidy(period, merged.mode)
    return merged


def merged_periods(lite, genai):
    now = genai.period_on(CHECKED)
    periods = []
    for period in genai.periods:
        if period is now:
            periods.append(both(lite.periods[0], period, periods[-1] if periods else None))
        elif period.start > CHECKED:
            periods.append(announced(period, now, periods[-1]))
        else:
            periods.append(replace(period, sources=(genai.catalog,)))
    return periods


def announced(future, now, merged):
    """A price to come, which only genai-prices has: what litellm alone lists today goes on, in proportion."""
    rates, carried = dict(future.rates), []
    for key in merged.rates.keys() - now.rates.keys() - future.rates.keys():
        whole = "output" if key.startswith("output") else "input"
        if key.startswith(("input", "output", "cache")) and now.rates.get(whole) and future.rates.get(whole):
            rates[key] = exact(merged.rates[key] * future.rates[whole] / now.rates[whole])
            carried.append(key)
        else:
            rates[key] = merged.rates[key]
    for key in now.rates.keys() - future.rates.keys():
        if not key.startswith(("input", "output", "cache")):
            rates[key] = now.rates[key]
    notes = [f"announced; {', '.join(sorted(carried))} not listed yet: grown as the others"] if carried else []
    return replace(future, rates=rates, sources=("genai-prices",), notes=notes)


def stale(lite, genai, before):
    """Whether litellm's figures are those before genai-prices' last change."""
    shared = lite.rates.keys() & genai.rates.keys() & {"input", "output"}
    if before is None or all(lite.rates[key] == genai.rates[key] for key in shared):
        return False
    return all(lite.rates[key] == before.rates.get(key) for key in shared)


def both(lite, genai, before):
    """The period in force, from both catalogs; `before` is the one before it."""
    differ = []
    if stale(lite, genai, before):
        lite = replace(lite, rates={k: r for k, r in lite.rates.items() if k not in genai.rates}, over={}, variants=[])
        notes = [f"litellm still lists the price before {genai.start}"]
    else:
        notes = []
    period = Period(
        combine(lite.rates, genai.rates, "", differ),
        start=genai.start,
        sources=("litellm", "genai-prices"),
    )
    for limit in sorted(lite.over.keys() | genai.over.keys()):
        what = f"above {(limit + 1) // 1000}K "
        period.over[limit] = combine(lite.over.get(limit, {}), genai.over.get(limit, {}), what, differ)
    mine = {tuple(v.when.items()): v for v in lite.variants}
    theirs = {tuple(v.when.items()): v for v in genai.variants if not v.start}
    period.variants += [variant for variant in genai.variants if variant.start]
    for key in dict.fromkeys([*mine, *theirs]):
        one = mine.get(key) or Variant(dict(key), {})
        other = theirs.get(key) or Variant(dict(key), {})
        what = " ".join(map(str, dict(key).values())) + " "
        joined = Variant(dict(key), combine(one.rates, other.rates, what, differ))
        for limit in sorted(one.over.keys() | other.over.keys()):
            longer = f"{what}above {(limit + 1) // 1000}K "
            joined.over[limit] = combine(one.over.get(limit, {}), other.over.get(limit, {}), longer, differ)
        period.variants.append(joined)
    period.notes = notes + told(differ)
    return period


def combine(lite, genai, what, differ):
    """Every rate that one of them lists, the dearer of two."""
    rates = {}
    for key in dict.fromkeys([*lite, *genai]):
        one, other = lite.get(key), genai.get(key)
        if one is None or other is None or one == other:
            rates[key] = other if one is None else one
        else:
            rates[key] = max(one, other)
            differ.append((f"{what}{key}", one, other))
    return rates


def told(differ):
    """What the catalogs disagree on, as sentences: one for each catalog that is cheaper."""
    if differ and all(other == one * UPLIFT for _, one, other in differ):
        return ["bare and zone ids are regional, 10 % above `global.`: litellm lists this one at the global price"]
    notes = []
    for cheap, dear, side in (("litellm", "genai-prices", 1), ("genai-prices", "litellm", 2)):
        cheaper = [row for row in differ if row[side] < row[3 - side]]
        if cheaper:
            figures = ", ".join(f"{row[0]} {text(row[side])}" for row in cheaper)
            notes.append(f"{cheap} lists {figures}; the dearer figures of {dear} are taken")
    return notes
