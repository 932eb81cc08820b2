"""What SDKs of this generator have in common: resources that send by `do_request`, which is above the retry loop, and
share one configuration, which has the HTTP clients. Resources are made when they are first asked for."""

from __future__ import annotations

import functools
import inspect
import json

from ..otel import Current
from ..receipts import remember
from .disguise import copy_of, disguised, is_disguised
from .guarded import MARK, refuse_connection, sending, server_of
from .methods import followed
from .tap import watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .call import Call
    from .guarded import Guarded


def configuration(original: Any, guarded: Guarded) -> Any:
    """A copy of a configuration whose clients count what they send."""
    made = copy_of(original)
    made.__dict__[MARK] = guarded
    for name in ("client", "async_client"):
        if (client := getattr(original, name, None)) is not None and not isinstance(client, _Counting):
            setattr(made, name, _Counting(client))
    return made


def cover(resource: Any, guarded: Guarded) -> Any:
    """Makes a resource with a configuration of its own a guarded one."""
    if not is_disguised(type(resource)):
        resource.sdk_configuration = configuration(resource.sdk_configuration, guarded)
        _disguise(resource)
    return resource


def _disguise(resource: Any) -> None:
    """And those that it has."""
    resource.__class__ = disguised(type(resource), members)
    for inside in list(resource.__dict__.values()):
        if is_resource(inside) and inside is not resource and not is_disguised(type(inside)):
            inside.sdk_configuration = resource.sdk_configuration
            _disguise(inside)


def is_resource(value: object) -> bool:
    """Whether it sends by itself."""
    return hasattr(type(value), "do_request") or hasattr(type(value), "do_request_async")


def members(kind: Any) -> dict[str, Any]:
    """What a guarded resource does differently."""
    own: dict[str, Any] = {}
    for name in dir(kind):
        member = inspect.getattr_static(kind, name)
        if name.startswith(("_", "do_request")):
            continue
        if isinstance(member, property):
            own[name] = property(_covering(member.__get__), doc=member.__doc__)
        elif inspect.isfunction(member):
            own[name] = _connecting(member) if name == "connect" else _followed(member)
    if hasattr(kind, "__getattr__"):
        own["__getattr__"] = _covering(kind.__getattr__)
    if hasattr(kind, "do_request"):

        def do_request(self: Any, hook_ctx: Any, request: Any, *args: Any, stream: bool = False, **more: Any) -> Any:
            send = functools.partial(kind.do_request, self, hook_ctx, request, *args, stream=stream, **more)
            call = _reserve(self, request)
            token = sending.set(call)
            try:
                if call is None:
                    return send()
                with Current(call.hold.span):
                    response = send()
                return _replied(call, response, stream)
            except BaseException as error:
                if call is not None:
                    call.failed(error)
                raise
            finally:
                sending.reset(token)

        own["do_request"] = do_request
    if hasattr(kind, "do_request_async"):

        async def do_request_async(
            self: Any, hook_ctx: Any, request: Any, *args: Any, stream: bool = False, **more: Any
        ) -> Any:
            send = functools.partial(kind.do_request_async, self, hook_ctx, request, *args, stream=stream, **more)
            call = _reserve(self, request)
            token = sending.set(call)
            try:
                if call is None:
                    return await send()
                with Current(call.hold.span):
                    response = await send()
                return _replied(call, response, stream)
            except BaseException as error:
                if call is not None:
                    call.failed(error)
                raise
            finally:
                sending.reset(token)

        own["do_request_async"] = do_request_async
    return own


def _replied(call: Call, response: Any, stream: bool) -> Any:
    if response.status_code >= 400:  # what raises for it comes later
        call.refused(str(response.status_code))
    else:
        watch(response, call, streams=stream)
    return response


def _followed(method: Any) -> Any:
    @functools.wraps(method)
    def bound(self: Any, *args: Any, **kwargs: Any) -> Any:
        return followed(method.__get__(self))(*args, **kwargs)

    return bound


def _covering(get: Any) -> Any:
    """A resource is made when it is asked for, and guarded then."""

    def covered(self: Any, *name: str) -> Any:
        made = get(self, *name)
        # What opens WebSockets only has the configuration.
        if (is_resource(made) or hasattr(made, "_sdk_config")) and not is_disguised(type(made)):
            _disguise(made)
        return made

    return covered


def _connecting(method: Any) -> Any:
    """A WebSocket in which work is ordered."""

    @functools.wraps(method)
    def connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        config = self.sdk_configuration if is_resource(self) else self._sdk_config
        refuse_connection(config.__dict__[MARK], f"/{type(self).__name__.lower()}")
        return method(self, *args, **kwargs)

    return connect


def _reserve(resource: Any, request: Any) -> Call | None:
    guarded: Guarded = resource.sdk_configuration.__dict__[MARK]
    try:
        body = json.loads(request.content)
    except Exception:  # a body that streams, a form, none
        body = None
    path = request.url.raw_path.decode("ascii", "replace")
    call = guarded.reserve(request.method, path, body, server_of(request.url))
    if call is not None:
        remember(request, call)
    return call


class _Counting:
    """An HTTP client that tells the call on its way how often it is sent."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def send(self, *args: Any, **kwargs: Any) -> Any:
        call = sending.get()
        if call is None:
            return self._client.send(*args, **kwargs)
        call.sending()
        try:
            made = self._client.send(*args, **kwargs)
        except BaseException as error:
            call.unanswered(error)
            raise
        return _answered(made, call) if inspect.iscoroutine(made) else made


async def _answered(made: Any, call: Call) -> Any:
    try:
        return await made
    except BaseException as error:
        call.unanswered(error)
        raise


__all__ = ["configuration", "cover", "is_resource", "members"]
