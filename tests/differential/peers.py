"""What litellm and genai-prices themselves say that a usage costs; run by `differential.py` with the interpreter of
their own environment. Writes their price data as the files that they publish, and one JSON line for each answer.

    python tests/differential/peers.py <folder>
"""

import datetime
import json
import pathlib
import re
import sys
import warnings
from decimal import Decimal

from shapes import PIECES, SHAPES, USAGES, totals

# These ask for a login before they price anything, and sell no tokens.
SUBSCRIPTIONS = ("github_copilot", "chatgpt")
MODES = ("chat", "completion", "responses", "embedding", None)


# --- genai-prices: its data as the JSON that it publishes --------------------------------------------------------


def clause(match):
    kind = type(match).__name__
    if kind == "ClauseOr":
        return {"or": [clause(one) for one in match.or_]}
    if kind == "ClauseAnd":
        return {"and": [clause(one) for one in match.and_]}
    return dict(match.__dict__)


def price(value):
    if isinstance(value, Decimal):
        return value
    return {"base": value.base, "tiers": [{"start": tier.start, "price": tier.price} for tier in value.tiers]}


def conditional(one):
    told = {"prices": {key: price(value) for key, value in one.prices.__dict__.items() if value is not None}}
    if getattr(one.constraint, "start_date", None):
        told["constraint"] = {"start_date": one.constraint.start_date.isoformat()}
    elif one.constraint:
        told["constraint"] = {key: value.isoformat() for key, value in one.constraint.__dict__.items()}
    return told


def provider_json(provider):
    models = []
    for model in provider.models:
        told = {"id": model.id, "match": clause(model.match), "context_window": model.context_window}
        if isinstance(model.prices, list):
            told["prices"] = [conditional(one) for one in model.prices]
        else:
            told["prices"] = {k: price(v) for k, v in model.prices.__dict__.items() if v is not None}
        told["price_variants"] = [{"when": one.when, **conditional(one)} for one in model.price_variants or []]
        models.append(told)
    fallback = provider.fallback_model_providers
    return {
        "id": provider.id, "name": provider.name, "api_pattern": provider.api_pattern,
        "fallback_model_providers": fallback, "models": models,
    }  # fmt: skip


