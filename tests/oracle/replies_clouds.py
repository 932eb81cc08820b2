"""Replies of Anthropic, Gemini, Bedrock, Cohere and Ollama."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from figures import TTLS, Figures, Json, Unreadable, count, disjoint, get, inside, listed, ttl_split
from prices import Usage, is_input, is_output, total
from words import service_tier

METRICS = "amazon-bedrock-invocationMetrics"


def either(map_: Json, camel: str) -> Any:
    """A field in camel case or in snake case."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in camel)
    return map_.get(camel, map_.get(snake))


# -- Anthropic


def anthropic(_: Any, __: Any, told: Json, reply: Any, odd: list[str]) -> None:
    """Messages: input without what was cached; iterations on top where the top level leaves them out."""
    usage = inside(told, "usage")
    reply.context |= service_tier(usage.get("service_tier"))
    if usage.get("speed") not in (None, "standard"):
        reply.context["speed"] = usage["speed"]
    if usage.get("inference_geo") not in (None, "global", "not_available"):
        reply.context["geo"] = usage["inference_geo"]
    top = message(usage, odd)
    if top is None:
        return
    if "content" in told and None in (get(usage, "input_tokens"), get(usage, "output_tokens")):
        # All that there is: what it leaves out will not be told any more.
        raise Unreadable("unrecognised")
    if iterations := listed(usage, "iterations"):
        top = iterated(top, iterations, reply, odd)
    tools = inside(usage, "server_tool_use")
    counted = {
        "web_search": count(tools, "web_search_requests"),
        "web_fetch": count(tools, "web_fetch_requests"),
    }
    reply.usage = top | {bucket: n for bucket, n in counted.items() if n}
    credit = inside(inside(usage, "fallback_credit"), "status")
    if credit.get("type") == "redeemed" and any(reply.usage.get(ttl) for ttl in TTLS):
        # Some of the writes are billed as reads, nobody says how many.
        odd.append("fallback_credit")


def message(usage: Json, odd: list[str]) -> Usage | None:
    """The figures of one usage object or one iteration."""
    into, out = get(usage, "input_tokens"), get(usage, "output_tokens")
    split = inside(usage, "cache_creation")
    by_ttl = {f"cache_write_{ttl}": count(split, f"ephemeral_{ttl}_input_tokens") for ttl in ("5m", "1h")}
    written = ttl_split(get(usage, "cache_creation_input_tokens"), {ttl: n for ttl, n in by_ttl.items() if n}, odd)
    cached = count(usage, "cache_read_input_tokens")
    if into is None and out is None and not cached and not sum(written.values()):
        if usage:
            raise Unreadable("unrecognised")
        return None
    thinking = count(inside(usage, "output_tokens_details"), "thinking_tokens")
    figures = Figures(input=into or 0, output=out or 0, cached=cached, written=written, reasoning=thinking)
    return disjoint(figures, odd, cache_inside=False, reasoning_inside=True, decides=False)


def iterated(top: Usage, iterations: list[Json], reply: Any, odd: list[str]) -> Usage:
    """The top level stands for the model's own turns; all else is billed on top, at its own model."""
    entries: list[tuple[str, str | None, Usage]] = []
    for one in iterations:
        told = inside(one, "usage") or one
        if {"input_tokens", "output_tokens"} & set(told):
            entries.append((one["type"], one.get("model"), message(told, odd) or {}))
        elif one["type"] != "message":
            odd.append("iterations")
    served = next((model for kind, model, _ in reversed(entries) if kind == "fallback_message" and model), None)
    base = turns(top, entries, served, odd)
    parts: dict[str, Usage] = {}
    for kind, model, used in entries:
        if kind == "message" or (kind == "fallback_message" and model):
            continue
        if kind == "advisor_message" and model:
            plus(parts.setdefault(model, {}), used)
        else:
            odd += [] if kind == "compaction" else ["iterations"]
            plus(base, used)
    if served is not None and reply.model not in (None, served):
        # A stream names the model that began.
        plus(parts.setdefault(served, {}), base)
        base = {}
    reply.parts += parts.items()
    return base


