"""Functions and generators that carry their surroundings into whatever thread or task they run in."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from types import TracebackType
    from typing import Any, Protocol

    class Block(Protocol):
        """A context manager that can be entered again and again."""

        def __enter__(self) -> object: ...

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None: ...


def bind(inside: Callable[[], Block], target: Any) -> Any:
    """`target` with `inside()` entered around it; around each step of a generator, never across a `yield`."""
    import functools
    import inspect

    if inspect.isgenerator(target):
        return _steps(inside, target)
    if inspect.isasyncgen(target):
        return _async_steps(inside, target)
    if inspect.isgeneratorfunction(target):

        @functools.wraps(target)
        def generator(*args: Any, **kwargs: Any) -> Any:
            return _steps(inside, target(*args, **kwargs))

        return generator
    if inspect.isasyncgenfunction(target):

        @functools.wraps(target)
        def async_generator(*args: Any, **kwargs: Any) -> Any:
            return _async_steps(inside, target(*args, **kwargs))

        return async_generator
    if inspect.iscoroutinefunction(target):

        @functools.wraps(target)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with inside():
                return await target(*args, **kwargs)

        return coroutine

    @functools.wraps(target)
    def function(*args: Any, **kwargs: Any) -> Any:
        with inside():
            return target(*args, **kwargs)

    return function


def _steps(inside: Callable[[], Block], steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    step: Callable[[], Any] = lambda: next(steps)  # noqa: E731
    while True:
        try:
            with inside():
                value = step()
        except StopIteration as end:
            return end.value
        try:
            sent = yield value
        except GeneratorExit:
            with inside():
                steps.close()
            raise
        except BaseException as error:
            step = _thrower(steps, error)
        else:
            step = _sender(steps, sent)


def _sender(steps: Generator[Any, Any, Any], value: Any) -> Callable[[], Any]:
    return lambda: steps.send(value)


def _thrower(steps: Generator[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: steps.throw(error)


async def _async_steps(inside: Callable[[], Block], steps: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    step = steps.__anext__()
    while True:
        try:
            with inside():
                value = await step
        except StopAsyncIteration:
            return
        try:
            sent = yield value
        except GeneratorExit:
            with inside():
                await steps.aclose()
            raise
        except BaseException as error:
            step = steps.athrow(error)
        else:
            step = steps.asend(sent)
