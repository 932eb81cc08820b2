"""Our files against the two published catalogs: every name of theirs, every rate, every tier and length.

A name of theirs that leads to an entry of ours is priced by both on one day (a name that leads nowhere is a fault); a
rate that somebody lists is

    agree         the same figure in ours and in both catalogs
    one silent    the same figure in ours and in the catalog that lists it
    differ        another figure in at least one of them; the entry must have a note about it
    only ours     we list it, they do not

The rules (`rules`) that say what is no price apply to their figures before they are compared.
"""

from collections import Counter
from copy import deepcopy
from decimal import Decimal

from files import FILES, Catalog
from published.sellers import SELLERS
from rules import clean

COLUMNS = ("models", "priced", "names", "agree", "one silent", "only ours", "differ", "no note")
FALLBACKS = (("cache_read_", "cache_read"), ("cache_write_", "cache_write"), ("input_", "input"), ("output_", "output"))
COUNTED = ("_unit", "_second", "_character", "_pixel", "search", "grounding", "session", "page", "_annotated")


def check(catalogs, theirs, day, options):
    """Prints the table; returns the differences that no note explains."""
    unexplained, totals = [], Counter()
    print(table_line("provider", {title: title for title in COLUMNS}))
    for catalog in catalogs:
        counts = Counter(models=len(catalog.models), priced=sum(bool(catalog.periods(m)) for m in catalog.models))
        pairs, places, _ = theirs.pairs(catalog.provider) if catalog.provider in SELLERS else ({}, {}, {})
        seen = set()
        for row in rows(catalog, pairs, places, day):
            if isinstance(row, str):
                unexplained.append(f"{catalog.provider}: {row} leads to no model here")
                continue
            if row is None:
                counts["names"] += 1
                continue
            model, what, mine, (lite, genai), outcome = row
            seen.add(model)
            counts[outcome] += 1
            note = catalog.notes(model)
            figures = f"ours {shown(mine)}, litellm {shown(lite)}, genai-prices {shown(genai)}"
            line = f"{catalog.provider}/{model}: {what}: {figures}"
            if options.all or (options.differ and outcome == "differ"):
                print(f"  {outcome:<10} {line}{f'  note: {note}' if note and outcome == 'differ' else ''}")
            if outcome == "differ" and not note:
                counts["no note"] += 1
                unexplained.append(f"differs and has no note: {line}")
        alone = [model for model in catalog.models if model not in seen and catalog.periods(model)]
        counts["only ours"] += sum(len(catalog.period_on(model, day)["rates"]) for model in alone)
        print(table_line(catalog.provider, counts))
        totals.update(counts)
    print(table_line("all", totals))
    return unexplained


def table_line(title, cells):
    return f"{title:<12}" + "".join(f"{cells[column]:>{max(7, len(column) + 2)}}" for column in COLUMNS)


def rows(catalog, pairs, places, day):
    """(model, what, ours, [litellm, genai-prices], outcome); None once for each name that leads to an entry, the name
    itself if it leads nowhere."""
    elsewhere = [Catalog(FILES / f"{other}.toml") for other in catalog.data.get("fallback", [])]
    for name, pair in pairs.items():
        model = catalog.find(name)
        if model is None:
            if not any(other.find(name) for other in elsewhere):
                yield name
            continue
        yield None
        limit, theirs = catalog.models[model].get("max_output_tokens"), pair[0] and pair[0].max_output
        if limit is not None and theirs and limit < theirs and pair[0].mode != "embedding":
            yield model, f"{name} max_output_tokens", Decimal(limit), [Decimal(theirs), None], "differ"
        yield from of_name(catalog, model, pair, {}, day)
    for name, found in places.items():
        model = catalog.find(name)
        for where, listing in found if model is not None else []:
            yield from of_name(catalog, model, (listing, None), where, day)


def of_name(catalog, model, pair, where, day):
    """The rows of one name, at every tier and length that either catalog lists for it."""
    periods = [cleaned(listing, day) for listing in pair]
    ours = catalog.period_on(model, day)
    known = [period for period in periods if period is not None]
    lengths = sorted({0, *(limit for period in known for limit in period.over)})
    tiers = sorted({v.when["tier"] for period in known for v in period.variants if set(v.when) == {"tier"}})
    for tier in [None, *tiers]:
        for limit in lengths:
            theirs = [rates_of(period, tier, limit) for period in periods]
            mine = catalog.rates(model, ours, {**where, "tier": tier} if tier else where, limit + 1 if limit else 0)
            keys = {key for rates in theirs for key in rates} | (mine.keys() if tier is None and not limit else set())
            for key in sorted(keys):
                figures = [rates.get(key) for rates in theirs]
                own = own_rate(mine, key)
                words = [*where.values(), tier or "standard", f"above {limit // 1000}K" if limit else "", key]
                yield model, " ".join(word for word in words if word), own, figures, verdict(own, figures)


def cleaned(listing, day):
    """The period in force without what is no price; boundaries that belong to the long side (199,999) rounded."""
    if listing is None:
        return None
    period = deepcopy(listing.period_on(day))
    clean(period, listing.mode)
    for sheet in (period, *period.variants):
        sheet.over = {limit + limit % 2: rates for limit, rates in sheet.over.items()}
    return period


def rates_of(period, tier, limit):
    """What one catalog lists for exactly one tier and length."""
    if period is None:
        return {}
    if tier is None:
        return period.over.get(limit, {}) if limit else period.rates
    mine = [variant for variant in period.variants if variant.when == {"tier": tier} and not variant.start]
    if not mine:
        return {}
    return mine[-1].over.get(limit, {}) if limit else mine[-1].rates


def own_rate(rates, key):
    """Our rate of a key, by the fallback chain if we do not list it."""
    if key == "audio_second":
        # A live session that only listens: one of them says so, the other does not.
        key = key if key in rates else "input_audio_second"
    if key in rates or key.endswith(COUNTED):
        return rates.get(key)
    for start, fallback in FALLBACKS:
        if key.startswith(start) and fallback in rates:
            return rates[fallback]
    return rates.get("input") if key.startswith(("cache", "input")) else None


def verdict(mine, listed):
    known = [rate for rate in listed if rate is not None]
    if not known:
        return "only ours"
    if all(rate == mine for rate in known):
        return "agree" if len(known) == len(listed) else "one silent"
    return "differ"


def shown(rate):
    return "-" if rate is None else format(rate.normalize(), "f")
