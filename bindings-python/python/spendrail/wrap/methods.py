"""Which call a reply came of, for SDKs whose replies do not know the HTTP response that they were made of: whatever a
public method of a client's resource returns, or yields, came of the last request that was made inside it."""

from __future__ import annotations

import functools
import inspect

from ..receipts import remember
from .guarded import MARK, Latest, latest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from typing import Any


def follow(resource: Any, kind: type) -> None:
    """Makes the public methods that `resource` has from `kind` say what their replies came of."""
    for name in dir(kind):
        method = inspect.getattr_static(kind, name)
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        own = resource.__dict__.get(name)  # what the SDK itself has put there stays; what it was copied with does not
        resource.__dict__[name] = followed(method.__get__(resource) if own is None or hasattr(own, MARK) else own)


def followed(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, with its replies remembered."""
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return await _awaited(method(*args, **kwargs), Latest())

        setattr(awaited, MARK, True)
        return awaited

    @functools.wraps(method)
    def called(*args: Any, **kwargs: Any) -> Any:
        box = Latest()
        token = latest.set(box)
        try:
            made = method(*args, **kwargs)
        finally:
            latest.reset(token)
        return _remembered(made, box)

    setattr(called, MARK, True)
    return called


def _remembered(made: Any, box: Latest) -> Any:
    if inspect.iscoroutine(made):
        return _awaited(made, box)
    if inspect.isgenerator(made):
        made = _yielded(made, box)
        remember(made, box)
    elif inspect.isasyncgen(made):
        made = _ayielded(made, box)
        remember(made, box)
    elif box.call is not None:
        remember(made, box.call)
    return made


async def _awaited(made: Awaitable[Any], box: Latest) -> Any:
    token = latest.set(box)
    try:
        reply = await made
    finally:
        latest.reset(token)
    return _remembered(reply, box)


def _yielded(source: Any, box: Latest) -> Iterator[Any]:
    try:
        while True:
            token = latest.set(box)
            try:
                item = next(source)
            except StopIteration:
                return
            finally:
                latest.reset(token)
            if box.call is not None:
                remember(item, box.call)
            yield item
    finally:
        source.close()


async def _ayielded(source: Any, box: Latest) -> AsyncIterator[Any]:
    try:
        while True:
            token = latest.set(box)
            try:
                item = await source.__anext__()
            except StopAsyncIteration:
                return
            finally:
                latest.reset(token)
            if box.call is not None:
                remember(item, box.call)
            yield item
    finally:
        await source.aclose()


__all__ = ["follow", "followed"]
