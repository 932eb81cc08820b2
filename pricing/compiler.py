"""The files in `catalog/` as the two that the library embeds, minified, the same to the byte for the same input.

`compiled/catalog.json` is one catalog file with all `providers`, without what only people read: names, notes, dates of
checks. A period's `source` stays: `guard.explain` tells it.
`compiled/lines.json` says where everything stands, because the compiled catalog has no lines: for each provider its
`modifiers`, and its `models` with their periods, in the order of the file.

    {"openai": {"modifiers": [20], "models": {"gpt-4o": [120, [124, 126, 0, 129, 130]]}}}

Line 120 of `catalog/openai.toml` begins the entry and line 124 its period, whose rates are on line 126; it has no
prices by length (`over`), and variants on the lines 129 and 130. What ends a list with zeros is left out.
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
    """Where each model, its periods with what is in them, and the provider's modifiers begin."""
    found, modifiers, period = {}, [], None
    inside_variants = False
    for number, line in enumerate(catalog.text.splitlines(), 1):
        if head := re.match(r'\[{1,2}models\."?(.+?)"?(\.prices)?\]{1,2}$', line):
            period = [number, 0, 0] if head[2] else None
            found.setdefault(head[1], []).append(period or number)
            inside_variants = False
        elif line == "[[modifiers]]":
            modifiers.append(number)
            period = None
        elif line.startswith("[") and line != "[models]":
            raise ValueError(f"{catalog.provider}.toml:{number}: a table that the lines do not know")
        elif period is not None and (key := re.match(r"(rates|over|variants) *=", line)):
            inside_variants = key[1] == "variants"
            if not inside_variants:
                period[["rates", "over"].index(key[1]) + 1] = number
            elif "{" in line:
                period += [number] * line.count("when =")
        elif inside_variants and line.lstrip().startswith("{"):
            period += [number] * line.count("when =")
    return {
        key: value
        for key, value in (("modifiers", modifiers), ("models", {name: shortened(at) for name, at in found.items()}))
        if value
    }


def shortened(model):
    first, *periods = model
    for period in periods:
        while period[-1] == 0:
            period.pop()
    return [first, *periods]


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
