"""The simulated model: from a request to what it answers and uses. Deterministic, no wire format in sight."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any, Final

from billing import Tokens
from directive import Directive, DirectiveError

ANSWER: Final = (
    "A budget is a promise made before the money is gone . "
    "This answer comes from a provider on your own machine , and every word of it is one token ."
)
TOKENS_PER_MEDIA: Final = 500
TOKENS_PER_MESSAGE: Final = 3
BYTES_PER_TOKEN: Final = 4


@dataclass(slots=True)
class Request:
    """What a request says, in the words that all wire formats share."""

    api: str
    model: str
    texts: list[str] = field(default_factory=list)
    messages: int = 0
    media: int = 0
    tool_results: int = 0
    tools: list[str] = field(default_factory=list)
    max_output: int | None = None
    choices: int = 1
    stream: bool = False
    include_usage: bool = False
    body: dict[str, Any] = field(default_factory=dict)
    generates: bool = True
    """Something comes out of it: not embeddings, not places."""
    search_units: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model answers: pieces of one token each, either words or the arguments of a tool call."""

    seq: int
    created: int
    served_as: str
    pieces: tuple[str, ...]
    tool: str
    stop: str
    """`stop`, `length` or `tool`."""
    tokens: Tokens
    says_usage: bool = True

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def token(self, kind: str, length: int) -> str:
        """An identifier of the given length: the same for the same request of a run."""
        digest = hashlib.sha256(f"{kind}/{self.seq}".encode()).hexdigest()
        return (digest * 2)[:length]


def answer(request: Request, directive: Directive, *, seq: int, created: int, served_as: str) -> Turn:
    """Decides the whole turn. Errors: `DirectiveError` if the directive asks for a tool nobody offered."""
    tool = ""
    if directive.tool and (directive.rounds < 0 or request.tool_results < directive.rounds):
        if directive.tool not in request.tools:
            raise DirectiveError(
                f"tool {directive.tool!r} is not among the tools of the request: {request.tools}"
            )
        tool = directive.tool

    room = request.max_output if request.max_output is not None else 1 << 30
    reasoning = min(directive.reasoning, room)
    pieces = _arguments(request) if tool else _words(directive.output if request.generates else 0)
    kept = pieces[: room - reasoning]
    if len(kept) < len(pieces) or reasoning < directive.reasoning:
        stop = "length"
    else:
        stop = "tool" if tool else "stop"

    tokens = Tokens(
        input=0 if request.search_units else _input(request, directive),
        cache_read=directive.cache_read,
        cache_write=directive.cache_write,
        cache_write_1h=directive.cache_write_1h,
        output=(len(kept) + reasoning) * request.choices,
        reasoning=reasoning * request.choices,
        web_search=directive.web_search,
        rerank_search=request.search_units,
    )
    return Turn(seq, created, served_as, tuple(kept), tool, stop, tokens, directive.fault != "no_usage")


def _input(request: Request, directive: Directive) -> int:
    return count_input(request) if directive.input < 0 else directive.input


def count_input(request: Request) -> int:
    """Tokens of the prompt: a quarter of its bytes, and a few for every message and tool."""
    size = sum(len(text.encode()) for text in request.texts)
    size += sum(len(name.encode()) for name in request.tools)
    parts = request.messages + len(request.tools)
    return math.ceil(size / BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE * parts + TOKENS_PER_MEDIA * request.media


def _words(count: int) -> list[str]:
    words = ANSWER.split()
    wanted = len(words) if count < 0 else count
    return [("" if index == 0 else " ") + words[index % len(words)] for index in range(wanted)]


def _arguments(request: Request) -> list[str]:
    text = json.dumps({"query": f"step {request.tool_results + 1}"}, separators=(",", ":"))
    return [text[start : start + BYTES_PER_TOKEN] for start in range(0, len(text), BYTES_PER_TOKEN)]
