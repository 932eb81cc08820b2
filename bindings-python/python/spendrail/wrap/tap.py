"""Watches a reply while the caller reads it, at the HTTP response itself: whatever the SDK makes of it (events, text,
raw bytes, a helper's own iterator) comes through here, and stays the SDK's own type.

The response becomes one of a subclass of its own class: no attribute of it refers back to it, so that a reply that is
dropped is closed as promptly as without us.
"""

from __future__ import annotations

import json

from ..receipts import remember
from .call import error_type
from .guarded import encode
from .sse import Events, Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from .call import Call


def watch(response: Any, call: Call, *, streams: bool) -> None:
    """Settles `call` by this response: at once if its body is here, else when the caller has read or closed it."""
    remember(response, call)
    kind = response.headers.get("content-type", "")
    in_lines = kind.startswith("application/stream+json")
    is_stream = in_lines or kind.startswith("text/event-stream") or (streams and "json" not in kind)
    tap = _Stream(call, Lines if in_lines else Events) if is_stream else _Body(call)
    try:
        body = response.content
    except Exception:  # not read yet: each generation of httpx has its own class for that
        call.tapped, call.streams = True, is_stream
        _install(response, tap)
    else:
        tap.feed(body)
        tap.ended()


class Parsed:
    """A stream whose events the SDK has parsed."""

    def __init__(self, call: Call) -> None:
        """Of a reply that comes in pieces."""
        self.call = call
        self.error: str | None = None
        call.hold.stream(call.api)
        call.tapped = call.streams = True

    def see(self, event: object) -> None:
        """The caller gets this event."""
        self.take("", event if isinstance(event, str) else json.dumps(event, default=encode))

    def take(self, name: str, data: str) -> bool:
        """One event, as text; `True`: hide it."""
        if '"error"' in data or name == "error":
            self.error = _error_in(name, data) or self.error
        return self.call.chunk(data)

    def ended(self) -> None:
        """All events are here. Every API says when a stream is over; one that just stops was cut."""
        self.call.cut(self.error or "incomplete_stream")

    def failed(self, error: BaseException) -> None:
        """The stream broke, or whoever reads it was cancelled."""
        if isinstance(error, Exception):
            self.call.cut(error_type(error))
        else:
            self.closed()

    def closed(self) -> None:
        """The caller has left."""
        if self.error is None:
            self.call.close()
        else:
            self.call.cut(self.error)


class _Stream(Parsed):
    """A stream of bytes that are events."""

    def __init__(self, call: Call, cut: type[Events]) -> None:
        super().__init__(call)
        self.pulling = False
        """The response is asked for bytes: that it closes itself meanwhile is no decision of the caller."""
        self._events = cut(self._see, hides=call.hides_usage)

    def feed(self, chunk: bytes) -> bytes:
        return self._events.feed(chunk)

    def ended(self) -> bytes:  # type: ignore[override]
        rest = self._events.end()
        super().ended()
        return rest

    def _see(self, name: str, data: str) -> bool:
        if data.startswith("[DONE]"):
            self.call.finish()
            return False
        hidden = self.take(name, data)
        if name == "message_stop":
            self.call.finish()
        return hidden


