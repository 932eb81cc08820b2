"""Clients of the `anthropic` SDK."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PROVIDERS = {"Bedrock": "bedrock", "Vertex": "vertex", "Foundry": "azure", "AWS": "aws", "GoogleCloud": "vertex"}


def provider_of(client: Any) -> str:
    """Who bills: Anthropic, or the platform that the client is for."""
    for kind in type(client).__mro__:
        for word, provider in _PROVIDERS.items():
            if word in kind.__name__:
                return provider
    return "anthropic"


def copy_of(client: Any) -> Any:
    """A copy without the SDK's own gen_ai spans: a wrapped call appears once."""
    options = getattr(client, "open_telemetry", None)
    if options is None:
        return client.copy()
    return client.copy(open_telemetry={**options, "traces": False})
