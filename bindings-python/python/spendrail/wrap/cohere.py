"""Clients of the `cohere` SDK, both versions, sync and async.

Everything is sent through the `HttpClient` of a client's wrapper, which retries by calling itself again: only the first
call of `request` is a request.
"""

from __future__ import annotations

import contextvars
import sys
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager

from ..otel import Current
from .disguise import disguised
from .guarded import MARK, latest, sending, server_of
from .methods import follow
from .tap import watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Any

    from ..guard import Guard
    from .call import Call
    from .guarded import Guarded

_PLATFORMS = ("cohere.aws_client", "cohere.oci_client")
"""Clients that send to somebody else, in their own ways."""


def can_wrap(client: Any) -> bool:
    """A client of Cohere itself."""
    places = {kind.__module__ for kind in type(client).__mro__}
    return hasattr(client, "_client_wrapper") and hasattr(client, "_executor") and places.isdisjoint(_PLATFORMS)


def provider_of(client: Any, guard: Guard) -> str:
    """Who bills."""
    return "cohere"


def guarded_copy(client: Any, guarded: Guarded) -> Any:
    """A copy, made as the original was. It shares the original's connections."""
    kind: Any = type(client)
    wrapper = client._client_wrapper
    made = kind.__new__(kind)
    # A client has attributes that are bound to itself: they have to be made anew.
    own: Any = next(base for base in kind.__mro__ if base.__module__ in ("cohere.client_v2", "cohere.client"))
    own.__init__(
        made,
        api_key=wrapper._token,
        base_url=wrapper._base_url,
        client_name=wrapper._client_name,
        timeout=wrapper._timeout,
        max_retries=wrapper._max_retries,
        httpx_client=wrapper.httpx_client.httpx_client,
        thread_pool_executor=_Carrying(client._executor),
    )
    made._client_wrapper._headers = wrapper._headers
    http = made._client_wrapper.httpx_client
    http.__dict__[MARK] = guarded
    http.__class__ = disguised(type(http), _async_http if type(http).__name__.startswith("Async") else _http)
    for resource in (made.v2, made):
        follow(resource, type(resource))
    made.__dict__[MARK] = guarded
    return made


class _Carrying:
    """The executor that embeds long lists in parts: each part belongs to the scope and run of the call."""

    def __init__(self, executor: Any) -> None:
        self._executor = executor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)

    def map(self, function: Callable[..., Any], *items: Any, **options: Any) -> Any:
        parts = list(zip(*items, strict=False))
        contexts = [contextvars.copy_context() for _ in parts]
        if len(parts) > 1:  # what is put together of several replies has no receipt of one of them
            for context in contexts:
                context.run(latest.set, None)
        runs = [(context, part) for context, part in zip(contexts, parts, strict=True)]
        return self._executor.map(lambda run: run[0].run(function, *run[1]), runs, **options)


def _http(kind: Any) -> dict[str, Any]:
    def request(self: Any, path: Any = None, *, retries: int = 0, **more: Any) -> Any:
        if retries:
            _again()
            return kind.request(self, path, retries=retries, **more)
        call = _reserve(self, path, more)
        if call is None:
            return kind.request(self, path, **more)
        token = sending.set(call)
        try:
            call.sending()
            with Current(call.hold.span):
                response = kind.request(self, path, **more)
            return _replied(call, response, streams=False)
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            sending.reset(token)

    @contextmanager
    def stream(self: Any, path: Any = None, **more: Any) -> Iterator[Any]:
        call = _reserve(self, path, more)
        with ExitStack() as stack:
            if call is None:
                yield stack.enter_context(kind.stream(self, path, **more))
                return
            try:
                call.sending()
                with Current(call.hold.span):
                    response = stack.enter_context(kind.stream(self, path, **more))
                _replied(call, response, streams=True)
            except BaseException as error:
                call.failed(error)
                raise
            yield response

    return {"request": request, "stream": stream}


def _async_http(kind: Any) -> dict[str, Any]:
    async def request(self: Any, path: Any = None, *, retries: int = 0, **more: Any) -> Any:
        if retries:
            _again()
            return await kind.request(self, path, retries=retries, **more)
        call = _reserve(self, path, more)
        if call is None:
            return await kind.request(self, path, **more)
        token = sending.set(call)
        try:
            call.sending()
            with Current(call.hold.span):
                response = await kind.request(self, path, **more)
            return _replied(call, response, streams=False)
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            sending.reset(token)

    @asynccontextmanager
    async def stream(self: Any, path: Any = None, **more: Any) -> AsyncIterator[Any]:
        call = _reserve(self, path, more)
        async with AsyncExitStack() as stack:
            if call is None:
                yield await stack.enter_async_context(kind.stream(self, path, **more))
                return
            try:
                call.sending()
                with Current(call.hold.span):
                    response = await stack.enter_async_context(kind.stream(self, path, **more))
                _replied(call, response, streams=True)
            except BaseException as error:
                call.failed(error)
                raise
            yield response

    return {"request": request, "stream": stream}


def _reserve(http: Any, path: Any, options: dict[str, Any]) -> Call | None:
    guarded: Guarded = http.__dict__[MARK]
    omitted = options.get("omit")
    given = options.get("json")
    body = {name: value for name, value in given.items() if value is not omitted} if isinstance(given, dict) else {}
    extra = (options.get("request_options") or {}).get("additional_body_parameters")
    base = http.get_base_url(options.get("base_url"))
    return guarded.reserve(options["method"], f"/{path or ''}", {**body, **(extra or {})}, server_of(base))


def _again() -> None:
    """The request is sent again, because of a response, or of an exception that is still being handled."""
    if (call := sending.get()) is not None:
        if (error := sys.exc_info()[1]) is not None:
            call.unanswered(error)
        call.sending()


def _replied(call: Call, response: Any, *, streams: bool) -> Any:
    if response.status_code >= 400:  # what raises for it comes later
        call.refused(str(response.status_code))
    else:
        watch(response, call, streams=streams)
    return response


__all__ = ["can_wrap", "guarded_copy", "provider_of"]
