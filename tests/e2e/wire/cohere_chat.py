"""Cohere chat: `POST /v2/chat`, and version 1 with its `message`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from billing import Tokens
from model import Request, Turn
from wire import BadRequest, Frame, compact, optional_count, texts

STOP = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool": "TOOL_CALL"}


def content_type(request: Request) -> str:
    """What a stream is, in the version of the request."""
    return "application/stream+json" if "message" in request.body else "text/event-stream"


def read(body: dict[str, Any]) -> Request:
    """Errors: `BadRequest` without messages or a message."""
    request = Request("cohere_chat", str(body.get("model", "")), body=body)
    if isinstance(body.get("message"), str):
        request.texts.append(body["message"])
        request.messages = 1
    elif body.get("messages"):
        for message in body["messages"]:
            request.texts.extend(texts(message.get("content")))
        request.messages = len(body["messages"])
    else:
        raise BadRequest("invalid request: at least one message is required")
    request.max_output = optional_count(body, "max_tokens")
    request.stream = body.get("stream") is True
    return request


def reply_id(turn: Turn) -> str:
    """The id of the reply."""
    return turn.token("chat", 36)


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """One whole reply, in the version of the request."""
    if "message" in request.body:
        reply: dict[str, Any] = {
            "response_id": reply_id(turn),
            "generation_id": turn.token("gen", 36),
            "text": turn.text,
        }
        reply |= {"finish_reason": STOP[turn.stop]}
        meta = {"api_version": {"version": "1"}, **usage(turn.tokens)}
        return reply | ({"meta": meta} if turn.says_usage else {})
    message = {"role": "assistant", "content": [{"type": "text", "text": turn.text}]}
    reply = {"id": reply_id(turn), "finish_reason": STOP[turn.stop], "message": message}
    return reply | ({"usage": usage(turn.tokens)} if turn.says_usage else {})


def usage(tokens: Tokens) -> dict[str, Any]:
    """What is billed is less than what was read: the preamble is free. Numbers are floats."""
    return {
        "billed_units": {"input_tokens": float(tokens.input), "output_tokens": float(tokens.output)},
        "tokens": {"input_tokens": float(tokens.input + 66), "output_tokens": float(tokens.output + 1)},
    }


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """Version 2: `message-start`, deltas, `message-end` with the usage. Version 1: lines of JSON."""
    if "message" in request.body:
        yield from _first_version(turn, request)
        return
    message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield _event("message-start", 0, id=reply_id(turn), delta={"message": message})
    yield _event("content-start", 0, index=0, delta={"message": {"content": {"type": "text", "text": ""}}})
    for index, piece in enumerate(turn.pieces):
        yield _event("content-delta", index + 1, index=0, delta={"message": {"content": {"text": piece}}})
    generated = len(turn.pieces)
    yield _event("content-end", generated, index=0)
    end: dict[str, Any] = {"finish_reason": STOP[turn.stop]}
    if turn.says_usage:
        end["usage"] = usage(turn.tokens)
    yield _event("message-end", generated, delta=end)


def error_frame() -> bytes:
    """An error in mid-stream: the stream ends with it."""
    end = {"finish_reason": "ERROR", "error": "internal error"}
    return _event("message-end", 0, delta=end).data


def _first_version(turn: Turn, request: Request) -> Iterator[Frame]:
    def line(kind: str, generated: int, **data: Any) -> Frame:
        event = {"is_finished": kind == "stream-end", "event_type": kind} | data
        return Frame(compact(event).encode() + b"\n", generated)

    yield line("stream-start", 0, generation_id=turn.token("gen", 36))
    for index, piece in enumerate(turn.pieces):
        yield line("text-generation", index + 1, text=piece)
    whole = plain(turn, request)
    yield line("stream-end", len(turn.pieces), finish_reason=STOP[turn.stop], response=whole)


def _event(kind: str, generated: int, **data: Any) -> Frame:
    return Frame(f"event: {kind}\ndata: {compact({'type': kind} | data)}\n\n".encode(), generated)
