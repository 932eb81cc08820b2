"""The bridge to the host's OpenTelemetry, if the host has one: its current span is the parent of ours, and ours is
current inside a run, a reserve block and a wrapped call, so that the host's spans become children. Imports nothing
that the host has not imported itself."""

from __future__ import annotations

import sys
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType
    from typing import Any

Attached = tuple[object, "Token[object]"]

_mark: ContextVar[object] = ContextVar("spendrail.attached", default=None)


def host_span() -> tuple[int, int, bool, bool] | None:
    """The host's current span: trace id, span id, sampled, is remote."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    try:
        span = trace.get_current_span().get_span_context()
    except AttributeError:  # half imported
        return None
    if not span.is_valid:
        return None
    return span.trace_id, span.span_id, bool(span.trace_flags & 1), bool(span.is_remote)


def attach(trace_id: int, span_id: int, sampled: bool) -> Attached | None:
    """Makes a span of ours the current one. The answer goes to `detach`."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    context: Any = sys.modules.get("opentelemetry.context")
    if trace is None or context is None or not trace_id or not span_id:
        return None
    try:
        span = trace.NonRecordingSpan(
            trace.SpanContext(trace_id, span_id, is_remote=False, trace_flags=trace.TraceFlags(int(sampled)))
        )
        token = context.attach(trace.set_span_in_context(span))
    except AttributeError:  # half imported
        return None
    return token, _mark.set(token)


def detach(attached: Attached | None) -> None:
    """Undoes `attach`. In another context than that one (a generator closed elsewhere) there is nothing to undo:
    OpenTelemetry would only log an error."""
    if attached is None:
        return
    token, mark = attached
    try:
        _mark.reset(mark)
    except (ValueError, RuntimeError):
        return
    context: Any = sys.modules.get("opentelemetry.context")
    context.detach(token)


class Current:
    """`with Current(hold.span): …` — the span is current inside."""

    __slots__ = ("_attached", "_span")

    def __init__(self, span: tuple[int, int, bool]) -> None:
        """Of trace id, span id and sampled."""
        self._span = span
        self._attached: Attached | None = None

    def __enter__(self) -> None:
        self._attached = attach(*self._span)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        detach(self._attached)