def turns(top: Usage, entries: list[tuple[str, str | None, Usage]], served: str | None, odd: list[str]) -> Usage:
    """What the model that served used, without attempts of others that were declined."""

    def sum_of(*wanted: tuple[str, str | None]) -> Usage:
        sum_: Usage = {}
        for kind, model, used in entries:
            if any(kind == one and (of is None or of == (model or "")) for one, of in wanted):
                plus(sum_, used)
        return sum_

    messages = sum_of(("message", None))
    if served is None:
        first = next((used for kind, _, used in entries if kind == "message"), top)
        outputs = total(messages, is_output) == total(top, is_output)
        if tokens(messages) in (0, tokens(top)):
            return dict(top)
        if outputs and total(first, is_input) == total(top, is_input):
            # The top level has the output of all turns and the input of the first.
            return messages
        billed, explained = messages, []
    else:
        fallbacks = sum_of(("fallback_message", None))
        own = sum_of(("message", served), ("fallback_message", None))
        if tokens(own) == tokens(top):
            return dict(top)
        billed = sum_of(("message", served), ("fallback_message", None), ("message", ""))
        explained = [tokens(billed), tokens(messages), tokens(messages) + tokens(fallbacks)]
    if tokens(top) in explained:
        return billed
    odd.append("iterations")
    return billed if tokens(billed) > tokens(top) else dict(top)


def plus(sum_: Usage, more: Usage) -> None:
    """Adds bucket by bucket."""
    for bucket, n in more.items():
        sum_[bucket] = sum_.get(bucket, 0) + n


def tokens(usage: Usage) -> int:
    """All of them."""
    return total(usage, is_input) + total(usage, is_output)


# -- Gemini


def gemini(_: Any, __: Any, told: Json, reply: Any, odd: list[str]) -> None:
    """`generateContent` and Live: the prompt has what was cached, the candidates leave the thoughts out."""
    reply.model = either(told, "modelVersion")
    usage = either(told, "usageMetadata")
    if not isinstance(usage, dict):
        reply.usage = embedded(told)
        return
    reply.context |= service_tier(either(usage, "trafficType") or either(usage, "serviceTier"))
    if reply.context.get("tier") == "provisioned":
        reply.reported = Fraction(0)
    into = get({"n": either(usage, "promptTokenCount")}, "n")
    out = get({"n": either(usage, "candidatesTokenCount"), "live": either(usage, "responseTokenCount")}, "n", "live")
    sum_ = get({"n": either(usage, "totalTokenCount")}, "n")
    if into is None and out is None and sum_ is None:
        if usage:
            raise Unreadable("unrecognised")
        return
    lists = {
        "input": either(usage, "promptTokensDetails"),
        "cache_read": either(usage, "cacheTokensDetails"),
        "output": either(usage, "candidatesTokensDetails") or either(usage, "responseTokensDetails"),
    }
    figures = Figures(
        input=into or 0,
        output=out or 0,
        cached=get({"n": either(usage, "cachedContentTokenCount")}, "n") or 0,
        reasoning=get({"n": either(usage, "thoughtsTokenCount")}, "n") or 0,
        tool_input=get({"n": either(usage, "toolUsePromptTokenCount")}, "n") or 0,
        total=sum_,
        media=modalities(lists),
    )
    used = disjoint(figures, odd, cache_inside=True, reasoning_inside=False, decides=True)
    for candidate in listed(told, "candidates"):
        grounding = either(candidate, "groundingMetadata") or {}
        queries = len(either(grounding, "webSearchQueries") or [])
        plus(used, {"web_search": min(queries, 1) if per_prompt(reply.model) else queries})
        chunks = either(grounding, "groundingChunks") or []
        plus(used, {"maps_grounding": int(any(isinstance(one.get("maps"), dict) for one in chunks))})
    reply.usage = {bucket: n for bucket, n in used.items() if n}


