"""Two listings of one model become one, by rules; what no rule decides follows the dearer figure, with a note.

1. A figure that one catalog lists is taken. Two equal figures are taken. Of two figures the dearer is taken: a guard
   that counts too much stops early, one that counts too little pays.
2. litellm has no history: genai-prices' periods stand, and litellm's figures belong to the one in force today; if
   they are the figures before the last change, litellm has not followed it, and genai-prices is.
3. Above a length, a rate that is not named grows as its input does.
4. A cache write below the input is the read, entered in the wrong field: left out.
5. An embedding has no output.
6. A condition whose rates are the standard ones is left out.
7. A picture, a second or a character that is also counted in tokens is sold by the token: a usage reports both.
8. A batch rate above the standard one, or a priority rate below it, is of the catalog that lost under rule 1: left out.
9. Of a length for which a tier lists nothing, batch and flex are billed as standard, priority as the dearer of its own
   and the standard rate; a region grows as the standard rates do.
10. A rate for one kind of token that is what the general rate is in every tier and length is not repeated: it would
    stay behind where a tier names the general one only.
11. What priority does not list grows as what it lists; what batch or flex do not list is billed as standard.
"""

from dataclasses import replace
from decimal import Decimal

from published import CHECKED
from published.listing import Period, Variant, exact, text

# What Bedrock's regional ids cost more than its global ones; nothing else differs by exactly this.
UPLIFT = Decimal("1.1")
OTHER_UNITS = ("_unit", "_second", "_character", "_pixel", "_storage")
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
    """Whether litellm's figures are those before genai-prices' last change (rule 2)."""
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


def tidy(period, mode):
    """Rules 3 to 11."""
    clean(period, mode)
    rates = period.rates
    drop_repeated(period)
    grow(rates, period.over, period.notes)
    kept = []
    for variant in period.variants:
        drop_crossed(rates, variant)
        surcharge(rates, variant, period.notes)
        grow({**rates, **variant.rates}, variant.over, period.notes)
        lengthen(period, variant)
        same = all(rates.get(key) == rate for key, rate in variant.rates.items())
        same_over = all(period.over.get(limit, {}) == longer for limit, longer in variant.over.items())
        if variant.multiply is not None or not (same and same_over):
            kept.append(variant)
    period.variants = kept


def clean(period, mode):
    """What a catalog lists that is no price: rules 4 and 7, and zeroes among the rates of a tier."""
    rates = period.rates
    drop_odd_writes(rates, rates)
    drop_second_units(rates, mode)
    # A cached 0 next to a price is a missing price.
    for key in [key for key in rates if key.startswith("cache_read") and not rates[key] and rates.get("input")]:
        del rates[key]
    if mode == "embedding":
        for found in (rates, *(variant.rates for variant in period.variants)):
            found.pop("output", None)
    for longer in period.over.values():
        drop_odd_writes(longer, {**rates, **longer})
    for variant in period.variants:
        drop_odd_writes(variant.rates, {**rates, **variant.rates})
        for longer in variant.over.values():
            drop_odd_writes(longer, {**rates, **longer})
        if "input_audio_second" in variant.rates:
            variant.rates.pop("audio_second", None)
        variant.rates = {key: rate for key, rate in variant.rates.items() if rate or rates.get(key) == rate}


def drop_second_units(rates, mode):
    """Rule 7, and the zeroes that litellm writes next to another unit."""
    if "input_audio_second" in rates:
        rates.pop("audio_second", None)
    if "output_image" in rates:
        rates.pop("output_image_unit", None)
    if rates.get("input") and mode not in ("embedding", "video"):
        rates.pop("input_image_unit", None)
        rates.pop("input_character", None)
    if "input_audio" in rates and mode != "audio":
        for key in ("audio_second", "input_audio_second", "input_video_second"):
            rates.pop(key, None)
    others = any(rate for key, rate in rates.items() if key not in ("input", "output"))
    if others and not rates.get("input") and not rates.get("output"):
        rates.pop("input", None)
        rates.pop("output", None)


