"""The words of providers for service tiers."""

from __future__ import annotations

from typing import Any

STANDARD = {"default", "standard", "standard_only", "on_demand", "on-demand"}
OTHER = {
    "fast": "priority",
    "on_demand_priority": "priority",
    "on_demand_flex": "flex",
    "on_demand_offpeak": "flex",
}
KNOWN = {"batch", "flex", "priority", "ultrafast", "balanced", "scale", "reserved", "provisioned"}


def tier(word: str) -> str | None:
    """The tier of a word; none is the ordinary price, ``auto`` is one that nobody knows."""
    word = word.strip().lower()
    if word in STANDARD:
        return None
    word = OTHER.get(word, word).replace("provisioned_throughput", "provisioned")
    return word if word in KNOWN else "auto"


def service_tier(word: Any) -> dict[str, Any]:
    """What a reply says of its tier: nothing where it leaves it open."""
    if (
        not isinstance(word, str)
        or word.lower() in ("", "auto", "unspecified")
        or word.endswith("_UNSPECIFIED")
    ):
        return {}
    return {"tier": tier(word)}
