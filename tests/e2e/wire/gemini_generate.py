"""Gemini: `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from billing import Tokens
from model import Request, Turn
from wire import BadRequest, Frame, compact, optional_count, texts

STOP = {"stop": "STOP", "length": "MAX_TOKENS", "tool": "STOP"}


def read(body: dict[str, Any]) -> Request:
    """Errors: `BadRequest` without contents."""
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise BadRequest("* GenerateContentRequest.contents: contents is not specified")
    request = Request("gemini_generate", str(body.get("model", "")), body=body)
    for content in [body.get("systemInstruction") or {}, *contents]:
        request.texts.extend(texts(content.get("parts")))
    request.messages = len(contents)
    config = body.get("generationConfig") or {}
    request.max_output = optional_count(config, "maxOutputTokens")
    request.choices = optional_count(config, "candidateCount") or 1
    request.stream = body.get("stream") is True
    for tool in body.get("tools") or []:
        request.tools += [function["name"] for function in tool.get("functionDeclarations") or []]
    for content in contents:
        request.tool_results += sum("functionResponse" in part for part in content.get("parts") or [])
    return request


def reply_id(turn: Turn) -> str:
    """The id of the response."""
    return turn.token("response", 22)


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """One whole reply."""
    parts: list[dict[str, Any]] = [{"text": turn.text}]
    if turn.tool:
        parts = [{"functionCall": {"name": turn.tool, "args": {"query": "step"}}}]
    return _reply(turn, request, parts, STOP[turn.stop], turn.tokens)


def usage(tokens: Tokens) -> dict[str, Any]:
    """The prompt includes what came from the cache; candidates exclude thoughts."""
    counts: dict[str, Any] = {
        "promptTokenCount": tokens.total_input,
        "candidatesTokenCount": tokens.output - tokens.reasoning,
        "totalTokenCount": tokens.total_input + tokens.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.total_input}],
    }
    if tokens.cache_read:
        counts["cachedContentTokenCount"] = tokens.cache_read
    if tokens.reasoning:
        counts["thoughtsTokenCount"] = tokens.reasoning
    return counts


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """Whole replies with a part of the text each; usage is cumulative, and on every one."""
    if turn.tool:
        yield _frame(plain(turn, request), turn.tokens.output)
        return
    for index, piece in enumerate(turn.pieces):
        generated = turn.tokens.reasoning + index + 1
        last = index == len(turn.pieces) - 1
        tokens = turn.tokens if last else turn.tokens.generated_until(generated)
        reply = _reply(turn, request, [{"text": piece}], STOP[turn.stop] if last else None, tokens)
        yield _frame(reply, generated)


def error_frame() -> bytes:
    """An error in mid-stream."""
    error = {"code": 503, "message": "The service is currently unavailable.", "status": "UNAVAILABLE"}
    return f"data: {compact({'error': error})}\r\n\r\n".encode()


def _reply(
    turn: Turn, request: Request, parts: list[dict[str, Any]], stop: str | None, tokens: Tokens
) -> dict[str, Any]:
    candidates: list[dict[str, Any]] = []
    for index in range(request.choices):
        candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": index}
        candidates.append(candidate | ({"finishReason": stop} if stop else {}))
    reply: dict[str, Any] = {"candidates": candidates}
    if turn.says_usage:
        reply["usageMetadata"] = usage(tokens)
    return reply | {"modelVersion": turn.served_as, "responseId": reply_id(turn)}


def _frame(reply: dict[str, Any], generated: int) -> Frame:
    return Frame(f"data: {compact(reply)}\r\n\r\n".encode(), generated)