def per_prompt(model: str | None) -> bool:
    """Up to Gemini 2 a grounded prompt is billed, from Gemini 3 on each query."""
    return model is not None and model.startswith(("gemini-1", "gemini-2"))


def modalities(lists: dict[str, Any]) -> Usage:
    """Counts by kind; a document is priced as an image, what no list names is text."""
    kinds = {"audio": "audio", "image": "image", "document": "image", "video": "video"}
    media: Usage = {}
    for direction, entries in lists.items():
        for entry in entries or []:
            kind = kinds.get(str(entry.get("modality", "")).lower())
            n = count(entry, "tokenCount", "token_count", "tokens")
            if kind is not None:
                plus(media, {f"{direction}_{kind}": n})
    return media


def embedded(told: Json) -> Usage | None:
    """The input of Vertex embeddings, text by text."""
    counts = [
        get(inside(inside(one, "embeddings") or one, "statistics"), "token_count", "tokenCount")
        for one in [*listed(told, "predictions"), *listed(told, "embeddings")]
    ]
    known = [n for n in counts if n is not None]
    return {"input": sum(known)} if known else None


def interactions(_: Any, __: Any, told: Json, reply: Any, odd: list[str]) -> None:
    """Interactions: the same algebra under other names."""
    usage = told["usage"]
    reply.context |= service_tier(told.get("service_tier"))
    lists = {
        "input": usage.get("input_tokens_by_modality"),
        "cache_read": usage.get("cached_tokens_by_modality"),
        "output": usage.get("output_tokens_by_modality"),
    }
    if all(get(usage, name) is None for name in ("total_input_tokens", "total_output_tokens", "total_tokens")):
        raise Unreadable("unrecognised")
    figures = Figures(
        input=count(usage, "total_input_tokens"),
        output=count(usage, "total_output_tokens"),
        cached=count(usage, "total_cached_tokens"),
        reasoning=count(usage, "total_thought_tokens", "total_reasoning_tokens"),
        tool_input=count(usage, "total_tool_use_tokens"),
        total=get(usage, "total_tokens"),
        media=modalities(lists),
    )
    used = disjoint(figures, odd, cache_inside=True, reasoning_inside=False, decides=True)
    for entry in listed(usage, "grounding_tool_count"):
        n, kind = count(entry, "count"), entry.get("type")
        if kind == "google_search":
            plus(used, {"web_search": n})
        elif kind == "google_maps":
            plus(used, {"maps_grounding": min(n, 1)})
        elif kind == "retrieval":
            plus(used, {"file_search": n})
    if per_prompt(reply.model) and "web_search" in used:
        used["web_search"] = min(used["web_search"], 1)
    reply.usage = {bucket: n for bucket, n in used.items() if n}


# -- Bedrock


