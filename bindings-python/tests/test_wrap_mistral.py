"""Wrapped clients of `mistralai` against a provider that speaks Mistral."""

from __future__ import annotations

import asyncio
import gc
from decimal import Decimal
from typing import Any

import pytest
from mistralai.client import Mistral, errors
from mistralai.client.utils import BackoffStrategy, RetryConfig
from provider import Provider

import spendrail
from conftest import MISTRAL, MISTRAL_EMBEDDING, billed, make_guard, requests, spent
from spendrail.wrap.methods import followed

ACME = {"tenant": "acme"}


def client_of(url: str, *, retries: bool = False, timeout_ms: int = 5000) -> Mistral:
    again = RetryConfig("backoff", BackoffStrategy(10, 50, 1.5, 5000), retry_connection_errors=True)
    config = again if retries else None
    return Mistral(api_key="acme", server_url=url, timeout_ms=timeout_ms, retry_config=config)


@pytest.fixture
def mistral(provider: Provider) -> Mistral:
    return client_of(provider.url)


def ask(script: str = "", model: str = MISTRAL) -> Any:
    text = "What does a budget protect?" + (f" <<provider: {script}>>" if script else "")
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 200}


def receipt(reply: object) -> spendrail.Receipt:
    found = spendrail.receipt_of(reply)
    assert found is not None
    return found


# -- the copy --------------------------------------------------------------------------------------


def test_wrap_returns_a_copy(guard: spendrail.Guard, mistral: Mistral, provider: Provider) -> None:
    chat = mistral.chat
    before = dict(mistral.__dict__)
    wrapped = guard.wrap(mistral, **ACME)
    assert isinstance(wrapped, Mistral) and wrapped is not mistral and wrapped.chat is not chat
    assert mistral.__dict__ == before and type(chat).complete is type(mistral.chat).complete
    assert guard.wrap(wrapped) is wrapped, "wrapping twice changes nothing"
    mistral.chat.complete(**ask())
    assert requests(provider) == 1
    assert spent(guard, **ACME) == (0, 0, 0), "the original is not guarded"


def test_a_copy_outlives_the_original(guard: spendrail.Guard, provider: Provider) -> None:
    client = guard.wrap(client_of(provider.url), **ACME)
    gc.collect()
    assert client.chat.complete(**ask()).choices


def test_more_labels_are_no_second_guard(guard: spendrail.Guard, mistral: Mistral, provider: Provider) -> None:
    client = guard.wrap(guard.wrap(mistral), **ACME)
    with guard.run(max_calls=1):
        assert receipt(client.chat.complete(**ask())).flags == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


# -- whole replies ---------------------------------------------------------------------------------


