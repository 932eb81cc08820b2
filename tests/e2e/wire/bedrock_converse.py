"""Bedrock Converse: `POST /model/{model}/converse` and `…/converse-stream`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from billing import Tokens
from model import Request, Turn
from wire import BadRequest, Frame, event_stream, media, optional_count, texts

CONTENT_TYPE = event_stream.CONTENT_TYPE
STOP = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use"}


def read(body: dict[str, Any]) -> Request:
    """Errors: `BadRequest` without messages."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("A conversation must start with a user message.")
    request = Request("bedrock_converse", str(body.get("model", "")), body=body)
    for place in [{"content": body.get("system")}, *messages]:
        request.texts.extend(texts(place.get("content")))
        request.media += media(place.get("content"))
    request.messages = len(messages)
    request.max_output = optional_count(body.get("inferenceConfig") or {}, "maxTokens")
    request.stream = body.get("stream") is True
    return request


def reply_id(turn: Turn) -> str:
    """Its replies have no id of their own."""
    return ""


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """One whole reply."""
    reply: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": [{"text": turn.text}]}},
        "stopReason": STOP[turn.stop],
        "metrics": {"latencyMs": 12},
    }
    return reply | ({"usage": usage(turn.tokens)} if turn.says_usage else {})


def usage(tokens: Tokens) -> dict[str, Any]:
    """Input excludes the cache."""
    counts: dict[str, Any] = {
        "inputTokens": tokens.input,
        "outputTokens": tokens.output,
        "totalTokens": tokens.total_input + tokens.output,
    }
    written = tokens.cache_write + tokens.cache_write_1h
    if tokens.cache_read or written:
        counts |= {"cacheReadInputTokens": tokens.cache_read, "cacheWriteInputTokens": written}
    return counts


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """`messageStart`, deltas, `messageStop`, and `metadata` with the usage."""
    yield Frame(event_stream.event("messageStart", {"role": "assistant"}), 0)
    generated = turn.tokens.reasoning
    for piece in turn.pieces:
        generated += 1
        delta = {"contentBlockIndex": 0, "delta": {"text": piece}}
        yield Frame(event_stream.event("contentBlockDelta", delta), generated)
    yield Frame(event_stream.event("contentBlockStop", {"contentBlockIndex": 0}), generated)
    yield Frame(event_stream.event("messageStop", {"stopReason": STOP[turn.stop]}), generated)
    metadata: dict[str, Any] = {"metrics": {"latencyMs": 12}}
    if turn.says_usage:
        metadata["usage"] = usage(turn.tokens)
    yield Frame(event_stream.event("metadata", metadata), generated)


def error_frame() -> bytes:
    """An error in mid-stream."""
    return event_stream.exception("modelStreamErrorException", "The model ended in an error.")