def converse(_: Any, model: str | None, told: Json, reply: Any, odd: list[str]) -> None:
    """Converse and Nova: input without the cache; OpenAI's models in a stream include it."""
    usage = told["usage"]
    reply.model = inside(inside(told, "trace"), "promptRouter").get("invokedModelId")
    reply.context |= service_tier(inside(told, "serviceTier").get("type"))
    latency = inside(told, "performanceConfig").get("latency")
    if latency not in (None, "standard"):
        reply.context["speed"] = latency
    split: Usage = {}
    for entry in listed(usage, "cacheDetails"):
        bucket = f"cache_write_{entry.get('ttl')}"
        plus(split, {bucket if bucket in TTLS else "cache_write": count(entry, "inputTokens")})
    written = get(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    figures = Figures(
        input=count(usage, "inputTokens"),
        output=count(usage, "outputTokens"),
        cached=count(usage, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        written=ttl_split(written, {ttl: n for ttl, n in split.items() if n}, odd),
        total=get(usage, "totalTokens"),
    )
    streamed = "output" not in told
    if streamed and "openai." in (model or "") and 0 < figures.cache <= figures.input:
        odd.append("cache_inside_input")
        reply.usage = disjoint(figures, odd, cache_inside=True, reasoning_inside=True, decides=False)
    else:
        reply.usage = disjoint(figures, odd, cache_inside=False, reasoning_inside=True, decides=True)


def headers(told: Json) -> Json:
    """What boto3 keeps of the HTTP headers."""
    return inside(inside(told, "ResponseMetadata"), "HTTPHeaders")


def has_invoke_counts(told: Json) -> bool:
    """Counts under the names of a model family, in the metrics, or in the headers."""
    names = {
        METRICS,
        "inputTextTokenCount",
        "generation_token_count",
        "totalOutputTextTokenCount",
        "generation",
    }
    return bool(names & set(told)) or "x-amzn-bedrock-input-token-count" in headers(told)


def invoke(_: Any, __: Any, told: Json, reply: Any, odd: list[str]) -> None:
    """InvokeModel of families without a usage object."""
    metrics, head = inside(told, METRICS), headers(told)
    reply.context |= service_tier(head.get("x-amzn-bedrock-service-tier"))
    into = get(metrics, "inputTokenCount")
    into = get(told, "inputTextTokenCount", "prompt_token_count") if into is None else into
    out = get(metrics, "outputTokenCount")
    out = get(told, "generation_token_count", "totalOutputTextTokenCount") if out is None else out
    results = listed(told, "results")
    if out is None and results:
        out = sum(count(one, "tokenCount") for one in results)

    def header(name: str) -> int | None:
        text = head.get(f"x-amzn-bedrock-{name}-token-count")
        return None if text is None else int(text)

    into, out = header("input") if into is None else into, header("output") if out is None else out
    if out is None and (into is None or "generation" in told):
        raise Unreadable("unrecognised")
    figures = Figures(
        input=into or 0,
        output=out or 0,
        cached=get(metrics, "cacheReadInputTokenCount") or header("cache-read-input") or 0,
        written={"cache_write": get(metrics, "cacheWriteInputTokenCount") or header("cache-write-input") or 0},
    )
    used = disjoint(figures, odd, cache_inside=False, reasoning_inside=True, decides=False)
    plus(used, {"output_image_unit": len(listed(told, "images"))})
    reply.usage = {bucket: n for bucket, n in used.items() if n}


# -- Cohere, Ollama


def cohere(_: Any, __: Any, told: Json, reply: Any, ___: list[str]) -> None:
    """What is billed stands apart. Cached tokens are only told."""
    usage = told["usage"] if isinstance(told.get("usage"), dict) else told["meta"]
    billed, read = inside(usage, "billed_units"), inside(usage, "tokens")
    if any(value is not None for value in billed.values()):
        tokens_, images = get(billed, "image_tokens"), count(billed, "images")
        units = {
            "input": count(billed, "text_tokens", "input_tokens"),
            "output": count(billed, "output_tokens"),
            "input_image": tokens_ or 0,
            "input_image_unit": images if tokens_ is None else 0,
            "rerank_search": count(billed, "search_units"),
            "classification": count(billed, "classifications"),
            "page": count(billed, "pages"),
        }
    elif any(value is not None for value in read.values()):
        units = {"input": count(read, "input_tokens"), "output": count(read, "output_tokens")}
    else:
        raise Unreadable("unrecognised")
    reply.usage = {bucket: n for bucket, n in units.items() if n}


def ollama(_: Any, __: Any, told: Json, reply: Any, ___: list[str]) -> None:
    """Counts next to the content."""
    units = {"input": get(told, "prompt_eval_count"), "output": get(told, "eval_count")}
    if any(n is not None for n in units.values()):
        reply.usage = {bucket: n for bucket, n in units.items() if n}
