"""What the collector is told of calls through every SDK: provider, operation, server, model, stream, errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import cohere
import pytest
from botocore.config import Config
from collector import Collector
from google import genai
from mistralai.client import Mistral
from provider import Provider

import spendrail
from conftest import COHERE_EMBEDDING, COMMAND, GEMINI, GEMINI_EMBEDDING, MISTRAL, NOVA, RERANK, TITAN, make_guard

USER: Any = [{"role": "user", "content": "A secret question"}]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def bedrock_of(url: str) -> Any:
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=url, config=config, **keys)


def gemini_of(url: str) -> genai.Client:
    return genai.Client(api_key="k", http_options=genai.types.HttpOptions(base_url=url))


def converse(client: Any) -> None:
    asked = {"messages": [{"role": "user", "content": [{"text": "A secret question"}]}]}
    list(client.converse_stream(modelId=NOVA, inferenceConfig={"maxTokens": 50, "topP": 0.5}, **asked)["stream"])


CASES: dict[str, tuple[Callable[[str], Any], Callable[[Any], object], dict[str, Any]]] = {
    "converse": (
        bedrock_of,
        converse,
        {"provider.name": "aws.bedrock", "operation.name": "chat", "request.model": NOVA, "request.top_p": 0.5},
    ),
    "titan": (
        bedrock_of,
        lambda client: client.invoke_model(modelId=TITAN, body=json.dumps({"inputText": "x", "dimensions": 256})),
        {"provider.name": "aws.bedrock", "operation.name": "embeddings", "embeddings.dimension.count": 256},
    ),
    "gemini": (
        gemini_of,
        lambda client: client.models.generate_content(model=GEMINI, contents="A secret question"),
        {"operation.name": "generate_content", "request.model": GEMINI, "provider.name": "gcp.gen_ai"},
    ),
    "gemini embedding": (
        gemini_of,
        lambda client: client.models.embed_content(model=GEMINI_EMBEDDING, contents="x"),
        {"operation.name": "embeddings", "request.model": GEMINI_EMBEDDING},
    ),
    "mistral": (
        lambda url: Mistral(api_key="k", server_url=url),
        lambda client: client.chat.complete(model=MISTRAL, messages=USER, max_tokens=50, random_seed=7),
        {"provider.name": "mistral_ai", "operation.name": "chat", "request.max_tokens": 50, "request.seed": 7},
    ),
    "cohere": (
        lambda url: cohere.ClientV2(api_key="k", base_url=url),
        lambda client: client.chat(model=COMMAND, messages=USER, max_tokens=50),
        {"provider.name": "cohere", "operation.name": "chat", "usage.output_tokens": 32},
    ),
    "cohere embedding": (
        lambda url: cohere.ClientV2(api_key="k", base_url=url),
        lambda client: client.embed(
            model=COHERE_EMBEDDING, texts=["x"], input_type="search_query", embedding_types=["float"]
        ),
        {"operation.name": "embeddings"},
    ),
    "cohere rerank": (
        lambda url: cohere.ClientV2(api_key="k", base_url=url),
        lambda client: client.rerank(model=RERANK, query="A secret question", documents=["x"]),
        {"operation.name": "rerank", "request.model": RERANK},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_call_appears_once(collector: Collector, provider: Provider, name: str) -> None:
    make, ask, told = CASES[name]
    guard = make_guard(telemetry=spendrail.Telemetry(mode="native", endpoint=collector.http_url))
    ask(guard.wrap(make(provider.url), tenant="acme"))
    guard.flush()
    guard.close()
    (span,) = collector.received()["spans"]
    shown = span["attributes"]
    assert {key: shown.get(f"gen_ai.{key}") for key in told} == told
    assert shown["server.address"] == "127.0.0.1" and shown["server.port"] > 0
    assert shown["spendrail.cost.nano_usd"] > 0
    assert "secret" not in json.dumps(collector.received()), "content is never recorded"


@pytest.mark.parametrize(
    ("name", "error_type"),
    [("converse", "ThrottlingException"), ("gemini", "RESOURCE_EXHAUSTED"), ("mistral", "429"), ("cohere", "429")],
)
def test_a_failed_call_tells_its_error_type(
    collector: Collector, provider: Provider, name: str, error_type: str
) -> None:
    text = "x <<provider: fault=429>>"
    asks: dict[str, Callable[[Any], object]] = {
        "converse": lambda client: client.converse(
            modelId=NOVA, messages=[{"role": "user", "content": [{"text": text}]}], inferenceConfig={"maxTokens": 9}
        ),
        "gemini": lambda client: client.models.generate_content(model=GEMINI, contents=text),
        "mistral": lambda client: client.chat.complete(
            model=MISTRAL, messages=[{"role": "user", "content": text}], max_tokens=9
        ),
        "cohere": lambda client: client.chat(
            model=COMMAND,
            messages=[{"role": "user", "content": text}],
            max_tokens=9,
            request_options={"max_retries": 0},
        ),
    }
    guard = make_guard(telemetry=spendrail.Telemetry(mode="native", endpoint=collector.http_url))
    with pytest.raises(Exception, match=r"429|Throttling|Rate limit|RESOURCE"):
        asks[name](guard.wrap(CASES[name][0](provider.url), tenant="acme"))
    guard.flush()
    guard.close()
    (span,) = collector.received()["spans"]
    assert span["attributes"]["error.type"] == error_type
