"""What random histories choose from: small numbers, so that limits are met, and instants near the edges."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

TENANTS = ["acme", "badco", "-"]
USERS = ["u1", "u2"]
MODELS = ["m", "m", "m", "cached", "free", "tiny", "nobody-sells-this"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]
STARTS = [
    "2026-03-28T21:30:00Z",  # Berlin springs forward
    "2026-10-24T20:15:00Z",  # Berlin falls back
    "2026-03-07T23:40:00Z",  # New York springs forward
    "2026-11-01T01:10:00Z",  # New York falls back
    "2026-02-27T22:00:00Z",  # a short month ends
    "2028-02-28T12:00:00Z",  # a leap day comes
    "2026-12-31T09:00:00Z",  # a year ends
    "2026-11-20T10:00:00Z",
]
WINDOWS = ["minute", "hour", "hour", "day", "day", "day", "week", "month", "year", "3 days", "lifetime"]
UNITS = [
    "USD",
    "USD",
    "USD",
    "tokens",
    "input tokens",
    "output tokens",
    "requests",
    "tool calls",
    "concurrent",
]
PER: list[list[str]] = [[], ["tenant"], ["tenant"], ["user"], ["tenant", "user"], ["tag.team"], ["model"]]


def limit(random: Random, unit: str) -> str:
    """About as much as a few calls take; sometimes nothing."""
    if random.random() < 0.04:
        return f"0 {unit}"
    if unit == "USD":
        return f"0.{random.choice([1, 3, 6, 9, 20]) * 1000 + random.randrange(1000):07} USD"
    if unit in ("requests", "tool calls", "concurrent"):
        return f"{random.randint(1, 6)} {unit}"
    return f"{random.randint(100, 1500)} {unit}"


def budget(random: Random, name: str) -> dict[str, Any]:
    """One budget."""
    unit = random.choice(UNITS)
    out: dict[str, Any] = {"name": name, "limit": limit(random, unit), "per": random.choice(PER)}
    if unit != "concurrent":
        rewindow(random, out)
    out["enforce"] = random.choices(["hard", "soft", "observe"], [8, 1, 1])[0]
    caps = ["5%", "5%", "0%", "50%", "100%"]
    out["release_cap"] = random.choice(caps)
    if random.random() < 0.2:
        out["match"] = {random.choice(["tenant", "user"]): random.choice(["*", "acme", "u1"])}
    if "tenant" in out["per"] and random.random() < 0.4:
        out["overrides"] = [{"match": {"tenant": "acme"}, "limit": limit(random, unit)}]
        if unit != "concurrent" and random.random() < 0.5:
            out["overrides"][0]["timezone"] = random.choice(ZONES)
    return out


def rewindow(random: Random, budget_: dict[str, Any]) -> None:
    """Another window, or the same again."""
    for key in ("starts_on", "week_starts"):
        budget_.pop(key, None)
    budget_["window"] = random.choice(WINDOWS)
    if budget_["window"] == "3 days":
        budget_["starts_on"] = "2026-01-01"
    if budget_["window"] == "week":
        budget_["week_starts"] = random.choice(["monday", "sunday"])
    if budget_["window"] == "month":
        budget_["starts_on"] = random.choice([1, 15, 31])
    budget_["timezone"] = random.choice(ZONES)


def config(random: Random) -> dict[str, Any]:
    """A whole configuration. Nothing is forgotten while a history lasts."""
    out: dict[str, Any] = {"budgets": [budget(random, f"b{n}") for n in range(random.randint(1, 5))]}
    out["ledger"] = {"hold_ttl": "60s", "max_call_duration": "60s", "retention": "3650d"}
    if random.random() < 0.5:
        out["run_limits"] = [
            {"match": {"tenant": random.choice(["*", "acme"])}, "max_calls": random.randint(2, 6)}
        ]
        if random.random() < 0.5:
            out["run_limits"][0]["loops"] = {"repeats": random.randint(1, 3)}
        out["run_limits"][0]["enforce"] = random.choices(["hard", "soft", "observe"], [8, 1, 1])[0]
    if random.random() < 0.1:
        out["mode"] = "observe"
    return out


def scope(random: Random) -> dict[str, Any]:
    """Some labels; often one is missing."""
    out: dict[str, Any] = {}
    if random.random() < 0.8:
        out["tenant"] = random.choice(TENANTS)
    if random.random() < 0.6:
        out["user"] = random.choice(USERS)
    if random.random() < 0.3:
        out["tags"] = {"team": random.choice(["red", "blue"])}
    return out


def call(random: Random) -> dict[str, Any]:
    """One call: up to about a tenth of a cent."""
    model = random.choices(MODELS, [4, 4, 4, 3, 2, 2, 1])[0]
    tokens = {"input_tokens": random.randint(0, 300), "max_output_tokens": random.randint(1, 300)}
    return {"provider": "test", "model": model, **tokens, **scope(random)}


def account(random: Random, budget_: dict[str, Any]) -> dict[str, Any]:
    """One account of a budget, every dimension of `per` given."""
    values = {"tenant": TENANTS, "user": USERS, "model": ["m"], "tag.team": ["red", "blue"]}
    out: dict[str, Any] = {"budget": budget_["name"]}
    for key in budget_["per"]:
        value = random.choice(values[key])
        out |= {"tags": {"team": value}} if key == "tag.team" else {key: value}
    return out


def run(random: Random) -> dict[str, Any]:
    """A run's scope and limits."""
    out = scope(random)
    if random.random() < 0.4:
        out["max_calls"] = random.randint(1, 5)
    if random.random() < 0.3:
        out["max_cost"] = random.choice(["0.001 USD", "0.0004 USD"])
    if random.random() < 0.3:
        out["max_tokens"] = random.randint(200, 1500)
    if random.random() < 0.2:
        out["max_tool_calls"] = random.randint(0, 2)
    return out


def dearer(prices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same models at other prices."""
    out = copy.deepcopy(prices)
    for model in ("m", "cached"):
        for period in out[0]["models"][model]["prices"]:
            period["rates"] |= {"input": "3", "output": "7"}
    return out
