"""Ids that are one model at one price become one entry with aliases: snapshots by date, `-latest`, versions, zones."""

import re
from dataclasses import replace

from published import CHECKED

ENDINGS = (
    r"[-@]20\d\d-?\d\d-?\d\d",
    r"-latest",
    r"@latest",
    r"@default",
    r"@\d{3}",
    r"-v\d+(:\d+)?",
    r":\d+",
    r"-\d{4}",
    r"-0",
    r"-preview",
)
ZONES = re.compile(r"^(?:us|eu|apac|jp|au|in)\.(?=[a-z0-9-]+\.)")


def fold(models, provider, hand):
    """The entries that stay, each with the ids that were folded into it; names of the hand-written part are taken."""
    groups = {}
    for listing in models.values():
        groups.setdefault(stem(listing.id, provider), []).append(listing)
    kept = []
    for group in groups.values():
        group.sort(key=lambda listing: rank(listing, provider))
        for listing in group:
            home = next((known for known in kept_of(group, kept) if alike(known, listing)), None)
            if home is None:
                kept.append(listing)
                continue
            home.aliases += [listing.id, *listing.aliases]
            home.patterns += listing.patterns
            home.max_input = max(home.max_input or 0, listing.max_input or 0) or None
            home.max_output = max(home.max_output or 0, listing.max_output or 0) or None
            home.periods[-1].rates = {**listing.periods[-1].rates, **home.periods[-1].rates}
            notes = {note for period in home.periods for note in period.notes}
            home.periods[-1].notes += [n for n in listing.periods[-1].notes if n not in notes]
            sources = home.periods[-1].sources
            home.periods[-1].sources = tuple(sorted({*sources, *listing.periods[-1].sources}, reverse=True))
    settle_aliases(kept, hand)
    return kept


def kept_of(group, kept):
    return [listing for listing in group if any(listing is other for other in kept)]


def stem(name, provider):
    name = name.lower()
    if provider == "aws":
        name = ZONES.sub("", name)
    before = None
    while before != name:
        before = name
        for ending in ENDINGS:
            name = re.sub(f"{ending}$", "", name)
    # gpt-5-4 and gpt-5.4 are one name; so are -3-5 and -3.5.
    return re.sub(r"(?<=\d)[.](?=\d)", "-", name)


def rank(listing, provider):
    """The id that the others fold into: without a date, bare, a number rather than `latest`, short."""
    name = listing.id.lower()
    dated = bool(re.search(r"[-@]20\d\d-?\d\d-?\d\d", name)) and provider != "aws"
    zoned = bool(ZONES.match(name)) and provider == "aws"
    return (dated, zoned, listing.catalog == "litellm", "latest" in name or "@" in name, len(name), name)


def alike(one, other):
    return (
        one.mode == other.mode
        and same_history(one, other)
        and near(one.max_output, other.max_output)
    )


def same_history(one, other):
    """All periods, or today's if the other one comes from litellm alone, which has no history."""
    if len(one.periods) != len(other.periods) and other.catalog == "litellm" and len(other.periods) == 1:
        today = replace(one.period_on(CHECKED), start="")
        return same_period(today, other.periods[0])
    return len(one.periods) == len(other.periods) and all(map(same_period, one.periods, other.periods))


def near(one, other):
    """Limits that are listed a little differently, or not at all, are no two models."""
    return one is None or other is None or max(one, other) <= 4 * min(one, other)


def same_period(one, other):
    # A search fee that only one of the names lists is the other one's too.
    both_search = "web_search" in one.rates and "web_search" in other.rates
    rates = [p.rates if both_search else without_search(p.rates) for p in (one, other)]
    conditions = [sorted(map(condition, p.variants)) for p in (one, other)]
    times = one.start == other.start and one.over == other.over
    return times and rates[0] == rates[1] and conditions[0] == conditions[1]


def without_search(rates):
    return {key: rate for key, rate in rates.items() if key != "web_search"}


def condition(variant):
    rates = sorted(variant.rates.items())
    return tuple(map(str, (variant.when, variant.start, rates, variant.over, variant.multiply)))


def settle_aliases(kept, hand):
    """An alias is nobody's id, one entry's only, and not what the rules for names find anyway."""
    taken = {listing.id.lower() for listing in kept} | set(hand.names)
    for listing in kept:
        aliases = []
        for alias in sorted(dict.fromkeys(map(hand.bare, listing.aliases))):
            if alias not in taken:
                taken.add(alias)
                aliases.append(alias)
        listing.aliases = aliases
