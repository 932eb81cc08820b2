"""Amounts, durations and labels: read, checked, exact. Money is a whole number of nano-USD in the ledger."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

NANO = 10**9
ATTO = 10**18
LIMIT_MAX = 2**60
OPERATION_MAX = 2**52
QUANTITY_MAX = 2**40
LABEL_BYTES_MAX = 256
TAGS_MAX = 16

USD, TOKENS, INPUT, OUTPUT = "USD", "tokens", "input tokens", "output tokens"
REQUESTS, TOOL_CALLS, CONCURRENT = "requests", "tool calls", "concurrent"
UNITS = {
    USD: USD, "tokens": TOKENS, "token": TOKENS,
    "input tokens": INPUT, "input token": INPUT, "output tokens": OUTPUT, "output token": OUTPUT,
    "requests": REQUESTS, "request": REQUESTS, "tool calls": TOOL_CALLS, "tool call": TOOL_CALLS,
    "concurrent": CONCURRENT,
}  # fmt: skip


class Fault(Exception):
    """Bad input or a broken file: a code of the closed table, and the field at fault."""

    def __init__(self, code: str, place: str | None = None) -> None:
        super().__init__(f"{code} at {place}")
        self.code, self.place = code, place


@dataclass
class Denial(Exception):
    """The answer "no"."""

    code: str
    failures: list[dict[str, Any]] = field(default_factory=list)
    retry_at: str | None = None
    max_output_tokens: int | None = None

    def answer(self) -> dict[str, Any]:
        """As a story shows it."""
        return {
            "code": self.code,
            "failures": self.failures,
            "retry_at": self.retry_at,
            "max_output_tokens": self.max_output_tokens,
        }


def amount(text: Any, place: str) -> tuple[str, int]:
    """Unit and value of ``"0.50 USD"`` or ``"50 requests"``."""
    if not isinstance(text, str) or len(text) > 200:
        raise Fault("amount_invalid", place)
    number, _, unit = text.strip().partition(" ")
    unit = UNITS.get(" ".join(unit.split()), "")
    if not unit or not re.fullmatch(r"[0-9_]+(\.[0-9]+)?", number):
        raise Fault("amount_invalid", place)
    value = Fraction(number.replace("_", "")) * (NANO if unit == USD else 1)
    if value.denominator != 1:
        raise Fault("amount_invalid", place)
    if value > LIMIT_MAX:
        raise Fault("amount_too_large", place)
    return unit, int(value)


def usd_exact(text: Any, place: str) -> Fraction:
    """USD of ``"31.20 USD"``, or of a bare decimal such as a rate."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,18})?( USD)?", text):
        raise Fault("amount_invalid", place)
    return Fraction(text.removesuffix(" USD"))


def duration_ms(text: Any, place: str) -> int:
    """Milliseconds of ``"60s"``."""
    found = re.fullmatch(r"([0-9]{1,9})(ms|s|m|min|h|d)", text) if isinstance(text, str) else None
    if not found:
        raise Fault("argument_invalid", place)
    per = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
    return int(found[1]) * per[found[2]]


def label(value: Any, place: str) -> str:
    """A label that is text, not empty and at most 256 bytes."""
    if not isinstance(value, str):
        raise Fault("argument_invalid", place)
    if not value or len(value.encode()) > LABEL_BYTES_MAX:
        raise Fault("label_invalid", place)
    return value


def whole(value: Any, place: str, code: str = "argument_invalid") -> int:
    """A whole number that is not negative. A float or a bool is not one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Fault(code, place)
    return value


def posted(cost: Fraction) -> int:
    """Nano-USD, rounded up once."""
    return -((-cost * NANO) // 1)


def line(exact: Fraction) -> Fraction:
    """One line of a cost: rounded half-even once to 10^-18 USD."""
    return Fraction(round(exact * ATTO), ATTO)


def shown(cost: Fraction) -> str:
    """A cost in full, without trailing zeros."""
    digits = f"{int(cost * ATTO):019d}"
    text = f"{digits[:-18]}.{digits[-18:]}".rstrip("0").rstrip(".")
    return text
