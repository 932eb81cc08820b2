#!/usr/bin/env python3
"""Checks the price catalog that Spendrail ships, before anything is built from it.

    python pricing/check.py                      schema, plausibility, age
    python pricing/check.py --cross-check        also against two published catalogs, which it takes from PyPI once

Needs Python 3.11 (or tomli) and jsonschema.

Plausibility: cached input is not dearer than input, batch and flex not dearer than standard, priority not cheaper, a
longer input not cheaper, nothing above 1,000 USD per million tokens, no file older than --max-age days.

The cross-check prices every model of ours on a day (--on) at every tier and length and compares each rate that
somebody lists with what both catalogs list: `agree`, `differ`, or who is alone in listing it. It also looks up the
catalogs' own names in ours. A difference is an error unless the entry has a note about it.
"""

import argparse
import datetime
import fnmatch
import json
import pathlib
import re
import sys
import time
from collections import Counter
from decimal import Decimal

import published as others

try:
    import tomllib
except ImportError:
    import tomli as tomllib

HERE = pathlib.Path(__file__).resolve().parent
DEAREST_USD_PER_MILLION = 1000
TIERS = (None, "batch", "flex", "priority", "ultrafast")
INPUT = ("input", "cache_read", "cache_write", "cache_write_1h", "cache_write_12h")


# --- Our files ------------------------------------------------------------------------------------------------


class Catalog:
    """One provider's file, and what it says a model costs."""

    def __init__(self, path):
        self.path = path
        self.data = tomllib.loads(path.read_text())
        self.provider = self.data["provider"]
        self.models = self.data["models"]

    def periods(self, model):
        return sorted(self.models[model]["prices"], key=lambda period: period.get("from", ""))

    def period_on(self, model, day):
        return [period for period in self.periods(model) if period.get("from", "") <= day][-1]

    def notes(self, model):
        entry = self.models[model]
        notes = [entry.get("note")] + [period.get("note") for period in entry["prices"]]
        return "; ".join(note for note in notes if note)

    def rates(self, model, period, when, total_input):
        """The rates in force: the rules of core/src/catalog/mod.rs, with tier and speed as the only conditions."""
        rates, over, best = dict(period["rates"]), period.get("over", []), -1
        for variant in period.get("variants", []):
            if holds(variant["when"], when) and "rates" in variant and len(variant["when"]) > best:
                best = len(variant["when"])
                rates = {**period["rates"], **variant["rates"]}
                over = variant.get("over") or period.get("over", [])
        reached = [tier for tier in over if total_input > tier["input_gt"]]
        if reached:
            rates.update(max(reached, key=lambda tier: tier["input_gt"])["rates"])
        rates = {key: Decimal(rate) for key, rate in rates.items()}
        for modifier in self.data.get("modifiers", []):
            named = not modifier.get("models") or any(glob(model, pattern) for pattern in modifier["models"])
            if named and holds(modifier["when"], when):
                for key in rates.keys() - set(modifier.get("except", [])):
                    rates[key] *= Decimal(modifier["multiply"])
        return rates

    def find(self, name):
        """The model of a name: id, alias, date suffix, pattern."""
        name = name.lower()
        for prefix in self.data.get("strip_prefixes", []):
            name = name.removeprefix(prefix)
        names = {model.lower(): model for model in self.models}
        aliases = {alias.lower(): model for model in self.models for alias in self.models[model].get("aliases", [])}
        names = {**aliases, **names}
        if name not in names and self.data.get("date_suffix"):
            name = re.sub(r"[-@]20\d\d-?\d\d-?\d\d$", "", name)
        if name in names:
            return names[name]
        patterns = [(p, model) for model in self.models for p in self.models[model].get("patterns", [])]
        return next((model for pattern, model in patterns if glob(name, pattern)), None)


def holds(conditions, when):
    return all(when.get(key) == value for key, value in conditions.items())


def glob(name, pattern):
    return fnmatch.fnmatchcase(name, pattern.replace("**", "*"))


# --- Schema and plausibility ----------------------------------------------------------------------------------


