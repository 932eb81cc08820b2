"""The private native module: everything here is reached through the package `spendrail`."""

from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, final

from typing_extensions import Self, disjoint_base

from .records import Failure

__version__: str
CODES: dict[str, tuple[str, int]]
"""The core's closed table of codes: code → (kind: denial, input or fault; HTTP status)."""
EVENTS: tuple[str, ...]
"""The kinds of events."""

def simulate(args: dict[str, Any]) -> dict[str, Any]: ...

current: ContextVar[Ambient | None]
"""What surrounds a call."""

@final
class Ambient:
    """What surrounds a call: a scope and perhaps a run."""

    @property
    def scope(self) -> dict[str, Any]: ...
    @property
    def outer(self) -> Ambient | None:
        """What surrounded the block when it was made, of whatever guard."""

@final
class ManualClock:
    """A clock that only moves when told to."""

    def __new__(cls, now: str | None = None) -> Self: ...
    @property
    def now(self) -> str:
        """Where the clock stands, in RFC 3339."""
    def set(self, now: str) -> None:
        """Puts the clock at `now`; it may go back."""
    def advance(self, millis: int) -> None:
        """Moves the clock by so many milliseconds."""

@final
class Denial:
    """A denial; what it says is made when somebody reads it."""

    @property
    def code(self) -> str: ...
    def to_dict(self) -> dict[str, Any]: ...

@final
class Later:
    """A coroutine that makes one call when it is awaited."""

    def __await__(self) -> Later: ...
    def __iter__(self) -> Later: ...
    def __next__(self) -> Any: ...
    def send(self, value: Any) -> Any: ...
    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> Any: ...
    def close(self) -> None: ...

@final
class Usage:
    """Quantities in disjoint buckets, named as the rates of the price catalog: `Usage(input=1180, cache_read=20,
    output=120)`. A bucket that is not named is 0. Errors: `InvalidInput`, code `usage_invalid`."""

    def __new__(cls, **buckets: int) -> Self: ...
    @staticmethod
    def inclusive(
        *,
        input: int,
        output: int = 0,
        cache_read: int = 0,
        cache_write: int = 0,
        reasoning: int = 0,
        **parts: int,
    ) -> Usage:
        """From totals that include their parts, as OpenAI reports them: `input` includes cache reads and writes, audio
        and images, `output` includes `reasoning`, audio and images. Any rate key can be a part; the parts are
        disjoint. Errors: `usage_invalid` with the part that is larger than its total."""
    @property
    def input(self) -> int:
        """Uncached text input."""
    @property
    def cache_read(self) -> int:
        """Input served from a cache."""
    @property
    def cache_write(self) -> int:
        """Input written to a cache, default time to live."""
    @property
    def output(self) -> int:
        """Visible text output."""
    @property
    def output_reasoning(self) -> int:
        """Reasoning output."""
    @property
    def total_input(self) -> int:
        """All input tokens, cache reads and writes included."""
    @property
    def total_output(self) -> int:
        """All output tokens, reasoning included."""
    @property
    def total_tokens(self) -> int:
        """All tokens."""
    def to_dict(self) -> dict[str, int]:
        """The buckets that are not empty."""
    def __getitem__(self, bucket: str, /) -> int:
        """What is in any bucket: `usage["web_search"]`."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class CostLine:
    """The cost of one bucket."""

    @property
    def bucket(self) -> str:
        """What was used: `"cache_read"`."""
    @property
    def quantity(self) -> int:
        """How much is billed: what was used, or the provider's minimum."""
    @property
    def rate(self) -> Decimal:
        """The price of `per` units, in USD."""
    @property
    def per(self) -> int:
        """How many units the rate is for."""
    @property
    def factor(self) -> str:
        """The product of the multipliers that apply."""
    @property
    def amount(self) -> Decimal:
        """The exact amount in USD."""

