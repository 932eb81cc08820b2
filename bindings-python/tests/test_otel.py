"""The host's OpenTelemetry and ours: one tree of spans, in both directions, and one span per call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from collector import Collector
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from provider import Provider

import spendrail
from conftest import CLAUDE, GPT, make_guard

HOST = InMemorySpanExporter()
CALL: Any = {"provider": "anthropic", "model": CLAUDE, "input_tokens": 100, "max_output_tokens": 50, "tenant": "acme"}
ASK: Any = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}


@pytest.fixture(scope="module", autouse=True)
def host_sdk() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(HOST))
    trace.set_tracer_provider(provider)


@pytest.fixture
def tracer() -> trace.Tracer:
    HOST.clear()
    return trace.get_tracer("host")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def traced(collector: Collector) -> spendrail.Guard:
    telemetry = spendrail.Telemetry(mode="native", endpoint=collector.http_url, service_name="test")
    return make_guard(telemetry=telemetry)


def ours(guard: spendrail.Guard, collector: Collector) -> dict[str, Any]:
    """Our spans by name."""
    assert guard.flush(5.0)
    return {span["name"]: span for span in collector.received()["spans"]}


def host() -> dict[str, Any]:
    """The host's spans by name."""
    return {span.name: span for span in HOST.get_finished_spans()}


def hexed(span_id: int) -> str:
    return f"{span_id:016x}"


def test_our_spans_are_children_of_the_hosts(tracer: trace.Tracer, collector: Collector) -> None:
    guard = traced(collector)
    with tracer.start_as_current_span("request"):
        guard.reserve(**CALL).settle()
        with guard.run(tenant="acme", agent="a") as run:
            guard.reserve(**CALL).settle()
            with run.tool("search", {"q": 1}):
                pass
    spans, request = ours(guard, collector), host()["request"]
    root, agent = request.get_span_context(), spans["invoke_agent a"]
    assert agent["trace_id"] == f"{root.trace_id:032x}" and agent["parent_span_id"] == hexed(root.span_id)
    assert spans["execute_tool search"]["parent_span_id"] == agent["span_id"]
    chats = [span for span in collector.received()["spans"] if span["name"] == f"chat {CLAUDE}"]
    assert sorted(span["parent_span_id"] for span in chats) == sorted([hexed(root.span_id), agent["span_id"]])


def test_the_hosts_spans_are_children_of_ours(tracer: trace.Tracer, collector: Collector) -> None:
    guard = traced(collector)

    async def later() -> None:
        with tracer.start_as_current_span("in a task"):
            pass

    async def main() -> None:
        async with guard.run(agent="b"):
            await asyncio.create_task(later())

    with guard.run(agent="a") as run:
        with tracer.start_as_current_span("in the run"):
            pass
        with guard.reserve(**CALL) as hold:
            with tracer.start_as_current_span("in the call"):
                pass
            hold.settle()
        with run.tool("search"), tracer.start_as_current_span("in the tool"):
            pass
    thread = threading.Thread(target=run.bind(lambda: tracer.start_span("bound").end()))
    thread.start()
    thread.join()
    asyncio.run(main())
    assert not trace.get_current_span().get_span_context().is_valid
    spans, hosts = ours(guard, collector), host()
    for name, parent in {
        "in the run": "invoke_agent a",
        "in the call": f"chat {CLAUDE}",
        "in the tool": "execute_tool search",
        "bound": "invoke_agent a",
        "in a task": "invoke_agent b",
    }.items():
        assert hexed(hosts[name].parent.span_id) == spans[parent]["span_id"], name
        assert f"{hosts[name].parent.trace_id:032x}" == spans[parent]["trace_id"], name


def test_a_wrapped_call_appears_once(tracer: trace.Tracer, collector: Collector, provider: Provider) -> None:
    guard = traced(collector)
    plain = anthropic.Anthropic(api_key="acme", base_url=provider.url, open_telemetry={"conversation_id": "c1"})
    claude = guard.wrap(plain, tenant="acme")
    gpt = guard.wrap(openai.OpenAI(api_key="acme", base_url=f"{provider.url}/v1"), tenant="acme")
    claude.messages.create(model=CLAUDE, **ASK)
    with claude.with_options(timeout=5).messages.stream(model=CLAUDE, **ASK) as stream:
        stream.until_done()
    with tracer.start_as_current_span("request"):
        gpt.chat.completions.create(model=GPT, **ASK)
    assert set(host()) == {"request"}, "the SDK's own spans are off"
    assert guard.flush(5.0)
    spans = collector.received()["spans"]
    assert sorted(span["name"] for span in spans) == [f"chat {CLAUDE}", f"chat {CLAUDE}", f"chat {GPT}"]
    port = int(provider.url.rpartition(":")[2])
    assert {(span["attributes"]["server.address"], span["attributes"]["server.port"]) for span in spans} == {
        ("127.0.0.1", port)
    }
    plain.messages.create(model=CLAUDE, **ASK)
    assert len(host()) == 2, "the original still makes its own"


def test_a_failed_call_tells_its_error_type(collector: Collector, provider: Provider) -> None:
    guard = traced(collector)
    gpt = guard.wrap(openai.OpenAI(api_key="a", base_url=f"{provider.url}/v1", max_retries=0, timeout=0.3))
    for fault in ("429", "500", "hang"):
        with pytest.raises(openai.APIError):
            gpt.chat.completions.create(model=GPT, extra_headers={"x-provider-script": f"fault={fault}"}, **ASK)
    with pytest.raises(ZeroDivisionError), guard.run(agent="a"):
        raise ZeroDivisionError
    assert guard.flush(5.0)
    told = {span["attributes"].get("error.type") for span in collector.received()["spans"]}
    assert told == {"rate_limit_exceeded", "server_error", "timeout", "ZeroDivisionError"}


def test_a_host_without_a_span_gives_no_parent(collector: Collector) -> None:
    guard = traced(collector)
    guard.reserve(**CALL).settle()
    (span,) = ours(guard, collector).values()
    assert span["parent_span_id"] == ""


def test_leaving_in_another_context_is_silent(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    import contextvars

    guard = traced(collector)
    run = guard.run(agent="a")
    contextvars.copy_context().run(run.__enter__)
    run.__exit__(None, None, None)
    hold = guard.reserve(**CALL)
    contextvars.copy_context().run(hold.__enter__)
    hold.__exit__(None, None, None)
    assert not caplog.records
    assert not context.get_current()


def test_a_collector_that_hangs_holds_up_nobody(collector: Collector) -> None:
    import time

    collector.mode = "hang"
    guard = traced(collector)
    began = time.monotonic()
    for _ in range(100):
        guard.reserve(**CALL).settle()
    assert time.monotonic() - began < 1
    began = time.monotonic()
    flushed = guard.flush(0.3)
    assert not flushed and time.monotonic() - began < 1.5
    began = time.monotonic()
    guard.close(0.3)
    assert time.monotonic() - began < 1.5
