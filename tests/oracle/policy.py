"""What is allowed: budgets, overrides, run limits, stops. Read from the configuration as JSON, strictly."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import windows
from amounts import CONCURRENT, REQUESTS, TOOL_CALLS, UNITS, USD, Fault, amount, duration_ms, label
from pricing import Settings, settings

Scope = dict[str, str]

DIMENSIONS = "tenant user feature agent run session provider model tool".split()
TOP = "mode policy_version ledger scope prices estimate telemetry budgets run_limits velocity stops".split()
BUDGET = (
    "name match per limit window timezone week_starts starts_on enforce release_cap carry alerts on_exceed "
    "overrides"
).split()
OVERRIDE = ["match", "limit", "timezone"]
RUN_LIMIT = (
    "match enforce max_calls max_tool_calls max_cost max_tokens max_depth max_duration grace_calls loops"
).split()
LEGS_MAX = 64
KINDS = ("minute", "hour", "day", "week", "month", "year", "lifetime")


def known(table: Any, keys: list[str], place: str) -> dict[str, Any]:
    """The table, if it is one and every key is known."""
    if not isinstance(table, dict):
        raise Fault("config_invalid", place)
    for key in table:
        if key not in keys:
            raise Fault("config_invalid", f"{place}.{key}" if place else key)
    return table


def everything(rule: Scope) -> bool:
    """Whether the rule holds for every call."""
    return all(want == "*" for want in rule.values())


def word(table: dict[str, Any], key: str, words: tuple[str, ...], place: str) -> str:
    """One of a closed set; the first is the default."""
    value = table.get(key, words[0])
    if value not in words:
        raise Fault("config_invalid", f"{place}.{key}" if place else key)
    return str(value)


def dimension(name: Any) -> bool:
    """Whether budgets can match on it and count by it."""
    return isinstance(name, str) and (name in DIMENSIONS or (name.startswith("tag.") and len(name) > 4))


def matches(rule: Scope, scope: Scope) -> bool:
    """``*`` takes everything, a missing dimension too; a literal takes only itself."""
    return all(want == "*" or scope.get(key) == want for key, want in rule.items())


@dataclass(frozen=True)
class Budget:
    """One rule with a unique name."""

    name: str
    match: Scope
    per: tuple[str, ...]
    unit: str
    limit: int
    calendar: dict[str, Any]
    enforce: str
    release_cap: Fraction | int
    overrides: list[dict[str, Any]] = field(hash=False, default_factory=list)

    def override(self, scope: Scope) -> dict[str, Any]:
        """The first override that matches."""
        return next((o for o in self.overrides if matches(o["match"], scope)), {})

    def rule(self, scope: Scope) -> dict[str, Any]:
        """The calendar that holds for a scope."""
        zone = self.override(scope).get("timezone")
        return self.calendar | ({"timezone": zone} if zone else {})

    def cap(self, limit: int) -> int:
        """How much expiry may free in one window, given the limit in force."""
        if isinstance(self.release_cap, int):
            return self.release_cap
        return int(limit * self.release_cap // 1)


def budget(table: Any, place: str) -> Budget:
    """One ``[[budgets]]`` table."""
    known(table, BUDGET, place)
    name = table.get("name")
    if not isinstance(name, str) or name.startswith("run."):
        raise Fault("config_invalid", f"{place}.name")
    label(name, f"{place}.name")
    if "limit" not in table:
        raise Fault("config_invalid", f"{place}.limit")
    unit, limit = amount(table["limit"], f"{place}.limit")
    kind = table.get("window", "lifetime" if unit == CONCURRENT else None)
    counted = (
        isinstance(kind, str)
        and kind.endswith(" days")
        and kind.split()[0].isdigit()
        and int(kind.split()[0])
    )
    if kind not in KINDS and not counted:
        raise Fault("config_invalid", f"{place}.window")
    if unit == CONCURRENT and "window" in table:
        raise Fault("config_invalid", f"{place}.window")
    per = table.get("per", [])
    for name_ in per:
        if not dimension(name_):
            raise Fault("config_invalid", f"{place}.per")
    calendar = {k: table[k] for k in ("timezone", "week_starts", "starts_on") if k in table} | {
        "window": kind
    }
    zone(calendar.get("timezone", "UTC"), f"{place}.timezone")
    word(table, "week_starts", tuple(windows.DAYS), place)
    overrides = [
        override(o, unit, f"{place}.overrides[{at}]") for at, o in enumerate(table.get("overrides", []))
    ]
    return Budget(
        name=table["name"],
        match=match(table.get("match", {}), f"{place}.match"),
        per=tuple(per),
        unit=unit,
        limit=limit,
        calendar=calendar,
        enforce=word(table, "enforce", ("hard", "soft", "observe"), place),
        release_cap=cap(table.get("release_cap", "5%"), unit, f"{place}.release_cap"),
        overrides=overrides,
    )


def match(table: Any, place: str) -> Scope:
    """Which calls."""
    if not isinstance(table, dict):
        raise Fault("config_invalid", place)
    for key, value in table.items():
        if not dimension(key) or not isinstance(value, str):
            raise Fault("config_invalid", f"{place}.{key}")
        label(value, f"{place}.{key}")
    return dict(table)


def override(table: Any, unit: str, place: str) -> dict[str, Any]:
    """One override; its limit is in the budget's unit."""
    known(table, OVERRIDE, place)
    if not {"limit", "timezone"} & set(table):
        raise Fault("config_invalid", f"{place}.limit")
    out: dict[str, Any] = {"match": match(table.get("match", {}), f"{place}.match")}
    if "limit" in table:
        out["limit"] = same_unit(table["limit"], unit, f"{place}.limit")
    if "timezone" in table:
        out["timezone"] = zone(table["timezone"], f"{place}.timezone")
    return out


