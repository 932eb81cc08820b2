"""Scopes as blocks. What surrounds a call is one immutable native value in one `ContextVar`: entering a block sets it,
leaving resets it."""

from __future__ import annotations

from . import otel
from ._native import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType
    from typing import Any

    from ._native import Ambient
    from .guard import Guard


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


class Inside:
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
