"""Whose calls a client makes, and what a request becomes before it is sent: the part that all SDKs share."""

from __future__ import annotations

import json
from contextvars import ContextVar

from .call import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._native import Receipt
    from ..guard import Guard

MARK = "_spendrail"
"""The attribute of a guarded client that holds its `Guarded`."""

sending: ContextVar[Call | None] = ContextVar("spendrail.sending", default=None)
"""The call whose request is on its way: what is sent now belongs to it."""


class Latest:
    """The last call that was made inside a method of a client: what the method returns came of it."""

    __slots__ = ("__weakref__", "call", "outer")

    def __init__(self) -> None:
        """Of a method that is about to run, perhaps inside of another one."""
        self.call: Call | None = None
        self.outer = latest.get()

    @property
    def receipt(self) -> Receipt | None:
        """The receipt of that call."""
        return None if self.call is None else self.call.receipt


latest: ContextVar[Latest | None] = ContextVar("spendrail.latest", default=None)


class Guarded:
    """Whose calls a client makes, and under whose guard."""

    def __init__(self, guard: Guard, provider: str, labels: dict[str, Any]) -> None:
        """Of `guard.wrap(…)`."""
        self.guard = guard
        self.provider = provider
        self.labels = labels

    def reserve(self, method: str, path: str, body: Any, server: dict[str, Any]) -> Call | None:
        """Reserves a request, or finds that there is nothing to reserve. Errors: `Denied`."""
        fields = body if isinstance(body, dict) else {}
        api = self.api_of(method, path, fields, server)
        return None if api is None else self.hold(api, path, fields, server)

    def api_of(self, method: str, path: str, body: dict[str, Any], server: dict[str, Any]) -> str | None:
        """The API of a request that is guarded; `None` for one that may pass. Errors: `Denied`."""
        model = body.get("model")
        named = model if isinstance(model, str) and model else "-"
        return self.guard.passage(method, path, model=named, provider=self.provider, server=server, **self.labels)

    def hold(
        self, api: str, path: str, body: dict[str, Any], server: dict[str, Any], *, hides_usage: bool = False
    ) -> Call:
        """Reserves a request of this API. Errors: `Denied`."""
        request = {"api": api, "path": path, "body": json.dumps(body, default=encode)}
        hold = self.guard.reserve(request=request, provider=self.provider, server=server, **self.labels)
        call = Call(api, hold, hides_usage=hides_usage)
        box = latest.get()
        while box is not None:
            box.call, box = call, box.outer
        return call


def provider_at(guard: Guard, url: Any) -> str | None:
    """Whose server this is, if the catalog knows the host."""
    told = guard.invoke("provider", {"name": server_of(url)["address"]})
    return None if told is None else str(told)


def refuse_connection(guarded: Guarded, path: str) -> None:
    """A connection in which work is ordered cannot be guarded: it is denied unless the policy lets its path pass."""
    about = {"provider": guarded.provider, "path": path, "method": "GET"}
    if guarded.guard.invoke("endpoint", about)["endpoint"] != "allowed":
        guarded.guard.passage("POST", f"{path}/connect", provider=guarded.provider, model="-", **guarded.labels)


def server_of(url: Any) -> dict[str, Any]:
    """Host and port of a URL, as text or as one of httpx."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(str(url))
        return {"address": parts.hostname or "-", "port": parts.port or (80 if parts.scheme == "http" else 443)}
    except ValueError:  # not our mistake to tell: the SDK cannot send to it either
        return {"address": "-", "port": 443}


def encode(value: Any) -> Any:
    """What the SDKs accept in a body beside JSON."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "keys"):
        return dict(value)
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    if hasattr(value, "__iter__") and not hasattr(value, "__next__"):
        return list(value)
    return None if type(value).__name__ in ("NotGiven", "Omit") else str(value)
