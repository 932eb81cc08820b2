"""The guard: what an application holds in its hands."""

from __future__ import annotations

from . import _native, config
from ._native import EVENTS, current
from .bind import bind
from .errors import invalid
from .records import Balance, Decision, Flushed, Page, Reloaded, Stop, ToppedUp
from .run import Run, plain_headers
from .scope import Inside, Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from typing import Any, Literal, TypeVar

    from typing_extensions import Self

    from ._native import Cost, Hold, ManualClock, Receipt, Usage
    from .config import Budget, Limit, RunLimit, Telemetry
    from .explanation import Explanation
    from .statements import Entry

    Client = TypeVar("Client")
    F = TypeVar("F")
    T = TypeVar("T")
    Event = Literal[
        "settled", "denied", "threshold", "over_run", "loop", "stopped", "reloaded", "reload_failed", "cost_differs"
    ]
    Listener = Callable[[dict[str, Any]], object]


class Guard(_native.Guard):
    """Guards the spending of one application.

    From a file (`spendrail.Guard("spendrail.toml")`), in code (`spendrail.Guard(budgets=[…])`), or both: what is
    given in code wins over the file. With neither, `SPENDRAIL_CONFIG` or `spendrail.toml` is read. No thread, file
    watcher or socket starts before the first call.
    """

    __slots__ = ("__dict__",)

    def __new__(
        cls,
        file: str | os.PathLike[str] | None = None,
        *,
        budgets: Iterable[Budget | Mapping[str, Any]] | None = None,
        run_limits: Iterable[RunLimit | Mapping[str, Any]] | None = None,
        stops: Iterable[Mapping[str, Any]] | None = None,
        telemetry: Telemetry | Mapping[str, Any] | None = None,
        prices: str | os.PathLike[str] | Mapping[str, Any] | Iterable[Any] | None = None,
        mode: Literal["enforce", "observe", "off"] | None = None,
        require: Iterable[str] | None = None,
        ledger: Mapping[str, Any] | None = None,
        endpoints: Mapping[str, Any] | None = None,
        policy_version: int | None = None,
        config: Mapping[str, Any] | None = None,
        clock: ManualClock | None = None,
    ) -> Self:
        """`prices` are files, whole price documents, or the keys of `[prices]`; `config` is every other table with
        the keys of the file. Errors: `ConfigError` with field, hint, and file and line where there is one."""
        if config is not None and not hasattr(config, "keys"):
            raise invalid("config", "is not a mapping of tables", "config_invalid")
        tables = {
            **({} if config is None else dict(config)),
            "budgets": None if budgets is None else list(budgets),
            "run_limits": None if run_limits is None else list(run_limits),
            "stops": None if stops is None else list(stops),
            "telemetry": telemetry,
            "mode": mode,
            "ledger": ledger,
            "endpoints": endpoints,
            "policy_version": policy_version,
        }
        if config is not None:
            tables.update({key: config[key] for key in config if tables.get(key) is None})
        return super().__new__(cls, _setup(file, tables, prices, require), clock)

    # -- calls -----------------------------------------------------------------------------------

    def wrap(self, client: Client, *, provider: str | None = None, **scope: Any) -> Client:
        """A guarded copy of an SDK's client: same type, same methods, sync or async. Every billed request is
        reserved before it is sent and settled by its reply; `receipt_of(reply)` tells what it cost. The original is
        untouched. The labels given here belong to the client and win over those of the block around a call.

        Clients: `anthropic`, `openai`, `google.genai`, `mistralai`, `cohere`, and boto3's `bedrock-runtime`.
        `provider` says whose prices apply where the client and its host do not: a compatible server, a proxy.
        Errors: `InvalidInput` for an unknown client.
        """
        from .wrap import wrap

        return wrap(self, client, provider, scope)

    async def areserve(self, **call: Any) -> Hold:
        """As `reserve`; `async with guard.reserve(…)` does the same."""
        return self.reserve(**call)

    def check(self, **call: Any) -> Decision:
        """Would the call be admitted now? Nothing is held, counted or reported. Arguments as `reserve`."""
        return Decision(self.check_call(**call))

    async def acheck(self, **call: Any) -> Decision:
        """As `check`."""
        return self.check(**call)

    async def asettle(
        self, token: str, reply: object = None, /, *, usage: Usage | None = None, cost: str | None = None
    ) -> Receipt:
        """As `settle`."""
        return self.settle(token, reply, usage=usage, cost=cost)

    async def arelease(self, token: str) -> None:
        """As `release`."""
        self.release(token)

    async def arecord(self, **record: Any) -> Receipt:
        """As `record`."""
        return self.record(**record)

    def record_many(self, records: Iterable[Mapping[str, Any]]) -> list[Receipt]:
        """`record` for each; the first that does not hold ends it, and the same records can be given again: what is
        known by its id is not counted twice."""
        return [self.record(**one) for one in _items(records, "records")]

    async def arecord_many(self, records: Iterable[Mapping[str, Any]]) -> list[Receipt]:
        """As `record_many`."""
        return self.record_many(records)

    async def acost(self, model: str, usage: Usage | Mapping[str, int], **context: Any) -> Cost:
        """As `cost`."""
        return self.cost(model, usage, **context)

    def explain(
        self,
        model: str,
        usage: Usage | Mapping[str, int],
        *,
        provider: str | None = None,
        at: datetime | str | None = None,
        tier: str | None = None,
        speed: str | None = None,
        geo: str | None = None,
        region: str | None = None,
        **scope: Any,
    ) -> Explanation:
        """As `cost`, and why: which price entry, which file and line, which period, tier, length, variant and
        multiplier. `print` it. The price files are read again for it. Errors: `UnknownModel`."""
        from .explanation import explanation

        context: dict[str, Any] = {"provider": provider, "at": at, "tier": tier}
        context |= {"speed": speed, "geo": geo, "region": region, **scope}
        return explanation(self.explain_price(model, usage, **context))

    async def aexplain(self, model: str, usage: Usage | Mapping[str, int], **context: Any) -> Explanation:
        """As `explain`, without holding up the event loop."""
        return await _in_thread(lambda: self.explain(model, usage, **context))

    # -- scopes and runs -------------------------------------------------------------------------

    def scope(
        self,
        *,
        tags: Mapping[str, str | None] | None | object = ...,
        **labels: str | None,
    ) -> Scope:
        """The labels of everything inside a block: `tenant`, `user`, `feature`, `agent`, `session`, `tags`. Inner
        replaces, tags merge, `None` clears."""
        given: dict[str, Any] = dict(labels)
        if tags is not ...:
            given["tags"] = tags
        return Scope(self, given)

    def run(self, **options: Any) -> Run:
        """A run for a `with` block: labels, `id`, and limits `max_calls`, `max_tool_calls`, `max_cost`,
        `max_tokens`, `max_depth`, `max_duration`, `max_repeats`. Inside another run it is that run's child."""
        return Run(self, self.open_run(options, None))

    def start_run(self, *, parent: Run | None = None, **options: Any) -> Run:
        """A run beyond a block: `run.bind(…)` and `with run:` put calls into it, `run.end()` ends it. It is a child
        of `parent`, else of the run around, if there is one."""
        return Run(self, self.open_run(options, None if parent is None else parent.native))

    def resume_run(self, carried: str | Mapping[str, Any] | Iterable[tuple[str | bytes, str | bytes]]) -> Run:
        """A run that another process has started, by the headers of a request that carries it (`run.headers()`; names
        in any case, pairs as ASGI gives them too) or by its `token`. Calls in it count on the same accounts, as far as
        the ledger reaches; its end here is not the run's end. Take headers from services that you trust: the token is
        checked for damage, not for forgery, and this guard's own run limits can only tighten it.

        Raises `Error` with code `token_invalid`.
        """
        return Run(self, self.resume_native(plain_headers(carried)))

    def bind(self, target: F) -> F:
        """The function, generator or async generator, with the scope and run of here around every call inside it,
        in whatever thread or task it runs."""
        ambient = current.get()
        bound: F = bind(lambda: Inside(ambient), target)
        return bound

    # -- accounts --------------------------------------------------------------------------------

    def balances(self, budget: str | None = None, *, limit: int = 100, after: str | None = None, **scope: Any) -> Page:
        """The accounts of the current windows with these labels, a page at a time (at most 1,000)."""
        told = self.invoke("balances", {"budget": budget, "limit": limit, "after": after, **scope})
        return Page([Balance(one) for one in told["items"]], told["next"])

    async def abalances(
        self, budget: str | None = None, *, limit: int = 100, after: str | None = None, **scope: Any
    ) -> Page:
        """As `balances`."""
        return self.balances(budget, limit=limit, after=after, **scope)

    def statement(
        self, *, since: datetime | str | None = None, until: datetime | str | None = None, **scope: Any
    ) -> Iterator[Entry]:
        """What was spent, call by call, in the order in which it was settled: settled at or after `since` and before
        `until` (a `datetime` with a time zone, or RFC 3339), with these labels. An estimate that was replaced by an
        exact settle is listed once, as replaced. As many entries are kept as `[ledger] journal` says; without it this
        raises `ConfigError`."""
        from .statements import Entry

        after: int | None = 0
        while after is not None:
            told = self.invoke("statement", {"since": since, "until": until, "after": after, "limit": 1000, **scope})
            yield from map(Entry, told["entries"])
            after = told["next"]

    def top_up(self, budget: str, amount: str, *, id: str | None = None, **scope: Any) -> ToppedUp:
        """Adds to an account, in this window only. The same `id` again changes nothing."""
        return ToppedUp(self.invoke("top_up", {"budget": budget, "amount": amount, "id": id, **scope}))

    async def atop_up(self, budget: str, amount: str, *, id: str | None = None, **scope: Any) -> ToppedUp:
        """As `top_up`."""
        return self.top_up(budget, amount, id=id, **scope)

    def set_limit(self, budget: str, amount: str | None, **scope: Any) -> None:
        """Sets the limit of one account until it is cleared (`None`); it wins over the file."""
        self.invoke("set_limit", {"budget": budget, "amount": amount, **scope})

    async def aset_limit(self, budget: str, amount: str | None, **scope: Any) -> None:
        """As `set_limit`."""
        self.set_limit(budget, amount, **scope)

    def set_limits(self, budget: str, limits: Iterable[Limit | Mapping[str, Any]], *, replace: bool = False) -> int:
        """Sets the limits of many accounts, all or none; `replace` clears what was set before for this budget."""
        plain = [limit.to_dict() if isinstance(limit, config.Limit) else limit for limit in _items(limits, "limits")]
        return int(self.invoke("set_limits", {"budget": budget, "limits": plain, "replace": replace}))

    async def aset_limits(
        self, budget: str, limits: Iterable[Limit | Mapping[str, Any]], *, replace: bool = False
    ) -> int:
        """As `set_limits`."""
        return self.set_limits(budget, limits, replace=replace)

    # -- stops -----------------------------------------------------------------------------------

    def stop(self, *, reason: str | None = None, **scope: Any) -> str:
        """Stops everything with these labels until `resume`; returns the stop's id."""
        return str(self.invoke("stop", {"reason": reason, **scope}))

    async def astop(self, *, reason: str | None = None, **scope: Any) -> str:
        """As `stop`."""
        return self.stop(reason=reason, **scope)

    def resume(self, stop_id: str) -> None:
        """Lifts a stop."""
        self.invoke("resume", {"stop_id": stop_id})

    async def aresume(self, stop_id: str) -> None:
        """As `resume`."""
        self.resume(stop_id)

    def stops(self) -> list[Stop]:
        """The stops in force, those of the file first."""
        return [Stop(one) for one in self.invoke("stops", {})]

    async def astops(self) -> list[Stop]:
        """As `stops`."""
        return self.stops()

    # -- rules, events, life ---------------------------------------------------------------------

    def on(self, event: Event | Iterable[Event], listener: Listener) -> Listener:
        """Calls `listener` with a dict for every event of this kind, on a daemon thread of its own. What it raises
        is logged. A listener that is too slow misses events, never slows a call."""
        from .events import listen

        if not callable(listener):
            raise invalid("listener", "cannot be called")
        kinds: list[str] = [event] if isinstance(event, str) else list(event)
        listen(self.subscribe(kinds), listener)
        return listener

    def reload(self) -> Reloaded:
        """Reads configuration and prices again, now. Errors: `ConfigError`; the last good rules stay in force."""
        return Reloaded(self.invoke("reload", {}))

    async def areload(self) -> Reloaded:
        """As `reload`, without holding up the event loop."""
        return await _in_thread(self.reload)

    def expire_due(self) -> int:
        """Expires the holds that are due; the background thread does it by itself. Returns how many."""
        return int(self.invoke("expire_due", {}))

    @property
    def price_version(self) -> str:
        """The version of the prices in force."""
        return str(self.invoke("price_version", {}))

    def price_report(self) -> dict[str, Any]:
        """What the price files in force brought, file by file: models, what was skipped, rounded and held back (each
        with its count and the first hundred)."""
        return dict(self.invoke("price_report", {}))

    @property
    def warnings(self) -> list[str]:
        """What a person should know about the configuration in force, although it is no error."""
        return list(self.invoke("warnings", {}))

    def flush(self, timeout: float = 2.0) -> Flushed:
        """Exports the telemetry recorded so far; returns at `timeout` seconds at the latest."""
        return Flushed(self.invoke("flush", {"timeout_ms": _millis(timeout)}))

    async def aflush(self, timeout: float = 2.0) -> Flushed:
        """As `flush`, without holding up the event loop."""
        return await _in_thread(self.flush, timeout)

    def close(self, timeout: float = 2.0) -> Flushed:
        """The same, then ends the background thread. Later calls fail with `closed`; open holds can be settled."""
        return Flushed(self.invoke("close", {"timeout_ms": _millis(timeout)}))

    async def aclose(self, timeout: float = 2.0) -> Flushed:
        """As `close`, without holding up the event loop."""
        return await _in_thread(self.close, timeout)


def _items(given: Iterable[T], name: str) -> Iterable[T]:
    """A list of mappings; a text or a mapping itself is a mistake."""
    if isinstance(given, (str, bytes)) or hasattr(given, "keys") or not hasattr(given, "__iter__"):
        raise invalid(name, "is not a list of mappings")
    return given


def _millis(seconds: float) -> int:
    try:
        return int(seconds * 1000.0)
    except (TypeError, ValueError, OverflowError):
        raise invalid("timeout", "is not a number of seconds") from None


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    import asyncio

    return await asyncio.to_thread(function, *args)


_setup = config.setup

__all__ = ["EVENTS", "Guard"]
