"""Providers' replies (prices reference, section 2.2): which API one is of."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import replies_clouds as clouds
import replies_openai as openai
from amounts import QUANTITY_MAX, Fault
from figures import Json, Unreadable, inside, listed
from prices import PER, Context, Usage, checked_usage


@dataclass
class Reply:
    """A reply, normalised."""

    usage: Usage | None = None
    parts: list[tuple[str, Usage]] = field(default_factory=list)
    """What other models used, each at its own price."""
    model: str | None = None
    context: Context = field(default_factory=dict)
    reported: Fraction | None = None
    anomalies: list[str] = field(default_factory=list)


def read(provider: str | None, model: str | None, told: Any) -> Reply:
    """A reply, or its JSON text, or only its usage object, or usage in own buckets."""
    if isinstance(told, str):
        try:
            told = json.loads(told.removeprefix("\ufeff"))
        except ValueError:
            raise Fault("usage_invalid", "reply") from None
    if not isinstance(told, dict):
        raise Fault("usage_invalid", "reply")
    line = batched(told)
    told = unwrapped(told) if line is None else line
    own = told.get("usage", told)
    if isinstance(own, dict) and own and set(own) <= set(PER):
        return Reply(usage=checked_usage(own))
    reply, odd = Reply(model=told.get("model")), []
    family = family_of(provider, told)
    try:
        family(provider, model, told, reply, odd)
        every = [reply.usage or {}, *(usage for _, usage in reply.parts)]
        if any(n > QUANTITY_MAX for usage in every for n in usage.values()):
            raise Unreadable
    except Unreadable as why:
        odd.append(why.rule)
        reply.usage, reply.parts = None, []
    reply.anomalies = odd
    if line is not None:
        # The line tells it; the reply inside calls its tier the default.
        reply.context["tier"] = "batch"
    return reply


def batched(told: Json) -> Json | None:
    """The reply inside one line of a batch's output."""
    if "custom_id" in told:
        return inside(inside(told, "response"), "body") or inside(inside(told, "result"), "message") or None
    if "recordId" in told:
        return inside(told, "modelOutput") or None
    # Code Assist puts a single reply into a `response` too.
    line = bool({"key", "request", "metadata"} & set(told))
    return inside(told, "response") if line and "candidates" in inside(told, "response") else None


def unwrapped(told: Json) -> Json:
    """The reply inside an event or an envelope."""
    if str(told.get("type", "")).startswith("response.") and isinstance(told.get("response"), dict):
        return told["response"]
    if "usage" in told:
        return told
    for key in ("result", "response", "interaction", "data"):
        if {"usage", "choices", "candidates"} & set(inside(told, key)):
            return inside(told, key)
    return told


def family_of(provider: str | None, told: Json) -> Any:
    """Who reads it: its shape tells; the provider where two APIs share a shape."""
    google = provider in ("google", "vertex") and {"error", "predictions", "embedding", "embeddings"} & set(
        told
    )
    if google or {"usageMetadata", "usage_metadata", "candidates", "promptFeedback"} & set(told):
        return clouds.gemini
    usage = told.get("usage")
    if not isinstance(usage, dict):
        return without_usage(told)
    names = set(usage)
    if names & {"prompt_tokens", "completion_tokens"}:
        return openai.chat
    if names & {"total_input_tokens", "total_output_tokens"}:
        return clouds.interactions
    if names & {"inputTokens", "outputTokens"}:
        return clouds.converse
    if "billed_units" in names or inside(usage, "tokens"):
        return clouds.cohere
    if usage.get("type") == "duration" or (
        names & {"seconds", "duration_seconds"} and "input_tokens" not in names
    ):
        return openai.transcription
    if is_images(told):
        return openai.images
    particular = names & {
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "server_tool_use",
    }
    particular |= names & {"inference_geo", "speed", "iterations", "fallback_credit"}
    message = told.get("type") == "message" or (particular and "input_tokens_details" not in names)
    if message or (provider == "anthropic" and "total_tokens" not in names):
        return clouds.anthropic
    return openai.chat


def without_usage(told: Json) -> Any:
    """APIs that tell their counts elsewhere, or not at all."""
    if {"billed_units", "tokens"} & set(inside(told, "meta")):
        return clouds.cohere
    if {"prompt_eval_count", "eval_count"} & set(told):
        return clouds.ollama
    if "pages_processed" in inside(told, "usage_info"):
        return openai.document
    if clouds.has_invoke_counts(told):
        return clouds.invoke
    if told.get("type") == "message":
        return clouds.anthropic
    if is_images(told):
        return openai.images
    if "duration" in told and {"text", "segments"} & set(told):
        return openai.transcription
    return openai.chat


def is_images(told: Json) -> bool:
    """Made images: a list of them, or the event that ends a stream of them."""
    data = listed(told, "data")
    made = bool(data) and isinstance(data[0], dict) and bool({"b64_json", "url"} & set(data[0]))
    listed_ = listed(told, "images")
    event = str(told.get("type", "")).startswith("image_")
    return event or made or (bool(listed_) and isinstance(listed_[0], str))
