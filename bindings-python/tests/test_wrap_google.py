"""Wrapped clients of `google-genai` against a provider that speaks Gemini."""

from __future__ import annotations

import asyncio
import gc
from decimal import Decimal
from typing import Any

import pytest
from google import genai
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import RefreshError
from google.genai import errors, types
from provider import Provider

import spendrail
import spendrail.wrap.google as google_wrap
from conftest import GEMINI, GEMINI_EMBEDDING, billed, make_guard, requests, script, spent

ACME = {"tenant": "acme"}
QUESTION = "What does a budget protect?"


def client_of(url: str, *, attempts: int = 1, timeout_ms: int = 5000, **more: Any) -> genai.Client:
    retry = types.HttpRetryOptions(attempts=attempts, initial_delay=0.01, max_delay=0.05)
    options = types.HttpOptions(base_url=url, timeout=timeout_ms, retry_options=retry)
    return genai.Client(**({"api_key": "acme"} | more), http_options=options)


@pytest.fixture
def gemini(provider: Provider) -> genai.Client:
    return client_of(provider.url)


def config(text: str = "", **more: Any) -> types.GenerateContentConfig:
    headers = types.HttpOptions(headers=script(text)) if text else None
    return types.GenerateContentConfig(max_output_tokens=200, http_options=headers, **more)


def receipt(reply: object) -> spendrail.Receipt:
    found = spendrail.receipt_of(reply)
    assert found is not None
    return found


# -- the copy --------------------------------------------------------------------------------------


def test_wrap_returns_a_copy(guard: spendrail.Guard, gemini: genai.Client, provider: Provider) -> None:
    before = dict(gemini.__dict__)
    wrapped = guard.wrap(gemini, **ACME)
    assert isinstance(wrapped, genai.Client) and wrapped is not gemini
    assert gemini.__dict__ == before and gemini.models._api_client is gemini._api_client
    assert guard.wrap(wrapped) is wrapped, "wrapping twice changes nothing"
    guard.wrap(gemini, **ACME)
    gc.collect()
    gemini.models.generate_content(model=GEMINI, contents=QUESTION)
    assert requests(provider) == 1, "still open"
    assert spent(guard, **ACME) == (0, 0, 0), "the original is not guarded"


def test_a_copy_outlives_the_original(guard: spendrail.Guard, provider: Provider) -> None:
    client = guard.wrap(client_of(provider.url), **ACME)
    gc.collect()
    assert client.models.generate_content(model=GEMINI, contents=QUESTION, config=config()).text


def test_more_labels_are_no_second_guard(guard: spendrail.Guard, gemini: genai.Client, provider: Provider) -> None:
    client = guard.wrap(guard.wrap(gemini), **ACME)
    with guard.run(max_calls=1):
        assert receipt(client.models.generate_content(model=GEMINI, contents=QUESTION, config=config())).flags == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


# -- whole replies ---------------------------------------------------------------------------------