def drop_repeated(period):
    """Rule 10: everywhere, if it is what the fallback chain says everywhere."""
    sheets = [period.rates, *period.over.values()]
    sheets += [rates for variant in period.variants for rates in (variant.rates, *variant.over.values())]
    for key in [key for key in period.rates if is_kind(key)]:
        whole = next(start for start in ("cache_read", "input", "output") if key.startswith(start))
        if all(rates.get(key) == rates.get(whole) for rates in sheets if key in rates):
            for rates in sheets:
                rates.pop(key, None)


def is_kind(key):
    """A rate for one kind of token, which falls back to a general one."""
    return key.startswith(("input_", "output_", "cache_read_")) and not key.endswith(OTHER_UNITS)


def surcharge(rates, variant, notes):
    """Rule 11: what a dearer tier does not list grows as what it lists."""
    if variant.when.get("tier") not in ("priority", "ultrafast") or set(variant.when) != {"tier"}:
        return
    missing = []
    for key in [key for key in rates if key.startswith(("input", "output", "cache")) and key not in variant.rates]:
        whole = "output" if key.startswith("output") else "input"
        if not key.endswith(OTHER_UNITS) and whole in variant.rates and rates.get(whole):
            variant.rates[key] = exact(rates[key] * variant.rates[whole] / rates[whole])
            missing.append(key)
    if missing:
        notes.append(f"{variant.when['tier']} lists no {' and '.join(missing)}: grown as the others are")


def drop_crossed(rates, variant):
    """Rule 8: a tier of one catalog against the standard of the other."""
    tier = variant.when.get("tier")
    for key in list(variant.rates):
        standard = rates.get(key, variant.rates[key])
        crossed = variant.rates[key] > standard if tier in ("batch", "flex") else variant.rates[key] < standard
        if tier is not None and crossed:
            del variant.rates[key]


def lengthen(period, variant):
    """Rule 9: a condition that no catalog lists above a length."""
    tokens = [key for key in variant.rates if key.startswith(("input", "output", "cache"))]
    if not tokens and variant.over and set(variant.when) == {"tier"}:
        variant.over = {}
        period.notes.append(f"{variant.when['tier']} is listed for long inputs only: billed as standard")
    if not period.over or variant.over or not tokens:
        return
    name = " ".join(map(str, variant.when.values()))
    if variant.when.get("tier") in ("batch", "flex"):
        period.notes.append(f"{name} of long inputs: no price is listed, billed as standard")
        return
    for limit, longer in period.over.items():
        variant.over[limit] = {
            key: max(variant.rates.get(key, rate), rate) if "tier" in variant.when else grown(period, variant, key, rate)
            for key, rate in longer.items()
        }
    period.notes.append(f"{name} of long inputs: no price is listed, the dearer of its own and the standard one is taken")


def grown(period, variant, key, longer):
    base = period.rates.get(key)
    return exact(variant.rates.get(key, base) * longer / base) if base else longer


def drop_odd_writes(rates, whole):
    for key in [key for key in rates if key.startswith("cache_write")]:
        fresh = whole.get("input_audio" if key == "cache_write_audio" else "input")
        if fresh is not None and rates[key] < fresh:
            del rates[key]


def grow(base, over, notes):
    """A rate that a length does not name grows as its input (or output) does."""
    for limit, rates in over.items():
        missing = []
        for key in [key for key in base if key.startswith(("cache_", "input", "output")) and key not in rates]:
            whole = "output" if key.startswith("output") else "input"
            unit_is_token = not key.endswith(OTHER_UNITS)
            if whole in rates and base.get(whole) and unit_is_token:
                rates[key] = exact(base[key] * rates[whole] / base[whole])
                if base[key] != base[whole] and not key.startswith("input_"):
                    missing.append(key)
        if missing:
            notes.append(f"above {(limit + 1) // 1000}K no {' and '.join(missing)} is listed: grown as the input is")