class _Body:
    """A whole body that the caller reads by itself (`with_streaming_response`)."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.pulling = False
        self._body = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        self._body += chunk
        return chunk

    def ended(self) -> bytes:
        self.call.settle(bytes(self._body))
        return b""

    def failed(self, error: BaseException) -> None:
        self.call.cut(error_type(error))

    def closed(self) -> None:
        # Nobody stops a generation that is not streamed: it is billed, read or not.
        self.call.cut("closed_unread")


def _error_in(name: str, data: str) -> str | None:
    """The error that an event of a stream is."""
    try:
        event = json.loads(data)
    except ValueError:
        return "error" if name == "error" else None
    if not isinstance(event, dict):
        return None
    error = event.get("error")
    if not error and event.get("type") != "error" and name != "error":
        return None
    parts = error if isinstance(error, dict) else event
    for key in ("code", "type", "status"):
        if isinstance(parts.get(key), str):
            return str(parts[key])[:64]
    return "error"


def parsed(tap: Parsed, source: Iterator[Any]) -> Iterator[Any]:
    """The events of a stream, seen by `tap`."""
    try:
        while True:
            try:
                event = next(source)
            except StopIteration:
                break
            except BaseException as error:
                tap.failed(error)
                raise
            tap.see(event)
            yield event
        tap.ended()
    except GeneratorExit:
        tap.closed()
        raise
    finally:
        source.close()  # type: ignore[attr-defined]


async def aparsed(tap: Parsed, source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The same, awaited."""
    try:
        while True:
            try:
                event = await source.__anext__()
            except StopAsyncIteration:
                break
            except BaseException as error:
                tap.failed(error)
                raise
            tap.see(event)
            yield event
        tap.ended()
    except GeneratorExit:
        tap.closed()
        raise
    finally:
        await source.aclose()  # type: ignore[attr-defined]


_watched: dict[type, type] = {}


def _install(response: Any, tap: _Stream | _Body) -> None:
    kind = type(response)
    if (watched := _watched.get(kind)) is None:
        watched = _watched.setdefault(kind, _watched_class(kind))
    response._spendrail_tap = tap
    response.__class__ = watched


def _watched_class(kind: Any) -> type:
    """A response that tells its tap what is read of it."""

    class Watched(kind):  # type: ignore[misc]
        _spendrail_tap: _Stream | _Body

        def iter_bytes(self, *size: Any, **sizes: Any) -> Iterator[bytes]:
            return _pump(self._spendrail_tap, super().iter_bytes(*size, **sizes))

        def iter_raw(self, *size: Any, **sizes: Any) -> Iterator[bytes]:
            return _pump(self._spendrail_tap, super().iter_raw(*size, **sizes))

        def aiter_bytes(self, *size: Any, **sizes: Any) -> AsyncIterator[bytes]:
            return _apump(self._spendrail_tap, super().aiter_bytes(*size, **sizes))

        def aiter_raw(self, *size: Any, **sizes: Any) -> AsyncIterator[bytes]:
            return _apump(self._spendrail_tap, super().aiter_raw(*size, **sizes))

        def close(self) -> None:
            if not self._spendrail_tap.pulling:
                self._spendrail_tap.closed()
            super().close()

        async def aclose(self) -> None:
            if not self._spendrail_tap.pulling:
                self._spendrail_tap.closed()
            await super().aclose()

    Watched.__name__, Watched.__qualname__, Watched.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    return Watched


def _pump(tap: _Stream | _Body, source: Iterator[bytes]) -> Iterator[bytes]:
    if tap.pulling:  # `iter_bytes` reads through `iter_raw`: each byte is seen once
        yield from source
        return
    try:
        while True:
            tap.pulling = True
            try:
                chunk = next(source)
            except StopIteration:
                break
            except BaseException as error:
                tap.failed(error)
                raise
            finally:
                tap.pulling = False
            if out := tap.feed(chunk):
                yield out
        if rest := tap.ended():
            yield rest
    except GeneratorExit:
        tap.closed()
        raise
    finally:
        source.close()  # type: ignore[attr-defined]


async def _apump(tap: _Stream | _Body, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if tap.pulling:
        async for chunk in source:
            yield chunk
        return
    try:
        while True:
            tap.pulling = True
            try:
                chunk = await source.__anext__()
            except StopAsyncIteration:
                break
            except BaseException as error:
                tap.failed(error)
                raise
            finally:
                tap.pulling = False
            if out := tap.feed(chunk):
                yield out
        if rest := tap.ended():
            yield rest
    except GeneratorExit:
        tap.closed()
        raise
    finally:
        await source.aclose()  # type: ignore[attr-defined]
