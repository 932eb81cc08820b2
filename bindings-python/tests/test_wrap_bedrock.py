"""A wrapped `boto3` client for Bedrock's runtime against a provider that speaks its binary streams."""

from __future__ import annotations

import gc
import json
import pickle
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, EventStreamError
from provider import Provider

import spendrail
from conftest import BEDROCK_CLAUDE, LLAMA, NOVA, TITAN, billed, make_guard, requests, spent

ACME = {"tenant": "acme"}


def client_of(url: str, **config: Any) -> Any:
    retries = {"total_max_attempts": config.pop("attempts", 1)}
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries=retries, read_timeout=5, **config),
    )


@pytest.fixture
def bedrock(provider: Provider) -> Any:
    return client_of(provider.url)


def ask(text: str = "What does a budget protect?", model: str = NOVA, script: str = "") -> dict[str, Any]:
    text += f" <<provider: {script}>>" if script else ""
    return {
        "modelId": model,
        "messages": [{"role": "user", "content": [{"text": text}]}],
        "inferenceConfig": {"maxTokens": 200},
    }


def claude(script: str = "") -> dict[str, Any]:
    text = f"Hello <<provider: {script}>>"
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": text}],
    }
    return {"modelId": BEDROCK_CLAUDE, "body": json.dumps(body)}


def receipt(reply: object) -> spendrail.Receipt:
    found = spendrail.receipt_of(reply)
    assert found is not None
    return found


# -- the copy --------------------------------------------------------------------------------------


def test_wrap_returns_a_copy(guard: spendrail.Guard, bedrock: BaseClient) -> None:
    before = dict(bedrock.__dict__)
    wrapped = guard.wrap(bedrock, **ACME)
    assert type(wrapped) is type(bedrock) and wrapped is not bedrock
    assert bedrock.__dict__ == before
    assert guard.wrap(wrapped) is wrapped, "wrapping twice changes nothing"
    assert wrapped.meta.region_name == "us-east-1"


def test_other_services_are_refused(guard: spendrail.Guard) -> None:
    other = boto3.client("s3", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
    with pytest.raises(spendrail.InvalidInput, match="no client that can be wrapped"):
        guard.wrap(other)


def test_more_labels_are_no_second_guard(guard: spendrail.Guard, bedrock: Any, provider: Provider) -> None:
    client = guard.wrap(guard.wrap(bedrock), **ACME)
    with guard.run(max_calls=1):
        assert receipt(client.converse(**ask())).flags == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


# -- whole replies ---------------------------------------------------------------------------------


CALLS = {
    "converse": lambda client: client.converse(**ask(script="cache_read=30")),
    "claude": lambda client: client.invoke_model(**claude("cache_read=11 cache_write=7")),
    "llama": lambda client: client.invoke_model(
        modelId=LLAMA, body=json.dumps({"prompt": "Hello", "max_gen_len": 100}).encode()
    ),
    "titan": lambda client: client.invoke_model(modelId=TITAN, body=json.dumps({"inputText": "a budget"})),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_reply_is_settled_to_the_last_digit(
    guard: spendrail.Guard, bedrock: Any, provider: Provider, name: str
) -> None:
    reply = CALLS[name](guard.wrap(bedrock, **ACME))
    entry = provider.journal.to_json()["requests"][-1]
    assert entry["cost_nano_usd"] > 0
    assert receipt(reply).cost == Decimal(entry["cost_usd"])
    assert receipt(reply).flags == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)
    if "body" in reply:
        assert receipt(reply["body"]) is receipt(reply)
        assert json.loads(reply["body"].read()), "the body is there for the application"


def test_a_reply_is_the_sdks_own(guard: spendrail.Guard, bedrock: Any) -> None:
    plain, wrapped = bedrock.converse(**ask()), guard.wrap(bedrock, **ACME).converse(**ask())
    assert isinstance(wrapped, dict) and wrapped.keys() == plain.keys()
    assert wrapped["output"] == plain["output"]
    assert type(pickle.loads(pickle.dumps(wrapped))) is dict
    assert spendrail.receipt_of(plain) is None


def test_models_are_named_as_the_path_names_them(guard: spendrail.Guard, bedrock: Any, provider: Provider) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/unknown"
    with pytest.raises(spendrail.UnknownModel) as denied:
        guard.wrap(bedrock, **ACME).converse(**ask(model=arn))
    assert arn in str(denied.value)
    assert requests(provider) == 0


# -- what is not sent ------------------------------------------------------------------------------


def test_a_denial_comes_before_anything_is_sent_and_is_not_retried(provider: Provider) -> None:
    client = make_guard("0.000001 USD").wrap(client_of(provider.url, attempts=5), **ACME)
    for call in (client.converse, client.converse_stream):
        with pytest.raises(spendrail.BudgetExceeded):
            call(**ask())
    assert requests(provider) == 0


def test_endpoints_that_may_cost_are_denied(guard: spendrail.Guard, bedrock: Any, provider: Provider) -> None:
    client = guard.wrap(bedrock, **ACME)
    with pytest.raises(spendrail.Denied) as denied:
        client.apply_guardrail(
            guardrailIdentifier="g", guardrailVersion="1", source="INPUT", content=[{"text": {"text": "x"}}]
        )
    assert denied.value.code == "unguarded_endpoint"
    with pytest.raises(spendrail.Denied):
        output = {"s3OutputDataConfig": {"s3Uri": "s3://b"}}
        client.start_async_invoke(modelId=NOVA, modelInput={}, outputDataConfig=output)
    assert requests(provider) == 0
    with pytest.raises(ClientError):  # counting is free: it is sent
        client.count_tokens(modelId=NOVA, input={"converse": {"messages": ask()["messages"]}})
    assert requests(provider) == 1


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["429", "500", "401"])
def test_what_the_provider_refuses_is_not_billed(guard: spendrail.Guard, bedrock: Any, fault: str) -> None:
    client = guard.wrap(bedrock, **ACME)
    for call in (client.converse, client.converse_stream):
        with pytest.raises(ClientError):
            call(**ask(script=f"fault={fault}"))
    assert spent(guard, **ACME) == (0, 0, 0)


