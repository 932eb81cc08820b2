"""What the demo claims, as data: each claim has what it expects and what was found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import story
from evidence import COUNTERS, METRICS, SEARCHES, Evidence, TenantEvidence
from story import Tenant

Json = dict[str, Any]

BOTH = "both"
"""What a claim is about that is not one tenant's."""


@dataclass(frozen=True)
class Claim:
    """True when what was found is what was expected."""

    about: str
    text: str
    expected: Any
    found: Any

    @property
    def holds(self) -> bool:
        return bool(self.expected == self.found)


def all_claims(evidence: Evidence) -> list[Claim]:
    """Every claim of the demo, tenant by tenant, then what holds for all."""
    claims: list[Claim] = []
    for tenant in evidence.tenants:
        view = evidence.of(tenant)
        claims += story_claims(tenant, view)
        claims += price_claims(tenant, view)
        claims += money_claims(tenant, view)
        claims += telemetry_claims(tenant, view)
    strangers = [entry for entry in evidence.journal["requests"] if entry["key"] not in evidence.reports]
    return [
        *claims,
        Claim(BOTH, "no request was left open at the provider", 0, evidence.journal["open"]),
        Claim(BOTH, "the provider was called by nobody else", [], strangers),
    ]


def story_claims(tenant: Tenant, view: TenantEvidence) -> list[Claim]:
    """What the agents lived through."""
    who, said = tenant.name, view.reports
    runaway, shapes, spent = said["runaway"], said["shapes"], said["spent"]
    denied = spent["denied"] or {}
    limit = story.RUNAWAY_CALLS
    rounds = said["researcher"]["rounds"]
    summary = said["researcher"]["summary"]
    return [
        Claim(who, "the well-behaved agent finished: two searches, one answer", SEARCHES + 1, rounds),
        Claim(
            who, "its streamed summary arrived whole", story.SUMMARY_END, summary[-len(story.SUMMARY_END) :]
        ),
        Claim(who, "without the usage chunk, which only comes to who asks for it", 1, shapes["usage_chunks"]),
        Claim(who, "the runaway agent was stopped by its run limit", "run_limit_exceeded", code(runaway)),
        Claim(who, "it had made as many calls as it may", limit, runaway["calls"]),
        Claim(who, "the provider saw not one more", limit, view.requests_with(story.RUNAWAY_SCRIPT)),
        Claim(who, "a model without a price was refused", "unknown_model", code(shapes)),
        Claim(who, "the provider never heard of it", 0, view.requests_for(story.UNKNOWN_MODEL)),
        Claim(who, "the day's budget ran out", "budget_exceeded", code(spent)),
        Claim(
            who,
            "the provider saw only the calls that fitted",
            spent["calls"],
            view.requests_with(spent["script"]),
        ),
        Claim(who, "the denial is an HTTP 402", 402, denied.get("http_status")),
        Claim(
            who, "it says to retry when the tenant's own day begins", view.midnight, denied.get("retry_at")
        ),
        Claim(who, "the agents' process ended well", 0, view.exit_status),
    ]


def price_claims(tenant: Tenant, view: TenantEvidence) -> list[Claim]:
    """The price file that changed in mid-run."""
    who, said = tenant.name, view.reports
    before, after = said["prices"]["receipts"][0], said["reloaded"]["receipts"][0]
    in_flight = said["prices"]["in_flight"]
    old, new = (story.probe_cost(rates) for rates in (story.BEFORE, story.AFTER))
    return [
        Claim(who, "the new price file was noticed", True, said["reloaded"]["reloaded"]),
        Claim(
            who,
            "the same call costs the old, then the new price",
            [old, new],
            [before["cost"], after["cost"]],
        ),
        Claim(
            who,
            "and is on record under another price version",
            True,
            before["price_version"] != after["price_version"],
        ),
        Claim(who, "the stream open meanwhile kept its price", old, view.billed_exactly(in_flight)),
        Claim(who, "and its price version", before["price_version"], view.price_version_of(in_flight)),
    ]


def money_claims(tenant: Tenant, view: TenantEvidence) -> list[Claim]:
    """Spendrail's figures and the provider's, which neither side told the other."""
    who = tenant.name
    receipts = {entry["id"]: entry["cost"] for entry in view.receipts}
    billed = {reply_id: view.billed_exactly(reply_id) for reply_id in receipts}
    return [
        Claim(who, "every receipt is the provider's charge, to the last digit", billed, receipts),
        Claim(
            who,
            "the ledger's total is the provider's bill (nano-USD)",
            view.billed_nano_usd,
            view.spent_nano_usd,
        ),
        Claim(who, "the limit was not passed", True, view.spent_nano_usd <= tenant.limit_nano_usd),
        Claim(who, "nothing is left on hold or unconfirmed", [0, 0], view.held_and_unconfirmed),
    ]


def telemetry_claims(tenant: Tenant, view: TenantEvidence) -> list[Claim]:
    """What the OTLP receiver got, compared with what the provider and the agents say."""
    who = tenant.name
    bill = view.billed_nano_usd
    decisions = Counter(view.denials) + Counter(allowed=len(view.billed) + view.tool_calls)
    of_runs = (SEARCHES + 1 + 1) + (story.RUNAWAY_CALLS + 1) + view.tool_calls
    return [
        Claim(
            who,
            "telemetry came by HTTP from acme, by gRPC from globex",
            {story.VIA[tenant.protocol]},
            view.transports,
        ),
        Claim(who, "and was out before the process ended", True, view.reports["closed"]["flushed"]),
        Claim(who, "one span per call, denial, run and tool call", view.expected_spans, view.span_names),
        Claim(who, "each call's span has the provider's charge", view.billed_by_reply, view.span_costs),
        Claim(who, "each denial is a span with its code as error.type", view.denials, view.denied_spans),
        Claim(who, "what a run did hangs under its invoke_agent span", of_runs, view.children_of_runs),
        *[
            Claim(who, f"the {kind} counted are the provider's", view.metered(kind), view.counter(name))
            for name, kind in COUNTERS.items()
        ],
        Claim(who, "the metric spendrail.cost is the provider's bill (nano-USD)", bill, view.cost_metric),
        Claim(who, "the decisions counted are the decisions made", decisions, view.decisions_counted),
        Claim(who, "nothing was dropped", 0, view.counter("spendrail.telemetry.dropped")),
        Claim(who, "every metric arrived: none is missing", set(), METRICS - view.metric_names),
    ]


def code(report: Json) -> str | None:
    """The code of the denial that ended a step; None if nothing did."""
    denied = report["denied"]
    return str(denied["code"]) if denied else None
