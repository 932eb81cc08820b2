"""What a listing means where it is silent or says too much. Rules that spare the customer nothing and invent nothing
cheaper: an unlisted discount is no discount, an unlisted surcharge is one.

1. Above a length, a rate that is not named grows as its input does.
2. A cache write below the input is the read, entered in the wrong field: left out. A cached 0 next to a price is a
   missing price.
3. An embedding has no output.
4. A picture, a second or a character that is also counted in tokens is sold by the token: a usage reports both.
5. A rate for one kind of token that is what the general rate is in every tier and length is not repeated: it would
   stay behind where a tier names the general one only.
6. A batch rate above the standard one, or a priority rate below it, is of the catalog that lost: left out.
7. What priority does not list grows as what it lists; what batch or flex do not list is billed as standard.
8. Of a length for which a tier lists nothing, batch and flex are billed as standard, priority as the dearer of its own
   and the standard rate; a region grows as the standard rates do.
9. A condition whose rates are the standard ones is left out.
"""

from published.listing import exact

OTHER_UNITS = ("_unit", "_second", "_character", "_pixel", "_storage")


def tidy(period, mode):
    """All rules, in an order in which none undoes another."""
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
    """What a catalog lists that is no price: rules 2 to 4, and zeroes among the rates of a tier."""
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
    """Rule 4, and the zeroes that litellm writes next to another unit."""
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
    """Rule 5."""
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
    """Rule 7."""
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
    """Rule 6."""
    tier = variant.when.get("tier")
    for key in list(variant.rates):
        standard = rates.get(key, variant.rates[key])
        crossed = variant.rates[key] > standard if tier in ("batch", "flex") else variant.rates[key] < standard
        if tier is not None and crossed:
            del variant.rates[key]


def lengthen(period, variant):
    """Rule 8."""
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
    period.notes.append(f"{name} of long inputs: no price is listed, the dearer of its own and the standard one counts")


def grown(period, variant, key, longer):
    base = period.rates.get(key)
    return exact(variant.rates.get(key, base) * longer / base) if base else longer


def drop_odd_writes(rates, whole):
    """Rule 2."""
    for key in [key for key in rates if key.startswith("cache_write")]:
        fresh = whole.get("input_audio" if key == "cache_write_audio" else "input")
        if fresh is not None and rates[key] < fresh:
            del rates[key]


def grow(base, over, notes):
    """Rule 1."""
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
