"""What the table shows: every piece of work with its goals. Figures in nanoseconds unless the row says otherwise.

`issue` is what this version must reach, `design` where it wants to be; `anchor` names the anchor whose multiple is
shown, `peers` the work of other packages that does the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Row:
    """One line of the table. `at_least`: more is better."""

    name: str
    what: str
    issue: float | None = None
    design: float | None = None
    anchor: str = ""
    anchor_most: float | None = None
    peers: tuple[str, ...] = ()
    field: str = "value"
    at_least: bool = False


PAIR_PEERS: Final = ("floe-guard pair", "shekel record")
PRICE_PEERS: Final = ("genai-prices price", "litellm price")
IMPORT_PEERS: Final = ("genai-prices import cpu", "litellm import cpu")
SIZE_PEERS: Final = ("genai-prices import rss", "litellm import rss")
PYTHON_PAIR: Final = "Python: reserve + settle, 4 budgets, telemetry on"

ROWS: Final = [
    Row("anchor", "anchor A: lookup and two atomic adds, warm"),
    Row("anchor", "anchor A, cold", field="cold"),
    Row("anchor_random", "anchor A, a random key of 100,000"),
    Row("pair_1", "reserve + settle, 1 budget", anchor="anchor"),
    Row("pair_4", "reserve + settle, 4 budgets", anchor="anchor", peers=PAIR_PEERS),
    Row("pair_4", "… cold", field="cold"),
    Row("pair_4_built", "… and building the call", anchor="anchor"),
    Row("pair_4_reply", "… settled with the provider's JSON reply", anchor="anchor"),
    Row("pair_4_random", "… a random tenant of 100,000", anchor="anchor_random"),
    Row(
        "pair_4_telemetry",
        "reserve + settle, 4 budgets, telemetry on",
        600,
        300,
        "anchor",
        25,
        PAIR_PEERS,
    ),
    Row("pair_4_telemetry", "… cold", field="cold"),
    Row("pair_4_telemetry_busy", "… while the exporter is at work", anchor="anchor"),
    Row(
        "pair_4_random_telemetry",
        "… a random tenant of 100,000",
        None,
        None,
        "anchor_random",
        4,
    ),
    Row("telemetry_share", "telemetry's share of that pair (%)", None, 25),
    Row("reserve_release", "reserve + release, 4 budgets", anchor="anchor"),
    Row("denial", "a denial, 2 budgets", anchor="anchor"),
    Row("denial", "… cold", field="cold"),
    Row("denial_telemetry", "a denial, telemetry on", anchor="anchor"),
    Row("price", "price one usage", 150, 60, "anchor", None, PRICE_PEERS),
    Row("price", "… cold", field="cold"),
    Row(
        "price_tier",
        "… long context, tier and modifier",
        400,
        60,
        "anchor",
        None,
        PRICE_PEERS,
    ),
    Row("worst_case", "worst case of a call", anchor="anchor"),
    Row("resolve", "name to price entry", 100, None, "anchor"),
    Row("push", "make and push a telemetry record", anchor="anchor"),
    Row(
        "threads_same_tenant",
        "two threads, one tenant (× one thread)",
        None,
        0.8,
        at_least=True,
    ),
    Row(
        "threads_two_tenants",
        "two threads, two tenants (× one thread)",
        None,
        1.5,
        at_least=True,
    ),
    Row("load_3500_json", "load 3,500 models from JSON (ms)", 15),
    Row("load_3500_toml", "load 3,500 models from TOML (ms)", 15),
    Row("load_builtin", "load the shipped catalog (ms)"),
    Row("load_litellm", "load litellm's file, 4,500 entries (ms)", 60),
    Row("catalog_bytes", "resident size of the shipped catalog (MB)", 8),
    Row("account_bytes", "resident bytes per account, of a million", 512, 512),
    Row("python pair", PYTHON_PAIR, 3_000, 1_500, "anchor", None, PAIR_PEERS),
    Row("python pair", "… cold", None, 15_000, peers=PAIR_PEERS, field="cold"),
    Row(
        "python pair, telemetry off",
        "… telemetry off",
        None,
        None,
        "anchor",
        None,
        PAIR_PEERS,
    ),
    Row("python pair in a run", "… in a run", None, None, "anchor", None, PAIR_PEERS),
    Row("python denial", "Python: a denial", anchor="anchor"),
    Row("python price", "Python: price one usage", None, 120, peers=PRICE_PEERS),
    Row("python import cpu", "`import spendrail`: CPU (ms)", 10, 5, peers=IMPORT_PEERS),
    Row(
        "python import rss",
        "`import spendrail`: resident (MB)",
        20,
        15,
        peers=SIZE_PEERS,
    ),
    Row("python library", "the Python module's library (MB)", None, 10),
    Row(
        "node pair",
        "Node: reserve + settle, 4 budgets, telemetry on",
        3_000,
        1_500,
        "anchor",
        None,
        PAIR_PEERS,
    ),
    Row("node pair", "… cold", field="cold"),
    Row("node pair random", "… one of 100,000 users", None, None, "anchor_random"),
    Row("node pair quiet", "… telemetry off", anchor="anchor"),
    Row("node pair 1 budget", "… 1 budget", anchor="anchor"),
    Row("node pair in a run", "… in a run", anchor="anchor"),
]

# Nanoseconds become milliseconds, and bytes megabytes, where a row says so.
MILLIONS: Final = {
    "load_3500_json",
    "load_3500_toml",
    "load_builtin",
    "load_litellm",
    "catalog_bytes",
}

# What `--gate` counts, in instructions.
COUNTED: Final = [
    "pair_1",
    "pair_4",
    "pair_4_telemetry",
    "pair_4_reply",
    "reserve_release",
    "denial",
    "price",
    "price_tier",
    "worst_case",
    "resolve",
]
