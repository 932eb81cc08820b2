"""Clients of the `openai` SDK."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def provider_of(client: Any) -> str:
    """Who bills. A compatible server has to be named: `guard.wrap(client, provider="groq")`."""
    names = {kind.__name__ for kind in type(client).__mro__}
    if any("Azure" in name for name in names):
        return "azure"
    return "bedrock" if any("Bedrock" in name for name in names) else "openai"


def copy_of(client: Any) -> Any:
    """A copy. This SDK makes no spans of its own."""
    return client.copy()
