"""Scopes as blocks. What surrounds a call is one immutable native value in one `ContextVar`: entering a block sets it,
leaving resets it."""

from __future__ import annotations

from . import otel
from ._native import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType
    from typing import Any, TypeVar

    from ._native import Ambient
    from .guard import Guard

    T = TypeVar("T")


class Scope:
    """`with guard.scope(tenant="acme"): …` — the labels of everything inside; also with `async with`."""

    __slots__ = ("_entered", "_guard", "_labels")

    def __init__(self, guard: Guard, labels: dict[str, Any]) -> None:
        """Of `guard.scope(…)`."""
        self._guard = guard
        self._labels = labels
        self._entered: dict[Ambient, Token[Ambient | None]] = {}
        # A label that does not hold is told where it is written, not where the block begins.
        guard.surround(**labels)

    def __enter__(self) -> Scope:
        ambient = self._guard.surround(**self._labels)
        self._entered[ambient] = current.set(ambient)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (token := leave(self._entered)) is not None:
            reset(token)

    async def __aenter__(self) -> Scope:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


class Inside:
    """A block in which `ambient` surrounds every call and `span` is the current one. It is entered once."""

    __slots__ = ("_ambient", "_attached", "_span", "_token")

    def __init__(self, ambient: Ambient | None, span: tuple[int, int, bool] = (0, 0, False)) -> None:
        self._ambient = ambient
        self._span = span
        self._token: Token[Ambient | None] | None = None
        self._attached: otel.Attached | None = None

    def __enter__(self) -> None:
        self._token = current.set(self._ambient)
        self._attached = otel.attach(*self._span) if self._span[1] else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        otel.detach(self._attached)
        if self._token is not None:
            reset(self._token)


def leave(entered: dict[Ambient, T]) -> T | None:
    """What was kept when the innermost of these blocks was entered here. Tasks and threads that share a block find
    their own; where it was left in another context than it was entered in, there is none."""
    at = current.get()
    while at is not None:
        if (kept := entered.pop(at, None)) is not None:
            return kept
        at = at.outer
    return None


def reset(token: Token[Ambient | None]) -> None:
    """Leaves a block. Where it is left in another context than it was entered in (a generator closed elsewhere, an
    async fixture), that context never had the block."""
    try:
        current.reset(token)
    except (ValueError, RuntimeError):
        pass
