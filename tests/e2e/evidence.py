"""What the demo has to go on: the agents' reports, the provider's journal, and what reached the collector.

The three come from different processes and know nothing of each other; claims.py compares them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import story
from story import Tenant

Json = dict[str, Any]

COUNTERS: Final = {
    "gen_ai.client.inference.usage.input_tokens": "input tokens",
    "gen_ai.client.inference.usage.output_tokens": "output tokens",
    "gen_ai.client.inference.usage.cache_read.input_tokens": "cache reads",
    "gen_ai.client.inference.usage.cache_write.input_tokens": "cache writes",
    "gen_ai.client.inference.usage.reasoning.output_tokens": "reasoning tokens",
}
METRICS: Final = frozenset(
    {
        *COUNTERS,
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.time_per_output_chunk",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
        "gen_ai.client.operation.duration",
        "gen_ai.execute_tool.duration",
        "gen_ai.invoke_agent.duration",
        "gen_ai.invoke_agent.inference_calls",
        "gen_ai.invoke_agent.tool_calls",
        "spendrail.cost",
        "spendrail.decisions",
        "spendrail.telemetry.dropped",
        "spendrail.budget.limit",
        "spendrail.budget.spent",
        "spendrail.budget.held",
        "spendrail.budget.unconfirmed",
        "spendrail.budget.available",
    }
)
SEARCHES: Final = 2
"""Tool calls of the well-behaved agent."""


@dataclass(frozen=True)
class Evidence:
    """Everything, of both tenants."""

    tenants: tuple[Tenant, ...]
    reports: dict[str, dict[str, Json]]
    exits: dict[str, int]
    midnights: dict[str, int]
    journal: Json
    received: Json

    def of(self, tenant: Tenant) -> TenantEvidence:
        """The part of one tenant: its process, its API key, its `service.name`."""
        return TenantEvidence(
            tenant=tenant,
            reports=self.reports[tenant.name],
            exit_status=self.exits[tenant.name],
            midnight=self.midnights[tenant.name],
            requests=[entry for entry in self.journal["requests"] if entry["key"] == tenant.name],
            spans=[span for span in self.received["spans"] if _service(span) == tenant.name],
            metrics=[metric for metric in self.received["metrics"] if _service(metric) == tenant.name],
        )


def service_name(tenant: str) -> str:
    """OTEL_SERVICE_NAME of a tenant's process."""
    return f"demo-{tenant}"


def _service(item: Json) -> str:
    return str(item["resource"].get("service.name", "")).removeprefix("demo-")


