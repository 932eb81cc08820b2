"""Our files against the two published catalogs: every name of theirs, every rate, every tier and length.

A name of theirs that leads to an entry of ours is priced by both on one day; a rate that somebody lists is

    agree         the same figure in ours and in both catalogs
    one silent    the same figure in ours and in the catalog that lists it
    differ        another figure in at least one of them; the entry must have a note about it
    only ours     we list it, they do not

The rules of `merge` that say what is no price apply to their figures before they are compared.
"""

from collections import Counter
from copy import deepcopy

from merge import clean
from pairs import Catalogs
from published.sellers import SELLERS

OUTCOMES = ("agree", "one silent", "only ours", "differ")
FALLBACKS = (("cache_read_", "cache_read"), ("cache_write_", "cache_write"), ("input_", "input"), ("output_", "output"))
COUNTED = ("_unit", "_second", "_character", "_pixel", "search", "grounding", "session", "page", "_annotated")


def check(catalogs, day, options):
    """Prints the table; returns the differences that no note explains."""
    theirs = Catalogs()
    unexplained, totals = [], Counter()
    print(f"{'provider':<12} {'models':>6} {'priced':>6} {'names':>6}" + "".join(f"{o:>11}" for o in OUTCOMES) + f"{'unnoted':>9}")
    for catalog in catalogs:
        counts, names, missing = Counter(), 0, 0
        pairs, places, _ = theirs.pairs(catalog.provider) if catalog.provider in SELLERS else ({}, {}, {})
        seen = set()
        for row in rows(catalog, pairs, places, day):
            if row is None:
                names += 1
                continue
            model, what, mine, listed, outcome = row
            seen.add(model)
            counts[outcome] += 1
            note = catalog.notes(model)
            line = f"{catalog.provider}/{model}: {what}: ours {shown(mine)}, litellm {shown(listed[0])}, genai-prices {shown(listed[1])}"
            if options.all or (options.differ and outcome == "differ"):
                print(f"  {outcome:<10} {line}{f'  note: {note}' if note and outcome == 'differ' else ''}")
            if outcome == "differ" and not note:
                missing += 1
                unexplained.append(f"differs and has no note: {line}")
        counts["only ours"] += sum(len(catalog.period_on(m, day)["rates"]) for m in catalog.models.keys() - seen if catalog.periods(m))
        priced = sum(bool(catalog.periods(model)) for model in catalog.models)
        print(
            f"{catalog.provider:<12} {len(catalog.models):>6} {priced:>6} {names:>6}"
            + "".join(f"{counts[outcome]:>11}" for outcome in OUTCOMES)
            + f"{missing:>9}"
        )
        totals.update(counts)
        totals.update({"models": len(catalog.models), "priced": priced, "names": names, "unnoted": missing})
    print(
        f"{'all':<12} {totals['models']:>6} {totals['priced']:>6} {totals['names']:>6}"
        + "".join(f"{totals[outcome]:>11}" for outcome in OUTCOMES)
        + f"{totals['unnoted']:>9}"
    )
    return unexplained


def rows(catalog, pairs, places, day):
    """(model, what, ours, [litellm, genai-prices], outcome); None once for each name that leads to an entry."""
    for name, pair in pairs.items():
        model = catalog.find(name)
        if model is None or not catalog.periods(model):
            continue
        yield None
        yield from of_name(catalog, model, pair, {}, day)
    for name, found in places.items():
        model = catalog.find(name)
        for where, listing in found if model is not None else []:
            yield from of_name(catalog, model, (listing, None), where, day)


def of_name(catalog, model, pair, where, day):
    listed = [cleaned(listing, day) for listing in pair]
    ours = catalog.period_on(model, day)
    shift = 1 if catalog.provider == "x-ai" else 0
    lengths = {0: 0} | {limit - limit % 1000 if limit % 1000 == 0 else limit + shift: limit + 1 for p in listed if p for limit in p.over}
    tiers = [None] + sorted({v.when["tier"] for p in listed if p for v in p.variants if set(v.when) == {"tier"}})
    for tier in tiers:
        for limit, total in lengths.items():
            theirs = [rates_of(period, tier, limit, shift) for period in listed]
            mine = catalog.rates(model, ours, {**where, "tier": tier} if tier else where, total)
            keys = {key for rates in theirs for key in rates} | (mine.keys() if tier is None and not limit else set())
            for key in sorted(keys):
                figures = [rates.get(key) for rates in theirs]
                own = own_rate(mine, key)
                outcome = verdict(own, figures)
                what = " ".join([*map(str, where.values()), tier or "standard", f"above {limit // 1000}K" if limit else "", key])
                yield model, " ".join(what.split()), own, figures, outcome


def cleaned(listing, day):
    if listing is None:
        return None
    period = deepcopy(listing.period_on(day))
    clean(period, listing.mode)
    return period


def rates_of(period, tier, limit, shift):
    """What one catalog lists for exactly one tier and length."""
    if period is None:
        return {}
    steps = {limit - limit % 1000 if limit % 1000 == 0 else limit + shift: rates for limit, rates in period.over.items()}
    if tier is None:
        return steps.get(limit, {}) if limit else period.rates
    found = {}
    for variant in period.variants:
        if variant.when == {"tier": tier} and not variant.start:
            longer = {n - n % 1000 if n % 1000 == 0 else n + shift: rates for n, rates in variant.over.items()}
            found = longer.get(limit, {}) if limit else variant.rates
    return found


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
