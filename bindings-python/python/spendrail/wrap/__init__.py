"""Guarded copies of the SDKs' clients."""

from __future__ import annotations

from ..errors import fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from ..guard import Guard

    Client = TypeVar("Client")


def wrap(guard: Guard, client: Client, provider: str | None, scope: dict[str, Any]) -> Client:
    """A guarded copy of `client`."""
    raise fault({"code": "argument_invalid", "message": "is no client that can be wrapped", "field": "client"})
