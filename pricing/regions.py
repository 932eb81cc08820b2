"""What a region changes.

Bedrock: `global.` ids are sold at the maker's list price; `us.` `eu.` `apac.` `jp.` `au.` `in.` and bare ids are
regional, 10 % dearer for Claude from the 4.5 generation on, OpenAI's, xAI's, Moonshot's and Z.AI's models. litellm
lists bare ids at the global price, genai-prices at the regional one; the regional one is the rule.
`bedrock/<region>/x` of litellm is a condition on x here; Azure's `eu/x` and `us/x` (data zones) are ids of their own
and a `geo` condition on x.
"""

import re
from dataclasses import replace
from decimal import Decimal

from fold import stem
from published.listing import Variant, exact
from published.sellers import ZONE
from rules import lengthen

REGIONAL = re.compile(r"^(?:(us|eu|apac|jp|au|in)\.)?([a-z0-9-]+\..+)$")
UPLIFT = Decimal("1.1")


def regional_prices(models):
    """Raises bare and regional Bedrock ids that are listed at the global price to the regional one."""
    wholes = {stem(key.removeprefix("global."), "aws"): one for key, one in models.items() if key.startswith("global.")}
    for key, listing in models.items():
        match = REGIONAL.match(key)
        whole = wholes.get(stem(match[2], "aws")) if match and not key.startswith("global.") else None
        if whole is None:
            continue
        here, there = listing.periods[-1], whole.periods[-1]
        sister = next((models[f"{zone}.{match[2]}"] for zone in ("us", "eu") if f"{zone}.{match[2]}" in models), None)
        known = sister.periods[-1].rates if sister is not None else {}
        dearer = known.get("output", 0) > there.rates.get("output", 0)
        if here.rates.get("output") == there.rates.get("output") and (dearer or regional_maker(match[2])):
            scale(here, there)
            here.notes.append("a bare or zone id is regional, 10 % above `global.`, at which litellm lists it")


def regional_maker(name):
    """Makers whose regional ids cost more, by the generation from which they do."""
    if re.match(r"anthropic\.claude-(opus|sonnet|haiku|fable|mythos)-(4-[5-9]|[5-9])", name):
        return True
    return bool(re.match(r"(openai\.gpt-[5-9]|xai\.|moonshotai\.kimi-k3|zai\.glm-5\.[3-9]|amazon\.nova-2-lite)", name))


def scale(here, there):
    def grown(rates):
        return {key: rate if key == "web_search" else exact(rate * UPLIFT) for key, rate in rates.items()}

    here.rates = grown(there.rates)
    here.over = {limit: grown(rates) for limit, rates in there.over.items()}
    here.variants = [
        replace(v, rates=grown(v.rates), over={n: grown(rates) for n, rates in v.over.items()})
        for v in there.variants
    ]


def add_places(models, places):
    """Regions of litellm's names as conditions on the model; regions that change nothing are left out."""
    for key, found in places.items():
        if key not in models:
            home = next((entry for entry in found if entry[0] == {"region": "us-east-1"}), found[0])
            models[key] = replace(home[1], periods=[replace(p, sources=("litellm",)) for p in home[1].periods])
        base = models[key].periods[-1]
        by_region = {where["region"]: listing.periods[0] for where, listing in found}
        for region, period in merged_regions(by_region).items():
            base.variants += place_variants(base, period, {"region": region})


def merged_regions(by_region):
    """`us-gov-*` for both regions of GovCloud, if they cost the same."""
    east, west = by_region.get("us-gov-east-1"), by_region.get("us-gov-west-1")
    if east is not None and west is not None and east.rates == west.rates:
        rest = {name: p for name, p in by_region.items() if not name.startswith("us-gov-")}
        return {**rest, "us-gov-*": east}
    return by_region


def place_variants(base, period, where):
    """A multiplier if everything grows alike, else rates, and rates for each tier there."""
    if all(base.rates.get(key, base.rates.get("input")) == rate for key, rate in period.rates.items()):
        known = {str(variant.when) for variant in base.variants}
        return [replace(v, when={**v.when, **where}) for v in period.variants if str(v.when) not in known]
    factor = uniform(base, period)
    if factor is not None:
        return [Variant(dict(where), {}, multiply=factor, except_=("web_search",) if "web_search" in base.rates else ())]
    rates = {key: rate for key, rate in period.rates.items() if base.rates.get(key) != rate}
    made = [Variant(dict(where), rates, dict(period.over))]
    lengthen(base, made[0])
    for variant in [v for v in period.variants if set(v.when) == {"tier"}]:
        made.append(Variant({**variant.when, **where}, {**rates, **variant.rates}, variant.over))
    # A tier that only the model's own entry lists would tie with the region: the dearer of both holds there.
    listed = {variant.when["tier"] for variant in period.variants if "tier" in variant.when}
    for variant in base.variants:
        if set(variant.when) == {"tier"} and variant.when["tier"] not in listed and variant.multiply is None:
            surcharge = variant.when["tier"] not in ("batch", "flex")
            dearer = {key: max(rate, variant.rates.get(key, rate)) if surcharge else rate for key, rate in rates.items()}
            made.append(Variant({**variant.when, **where}, dearer, dict(period.over)))
    return made


def uniform(base, period):
    """The factor between two sets of rates, if it is one factor of at most four decimals."""
    shared = [key for key in period.rates if key in base.rates and base.rates[key] and key != "web_search"]
    if not shared or "input" not in shared or set(period.rates) - set(base.rates):
        return None
    factor = period.rates["input"] / base.rates["input"]
    if factor.as_tuple().exponent < -4:
        return None
    alike = all(exact(base.rates[key] * factor) == period.rates[key] for key in shared)
    theirs = {tuple(v.when.items()): v for v in period.variants}
    for variant in base.variants:
        other = theirs.get(tuple(variant.when.items()))
        if other is not None and variant.multiply is None:
            keys = variant.rates.keys() & other.rates.keys()
            alike = alike and all(exact(variant.rates[key] * factor) == other.rates[key] for key in keys)
    for limit in base.over.keys() & period.over.keys():
        keys = base.over[limit].keys() & period.over[limit].keys()
        alike = alike and all(exact(base.over[limit][key] * factor) == period.over[limit][key] for key in keys)
    return factor if alike and factor != 1 else None


def azure_zones(models):
    """`eu/x` and `us/x` as a condition on x too, where the zone is 10 % dearer throughout."""
    for key, listing in list(models.items()):
        match = ZONE.match(key)
        base = models.get(match[2]) if match else None
        if base is None:
            continue
        factor = uniform(base.periods[-1], listing.periods[-1])
        if factor is not None and factor > 1:
            untouched = ("web_search",) if "web_search" in base.periods[-1].rates else ()
            base.periods[-1].variants.append(Variant({"geo": match[1]}, {}, multiply=factor, except_=untouched))