def test_a_retried_call_is_one_call(guard: spendrail.Guard, provider: Provider) -> None:
    client = guard.wrap(client_of(provider.url, attempts=4), **ACME)
    with guard.run(max_calls=1, **ACME):
        reply = client.converse(**ask(script="fault=503 times=2"))
    assert requests(provider) == 3
    assert receipt(reply).posted_nano_usd == billed(provider)


def test_an_attempt_that_nobody_answered_adds_its_input(guard: spendrail.Guard, provider: Provider) -> None:
    client = guard.wrap(client_of(provider.url, attempts=2), **ACME)
    reply = client.converse(**ask(script="fault=cut times=1"))
    assert requests(provider) == 2
    assert [line.bucket for line in receipt(reply).lines] == ["input", "output", "input"]
    assert "estimated" in receipt(reply).flags


def test_a_reply_that_is_lost_is_not_free(guard: spendrail.Guard, provider: Provider) -> None:
    with pytest.raises(Exception, match="Connection was closed"):
        guard.wrap(client_of(provider.url), **ACME).converse(**ask(script="fault=cut"))
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


def test_a_connection_that_never_was_costs_nothing(guard: spendrail.Guard) -> None:
    with pytest.raises(EndpointConnectionError):
        guard.wrap(client_of("http://127.0.0.1:9"), **ACME).converse(**ask())
    assert spent(guard, **ACME) == (0, 0, 0)


def test_a_reply_without_usage_costs_what_was_reserved(guard: spendrail.Guard, bedrock: Any) -> None:
    body = json.dumps({"prompt": "<<provider: fault=no_usage>>", "max_gen_len": 100})
    client = guard.wrap(bedrock, **ACME)
    reply = client.converse(**ask(script="fault=no_usage"))
    assert receipt(reply).posted_nano_usd == receipt(reply).reserved_nano_usd
    assert "no_usage" in receipt(reply).flags
    assert client.invoke_model(modelId=LLAMA, body=body)["contentType"] == "application/json"


# -- streams ---------------------------------------------------------------------------------------


def test_streams_settle_by_their_final_usage(guard: spendrail.Guard, bedrock: Any, provider: Provider) -> None:
    client = guard.wrap(bedrock, **ACME)
    reply = client.converse_stream(**ask(script="cache_read=5"))
    assert spendrail.receipt_of(reply) is None
    events = list(reply["stream"])
    assert next(iter(events[-1])) == "metadata"
    assert receipt(reply).flags == () and receipt(reply["stream"]) is receipt(reply)
    other = client.invoke_model_with_response_stream(**claude("cache_read=11"))
    assert all("chunk" in event for event in other["body"])
    assert receipt(other).flags == ()
    body = json.dumps({"prompt": "Hello", "max_gen_len": 100})
    third = client.invoke_model_with_response_stream(modelId=LLAMA, body=body)
    assert len(list(third["body"])) > 5
    assert receipt(third).flags == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


@pytest.mark.parametrize("how", ["close", "drop"])
@pytest.mark.parametrize("api", ["converse", "invoke"])
def test_a_stream_that_is_left_early_is_never_free(guard: spendrail.Guard, bedrock: Any, how: str, api: str) -> None:
    client = guard.wrap(bedrock, **ACME)
    script = "output=150 delay_ms=1"
    reply = (
        client.converse_stream(**ask(script=script))
        if api == "converse"
        else client.invoke_model_with_response_stream(**claude(script))
    )
    stream = reply["stream" if api == "converse" else "body"]
    for count, _ in enumerate(stream):
        if count == 4:
            break
    assert spent(guard, **ACME)[1] > 0, "who breaks out may come back"
    if how == "close":
        stream.close()
        assert "estimated" in receipt(reply).flags
    del stream, reply
    gc.collect()
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed == 0, "floor and margin; the rest is released"


@pytest.mark.parametrize("fault", ["cut", "truncate", "error_event"])
def test_a_stream_that_breaks_is_floor_and_unconfirmed(guard: spendrail.Guard, bedrock: Any, fault: str) -> None:
    reply = guard.wrap(bedrock, **ACME).converse_stream(**ask(script=f"fault={fault} after=6"))
    seen = 0
    try:
        for _ in reply["stream"]:
            seen += 1
    except EventStreamError:
        assert fault == "error_event"
    except Exception:
        assert fault == "cut"
    assert seen >= 5
    assert "estimated" in receipt(reply).flags
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


# -- surroundings ----------------------------------------------------------------------------------


def test_calls_belong_to_the_scope_and_run_around_them(guard: spendrail.Guard, bedrock: Any) -> None:
    client = guard.wrap(bedrock)
    with guard.scope(tenant="globex"), guard.run(max_calls=1) as run:
        client.converse(**ask())
        with pytest.raises(spendrail.RunLimitExceeded):
            client.converse(**ask("again"))
    assert spent(guard, tenant="globex")[0] == run.spent
