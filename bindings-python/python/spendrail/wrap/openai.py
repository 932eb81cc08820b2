"""Clients of the `openai` SDK."""

from __future__ import annotations

from .client import can_wrap, install

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .guarded import Guarded


def provider_of(client: Any) -> str:
    """Who bills. A compatible server has to be named: `guard.wrap(client, provider="groq")`."""
    names = {kind.__name__ for kind in type(client).__mro__}
    if any("Azure" in name for name in names):
        return "azure"
    return "aws" if any("Bedrock" in name for name in names) else "openai"


def guarded_copy(client: Any, guarded: Guarded) -> Any:
    """A copy. This SDK makes no spans of its own."""
    return install(client.copy(), guarded)


__all__ = ["can_wrap", "guarded_copy", "provider_of"]
