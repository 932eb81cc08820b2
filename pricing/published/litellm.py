"""litellm's price map, read from the installed package without importing it."""

import importlib.util
import json
import pathlib
import re
from decimal import Decimal

from .listing import PER_MILLION, Listing, Period, Variant, exact, hourly, per_hour

TOKENS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "cache_creation_input_token_cost_above_12hr": "cache_write_12h",
    "cache_creation_input_audio_token_cost": "cache_write_audio",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "cache_read_input_audio_token_cost": "cache_read_audio",
    "input_cost_per_image_token": "input_image",
    "cache_read_input_image_token_cost": "cache_read_image",
    "output_cost_per_image_token": "output_image",
    "input_cost_per_video_token": "input_video",
    "output_cost_per_video_token": "output_video",
    "output_cost_per_reasoning_token": "output_reasoning",
    "citation_cost_per_token": "output_citation",
    "input_cost_per_character": "input_character",
    "output_cost_per_character": "output_character",
}
THOUSANDS = {
    "input_cost_per_request": "request",
    "input_cost_per_text_message": "text_message",
    "google_maps_grounding_cost_per_query": "maps_grounding",
    "ocr_cost_per_page": "page",
    "annotation_cost_per_page": "page_annotated",
}
SECONDS = {
    "input_cost_per_audio_per_second": "input_audio_second",
    "input_cost_per_video_per_second": "input_video_second",
    "output_cost_per_video_per_second": "output_video_second",
}
ONES = {"input_cost_per_image": "input_image_unit", "code_interpreter_cost_per_session": "code_session"}
TIERS = {"batch": "_batches", "flex": "_flex", "priority": "_priority", "ultrafast": "_ultrafast"}
MODES = {
    "image_generation": "image",
    "image_edit": "image",
    "audio_transcription": "audio",
    "audio_speech": "audio",
    "video_generation": "video",
    "evaluation": "other",
    "decisions": "other",
}
RESOLUTIONS = ("480p", "720p", "1080p", "4k")
MAIN = ("input", "output", "cache_read", "cache_write")


class LiteLLM:
    """Every entry of the map, by its name there."""

    name = "litellm"

    def __init__(self):
        spec = importlib.util.find_spec("litellm")
        path = pathlib.Path(spec.origin).parent / "model_prices_and_context_window_backup.json"
        self.entries = json.loads(path.read_text(), parse_float=Decimal, parse_int=Decimal)

    def listing(self, name, model):
        """The entry `name` as model `model`, or None if it has no price of a kind that we know."""
        entry = self.entries[name]
        mode = MODES.get(entry.get("mode"), entry.get("mode") or "chat")
        base = rates(entry, "", "", mode)
        units(entry, mode, base)
        period = Period(base)
        for limit in thresholds(entry):
            period.over[limit] = rates(entry, f"_above_{limit // 1000}k_tokens", "", mode)
        ranges(entry, period)
        for tier, suffix in TIERS.items():
            own = rates(entry, "", suffix, mode)
            longer = {n: rates(entry, f"_above_{n // 1000}k_tokens", suffix, mode) for n in thresholds(entry)}
            longer = {limit: found for limit, found in longer.items() if found}
            if tier == "batch":
                for field, key in THOUSANDS.items():
                    if entry.get(field + suffix) is not None:
                        own[key] = exact(entry[field + suffix] * 1000)
            if own or longer:
                period.variants.append(Variant({"tier": tier}, own, longer))
        conditional(entry, mode, period)
        if not period.rates:
            return None
        page = str(entry.get("source") or "")
        return Listing(
            model,
            self.name,
            mode,
            size(entry, "max_input_tokens"),
            size(entry, "max_output_tokens") or (size(entry, "max_tokens") if mode == "chat" else None),
            str(entry.get("deprecation_date") or ""),
            page.split("?")[0] if page.startswith("https://") else "",
            [period],
            origins=[name],
        )


def size(entry, key):
    number = entry.get(key)
    return int(number) if isinstance(number, Decimal) and number > 0 else None


def thresholds(entry):
    found = (re.search(r"_above_(\d+)k_tokens", field) for field in entry)
    return sorted({int(match[1]) * 1000 for match in found if match})


def rates(entry, length, tier, mode):
    """The token rates of one length and tier. A zero among tokens of what is sold by another unit is no price."""
    found = {}
    for field, key in TOKENS.items():
        price = entry.get(field + length + tier)
        if isinstance(price, Decimal):
            found[key] = exact(price * PER_MILLION)
    if mode == "embedding":
        found.pop("output", None)
    if mode not in ("chat", "responses", "completion", "moderation", "embedding"):
        found = {key: rate for key, rate in found.items() if rate}
    return found


def units(entry, mode, base):
    """Everything that is not sold by the token."""
    for field, key in THOUSANDS.items():
        if entry.get(field):
            base[key] = exact(entry[field] * 1000)
    for field, key in SECONDS.items():
        if entry.get(field):
            base[key] = per_hour(entry[field])
    for field, key in ONES.items():
        if entry.get(field):
            base[key] = exact(entry[field])
    if entry.get("input_cost_per_query"):
        base["rerank_search" if mode == "rerank" else "request"] = exact(entry["input_cost_per_query"] * 1000)
    if entry.get("output_cost_per_image"):
        base["output_image_unit"] = exact(entry["output_cost_per_image"])
    if entry.get("input_cost_per_second"):
        key = {"realtime": "audio_second", "embedding": "input_video_second"}.get(mode, "input_audio_second")
        base[key] = (per_hour if "video" in key else hourly)(entry["input_cost_per_second"])
    # What a picture costs is the price of making it, where nothing else is listed.
    if mode == "image" and set(base) == {"input_image_unit"}:
        base["output_image_unit"] = base.pop("input_image_unit")
    # Speech that is sold by the token says what a second comes to, which is not another price.
    if entry.get("output_cost_per_second") and mode == "video":
        base["output_video_second"] = per_hour(entry["output_cost_per_second"])


def ranges(entry, period):
    """`tiered_pricing`: rates by ranges of input; the first is the base, the others are cliffs."""
    steps = [step for step in entry.get("tiered_pricing") or [] if "range" in step]
    for number, step in enumerate(steps):
        found = rates(step, "", "", "chat")
        if number == 0:
            period.rates.update(found)
            continue
        # A range without a cache price bills the cache as its own input.
        for key in period.rates.keys() & {"cache_read", "cache_write"} - found.keys():
            found[key] = found["input"]
        period.over[int(step["range"][0])] = found


def conditional(entry, mode, period):
    """Search fees by context size, seconds of video by resolution."""
    fees = entry.get("search_context_cost_per_query") or {}
    fees = {size: fees.get(f"search_context_size_{size}") for size in ("low", "medium", "high")}
    if fees["medium"] is not None:
        period.rates["web_search"] = exact(fees["medium"] * 1000)
        for size in ("low", "high"):
            if fees[size] is not None and fees[size] != fees["medium"]:
                rate = {"web_search": exact(fees[size] * 1000)}
                period.variants.append(Variant({"search_context": size}, rate))
    if mode == "video":
        for resolution in RESOLUTIONS:
            price = entry.get(f"output_cost_per_second_{resolution}")
            if price is not None and per_hour(price) != period.rates.get("output_video_second"):
                rate = {"output_video_second": per_hour(price)}
                period.variants.append(Variant({"resolution": resolution}, rate))
