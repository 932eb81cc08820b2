"""Agent runs, and the tools that they call."""

from __future__ import annotations

from .bind import bind
from .records import Balance
from .scope import Inside, leave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, TypeVar

    from . import _native
    from ._native import Ambient, Hold, Receipt
    from .guard import Guard

    F = TypeVar("F")


class Run:
    """An agent run: a scope with limits and an `invoke_agent` span. A run started inside it is its child.

    `with guard.run(…) as run:` ends it with the block; `guard.start_run(…)` leaves that to `run.end()`.
    """

    __slots__ = ("__weakref__", "_entered", "_guard", "native")

    def __init__(self, guard: Guard, native: _native.Run) -> None:
        """Of `guard.run(…)` and `guard.start_run(…)`."""
        self.native = native
        self._guard = guard
        self._entered: dict[Ambient, Inside] = {}

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

    def token(self) -> str:
        """The run as one line of text: `guard.resume_run(token)` goes on with it in another process."""
        return self.native.token()

    def headers(self) -> dict[str, str]:
        """The headers with which a request carries the run to a service that works for it: `spendrail-run`, and
        `traceparent` (W3C Trace Context) where spans are made. `guard.resume_run(headers)` reads them there."""
        return self.native.headers()

    def end(self, error_type: str | None = None) -> None:
        """Ends the run: its span closes. Calls that come late still count; no child can be started."""
        self.native.end(error_type)

    def _inside(self) -> Inside:
        return Inside(self._guard.surround_run(self.native), self.native.span)

    def __enter__(self) -> Run:
        ambient = self._guard.surround_run(self.native)
        inside = self._entered[ambient] = Inside(ambient, self.native.span)
        inside.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (inside := leave(self._entered)) is not None:
            inside.__exit__(kind, error, trace)
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
        self._inside: Inside | None = None
        self.hold: Hold | None = None
        self.receipt: Receipt | None = None

    def __enter__(self) -> Tool:
        hold = self.hold = self._run.reserve(**self._call)
        self._inside = Inside(self._run._guard.surround_run(self._run.native), hold.span)
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


def plain_headers(carried: Any) -> Any:
    """Headers as text: servers give them as mappings, as pairs, and as bytes."""
    if isinstance(carried, str):
        return carried
    pairs = carried.items() if hasattr(carried, "items") else carried

    def text(value: Any) -> Any:
        return value.decode("latin-1") if isinstance(value, bytes) else value

    return [[text(name), text(value)] for name, value in pairs]


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
