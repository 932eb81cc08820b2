"""Guarded copies of the SDKs' clients.

Adding an SDK: a file with `can_wrap(client)`, `provider_of(client, guard)` and `guarded_copy(client, guarded)`, and an
entry in `_SDKS`. What SDKs have in common is in `guarded.py` (reserving), `call.py` (settling), `tap.py` (streams) and
`methods.py` (whose receipt a reply has); `client.py` and `speakeasy.py` are what SDKs of the same generator share.
"""

from __future__ import annotations

from importlib import import_module

from ..errors import fault, invalid
from .guarded import MARK, Guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from ..guard import Guard

    Client = TypeVar("Client")

_SDKS = {
    "anthropic": "anthropic",
    "openai": "openai",
    "botocore.client": "bedrock",
    "google.genai.client": "google",
    "mistralai": "mistral",
    "cohere": "cohere",
}
"""The module that a client's class is from, and the file that wraps it."""
_NAMES = "anthropic, openai, google-genai, mistralai, cohere or boto3"


def wrap(guard: Guard, client: Client, provider: str | None, labels: dict[str, Any]) -> Client:
    """A guarded copy of `client`; the client itself if it is guarded by this guard and nothing is new."""
    known: Guarded | None = getattr(client, "__dict__", {}).get(MARK)
    if known is not None and known.guard is not guard:
        why = "is guarded by another guard, whose budgets would be left out: wrap the client that it was made of"
        raise invalid("client", why)
    if known is not None:
        if provider in (None, known.provider) and not labels:
            return client
        provider, labels = provider or known.provider, {**known.labels, **labels}
    module: Any = _sdk_of(client)
    guard.surround(**labels)  # a label that does not hold is told here
    made: Client = module.guarded_copy(client, Guarded(guard, provider or module.provider_of(client, guard), labels))
    return made


def _sdk_of(client: object) -> Any:
    """The file that wraps this kind of client. Errors: `InvalidInput` if there is none."""
    places = [f"{kind.__module__}." for kind in type(client).__mro__]
    for root, name in _SDKS.items():
        if any(place.startswith(f"{root}.") for place in places):
            module = import_module(f".{name}", __name__)
            if module.can_wrap(client):
                return module
    raise fault(
        {
            "code": "argument_invalid",
            "message": f"`client`: {type(client).__name__} is no client that can be wrapped"
            f" (pass one of {_NAMES}; for others, guard.reserve)",
            "field": "client",
            "hint": f"pass one of {_NAMES}; for others, guard.reserve",
        }
    )
