"""Clients of `boto3` (`botocore`) for `bedrock-runtime`.

`_make_request` is overridden, which is above the SDK's retry loop and below its serialiser: the path and the body are
there as they go out. The endpoint is a copy too, so that the attempts can be counted. Event streams are binary, and
botocore decodes them: their events are seen as the application gets them.
"""

from __future__ import annotations

import functools
import inspect
import io
import json
import weakref

from ..otel import Current
from ..receipts import remember
from .disguise import copy_of, disguised
from .guarded import MARK, sending, server_of
from .tap import Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..guard import Guard
    from .call import Call
    from .guarded import Guarded

_COUNTS = {
    "x-amzn-bedrock-input-token-count": "inputTokenCount",
    "x-amzn-bedrock-output-token-count": "outputTokenCount",
    "x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokenCount",
    "x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokenCount",
}
"""What InvokeModel counts in headers, in the words that its streams use for the same."""
METRICS = "amazon-bedrock-invocationMetrics"


class Reply(dict):  # type: ignore[type-arg]
    """A reply as botocore makes it. A plain `dict` cannot have a receipt: nothing can refer to it weakly."""

    __slots__ = ("__weakref__",)

    def __reduce__(self) -> tuple[Any, ...]:
        """As the plain `dict` that it is to everybody else."""
        return dict, (dict(self),)


def can_wrap(client: Any) -> bool:
    """Only the service that models are called with, and only botocore's own client: others of its family are async."""
    service: str = client.meta.service_model.service_name
    return service == "bedrock-runtime" and not inspect.iscoroutinefunction(type(client)._make_request)


def provider_of(client: Any, guard: Guard) -> str:
    """Who bills."""
    return "aws"


def guarded_copy(client: Any, guarded: Guarded) -> Any:
    """A copy whose requests are reserved."""
    made, endpoint = copy_of(client), copy_of(client._endpoint)
    made.__dict__.update({MARK: guarded, "_endpoint": endpoint})
    made.__dict__["_make_request"] = functools.partial(_make_request, made, guarded)
    endpoint.__dict__["_send"] = functools.partial(_send, endpoint)
    return made


def _make_request(client: Any, guarded: Guarded, operation: Any, request: dict[str, Any], context: Any) -> Any:
    send = functools.partial(type(client)._make_request, client, operation, request, context)
    call = guarded.reserve(request["method"], request["url_path"], _body(request), server_of(request["url"]))
    if call is None:
        return send()
    token = sending.set(call)
    try:
        with Current(call.hold.span):
            http, parsed = send()
        return http, _replied(call, operation, http, parsed)
    except BaseException as error:
        call.failed(error)
        raise
    finally:
        sending.reset(token)


def _send(endpoint: Any, request: Any) -> Any:
    """One attempt."""
    call = sending.get()
    if call is None:
        return type(endpoint)._send(endpoint, request)
    call.sending()
    try:
        return type(endpoint)._send(endpoint, request)
    except BaseException as error:
        call.unanswered(error)
        raise


def _body(request: dict[str, Any]) -> Any:
    """The JSON of a request: what Converse was made into, or what InvokeModel was given."""
    body = request["body"]
    if hasattr(body, "read"):
        start = body.tell()
        data = body.read()
        body.seek(start)
        body = data
    try:
        return json.loads(body)
    except (ValueError, TypeError):
        return None


def _replied(call: Call, operation: Any, http: Any, parsed: Any) -> Any:
    if http.status_code >= 300:
        error = parsed.get("Error", {}).get("Code")
        call.refused(error if isinstance(error, str) and error else str(http.status_code))
        return parsed
    reply = Reply(parsed)
    remember(reply, call)
    if operation.has_event_stream_output:
        stream = next(value for value in reply.values() if hasattr(value, "get_initial_response"))
        _watch(stream, call)
        remember(stream, call)
    elif operation.has_streaming_output:
        # It is billed, read or not: it is read here, and the application reads it again.
        body = reply["body"]
        data = body.read()
        reply["body"] = type(body)(io.BytesIO(data), len(data))
        remember(reply["body"], call)
        call.settle(_with_counts(data, http.headers))
    else:
        call.settle(http.content)
    return reply


def _with_counts(data: bytes, headers: Any) -> bytes:
    """The body of InvokeModel, with what its headers count: not every family says it in the body."""
    counts = {name: int(headers[key]) for key, name in _COUNTS.items() if str(headers.get(key, "")).isdecimal()}
    try:
        body = json.loads(data)
    except ValueError:
        return data
    if not counts or not isinstance(body, dict):
        return data
    return json.dumps({**body, METRICS: counts}).encode()


# -- event streams ---------------------------------------------------------------------------------


def _watch(stream: Any, call: Call) -> None:
    """The stream becomes one of a subclass of its own class: it stays botocore's, and tells what is read of it."""
    tap = Parsed(call)
    stream._spendrail_tap = tap
    stream.__class__ = disguised(type(stream), _stream)
    # Who breaks out of the loop may come back to it: only closing the stream, or losing it, ends it.
    weakref.finalize(stream, tap.closed).atexit = False


def _stream(kind: Any) -> dict[str, Any]:
    """A stream that tells its tap what is read of it."""

    def close(self: Any) -> None:
        self._spendrail_tap.closed()
        kind.close(self)

    return {"__iter__": lambda self: _events(self._spendrail_tap, kind.__iter__(self)), "close": close}


def _events(tap: Parsed, events: Iterator[Any]) -> Iterator[Any]:
    while True:
        try:
            event = next(events)
        except StopIteration:
            break
        except BaseException as error:
            tap.failed(error)
            raise
        chunk = event.get("chunk", {}).get("bytes")
        tap.see(event if chunk is None else chunk.decode("utf-8", "replace"))
        yield event
    tap.ended()


__all__ = ["Reply", "can_wrap", "guarded_copy", "provider_of"]
