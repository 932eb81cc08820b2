#!/usr/bin/env python3
"""Writes the generated part of the catalog files from the two published catalogs and the overlays.

    python pricing/generate.py                  all providers (`make update-prices`)
    python pricing/generate.py mistral x-ai     some
    python pricing/generate.py --left-out       what is not taken from the catalogs, and why

A file in `catalog/` has two parts. Above the mark (`files.MARK`) a person writes the provider's rules, and every model
that this program must not touch. Below it stands what this program derives: `pairs` finds the entries that are about
one model, `overlay/<provider>.toml` corrects them, `merge` makes one listing of two, `regions` and `fold` apply the rules that
span models, `limits` finds a maximum output that is not listed, `layout` writes TOML. Same input, same output, to the
byte.
"""

import argparse
import sys
from dataclasses import replace
from decimal import Decimal

import cross
from files import FILES, HERE, MARK, Catalog, load
from fold import fold
from layout import document
from merge import merge
from pairs import Catalogs
from published import CHECKED
from published.sellers import SELLERS
from regions import add_places, azure_zones, regional_prices


def listings(catalogs, provider, hand):
    """The models of a provider that its hand-written part does not have."""
    pairs, places, left_out = catalogs.pairs(provider)
    notes = overlay(provider)
    models, windows = {}, {}
    for key, (lite, genai) in pairs.items():
        if key in notes.get("without", {}):
            left_out[key] = notes["without"][key]
            continue
        lite, genai = (prepared(one, provider, hand) for one in (lite, genai))
        if notes.get("models", {}).get(key, {}).get("follow") == "litellm" and genai is not None:
            own = replace(genai, aliases=[name for name in genai.aliases if name != key])
            if own.id.lower() != key:
                models.setdefault(own.id.lower(), merge(None, own))
            genai = None
        models[key] = corrected(merge(lite, genai), notes.get("models", {}).get(key, {}))
        windows[key] = genai.max_input if genai is not None else None
    for key in (notes.get("models", {}).keys() | notes.get("without", {}).keys()) - pairs.keys():
        sys.exit(f"overlay/{provider}.toml: {key!r} names no model of the catalogs: remove it, or correct the name")
    if provider == "aws":
        regional_prices(models)
    add_places(models, places)
    for key in list(models):
        if hand.find(key) is not None:
            del models[key]
        elif provider == "vertex" and not dearer_than_google(models[key], pairs[key]):
            left_out[key] = "falls back to `google`, which costs no less"
            del models[key]
    kept = fold(models, provider, hand)
    if provider == "azure":
        azure_zones({listing.id.lower(): listing for listing in kept})
    for listing in kept:
        catalogs.limits.complete(listing, windows.get(listing.id.lower()))
    return kept, left_out


def dearer_than_google(listing, pair):
    """Whether Vertex AI lists something above what the Gemini API's file says, or what that file does not have."""
    google = Catalog(FILES / "google.toml")
    model = google.find(listing.id)
    if model is None:
        return True
    compared = cross.of_name(google, model, pair, {}, CHECKED)
    return any(
        outcome == "differ" and ours is not None and max(rate or 0 for rate in theirs) > ours
        for _, _, ours, theirs, outcome in compared
    )


def prepared(listing, provider, hand):
    """A copy that may be changed, with the provider's page and its inclusive boundaries."""
    if listing is None:
        return None
    shift = 1 if provider == "x-ai" else 0
    periods = []
    for period in listing.periods:
        variants = [replace(v, rates=dict(v.rates), over=moved(v.over, shift)) for v in period.variants]
        periods.append(
            replace(period, rates=dict(period.rates), over=moved(period.over, shift), variants=variants, notes=[])
        )
    page = listing.page or hand.data.get("source", "")
    return replace(listing, periods=periods, page=page, aliases=list(listing.aliases), notes=[])


def moved(over, shift):
    """xAI's boundary belongs to the long side: 200,000 tokens are long, so `input_gt` is 199999."""
    return {limit - shift if limit % 1000 == 0 else limit: dict(rates) for limit, rates in over.items()}


def overlay(provider):
    path = HERE / "overlay" / f"{provider}.toml"
    return load(path) if path.exists() else {}


def corrected(listing, change):
    """What a person knows better than both catalogs."""
    listing.aliases += change.get("aliases", [])
    listing.patterns += change.get("patterns", [])
    if listing.id.startswith("ft:"):
        listing.patterns.append(f"{listing.id}:**")
    listing.minimum = change.get("minimum", {})
    listing.mode = change.get("mode", listing.mode)
    listing.max_input = change.get("max_input_tokens", listing.max_input)
    listing.max_output = change.get("max_output_tokens", listing.max_output)
    listing.deprecated = change.get("deprecated", listing.deprecated)
    period = listing.periods[-1]
    for old, new in change.get("rename", {}).items():
        for rates in (period.rates, *(variant.rates for variant in period.variants)):
            if old in rates:
                rates[new] = rates.pop(old)
    for key in change.get("drop", []):
        period.rates.pop(key, None)
    period.rates.update({key: Decimal(rate) for key, rate in change.get("rates", {}).items()})
    if "note" in change:
        period.notes.insert(0, change["note"])
    return listing


def generated(catalogs, provider):
    """The whole text of a provider's file, and what was left out."""
    path = FILES / f"{provider}.toml"
    hand = path.read_text().split(MARK)[0].rstrip("\n") + "\n"
    models, left_out = listings(catalogs, provider, Catalog(path, hand))
    if not models:
        return hand, left_out
    return f"{hand}\n{MARK}\n\n{document(models, provider)}", left_out


def stale_files(catalogs):
    """Files whose generated part is not what this program writes: somebody edited below the mark."""
    for provider in SELLERS:
        if (FILES / f"{provider}.toml").read_text() != generated(catalogs, provider)[0]:
            yield f"{provider}.toml: the generated part is not what `make update-prices` writes; write above the line"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("providers", nargs="*", help="default: all")
    parser.add_argument("--left-out", action="store_true", help="print what is not taken, write nothing")
    options = parser.parse_args()
    catalogs = Catalogs()
    for provider in options.providers or SELLERS:
        text, left_out = generated(catalogs, provider)
        if options.left_out:
            for name, why in left_out.items():
                print(f"{provider}: {name}: {why}")
            continue
        path = FILES / f"{provider}.toml"
        changed = path.read_text() != text
        path.write_text(text)
        print(f"{provider:<12} {len(Catalog(path).models):>5} models  {'changed' if changed else 'as it was'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
