"""OpenAI Responses: `POST /v1/responses`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from billing import Tokens
from model import Request, Turn
from wire import BadRequest, Frame, compact, media, optional_count, texts


def read(body: dict[str, Any]) -> Request:
    """Errors: `BadRequest` without input."""
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list) or not items:
        raise BadRequest("Missing required parameter: 'input'.")
    request = Request("openai_responses", str(body.get("model", "")), body=body)
    request.texts.extend(texts(body.get("instructions")))
    for item in items:
        request.texts.extend(texts(item))
        request.media += media(item.get("content"))
        request.tool_results += 1 if item.get("type") == "function_call_output" else 0
    request.messages = len(items)
    request.tools = [tool["name"] for tool in body.get("tools") or [] if tool.get("type") == "function"]
    request.max_output = optional_count(body, "max_output_tokens")
    request.stream = body.get("stream") is True
    return request


def reply_id(turn: Turn) -> str:
    """The id of the response object."""
    return f"resp_{turn.token('response', 48)}"


def plain(turn: Turn, request: Request) -> dict[str, Any]:
    """One whole response object."""
    status = "incomplete" if turn.stop == "length" else "completed"
    return _response(turn, request, status, [*_reasoning(turn), _item(turn, status, turn.text)])


def usage(tokens: Tokens) -> dict[str, Any]:
    """Input includes what came from or went to the cache, output includes reasoning."""
    return {
        "input_tokens": tokens.total_input,
        "input_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write + tokens.cache_write_1h,
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.total_input + tokens.output,
    }


def frames(turn: Turn, request: Request) -> Iterator[Frame]:
    """The events of a response, from `response.created` to `response.completed` or `.incomplete`."""
    events = _Events()
    reasoning = turn.tokens.reasoning
    yield events.frame("response.created", 0, response=_response(turn, request, "in_progress", []))
    yield events.frame("response.in_progress", 0, response=_response(turn, request, "in_progress", []))
    before = _reasoning(turn)
    for index, item in enumerate(before):
        yield events.frame("response.output_item.added", 0, output_index=index, item=item)
        yield events.frame("response.output_item.done", reasoning, output_index=index, item=item)
    index = len(before)
    opened = _item(turn, "in_progress", "")
    place = {"item_id": opened["id"], "output_index": index}
    yield events.frame("response.output_item.added", reasoning, output_index=index, item=opened)
    if turn.tool:
        for count, piece in enumerate(turn.pieces, reasoning + 1):
            data = place | {"delta": piece, "obfuscation": turn.token("obfuscation", 8)}
            yield events.frame("response.function_call_arguments.delta", count, **data)
        generated = reasoning + len(turn.pieces)
        done = place | {"arguments": turn.text, "name": turn.tool}
        yield events.frame("response.function_call_arguments.done", generated, **done)
    else:
        place["content_index"] = 0
        yield events.frame("response.content_part.added", reasoning, **place, part=_part(""))
        for count, piece in enumerate(turn.pieces, reasoning + 1):
            data = place | {"delta": piece, "logprobs": [], "obfuscation": turn.token("obfuscation", 8)}
            yield events.frame("response.output_text.delta", count, **data)
        generated = reasoning + len(turn.pieces)
        yield events.frame("response.output_text.done", generated, **place, text=turn.text, logprobs=[])
        yield events.frame("response.content_part.done", generated, **place, part=_part(turn.text))
    status = "incomplete" if turn.stop == "length" else "completed"
    whole = _item(turn, status, turn.text)
    yield events.frame("response.output_item.done", generated, output_index=index, item=whole)
    final = _response(turn, request, status, [*before, whole])
    yield events.frame(f"response.{status}", generated, response=final)


class _Events:
    """Numbers the events of one stream."""

    def __init__(self) -> None:
        self._sequence = 0

    def frame(self, kind: str, generated: int, **data: Any) -> Frame:
        body = {"type": kind, "sequence_number": self._sequence} | data
        self._sequence += 1
        return Frame(f"event: {kind}\ndata: {compact(body)}\n\n".encode(), generated)


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _reasoning(turn: Turn) -> list[dict[str, Any]]:
    if not turn.tokens.reasoning:
        return []
    return [{"id": f"rs_{turn.token('reasoning', 48)}", "type": "reasoning", "summary": []}]


def _item(turn: Turn, status: str, text: str) -> dict[str, Any]:
    if turn.tool:
        return {
            "id": f"fc_{turn.token('function', 48)}",
            "type": "function_call",
            "status": status,
            "arguments": text,
            "call_id": f"call_{turn.token('call', 24)}",
            "name": turn.tool,
        }
    return {
        "id": f"msg_{turn.token('message', 48)}",
        "type": "message",
        "status": status,
        "content": [] if status == "in_progress" else [_part(text)],
        "role": "assistant",
    }


def _response(turn: Turn, request: Request, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    over = status != "in_progress"
    reason = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "id": reply_id(turn),
        "object": "response",
        "created_at": turn.created,
        "status": status,
        "background": False,
        "completed_at": turn.created if status == "completed" else None,
        "error": None,
        "incomplete_details": reason,
        "instructions": request.body.get("instructions"),
        "max_output_tokens": request.max_output,
        "max_tool_calls": None,
        "model": turn.served_as,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": request.body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default" if over else "auto",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": request.body.get("tools") or [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage(turn.tokens) if over and turn.says_usage else None,
        "user": None,
        "metadata": {},
    }
