"""Clients of the `mistralai` SDK: sync and async are methods of one client."""

from __future__ import annotations

from . import speakeasy
from .disguise import copy_of, disguised
from .guarded import MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from .guarded import Guarded

_PROVIDERS = {"MistralAzure": "azure", "MistralGCP": "vertex"}


def can_wrap(client: Any) -> bool:
    """A client, not one of its resources."""
    return type(client).__name__.startswith("Mistral") and hasattr(client, "sdk_configuration")


def provider_of(client: Any, guard: Guard) -> str:
    """Who bills: Mistral, or the platform that the client is for."""
    return _PROVIDERS.get(type(client).__name__, "mistral")


def guarded_copy(client: Any, guarded: Guarded) -> Any:
    """A copy with resources of its own. It shares the original's connections and keeps it alive: an original that is
    collected closes them."""
    made = copy_of(client)
    for name, value in client.__dict__.items():
        if speakeasy.is_resource(value) and value is not client:
            del made.__dict__[name]  # made again when it is asked for
    made.sdk_configuration = speakeasy.configuration(client.sdk_configuration, guarded)
    made.sdk_configuration.__dict__["_spendrail_original"] = client
    made.__dict__.update({MARK: guarded, "parent_ref": made})
    made.__class__ = disguised(type(client), speakeasy.members)
    return made


__all__ = ["can_wrap", "guarded_copy", "provider_of"]