CALLS = {
    "generate": lambda client: client.models.generate_content(
        model=GEMINI, contents=QUESTION, config=config("cache_read=30 reasoning=7")
    ),
    "embed": lambda client: client.models.embed_content(model=GEMINI_EMBEDDING, contents=["one", "two"]),
    "chat": lambda client: client.chats.create(model=GEMINI, config=config()).send_message("Hello"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_reply_is_settled_to_the_last_digit(
    guard: spendrail.Guard, gemini: genai.Client, provider: Provider, name: str
) -> None:
    reply = CALLS[name](guard.wrap(gemini, **ACME))
    entry = provider.journal.to_json()["requests"][-1]
    assert entry["cost_nano_usd"] > 0
    assert receipt(reply).cost == Decimal(entry["cost_usd"])
    assert receipt(reply).flags == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


def test_an_async_reply_too(guard: spendrail.Guard, gemini: genai.Client, provider: Provider) -> None:
    async def main() -> None:
        client = guard.wrap(gemini, **ACME).aio
        reply = await client.models.generate_content(model=GEMINI, contents=QUESTION, config=config())
        assert receipt(reply).flags == ()
        assert receipt(await client.models.embed_content(model=GEMINI_EMBEDDING, contents="x")).flags == ()

    asyncio.run(main())
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


def test_vertex_is_another_provider(guard: spendrail.Guard, provider: Provider) -> None:
    token = _Token()  # type: ignore[no-untyped-call]
    vertex = client_of(provider.url, api_key=None, vertexai=True, project="p", location="l", credentials=token)
    assert google_wrap.provider_of(vertex, guard) == "vertex"
    client = guard.wrap(vertex, **ACME)
    reply = client.models.generate_content(model=GEMINI, contents=QUESTION, config=config())
    assert "/projects/p/locations/l/publishers/google/" in provider.journal.to_json()["requests"][0]["path"]
    assert receipt(reply).posted_nano_usd == billed(provider), "its Gemini models cost what they cost at Google"
    with pytest.raises(errors.ClientError):  # counting is free: it is sent
        client.models.count_tokens(model=GEMINI, contents=QUESTION)
    with pytest.raises(spendrail.Denied, match=r"imagen.*may cost"):
        client.models.generate_images(model="imagen-4.0-generate-001", prompt="a rail")


class _Token(AnonymousCredentials):
    quota_project_id = None
    refused = False

    def refresh(self, request: object) -> None:
        if self.refused:
            raise RefreshError("no")  # type: ignore[no-untyped-call]
        self.token = "t"


def test_who_cannot_sign_in_sends_nothing(guard: spendrail.Guard, provider: Provider) -> None:
    token = _Token()  # type: ignore[no-untyped-call]
    token.refused = True
    vertex = client_of(provider.url, api_key=None, vertexai=True, project="p", location="l", credentials=token)
    with pytest.raises(RefreshError):
        guard.wrap(vertex, **ACME).models.generate_content(model=GEMINI, contents=QUESTION, config=config())
    assert spent(guard, **ACME) == (0, 0, 0)


def test_called_functions_are_calls_of_their_own(
    guard: spendrail.Guard, gemini: genai.Client, provider: Provider
) -> None:
    def search(query: str) -> str:
        """Looks something up."""
        return query

    client = guard.wrap(gemini, **ACME)
    reply = client.models.generate_content(
        model=GEMINI, contents=QUESTION, config=config("tool=search", tools=[search])
    )
    assert reply.text and requests(provider) == 2
    assert receipt(reply).cost == Decimal(provider.journal.to_json()["requests"][-1]["cost_usd"])
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


# -- what is not sent ------------------------------------------------------------------------------


def test_a_denial_comes_before_anything_is_sent_and_is_not_retried(provider: Provider) -> None:
    client = make_guard("0.000001 USD").wrap(client_of(provider.url, attempts=5), **ACME)
    with pytest.raises(spendrail.BudgetExceeded):
        client.models.generate_content(model=GEMINI, contents=QUESTION, config=config())
    with pytest.raises(spendrail.BudgetExceeded):
        list(client.models.generate_content_stream(model=GEMINI, contents=QUESTION, config=config()))
    with pytest.raises(spendrail.BudgetExceeded):
        asyncio.run(client.aio.models.generate_content(model=GEMINI, contents=QUESTION, config=config()))
    assert requests(provider) == 0


@pytest.mark.filterwarnings("ignore")
def test_endpoints_that_may_cost_are_denied(guard: spendrail.Guard, gemini: genai.Client, provider: Provider) -> None:
    client = guard.wrap(gemini, **ACME)
    for call in (
        lambda: client.caches.create(model=GEMINI, config={"contents": QUESTION}),
        lambda: client.file_search_stores.create(),
        lambda: client.batches.create(model=GEMINI, src=[]),
        lambda: client.interactions.create(model=GEMINI, input=QUESTION),
        lambda: asyncio.run(client.aio.interactions.create(model=GEMINI, input=QUESTION)),
        lambda: asyncio.run(_live(client)),
    ):
        with pytest.raises(spendrail.Denied) as denied:
            call()
        assert denied.value.code == "unguarded_endpoint"
    assert requests(provider) == 0
    with pytest.raises(errors.ClientError):  # counting is free: it is sent
        client.models.count_tokens(model=GEMINI, contents=QUESTION)
    assert requests(provider) == 1


async def _live(client: genai.Client) -> None:
    async with client.aio.live.connect(model="gemini-live"):
        pass


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["429", "500", "401"])
def test_what_the_provider_refuses_is_not_billed(guard: spendrail.Guard, gemini: genai.Client, fault: str) -> None:
    client = guard.wrap(gemini, **ACME)
    with pytest.raises(errors.APIError):
        client.models.generate_content(model=GEMINI, contents=QUESTION, config=config(f"fault={fault}"))
    with pytest.raises(errors.APIError):
        list(client.models.generate_content_stream(model=GEMINI, contents=QUESTION, config=config(f"fault={fault}")))
    assert spent(guard, **ACME) == (0, 0, 0)


def test_a_retried_call_is_one_call(guard: spendrail.Guard, provider: Provider) -> None:
    client = guard.wrap(client_of(provider.url, attempts=4), **ACME)
    with guard.run(max_calls=1, **ACME):
        reply = client.models.generate_content(model=GEMINI, contents=QUESTION, config=config("fault=503 times=2"))
    assert requests(provider) == 3
    assert receipt(reply).posted_nano_usd == billed(provider)


def test_an_attempt_that_nobody_answered_adds_its_input(guard: spendrail.Guard, provider: Provider) -> None:
    reply = guard.wrap(client_of(provider.url, attempts=3, timeout_ms=400), **ACME).models.generate_content(
        model=GEMINI, contents=QUESTION, config=config("fault=hang times=1")
    )
    assert requests(provider) == 2
    assert [line.bucket for line in receipt(reply).lines] == ["input", "output", "input"]
    assert "estimated" in receipt(reply).flags
    assert spent(guard, **ACME) == (receipt(reply).posted_nano_usd, 0, 0)


def test_a_reply_that_is_lost_is_not_free(guard: spendrail.Guard, provider: Provider) -> None:
    client = guard.wrap(client_of(provider.url, timeout_ms=300), **ACME)
    with pytest.raises(Exception, match=r"."):
        client.models.generate_content(model=GEMINI, contents=QUESTION, config=config("fault=hang"))
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


def test_a_connection_that_never_was_costs_nothing(guard: spendrail.Guard) -> None:
    with pytest.raises(Exception, match="refused"):
        guard.wrap(client_of("http://127.0.0.1:9"), **ACME).models.generate_content(model=GEMINI, contents=QUESTION)
    assert spent(guard, **ACME) == (0, 0, 0)


def test_a_reply_without_usage_costs_what_was_reserved(guard: spendrail.Guard, gemini: genai.Client) -> None:
    client = guard.wrap(gemini, **ACME)
    reply = client.models.generate_content(model=GEMINI, contents=QUESTION, config=config("fault=no_usage"))
    assert receipt(reply).posted_nano_usd == receipt(reply).reserved_nano_usd
    assert "no_usage" in receipt(reply).flags


def test_a_task_that_is_cancelled_is_not_free(guard: spendrail.Guard, gemini: genai.Client) -> None:
    async def main() -> None:
        client = guard.wrap(gemini, **ACME).aio
        ask = client.models.generate_content(model=GEMINI, contents=QUESTION, config=config("delay_ms=5000"))
        task = asyncio.ensure_future(ask)
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


# -- streams ---------------------------------------------------------------------------------------


def test_streams_settle_by_their_final_usage(guard: spendrail.Guard, gemini: genai.Client, provider: Provider) -> None:
    client = guard.wrap(gemini, **ACME)
    stream = client.models.generate_content_stream(model=GEMINI, contents=QUESTION, config=config("reasoning=5"))
    chunks = list(stream)
    assert chunks[-1].usage_metadata is not None
    assert receipt(stream).flags == () and receipt(chunks[-1]) is receipt(stream)
    said = "".join(chunk.text or "" for chunk in client.chats.create(model=GEMINI).send_message_stream("Hello"))
    assert said

    async def main() -> None:
        other = await client.aio.models.generate_content_stream(model=GEMINI, contents=QUESTION, config=config())
        last = [chunk async for chunk in other][-1]
        assert receipt(last).flags == () and receipt(other) is receipt(last)

    asyncio.run(main())
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


@pytest.mark.parametrize("how", ["close", "drop", "async"])
def test_a_stream_that_is_left_early_is_never_free(guard: spendrail.Guard, gemini: genai.Client, how: str) -> None:
    client = guard.wrap(gemini, **ACME)
    asked: Any = {"model": GEMINI, "contents": QUESTION, "config": config("output=150 delay_ms=1")}

    async def main() -> None:
        stream = await client.aio.models.generate_content_stream(**asked)
        async for _ in stream:
            break
        await stream.aclose()  # type: ignore[attr-defined]

    if how == "async":
        asyncio.run(main())
    else:
        stream: Any = client.models.generate_content_stream(**asked)
        next(stream)
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
    guard: spendrail.Guard, gemini: genai.Client, fault: str
) -> None:
    stream = guard.wrap(gemini, **ACME).models.generate_content_stream(
        model=GEMINI, contents=QUESTION, config=config(f"fault={fault} after=6")
    )
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


def test_calls_belong_to_the_scope_and_run_around_them(guard: spendrail.Guard, gemini: genai.Client) -> None:
    client = guard.wrap(gemini)
    with guard.scope(tenant="globex"), guard.run(max_calls=1) as run:
        client.models.generate_content(model=GEMINI, contents=QUESTION, config=config())
        with pytest.raises(spendrail.RunLimitExceeded):
            client.models.generate_content(model=GEMINI, contents="again", config=config())
    assert spent(guard, tenant="globex")[0] == run.spent


def test_half_a_client_can_be_wrapped(guard: spendrail.Guard, gemini: genai.Client, provider: Provider) -> None:
    client = guard.wrap(gemini.aio, **ACME)
    reply = asyncio.run(client.models.generate_content(model=GEMINI, contents=QUESTION, config=config()))
    assert receipt(reply).flags == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)
