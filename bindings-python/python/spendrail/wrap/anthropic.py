"""Clients of the `anthropic` SDK."""

from __future__ import annotations

from .client import can_wrap, install

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .guarded import Guarded

_PROVIDERS = {"Bedrock": "aws", "Vertex": "vertex", "Foundry": "azure", "AWS": "aws", "GoogleCloud": "vertex"}


def provider_of(client: Any) -> str:
    """Who bills: Anthropic, or the platform that the client is for."""
    for kind in type(client).__mro__:
        for word, provider in _PROVIDERS.items():
            if word in kind.__name__:
                return provider
    return "anthropic"


def guarded_copy(client: Any, guarded: Guarded) -> Any:
    """A copy without the SDK's own gen_ai spans: a wrapped call appears once."""
    options = getattr(client, "open_telemetry", None)
    quiet = {} if options is None else {"open_telemetry": {**options, "traces": False}}
    return install(client.copy(**quiet), guarded)


__all__ = ["can_wrap", "guarded_copy", "provider_of"]
