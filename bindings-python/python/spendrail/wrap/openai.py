"""Clients of the `openai` SDK."""

from __future__ import annotations

from .client import can_wrap, install
from .guarded import provider_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from .guarded import Guarded


def provider_of(client: Any, guard: Guard) -> str:
    """Who bills. Compatible servers have the same client: the host tells whose it is, else it has to be named,
    `guard.wrap(client, provider="vllm")`."""
    names = {kind.__name__ for kind in type(client).__mro__}
    if any("Azure" in name for name in names):
        return "azure"
    if any("Bedrock" in name for name in names):
        return "aws"
    return provider_at(guard, client.base_url) or "openai"


def guarded_copy(client: Any, guarded: Guarded) -> Any:
    """A copy. This SDK makes no spans of its own."""
    return install(client.copy(), guarded)


__all__ = ["can_wrap", "guarded_copy", "provider_of"]
