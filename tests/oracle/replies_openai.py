"""Replies of OpenAI's shape, with what each server that speaks it does differently."""

from __future__ import annotations

from typing import Any

from figures import (
    MEDIA,
    Figures,
    Json,
    Unreadable,
    count,
    disjoint,
    get,
    inside,
    listed,
    milliseconds,
    money,
    ttl_split,
)
from prices import Usage
from words import service_tier


def chat(provider: str | None, _: Any, told: Json, reply: Any, odd: list[str]) -> None:
    """Chat Completions, Responses, Realtime, embeddings, transcription by token."""
    usage = told.get("usage")
    groq = inside(told, "x_groq")
    if not isinstance(usage, dict) and {"prompt_tokens", "completion_tokens"} & set(inside(groq, "usage")):
        usage = inside(groq, "usage")
    tier = told.get("service_tier") or (usage or {}).get("service_tier")
    reply.context |= service_tier(tier)
    if not isinstance(usage, dict):
        return
    reply.reported = charge(usage)
    reply.context |= {
        name: usage[key] for key, name in (("search_context_size", "search_context"),) if usage.get(key)
    }
    if hollow(usage) and any(map(speaks, listed(told, "choices"))):
        raise Unreadable("unrecognised")
    reply.usage = buckets(provider, usage, odd, embeddings=told.get("object") == "list")
    if reply.usage is None:
        return
    if not xai_tools(usage, reply.usage):
        hosted_tools(told, reply.usage)
    breakdown = told.get("usage_breakdown") or groq.get("usage_breakdown")
    models = breakdown.get("models") if isinstance(breakdown, dict) else breakdown
    for one in models or []:
        # A compound system: every model that was used, so the sum is not billed again.
        used = buckets(provider, inside(one, "usage"), odd)
        if used is None or not one.get("model"):
            raise Unreadable
        reply.parts.append((one["model"], used))
        reply.usage = {}
    groq_tools(told, reply.usage, odd)
    made = inside(inside(told, "tool_usage"), "image_gen")
    if made and (used := image_tokens(made, odd)):
        tools = [tool for tool in listed(told, "tools") if tool.get("type") == "image_generation"]
        reply.parts.append(((tools[0].get("model") if tools else None) or "image_generation", used))


def hollow(usage: Json) -> bool:
    """It leaves out what came out, or is nothing but zeros."""
    try:
        into, out = get(usage, "prompt_tokens", "input_tokens"), get(usage, "completion_tokens", "output_tokens")
        total = get(usage, "total_tokens")
    except Unreadable:
        return False
    return not (into or out or total) or (out is None and total is None)


def speaks(choice: Json) -> bool:
    """It says anything: text or parts of it, reasoning, a refusal, audio, calls of tools."""
    said = [choice.get("text"), *(value for name, value in inside(choice, "message").items() if name != "role")]
    return any(value for value in said if isinstance(value, (str, list, dict)))