@dataclass(frozen=True)
class TenantEvidence:
    """One tenant's part, with the figures that the claims compare."""

    tenant: Tenant
    reports: dict[str, Json]
    exit_status: int
    midnight: int
    requests: list[Json]
    spans: list[Json]
    metrics: list[Json]

    # -- the provider's side ---------------------------------------------------------------------

    @cached_property
    def billed(self) -> list[Json]:
        return [entry for entry in self.requests if entry["cost_nano_usd"]]

    @cached_property
    def billed_nano_usd(self) -> int:
        return sum(entry["cost_nano_usd"] for entry in self.billed)

    @cached_property
    def billed_by_reply(self) -> Counter[tuple[str, int]]:
        """What each reply cost in nano-USD, by its id (embeddings have none: by model)."""
        return Counter((entry["reply_id"] or entry["model"], entry["cost_nano_usd"]) for entry in self.billed)

    def billed_exactly(self, reply_id: str) -> str | None:
        """The exact cost of one reply, as text."""
        found = [entry["cost_usd"] for entry in self.billed if entry["reply_id"] == reply_id]
        return found[0] if found else None

    def requests_with(self, directive: str) -> int:
        return sum(1 for entry in self.requests if entry["directive"] == directive)

    def requests_for(self, model: str) -> int:
        return sum(1 for entry in self.requests if entry["model"] == model)

    def billed_tokens(self, kind: str, without: str = "") -> int:
        return sum(entry["tokens"][kind] for entry in self.billed if entry["api"] != without)

    def metered(self, kind: str) -> int:
        """What a token counter should have counted: by the conventions, embeddings are no inference."""

        def billed(*names: str) -> int:
            return sum(self.billed_tokens(name, without="openai_embeddings") for name in names)

        counts = {
            "input tokens": billed("total_input"),
            "output tokens": billed("output"),
            "cache reads": billed("cache_read"),
            "cache writes": billed("cache_write", "cache_write_1h"),
            "reasoning tokens": billed("reasoning"),
        }
        return counts[kind]

    # -- the agents' side --------------------------------------------------------------------------

    @cached_property
    def receipts(self) -> list[Json]:
        return [entry for report in self.reports.values() for entry in report.get("receipts", [])]

    @cached_property
    def denials(self) -> list[str]:
        denied = [report["denied"] for report in self.reports.values() if report.get("denied")]
        return sorted(entry["code"] for entry in denied)

    @cached_property
    def spent_nano_usd(self) -> int:
        return sum(balance["spent"] for balance in self.reports["balances"]["balances"])

    @cached_property
    def held_and_unconfirmed(self) -> list[int]:
        balances = self.reports["balances"]["balances"]
        return [sum(balance[part] for balance in balances) for part in ("held", "unconfirmed")]

    @cached_property
    def tool_calls(self) -> int:
        return SEARCHES + int(self.reports["runaway"]["calls"])

    # -- the collector's side ------------------------------------------------------------------------

    @cached_property
    def transports(self) -> set[str]:
        return {item["via"] for item in self.spans + self.metrics}

    @cached_property
    def inference_spans(self) -> list[Json]:
        return [span for span in self.spans if span["kind"] == "client"]

    @cached_property
    def denied_spans(self) -> list[str]:
        return sorted(
            span["attributes"].get("error.type", "")
            for span in self.inference_spans
            if span["attributes"].get("spendrail.decision") == "denied"
        )

    @cached_property
    def span_names(self) -> Counter[str]:
        return Counter(span["name"] for span in self.spans)

    @cached_property
    def expected_spans(self) -> Counter[str]:
        names = Counter(
            f"{'embeddings' if entry['api'] == 'openai_embeddings' else 'chat'} {entry['model']}"
            for entry in self.billed
        )
        names.update([f"chat {story.GPT}", f"chat {story.UNKNOWN_MODEL}", f"chat {story.CLAUDE}"])  # denied
        names.update(["invoke_agent researcher", "invoke_agent runaway"])
        names["execute_tool search"] = self.tool_calls
        return names

    @cached_property
    def span_costs(self) -> Counter[tuple[str, int]]:
        """As `billed_by_reply`, from the spans."""
        return Counter(
            (span["attributes"].get("gen_ai.response.id", span["attributes"]["gen_ai.request.model"]), cost)
            for span in self.inference_spans
            if (cost := span["attributes"].get("spendrail.cost.nano_usd"))
        )

    @cached_property
    def children_of_runs(self) -> int:
        """Spans of model and tool calls whose parent is an `invoke_agent` span of the same trace."""
        runs = {
            (span["trace_id"], span["span_id"])
            for span in self.spans
            if span["name"].startswith("invoke_agent ")
        }
        return sum(1 for span in self.spans if (span["trace_id"], span["parent_span_id"]) in runs)

    def price_version_of(self, reply_id: str) -> str | None:
        for span in self.inference_spans:
            if span["attributes"].get("gen_ai.response.id") == reply_id:
                return str(span["attributes"].get("spendrail.price.version"))
        return None

    @cached_property
    def metric_names(self) -> set[str]:
        return {metric["name"] for metric in self.metrics}

    def counter(self, name: str) -> int | float:
        """The last value of a cumulative counter, over all its attribute sets."""
        return sum(value for _, value in self._last_points(name))

    @cached_property
    def cost_metric(self) -> int:
        """`spendrail.cost` in nano-USD: a double's sum of few calls is exact at that grain."""
        return round(self.counter("spendrail.cost") * 1_000_000_000)

    @cached_property
    def decisions_counted(self) -> Counter[str]:
        counted: Counter[str] = Counter()
        for attributes, value in self._last_points("spendrail.decisions"):
            verdict = str(attributes["spendrail.decision"])
            counted[str(attributes.get("spendrail.denial.code", verdict))] += int(value)
        return counted

    def _last_points(self, name: str) -> list[tuple[Json, int | float]]:
        last: dict[str, Json] = {}
        for metric in self.metrics:
            if metric["name"] != name:
                continue
            for point in metric["points"]:
                key = repr(sorted(point["attributes"].items()))
                if key not in last or point["time"] >= last[key]["time"]:
                    last[key] = point
        return [(point["attributes"], point["value"]) for point in last.values()]
