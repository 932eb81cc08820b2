"""Clients of `google-genai`, and their `aio`.

All of their own resources send through one `BaseApiClient`: the copy has one whose `_request` and `_async_request`,
which are above the retry loop, reserve. Newer resources (interactions, agents, …) bring a generated SDK along and are
covered by `speakeasy.py`.
"""

from __future__ import annotations

from ..otel import Current
from . import speakeasy
from .disguise import copy_of, disguised
from .guarded import MARK, refuse_connection, sending, server_of
from .methods import follow
from .tap import Parsed, aparsed, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from .call import Call
    from .guarded import Guarded

_FOLLOWED = ("_models",)
"""Resources whose replies have receipts."""


def can_wrap(client: Any) -> bool:
    """A `Client`, or the `aio` of one."""
    return hasattr(client, "_api_client") and hasattr(client, "models")


def provider_of(client: Any, guard: Guard) -> str:
    """Who bills."""
    return "vertex" if client._api_client.vertexai else "google"


def guarded_copy(client: Any, guarded: Guarded) -> Any:
    """A copy whose requests are reserved. It shares the original's connections and keeps it alive: an original that
    is collected closes them."""
    old = client._api_client
    new = copy_of(old)
    new.__dict__.update({MARK: guarded, "_spendrail_original": client})
    new.__class__ = disguised(type(old), _transport)
    made = _graft(client, old, new)
    for one in (made, getattr(made, "_aio", None)):
        if one is not None:
            one.__dict__[MARK] = guarded
            one.__class__ = disguised(type(one), _client)
    return made


def _graft(one: Any, old: Any, new: Any) -> Any:
    """A copy of a resource that sends through `new`, with what it has inside."""
    made = copy_of(one)
    for name, value in one.__dict__.items():
        if value is old:
            made.__dict__[name] = new
        elif hasattr(value, "sdk_configuration"):
            made.__dict__[name] = None  # made again when it is asked for
        elif getattr(value, "_api_client", None) is old:
            made.__dict__[name] = inside = _graft(value, old, new)
            if name in _FOLLOWED:
                follow(inside, type(value))
    return made


def _client(kind: Any) -> dict[str, Any]:
    """A client that covers the newer resources, and closes nothing when it is collected."""

    def covering(original: property) -> property:
        def get(self: Any) -> Any:
            made = original.__get__(self)
            return speakeasy.cover(made, self.__dict__[MARK]) if hasattr(made, "sdk_configuration") else made

        return property(get, doc=original.__doc__)

    own: dict[str, Any] = {
        name: covering(member)
        for base in reversed(kind.__mro__)
        for name, member in vars(base).items()
        if isinstance(member, property)
    }
    return {**own, "__del__": _leave}


def _leave(self: Any) -> None:
    """The original closes what it opened."""


def _transport(kind: Any) -> dict[str, Any]:
    """The `BaseApiClient` of a guarded client."""

    def request(self: Any, http_request: Any, http_options: Any = None, stream: bool = False) -> Any:
        call = _reserve(self, http_request)
        if call is None:
            return kind._request(self, http_request, http_options, stream)
        token = sending.set(call)
        try:
            with Current(call.hold.span):
                reply = kind._request(self, http_request, http_options, stream)
            return _replied(call, reply, stream)
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            sending.reset(token)

    async def async_request(self: Any, http_request: Any, http_options: Any = None, stream: bool = False) -> Any:
        call = _reserve(self, http_request)
        if call is None:
            return await kind._async_request(self, http_request, http_options, stream)
        token = sending.set(call)
        try:
            with Current(call.hold.span):
                reply = await kind._async_request(self, http_request, http_options, stream)
            return _replied(call, reply, stream)
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            sending.reset(token)

    def request_once(self: Any, *args: Any, **kwargs: Any) -> Any:
        if (call := sending.get()) is None:
            return kind._request_once(self, *args, **kwargs)
        call.sending()
        try:
            return kind._request_once(self, *args, **kwargs)
        except BaseException as error:
            call.unanswered(error)
            raise

    async def async_request_once(self: Any, *args: Any, **kwargs: Any) -> Any:
        if (call := sending.get()) is None:
            return await kind._async_request_once(self, *args, **kwargs)
        call.sending()
        try:
            return await kind._async_request_once(self, *args, **kwargs)
        except BaseException as error:
            call.unanswered(error)
            raise

    def websocket_base_url(self: Any, *args: Any, **kwargs: Any) -> Any:
        refuse_connection(self.__dict__[MARK], "/live")
        return kind._websocket_base_url(self, *args, **kwargs)

    return {
        "_request": request,
        "_async_request": async_request,
        "_request_once": request_once,
        "_async_request_once": async_request_once,
        "_websocket_base_url": websocket_base_url,
        "__del__": _leave,
    }


def _reserve(transport: Any, request: Any) -> Call | None:
    guarded: Guarded = transport.__dict__[MARK]
    url = str(request.url)
    path = "/" + url.partition("://")[2].partition("/")[2]
    return guarded.reserve(request.method.upper(), path, request.data, server_of(url))


def _replied(call: Call, reply: Any, stream: bool) -> Any:
    if stream:
        reply._spendrail_tap = Parsed(call)
        reply.__class__ = disguised(type(reply), _reply)
    else:
        body = reply.response_stream[0] if reply.response_stream else ""
        call.settle(body if isinstance(body, bytes) else str(body).encode())
    return reply


def _reply(kind: Any) -> dict[str, Any]:
    """A streamed reply that tells its tap what is read of it."""
    return {
        "segments": lambda self: parsed(self._spendrail_tap, kind.segments(self)),
        "async_segments": lambda self: aparsed(self._spendrail_tap, kind.async_segments(self)),
    }


__all__ = ["can_wrap", "guarded_copy", "provider_of"]
