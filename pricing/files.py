"""Our catalog files as data, with the rules of `core/src/catalog` that the checks need."""

import fnmatch
import pathlib
import re
from decimal import Decimal

try:
    import tomllib
except ImportError:
    import tomli as tomllib

HERE = pathlib.Path(__file__).resolve().parent
FILES = HERE / "catalog"
# What stands above is written by hand, what follows by `generate.py`.
MARK = "# === Generated from here on: `make update-prices` rewrites it. Write above what it must not change. ==="


def load(path):
    return tomllib.loads(path.read_text())


class Catalog:
    """One provider's file, and what it says a model costs."""

    def __init__(self, path, text=None):
        self.path = path
        self.text = path.read_text() if text is None else text
        self.data = tomllib.loads(self.text)
        self.provider = self.data["provider"]
        self.models = self.data.get("models", {})
        self.names = {model.lower(): model for model in self.models}
        for model, entry in self.models.items():
            for alias in entry.get("aliases", []):
                self.names.setdefault(alias.lower(), model)

    def periods(self, model):
        entry = self.models[model]
        if "same_as" in entry:
            provider, _, other = entry["same_as"].partition("/")
            return self.periods(other) if provider == self.provider else []
        return sorted(entry.get("prices", []), key=lambda period: period.get("from", ""))

    def period_on(self, model, day):
        """The period in force; the first one if none has begun."""
        periods = self.periods(model)
        begun = [period for period in periods if period.get("from", "") <= day]
        return begun[-1] if begun else periods[0]

    def notes(self, model):
        entry = self.models[model]
        notes = [entry.get("note")] + [period.get("note") for period in entry.get("prices", [])]
        return "; ".join(note for note in notes if note)

    def rates(self, model, period, when, total_input):
        """The rates in force under conditions such as tier or speed, as decimals: variant, length, multipliers."""
        rates, over, best = dict(period["rates"]), period.get("over", []), -1
        factors = [m for m in self.data.get("modifiers", []) if names_model(m, model)]
        for variant in period.get("variants", []):
            if not holds(variant["when"], when):
                continue
            if "multiply" in variant:
                factors.append(variant)
            if ("rates" in variant or "over" in variant) and len(variant["when"]) > best:
                best = len(variant["when"])
                rates = {**period["rates"], **variant.get("rates", {})}
                over = variant.get("over") or period.get("over", [])
        reached = [tier for tier in over if total_input > tier["input_gt"]]
        if reached:
            rates.update(max(reached, key=lambda tier: tier["input_gt"])["rates"])
        rates = {key: Decimal(rate) for key, rate in rates.items()}
        for factor in factors:
            if holds(factor["when"], when):
                for key in rates.keys() - set(factor.get("except", [])):
                    rates[key] *= Decimal(factor["multiply"])
        return rates

    def bare(self, name):
        """A name without the wrappers and prefixes that mean nothing."""
        name = name.lower().rpartition("/models/")[2]
        for prefix in self.data.get("strip_prefixes", []):
            name = name.removeprefix(prefix)
        for suffix in self.data.get("strip_suffixes", []):
            name = name.removesuffix(suffix)
        return name

    def find(self, name):
        """The model of a name: id, alias, prefix and suffix stripped, date suffix, pattern."""
        name = name.lower()
        if name in self.names:
            return self.names[name]
        name = self.bare(name)
        if name not in self.names and self.data.get("date_suffix"):
            name = undated(name)
        if name in self.names:
            return self.names[name]
        patterns = [(p, model) for model in self.models for p in self.models[model].get("patterns", [])]
        return next((model for pattern, model in patterns if glob(name, pattern)), None)


def names_model(modifier, model):
    return not modifier.get("models") or any(glob(model, pattern) for pattern in modifier["models"])


def holds(conditions, when):
    """Whether all conditions hold: `!x` is anything known but x, a region may be a glob."""

    def one(key, value):
        given = when.get(key)
        if isinstance(value, str) and value.startswith("!"):
            return given is not None and given != value[1:]
        return given == value or (key == "region" and given is not None and glob(given, value))

    return all(one(key, value) for key, value in conditions.items())


def glob(name, pattern):
    return fnmatch.fnmatchcase(name.lower(), pattern.lower().replace("**", "*"))


def undated(name):
    return re.sub(r"[-@]20\d\d-?\d\d-?\d\d$", "", name)


def all_files():
    return [Catalog(path) for path in sorted(FILES.glob("*.toml"))]
