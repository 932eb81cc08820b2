"""OpenAI embeddings: `POST /v1/embeddings`."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

from model import Request, Turn
from wire import BadRequest, Frame, optional_count

DIMENSIONS = 1536


def read(body: dict[str, Any]) -> Request:
    """`input` is a text, a list of texts, a list of tokens or a list of such lists."""
    request = Request("openai_embeddings", str(body.get("model", "")), body=body, generates=False)
    for item in _inputs(body):
        # A prompt that is already tokens counts as many: four bytes stand for one token in `count_input`.
        request.texts.append(item if isinstance(item, str) else "toke" * len(item))
    return request


def reply_id(turn: Turn) -> str:
    """Embeddings have no id."""
    return ""


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """One vector per input, as floats or, where the SDK asks for it, as base64 of little-endian float32."""
    size = optional_count(request.body, "dimensions") or DIMENSIONS
    vector = [((index * 37 + turn.seq) % 101 - 50) / 64 for index in range(size)]
    embedding: Any = vector
    if request.body.get("encoding_format") == "base64":
        embedding = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
    reply: dict[str, Any] = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": embedding}
            for index in range(len(_inputs(request.body)))
        ],
        "model": turn.served_as,
    }
    if turn.says_usage:
        reply["usage"] = {"prompt_tokens": turn.tokens.total_input, "total_tokens": turn.tokens.total_input}
    return reply


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """There are no streamed embeddings."""
    raise BadRequest("Unknown parameter: 'stream'.")


def _inputs(body: dict[str, Any]) -> list[str | list[int]]:
    value = body.get("input")
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        return [value] if isinstance(value[0], int) else value
    raise BadRequest("Missing required parameter: 'input'.")