def dumps(value):
    """JSON with decimals as they are."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {dumps(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dumps, value)) + "]"
    return json.dumps(value)


# --- What they answer ------------------------------------------------------------------------------------------


GENAI_USAGE = {
    "cache_read": "cache_read_tokens", "cache_write": "cache_write_tokens", "cache_write_1h": "cache_write_1h_tokens",
    "input_audio": "input_audio_tokens", "input_image": "input_image_tokens",
    "output_reasoning": "output_reasoning_tokens", "output_audio": "output_audio_tokens",
    "output_image": "output_image_tokens", "web_search": "web_searches",
    "input_audio_second": "input_audio_seconds", "input_character": "input_characters",
    "rerank_search": "rerank_searches", "page": "input_document_pages",
    "page_annotated": "input_annotated_document_pages",
}  # fmt: skip
# The price that a piece needs; without it they would answer zero.
GENAI_PIECES = {
    "transcribed-seconds": "input_audio_hours", "spoken-characters": "input_mchars",
    "rerank-queries": "rerank_searches_kcount", "pages": "input_document_kpages",
    "annotated-pages": "input_annotated_document_kpages",
}  # fmt: skip


def sells(model, key):
    """Whether a model has a price of this name, at any time."""
    periods = [one.prices for one in model.prices] if isinstance(model.prices, list) else [model.prices]
    return key is not None and any(getattr(prices, key, None) is not None for prices in periods)


def genai_answers(providers, at):
    from genai_prices.types import Usage

    for provider in providers:
        for model in provider.models:
            for shape, (buckets, tier) in USAGES.items():
                if shape in PIECES and not sells(model, GENAI_PIECES.get(shape)):
                    continue
                context = {"processing": "batch"} if tier == "batch" else {"service_tier": tier} if tier else None
                values = {GENAI_USAGE[key]: value for key, value in buckets.items() if key in GENAI_USAGE}
                if "input_audio_second" in buckets:
                    values["input_audio_seconds"] = buckets["input_audio_second"] // 1_000
                    # What has parts is told with its whole.
                    values["audio_seconds"] = values["input_audio_seconds"]
                if "page_annotated" in buckets:
                    values["input_document_pages"] = buckets["page_annotated"]
                if "cache_write_1h" in buckets:
                    values["cache_write_tokens"] = buckets["cache_write_1h"]
                if shape in SHAPES:
                    values["input_tokens"], values["output_tokens"] = totals(buckets)
                try:
                    told = model.calc_price(
                        Usage(**values), provider, genai_request_timestamp=at, price_context=context
                    )
                    answer = {"cost": format(told.total_price, "f")}
                except Exception as why:  # what they raise is their answer
                    answer = {"error": f"{type(why).__name__}: {why}"[:200]}
                yield {
                    "by": "genai-prices",
                    "provider": provider.id,
                    "model": model.id,
                    "shape": shape,
                    **answer,
                }


def litellm_answers(entries):
    import litellm
    from litellm.cost_calculator import cost_per_token
    from litellm.types.utils import (
        CacheCreationTokenDetails,
        CompletionTokensDetailsWrapper,
        PromptTokensDetailsWrapper,
        Usage,
    )  # fmt: skip

    litellm.suppress_debug_info = True
    for name, entry in entries.items():
        if entry.get("mode") not in MODES or "litellm_provider" not in entry or name == "sample_spec":
            continue
        if entry["litellm_provider"] in SUBSCRIPTIONS:
            continue
        if "input_cost_per_token" not in entry and "tiered_pricing" not in entry:
            continue
        for shape, (buckets, tier) in SHAPES.items():
            inputs, outputs = totals(buckets)
            written = buckets.get("cache_write", 0) + buckets.get("cache_write_1h", 0)
            ttl = None
            if "cache_write_1h" in buckets:
                ttl = CacheCreationTokenDetails(ephemeral_5m_input_tokens=0, ephemeral_1h_input_tokens=written)
            usage = Usage(
                prompt_tokens=inputs, completion_tokens=outputs, total_tokens=inputs + outputs,
                prompt_tokens_details=PromptTokensDetailsWrapper(
                    cached_tokens=buckets.get("cache_read", 0), audio_tokens=buckets.get("input_audio", 0),
                    image_tokens=buckets.get("input_image", 0), text_tokens=buckets["input"],
                    cache_creation_tokens=written, cache_creation_token_details=ttl,
                ),
                completion_tokens_details=CompletionTokensDetailsWrapper(
                    reasoning_tokens=buckets.get("output_reasoning", 0), audio_tokens=buckets.get("output_audio", 0),
                    image_tokens=buckets.get("output_image", 0), text_tokens=buckets["output"],
                ),
            )  # fmt: skip
            try:
                told = cost_per_token(
                    model=name, custom_llm_provider=asked(entry["litellm_provider"]), usage_object=usage,
                    service_tier=tier if tier in ("flex", "priority") else None,
                    call_type="retrieve_batch" if tier == "batch" else "completion",
                )  # fmt: skip
                searched = searches(name, asked(entry["litellm_provider"])) if "web_search" in buckets else 0
                answer = {"cost": repr(sum(told) + searched)}
            except Exception as why:
                answer = {"error": f"{type(why).__name__}: {why}"[:200]}
            yield by_litellm(name, entry, shape, answer)


def by_litellm(name, entry, shape, answer):
    return {"by": "litellm", "provider": entry["litellm_provider"], "model": name, "shape": shape, **answer}


def searches(name, provider):
    """One web search, in the words of each provider's reply: their calculator of tools goes by them."""
    from litellm.litellm_core_utils.llm_cost_calc.tool_call_cost_tracking import StandardBuiltInToolCostTracking
    from litellm.types.utils import PromptTokensDetailsWrapper, ServerToolUse, Usage

    told = Usage(
        prompt_tokens=1_000, completion_tokens=500, total_tokens=1_500,
        prompt_tokens_details=PromptTokensDetailsWrapper(web_search_requests=1),
        server_tool_use=ServerToolUse(web_search_requests=1),
    )  # fmt: skip
    return StandardBuiltInToolCostTracking.get_cost_for_built_in_tools(
        model=name, response_object=None, usage=told, custom_llm_provider=provider
    )