def same_unit(text: Any, unit: str, place: str) -> int:
    """A limit in the unit of its budget."""
    found, value = amount(text, place)
    if found != unit:
        raise Fault("amount_invalid", place)
    return value


def zone(name: Any, place: str, code: str = "config_invalid") -> str:
    """The name of an IANA time zone."""
    try:
        ZoneInfo(name)
    except Exception as error:
        raise Fault(code, place) from error
    return str(name)


def cap(text: Any, unit: str, place: str) -> Fraction | int:
    """``"5%"`` of the limit, or an amount."""
    if isinstance(text, str) and text.endswith("%"):
        if not text[:-1].isdigit() or int(text[:-1]) > 100:
            raise Fault("config_invalid", place)
        return Fraction(int(text[:-1]), 100)
    return same_unit(text, unit, place)


@dataclass(frozen=True)
class Policy:
    """A whole configuration."""

    mode: str = "enforce"
    require: tuple[str, ...] = ()
    budgets: tuple[Budget, ...] = ()
    run_limits: tuple[dict[str, Any], ...] = ()
    stops: tuple[dict[str, Any], ...] = ()
    max_call_ms: int = 3_600_000
    journal: int = 0
    max_accounts: int = 1_000_000
    prices: Settings = field(default_factory=Settings)

    def budget(self, name: str) -> Budget:
        """The budget of this name."""
        for found in self.budgets:
            if found.name == name:
                return found
        raise Fault("budget_unknown", "budget")


def read(config: Any) -> Policy:
    """A policy from the configuration."""
    known(config, TOP, "")
    budgets = [budget(table, f"budgets[{at}]") for at, table in enumerate(config.get("budgets", []))]
    for at, one in enumerate(budgets):
        if any(other.name == one.name for other in budgets[:at]):
            raise Fault("config_invalid", f"budgets[{at}].name")
    if sum(everything(one.match) for one in budgets) > LEGS_MAX:
        raise Fault("too_many_legs", "budgets")
    ledger = config.get("ledger", {})
    duration_ms(ledger.get("hold_ttl", "60s"), "ledger.hold_ttl")
    if duration_ms(ledger.get("max_call_duration", "1h"), "ledger.max_call_duration") == 0:
        raise Fault("config_invalid", "ledger.max_call_duration")
    require = tuple(config.get("scope", {}).get("require", []))
    if not all(dimension(name) for name in require):
        raise Fault("config_invalid", "scope.require")
    return Policy(
        mode=word(config, "mode", ("enforce", "observe", "off"), ""),
        require=require,
        budgets=tuple(budgets),
        run_limits=tuple(
            run_limit(table, f"run_limits[{at}]") for at, table in enumerate(config.get("run_limits", []))
        ),
        stops=tuple(config.get("stops", [])),
        max_call_ms=duration_ms(ledger.get("max_call_duration", "1h"), "ledger.max_call_duration"),
        max_accounts=ledger.get("max_accounts", 1_000_000),
        journal=ledger.get("journal", 0),
        prices=settings(config.get("prices", {})),
    )


def run_limit(table: Any, place: str) -> dict[str, Any]:
    """One ``[[run_limits]]`` table, in ledger units."""
    known(table, RUN_LIMIT, place)
    out = limits_of(table, place)
    out["match"] = match(table.get("match", {}), f"{place}.match")
    out["enforce"] = word(table, "enforce", ("hard", "soft", "observe"), place)
    if "repeats" in table.get("loops", {}):
        out["max_repeats"] = table["loops"]["repeats"]
    return out


def limits_of(table: dict[str, Any], place: str) -> dict[str, Any]:
    """The limits of a run, from a file or from code."""
    out: dict[str, Any] = {}
    for key in ("max_calls", "max_tool_calls", "max_tokens", "max_depth", "max_repeats"):
        if key in table:
            value = table[key]
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise Fault("config_invalid", f"{place}.{key}" if place else key)
            out[key] = value
    if "max_cost" in table:
        out["max_cost"] = same_unit(table["max_cost"], USD, f"{place}.max_cost" if place else "max_cost")
    if "max_duration" in table:
        out["max_duration"] = duration_ms(
            table["max_duration"], f"{place}.max_duration" if place else "max_duration"
        )
    return out


RUN_UNITS = {"calls": REQUESTS, "tool_calls": TOOL_CALLS, "tokens": UNITS["tokens"], "cost": USD}
