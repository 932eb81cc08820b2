"""The files in `catalog/` as the two that the library embeds, minified, the same to the byte for the same input.

`compiled/catalog.json` is one catalog file with all `providers`, without what only people read: names, notes, dates of
checks. A period's `source` stays: `guard.explain` tells it.
`compiled/lines.json` says where each model stands: `{"openai": {"gpt-4o": [120, 124]}}` is line 120 of
`catalog/openai.toml` for the entry, and line 124 for its first period; periods are in the order of their `from`.
"""

import json
import re

from files import HERE

COMPILED = HERE / "compiled"
FOR_PEOPLE = {"$schema", "catalog", "provider", "name", "usage", "checked", "note", "license", "source"}


def compiled(catalogs):
    """{file name: text}."""
    providers = {catalog.provider: provider(catalog.data) for catalog in catalogs}
    return {
        "catalog.json": dump({"catalog": 1, "providers": providers}),
        "lines.json": dump({catalog.provider: lines(catalog) for catalog in catalogs}),
    }


def provider(data):
    kept = {key: value for key, value in data.items() if key not in FOR_PEOPLE and key not in ("models", "modifiers")}
    kept["modifiers"] = [without_notes(modifier) for modifier in data.get("modifiers", [])]
    kept["models"] = {name: model(entry) for name, entry in data.get("models", {}).items()}
    return {key: value for key, value in kept.items() if value}


def model(entry):
    kept = without_notes(entry)
    if "prices" in entry:
        kept["prices"] = [period(one) for one in entry["prices"]]
    return kept


def period(entry):
    kept = without_notes(entry)
    if "variants" in entry:
        kept["variants"] = [without_notes(variant) for variant in entry["variants"]]
    return kept


def without_notes(entry):
    return {key: value for key, value in entry.items() if key not in ("note", "checked")}


def lines(catalog):
    """Where each model and its periods begin."""
    found = {}
    for number, line in enumerate(catalog.text.splitlines(), 1):
        match = re.match(r'\[{1,2}models\."?(.+?)"?(\.prices)?\]{1,2}$', line)
        if match:
            found.setdefault(match[1], []).append(number)
    for name, (first, *periods) in found.items():
        starts = [one.get("from", "") for one in catalog.models[name].get("prices", [])]
        found[name] = [first, *(at for _, at in sorted(zip(starts, periods)))]
    return found


def dump(data):
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n"


def stale(texts):
    """The compiled files that are not what the catalog files say."""
    for name, text in texts.items():
        path = COMPILED / name
        if not path.exists() or path.read_text() != text:
            yield name


def write(texts):
    COMPILED.mkdir(exist_ok=True)
    for name, text in texts.items():
        (COMPILED / name).write_text(text)
