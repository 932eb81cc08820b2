"""OpenAI chat completions: `POST /v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from billing import Tokens
from model import Request, Turn
from wire import BadRequest, Frame, compact, media, optional_count, texts

FINISH = {"stop": "stop", "length": "length", "tool": "tool_calls"}


def read(body: dict[str, Any]) -> Request:
    """Errors: `BadRequest` without messages."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("Missing required parameter: 'messages'.")
    request = Request("openai_chat", str(body.get("model", "")), body=body)
    for message in messages:
        request.texts.extend(texts(message.get("content")))
        request.media += media(message.get("content"))
        for call in message.get("tool_calls") or []:
            request.texts.append(call["function"]["arguments"])
        request.tool_results += 1 if message.get("role") == "tool" else 0
    request.messages = len(messages)
    request.tools = [
        tool["function"]["name"] for tool in body.get("tools") or [] if tool.get("type") == "function"
    ]
    request.max_output = optional_count(body, "max_completion_tokens", "max_tokens")
    request.choices = optional_count(body, "n") or 1
    request.stream = body.get("stream") is True
    options = body.get("stream_options")
    if options is not None and not request.stream:
        raise BadRequest("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    request.include_usage = isinstance(options, dict) and options.get("include_usage") is True
    return request


def reply_id(turn: Turn) -> str:
    """The id that the reply and every chunk of it carry."""
    return f"chatcmpl-{turn.token('chat', 29)}"


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """One whole reply."""
    message: dict[str, Any] = {"role": "assistant", "content": turn.text, "refusal": None, "annotations": []}
    if turn.tool:
        message["content"] = None
        message["tool_calls"] = [
            {
                "id": _call_id(turn),
                "type": "function",
                "function": {"name": turn.tool, "arguments": turn.text},
            }
        ]
    reply: dict[str, Any] = {
        "id": reply_id(turn),
        "object": "chat.completion",
        "created": turn.created,
        "model": turn.served_as,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": FINISH[turn.stop]}
            for index in range(request.choices)
        ],
    }
    if turn.says_usage:
        reply["usage"] = usage(turn.tokens)
    return reply | {"service_tier": "default", "system_fingerprint": "fp_e2e0000001"}


def usage(tokens: Tokens) -> dict[str, Any]:
    """Prompt tokens include what came from the cache, completion tokens include reasoning."""
    prompt = {"cached_tokens": tokens.cache_read, "audio_tokens": 0}
    written = tokens.cache_write + tokens.cache_write_1h
    if written:
        prompt["cache_write_tokens"] = written
    return {
        "prompt_tokens": tokens.total_input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.total_input + tokens.output,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """Chunks; the usage chunk with its empty `choices` only if the request asked for it; `[DONE]`."""
    reasoning = turn.tokens.reasoning
    generated = reasoning
    for index in range(request.choices):
        first: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        if turn.tool:
            function = {"name": turn.tool, "arguments": ""}
            first["content"] = None
            first["tool_calls"] = [
                {"index": 0, "id": _call_id(turn), "type": "function", "function": function}
            ]
        yield _chunk(turn, request, _choice(index, first), generated)
    for piece in turn.pieces:
        delta: dict[str, Any] = {"content": piece}
        if turn.tool:
            delta = {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        for index in range(request.choices):
            generated += 1
            yield _chunk(turn, request, _choice(index, delta), generated)
    for index in range(request.choices):
        yield _chunk(turn, request, _choice(index, {}, FINISH[turn.stop]), generated)
    if request.include_usage and turn.says_usage:
        yield _chunk(turn, request, [], generated, usage(turn.tokens))
    yield Frame(b"data: [DONE]\n\n", generated)


def _call_id(turn: Turn) -> str:
    return f"call_{turn.token('call', 24)}"


def _choice(index: int, delta: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
    return [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}]


def _chunk(
    turn: Turn,
    request: Request,
    choices: list[dict[str, Any]],
    generated: int,
    final_usage: dict[str, Any] | None = None,
) -> Frame:
    chunk: dict[str, Any] = {
        "id": reply_id(turn),
        "object": "chat.completion.chunk",
        "created": turn.created,
        "model": turn.served_as,
        "service_tier": "default",
        "system_fingerprint": "fp_e2e0000001",
        "choices": choices,
    }
    if request.include_usage:
        chunk["usage"] = final_usage
    chunk["obfuscation"] = turn.token("obfuscation", 8)
    return Frame(f"data: {compact(chunk)}\n\n".encode(), generated)
