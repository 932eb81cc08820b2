"""Gemini embeddings: `POST /v1beta/models/{model}:embedContent` and `:batchEmbedContents`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model import Request, Turn
from wire import BadRequest, Frame, texts


def read(body: dict[str, Any]) -> Request:
    """Errors: `BadRequest` without a content."""
    entries = body.get("requests") or [body]
    request = Request("gemini_embed", str(body.get("model", "")), body=body, generates=False)
    for entry in entries:
        if not isinstance(entry.get("content"), dict):
            raise BadRequest("* EmbedContentRequest.content: content is not specified")
        request.texts.extend(texts(entry["content"].get("parts")))
    return request


def reply_id(turn: Turn) -> str:
    """Embeddings have no id."""
    return ""


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """One vector per content."""
    vector = {"values": [0.25, -0.5]}
    count = len(request.body.get("requests") or [])
    reply: dict[str, Any] = {"embeddings": [vector] * count} if count else {"embedding": vector}
    if turn.says_usage:
        reply["usageMetadata"] = {"promptTokenCount": turn.tokens.input, "totalTokenCount": turn.tokens.input}
    return reply


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """There are no streamed embeddings."""
    raise BadRequest("embeddings do not stream")
