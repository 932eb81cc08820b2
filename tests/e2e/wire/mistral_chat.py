"""Mistral: `POST /v1/chat/completions`, `/v1/fim/completions` and `/v1/agents/completions`. OpenAI's shape;
the last chunk of a stream tells the usage, asked or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from billing import Tokens
from model import Request, Turn
from wire import BadRequest, Frame, compact, optional_count, texts

STOP = {"stop": "stop", "length": "length", "tool": "tool_calls"}


def read(body: dict[str, Any]) -> Request:
    """Errors: `BadRequest` without messages or a prompt."""
    if "stream_options" in body:
        raise BadRequest("stream_options: Extra inputs are not permitted")
    request = Request("mistral_chat", str(body.get("model") or body.get("agent_id") or ""), body=body)
    if isinstance(body.get("prompt"), str):
        request.texts += [body["prompt"], body.get("suffix") or ""]
    elif body.get("messages"):
        for message in body["messages"]:
            request.texts.extend(texts(message.get("content")))
        request.messages = len(body["messages"])
    else:
        raise BadRequest("messages: Field required")
    request.max_output = optional_count(body, "max_tokens")
    request.stream = body.get("stream") is True
    return request


def reply_id(turn: Turn) -> str:
    """The id that the reply and every chunk of it carry."""
    return turn.token("chat", 32)


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """One whole reply."""
    message = {"role": "assistant", "content": turn.text, "tool_calls": None}
    reply = _about(turn, "chat.completion") | {
        "choices": [{"index": 0, "message": message, "finish_reason": STOP[turn.stop]}]
    }
    # The SDK insists on a usage; a gateway that loses it sends an empty one.
    return reply | {"usage": usage(turn.tokens) if turn.says_usage else {}}


def usage(tokens: Tokens) -> dict[str, Any]:
    """Prompt tokens include what came from the cache."""
    counts: dict[str, Any] = {
        "prompt_tokens": tokens.total_input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.total_input + tokens.output,
    }
    return counts | ({"num_cached_tokens": tokens.cache_read} if tokens.cache_read else {})


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """A role, the words, the end with its usage, `[DONE]`."""
    yield _chunk(turn, {"role": "assistant", "content": ""}, None, 0)
    for index, piece in enumerate(turn.pieces):
        last = index == len(turn.pieces) - 1
        yield _chunk(turn, {"content": piece}, STOP[turn.stop] if last else None, index + 1)
    yield Frame(b"data: [DONE]\n\n", len(turn.pieces))


def error_frame() -> bytes:
    """An error in mid-stream."""
    error = {"object": "error", "message": "Service unavailable.", "type": "unavailable", "code": "3505"}
    return f"data: {compact({'error': error})}\n\n".encode()


def _about(turn: Turn, kind: str) -> dict[str, Any]:
    return {"id": reply_id(turn), "object": kind, "created": turn.created, "model": turn.served_as}


def _chunk(turn: Turn, delta: dict[str, Any], stop: str | None, generated: int) -> Frame:
    chunk = _about(turn, "chat.completion.chunk") | {
        "choices": [{"index": 0, "delta": delta, "finish_reason": stop, "logprobs": None}]
    }
    if stop and turn.says_usage:
        chunk["usage"] = usage(turn.tokens)
    return Frame(f"data: {compact(chunk)}\n\n".encode(), generated)
