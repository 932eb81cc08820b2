"""Objects of an SDK that behave a little differently and are still what they were: of a subclass of their own class
that has its name. Copies that share what the original holds."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_DISGUISE = "_spendrail_disguise"
_kinds: dict[tuple[type, Callable[[Any], dict[str, Any]]], type] = {}


def disguised(kind: Any, members: Callable[[Any], dict[str, Any]]) -> Any:
    """The subclass of `kind` with what `members(kind)` gives; the same one every time. One that is disguised already
    gets no second disguise."""
    if is_disguised(kind):
        return kind
    if (made := _kinds.get((kind, members))) is None:
        own = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
        own.update(members(kind), **{_DISGUISE: True})
        # Two threads may make one at once: what the first puts there is the one.
        made = _kinds.setdefault((kind, members), type(kind.__name__, (kind,), own))
    return made


def is_disguised(kind: type) -> bool:
    """Whether a class is one of ours."""
    return _DISGUISE in vars(kind)


def copy_of(one: Any) -> Any:
    """A copy that nobody's `__init__` or `__getattr__` had a part in."""
    kind: Any = type(one)
    made = kind.__new__(kind)
    made.__dict__.update(one.__dict__)
    return made
