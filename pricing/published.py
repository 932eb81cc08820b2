"""The two published price catalogs that `check.py --cross-check` compares with, behind one shape:
`rates(provider, model, tier, threshold, day)` is what a catalog lists for one tier and length, by our rate keys; None
for a model it does not have.
"""

import datetime
import importlib.util
import json
import pathlib
import re
import subprocess
import sys
from decimal import Decimal

# What we compare with, and where it is put: not a dependency of anything.
PUBLISHED = ("genai-prices==0.2.3", "litellm==1.109.1")
PUBLISHED_AT = (
    pathlib.Path(__file__).resolve().parent.parent
    / "target"
    / "published-prices"
    / "-".join(re.sub(r"\W", ".", p) for p in PUBLISHED)
)


def fetch():
    """Installs the two packages beside the build, once; litellm without what it depends on, we read one file of it."""
    if not PUBLISHED_AT.exists():
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--target"]
        partial = PUBLISHED_AT.with_suffix(".partial")
        genai, litellm = PUBLISHED
        subprocess.run([*pip, str(partial), genai], check=True)
        subprocess.run([*pip, str(partial), "--no-deps", litellm], check=True)
        partial.rename(PUBLISHED_AT)
    sys.path.append(str(PUBLISHED_AT))


LITELLM_KEYS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "cache_creation_input_token_cost_above_12hr": "cache_write_12h",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "cache_read_input_audio_token_cost": "cache_read_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image",
    "input_cost_per_video_token": "input_video",
    "output_cost_per_video_token": "output_video",
    "output_cost_per_reasoning_token": "output_reasoning",
}
LITELLM_TIERS = {"batch": "_batches", "flex": "_flex", "priority": "_priority", "ultrafast": "_ultrafast"}
LITELLM_PREFIXES = {"anthropic": ("",), "openai": ("",), "google": ("gemini/", "vertex_ai/", "")}
LITELLM_PROVIDERS = {
    "anthropic": ("anthropic",),
    "openai": ("openai", "text-completion-openai"),
    "google": ("gemini",),
}
GENAI_KEYS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "cache_audio_read_mtok": "cache_read_audio",
    "input_image_mtok": "input_image",
    "output_image_mtok": "output_image",
    "input_video_mtok": "input_video",
    "output_video_mtok": "output_video",
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
}


class LiteLLM:
    """litellm's price map, read from the installed package without importing it."""

    name = "litellm"

    def __init__(self):
        spec = importlib.util.find_spec("litellm")
        path = pathlib.Path(spec.origin).parent / "model_prices_and_context_window_backup.json"
        self.entries = json.loads(path.read_text(), parse_float=Decimal, parse_int=Decimal)

    def entry(self, provider, model):
        names = (prefix + model for prefix in LITELLM_PREFIXES[provider])
        return next((self.entries[name] for name in names if name in self.entries), None)

    def rates(self, provider, model, tier, threshold, day):
        entry = self.entry(provider, model)
        if entry is None:
            return None
        length = f"_above_{threshold // 1000}k_tokens" if threshold else ""
        rates = {}
        for field, key in LITELLM_KEYS.items():
            rate = entry.get(f"{field}{length}{LITELLM_TIERS.get(tier, '')}")
            if rate is not None:
                rates[key] = rate * 1_000_000
        search = entry.get("search_context_cost_per_query")
        if search and not tier and not threshold:
            rates["web_search"] = search["search_context_size_medium"] * 1000
        maps = entry.get("google_maps_grounding_cost_per_query")
        if maps and not tier and not threshold:
            rates["maps_grounding"] = maps * 1000
        return rates

    def names(self, provider):
        """The chat and embedding ids of a provider, each with its last day."""
        for name, entry in self.entries.items():
            ours = entry.get("litellm_provider") in LITELLM_PROVIDERS[provider]
            if ours and entry.get("mode") in ("chat", "responses", "completion", "embedding"):
                yield name, str(entry.get("deprecation_date", "9999"))

    def limits(self, provider, model):
        entry = self.entry(provider, model) or {}
        return {key: entry[key] for key in ("max_input_tokens", "max_output_tokens") if key in entry}


class GenaiPrices:
    """genai-prices, through its data module."""

    name = "genai-prices"

    def __init__(self):
        from genai_prices.data import providers

        self.providers = {provider.id: provider for provider in providers}

    def rates(self, provider, model, tier, threshold, day):
        found = self.providers[provider].find_model(model)
        if found is None or tier == "ultrafast":
            return None if found is None else {}
        instant = datetime.datetime.fromisoformat(day + "T12:00:00+00:00")
        if tier is None:
            return self.flat(found.get_prices(instant), threshold)
        wanted = {"processing": "batch"} if tier == "batch" else {"service_tier": tier}
        for variant in found.price_variants or []:
            if variant.when == wanted and (variant.constraint is None or variant.constraint.active(instant)):
                return self.flat(variant.prices, threshold)
        return {}

    @staticmethod
    def flat(prices, threshold):
        rates = {}
        for field, key in GENAI_KEYS.items():
            price = getattr(prices, field, None)
            if price is None:
                continue
            if hasattr(price, "tiers"):
                above = [tier.price for tier in price.tiers if threshold and threshold >= tier.start]
                price = above[-1] if above else price.base
            rates[key] = Decimal(price)
        return rates
