"""What the end-to-end tests share: a provider, a collector, and both real Python SDKs aimed at it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import anthropic
import openai
import pytest

from billing import Prices
from collector import Collector
from provider import Provider

PRICES = {
    "version": "test-1",
    "models": {
        "gpt-4o-mini": {
            "input": "0.15",
            "cache_read": "0.075",
            "output": "0.6",
            "served_as": "gpt-4o-mini-2024-07-18",
        },
        "text-embedding-3-small": {"input": "0.02"},
        "claude-haiku-4-5": {
            "input": "1",
            "cache_read": "0.1",
            "cache_write": "1.25",
            "cache_write_1h": "2",
            "output": "5",
            "web_search": "10",
            "served_as": "claude-haiku-4-5-20251001",
        },
    },
}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(Prices.from_json(PRICES)) as running:
        yield running


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def chat(provider: Provider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="acme", base_url=f"{provider.url}/v1", max_retries=0, timeout=5) as client:
        yield client


@pytest.fixture
def claude(provider: Provider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="acme", base_url=provider.url, max_retries=0, timeout=5) as client:
        yield client