def check(catalog, schema, today, max_age):
    """What is wrong with a file, as sentences."""
    import jsonschema

    for error in jsonschema.Draft7Validator(schema).iter_errors(catalog.data):
        yield f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
    age = (today - datetime.date.fromisoformat(catalog.data["checked"])).days
    if age > max_age:
        yield f"was checked {age} days ago ({catalog.data['checked']}), more than {max_age}"
    if not catalog.data.get("source", "").startswith("https://"):
        yield "has no source"
    named = [pattern for modifier in catalog.data.get("modifiers", []) for pattern in modifier.get("models", [])]
    for pattern in named:
        if not any(glob(model, pattern) for model in catalog.models):
            yield f"modifiers: {pattern!r} names no model"
    for model in catalog.models:
        for period in catalog.periods(model):
            where = f"{model}{' from ' + period['from'] if 'from' in period else ''}"
            yield from (f"{where}: {fault}" for fault in implausible(catalog, model, period))


def implausible(catalog, model, period):
    lengths = [0] + [tier["input_gt"] + 1 for tier in period.get("over", [])]
    standard = {length: catalog.rates(model, period, {}, length) for length in lengths}
    for tier in period.get("over", []):
        for key in period["rates"].keys() & set(INPUT + ("output",)) - tier["rates"].keys():
            yield f"over {tier['input_gt']} does not name {key}"
    for variant in period.get("variants", []):
        if period.get("over") and "rates" in variant and not variant.get("over") and not period.get("note"):
            yield f"{variant['when']} has no length tier of its own, and no note says why"
    for tier in TIERS:
        for length in lengths:
            rates = catalog.rates(model, period, {"tier": tier}, length)
            where = f"{tier or 'standard'} from {length} input tokens"
            for key, rate in rates.items():
                base = standard[length].get(key, rate)
                if tier in ("batch", "flex") and rate > base:
                    yield f"{where}: {key} {rate} is above standard {base}"
                if tier in ("priority", "ultrafast") and rate < base:
                    yield f"{where}: {key} {rate} is below standard {base}"
                if rate < catalog.rates(model, period, {"tier": tier}, 0).get(key, 0):
                    yield f"{where}: {key} is cheaper than for a short input"
                if key.startswith(("input", "output", "cache")) and rate > DEAREST_USD_PER_MILLION:
                    yield f"{where}: {key} {rate} is above {DEAREST_USD_PER_MILLION} USD"
            for cached in [key for key in rates if key.startswith("cache_read")]:
                fresh = rates.get(cached.replace("cache_read", "input"), rates.get("input", 0))
                if rates[cached] > fresh:
                    yield f"{where}: {cached} {rates[cached]} is above its input {fresh}"
            if rates.get("cache_write", rates.get("input", 0)) < rates.get("input", 0):
                yield f"{where}: cache_write is below input"


# --- The cross-check ------------------------------------------------------------------------------------------


def compare(catalog, published, day):
    """One row per rate that we or somebody else lists: what, ours, theirs, verdict."""
    for model in catalog.models:
        period = catalog.period_on(model, day)
        thresholds = [0] + [tier["input_gt"] for tier in period.get("over", [])]
        for tier in TIERS:
            for threshold in thresholds:
                ours = catalog.rates(model, period, {"tier": tier}, threshold + 1 if threshold else 0)
                theirs = [p.rates(catalog.provider, model, tier, threshold, day) or {} for p in published]
                for key in sorted(set().union(*theirs) | (ours.keys() if not tier and not threshold else set())):
                    listed = [rates.get(key) for rates in theirs]
                    mine = own_rate(ours, key)
                    if key == "output" and catalog.models[model].get("mode") == "embedding":
                        continue
                    if tier is None or any(rate is not None for rate in listed):
                        yield (model, tier, threshold, key, mine, listed, verdict(mine, listed))


def compare_names(catalog, litellm, day):
    """Names of litellm that lead to an entry of ours, where that entry has another price or limit."""
    for name, _ in litellm.names(catalog.provider):
        model = catalog.find(name)
        if model is None:
            continue
        bare = name.split("/")[-1]
        ours = catalog.rates(model, catalog.period_on(model, day), {}, 0)
        theirs = litellm.rates(catalog.provider, bare, None, 0, day) or {}
        for key in ("input", "cache_read", "output"):
            if key in theirs and key in ours and theirs[key] != ours[key]:
                yield model, f"{name} is {model} here: {key} ours {show(ours[key])}, litellm {show(theirs[key])}"
        for key, limit in litellm.limits(catalog.provider, bare).items():
            mine = catalog.models[model].get(key)
            if mine is not None and mine != limit and catalog.models[model].get("mode") != "embedding":
                yield model, f"{name} is {model} here: {key} ours {mine}, litellm {limit}"


