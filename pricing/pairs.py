"""Which entries of the two catalogs are about the same model of one provider."""

from dataclasses import replace

import published
from files import undated
from limits import Limits
from published.genai import GenaiPrices
from published.litellm import LiteLLM
from published.sellers import SELLERS, place


class Catalogs:
    """Both catalogs, read once."""

    def __init__(self):
        published.fetch()
        self.litellm, self.genai = LiteLLM(), GenaiPrices()
        self.limits = Limits(self.litellm)

    def pairs(self, provider):
        """{id: [litellm's listing or None, genai-prices' or None]}, what a place changes, and what is left out."""
        seller = SELLERS[provider]
        found, places, left_out = {}, {}, {}
        for name, entry in self.litellm.entries.items():
            if entry.get("litellm_provider") not in seller.litellm:
                continue
            model, why = seller.name(name)
            if why:
                left_out[name] = why
                continue
            model, where = place(provider, model)
            listing = self.litellm.listing(name, model)
            if listing is None or priceless(listing):
                left_out[name] = "no price" if listing is None else "0 for everything: a missing price, not a free model"
                continue
            if where:
                places.setdefault(model.lower(), []).append((where, listing))
                continue
            key = model.lower()
            known = found.get(key)
            if known is None:
                found[key] = [listing, None]
            else:
                found[key][0] = dearer_of(known[0], listing)
        if seller.genai:
            self.add_genai(provider, found, left_out)
            share_with_snapshots(found)
        return found, places, left_out

    def add_genai(self, provider, found, left_out):
        seller = SELLERS[provider]
        for listing in self.genai.listings(seller.genai):
            names = bedrock_names(listing) if provider == "aws" else [listing.id, *listing.aliases]
            _, why = seller.name(listing.id)
            if not why and provider == "vertex" and "claude" not in listing.id:
                why = "sold by the Gemini API as well: `google`"
            if why:
                left_out.setdefault(f"genai-prices: {listing.id}", why)
                continue
            same = [name.lower() for name in names if name.lower() in found]
            home = listing.id.lower() if listing.id.lower() in same else next(iter(same), None)
            for name in same:
                if found[name][1] is None or listing.id.lower() == name:
                    spellings = [n for n in names if n.lower() != name] if name == home else []
                    found[name][1] = replace(listing, aliases=[] if provider == "aws" else spellings)
            if not same:
                # Z.AI's ids are in lower case, genai-prices shows its names for people.
                first, *others = [name.lower() for name in names] if provider == "z-ai" else names
                own = replace(listing, id=first, aliases=others)
                found[first.lower()] = [None, own]


def share_with_snapshots(found):
    """A snapshot that litellm lists at its model's price has its model's price in genai-prices too."""
    for name, pair in found.items():
        lite, genai = found.get(undated(name), (None, None))
        alone = pair[1] is None and lite is not None and genai is not None
        if alone and pair[0].periods[0].rates == lite.periods[0].rates:
            pair[1] = replace(genai, aliases=[])


def priceless(listing):
    """Nothing but zeroes: the map has no other way to say that it does not know."""
    rates = listing.periods[0].rates
    return not any(rates.values()) and not listing.periods[0].variants


def dearer_of(one, other):
    """Two spellings of one model: what either lists, the dearer of two figures, under the first spelling."""
    mine, theirs = one.periods[0], other.periods[0]
    variants = {str(variant.when): variant for variant in mine.variants}
    for variant in theirs.variants:
        known = variants.get(str(variant.when))
        if known is not None:
            variant = replace(known, rates=dearer(known.rates, variant.rates), over=longer(known.over, variant.over))
        variants[str(variant.when)] = variant
    period = replace(
        mine,
        rates=dearer(mine.rates, theirs.rates),
        over=longer(mine.over, theirs.over),
        variants=list(variants.values()),
    )
    return replace(
        one,
        periods=[period],
        origins=one.origins + other.origins,
        page=one.page or other.page,
        max_input=max(one.max_input or 0, other.max_input or 0) or None,
        max_output=max(one.max_output or 0, other.max_output or 0) or None,
        deprecated=max(one.deprecated, other.deprecated) if one.deprecated and other.deprecated else "",
    )


def dearer(one, other):
    return {key: max(one.get(key, 0), other.get(key, 0)) for key in dict.fromkeys([*one, *other])}


def longer(one, other):
    return {limit: dearer(one.get(limit, {}), other.get(limit, {})) for limit in sorted(one.keys() | other.keys())}


ZONES = ("us", "eu", "apac", "jp", "au", "in")


def bedrock_names(listing):
    """genai-prices calls `regional.x` what Bedrock sells as x, us.x, eu.x …, and ends most names in a version."""
    scope, _, rest = listing.id.partition(".")
    bare = rest if scope in ("regional", "global") else listing.id
    spellings = [bare]
    for ending in ("-v1:0", ":0", "-v1"):
        if bare.endswith(ending):
            spellings.append(bare.removesuffix(ending))
            spellings.append(bare.removesuffix(ending) + "-v1")
    if scope == "global":
        return [f"global.{name}" for name in spellings]
    if scope != "regional":
        return list(dict.fromkeys(spellings))
    told = [name for name in listing.aliases if "." in name and not name.startswith("us-gov.")]
    return list(dict.fromkeys([*spellings, *(f"{zone}.{name}" for zone in ZONES for name in spellings), *told]))