@final
class Cost:
    """An exact cost, line by line."""

    @property
    def total(self) -> Decimal:
        """The exact total in USD."""
    @property
    def posted_nano_usd(self) -> int:
        """What would be posted, in nano-USD: the total rounded up."""
    @property
    def lines(self) -> tuple[CostLine, ...]:
        """One line per bucket."""
    @property
    def unpriced(self) -> tuple[str, ...]:
        """Buckets that were used and have no rate."""
    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values; amounts exact, as text."""

@final
class Receipt:
    """The result of settling: what was used, what it cost line by line, and what remains."""

    @property
    def id(self) -> str:
        """The hold's id."""
    @property
    def provider(self) -> str | None:
        """The provider, as the catalog names it; `None` for a tool."""
    @property
    def model(self) -> str:
        """The model, as the catalog names it; the tool's name for a tool."""
    @property
    def response_model(self) -> str | None:
        """The model that served, as the provider named it."""
    @property
    def usage(self) -> Usage | None:
        """What was used; `None` if the reply did not say."""
    @property
    def cost(self) -> Decimal:
        """The exact cost in USD, to the last digit."""
    @property
    def lines(self) -> tuple[CostLine, ...]:
        """The cost line by line; the lines add up to the cost."""
    @property
    def posted_nano_usd(self) -> int:
        """What was posted to every budget in USD, in nano-USD: the cost rounded up once. More than the cost where
        something had no rate (see `flags`)."""
    @property
    def reserved_nano_usd(self) -> int:
        """What had been on hold, in nano-USD."""
    @property
    def price_version(self) -> str:
        """The version of the prices that the call was reserved with."""
    @property
    def flags(self) -> tuple[str, ...]:
        """What is remarkable: `estimated`, `over_run`, `late`, `repeated`, `unpriced`, `unknown_model`, `no_usage`…"""
    @property
    def reported_cost(self) -> Decimal | None:
        """What the provider says that it invoices; `None` if it does not say so. It is the cost where the flag
        `reported` is set."""
    @property
    def computed_cost(self) -> Decimal | None:
        """What the catalog makes of the usage, where the cost is what the provider reports."""
    @property
    def computed(self) -> Cost | None:
        """The same line by line."""
    @property
    def repeated(self) -> bool:
        """The same settle was done before; nothing was posted now."""
    @property
    def anomalies(self) -> tuple[tuple[str, str], ...]:
        """Figures of the reply that did not fit the provider's convention, as (rule, detail)."""
    @property
    def remaining(self) -> dict[str, int]:
        """What each account has left: budget → amount in its unit (nano-USD for money)."""
    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values; amounts exact, as text."""

@final
class Hold:
    """Reserved amounts, to be settled once. As a block it is abandoned if the block ends without a settle: its input
    counts as used, the rest follows the expiry policy."""

    @property
    def id(self) -> str:
        """The hold's id."""
    @property
    def held_nano_usd(self) -> int:
        """What is on hold, in nano-USD."""
    @property
    def input_tokens(self) -> int:
        """The worst case of the input, in tokens."""
    @property
    def output_tokens(self) -> int:
        """The worst case of the output, in tokens."""
    @property
    def repeated(self) -> bool:
        """The same call was reserved before with the same id: this is that hold."""
    @property
    def would_deny(self) -> bool:
        """An enforcing mode or budget would have denied."""
    @property
    def failures(self) -> tuple[Failure, ...]:
        """The accounts that the call does not fit on although it was admitted."""
    @property
    def span(self) -> tuple[int, int, bool]:
        """Trace id, span id and the sampler's answer of the call's span; zeros without telemetry."""
    def settle(
        self,
        reply: object = None,
        /,
        *,
        usage: Usage | Mapping[str, int] | None = None,
        cost: str | None = None,
        error_type: str | None = None,
    ) -> Receipt:
        """Replaces the hold by what was used: any provider's reply (an SDK's object, a mapping, its JSON text), a
        `Usage`, or a cost such as `"0.01 USD"`; with nothing, as it was reserved. `error_type` names a failure that
        cost what it cost. Errors: `usage_invalid` (the hold stays open), `hold_closed`, `hold_foreign`."""
    def release(self, error_type: str | None = None) -> None:
        """Gives everything back, because nothing was billed."""
    def detach(self) -> str:
        """Lets the hold outlive this object and this process: `guard.settle(token, reply)`, `guard.release(token)`."""
    def stream(self, api: str | None = None) -> None:
        """The reply will come in pieces, in the events of this API (`"openai_chat"`, `"anthropic_messages"`, …)."""
    def chunk(self, event: object) -> bool:
        """One event of a stream, as a mapping or its JSON text. `True`: it carries nothing but the usage."""
    def lost_attempt(self) -> None:
        """An attempt was sent and got no answer, and the call is sent again: its input counts, whatever the next
        attempt answers."""
    def finish(self) -> Receipt:
        """The stream has ended by itself: settles with what its events said."""
    def close(self) -> Receipt:
        """We closed the stream early: settles what was counted and a margin; the rest is released."""
    def cut(self, error_type: str | None = None) -> Receipt:
        """The connection is gone or timed out: settles what was counted; the rest follows the expiry policy."""
    def abandon(self) -> None:
        """Lets go of the hold as if this object were lost: the input counts, the rest follows the expiry policy."""
    def asettle(
        self,
        reply: object = None,
        /,
        *,
        usage: Usage | Mapping[str, int] | None = None,
        cost: str | None = None,
        error_type: str | None = None,
    ) -> Awaitable[Receipt]:
        """As `settle`."""
    def arelease(self, error_type: str | None = None) -> Awaitable[None]:
        """As `release`."""
    def adetach(self) -> Awaitable[str]:
        """As `detach`."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
    def __aenter__(self) -> Awaitable[Hold]: ...
    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> Awaitable[None]: ...

@final
class Run:
    """The native half of a run."""

    @property
    def id(self) -> str: ...
    @property
    def scope(self) -> dict[str, Any]: ...
    @property
    def spent(self) -> int: ...
    @property
    def remaining(self) -> int | None: ...
    @property
    def span(self) -> tuple[int, int, bool]: ...
    def balances(self) -> list[dict[str, Any]]: ...
    def child(self, options: Mapping[str, Any]) -> Run: ...
    def token(self) -> str: ...
    def headers(self) -> dict[str, str]: ...
    def end(self, error_type: str | None = None) -> None: ...

@final
class Subscription:
    """One listener's queue."""

    def next(self, timeout_ms: int) -> dict[str, Any] | None: ...
    @property
    def ended(self) -> bool: ...