# The mode of an entry, the piece that is asked, and the prices of which it needs one.
LITELLM_PIECES = (
    ("image_generation", "images", ("output_cost_per_image", "input_cost_per_image")),
    ("image_edit", "images", ("output_cost_per_image", "input_cost_per_image")),
    ("audio_transcription", "transcribed-seconds", ("input_cost_per_second", "output_cost_per_second")),
    ("audio_speech", "spoken-characters", ("input_cost_per_character",)),
    ("video_generation", "video-seconds", ("output_cost_per_second", "output_cost_per_video_per_second")),
    ("rerank", "rerank-queries", ("input_cost_per_query",)),
    ("ocr", "pages", ("ocr_cost_per_page",)),
    ("ocr", "annotated-pages", ("annotation_cost_per_page",)),
)


def litellm_pieces(entries):
    """What they sell by the piece, each by the calculator that `completion_cost` takes for it."""
    for name, entry in entries.items():
        for mode, shape, needed in LITELLM_PIECES:
            if entry.get("mode") != mode or not any(key in entry for key in needed):
                continue
            try:
                answer = {"cost": repr(piece(name, asked(entry["litellm_provider"]), shape))}
            except Exception as why:
                answer = {"error": f"{type(why).__name__}: {why}"[:200]}
            yield by_litellm(name, entry, shape, answer)


def piece(name, provider, shape):
    from litellm import cost_calculator
    from litellm.llms.base_llm.ocr.transformation import OCRResponse, OCRUsageInfo

    (count,) = PIECES[shape][0].values()
    if shape == "images":
        # Quality and size, where they are part of the name.
        told = re.fullmatch(r"(?:(\w+)/)?(\d+-x-\d+)/([^/]+)", name)
        quality, size, model = told.groups() if told else (None, "1024-x-1024", name)
        return cost_calculator.default_image_cost_calculator(model, provider, quality, count, size)
    if shape == "transcribed-seconds":
        told = cost_calculator.cost_per_token(
            model=name, custom_llm_provider=provider, call_type="transcription",
            audio_transcription_file_duration=count / 1_000,
        )  # fmt: skip
        return sum(told)
    if shape == "spoken-characters":
        told = cost_calculator.cost_per_token(
            model=name, custom_llm_provider=provider, call_type="speech", prompt_characters=count
        )
        return sum(told)
    if shape == "video-seconds":
        return cost_calculator.default_video_cost_calculator(name, count / 1_000, custom_llm_provider=provider)
    if shape == "rerank-queries":
        return sum(cost_calculator.rerank_cost(name, provider, billed_units={"search_units": count}))
    annotated = {"pages_processed_annotation": count} if shape == "annotated-pages" else {}
    usage = OCRUsageInfo(pages_processed=0 if annotated else count, **annotated)
    told = OCRResponse(pages=[], model=name, usage_info=usage)
    return sum(cost_calculator.ocr_cost(name, provider, response=told))


def asked(provider):
    """What a caller of litellm names: its entries name calculators."""
    if provider.startswith("vertex_ai"):
        return "vertex_ai"
    return {"bedrock_converse": "bedrock", "fireworks_ai-embedding-models": "fireworks_ai"}.get(provider, provider)


def main():
    folder = pathlib.Path(sys.argv[1])
    warnings.simplefilter("ignore")
    import litellm
    from genai_prices.data import providers

    at = datetime.datetime.now(datetime.UTC)
    source = pathlib.Path(litellm.__file__).parent / "model_prices_and_context_window_backup.json"
    (folder / "litellm.json").write_bytes(source.read_bytes())
    (folder / "genai-prices.json").write_text(dumps([provider_json(provider) for provider in providers]))
    entries = json.loads(source.read_text())
    litellm.model_cost = dict(entries)
    with open(folder / "answers.jsonl", "w") as out:
        for answer in [{"at": at.strftime("%Y-%m-%dT%H:%M:%SZ")}]:
            out.write(json.dumps(answer) + "\n")
        for answer in genai_answers(providers, at):
            out.write(json.dumps(answer) + "\n")
        for answer in litellm_answers(entries):
            out.write(json.dumps(answer) + "\n")
        for answer in litellm_pieces(entries):
            out.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
