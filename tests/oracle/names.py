"""From a name to a model: exact, alias, date, pattern, one fallback provider. Never the closest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prices import Catalog, Entry


def find(catalog: Catalog, provider: str | None, model: str) -> list[Entry]:
    """Every entry that the name can mean: one, none, or with no provider one of each that sells it."""
    model = model.lower()
    if provider is not None:
        owner = provider_of(catalog, provider.lower())
        if owner is None:
            return []
        for place in (owner, *catalog.files[owner].get("fallback", [])):
            found = of_provider(catalog, place, model)
            if found is not None:
                return [found]
        return []
    # A name as it stands counts before a name that a rule explains, a maker before a platform.
    platforms = [owner for owner in catalog.files if catalog.files[owner].get("platform")]
    makers = [owner for owner in catalog.files if owner not in platforms]
    rounds = [(look, owners) for look in (as_it_stands, of_provider) for owners in (makers, platforms)]
    for look, owners in rounds:
        if found := [entry for owner in owners if (entry := look(catalog, owner, model))]:
            return found
    return []


def provider_of(catalog: Catalog, name: str) -> str | None:
    """The provider of an id, an alias or a host."""
    for owner, file in catalog.files.items():
        if name in (owner, *file.get("aliases", []), *file.get("hosts", [])):
            return owner
    return None


def as_it_stands(catalog: Catalog, owner: str, model: str) -> Entry | None:
    """The entry with this id or alias."""
    for (provider, id_), entry in catalog.entries.items():
        if provider == owner and model in (name.lower() for name in (id_, *entry.body.get("aliases", []))):
            return entry
    return None


def of_provider(catalog: Catalog, owner: str, model: str) -> Entry | None:
    """The entry of one provider by any rule."""
    bare = stripped(catalog.files.get(owner, {}), model)
    found = as_it_stands(catalog, owner, model) or as_it_stands(catalog, owner, bare)
    if found is None and catalog.files.get(owner, {}).get("date_suffix"):
        found = dated(catalog, owner, bare)
    if found is not None:
        return found
    patterns = [
        (pattern, entry)
        for (provider, _), entry in catalog.entries.items()
        if provider == owner
        for pattern in entry.body.get("patterns", [])
        if matches(pattern.lower(), bare)
    ]
    # The longest literal beginning is the most particular.
    patterns.sort(key=lambda one: len(re.split(r"[*?]", one[0])[0]))
    return patterns[-1][1] if patterns else None


def stripped(file: dict[str, list[str]], model: str) -> str:
    """Without the wrappers of cloud APIs and without what the provider's file lists."""
    if model.startswith("arn:"):
        model = model.rsplit("/", 1)[-1]
    if "/models/" in model:
        model = model.rsplit("/models/", 1)[1]
    model = model.removeprefix("models/")
    for prefix in file.get("strip_prefixes", []):
        model = model.removeprefix(prefix)
    for suffix in file.get("strip_suffixes", []):
        model = model.removesuffix(suffix)
    return model


def dated(catalog: Catalog, owner: str, model: str) -> Entry | None:
    """The same model and date in another spelling, else the model without its date."""
    found = re.fullmatch(r"(.+)-(20\d\d)-(\d\d)-(\d\d)", model) or re.fullmatch(
        r"(.+)[-@](20\d\d)(\d\d)(\d\d)", model
    )
    if not found or not ("01" <= found[3] <= "12" and "01" <= found[4] <= "31"):
        return None
    base, year, month, day = found.groups()
    spellings = (f"{base}-{year}-{month}-{day}", f"{base}-{year}{month}{day}", base)
    return next((entry for name in spellings if (entry := as_it_stands(catalog, owner, name))), None)


def matches(pattern: str, text: str) -> bool:
    """`**` is any text, `*` any without a slash, `?` one character that is none; all of it must match."""
    parts = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = "".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*|\?)", pattern))
    return re.fullmatch(regex, text, re.DOTALL) is not None