CALLS = {
    "chat": lambda client: client.chat.complete(**ask("cache_read=30")),
    "fim": lambda client: client.fim.complete(model=MISTRAL, prompt="def f(", suffix="return a", max_tokens=50),
    "embed": lambda client: client.embeddings.create(model=MISTRAL_EMBEDDING, inputs=["one", "two"]),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_reply_is_settled_to_the_last_digit(
    guard: spendrail.Guard, mistral: Mistral, provider: Provider, name: str
) -> None:
    reply = CALLS[name](guard.wrap(mistral, **ACME))
    entry = provider.journal.to_json()["requests"][-1]
    assert entry["cost_nano_usd"] > 0
    assert receipt(reply).cost == Decimal(entry["cost_usd"])
    assert receipt(reply).flags == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


def test_an_async_reply_too(guard: spendrail.Guard, mistral: Mistral, provider: Provider) -> None:
    async def main() -> None:
        client = guard.wrap(mistral, **ACME)
        assert receipt(await client.chat.complete_async(**ask())).flags == ()
        reply = await client.embeddings.create_async(model=MISTRAL_EMBEDDING, inputs="one")
        assert receipt(reply).flags == ()

    asyncio.run(main())
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


def test_what_a_method_makes_of_a_reply_has_its_receipt(guard: spendrail.Guard, mistral: Mistral) -> None:
    class Parsed:
        def __init__(self, reply: object) -> None:
            self.reply = reply

    chat = guard.wrap(mistral, **ACME).chat
    made = followed(lambda: Parsed(chat.complete(**ask())))()
    assert receipt(made) is receipt(made.reply)


def test_an_agent_is_mapped_to_its_model(provider: Provider, mistral: Mistral) -> None:
    asked: Any = {"agent_id": "ag_1", "messages": ask()["messages"], "max_tokens": 100}
    with pytest.raises(spendrail.UnknownModel):
        make_guard().wrap(mistral, **ACME).agents.complete(**asked)
    assert requests(provider) == 0


# -- what is not sent ------------------------------------------------------------------------------


def test_a_denial_comes_before_anything_is_sent_and_is_not_retried(provider: Provider) -> None:
    client = make_guard("0.000001 USD").wrap(client_of(provider.url, retries=True), **ACME)
    for call in (client.chat.complete, client.chat.stream):
        with pytest.raises(spendrail.BudgetExceeded):
            call(**ask())
    with pytest.raises(spendrail.BudgetExceeded):
        asyncio.run(client.chat.complete_async(**ask()))
    assert requests(provider) == 0


def test_endpoints_that_may_cost_are_denied(guard: spendrail.Guard, mistral: Mistral, provider: Provider) -> None:
    client = guard.wrap(mistral, **ACME)
    document: Any = {"type": "document_url", "document_url": "https://a.example/b.pdf"}
    calls = (
        lambda: client.ocr.process(model="mistral-ocr-latest", document=document),
        lambda: client.classifiers.moderate(model="mistral-moderation-latest", inputs="x"),
        lambda: client.beta.conversations.start(model=MISTRAL, inputs="Hello"),
        lambda: client.audio.speech.complete(model="voxtral-tts", input="Hello"),
        lambda: asyncio.run(client.batch.jobs.create_async(endpoint="/v1/chat/completions", model=MISTRAL)),
        lambda: asyncio.run(_realtime(client)),
    )
    for call in calls:
        with pytest.raises(spendrail.Denied) as denied:
            call()
        assert denied.value.code == "unguarded_endpoint"
    assert requests(provider) == 0
    with pytest.raises(errors.SDKError):  # what is free is sent
        client.batch.jobs.cancel(job_id="0b9f8a5e-7a8e-4d5c-9a53-0d2a3d3b7c11")
    assert requests(provider) == 1


async def _realtime(client: Mistral) -> None:
    await client.audio.realtime.connect(model="voxtral-realtime")


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["429", "500", "401"])
def test_what_the_provider_refuses_is_not_billed(guard: spendrail.Guard, mistral: Mistral, fault: str) -> None:
    client = guard.wrap(mistral, **ACME)
    with pytest.raises(errors.SDKError):
        client.chat.complete(**ask(f"fault={fault}"))
    with pytest.raises(errors.SDKError):
        client.chat.stream(**ask(f"fault={fault}"))
    assert spent(guard, **ACME) == (0, 0, 0)


def test_a_retried_call_is_one_call(guard: spendrail.Guard, provider: Provider) -> None:
    client = guard.wrap(client_of(provider.url, retries=True), **ACME)
    with guard.run(max_calls=1, **ACME):
        reply = client.chat.complete(**ask("fault=503 times=2"))
    assert requests(provider) == 3
    assert receipt(reply).posted_nano_usd == billed(provider)


def test_an_attempt_that_nobody_answered_adds_its_input(guard: spendrail.Guard, provider: Provider) -> None:
    reply = guard.wrap(client_of(provider.url, retries=True, timeout_ms=400), **ACME).chat.complete(
        **ask("fault=hang times=1")
    )
    assert requests(provider) == 2
    assert [line.bucket for line in receipt(reply).lines] == ["input", "output", "input"]
    assert "estimated" in receipt(reply).flags
    assert spent(guard, **ACME) == (receipt(reply).posted_nano_usd, 0, 0)


