"""Providers' replies and streams, as far as stories need them (design reference on prices, section 2)."""

from __future__ import annotations

from typing import Any

from amounts import Fault
from prices import Usage, checked_usage


def usage_of(reply: Any) -> Usage | None:
    """The disjoint buckets of a reply; None if it is complete but tells no usage."""
    if not isinstance(reply, dict):
        raise Fault("usage_invalid", "reply")
    if "usageMetadata" in reply:
        return gemini(reply["usageMetadata"])
    usage = reply.get("usage")
    if usage is None:
        return None
    if "prompt_tokens" in usage:
        return openai(usage, "prompt", "completion")
    if reply.get("object") == "response":
        return openai(usage, "input", "output")
    return anthropic(usage)


def openai(usage: dict[str, Any], into: str, out: str) -> Usage:
    """Totals that include their parts."""
    inside = usage.get(f"{into}_tokens_details") or {}
    cached, written = inside.get("cached_tokens") or 0, inside.get("cache_write_tokens") or 0
    reasoning = (usage.get(f"{out}_tokens_details") or {}).get("reasoning_tokens") or 0
    total_in, total_out = number(usage, f"{into}_tokens"), number(usage, f"{out}_tokens")
    return checked_usage(
        {
            "input": total_in - cached - written,
            "cache_read": cached,
            "cache_write": written,
            "output": total_out - reasoning,
            "output_reasoning": reasoning,
        }
    )


def anthropic(usage: dict[str, Any]) -> Usage:
    """Input without cache reads and writes; writes split by time to live if the reply says so."""
    split = usage.get("cache_creation") or {}
    written = usage.get("cache_creation_input_tokens") or 0
    buckets = {
        "input": number(usage, "input_tokens"),
        "cache_read": usage.get("cache_read_input_tokens") or 0,
        "cache_write_5m": split.get("ephemeral_5m_input_tokens", 0),
        "cache_write_1h": split.get("ephemeral_1h_input_tokens", 0),
        "output": number(usage, "output_tokens"),
        "web_search": (usage.get("server_tool_use") or {}).get("web_search_requests", 0),
    }
    if not split:
        buckets["cache_write"] = written
    return checked_usage(buckets)


def gemini(usage: dict[str, Any]) -> Usage:
    """The prompt includes what was cached; the candidates leave the thoughts out."""
    cached = usage.get("cachedContentTokenCount") or 0
    return checked_usage(
        {
            "input": number(usage, "promptTokenCount") - cached,
            "cache_read": cached,
            "output": usage.get("candidatesTokenCount") or 0,
            "output_reasoning": usage.get("thoughtsTokenCount") or 0,
        }
    )


def number(usage: dict[str, Any], key: str) -> int:
    """A count that must be there and whole."""
    value = usage.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Fault("usage_invalid", key)
    return value


class Stream:
    """What a stream has told so far."""

    def __init__(self) -> None:
        self.usage: dict[str, Any] = {}
        self.texts: list[str] = []
        self.complete = False

    def feed(self, event: dict[str, Any]) -> None:
        """One event. Usage is cumulative: the last value of a field wins, nothing is added."""
        delta = event.get("delta") or {}
        for choice in event.get("choices", []):
            self.texts.append((choice.get("delta") or {}).get("content") or "")
        self.texts.append(delta.get("text", ""))
        usage = event.get("usage") or (event.get("message") or {}).get("usage") or {}
        self.usage |= {key: value for key, value in usage.items() if value is not None}
        if event.get("object") == "chat.completion.chunk":
            self.complete = self.complete or bool(usage)
        self.complete = self.complete or event.get("type") == "message_delta"

    def buckets(self) -> Usage | None:
        """The final usage, if it has arrived."""
        return usage_of({"usage": self.usage}) if self.complete else None

    @property
    def output_floor(self) -> int:
        """Output tokens counted so far: at least one per chunk, at least one per four bytes."""
        chunks = [text for text in self.texts if text]
        return max(len(chunks), -(-len("".join(chunks).encode()) // 4))
