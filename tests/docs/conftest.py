"""A provider for the snippets: the SDKs find it by the environment variables that they read anyway."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

from billing import Prices
from provider import Provider

PRICES = {
    "version": "docs",
    "models": {
        "gpt-4o-mini": {"input": "0.15", "cache_read": "0.075", "output": "0.6"},
        "claude-haiku-4-5": {"input": "1", "cache_read": "0.1", "cache_write": "1.25", "output": "5"},
    },
}


@pytest.fixture(scope="session")
def environment() -> Iterator[dict[str, str]]:
    """What a user has set, with the local provider in place of the real ones."""
    with Provider(Prices.from_json(PRICES)) as provider:
        yield os.environ | {
            "ANTHROPIC_API_KEY": "acme",
            "ANTHROPIC_BASE_URL": provider.url,
            "OPENAI_API_KEY": "acme",
            "OPENAI_BASE_URL": f"{provider.url}/v1",
        }
