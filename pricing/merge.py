"""Two listings of one model become one, by rules; what no rule decides follows the dearer figure, with a note.

1. A figure that one catalog lists is taken. Two equal figures are taken. Of two figures the dearer is taken: a guard
   that counts too much stops early, one that counts too little pays.
2. litellm has no history: genai-prices' periods stand, and litellm's figures belong to the one in force today.
3. Above a length, a rate that is not named grows as its input does.
4. A cache write below the input is the read, entered in the wrong field: left out.
5. An hour is what genai-prices says, litellm's figure per second is rounded.
6. A condition whose rates are the standard ones is left out.
"""

from dataclasses import replace

from published import CHECKED
from published.listing import Period, Variant, exact, text

SECONDS = ("input_audio_second", "audio_second", "output_audio_second", "input_video_second", "output_video_second")
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
        tidy(period)
    return merged


def merged_periods(lite, genai):
    now = genai.period_on(CHECKED)
    periods = []
    for period in genai.periods:
        if period is now:
            periods.append(both(lite.periods[0], period))
        else:
            periods.append(replace(period, sources=(genai.catalog,)))
    return periods


def both(lite, genai):
    """The period in force, from both catalogs."""
    notes = []
    period = Period(
        combine(lite.rates, genai.rates, "", notes),
        start=genai.start,
        sources=("litellm", "genai-prices"),
        notes=notes,
    )
    for limit in sorted(lite.over.keys() | genai.over.keys()):
        what = f"above {limit // 1000}K "
        period.over[limit] = combine(lite.over.get(limit, {}), genai.over.get(limit, {}), what, notes)
    mine = {tuple(v.when.items()): v for v in lite.variants}
    theirs = {}
    for variant in genai.variants:
        if variant.start <= CHECKED:
            theirs[tuple(variant.when.items())] = replace(variant, start="")
        else:
            period.variants.append(variant)
    for key in dict.fromkeys([*mine, *theirs]):
        one = mine.get(key) or Variant(dict(key), {})
        other = theirs.get(key) or Variant(dict(key), {})
        what = " ".join(map(str, dict(key).values())) + " "
        joined = Variant(dict(key), combine(one.rates, other.rates, what, notes))
        for limit in sorted(one.over.keys() | other.over.keys()):
            longer = f"{what}above {limit // 1000}K "
            joined.over[limit] = combine(one.over.get(limit, {}), other.over.get(limit, {}), longer, notes)
        period.variants.append(joined)
    return period


def combine(lite, genai, what, notes):
    """Every rate that one of them lists, the dearer of two."""
    rates = {}
    for key in dict.fromkeys([*lite, *genai]):
        one, other = lite.get(key), genai.get(key)
        if one is None or other is None or one == other:
            rates[key] = other if one is None else one
        elif key in SECONDS and abs(one - other) <= other / 100:
            rates[key] = other
        else:
            rates[key] = max(one, other)
            notes.append(f"{what}{key}: litellm {text(one)}, genai-prices {text(other)}; the dearer one is taken")
    return rates


def tidy(period):
    """Rules 3 to 6."""
    rates = period.rates
    drop_odd_writes(rates, rates)
    if "input_audio_second" in rates:
        rates.pop("audio_second", None)
    grow(rates, period.over, period.notes)
    kept = []
    for variant in period.variants:
        drop_odd_writes(variant.rates, {**rates, **variant.rates})
        for longer in variant.over.values():
            drop_odd_writes(longer, {**rates, **longer})
        grow({**rates, **variant.rates}, variant.over, period.notes)
        variant.rates = {key: rate for key, rate in variant.rates.items() if rate or rates.get(key) == rate}
        same = all(rates.get(key) == rate for key, rate in variant.rates.items())
        same_over = all(period.over.get(limit, {}) == longer for limit, longer in variant.over.items())
        if variant.multiply is not None or not (same and same_over):
            kept.append(variant)
    period.variants = kept


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
            unit_is_token = not key.endswith(("_unit", "_second", "_character", "_pixel", "_storage"))
            if whole in rates and base.get(whole) and unit_is_token:
                rates[key] = exact(base[key] * rates[whole] / base[whole])
                if key != "output_reasoning":
                    missing.append(key)
        if missing:
            notes.append(f"above {limit // 1000}K no {' and '.join(missing)} is listed: grown as the input is")
