"""Cohere rerank: `POST /v2/rerank`, and version 1. Billed by search unit: 100 documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model import Request, Turn
from wire import BadRequest, Frame

DOCUMENTS_PER_UNIT = 100


def read(body: dict[str, Any]) -> Request:
    """Errors: `BadRequest` without documents."""
    documents = body.get("documents")
    if not isinstance(documents, list) or not documents:
        raise BadRequest("invalid request: list of documents must not be empty")
    request = Request("cohere_rerank", str(body.get("model", "")), body=body, generates=False)
    request.texts.append(str(body.get("query", "")))
    request.search_units = -(-len(documents) // DOCUMENTS_PER_UNIT)
    return request


def reply_id(turn: Turn) -> str:
    """The id of the reply."""
    return turn.token("rerank", 36)


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """The documents' places."""
    count = len(request.body["documents"])
    results = [{"index": index, "relevance_score": 1 / (index + 1)} for index in range(count)]
    meta: dict[str, Any] = {"api_version": {"version": "2"}}
    if turn.says_usage:
        meta["billed_units"] = {"search_units": float(turn.tokens.rerank_search)}
    return {"id": reply_id(turn), "results": results, "meta": meta}


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """There is nothing to stream."""
    raise BadRequest("rerank does not stream")
