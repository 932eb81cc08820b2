"""Mistral embeddings: `POST /v1/embeddings`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model import Request, Turn
from wire import Frame, openai_embeddings


def read(body: dict[str, Any]) -> Request:
    """Errors: `BadRequest` without an input."""
    request = openai_embeddings.read({**body, "input": body.get("input") or body.get("inputs")})
    request.api, request.generates = "mistral_embeddings", False
    return request


def reply_id(turn: Turn) -> str:
    """The id of the reply."""
    return turn.token("embed", 32)


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """As OpenAI's, with an id and completion tokens, which are none."""
    reply = {"id": reply_id(turn), **openai_embeddings.plain(turn, request)}
    usage = reply.get("usage") or {"prompt_tokens": 0, "total_tokens": 0}
    return reply | {"usage": usage | {"completion_tokens": 0}}


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """There are no streamed embeddings."""
    return openai_embeddings.frames(turn, request)