@disjoint_base
class Guard:
    """The native half of a guard."""

    def __new__(cls, setup: dict[str, Any], clock: ManualClock | None = None) -> Self: ...
    def reserve(
        self,
        *,
        provider: str | None = None,
        model: str | None = None,
        input_tokens: int | None = None,
        max_output_tokens: int | None = None,
        choices: int | None = None,
        id: str | None = None,
        tenant: str | None = None,
        user: str | None = None,
        feature: str | None = None,
        agent: str | None = None,
        run: str | None = None,
        session: str | None = None,
        tags: dict[str, str] | None = None,
        tier: str | None = None,
        speed: str | None = None,
        geo: str | None = None,
        region: str | None = None,
        server_tools: Mapping[str, int] | None = None,
        fingerprint: str | None = None,
        server: Mapping[str, Any] | None = None,
        request: Mapping[str, Any] | None = None,
        tool: str | None = None,
        cost: str | None = None,
    ) -> Hold:
        """Reserves the worst case of a call on every account that applies, or on none. Labels that are not given are
        those of the block around. The same `id` again is the same hold. Errors: `Denied`; `InvalidInput`."""
    def check_call(self, **call: Any) -> dict[str, Any]: ...
    def passage(self, method: str, path: str, **call: Any) -> str | None: ...
    def settle(
        self,
        token: str,
        reply: object = None,
        /,
        *,
        usage: Usage | Mapping[str, int] | None = None,
        cost: str | None = None,
    ) -> Receipt:
        """Settles a detached hold by its token; arguments as `hold.settle`. Errors: `token_invalid`, `id_reused`,
        `usage_invalid`."""
    def release(self, token: str) -> None:
        """Releases a detached hold by its token, because nothing was billed."""
    def record(
        self,
        *,
        reply: object = None,
        usage: Usage | Mapping[str, int] | None = None,
        cost: str | None = None,
        at: datetime | str | None = None,
        provider: str | None = None,
        model: str | None = None,
        id: str | None = None,
        tenant: str | None = None,
        user: str | None = None,
        feature: str | None = None,
        agent: str | None = None,
        run: str | None = None,
        session: str | None = None,
        tags: dict[str, str] | None = None,
        tier: str | None = None,
        speed: str | None = None,
        geo: str | None = None,
        region: str | None = None,
        **call: Any,
    ) -> Receipt:
        """Records spend that already happened, at `at` (now if absent). Never denied; `id` is needed."""
    def cost(
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
        tenant: str | None = ...,
        user: str | None = ...,
        feature: str | None = ...,
        agent: str | None = ...,
        session: str | None = ...,
        run: str | None = ...,
        tags: Mapping[str, str | None] | None = ...,
    ) -> Cost:
        """The exact cost of a usage, line by line, under the prices in force; for the labels given and those of the
        block around, where prices are agreed for some scopes only. Errors: `UnknownModel`."""
    def explain_price(
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
    ) -> dict[str, Any]: ...
    def invoke(self, method: str, args: Mapping[str, Any]) -> Any: ...
    def open_run(self, options: dict[str, Any], parent: Run | None = None) -> Run: ...
    def resume_native(self, carried: object) -> Run: ...
    def surround(self, **labels: Any) -> Ambient: ...
    def surround_run(self, run: Run) -> Ambient: ...
    def subscribe(self, kinds: list[str]) -> Subscription: ...
    @property
    def is_traced(self) -> bool:
        """Calls leave spans and metrics."""
