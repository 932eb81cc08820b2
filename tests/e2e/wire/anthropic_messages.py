"""Anthropic Messages: `POST /v1/messages`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from billing import Tokens
from model import Request, Turn
from wire import BadRequest, Frame, compact, media, optional_count, texts

STOP = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use"}
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def read(body: dict[str, Any], *, counting: bool = False) -> Request:
    """Errors: `BadRequest` without messages, or (unless only tokens are counted) without max_tokens."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages: Field required")
    request = Request("anthropic_messages", str(body.get("model", "")), body=body)
    request.texts.extend(texts(body.get("system")))
    for message in messages:
        content = message.get("content")
        request.texts.extend(texts(content))
        request.media += media(content)
        if isinstance(content, list):
            request.tool_results += sum(1 for block in content if block.get("type") == "tool_result")
    request.messages = len(messages)
    request.tools = [tool["name"] for tool in body.get("tools") or [] if "name" in tool]
    request.max_output = optional_count(body, "max_tokens")
    if request.max_output is None and not counting:
        raise BadRequest("max_tokens: Field required")
    request.stream = body.get("stream") is True
    return request


def reply_id(turn: Turn) -> str:
    """The id of the message."""
    return f"msg_01{turn.token('message', 22)}"


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """One whole message."""
    blocks = [block for block, _ in _blocks(turn)]
    message = _message(turn, blocks, STOP[turn.stop])
    if turn.says_usage:
        message["usage"] = usage(turn.tokens)
    return message


def usage(tokens: Tokens) -> dict[str, Any]:
    """Input excludes what came from or went to the cache; output includes thinking."""
    body: dict[str, Any] = {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.cache_write + tokens.cache_write_1h,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write,
            "ephemeral_1h_input_tokens": tokens.cache_write_1h,
        },
        "output_tokens": tokens.output,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }
    return body | _extras(tokens)


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """`message_start`, the blocks with their deltas, a ping, a cumulative `message_delta`, `message_stop`."""
    start = _message(turn, [], None)
    if turn.says_usage:
        # The seed says 1 output token, as the real one does; only `message_delta` has the true figure.
        seed = replace(turn.tokens.generated_until(min(1, turn.tokens.output)), web_search=0)
        start["usage"] = usage(seed)
    yield _frame("message_start", 0, message=start)
    generated = 0
    for index, (block, deltas) in enumerate(_blocks(turn)):
        yield _frame("content_block_start", generated, index=index, content_block=_opened(block))
        if index == 0:
            yield Frame(PING, generated)
        for delta, tokens in deltas:
            generated += tokens
            yield _frame("content_block_delta", generated, index=index, delta=delta)
        yield _frame("content_block_stop", generated, index=index)
    delta = {"stop_reason": STOP[turn.stop], "stop_sequence": None}
    if turn.says_usage:
        yield _frame("message_delta", generated, delta=delta, usage=_final(turn.tokens))
    else:
        yield _frame("message_delta", generated, delta=delta)
    yield _frame("message_stop", generated)


def count_tokens(tokens: int) -> dict[str, Any]:
    """The reply of `POST /v1/messages/count_tokens`, which is free."""
    return {"input_tokens": tokens}


Delta = tuple[dict[str, Any], int]


def _blocks(turn: Turn) -> list[tuple[dict[str, Any], list[Delta]]]:
    """The content blocks, each with the deltas (and their tokens) that a stream sends for it."""
    blocks: list[tuple[dict[str, Any], list[Delta]]] = []
    if turn.tokens.reasoning:
        thinking, signature = "Let me think about that.", turn.token("signature", 64)
        block: dict[str, Any] = {"type": "thinking", "thinking": thinking, "signature": signature}
        deltas: list[Delta] = [
            ({"type": "thinking_delta", "thinking": thinking}, turn.tokens.reasoning),
            ({"type": "signature_delta", "signature": signature}, 0),
        ]
        blocks.append((block, deltas))
    if turn.tool:
        whole = turn.stop == "tool"
        arguments = json.loads(turn.text) if whole else {}
        block = {
            "type": "tool_use",
            "id": f"toolu_01{turn.token('tool', 22)}",
            "name": turn.tool,
            "input": arguments,
        }
        parts: list[Delta] = [({"type": "input_json_delta", "partial_json": ""}, 0)]
        parts += [({"type": "input_json_delta", "partial_json": piece}, 1) for piece in turn.pieces]
        blocks.append((block, parts))
    else:
        words: list[Delta] = [({"type": "text_delta", "text": piece}, 1) for piece in turn.pieces]
        blocks.append(({"type": "text", "text": turn.text}, words))
    return blocks


def _opened(block: dict[str, Any]) -> dict[str, Any]:
    """A block as `content_block_start` shows it: empty."""
    empty: dict[str, Any] = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {key: empty.get(key, value) for key, value in block.items()}


def _message(turn: Turn, content: list[dict[str, Any]], stop: str | None) -> dict[str, Any]:
    return {
        "model": turn.served_as,
        "id": reply_id(turn),
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
    }


def _final(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.cache_write + tokens.cache_write_1h,
        "cache_read_input_tokens": tokens.cache_read,
        "output_tokens": tokens.output,
    } | _extras(tokens)


def _extras(tokens: Tokens) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if tokens.reasoning:
        extras["output_tokens_details"] = {"thinking_tokens": tokens.reasoning}
    if tokens.web_search:
        extras["server_tool_use"] = {"web_search_requests": tokens.web_search, "web_fetch_requests": 0}
    return extras


def _frame(kind: str, generated: int, **data: Any) -> Frame:
    # The real service pads its JSON with blanks before the closing brace; readers must not mind.
    padded = compact({"type": kind} | data)[:-1] + " " * (len(kind) % 7) + "}"
    return Frame(f"event: {kind}\ndata: {padded}\n\n".encode(), generated)
