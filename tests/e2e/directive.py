"""What a test asks of the local provider: a directive, given in a request header or inside the prompt.

    x-provider-script: fault=429 times=1
    messages=[{"role": "user", "content": "Hello <<provider: output=30 cache_read=100>>"}]

The header wins. An unknown key or a value of the wrong kind is refused (HTTP 400), so that a typo
cannot turn a test into one that passes for nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Final

HEADER: Final = "x-provider-script"
IN_PROMPT: Final = re.compile(r"<<provider:([^<>]*)>>")

FAULTS: Final = frozenset(
    {
        "429",  # rate limit, with retry-after
        "quota",  # OpenAI's insufficient_quota (429 that is not worth a retry)
        "401",
        "500",
        "503",
        "529",  # Anthropic's overloaded
        "hang",  # no answer until the caller gives up; in a stream: after `after` events
        "truncate",  # a well-formed HTTP reply that ends early: half a JSON body, or a stream without its end
        "cut",  # the connection is reset in the middle of the body
        "error_event",  # a stream that says `error` in mid-course
        "no_usage",  # a complete reply that does not say what was used
    }
)


class DirectiveError(ValueError):
    """The directive cannot be understood; the message says which part."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One request's script. Token counts replace what the provider would have counted itself."""

    fault: str = ""
    times: int = 0
    """The fault hits only the first `times` requests with this key and this directive; 0 = always."""
    after: int = 3
    """Events of a stream that are sent before the fault."""
    retry_after: int = 0
    """Seconds in the `retry-after` header of a 429, 503 or 529."""
    delay_ms: int = 0
    """Pause before a plain reply, and before each event of a stream."""
    input: int = -1
    """Uncached input tokens; -1 = counted from the prompt."""
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = -1
    """Visible output tokens; -1 = the default answer's."""
    reasoning: int = 0
    web_search: int = 0
    tool: str = ""
    """Ask for this tool (it must be offered) until `rounds` tool results are in the conversation."""
    rounds: int = 1
    """How many tool results make the model answer in text; -1 = never."""


_KINDS: Final = {field.name: str(field.type) for field in fields(Directive)}


def parse(text: str) -> Directive:
    """Reads `key=value` pairs separated by blanks. Errors: `DirectiveError`."""
    values: dict[str, str | int] = {}
    for part in text.split():
        key, equals, value = part.partition("=")
        if not equals or key not in _KINDS:
            raise DirectiveError(f"unknown directive {part!r}; known: {', '.join(sorted(_KINDS))}")
        if _KINDS[key] == "int":
            try:
                values[key] = int(value)
            except ValueError:
                raise DirectiveError(f"{key} needs a whole number, not {value!r}") from None
        else:
            values[key] = value
    directive = Directive(**values)  # type: ignore[arg-type]
    if directive.fault and directive.fault not in FAULTS:
        raise DirectiveError(f"unknown fault {directive.fault!r}; known: {', '.join(sorted(FAULTS))}")
    return directive


def find(header: str | None, texts: list[str]) -> tuple[str, Directive]:
    """The directive of a request, as text and parsed: the header's, else the last one in the prompt."""
    if header is not None:
        return header, parse(header)
    for text in reversed(texts):
        if found := IN_PROMPT.findall(text):
            return found[-1].strip(), parse(found[-1])
    return "", Directive()
