"""Guarded copies of the SDKs' clients.

Adding an SDK: a file with `provider_of(client)` and `copy_of(client)`, and an entry in `_SDKS`. The SDKs here are made
by the same generator and share `client.py`.
"""

from __future__ import annotations

from importlib import import_module

from ..errors import fault
from .client import MARK, Guarded, install

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from ..guard import Guard

    Client = TypeVar("Client")

_SDKS = {"anthropic": "anthropic", "openai": "openai"}


def wrap(guard: Guard, client: Client, provider: str | None, labels: dict[str, Any]) -> Client:
    """A guarded copy of `client`; the client itself if it is guarded by this guard and nothing is new."""
    roots = {kind.__module__.partition(".")[0] for kind in type(client).__mro__}
    sdk = next((name for root, name in _SDKS.items() if root in roots), None)
    if sdk is None or not hasattr(type(client), "request") or not hasattr(type(client), "copy"):
        raise fault(
            {
                "code": "argument_invalid",
                "message": f"`client`: {type(client).__name__} is no client that can be wrapped"
                " (pass one of anthropic or openai; for others, guard.reserve)",
                "field": "client",
                "hint": "pass one of anthropic or openai; for others, guard.reserve",
            }
        )
    known: Guarded | None = client.__dict__.get(MARK)
    if known is not None and known.guard is guard:
        if provider in (None, known.provider) and not labels:
            return client
        provider, labels = provider or known.provider, {**known.labels, **labels}
    guard.surround(**labels)  # a label that does not hold is told here
    module: Any = import_module(f".{sdk}", __name__)
    made: Client = module.copy_of(client)
    install(made, Guarded(guard, provider or module.provider_of(client), labels))
    return made
