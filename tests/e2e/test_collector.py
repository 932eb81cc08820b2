"""The local OTLP receiver: both protocols, what it keeps, and how it misbehaves when told to."""

from __future__ import annotations

import gzip
import json
import time
import urllib.error
import urllib.request

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collector import Collector

EXPORT_TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def one_span() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "demo"
    span = group.scope_spans.add().spans.add(name="chat gpt-4o-mini", kind=3)
    span.trace_id, span.span_id = bytes(range(16)), bytes(range(8))
    span.status.code = 2
    span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 42
    reasons = span.attributes.add(key="gen_ai.response.finish_reasons").value.array_value
    reasons.values.add(string_value="stop")
    return request


def two_metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    counter = scope.metrics.add(name="spendrail.decisions", unit="{decision}")
    counter.sum.is_monotonic, counter.sum.aggregation_temporality = True, 2
    counter.sum.data_points.add(as_int=7).attributes.add(key="decision").value.string_value = "denied"
    duration = scope.metrics.add(name="gen_ai.client.inference.duration", unit="s")
    duration.histogram.data_points.add(count=2, sum=0.5, bucket_counts=[1, 1], explicit_bounds=[0.1])
    return request


def post(collector: Collector, path: str, data: bytes, timeout: float = 5, **headers: str) -> int:
    headers = {"content-type": "application/x-protobuf"} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    request = urllib.request.Request(collector.http_url + path, data, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_spans_arrive_over_http_and_grpc(collector: Collector) -> None:
    message = one_span()
    assert post(collector, "/v1/traces", message.SerializeToString(), x_token="secret") == 200
    packed = gzip.compress(message.SerializeToString())
    assert post(collector, "/v1/traces", packed, content_encoding="gzip") == 200
    with grpc.insecure_channel(collector.grpc_url.removeprefix("http://")) as channel:
        export = channel.unary_unary(
            EXPORT_TRACES, ExportTraceServiceRequest.SerializeToString, ExportTraceServiceResponse.FromString
        )
        assert export(message, timeout=5, metadata=[("x-token", "secret")]) == ExportTraceServiceResponse()
    with urllib.request.urlopen(f"{collector.http_url}/__received") as reply:
        received = json.load(reply)
    assert [span["via"] for span in received["spans"]] == ["http", "http", "grpc"]
    span = received["spans"][2]
    assert span["name"] == "chat gpt-4o-mini" and span["kind"] == "client" and span["status"] == "error"
    assert span["trace_id"] == "000102030405060708090a0b0c0d0e0f" and span["parent_span_id"] == ""
    assert span["attributes"] == {"gen_ai.usage.input_tokens": 42, "gen_ai.response.finish_reasons": ["stop"]}
    assert span["resource"] == {"service.name": "demo"}
    assert [request["headers"].get("x-token") for request in received["requests"]] == [
        "secret",
        None,
        "secret",
    ]


def test_metrics_are_flat_enough_to_assert_on(collector: Collector) -> None:
    assert post(collector, "/v1/metrics", two_metrics().SerializeToString()) == 200
    counter, duration = collector.received()["metrics"]
    assert (counter["type"], counter["monotonic"], counter["temporality"]) == ("sum", True, "cumulative")
    assert counter["points"][0]["value"] == 7 and counter["points"][0]["attributes"] == {"decision": "denied"}
    assert duration["points"][0]["buckets"] == [1, 1] and duration["points"][0]["count"] == 2


@pytest.mark.parametrize(("mode", "status"), [("503", 503), ("404", 404)])
def test_a_refusing_collector_keeps_nothing_but_counts(collector: Collector, mode: str, status: int) -> None:
    collector.mode = mode
    assert post(collector, "/v1/traces", one_span().SerializeToString()) == status
    with grpc.insecure_channel(collector.grpc_url.removeprefix("http://")) as channel:
        export = channel.unary_unary(EXPORT_TRACES)
        with pytest.raises(grpc.RpcError) as raised:
            export(b"", timeout=5)
    wanted = grpc.StatusCode.UNAVAILABLE if mode == "503" else grpc.StatusCode.UNIMPLEMENTED
    assert raised.value.code() == wanted
    received = collector.received()
    assert received["spans"] == [] and len(received["requests"]) == 2


def test_a_hanging_collector_hangs_until_it_is_told_otherwise(collector: Collector) -> None:
    control = urllib.request.Request(f"{collector.http_url}/__mode", b'{"mode": "hang"}', method="POST")
    assert json.load(urllib.request.urlopen(control)) == {"mode": "hang"}
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        post(collector, "/v1/traces", one_span().SerializeToString(), timeout=0.4)
    assert 0.3 < time.monotonic() - started < 3
    collector.mode = "ok"
    assert post(collector, "/v1/traces", one_span().SerializeToString()) == 200
    assert len(collector.received()["spans"]) == 1


def test_nonsense_is_refused(collector: Collector) -> None:
    assert post(collector, "/v1/traces", b"\xff\xff\xff") == 400
    assert post(collector, "/v1/traces", b"{}", content_type="application/json") == 415
    assert post(collector, "/__mode", b'{"mode": "sleepy"}') == 400
    assert post(collector, "/v2/traces", b"") == 404
