"""Clients of the `anthropic` SDK."""

from __future__ import annotations

from .client import can_wrap, install
from .guarded import provider_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from .guarded import Guarded

_PROVIDERS = {"Bedrock": "aws", "Vertex": "vertex", "Foundry": "azure", "AWS": "aws", "GoogleCloud": "vertex"}


def provider_of(client: Any, guard: Guard) -> str:
    """Who bills: Anthropic, the platform that the client is for, or whose compatible server it is aimed at."""
    for kind in type(client).__mro__:
        for word, provider in _PROVIDERS.items():
            if word in kind.__name__:
                return provider
    return provider_at(guard, client.base_url) or "anthropic"


def guarded_copy(client: Any, guarded: Guarded) -> Any:
    """A copy without the SDK's own gen_ai spans: a wrapped call appears once."""
    options = getattr(client, "open_telemetry", None)
    quiet = {} if options is None else {"open_telemetry": {**options, "traces": False}}
    return install(client.copy(**quiet), guarded)


__all__ = ["can_wrap", "guarded_copy", "provider_of"]
