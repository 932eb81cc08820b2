"""The demo's story as data: the tenants, their budgets, the prices before and after the change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

BUDGET: Final = "tenant-day"
RUNAWAY_CALLS: Final = 5
"""The run limit of the runaway agent, given in code by the agents."""
RUNAWAY_SCRIPT: Final = "tool=search rounds=-1"
UNKNOWN_MODEL: Final = "gpt-9-imaginary"

CLAUDE: Final = "claude-haiku-4-5"
GPT: Final = "gpt-4o-mini"
EMBEDDING: Final = "text-embedding-3-small"
"""Not in the demo's price file: Spendrail prices it from its built-in catalog."""

SUMMARY_END: Final = "every word of it is one token ."
"""How the provider's usual answer ends."""
PROBE_SCRIPT: Final = "input=77 cache_read=5 output=31"
"""The call that is made before and after the price change."""
VIA: Final = {"http/protobuf": "http", "grpc": "grpc"}

PRICE_FILE: Final = "prices/contract.toml"
"""Relative to the folder of `spendrail.toml`."""

Rates = dict[str, dict[str, str]]
BEFORE: Final[Rates] = {
    CLAUDE: {"input": "1", "cache_read": "0.1", "cache_write": "1.25", "cache_write_1h": "2", "output": "5"},
    GPT: {"input": "0.15", "cache_read": "0.075", "output": "0.6"},
    EMBEDDING: {"input": "0.02"},
}
AFTER: Final[Rates] = BEFORE | {
    CLAUDE: {
        "input": "0.8",
        "cache_read": "0.08",
        "cache_write": "1",
        "cache_write_1h": "1.6",
        "output": "4",
    },
    GPT: {"input": "0.165", "cache_read": "0.0825", "output": "0.66"},
}
SERVED_AS: Final = {CLAUDE: "claude-haiku-4-5-20251001", GPT: "gpt-4o-mini-2024-07-18"}
PROVIDER_OF: Final = {CLAUDE: "anthropic", GPT: "openai"}
SIZES: Final = {CLAUDE: (200_000, 64_000), GPT: (128_000, 16_384)}
"""Context and maximum output of the models in the price files."""


@dataclass(frozen=True)
class Tenant:
    """One customer: which process works for it, what it may spend in a day, and where its day begins."""

    name: str
    language: str
    limit_usd: str
    timezone: str
    protocol: str
    """The OTLP protocol of its process."""

    @property
    def limit_nano_usd(self) -> int:
        return int(Decimal(self.limit_usd) * 1_000_000_000)

    def day_ends(self, now: datetime) -> int:
        """The next local midnight, in seconds since 1970."""
        zone = ZoneInfo(self.timezone)
        tomorrow = (now.astimezone(zone) + timedelta(days=1)).date()
        return int(datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).timestamp())


def tenants(now: datetime | None = None) -> tuple[Tenant, Tenant]:
    """Both tenants, in two time zones in which no midnight is near: the story must not run over one."""
    now = now or datetime.now(timezone.utc)
    zones = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "America/Los_Angeles", "Asia/Kolkata"]
    quiet = [zone for zone in zones if 1 <= now.astimezone(ZoneInfo(zone)).hour < 23]
    acme = Tenant("acme", "Python", "0.02", quiet[0], "http/protobuf")
    return acme, Tenant("globex", "Node", "0.03", quiet[1], "grpc")


def probe_cost(rates: Rates) -> str:
    """What the probe costs in USD, worked out by hand."""
    row = rates[CLAUDE]
    total = 77 * Decimal(row["input"]) + 5 * Decimal(row["cache_read"]) + 31 * Decimal(row["output"])
    return format((total / 1_000_000).normalize(), "f")


def provider_table(version: str, rates: Rates) -> dict[str, Any]:
    """The provider's own price list: what it really charges."""
    models = {name: dict(row) for name, row in rates.items()}
    for name, served_as in SERVED_AS.items():
        models[name]["served_as"] = served_as
    return {"version": version, "models": models}


def price_file(note: str, rates: Rates) -> str:
    """Spendrail's price file: the same prices, written by whoever runs the application."""
    parts = [f"# {note}", "catalog = 1"]
    for model, provider in PROVIDER_OF.items():
        context, output = SIZES[model]
        pairs = ", ".join(f'{key} = "{value}"' for key, value in rates[model].items())
        entry = f'providers.{provider}.models."{model}"'
        parts += [
            f"\n[providers.{provider}]",
            "date_suffix = true",
            f"[{entry}]",
            "replace = true",
            f"max_input_tokens = {context}",
            f"max_output_tokens = {output}",
            f"[[{entry}.prices]]",
            f"rates = {{ {pairs} }}",
        ]
    return "\n".join(parts) + "\n"


def config(first: Tenant, second: Tenant) -> str:
    """The `spendrail.toml` of both processes."""
    return f"""mode = "enforce"

[scope]
require = ["tenant"]

[prices]
files = ["{PRICE_FILE}"]

[telemetry]
metric_attributes = ["tenant"]

[[budgets]]
name = "{BUDGET}"
per = ["tenant"]
limit = "{first.limit_usd} USD"
window = "day"
timezone = "{first.timezone}"

[[budgets.overrides]]
match = {{ tenant = "{second.name}" }}
limit = "{second.limit_usd} USD"
timezone = "{second.timezone}"
"""