def buckets(provider: str | None, usage: Json, odd: list[str], embeddings: bool = False) -> Usage | None:
    """The figures of one usage object."""
    into, out = get(usage, "prompt_tokens", "input_tokens"), get(usage, "completion_tokens", "output_tokens")
    total = get(usage, "total_tokens")
    heard = milliseconds(usage, "prompt_audio_seconds")
    if into is None and out is None and not (total is None and heard):
        if total is None:
            if usage:
                raise Unreadable("unrecognised")
            return None
        into, out = (total, 0) if embeddings else (0, total)
        odd += [] if embeddings else ["only_total"]
    if into is None and total is None and not heard:
        raise Unreadable("unrecognised")
    of_input = inside(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    of_output = inside(usage, "completion_tokens_details", "output_tokens_details", "output_token_details")
    of_cache = inside(of_input, "cached_tokens_details")
    cached = get(of_input, "cached_tokens", "cache_read_input_tokens")
    if cached is None:
        cached = count(
            usage,
            "prompt_cache_hit_tokens",
            "num_cached_tokens",
            "cached_tokens",
            "cache_read_input_tokens",
            "cached_prompt_text_tokens",
        )
    written = get(of_input, "cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
    if written is None:
        written = get(usage, "cache_creation_input_tokens")
    by_ttl = inside(of_input, "cache_write_tokens_details")
    split = {f"cache_write_{ttl}": count(by_ttl, f"ttl_{ttl}_tokens") for ttl in ("30m", "12h")}
    reasoning = get(of_output, "reasoning_tokens")
    media = {}
    for kind in MEDIA:
        media[f"input_{kind}"] = count(of_input, f"{kind}_tokens")
        media[f"cache_read_{kind}"] = count(of_cache, f"{kind}_tokens")
        media[f"output_{kind}"] = count(of_output, f"{kind}_tokens")
    media["input_image"] = media["input_image"] or count(usage, "prompt_image_tokens")
    figures = Figures(
        input=into or 0,
        output=out or 0,
        cached=cached,
        written=ttl_split(written, {ttl: n for ttl, n in split.items() if n}, odd),
        reasoning=count(usage, "reasoning_tokens") if reasoning is None else reasoning,
        tool_input=count(usage, "connector_tokens"),
        total=total,
        media=media,
    )
    perplexity = provider == "perplexity" or bool(
        {"num_search_queries", "citation_tokens", "search_context_size", "tool_calls_details"} & set(usage)
    )
    xai = provider == "x-ai" or bool(
        {"cost_in_usd_ticks", "cached_prompt_text_tokens", "num_sources_used"} & set(usage)
    )
    # Perplexity's total leaves reasoning out; Mistral's has the tokens of audio that is billed by time.
    decides = not perplexity and not heard
    all_ = disjoint(
        figures, odd, cache_inside=True, reasoning_inside=not (perplexity or xai), decides=decides
    )
    extra = {"input_audio_second": heard or 0}
    calls = inside(usage, "connectors")
    extra["web_search"] = count(calls, "web_search", "web_search_premium")
    extra["code_session"] = count(calls, "code_interpreter")
    extra["output_image_unit"] = count(calls, "image_generation")
    extra["file_search"] = count(calls, "document_library")
    if perplexity:
        tools = inside(usage, "tool_calls_details")
        searches = get(usage, "num_search_queries")
        extra["output_citation"] = count(usage, "citation_tokens")
        extra["web_search"] = (
            count(inside(tools, "web_search"), "invocation") if searches is None else searches
        )
        extra["web_fetch"] = count(inside(tools, "fetch_url"), "invocation")
    return all_ | {bucket: n for bucket, n in extra.items() if n}


def add(usage: Usage, bucket: str, n: int) -> None:
    """Adds what is not nothing."""
    if n:
        usage[bucket] = usage.get(bucket, 0) + n


def xai_tools(told: Json, usage: Usage) -> bool:
    """xAI's server-side tools, if its usage tells them: then the items of the output are not counted."""
    if "server_side_tool_usage_details" in told:
        calls = inside(told, "server_side_tool_usage_details")
        add(usage, "web_search", count(calls, "web_search_calls"))
        add(usage, "social_search", count(calls, "x_search_calls"))
        add(usage, "code_session", count(calls, "code_interpreter_calls", "code_execution_calls"))
        add(usage, "file_search", count(calls, "file_search_calls", "collections_search_calls"))
        add(usage, "file_search", count(calls, "document_search_calls", "attachment_search_calls"))
        add(usage, "output_image_unit", count(calls, "image_generation_calls"))
        return True
    names = {"WEB_SEARCH": "web_search", "X_SEARCH": "social_search", "CODE_EXECUTION": "code_session"}
    names |= {"COLLECTIONS_SEARCH": "file_search", "ATTACHMENT_SEARCH": "file_search"}
    names |= {"IMAGE_GENERATION": "output_image_unit"}
    used = listed(told, "server_side_tools_used")
    for tool in used:
        if bucket := names.get(str(tool).removeprefix("SERVER_SIDE_TOOL_")):
            add(usage, bucket, 1)
    if not used:
        add(usage, "web_search", count(told, "num_sources_used"))
    return bool(used) or count(told, "num_sources_used") > 0


# What Groq bills a tool that ran on its servers as; nothing: not by Groq.
GROQ = dict.fromkeys(("search", "web_search", "browser_search", "browser.search"), "web_search")
GROQ |= dict.fromkeys(("visit", "visit_website", "open", "browser.open"), "web_fetch")
GROQ |= dict.fromkeys(("python", "code_interpreter", "code_execution", "browser_automation"), "code_session")
GROQ |= dict.fromkeys(("find", "browser.find", "wolfram", "wolfram_alpha", "mcp"), "")


def groq_tools(told: Json, usage: Usage, odd: list[str]) -> None:
    """Groq's tools that ran on its servers: the name tells more than the type; an unknown one is the dearest."""
    for choice in listed(told, "choices"):
        for tool in listed(inside(choice, "message"), "executed_tools"):
            words = [word for word in (tool.get("name"), tool.get("type")) if word in GROQ]
            if not words:
                odd.append("unknown_tool")
            bucket = GROQ[words[0]] if words else "code_session"
            add(usage, bucket, 1 if bucket else 0)


def hosted_tools(told: Json, usage: Usage) -> None:
    """Calls of hosted tools: the provider's counter, else the items of the output."""
    items = [item for item in listed(told, "output") if isinstance(item, dict)]
    searches = [item for item in items if item.get("type") == "web_search_call"]
    # Opening a page and searching in it are free.
    billed = [item for item in searches if inside(item, "action").get("type", "search") == "search"]
    told_ = get(inside(inside(told, "tool_usage"), "web_search"), "num_requests")
    add(usage, "web_search", len(billed) if told_ is None else told_)
    add(usage, "social_search", sum(item.get("type") == "x_search_call" for item in items))
    add(usage, "file_search", sum(item.get("type") == "file_search_call" for item in items))
    calls = [item for item in items if item.get("type") == "code_interpreter_call"]
    add(usage, "code_session", len({item.get("container_id") for item in calls}))


def charge(usage: Json) -> Any:
    """What the provider says it charges."""
    if (ticks := money(usage.get("cost_in_usd_ticks"), 10**10)) is not None:
        return ticks
    cost = usage.get("cost")
    if isinstance(cost, dict):
        return money(cost.get("total_cost"))
    own, upstream = money(cost), money(inside(usage, "cost_details").get("upstream_inference_cost"))
    if own is None:
        return None
    # Where it is not said, something that was free of charge although it had one was billed upstream.
    said = usage.get("is_byok")
    own_key = said if isinstance(said, bool) else own == 0 and bool(upstream)
    # With the caller's own key the upstream provider charges on top.
    return own if not own_key else None if upstream is None else own + upstream


def transcription(_: Any, __: Any, told: Json, reply: Any, ___: list[str]) -> None:
    """Transcription by duration."""
    if "usage" in told:
        heard = milliseconds(told["usage"], "seconds", "duration_seconds")
    else:
        heard = milliseconds(told, "duration")
    reply.usage = None if heard is None else {"input_audio_second": heard}


def document(_: Any, __: Any, told: Json, reply: Any, ___: list[str]) -> None:
    """Mistral's document reading."""
    kind = "page" if told.get("document_annotation") is None else "page_annotated"
    reply.usage = {kind: count(told["usage_info"], "pages_processed")}


def images(provider: str | None, _: Any, told: Json, reply: Any, odd: list[str]) -> None:
    """Images by token where the usage tells them, else one by one."""
    usage = inside(told, "usage")
    reply.context |= {key: told[key] for key in ("size", "quality") if told.get(key) not in (None, "auto")}
    reply.reported = charge(usage)
    if {"input_tokens", "output_tokens"} & set(usage):
        reply.usage = image_tokens(usage, odd)
    else:
        reply.usage = {"output_image_unit": max(len(listed(told, "data")), len(listed(told, "images")))}
    if vectors := inside(told, "svg_usage"):
        used = buckets(provider, vectors, odd)
        if used is None or "model" not in vectors:
            raise Unreadable
        reply.parts.append((vectors["model"], used))


def image_tokens(usage: Json, odd: list[str]) -> Usage:
    """Tokens of an image model: without details its output is image."""
    details = inside(usage, "input_tokens_details")
    image = get(inside(usage, "output_tokens_details"), "image_tokens")
    cached = get(usage, "cached_tokens")
    figures = Figures(
        input=count(usage, "input_tokens"),
        output=count(usage, "output_tokens"),
        cached=count(details, "cached_tokens") if cached is None else cached,
        media={
            "input_image": count(details, "image_tokens"),
            "cache_read_image": count(inside(usage, "cached_tokens_details"), "cached_image_tokens"),
            "output_image": count(usage, "output_tokens") if image is None else image,
        },
    )
    return disjoint(figures, odd, cache_inside=True, reasoning_inside=True, decides=False)
