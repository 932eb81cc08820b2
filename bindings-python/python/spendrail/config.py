"""A guard's configuration in code: the same words as in the file, one class per table. Nothing has a default here:
what is left out is the core's to decide."""

from __future__ import annotations

from .errors import invalid
from .records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from typing import Any


class _Table(Record):
    """A table of the configuration: what is `None` is left out."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """As the file has it."""
        return {name: value for name, value in super().to_dict().items() if value is not None}


class Budget(_Table):
    """Which calls (`match`), one account per what (`per`), how much (`limit`) per `window`, how enforced."""

    __slots__ = (
        "alerts",
        "carry",
        "enforce",
        "limit",
        "match",
        "name",
        "on_exceed",
        "overrides",
        "per",
        "release_cap",
        "starts_on",
        "timezone",
        "week_starts",
        "window",
    )

    def __init__(
        self,
        name: str,
        *,
        limit: str,
        window: str | None = None,
        per: Iterable[str] | None = None,
        match: Mapping[str, str] | None = None,
        timezone: str | None = None,
        week_starts: str | None = None,
        starts_on: int | str | None = None,
        enforce: str | None = None,
        release_cap: str | None = None,
        carry: str | None = None,
        alerts: Iterable[str] | None = None,
        on_exceed: str | Mapping[str, Any] | None = None,
        overrides: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """`limit` is an amount with its unit, such as `"50 USD"` or `"2_000_000 tokens"`."""
        self.name, self.limit, self.window = name, limit, window
        self.per = _listed(per)
        self.match, self.timezone, self.week_starts, self.starts_on = match, timezone, week_starts, starts_on
        self.enforce, self.release_cap, self.carry = enforce, release_cap, carry
        self.alerts = _listed(alerts)
        self.on_exceed = on_exceed
        self.overrides = _listed(overrides)


class RunLimit(_Table):
    """Bounds on the runs that `match`; the first entry that matches counts."""

    __slots__ = (
        "enforce",
        "grace_calls",
        "loops",
        "match",
        "max_calls",
        "max_cost",
        "max_depth",
        "max_duration",
        "max_tokens",
        "max_tool_calls",
    )

    def __init__(
        self,
        *,
        match: Mapping[str, str] | None = None,
        enforce: str | None = None,
        max_calls: int | None = None,
        max_tool_calls: int | None = None,
        max_cost: str | None = None,
        max_tokens: int | None = None,
        max_depth: int | None = None,
        max_duration: str | None = None,
        grace_calls: int | None = None,
        loops: Mapping[str, Any] | None = None,
    ) -> None:
        """Amounts and durations are texts with units: `"2 USD"`, `"10m"`."""
        self.match, self.enforce = match, enforce
        self.max_calls, self.max_tool_calls, self.max_depth = max_calls, max_tool_calls, max_depth
        self.max_cost, self.max_tokens, self.max_duration = max_cost, max_tokens, max_duration
        self.grace_calls, self.loops = grace_calls, loops


class Telemetry(_Table):
    """Where telemetry goes and what it carries; the standard `OTEL_*` variables win."""

    __slots__ = (
        "conventions",
        "endpoint",
        "hash",
        "hash_key",
        "headers",
        "metric_attributes",
        "mode",
        "protocol",
        "service_name",
    )

    def __init__(
        self,
        *,
        mode: str | None = None,
        endpoint: str | None = None,
        protocol: str | None = None,
        headers: Mapping[str, str] | None = None,
        service_name: str | None = None,
        conventions: str | None = None,
        metric_attributes: Iterable[str] | None = None,
        hash: Iterable[str] | None = None,
        hash_key: str | None = None,
    ) -> None:
        """`mode` is auto, native or off."""
        self.mode, self.endpoint, self.protocol, self.headers = mode, endpoint, protocol, headers
        self.service_name, self.conventions, self.hash_key = service_name, conventions, hash_key
        self.metric_attributes = _listed(metric_attributes)
        self.hash = _listed(hash)


class Limit(_Table):
    """The limit of one account: every dimension of the budget's `per`; a missing one is its own value."""

    __slots__ = ("agent", "amount", "feature", "run", "session", "tags", "tenant", "timezone", "user")

    def __init__(
        self,
        amount: str | None,
        *,
        timezone: str | None = None,
        tenant: str | None = None,
        user: str | None = None,
        feature: str | None = None,
        agent: str | None = None,
        run: str | None = None,
        session: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """`amount` is a text with its unit; `None` with no time zone clears what was set."""
        self.amount, self.timezone, self.tenant, self.user = amount, timezone, tenant, user
        self.feature, self.agent, self.run, self.session, self.tags = feature, agent, run, session, tags


def setup(
    file: str | os.PathLike[str] | None,
    tables: Mapping[str, Any],
    prices: Any,
    require: Iterable[str] | None,
) -> dict[str, Any]:
    """What the native guard is made from: a file, values over it, and price texts."""
    values = {key: _plain(value) for key, value in tables.items() if value is not None}
    if require is not None:
        values["scope"] = {"require": _listed(require)}
    texts: list[dict[str, str]] = []
    if prices is not None:
        files: list[str] = []
        several = hasattr(prices, "__iter__") and not isinstance(prices, (str, bytes)) and not hasattr(prices, "keys")
        for one in prices if several else [prices]:
            _add_prices(one, files, texts, values)
        if files:
            values.setdefault("prices", {})["files"] = files
    made: dict[str, Any] = {}
    if file is not None:
        made["file"] = _path(file, "file", "is no path (what is given in code goes to `config`)")
    if values or texts:
        # Values in code are a configuration of their own, even where they are only prices.
        made["config"] = values
    if texts:
        made["prices"] = texts
    return made


def _add_prices(one: Any, files: list[str], texts: list[dict[str, str]], values: dict[str, Any]) -> None:
    """A file's name, a whole price document, or the keys of `[prices]`."""
    if not hasattr(one, "keys"):
        files.append(_path(one, "prices", "is neither a path nor a table"))
    elif "catalog" in one:
        import json

        texts.append({"name": f"prices[{len(texts)}]", "text": json.dumps(dict(one))})
    else:
        values.setdefault("prices", {}).update(one)


def _path(value: Any, name: str, why: str) -> str:
    import os

    try:
        return os.fsdecode(value)
    except TypeError:
        raise invalid(name, why, "config_invalid") from None


def _listed(value: Any) -> Any:
    """A list; a text stays one, and what is none is left to the core, which says so."""
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, (str, bytes)) else value


def _plain(value: Any) -> Any:
    if isinstance(value, _Table):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
