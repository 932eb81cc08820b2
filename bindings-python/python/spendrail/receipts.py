"""Which receipt belongs to which reply. Replies are the SDKs' own objects and stay as they are: what is known of them
is kept beside them, as long as they live."""

from __future__ import annotations

import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from ._native import Receipt

    class Settled(Protocol):
        """What will have a receipt: a call in flight or over."""

        @property
        def receipt(self) -> Receipt | None: ...


_known: dict[int, tuple[weakref.ref[Any], Settled]] = {}


def remember(reply: object, call: Settled) -> None:
    """`reply` came of `call`. Replies need not be hashable, and what cannot be referred to weakly has no receipt."""
    key = id(reply)

    def forget(_: object, key: int = key) -> None:
        _known.pop(key, None)

    try:
        _known[key] = weakref.ref(reply, forget), call
    except TypeError:
        pass


def call_of(reply: object) -> Settled | None:
    """The call that a reply came of."""
    found = _known.get(id(reply))
    return found[1] if found is not None and found[0]() is reply else None


def receipt_of(reply: object) -> Receipt | None:
    """The receipt of a reply of a wrapped client; of a stream, once it is finished or closed. `None` for anything
    else, and as long as a stream is open."""
    for place in (
        reply,
        *(getattr(reply, name, None) for name in ("http_response", "response", "_response")),
    ):
        if place is not None and (call := call_of(place)) is not None:
            return call.receipt
    return None
