"""What makes a client a guarded one: a few attributes of the copy that stand before its class's methods.

`request` is overridden above the SDK's retry loop, so that a call is one call however often it is sent, and a denial is
not taken for a lost connection. `_process_response` is where the HTTP response of the last attempt comes by.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys

from ..otel import Current
from ..receipts import call_of, remember
from .call import Call
from .guarded import MARK, refuse_connection, sending, server_of
from .tap import watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .guarded import Guarded


def can_wrap(client: object) -> bool:
    """Whether this is one of the clients, and not one of their resources."""
    return hasattr(type(client), "request") and hasattr(type(client), "copy")


def install(client: Any, guarded: Guarded) -> Any:
    """Makes this copy of a client a guarded one."""
    kind = type(client)
    own: dict[str, Any] = {MARK: guarded}
    make = _async_methods if inspect.iscoroutinefunction(kind.request) else _sync_methods
    own.update(make(client, kind, guarded))

    def parse(*, data: Any, cast_to: Any, response: Any) -> Any:
        made = kind._process_response_data(client, data=data, cast_to=cast_to, response=response)
        call = call_of(response)
        if isinstance(call, Call) and not call.streams:
            remember(made, call)
        return made

    def copy(*args: Any, **kwargs: Any) -> Any:
        return install(kind.copy(client, *args, **kwargs), guarded)

    own.update(_process_response_data=parse, copy=copy, with_options=copy)
    hooks = [name for name in _WEBSOCKETS if hasattr(kind, name)]
    own.update({name: functools.partial(_open_websocket, client, guarded, getattr(kind, name)) for name in hooks})
    client.__dict__.update(own)
    if not hooks:
        _cover_connects(client, guarded)
    return client


def _open(client: Any, guarded: Guarded, options: Any, streams: bool) -> tuple[Call | None, Any]:
    """Reserves the request that `options` stand for, or finds that there is nothing to reserve. The options that come
    back are the ones to send. Errors: `Denied`."""
    path, body = str(options.url), _body(options)
    server = server_of(client.base_url)
    api = guarded.api_of(options.method, path, body, server)
    if api is None:
        return None, options
    asks = _asks_for_usage(api, body, streams)
    if asks:
        body = {**body, "stream_options": {**(body.get("stream_options") or {}), "include_usage": True}}
        options = options.model_copy() if hasattr(options, "model_copy") else options.copy()
        options.json_data = {**(options.json_data or {}), "stream_options": body["stream_options"]}
    return guarded.hold(api, path, body, server, hides_usage=asks), options


def _sync_methods(client: Any, kind: Any, guarded: Guarded) -> dict[str, Any]:
    def request(cast_to: Any, options: Any, *, stream: bool = False, **more: Any) -> Any:
        if hasattr(kind, "_copy_and_prepare"):  # one-shot iterators and files become plain data, once
            options = kind._copy_and_prepare(client, options)
        call, options = _open(client, guarded, options, stream)
        token = sending.set(call)
        try:
            if call is None:
                return kind.request(client, cast_to, options, stream=stream, **more)
            with Current(call.hold.span):
                reply = kind.request(client, cast_to, options, stream=stream, **more)
            return _replied(call, reply)
        except BaseException as error:
            if call is not None:
                call.failed(error)
            raise
        finally:
            sending.reset(token)

    def prepare_request(request: Any) -> None:
        if (call := sending.get()) is not None:
            call.attempts += 1
        kind._prepare_request(client, request)

    def sleep_for_retry(*, response: Any, **more: Any) -> None:
        _sent_again(response)
        kind._sleep_for_retry(client, response=response, **more)

    def process_response(*, response: Any, stream: bool, **more: Any) -> Any:
        if (call := sending.get()) is not None:
            watch(response, call, streams=stream)
        return kind._process_response(client, response=response, stream=stream, **more)

    return {
        "request": request,
        "_prepare_request": prepare_request,
        "_sleep_for_retry": sleep_for_retry,
        "_process_response": process_response,
    }


def _async_methods(client: Any, kind: Any, guarded: Guarded) -> dict[str, Any]:
    async def request(cast_to: Any, options: Any, *, stream: bool = False, **more: Any) -> Any:
        if hasattr(kind, "_copy_and_prepare"):
            options = await kind._copy_and_prepare(client, options)
        call, options = _open(client, guarded, options, stream)
        token = sending.set(call)
        try:
            if call is None:
                return await kind.request(client, cast_to, options, stream=stream, **more)
            with Current(call.hold.span):
                reply = await kind.request(client, cast_to, options, stream=stream, **more)
            return _replied(call, reply)
        except BaseException as error:
            if call is not None:
                call.failed(error)
            raise
        finally:
            sending.reset(token)

    async def prepare_request(request: Any) -> None:
        if (call := sending.get()) is not None:
            call.attempts += 1
        await kind._prepare_request(client, request)

    async def sleep_for_retry(*, response: Any, **more: Any) -> None:
        _sent_again(response)
        await kind._sleep_for_retry(client, response=response, **more)

    async def process_response(*, response: Any, stream: bool, **more: Any) -> Any:
        if (call := sending.get()) is not None:
            watch(response, call, streams=stream)
        return await kind._process_response(client, response=response, stream=stream, **more)

    return {
        "request": request,
        "_prepare_request": prepare_request,
        "_sleep_for_retry": sleep_for_retry,
        "_process_response": process_response,
    }


def _sent_again(response: Any) -> None:
    """An attempt has failed, and the SDK waits before the next one; the exception is still being handled."""
    if (call := sending.get()) is not None:
        call.sent_again(response, sys.exc_info()[1])


def _replied(call: Call, reply: Any) -> Any:
    """The request has come back with something."""
    remember(reply, call)
    if call.open and not call.tapped:
        if call.attempts == 0:
            call.release(None)  # the SDK's own middleware answered: nothing was sent
        else:
            call.finish()
    return reply


def _asks_for_usage(api: str, body: dict[str, Any], streams: bool) -> bool:
    """The caller of a stream left it open whether its last chunk tells the usage."""
    if api not in ("openai_chat", "openai_completions") or not (streams or body.get("stream") is True):
        return False
    decided = body.get("stream_options")
    return decided is None or (isinstance(decided, dict) and decided.get("include_usage") is None)


def _body(options: Any) -> dict[str, Any]:
    """The JSON body of a request, with what `extra_body` adds."""
    body = options.json_data
    if body is None and isinstance(getattr(options, "content", None), (bytes, str)):
        try:
            body = json.loads(options.content)
        except ValueError:
            body = None
    extra = options.extra_json
    merged = dict(body) if isinstance(body, dict) else {}
    if extra:
        merged.update(extra)
    return merged


_WEBSOCKETS = ("_websocket_query_params", "_websocket_query_params_fallback", "_configure_realtime")
"""What the clients of openai 3 ask before they open a WebSocket."""


def _open_websocket(client: Any, guarded: Guarded, open: Any, url: Any, *args: Any) -> Any:
    refuse_connection(guarded, getattr(url, "path", "/realtime"))
    return open(client, url, *args)


def _cover_connects(client: Any, guarded: Guarded) -> None:
    """The clients of openai 2 ask nobody: `connect` itself is covered, on the resources that have one."""
    for path in ("realtime", "responses", "beta.realtime"):
        resource = client
        for name in path.split("."):
            resource = getattr(resource, name, None)
        if hasattr(resource, "connect"):
            resource.connect = functools.partial(_connect, guarded, path.rpartition(".")[2], resource.connect)


def _connect(guarded: Guarded, path: str, connect: Any, *args: Any, **kwargs: Any) -> Any:
    refuse_connection(guarded, f"/{path}")
    return connect(*args, **kwargs)


__all__ = ["can_wrap", "install"]
