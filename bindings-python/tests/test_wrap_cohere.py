"""Wrapped clients of `cohere` against a provider that speaks Cohere."""

from __future__ import annotations

import asyncio
import gc
from decimal import Decimal
from typing import Any

import cohere
import httpx
import pytest
from cohere.core.api_error import ApiError
from provider import Provider

import spendrail
from conftest import COHERE_EMBEDDING, COMMAND, RERANK, billed, make_guard, requests, spent

ACME = {"tenant": "acme"}


def client_of(url: str, *, retries: int = 0, timeout: float = 5.0, kind: Any = cohere.ClientV2) -> Any:
    return kind(api_key="acme", base_url=url, max_retries=retries, timeout=timeout)


@pytest.fixture
def command(provider: Provider) -> cohere.ClientV2:
    made: cohere.ClientV2 = client_of(provider.url)
    return made


def ask(script: str = "") -> Any:
    text = "What does a budget protect?" + (f" <<provider: {script}>>" if script else "")
    return {"model": COMMAND, "messages": [{"role": "user", "content": text}], "max_tokens": 200}


def receipt(reply: object) -> spendrail.Receipt:
    found = spendrail.receipt_of(reply)
    assert found is not None
    return found


# -- the copy --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [cohere.Client, cohere.ClientV2, cohere.AsyncClient, cohere.AsyncClientV2])
def test_wrap_returns_a_copy(guard: spendrail.Guard, kind: Any) -> None:
    original = kind(api_key="k", client_name="app", timeout=7)
    before = dict(original.__dict__)
    wrapped = guard.wrap(original, **ACME)
    assert type(wrapped) is kind and wrapped is not original
    assert original.__dict__ == before
    assert (wrapped._client_wrapper._timeout, wrapped._client_wrapper._client_name) == (7, "app")
    assert guard.wrap(wrapped) is wrapped, "wrapping twice changes nothing"


def test_other_platforms_are_refused(guard: spendrail.Guard) -> None:
    class Elsewhere(cohere.ClientV2):
        __module__ = "cohere.aws_client"

    with pytest.raises(spendrail.InvalidInput, match="no client that can be wrapped"):
        guard.wrap(Elsewhere(api_key="k"))


def test_the_original_is_not_guarded(guard: spendrail.Guard, command: cohere.ClientV2, provider: Provider) -> None:
    guard.wrap(command, **ACME)
    command.chat(**ask())
    assert requests(provider) == 1
    assert spent(guard, **ACME) == (0, 0, 0)


def test_more_labels_are_no_second_guard(guard: spendrail.Guard, command: cohere.ClientV2, provider: Provider) -> None:
    client = guard.wrap(guard.wrap(command), **ACME)
    with guard.run(max_calls=1):
        assert receipt(client.chat(**ask())).flags == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


# -- whole replies ---------------------------------------------------------------------------------