def test_a_reply_that_is_lost_is_not_free(guard: spendrail.Guard, provider: Provider) -> None:
    with pytest.raises(Exception, match=r"."):
        guard.wrap(client_of(provider.url, timeout_ms=300), **ACME).chat.complete(**ask("fault=hang"))
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


def test_a_connection_that_never_was_costs_nothing(guard: spendrail.Guard) -> None:
    with pytest.raises(Exception, match="refused"):
        guard.wrap(client_of("http://127.0.0.1:9"), **ACME).chat.complete(**ask())
    assert spent(guard, **ACME) == (0, 0, 0)


def test_a_reply_without_usage_costs_what_was_reserved(guard: spendrail.Guard, mistral: Mistral) -> None:
    reply = guard.wrap(mistral, **ACME).chat.complete(**ask("fault=no_usage"))
    assert receipt(reply).posted_nano_usd == receipt(reply).reserved_nano_usd
    assert "no_usage" in receipt(reply).flags


def test_a_task_that_is_cancelled_is_not_free(guard: spendrail.Guard, mistral: Mistral) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(guard.wrap(mistral, **ACME).chat.complete_async(**ask("delay_ms=5000")))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


# -- streams ---------------------------------------------------------------------------------------


def test_streams_settle_by_their_final_usage(guard: spendrail.Guard, mistral: Mistral, provider: Provider) -> None:
    client = guard.wrap(mistral, **ACME)
    stream = client.chat.stream(**ask("cache_read=9"))
    assert spendrail.receipt_of(stream) is None
    assert all(event.data.choices for event in stream)
    assert receipt(stream).flags == ()

    async def main() -> None:
        other = await client.chat.stream_async(**ask())
        assert [event async for event in other]
        assert receipt(other).flags == ()

    asyncio.run(main())
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


@pytest.mark.parametrize("how", ["close", "block", "drop", "async"])
def test_a_stream_that_is_left_early_is_never_free(guard: spendrail.Guard, mistral: Mistral, how: str) -> None:
    client = guard.wrap(mistral, **ACME)
    script = "output=150 delay_ms=1"

    async def main() -> None:
        async with await client.chat.stream_async(**ask(script)) as stream:
            async for _ in stream:
                break

    if how == "async":
        asyncio.run(main())
    else:
        stream: Any = client.chat.stream(**ask(script))
        next(stream)
        next(stream)
        if how == "close":
            stream.close()
            assert "estimated" in receipt(stream).flags
        elif how == "block":
            with stream:
                pass
        del stream
    gc.collect()
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed == 0, "floor and margin; the rest is released"


@pytest.mark.parametrize("fault", ["cut", "truncate", "error_event"])
def test_a_stream_that_breaks_is_floor_and_unconfirmed(guard: spendrail.Guard, mistral: Mistral, fault: str) -> None:
    stream = guard.wrap(mistral, **ACME).chat.stream(**ask(f"fault={fault} after=6"))
    seen = 0
    try:
        for _ in stream:
            seen += 1
    except Exception:
        assert fault != "truncate"
    assert seen >= 5
    assert "estimated" in receipt(stream).flags
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


# -- surroundings ----------------------------------------------------------------------------------


def test_calls_belong_to_the_scope_and_run_around_them(guard: spendrail.Guard, mistral: Mistral) -> None:
    client = guard.wrap(mistral)
    with guard.scope(tenant="globex"), guard.run(max_calls=1) as run:
        client.chat.complete(**ask())
        with pytest.raises(spendrail.RunLimitExceeded):
            client.chat.complete(**ask("output=3"))
    assert spent(guard, tenant="globex")[0] == run.spent
