"""Cohere embed: `POST /v2/embed`, and version 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model import Request, Turn
from wire import BadRequest, Frame


def read(body: dict[str, Any]) -> Request:
    """Errors: `BadRequest` without texts."""
    wanted = body.get("texts")
    if not isinstance(wanted, list) or not wanted:
        raise BadRequest("invalid request: valid texts must be provided")
    return Request("cohere_embed", str(body.get("model", "")), texts=list(wanted), body=body, generates=False)


def reply_id(turn: Turn) -> str:
    """The id of the reply."""
    return turn.token("embed", 36)


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """One vector per text."""
    vectors = [[0.25, -0.5] for _ in request.texts]
    meta: dict[str, Any] = {"api_version": {"version": "2"}}
    if turn.says_usage:
        meta["billed_units"] = {"input_tokens": float(turn.tokens.input)}
    reply: dict[str, Any] = {"id": reply_id(turn), "texts": request.texts, "meta": meta}
    if request.body.get("embedding_types"):
        return reply | {"response_type": "embeddings_by_type", "embeddings": {"float": vectors}}
    return reply | {"response_type": "embeddings_floats", "embeddings": vectors}


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """There are no streamed embeddings."""
    raise BadRequest("embeddings do not stream")