CALLS = {
    "chat": lambda client: client.chat(**ask()),
    "embed": lambda client: client.embed(
        model=COHERE_EMBEDDING, texts=["one", "two"], input_type="search_document", embedding_types=["float"]
    ),
    "rerank": lambda client: client.rerank(model=RERANK, query="a budget", documents=["one"] * 101),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_reply_is_settled_to_the_last_digit(
    guard: spendrail.Guard, command: cohere.ClientV2, provider: Provider, name: str
) -> None:
    reply = CALLS[name](guard.wrap(command, **ACME))
    entry = provider.journal.to_json()["requests"][-1]
    assert entry["cost_nano_usd"] > 0
    assert receipt(reply).cost == Decimal(entry["cost_usd"])
    assert receipt(reply).flags == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


def test_an_async_reply_too(guard: spendrail.Guard, provider: Provider) -> None:
    async def main() -> None:
        client = guard.wrap(client_of(provider.url, kind=cohere.AsyncClientV2), **ACME)
        assert receipt(await client.chat(**ask())).flags == ()
        reply = await client.rerank(model=RERANK, query="a budget", documents=["one", "two"])
        assert receipt(reply).flags == ()

    asyncio.run(main())
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


def test_the_first_version_too(guard: spendrail.Guard, provider: Provider) -> None:
    client = guard.wrap(client_of(provider.url, kind=cohere.Client))
    with guard.scope(tenant="acme"):
        assert receipt(client.chat(model=COMMAND, message="Hello", max_tokens=50)).flags == ()
        one = client.embed(model=COHERE_EMBEDDING, texts=["one"], input_type="search_document")
        assert receipt(one).flags == ()
        several = client.embed(model=COHERE_EMBEDDING, texts=["one"] * 200, input_type="search_document")
    assert len(several.embeddings) == 200 and requests(provider) == 5, "in three parts, on other threads"
    assert spendrail.receipt_of(several) is None, "there are three"
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


# -- what is not sent ------------------------------------------------------------------------------


def test_a_denial_comes_before_anything_is_sent_and_is_not_retried(provider: Provider) -> None:
    guard = make_guard("0.000001 USD")
    client = guard.wrap(client_of(provider.url, retries=5), **ACME)
    with pytest.raises(spendrail.BudgetExceeded):
        client.chat(**ask())
    with pytest.raises(spendrail.BudgetExceeded):
        list(client.chat_stream(**ask()))
    with pytest.raises(spendrail.BudgetExceeded):
        asyncio.run(guard.wrap(client_of(provider.url, kind=cohere.AsyncClientV2), **ACME).chat(**ask()))
    assert requests(provider) == 0


def test_endpoints_that_may_cost_are_denied(
    guard: spendrail.Guard, command: cohere.ClientV2, provider: Provider
) -> None:
    client: Any = guard.wrap(command, **ACME)
    for call in (
        lambda: client.classify(inputs=["x"], model="m"),
        lambda: client.embed_jobs.create(model="m", dataset_id="d", input_type="search_document"),
    ):
        with pytest.raises(spendrail.Denied) as denied:
            call()  # type: ignore[no-untyped-call]
        assert denied.value.code == "unguarded_endpoint"
    assert requests(provider) == 0
    with pytest.raises(ApiError):  # what is free is sent
        client.embed_jobs.cancel("j1")
    assert requests(provider) == 1


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["429", "500", "401"])
def test_what_the_provider_refuses_is_not_billed(guard: spendrail.Guard, command: cohere.ClientV2, fault: str) -> None:
    client = guard.wrap(command, **ACME)
    with pytest.raises(ApiError):
        client.chat(**ask(f"fault={fault}"))
    with pytest.raises(ApiError):
        list(client.chat_stream(**ask(f"fault={fault}")))
    assert spent(guard, **ACME) == (0, 0, 0)


def test_a_retried_call_is_one_call(guard: spendrail.Guard, provider: Provider) -> None:
    client = guard.wrap(client_of(provider.url, retries=3), **ACME)
    with guard.run(max_calls=1, **ACME):
        reply = client.chat(**ask("fault=503 times=2"))
    assert requests(provider) == 3
    assert receipt(reply).posted_nano_usd == billed(provider)


def test_a_reply_that_is_lost_is_not_free(guard: spendrail.Guard, provider: Provider) -> None:
    with pytest.raises(httpx.TimeoutException):
        guard.wrap(client_of(provider.url, timeout=0.3), **ACME).chat(**ask("fault=hang"))
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


def test_a_connection_that_never_was_costs_nothing(guard: spendrail.Guard) -> None:
    with pytest.raises(httpx.ConnectError):
        guard.wrap(client_of("http://127.0.0.1:9"), **ACME).chat(**ask())
    assert spent(guard, **ACME) == (0, 0, 0)


