"""Listeners: one daemon thread each, on which nothing of the core waits."""

from __future__ import annotations

import atexit
import logging
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._native import Subscription

WAIT_MS = 50
"""How long the thread may be inside native code: a thread must not be there when the interpreter goes."""

_leaving = threading.Event()
_threads: list[threading.Thread] = []
_log = logging.getLogger("spendrail")


def listen(subscription: Subscription, listener: Callable[[dict[str, Any]], object]) -> None:
    """Calls `listener` for every event, until the guard or the process ends."""
    thread = threading.Thread(target=_deliver, args=(subscription, listener), name="spendrail-events", daemon=True)
    if not _threads:
        atexit.register(_leave)
    _threads.append(thread)
    thread.start()


def _deliver(subscription: Subscription, listener: Callable[[dict[str, Any]], object]) -> None:
    while not (_leaving.is_set() or subscription.ended):
        event = subscription.next(WAIT_MS)
        if event is not None:
            try:
                listener(event)
            except Exception:
                _log.exception("a listener of %r failed", event.get("event"))


def _leave() -> None:
    _leaving.set()
    for thread in _threads:
        thread.join(1.0)