def own_rate(rates, key):
    """Our rate of a key, by the fallback chain if we do not list it."""
    for fallback in (key, re.sub(r"^(cache_read|cache_write|input|output)_.*", r"\1", key), "input"):
        if fallback in rates and (fallback == key or not key.endswith(("search", "grounding", "fetch", "session"))):
            return rates[fallback]
    return None


def verdict(mine, listed):
    known = [rate for rate in listed if rate is not None]
    if not known:
        return "only ours"
    if all(rate == mine for rate in known):
        return "agree" if len(known) == len(listed) else "agree, one silent"
    return "differ"


def show(rate):
    return "-" if rate is None else format(rate.normalize(), "f")


def cross_check(catalogs, day, every):
    others.fetch()
    published = [others.LiteLLM(), others.GenaiPrices()]
    unexplained, details, totals = [], [], Counter()
    print(f"{'provider':<10} {'model':<40} {'agree':>6} {'1 silent':>9} {'only ours':>10} {'differ':>7}")
    for catalog in catalogs:
        by_model = {model: Counter() for model in catalog.models}
        for model, tier, threshold, key, mine, listed, outcome in compare(catalog, published, day):
            by_model[model][outcome] += 1
            totals[catalog.provider, outcome] += 1
            what = f"{tier or 'standard'}{f' >{threshold // 1000}K' if threshold else ''} {key}"
            row = f"{catalog.provider}/{model}: {what}: ours {show(mine)}, " + ", ".join(
                f"{p.name} {show(rate)}" for p, rate in zip(published, listed)
            )
            if outcome == "differ" or every:
                details.append((outcome, row, catalog.notes(model)))
            if outcome == "differ" and not catalog.notes(model):
                unexplained.append(row)
        for model, row in compare_names(catalog, published[0], day):
            details.append(("name", f"{catalog.provider}/{row}", catalog.notes(model)))
            if not catalog.notes(model):
                unexplained.append(row)
        for model, counts in by_model.items():
            numbers = [counts[o] for o in ("agree", "agree, one silent", "only ours", "differ")]
            print(
                f"{catalog.provider:<10} {model:<40} {numbers[0]:>6} {numbers[1]:>9} {numbers[2]:>10} {numbers[3]:>7}"
            )
    print()
    for outcome, row, note in details:
        print(f"{outcome:<18} {row}" + (f"\n{'':<18}   note: {note}" if note and outcome in ("differ", "name") else ""))
    print()
    for catalog in catalogs:
        counts = {o: totals[catalog.provider, o] for o in ("agree", "agree, one silent", "only ours", "differ")}
        print(f"{catalog.provider}: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
        missing = [n for n, end in published[0].names(catalog.provider) if end > day and not catalog.find(n)]
        print(f"  current in litellm, not in ours: {', '.join(missing) or 'none'}")
    return [f"differs and has no note: {row}" for row in unexplained]


def main():
    today = datetime.date.fromisoformat(time.strftime("%Y-%m-%d", time.gmtime()))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cross-check", action="store_true", help="compare with litellm and genai-prices")
    parser.add_argument("--all", action="store_true", help="with --cross-check: print every rate")
    parser.add_argument("--on", default=today.isoformat(), help="the day to price on (default: today)")
    parser.add_argument("--max-age", type=int, default=120, help="days after which a file must be checked again")
    options = parser.parse_args()
    schema = json.loads((HERE / "schema" / "catalog.schema.json").read_text())
    catalogs = [Catalog(path) for path in sorted((HERE / "catalog").glob("*.toml"))]
    faults = [
        f"{catalog.path.name}: {fault}"
        for catalog in catalogs
        for fault in check(catalog, schema, today, options.max_age)
    ]
    if options.cross_check:
        faults += cross_check(catalogs, options.on, options.all)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    models = sum(len(catalog.models) for catalog in catalogs)
    print(f"{len(catalogs)} files, {models} models, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
