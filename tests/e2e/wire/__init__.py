"""The wire formats of the local provider, one file per API, byte for byte as the real ones send them.

Each file has `read` (body -> Request), `reply_id`, `plain` (Turn -> JSON body) and `frames` (Turn -> Frames).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


class BadRequest(ValueError):
    """The request is not one that the real provider would accept; the message is what it would say."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream, and how many output tokens have been generated once it is out."""

    data: bytes
    generated: int


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def texts(value: Any) -> Iterator[str]:
    """All text below a message's content, whatever the shape of its parts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)
    elif isinstance(value, dict):
        for key in ("text", "content", "output", "arguments", "input", "thinking"):
            part = value.get(key)
            yield from texts(compact(part) if key == "input" and isinstance(part, dict) else part)


def media(value: Any) -> int:
    """How many parts of the content are images, audio or files."""
    if not isinstance(value, list):
        return 0
    kinds = {"image", "image_url", "input_image", "input_audio", "document", "file", "input_file"}
    return sum(1 for part in value if isinstance(part, dict) and part.get("type") in kinds)


def optional_count(body: dict[str, Any], *names: str) -> int | None:
    """The first of these fields that is given, as a positive whole number."""
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BadRequest(
                f"Invalid type for '{name}': expected a positive integer, but got {value!r} instead."
            )
        return value
    return None
