"""What `[prices]` makes of the catalog: overrides, prices for what is not listed, whose figure counts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from amounts import Denial, Fault
from prices import PER, TOKEN_BUCKETS, Catalog, Entry, Rates, Terms

KEYS = (
    "builtin files deployments quarantine prefer_reported on_unknown_model on_unpriced_bucket batch_default "
    "providers overrides"
).split()
MISSING = ("on_unknown_model", "on_unpriced_bucket", "batch_default")
OVERRIDE = "match provider model from to rates multiply except".split()
LABELS = "tenant user feature agent run session".split()
REPORTED = ("openrouter", "x-ai", "perplexity")
RATE = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,12})?")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]{5,8}Z)?")


@dataclass(frozen=True)
class Settings:
    """``[prices]``, checked."""

    missing: dict[str, Any] = field(default_factory=dict)
    providers: dict[str, dict[str, Any]] = field(default_factory=dict)
    overrides: tuple[dict[str, Any], ...] = ()
    reported: tuple[str, ...] = REPORTED

    def of(self, provider: str, key: str) -> Any:
        """What holds for a provider where no price is listed."""
        return self.providers.get(provider, {}).get(key, self.missing.get(key, "deny"))


def settings(table: Any) -> Settings:
    """Read strictly."""
    only(table, KEYS, "prices")
    own = {}
    for name, keys in table.get("providers", {}).items():
        own[name] = missing(only(keys, list(MISSING), f"prices.providers.{name}"), f"prices.providers.{name}")
    overrides = [
        override(one, f"prices.overrides[{at}]") for at, one in enumerate(table.get("overrides", []))
    ]
    decimals = 0
    for at, one in enumerate(overrides):
        decimals += len(one.get("multiply", "").rstrip("0").partition(".")[2])
        if decimals > 17 and not any(key == "tenant" for other in overrides for key in other["match"]):
            raise Fault("config_invalid", f"prices.overrides[{at}].multiply")
    return Settings(
        missing=missing({key: table[key] for key in MISSING if key in table}, "prices"),
        providers=own,
        # Global ones first, each group in the order of the file.
        overrides=tuple(sorted(overrides, key=lambda one: bool(one["match"]))),
        reported=tuple(table.get("prefer_reported", REPORTED)),
    )


def only(table: Any, keys: list[str], place: str) -> Any:
    """The table, if every key of it is known."""
    if not isinstance(table, dict):
        raise Fault("config_invalid", place)
    for key in table:
        if key not in keys:
            raise Fault("config_invalid", f"{place}.{key}")
    return table


def missing(table: dict[str, Any], place: str) -> dict[str, Any]:
    """Each is a word or a price."""
    out = dict(table)
    if table.get("batch_default", "standard") not in ("standard", "half"):
        raise Fault("config_invalid", f"{place}.batch_default")
    for key in MISSING[:2]:
        on = table.get(key, "deny")
        if isinstance(on, dict):
            only(on, ["price"], f"{place}.{key}")
            out[key] = rates(on.get("price"), f"{place}.{key}.price")
            for bucket in ("input", "output") if key == "on_unknown_model" else ():
                if bucket not in out[key]:
                    raise Fault("config_invalid", f"{place}.{key}.price.{bucket}")
        elif on not in ("deny", "zero_with_warning"):
            raise Fault("config_invalid", f"{place}.{key}")
    return out


def rates(table: Any, place: str) -> Rates:
    """A table of rates, not empty."""
    if not isinstance(table, dict) or not table:
        raise Fault("config_invalid", place)
    for bucket, rate in table.items():
        if bucket not in PER or not isinstance(rate, str) or not RATE.fullmatch(rate):
            raise Fault("config_invalid", f"{place}.{bucket}")
    return {bucket: Fraction(rate) for bucket, rate in table.items()}


def override(table: Any, place: str) -> dict[str, Any]:
    """One override: rates, or a multiplier with exceptions."""
    only(table, OVERRIDE, place)
    for key in table.get("match", {}):
        if key not in LABELS and not key.startswith("tag."):
            raise Fault("config_invalid", f"{place}.match.{key}")
    for key in ("from", "to"):
        if key in table and not (isinstance(table[key], str) and DAY.fullmatch(table[key])):
            raise Fault("config_invalid", f"{place}.{key}")
    if "from" in table and "to" in table and table["to"] <= table["from"]:
        raise Fault("config_invalid", f"{place}.to")
    out = dict(table) | {
        "match": {key: value for key, value in table.get("match", {}).items() if value != "*"}
    }
    if "rates" in table:
        out["rates"] = rates(table["rates"], f"{place}.rates")
    if "multiply" in table and not (isinstance(table["multiply"], str) and RATE.fullmatch(table["multiply"])):
        raise Fault("config_invalid", f"{place}.multiply")
    if any(key not in PER for key in table.get("except", [])):
        raise Fault("config_invalid", f"{place}.except")
    if ("rates" in table) == ("multiply" in table):
        raise Fault("config_invalid", place)
    return out


class Pricing:
    """Catalog and settings of one moment."""

    def __init__(self, settings_: Settings, catalog: Catalog) -> None:
        self.settings, self.catalog = settings_, catalog

    def resolve(self, provider: str | None, model: str, scope: dict[str, str]) -> Entry:
        """The entry that prices a call; a denial if there is none. An ambiguous name is never guessed."""
        try:
            return self.adjusted(self.catalog.resolve(provider, model), scope)
        except Denial as denial:
            on = self.settings.of(provider or "", "on_unknown_model")
            if denial.code != "unknown_model" or on == "deny":
                raise
            if on == "zero_with_warning":
                return Entry(
                    provider or "", model, {}, terms=Terms(forgiving=True, stand_in="zero_with_warning")
                )
            body = {"prices": [{"rates": {bucket: str_of(rate) for bucket, rate in on.items()}}]}
            made = self.adjusted(Entry(provider or "", model, body), scope)
            return replace(made, terms=replace(made.terms, stand_in="fallback_price"))

    def served(self, provider: str, model: str, scope: dict[str, str]) -> Entry | None:
        """The entry of a model that served."""
        try:
            return self.resolve(provider, model, scope)
        except Denial:
            return None

    def adjusted(self, entry: Entry, scope: dict[str, str]) -> Entry:
        """The entry as the settings make it for a scope."""
        on = self.settings.of(entry.provider, "on_unpriced_bucket")
        changes = [one for one in self.settings.overrides if applies(one, entry, scope)]
        terms = Terms(
            changes=tuple(changes),
            unlisted=on if isinstance(on, dict) else {},
            forgiving=on == "zero_with_warning",
            half_batch=self.settings.of(entry.provider, "batch_default") == "half",
        )
        return replace(entry, terms=terms)


def str_of(rate: Fraction) -> str:
    """A decimal again."""
    text = f"{int(rate * 10**12):013d}"
    return f"{text[:-12]}.{text[-12:]}"


def applies(one: dict[str, Any], entry: Entry, scope: dict[str, str]) -> bool:
    """Whether an override is for this model and this scope."""
    names = (entry.model, *entry.body.get("aliases", []))
    wanted = one.get("model", "*")
    return (
        one.get("provider", entry.provider) == entry.provider
        and (wanted in names or fnmatchcase(entry.model, wanted.replace("[", "[[]")))
        and all(key in scope and fnmatchcase(scope[key], value) for key, value in one["match"].items())
    )


FEES = frozenset(PER) - frozenset(TOKEN_BUCKETS)
