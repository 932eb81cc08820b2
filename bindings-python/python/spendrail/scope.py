"""Scopes and runs as blocks, and what else carries them: bound functions and generators.

What surrounds a call is one immutable native value in one `ContextVar`; entering a block sets it, leaving resets it.
"""

from __future__ import annotations

from . import otel
from ._native import current
from .records import Balance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping
    from contextvars import Token
    from types import TracebackType
    from typing import Any, Protocol, TypeVar

    from . import _native
    from ._native import Ambient, Hold, Receipt
    from .guard import Guard

    F = TypeVar("F")

    class Block(Protocol):
        """A context manager that can be entered again and again."""

        def __enter__(self) -> object: ...

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None: ...


class _Inside:
    """A block in which `ambient` surrounds every call and `span` is the current one. Can be entered again."""

    __slots__ = ("_ambient", "_entered", "_span")

    def __init__(self, ambient: Ambient | None, span: tuple[int, int, bool] = (0, 0, False)) -> None:
        self._ambient = ambient
        self._span = span
        self._entered: list[tuple[Token[Ambient | None], otel.Attached | None]] = []

    def __enter__(self) -> None:
        token = current.set(self._ambient)
        self._entered.append((token, otel.attach(*self._span) if self._span[1] else None))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token, attached = self._entered.pop()
        otel.detach(attached)
        reset(token)


def reset(token: Token[Ambient | None]) -> None:
    """Leaves a block. Where it is left in another context than it was entered in (a generator closed elsewhere, an
    async fixture), that context never had the block."""
    try:
        current.reset(token)
    except (ValueError, RuntimeError):
        pass


class Scope:
    """`with guard.scope(tenant="acme"): …` — the labels of everything inside; also with `async with`."""

    __slots__ = ("_entered", "_guard", "_labels")

    def __init__(self, guard: Guard, labels: dict[str, Any]) -> None:
        """Of `guard.scope(…)`."""
        self._guard = guard
        self._labels = labels
        self._entered: list[Token[Ambient | None]] = []
        # A label that does not hold is told where it is written, not where the block begins.
        guard.surround(**labels)

    def __enter__(self) -> Scope:
        self._entered.append(current.set(self._guard.surround(**self._labels)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        reset(self._entered.pop())

    async def __aenter__(self) -> Scope:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


class Run:
    """An agent run: a scope with limits and an `invoke_agent` span. A run started inside it is its child.

    `with guard.run(…) as run:` ends it with the block; `guard.start_run(…)` leaves that to `run.end()`.
    """

    __slots__ = ("__weakref__", "_entered", "_guard", "native")

    def __init__(self, guard: Guard, native: _native.Run) -> None:
        """Of `guard.run(…)` and `guard.start_run(…)`."""
        self.native = native
        self._guard = guard
        self._entered: list[_Inside] = []

    @property
    def id(self) -> str:
        """The run's id."""
        return self.native.id

    @property
    def spent(self) -> int:
        """What the run and its child runs have spent, in nano-USD."""
        return self.native.spent

    @property
    def remaining(self) -> int | None:
        """What the run may still spend, in nano-USD; `None` without a limit on cost."""
        return self.native.remaining

    def balances(self) -> list[Balance]:
        """The accounts of the run's own limits: calls, tool calls, tokens, cost, as far as there are limits."""
        return [Balance(told) for told in self.native.balances()]

    def reserve(self, **call: Any) -> Hold:
        """As `guard.reserve`, in this run wherever it is called."""
        with self._inside():
            return self._guard.reserve(**call)

    async def areserve(self, **call: Any) -> Hold:
        """As `reserve`."""
        return self.reserve(**call)

    def tool(
        self, name: str, args: object = None, *, cost: str | None = None, id: str | None = None, **labels: Any
    ) -> Tool:
        """A call of a client-side tool: `with run.tool("search", args, cost="0.01 USD"): …`. `args` are never
        recorded; they are hashed, for the detector of repeats."""
        call: dict[str, Any] = {"tool": name, "cost": cost, "id": id, **labels}
        if args is not None:
            call["fingerprint"] = fingerprint(name, args)
        return Tool(self, call)

    def child(self, **options: Any) -> Run:
        """A run of a sub-agent: what it uses counts on this run too. Arguments as `guard.run`."""
        with self._inside():
            return Run(self._guard, self._guard.open_run(options, self.native))

    def bind(self, target: F) -> F:
        """The function, generator or async generator, with every call inside it made in this run, in whatever
        thread or task it runs."""
        bound: F = bind(self._inside, target)
        return bound

    def end(self, error_type: str | None = None) -> None:
        """Ends the run: its span closes. Calls that come late still count; no child can be started."""
        self.native.end(error_type)

    def _inside(self) -> _Inside:
        return _Inside(self._guard.surround_run(self.native), self.native.span)

    def __enter__(self) -> Run:
        inside = self._inside()
        inside.__enter__()
        self._entered.append(inside)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.pop().__exit__(kind, error, trace)
        self.end(None if error is None else error_type(error))

    async def __aenter__(self) -> Run:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"<Run {self.id}>"


class Tool:
    """One call of a tool: reserved on entering the block, settled as reserved on leaving it, also by an exception."""

    __slots__ = ("_call", "_inside", "_run", "hold", "receipt")

    def __init__(self, run: Run, call: dict[str, Any]) -> None:
        """Of `run.tool(…)`."""
        self._run = run
        self._call = call
        self._inside: _Inside | None = None
        self.hold: Hold | None = None
        self.receipt: Receipt | None = None

    def __enter__(self) -> Tool:
        hold = self.hold = self._run.reserve(**self._call)
        self._inside = _Inside(self._run._guard.surround_run(self._run.native), hold.span)
        self._inside.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._inside is not None:
            self._inside.__exit__(kind, error, trace)
        if self.hold is not None:
            self.receipt = self.hold.settle(error_type=None if error is None else error_type(error))

    async def __aenter__(self) -> Tool:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def error_type(error: BaseException) -> str:
    """The low-cardinality name of a failure, for telemetry."""
    from .errors import Error

    return error.code if isinstance(error, Error) else type(error).__name__


def fingerprint(name: str, args: object) -> str:
    """What makes a tool call the same as another one: its name and its arguments."""
    import json

    try:
        text = json.dumps(args, sort_keys=True, default=repr)
    except (TypeError, ValueError):
        text = repr(args)
    return f"{name}\n{text}"


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


def labels_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The labels among keyword arguments."""
    return {key: value for key, value in given.items() if value is not None}
