"""What Spendrail raises. A denial is an answer, an error is a fault; both carry a stable `code`.

`BY_CODE` is the one table from the core's codes to classes; a test proves that it has every code of the core.
"""

from __future__ import annotations

from ._native import CODES, Denial
from .records import Failure, failures, instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any


class Error(Exception):
    """Everything that Spendrail raises. `code` is stable, the text is not."""

    def __init__(self, told: Mapping[str, Any] | Denial) -> None:
        """From what the core tells."""
        super().__init__()
        self._source = told

    @property
    def _told(self) -> Mapping[str, Any]:
        source = self._source  # read once: several threads may have got this exception
        if isinstance(source, Denial):
            source = self._source = source.to_dict()
        return source

    def __str__(self) -> str:
        return str(self._told["message"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    @property
    def code(self) -> str:
        """The stable, snake_case code."""
        source = self._source
        return source.code if isinstance(source, Denial) else str(source["code"])

    @property
    def field(self) -> str | None:
        """The field at fault, as a path."""
        return self._told.get("field")

    @property
    def hint(self) -> str | None:
        """What to do."""
        return self._told.get("hint")

    @property
    def file(self) -> str | None:
        """The file at fault."""
        return self._told.get("file")

    @property
    def line(self) -> int | None:
        """The line at fault, from 1."""
        return self._told.get("line")

    @property
    def http_status(self) -> int:
        """The HTTP status that a service in front of users would answer with."""
        return CODES[self.code][1]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return dict(self._told)

    def __reduce__(self) -> tuple[type[Error], tuple[dict[str, Any]]]:
        return type(self), (dict(self._told),)


class InvalidInput(Error, ValueError):
    """Bad input: `field` names it, `hint` says what to do."""


class ConfigError(InvalidInput):
    """A configuration or a price file that does not hold: with file, line, key and hint."""


class IdReused(InvalidInput):
    """The same id with other content."""


class LedgerUnavailable(Error):
    """The ledger could not be asked, or has lost accounts."""


class Closed(Error):
    """The guard is closed."""


class Denied(Error):
    """The answer "no": nothing was held and nothing may be sent."""

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Every account that the call does not fit on."""
        return failures(self._told.get("failures", ()))

    @property
    def max_output_tokens(self) -> int | None:
        """The most output tokens with which the call would fit now."""
        return self._told.get("max_output_tokens")

    @property
    def retry_at(self) -> datetime | None:
        """When the call could fit; `None` if waiting alone does not help."""
        return instant(self._told.get("retry_at"))

    @property
    def retry_after(self) -> float | None:
        """Seconds until `retry_at`, from when it was denied."""
        millis = self._told.get("retry_after_ms")
        return None if millis is None else millis / 1000

    @property
    def denied_at(self) -> datetime | None:
        """When it was denied."""
        return instant(self._told.get("denied_at"))

    @property
    def subject(self) -> str | None:
        """What it is about, where no account was the reason: a model, a dimension, a stop, a path."""
        return self._told.get("subject")

    @property
    def http_status(self) -> int:
        """402 budget, 429 rate or concurrent, 403 stopped."""
        return int(self._told.get("http_status", 403))

    def to_problem(self) -> dict[str, Any]:
        """A problem document (RFC 9457) for users: nothing internal, no budget's name, no labels."""
        return dict(self._told["problem"])


class BudgetExceeded(Denied):
    """A budget has not enough left."""


class RateExceeded(BudgetExceeded):
    """A budget in requests, tool calls or concurrent calls is full: try later."""


class RunLimitExceeded(Denied):
    """A limit of the run is reached: calls, tool calls, cost, tokens, depth or duration."""


class LoopDetected(Denied):
    """The same request was made too often in one run."""


class UnknownModel(Denied):
    """No price is known for the model, or several providers sell one of this name."""


class Stopped(Denied):
    """An operator's or a file's stop covers this call."""


BY_CODE: dict[str, type[Error]] = {
    "budget_exceeded": BudgetExceeded,
    "rate_exceeded": RateExceeded,
    "run_limit_exceeded": RunLimitExceeded,
    "loop_detected": LoopDetected,
    "unknown_model": UnknownModel,
    "ambiguous_model": UnknownModel,
    "unpriced_bucket": Denied,
    "unbounded_output": Denied,
    "unbounded_input": Denied,
    "scope_missing": Denied,
    "stopped": Stopped,
    "unguarded_endpoint": Denied,
    "run_closed": Denied,
    "too_many_accounts": Denied,
    "ledger_not_shared": Denied,
    "config_invalid": ConfigError,
    "prices_invalid": ConfigError,
    "amount_invalid": InvalidInput,
    "amount_too_large": InvalidInput,
    "label_invalid": InvalidInput,
    "argument_invalid": InvalidInput,
    "usage_invalid": InvalidInput,
    "id_reused": IdReused,
    "token_invalid": InvalidInput,
    "budget_unknown": InvalidInput,
    "stop_unknown": InvalidInput,
    "too_many_legs": InvalidInput,
    "hold_closed": InvalidInput,
    "ledger_unavailable": LedgerUnavailable,
    "ledger_lost": LedgerUnavailable,
    "closed": Closed,
    "hold_foreign": Error,
    "io": Error,
    "internal": Error,
}


def fault(told: Mapping[str, Any]) -> Error:
    """The exception of a fault. What is bad input elsewhere, or a file that cannot be read, is a bad configuration
    where a guard is made."""
    kind = BY_CODE.get(told["code"], Error)
    if told.get("config") and (CODES[told["code"]][0] == "input" or told["code"] == "io"):
        kind = ConfigError
    if issubclass(kind, Denied):
        # A price that is not known is a denial of a call; asked for in another way, it has no account and no time.
        status = CODES[told["code"]][1]
        problem = {"type": "about:blank", "title": "This request is not allowed", "status": status}
        told = {**told, "http_status": status, "problem": {**problem, "code": told["code"]}}
    return kind(told)


def invalid(field: str, message: str, code: str = "argument_invalid") -> Error:
    """The exception of an argument that cannot be passed on to the core."""
    return BY_CODE[code]({"code": code, "message": f"`{field}`: {message}", "field": field})


def denied(told: Mapping[str, Any] | Denial) -> Denied:
    """The exception of a denial."""
    kind = BY_CODE.get(told.code if isinstance(told, Denial) else told["code"], Denied)
    return kind(told) if issubclass(kind, Denied) else Denied(told)
