"""The end of the demo, for people: a table per tenant, what arrived over OTLP, and every claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from claims import BOTH, Claim
from evidence import Evidence, TenantEvidence


def summary(evidence: Evidence) -> str:
    """Per tenant: calls, denied, tokens, cost by Spendrail's ledger, and what the provider billed."""
    heads = ["tenant", "agents in", "limit USD", "calls", "denied", "tokens in", "tokens out"]
    heads += ["Spendrail USD", "provider USD", "agree"]
    rows = [heads]
    for tenant in evidence.tenants:
        view = evidence.of(tenant)
        rows.append(
            [
                tenant.name,
                tenant.language,
                tenant.limit_usd,
                str(len(view.billed)),
                str(len(view.denied_spans)),
                f"{view.billed_tokens('total_input'):,}",
                f"{view.billed_tokens('output'):,}",
                nano(view.spent_nano_usd),
                nano(view.billed_nano_usd),
                "yes" if view.spent_nano_usd == view.billed_nano_usd else "NO",
            ]
        )
    return grid(rows, left=2)


def arrivals(evidence: Evidence) -> str:
    """The spans (by name, how many) and the metrics (by name, how many series) of each tenant."""
    spans = {tenant.name: evidence.of(tenant).span_names for tenant in evidence.tenants}
    metrics = {tenant.name: series(evidence.of(tenant)) for tenant in evidence.tenants}
    parts = []
    for title, counts in (("spans that arrived", spans), ("metrics that arrived (series)", metrics)):
        rows = [[title, *counts]]
        for name in sorted({name for count in counts.values() for name in count}):
            rows.append([name, *(str(count[name]) for count in counts.values())])
        parts.append(grid(rows, left=1))
    return "\n\n".join(parts)


def series(view: TenantEvidence) -> Counter[str]:
    """How many attribute sets each metric has."""
    seen = {
        (metric["name"], repr(sorted(point["attributes"].items())))
        for metric in view.metrics
        for point in metric["points"]
    }
    return Counter(name for name, _ in seen)


def verdicts(claims: Sequence[Claim]) -> str:
    """One line per claim with a column per tenant; below it both sides of what is false."""
    tenants = [name for name in dict.fromkeys(claim.about for claim in claims) if name != BOTH]
    rows = [["claims", *tenants]]
    for text in dict.fromkeys(claim.text for claim in claims):
        said = {claim.about: "true" if claim.holds else "FALSE" for claim in claims if claim.text == text}
        rows.append([text, *(said.get(tenant, said.get(BOTH, "-")) for tenant in tenants)])
    lines = [grid(rows, left=1)]
    for claim in claims:
        if not claim.holds:
            expected, found = apart(claim.expected, claim.found)
            lines += [
                f"\n  FALSE, {claim.about}: {claim.text}",
                f"    expected {expected}",
                f"    found    {found}",
            ]
    return "\n".join(lines)


def apart(expected: Any, found: Any) -> tuple[str, str]:
    """Both sides as text; of tables and counts only what differs."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
        expected, found = ({key: side[key] for key in keys if key in side} for side in (expected, found))
    return str(expected), str(found)


def nano(amount: int) -> str:
    """Nano-USD as USD with all nine digits."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 10**9}.{abs(amount) % 10**9:09}"


def grid(rows: Sequence[Sequence[str]], left: int) -> str:
    """Columns as wide as their widest cell; the first `left` columns are text, the others are figures."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    lines.insert(1, "  " + "  ".join("-" * width for width in widths))
    return "\n".join(lines)