def test_a_reply_without_usage_costs_what_was_reserved(guard: spendrail.Guard, command: cohere.ClientV2) -> None:
    reply = guard.wrap(command, **ACME).chat(**ask("fault=no_usage"))
    assert receipt(reply).posted_nano_usd == receipt(reply).reserved_nano_usd
    assert "no_usage" in receipt(reply).flags


def test_a_task_that_is_cancelled_is_not_free(guard: spendrail.Guard, provider: Provider) -> None:
    async def main() -> None:
        client = guard.wrap(client_of(provider.url, kind=cohere.AsyncClientV2), **ACME)
        task = asyncio.ensure_future(client.chat(**ask("delay_ms=5000")))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


# -- streams ---------------------------------------------------------------------------------------


def test_streams_settle_by_their_final_usage(
    guard: spendrail.Guard, command: cohere.ClientV2, provider: Provider
) -> None:
    client = guard.wrap(command, **ACME)
    stream = client.chat_stream(**ask())
    events = list(stream)
    assert [event.type for event in events][-1] == "message-end"
    assert receipt(stream).flags == () and receipt(events[-1]) is receipt(stream)

    async def main() -> None:
        other = guard.wrap(client_of(provider.url, kind=cohere.AsyncClientV2), **ACME).chat_stream(**ask())
        assert [event async for event in other]
        assert receipt(other).flags == ()

    asyncio.run(main())
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


def test_streams_of_the_first_version_too(guard: spendrail.Guard, provider: Provider) -> None:
    client = guard.wrap(client_of(provider.url, kind=cohere.Client), **ACME)
    stream = client.chat_stream(model=COMMAND, message="Hello", max_tokens=50)
    assert [event.event_type for event in stream][-1] == "stream-end"
    assert receipt(stream).flags == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)
    left: Any = client.chat_stream(model=COMMAND, message="Hello <<provider: output=150 delay_ms=1>>", max_tokens=200)
    for _ in range(4):
        next(left)
    left.close()
    assert "estimated" in receipt(left).flags
    assert spent(guard, **ACME)[1:] == (0, 0)


@pytest.mark.parametrize("how", ["close", "drop", "async"])
def test_a_stream_that_is_left_early_is_never_free(
    guard: spendrail.Guard, command: cohere.ClientV2, provider: Provider, how: str
) -> None:
    asked = ask("output=150 delay_ms=1")

    async def main() -> None:
        other = guard.wrap(client_of(provider.url, kind=cohere.AsyncClientV2), **ACME).chat_stream(**asked)
        async for _ in other:
            break
        await other.aclose()

    if how == "async":
        asyncio.run(main())
    else:
        stream: Any = guard.wrap(command, **ACME).chat_stream(**asked)
        for _ in range(4):
            next(stream)
        if how == "close":
            stream.close()
            assert "estimated" in receipt(stream).flags
        del stream
    gc.collect()
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed == 0, "floor and margin; the rest is released"


@pytest.mark.parametrize("fault", ["cut", "truncate", "error_event"])
def test_a_stream_that_breaks_is_floor_and_unconfirmed(
    guard: spendrail.Guard, command: cohere.ClientV2, fault: str
) -> None:
    stream = guard.wrap(command, **ACME).chat_stream(**ask(f"fault={fault} after=6"))
    seen = 0
    try:
        for _ in stream:
            seen += 1
    except Exception:
        assert fault == "cut"
    assert seen >= 5
    assert "estimated" in receipt(stream).flags
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


# -- surroundings ----------------------------------------------------------------------------------


def test_calls_belong_to_the_scope_and_run_around_them(guard: spendrail.Guard, command: cohere.ClientV2) -> None:
    client = guard.wrap(command)
    with guard.scope(tenant="globex"), guard.run(max_calls=1) as run:
        client.chat(**ask())
        with pytest.raises(spendrail.RunLimitExceeded):
            client.chat(**ask("output=3"))
    assert spent(guard, tenant="globex")[0] == run.spent
