"""genai-prices, through its data module."""

import dataclasses
from dataclasses import replace
from decimal import Decimal

from . import CHECKED
from .listing import Listing, Period, Variant, exact

KEYS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "cache_audio_read_mtok": "cache_read_audio",
    "input_image_mtok": "input_image",
    "cache_image_read_mtok": "cache_read_image",
    "output_image_mtok": "output_image",
    "input_video_mtok": "input_video",
    "output_video_mtok": "output_video",
    "output_reasoning_mtok": "output_reasoning",
    "output_citation_mtok": "output_citation",
    "input_mchars": "input_character",
    "input_audio_hours": "input_audio_second",
    "audio_hours": "audio_second",
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
    "requests_kcount": "request",
    "input_text_messages_kcount": "text_message",
    "input_document_kpages": "page",
    "input_annotated_document_kpages": "page_annotated",
}
CONDITIONS = {
    ("processing", "batch"): {"tier": "batch"},
    ("service_tier", "flex"): {"tier": "flex"},
    ("service_tier", "priority"): {"tier": "priority"},
    ("speed", "fast"): {"speed": "fast"},
    ("search_type", "fast"): {"search_type": "fast"},
    ("search_type", "web"): {"search_type": "web"},
}
# Said twice: `fast` is OpenAI's other word for priority, `default` is the standard rate.
SAID_ALREADY = {("service_tier", "fast"), ("service_tier", "default")}


class GenaiPrices:
    """Every provider of the catalog, by its id there."""

    name = "genai-prices"

    def __init__(self):
        from genai_prices.data import providers

        self.providers = {provider.id: provider for provider in providers}

    def listings(self, provider):
        """Every priced model of a provider."""
        source = self.providers[provider]
        for model in source.models:
            listing = read(model, (source.pricing_urls or [""])[0])
            if listing is not None:
                yield listing


def read(model, page):
    """None for a model without a price, and for one whose price depends on the time of day, which it tells without
    weekdays."""
    conditional = model.prices if isinstance(model.prices, list) else None
    steps = conditional or ([model.prices] if not isinstance(model.prices, list) else [])
    periods = []
    for step in steps:
        constraint = getattr(step, "constraint", None)
        if constraint is not None and not hasattr(constraint, "start_date"):
            return None
        start = constraint.start_date.isoformat() if constraint else ""
        rates, over = flat(step.prices if hasattr(step, "prices") else step)
        if rates:
            periods.append(Period(rates, over, start=start))
    if not periods:
        return None
    periods.sort(key=lambda period: period.start)
    deal(list(variants(model)), periods)
    mode = {"page": "ocr", "input_audio_second": "audio", "input_character": "audio", "audio_second": "realtime"}
    kinds = [mode[key] for key in mode if key in periods[-1].rates]
    if not kinds and "embed" in model.id:
        kinds = ["embedding"]
    return Listing(
        model.id,
        GenaiPrices.name,
        kinds[0] if kinds else "chat",
        model.context_window,
        page=page,
        periods=periods,
        aliases=sorted(set(equals(model.match)) - {model.id.lower()}),
        origins=[model.id],
    )


def variants(model):
    for variant in model.price_variants or []:
        ((key, value),) = variant.when.items()
        if (key, value) not in SAID_ALREADY:
            rates, over = flat(variant.prices)
            start = variant.constraint.start_date.isoformat() if variant.constraint else ""
            yield Variant(dict(CONDITIONS[key, value]), rates, over, start)


def deal(found, periods):
    """Gives each period the variants of its time. A variant that began before today holds for the whole of today's
    period: its start is the day on which somebody looked."""
    for number, period in enumerate(periods):
        end = periods[number + 1].start if number + 1 < len(periods) else "9999"
        today = period.start <= CHECKED < end
        begun = max(period.start, CHECKED) if today else period.start
        for when in {str(variant.when): variant.when for variant in found}.values():
            mine = sorted((v for v in found if v.when == when and v.start < end), key=lambda v: v.start)
            in_force = [v for v in mine if v.start <= begun][-1:]
            period.variants += [replace(v, start="") for v in in_force]
            period.variants += [v for v in mine if v.start > begun]


def flat(prices):
    """Rates and {threshold: rates}; every rate that has steps has them at the same lengths, or is repeated."""
    rates, over = {}, {}
    for field, key in KEYS.items():
        price = getattr(prices, field, None)
        if price is None:
            continue
        if hasattr(price, "tiers"):
            rates[key] = exact(Decimal(price.base))
            for tier in price.tiers:
                over.setdefault(tier.start, {})[key] = exact(Decimal(tier.price))
        else:
            rates[key] = exact(Decimal(price))
    if set(rates) == {"input", "output"} and not rates["input"] and not rates["output"]:
        return rates, {}
    return rates, over


def equals(clause):
    """The names that a clause tree spells out whole."""
    if dataclasses.is_dataclass(clause):
        for field in dataclasses.fields(clause):
            value = getattr(clause, field.name)
            if field.name == "equals":
                yield value.lower()
            elif field.name == "or_":
                for part in value:
                    yield from equals(part)
