"""What cannot be right in a catalog file, as sentences: schema, names, sources, and prices against each other."""

import datetime
from collections import Counter

from files import glob

TIERS = (None, "batch", "flex", "priority", "ultrafast")
INPUT = ("input", "cache_read", "cache_write", "cache_write_1h", "cache_write_12h")
DEAREST_USD_PER_MILLION = 1000
PER_TOKEN = ("input", "output", "cache_read", "cache_write")
OTHER_UNITS = ("_unit", "_second", "_character", "_pixel", "_storage")


def faults(catalog, schema, today, max_age):
    """Everything that is wrong with one file."""
    import jsonschema

    # One provider a file: of the schema's two shapes only the first, so that an error names the key and not the file.
    one = {"allOf": schema["oneOf"][0]["allOf"], "definitions": schema["definitions"]}
    for error in jsonschema.Draft7Validator(one).iter_errors(catalog.data):
        yield f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
    if not catalog.data.get("source", "").startswith("https://"):
        yield "has no source"
    yield from aged("file", catalog.data.get("checked"), today, max_age)
    for modifier in catalog.data.get("modifiers", []):
        for pattern in modifier.get("models", []):
            if not any(glob(model, pattern) for model in catalog.models):
                yield f"modifiers: {pattern!r} names no model"
    yield from claimed_twice(catalog)
    for model, entry in catalog.models.items():
        starts = Counter(period.get("from", "") for period in entry.get("prices", []))
        yield from (f"{model}: two periods begin {start or 'since ever'}" for start in starts if starts[start] > 1)
        for period in entry.get("prices", []):
            where = f"{model}{' from ' + period['from'] if 'from' in period else ''}"
            yield from (f"{where}: {fault}" for fault in aged("period", period.get("checked"), today, max_age))
            if not period.get("source", "").startswith("https://"):
                yield f"{where}: has no source"
            yield from (f"{where}: {fault}" for fault in overlaps(period))
            yield from (f"{where}: {fault}" for fault in implausible(catalog, model, period))


def aged(what, checked, today, max_age):
    if checked is None:
        yield f"the {what} does not say when it was checked"
    elif (age := (today - datetime.date.fromisoformat(checked)).days) > max_age:
        yield f"the {what} was checked {age} days ago ({checked}), more than {max_age}"


def claimed_twice(catalog):
    """Names, aliases and patterns that two models of a file claim."""
    owners = {}
    for model, entry in catalog.models.items():
        for name in [model, *entry.get("aliases", []), *entry.get("patterns", [])]:
            other = owners.setdefault(name.lower(), model)
            if other != model:
                yield f"{name!r} is a name of {other!r} and of {model!r}"


def shared_names(catalogs):
    """Provider names, aliases and hosts that two files claim."""
    owners = {}
    for catalog in catalogs:
        names = [catalog.provider, *catalog.data.get("aliases", []), *catalog.data.get("hosts", [])]
        for name in names:
            other = owners.setdefault(name.lower(), catalog.provider)
            if other != catalog.provider:
                yield f"{catalog.path.name}: {name!r} is a name of provider {other!r} too"


def overlaps(period):
    """Conditions that are said twice, and conditions that one request can meet with no winner."""
    if "to" in period and period["to"] <= period.get("from", ""):
        yield "ends before it begins"
    variants = [v for v in period.get("variants", []) if "rates" in v or "over" in v]
    for at, one in enumerate(variants):
        for other in variants[at + 1 :]:
            if one["when"] == other["when"]:
                if one.get("from") == other.get("from"):
                    yield f"{one['when']} is said twice"
                continue
            tie = len(one["when"]) == len(other["when"])
            apart = any(one["when"][key] != other["when"][key] for key in one["when"].keys() & other["when"].keys())
            both = {**one["when"], **other["when"]}
            if tie and not apart and not any(third["when"] == both for third in variants):
                yield f"{one['when']} and {other['when']} can both hold, and neither wins"


def implausible(catalog, model, period):
    """Cached above fresh, discounts above standard, surcharges below it, long inputs cheaper, unit slips."""
    lengths = [0] + [tier["input_gt"] + 1 for tier in period.get("over", [])]
    standard = {length: catalog.rates(model, period, {}, length) for length in lengths}
    for tier in period.get("over", []):
        for key in period["rates"].keys() & set(INPUT + ("output",)) - tier["rates"].keys():
            yield f"over {tier['input_gt']} does not name {key}"
    for variant in period.get("variants", []):
        priced = variant.get("rates", {}).keys() & set(PER_TOKEN)
        if period.get("over") and priced and not variant.get("over") and not period.get("note"):
            yield f"{variant['when']} has no length tier of its own, and no note says why"
    for tier in TIERS:
        for length in lengths:
            rates = catalog.rates(model, period, {"tier": tier}, length)
            short = catalog.rates(model, period, {"tier": tier}, 0)
            where = f"{tier or 'standard'} from {length} input tokens"
            yield from (f"{where}: {fault}" for fault in odd_rates(rates, short, standard[length], tier))


def odd_rates(rates, short, standard, tier):
    for key, rate in rates.items():
        base = standard.get(key, rate)
        if tier in ("batch", "flex") and rate > base:
            yield f"{key} {rate} is above standard {base}"
        if tier in ("priority", "ultrafast") and rate < base:
            yield f"{key} {rate} is below standard {base}"
        if rate < short.get(key, 0):
            yield f"{key} is cheaper than for a short input"
        per_token = key.startswith(PER_TOKEN) and not key.endswith(OTHER_UNITS)
        if per_token and rate > DEAREST_USD_PER_MILLION:
            yield f"{key} {rate} is above {DEAREST_USD_PER_MILLION} USD"
    for cached in [key for key in rates if key.startswith("cache_read")]:
        fresh = rates.get(cached.replace("cache_read", "input"), rates.get("input", 0))
        if rates[cached] > fresh:
            yield f"{cached} {rates[cached]} is above its input {fresh}"
    if rates.get("cache_write", rates.get("input", 0)) < rates.get("input", 0):
        yield "cache_write is below input"


def without_output_limit(catalogs):
    """Chat models whose most output nobody lists: an estimate needs it from the request."""
    for catalog in catalogs:
        for model, entry in catalog.models.items():
            chat = entry.get("mode", "chat") in ("chat", "responses", "completion") and "prices" in entry
            if chat and not entry.get("max_output_tokens"):
                yield f"{catalog.provider}/{model}"
