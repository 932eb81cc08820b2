"""OTLP messages as plain data, flat enough to assert on: one dict per span, one dict per metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

Json = dict[str, Any]

KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES: Final = ("unset", "ok", "error")
TEMPORALITIES: Final = ("unspecified", "delta", "cumulative")


def spans(request: Any, via: str) -> Iterator[Json]:
    """Ids are hex; a root span has the parent "" ; times are nanoseconds since 1970."""
    for group in request.resource_spans:
        resource = attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            for span in scoped.spans:
                yield {
                    "name": span.name,
                    "kind": KINDS[span.kind],
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_span_id": span.parent_span_id.hex(),
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "status": STATUSES[span.status.code],
                    "message": span.status.message,
                    "attributes": attributes(span.attributes),
                    "events": [{"name": e.name, "attributes": attributes(e.attributes)} for e in span.events],
                    "links": len(span.links),
                    "scope": scope(scoped),
                    "resource": resource,
                    "via": via,
                }


def metrics(request: Any, via: str) -> Iterator[Json]:
    """`type` is gauge, sum, histogram or exponential_histogram; points have `value`, or `count` and `sum`."""
    for group in request.resource_metrics:
        resource = attributes(group.resource.attributes)
        for scoped in group.scope_metrics:
            for metric in scoped.metrics:
                kind = metric.WhichOneof("data") or "none"
                data = getattr(metric, kind, None)
                yield {
                    "name": metric.name,
                    "unit": metric.unit,
                    "description": metric.description,
                    "type": kind,
                    "monotonic": bool(getattr(data, "is_monotonic", False)),
                    "temporality": TEMPORALITIES[getattr(data, "aggregation_temporality", 0)],
                    "points": [_point(point) for point in getattr(data, "data_points", [])],
                    "scope": scope(scoped),
                    "resource": resource,
                    "via": via,
                }


def logs(request: Any, via: str) -> Iterator[Json]:
    """Log records: body, severity, attributes."""
    for group in request.resource_logs:
        for scoped in group.scope_logs:
            for record in scoped.log_records:
                yield {
                    "body": _value(record.body),
                    "event": record.event_name,
                    "severity": record.severity_number,
                    "attributes": attributes(record.attributes),
                    "via": via,
                }


READERS: Final[dict[str, Callable[[Any, str], Iterator[Json]]]] = {
    "spans": spans,
    "metrics": metrics,
    "logs": logs,
}


def attributes(pairs: Any) -> Json:
    return {pair.key: _value(pair.value) for pair in pairs}


def scope(scoped: Any) -> Json:
    return {"name": scoped.scope.name, "version": scoped.scope.version, "schema_url": scoped.schema_url}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind) if kind else None


def _point(point: Any) -> Json:
    read: Json = {
        "attributes": attributes(point.attributes),
        "start": point.start_time_unix_nano,
        "time": point.time_unix_nano,
    }
    names = set(point.DESCRIPTOR.fields_by_name)
    if "as_int" in names:
        kind = point.WhichOneof("value")
        return read | {"value": getattr(point, kind) if kind else None, "integer": kind == "as_int"}
    read |= {"count": point.count, "sum": point.sum}
    if "bucket_counts" in names:
        read |= {"buckets": list(point.bucket_counts), "bounds": list(point.explicit_bounds)}
    return read
