"""Bedrock InvokeModel: `POST /model/{model}/invoke` and `…/invoke-with-response-stream`, with the bodies of
three families: Anthropic's messages, Llama's prompt, Titan's embeddings."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from model import Request, Turn
from wire import BadRequest, Frame, anthropic_messages, compact, event_stream, optional_count

CONTENT_TYPE = event_stream.CONTENT_TYPE
STOP = {"stop": "stop", "length": "length", "tool": "stop"}


def read(body: dict[str, Any]) -> Request:
    """Errors: `BadRequest` for the body of another family."""
    if "anthropic_version" in body:
        request = anthropic_messages.read(body)
    elif isinstance(body.get("prompt"), str):
        request = Request("", str(body.get("model", "")), texts=[body["prompt"]], messages=1, body=body)
        request.max_output = optional_count(body, "max_gen_len")
        request.stream = body.get("stream") is True
    elif isinstance(body.get("inputText"), str):
        request = Request("", str(body.get("model", "")), texts=[body["inputText"]], body=body)
        request.generates = False
    else:
        raise BadRequest("Malformed input request, please reformat your input and try again.")
    request.api = "bedrock_invoke"
    return request


def reply_id(turn: Turn) -> str:
    """The request's own id is in a header."""
    return ""


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """One whole reply."""
    if "anthropic_version" in request.body:
        return anthropic_messages.plain(turn, request)
    if not request.generates:
        return {"embedding": [0.25, -0.5], "inputTextTokenCount": turn.tokens.input}
    return _generation(turn.text, turn, STOP[turn.stop])


def headers(turn: Turn) -> dict[str, str]:
    """What was used, for the families that do not say it in the body."""
    if not turn.says_usage:
        return {}
    return {
        "x-amzn-bedrock-input-token-count": str(turn.tokens.input),
        "x-amzn-bedrock-output-token-count": str(turn.tokens.output),
    }


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """The family's own events inside `chunk`; the last carries the metrics."""
    if "anthropic_version" in request.body:
        inner = list(anthropic_messages.frames(turn, request))
        for index, frame in enumerate(inner):
            data = json.loads(frame.data.partition(b"data: ")[2])
            if index == len(inner) - 1:
                data |= _metrics(turn)
            yield Frame(_chunk(data), frame.generated)
        return
    for index, piece in enumerate(turn.pieces):
        last = index == len(turn.pieces) - 1
        data = _generation(piece, turn, STOP[turn.stop] if last else None)
        yield Frame(_chunk(data | (_metrics(turn) if last else {})), index + 1)


def error_frame() -> bytes:
    """An error in mid-stream."""
    return event_stream.exception("modelStreamErrorException", "The model ended in an error.")


def _generation(text: str, turn: Turn, stop: str | None) -> dict[str, Any]:
    count = turn.tokens.output if stop else None
    return {
        "generation": text,
        "prompt_token_count": turn.tokens.input if stop else None,
        "generation_token_count": count,
        "stop_reason": stop,
    }


def _metrics(turn: Turn) -> dict[str, Any]:
    if not turn.says_usage:
        return {}
    counts = {"inputTokenCount": turn.tokens.input, "outputTokenCount": turn.tokens.output}
    return {"amazon-bedrock-invocationMetrics": counts | {"invocationLatency": 12, "firstByteLatency": 3}}


def _chunk(data: dict[str, Any]) -> bytes:
    payload = base64.b64encode(compact(data).encode()).decode()
    return event_stream.event("chunk", {"bytes": payload, "p": "abcdef"})
