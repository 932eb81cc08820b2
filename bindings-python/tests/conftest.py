"""A local provider, guards with the prices that it bills by, and both real SDKs aimed at it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

import spendrail

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "e2e"))

from billing import Prices
from provider import Provider

CLAUDE, GPT, EMBEDDING = "claude-haiku-4-5", "gpt-4o-mini", "text-embedding-3-small"
NOVA, LLAMA, TITAN = "amazon.nova-lite-v1:0", "us.meta.llama3-1-8b-instruct-v1:0", "amazon.titan-embed-text-v2:0"
BEDROCK_CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
GEMINI, GEMINI_EMBEDDING = "gemini-2.5-flash", "gemini-embedding-001"
MISTRAL, MISTRAL_EMBEDDING = "mistral-small-2603", "mistral-embed-2312"
COMMAND, COHERE_EMBEDDING, RERANK = "command-a-03-2025", "embed-v4.0", "rerank-v3.5"
RATES = {
    "anthropic": {
        CLAUDE: {"input": "1", "cache_read": "0.1", "cache_write": "1.25", "cache_write_1h": "2", "output": "5"}
    },
    "openai": {GPT: {"input": "0.15", "cache_read": "0.075", "output": "0.6"}, EMBEDDING: {"input": "0.02"}},
    "aws": {
        NOVA: {"input": "0.06", "cache_read": "0.015", "output": "0.24"},
        BEDROCK_CLAUDE: {"input": "1", "cache_read": "0.1", "cache_write": "1.25", "output": "5"},
        LLAMA: {"input": "0.22", "output": "0.22"},
        TITAN: {"input": "0.02"},
    },
    "google": {
        GEMINI: {"input": "0.3", "cache_read": "0.03", "output": "2.5"},
        GEMINI_EMBEDDING: {"input": "0.15"},
    },
    "mistral": {
        MISTRAL: {"input": "0.1", "cache_read": "0.01", "output": "0.3"},
        MISTRAL_EMBEDDING: {"input": "0.1"},
    },
    "cohere": {
        COMMAND: {"input": "2.5", "output": "10"},
        COHERE_EMBEDDING: {"input": "0.12"},
        RERANK: {"rerank_search": "2"},
    },
}
SERVED = {CLAUDE: "claude-haiku-4-5-20251001", GPT: "gpt-4o-mini-2024-07-18"}
"""What the provider bills, and under which dated names it serves."""


def catalog() -> dict[str, Any]:
    """The same prices, as an application writes them."""
    providers: dict[str, Any] = {}
    for provider, models in RATES.items():
        entries = {
            model: {
                "replace": True,
                "max_input_tokens": 200_000,
                "max_output_tokens": 4_096,
                "prices": [{"rates": rates}],
            }
            for model, rates in models.items()
        }
        providers[provider] = {"date_suffix": provider in ("anthropic", "openai"), "models": entries}
    return {"catalog": 1, "providers": providers}


def make_guard(limit: str = "5 USD", **more: Any) -> spendrail.Guard:
    budget = spendrail.Budget("tenant-day", per=["tenant"], limit=limit, window="day", release_cap="0%")
    return spendrail.Guard(budgets=[budget], prices=[catalog()], **more)


def spent(guard: spendrail.Guard, **scope: Any) -> tuple[int, int, int]:
    """Of the one account: spent, held, unconfirmed."""
    (balance,) = guard.balances("tenant-day", **scope)
    return balance.spent, balance.held, balance.unconfirmed


@pytest.fixture
def provider() -> Iterator[Provider]:
    models: dict[str, Any] = {model: dict(rates) for table in RATES.values() for model, rates in table.items()}
    for model, served in SERVED.items():
        models[model]["served_as"] = served
    with Provider(Prices.from_json({"version": "1", "models": models})) as running:
        yield running


@pytest.fixture
def guard() -> Iterator[spendrail.Guard]:
    made = make_guard()
    yield made
    made.close()


@pytest.fixture
def claude(provider: Provider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="acme", base_url=provider.url, max_retries=0, timeout=5) as client:
        yield client


@pytest.fixture
def gpt(provider: Provider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="acme", base_url=f"{provider.url}/v1", max_retries=0, timeout=5) as client:
        yield client


def billed(provider: Provider) -> int:
    """What the provider has billed, in nano-USD, each call rounded up as the ledger does."""
    return sum(int(entry["cost_nano_usd"]) for entry in provider.journal.to_json()["requests"])


def requests(provider: Provider) -> int:
    """How many requests the provider saw."""
    return len(provider.journal.to_json()["requests"])


def script(text: str) -> dict[str, str]:
    """What the provider should do with a request."""
    return {"x-provider-script": text}
