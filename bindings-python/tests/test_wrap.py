"""Wrapped clients of the real SDKs against a provider that counts what it bills."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from billing import Prices
from provider import Provider

import spendrail
from conftest import CLAUDE, EMBEDDING, GPT, billed, make_guard, requests, script, spent

USER: Any = [{"role": "user", "content": "What does a budget protect?"}]
ASK: Any = {"messages": USER, "max_tokens": 200}
ACME = {"tenant": "acme"}


def receipt(reply: object) -> spendrail.Receipt:
    found = spendrail.receipt_of(reply)
    assert found is not None
    return found


# -- the copy --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [openai.OpenAI, openai.AsyncOpenAI, anthropic.Anthropic, anthropic.AsyncAnthropic])
def test_wrap_returns_a_copy(guard: spendrail.Guard, kind: Any) -> None:
    original = kind(api_key="k", max_retries=7)
    before = dict(original.__dict__)
    wrapped = guard.wrap(original, **ACME)
    assert type(wrapped) is kind and wrapped is not original
    assert (wrapped.max_retries, wrapped.api_key) == (7, "k")
    assert original.__dict__.keys() == before.keys()
    assert guard.wrap(wrapped) is wrapped, "wrapping twice changes nothing"


@pytest.mark.parametrize("again", ["copy", "with_options"])
def test_copies_of_copies_stay_guarded(gpt: openai.OpenAI, provider: Provider, again: str) -> None:
    guard = make_guard("0 USD")
    client = getattr(guard.wrap(gpt, **ACME), again)(timeout=3)
    assert client.timeout == 3
    with pytest.raises(spendrail.BudgetExceeded):
        getattr(client, again)().chat.completions.create(model=GPT, **ASK)
    assert requests(provider) == 0
    gpt.chat.completions.create(model=GPT, **ASK)
    assert requests(provider) == 1, "the original is not guarded"


def test_the_host_tells_whose_server_it_is(guard: spendrail.Guard) -> None:
    def provider_of(client: Any, **more: Any) -> str:
        return str(guard.wrap(client, **more).__dict__["_spendrail"].provider)

    groq = openai.OpenAI(api_key="k", base_url="https://api.groq.com/openai/v1")
    assert provider_of(openai.OpenAI(api_key="k")) == "openai"
    assert provider_of(groq) == "groq"
    assert provider_of(groq, provider="openai") == "openai", "what is said wins"
    assert provider_of(openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")) == "openai"
    assert provider_of(anthropic.Anthropic(api_key="k", base_url="https://api.deepseek.com/anthropic")) == "deepseek"


def test_other_clients_are_refused(guard: spendrail.Guard) -> None:
    with pytest.raises(spendrail.InvalidInput, match="no client that can be wrapped") as refused:
        guard.wrap(object())
    assert refused.value.field == "client"
    with pytest.raises(spendrail.InvalidInput, match="not a text"):
        guard.wrap(openai.OpenAI(api_key="k"), tenant=5)


# -- whole replies ---------------------------------------------------------------------------------


def calls_of(claude: anthropic.Anthropic, gpt: openai.OpenAI) -> dict[str, Callable[[], Any]]:
    more = script("cache_read=30 reasoning=5")
    return {
        "messages": lambda: claude.messages.create(model=CLAUDE, extra_headers=script("cache_write=9"), **ASK),
        "beta messages": lambda: claude.beta.messages.create(model=CLAUDE, **ASK),
        "chat": lambda: gpt.chat.completions.create(model=GPT, extra_headers=more, **ASK),
        "chat parse": lambda: gpt.chat.completions.parse(model=GPT, **ASK),
        "responses": lambda: gpt.responses.create(model=GPT, input="Hi", max_output_tokens=100, extra_headers=more),
        "embeddings": lambda: gpt.embeddings.create(model=EMBEDDING, input=["one", "two"]),
        "raw": lambda: gpt.chat.completions.with_raw_response.create(model=GPT, **ASK),
        "claude raw": lambda: claude.messages.with_raw_response.create(model=CLAUDE, **ASK),
    }


CALLS = list(calls_of(None, None))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CALLS)
def test_a_reply_is_settled_to_the_last_digit(
    guard: spendrail.Guard, claude: anthropic.Anthropic, gpt: openai.OpenAI, provider: Provider, name: str
) -> None:
    reply = calls_of(guard.wrap(claude, **ACME), guard.wrap(gpt, **ACME))[name]()
    entry = provider.journal.to_json()["requests"][-1]
    assert receipt(reply).cost == Decimal(entry["cost_usd"])
    assert spent(guard, **ACME) == (billed(provider), 0, 0)
    if hasattr(reply, "parse"):
        assert receipt(reply.parse()) is receipt(reply)


def test_a_reply_is_the_sdks_own_and_untouched(guard: spendrail.Guard, gpt: openai.OpenAI) -> None:
    plain = gpt.chat.completions.create(model=GPT, **ASK)
    wrapped = guard.wrap(gpt, **ACME).chat.completions.create(model=GPT, **ASK)
    assert type(wrapped) is type(plain)
    assert wrapped.model_dump().keys() == plain.model_dump().keys()
    assert spendrail.receipt_of(plain) is None
    assert spendrail.receipt_of(None) is None


@pytest.mark.parametrize("name", ["read", "json", "parse", "iter_lines", "iter_bytes"])
def test_a_streaming_response_is_settled_when_it_is_read(
    guard: spendrail.Guard, gpt: openai.OpenAI, provider: Provider, name: str
) -> None:
    client = guard.wrap(gpt, **ACME)
    with client.chat.completions.with_streaming_response.create(model=GPT, **ASK) as response:
        assert spendrail.receipt_of(response) is None
        read = getattr(response, name)()
        if name.startswith("iter"):
            assert list(read)
    assert receipt(response).posted_nano_usd == billed(provider)
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


def test_a_streaming_response_that_is_not_read_is_not_free(guard: spendrail.Guard, gpt: openai.OpenAI) -> None:
    with guard.wrap(gpt, **ACME).chat.completions.with_streaming_response.create(model=GPT, **ASK):
        pass
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


# -- what is not sent ------------------------------------------------------------------------------


def test_a_denial_comes_before_anything_is_sent_and_is_not_retried(provider: Provider) -> None:
    guard = make_guard("0.0001 USD")
    client = guard.wrap(anthropic.Anthropic(api_key="acme", base_url=provider.url, max_retries=5), **ACME)
    with pytest.raises(spendrail.BudgetExceeded) as denied:
        client.messages.create(model=CLAUDE, **ASK)
    assert denied.value.retry_at is None, "it would not fit tomorrow either"
    assert requests(provider) == 0


def test_endpoints_that_may_cost_are_denied(guard: spendrail.Guard, gpt: openai.OpenAI, provider: Provider) -> None:
    client = guard.wrap(gpt, **ACME)
    told: list[dict[str, Any]] = []
    guard.on("denied", told.append)
    with pytest.raises(spendrail.Denied) as denied:
        client.images.generate(model="gpt-image-1", prompt="a guard rail")
    assert (denied.value.code, denied.value.http_status) == ("unguarded_endpoint", 403)
    assert requests(provider) == 0
    assert [model.id for model in client.models.list()], "what is free passes"
    for _ in range(100):
        if told:
            break
        asyncio.run(asyncio.sleep(0.05))
    assert told[0]["denial"]["code"] == "unguarded_endpoint"


def test_a_listed_endpoint_passes(gpt: openai.OpenAI, provider: Provider) -> None:
    client = make_guard(endpoints={"allow": ["/images/*"]}).wrap(gpt, **ACME)
    with pytest.raises(openai.NotFoundError):
        client.images.generate(model="gpt-image-1", prompt="a guard rail")
    assert requests(provider) == 1


def test_a_websocket_is_denied(guard: spendrail.Guard) -> None:
    pytest.importorskip("websockets")
    client = guard.wrap(openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1"), **ACME)
    with pytest.raises(spendrail.Denied) as denied:
        client.realtime.connect(model="gpt-realtime").enter()
    assert denied.value.code == "unguarded_endpoint"


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["429", "500", "401", "529"])
def test_what_the_provider_refuses_is_not_billed(
    guard: spendrail.Guard, claude: anthropic.Anthropic, gpt: openai.OpenAI, fault: str
) -> None:
    with pytest.raises(openai.APIStatusError):
        guard.wrap(gpt, **ACME).chat.completions.create(model=GPT, extra_headers=script(f"fault={fault}"), **ASK)
    with pytest.raises(anthropic.APIStatusError):
        guard.wrap(claude, **ACME).messages.create(model=CLAUDE, extra_headers=script(f"fault={fault}"), **ASK)
    assert spent(guard, **ACME) == (0, 0, 0)


def test_a_retried_call_is_one_call(guard: spendrail.Guard, provider: Provider) -> None:
    client = guard.wrap(openai.OpenAI(api_key="acme", base_url=f"{provider.url}/v1", max_retries=3), **ACME)
    with guard.run(max_calls=1, **ACME):
        reply = client.chat.completions.create(model=GPT, extra_headers=script("fault=503 times=2"), **ASK)
    assert requests(provider) == 3
    assert receipt(reply).posted_nano_usd == billed(provider)


@pytest.mark.parametrize("fault", ["hang", "cut"])
@pytest.mark.parametrize("sdk", ["anthropic", "openai"])
def test_an_attempt_that_nobody_answered_adds_its_input(
    guard: spendrail.Guard, provider: Provider, fault: str, sdk: str
) -> None:
    more = script(f"fault={fault} times=1")
    client: Any
    if sdk == "anthropic":
        claude = anthropic.Anthropic(api_key="acme", base_url=provider.url, max_retries=2, timeout=0.5)
        client = guard.wrap(claude, **ACME)
        reply = client.messages.create(model=CLAUDE, extra_headers=more, **ASK)
    else:
        client = guard.wrap(openai.OpenAI(api_key="a", base_url=f"{provider.url}/v1", timeout=0.5), **ACME)
        reply = client.chat.completions.create(model=GPT, extra_headers=more, **ASK)
    assert requests(provider) == 2
    assert [line.bucket for line in receipt(reply).lines] == ["input", "output", "input"]
    assert "estimated" in receipt(reply).flags
    if fault == "hang":
        assert receipt(reply).posted_nano_usd >= billed(provider)
    assert spent(guard, **ACME) == (receipt(reply).posted_nano_usd, 0, 0)


def test_an_attempt_that_nobody_answered_is_not_undone_by_a_refusal(guard: spendrail.Guard, provider: Provider) -> None:
    async def main() -> None:
        url = f"{provider.url}/v1"
        client = guard.wrap(openai.AsyncOpenAI(api_key="a", base_url=url, timeout=0.4, max_retries=1), **ACME)
        ask = client.chat.completions.create(model=GPT, extra_headers=script("fault=hang times=1"), **ASK)
        task = asyncio.ensure_future(ask)
        while requests(provider) == 0:
            await asyncio.sleep(0.01)
        provider.journal.set_prices(Prices.from_json({"version": "2", "models": {}}))  # the next answer is a 404
        with pytest.raises(openai.NotFoundError):
            await task

    asyncio.run(main())
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


@pytest.mark.parametrize("fault", ["hang", "cut", "truncate"])
def test_a_reply_that_is_lost_is_not_free(guard: spendrail.Guard, gpt: openai.OpenAI, fault: str) -> None:
    client = guard.wrap(gpt.with_options(timeout=0.3), **ACME)
    with pytest.raises((openai.APIError, ValueError)):
        client.chat.completions.create(model=GPT, extra_headers=script(f"fault={fault}"), **ASK)
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0
    if fault != "truncate":
        assert unconfirmed > 0


def test_a_connection_that_never_was_costs_nothing(guard: spendrail.Guard) -> None:
    client = guard.wrap(openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0), **ACME)
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model=GPT, **ASK)
    assert spent(guard, **ACME) == (0, 0, 0)


def test_a_reply_without_usage_costs_what_was_reserved(guard: spendrail.Guard, gpt: openai.OpenAI) -> None:
    client = guard.wrap(gpt, **ACME)
    reply = client.chat.completions.create(model=GPT, extra_headers=script("fault=no_usage"), **ASK)
    assert receipt(reply).posted_nano_usd == receipt(reply).reserved_nano_usd
    assert "no_usage" in receipt(reply).flags


def test_a_task_that_is_cancelled_is_not_free(guard: spendrail.Guard, provider: Provider) -> None:
    async def main() -> None:
        client = guard.wrap(openai.AsyncOpenAI(api_key="acme", base_url=f"{provider.url}/v1"), **ACME)
        ask = client.chat.completions.create(model=GPT, extra_headers=script("delay_ms=5000"), **ASK)
        task = asyncio.ensure_future(ask)
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


# -- streams ---------------------------------------------------------------------------------------


def test_streams_settle_by_their_final_usage(
    guard: spendrail.Guard, claude: anthropic.Anthropic, gpt: openai.OpenAI, provider: Provider
) -> None:
    claude, gpt = guard.wrap(claude, **ACME), guard.wrap(gpt, **ACME)
    events = claude.messages.create(model=CLAUDE, stream=True, **ASK)
    assert isinstance(events, anthropic.Stream) and spendrail.receipt_of(events) is None
    assert [event.type for event in events][-1] == "message_stop"
    with claude.messages.stream(model=CLAUDE, extra_headers=script("cache_write_1h=33"), **ASK) as helper:
        assert "".join(helper.text_stream)
    chunks = gpt.chat.completions.create(model=GPT, stream=True, extra_headers=script("cache_read=11"), **ASK)
    assert all(chunk.choices for chunk in chunks), "nobody asked for the usage chunk"
    with gpt.chat.completions.stream(model=GPT, **ASK) as chat:
        assert chat.get_final_completion().choices
    with gpt.responses.stream(model=GPT, input="Hi", max_output_tokens=100) as response:
        assert response.get_final_response().output_text
    for stream in (events, helper, chunks, chat, response):
        assert receipt(stream).flags == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


def test_async_streams_settle_by_their_final_usage(guard: spendrail.Guard, provider: Provider) -> None:
    async def main() -> None:
        claude = guard.wrap(anthropic.AsyncAnthropic(api_key="acme", base_url=provider.url), **ACME)
        gpt = guard.wrap(openai.AsyncOpenAI(api_key="acme", base_url=f"{provider.url}/v1"), **ACME)
        events = await claude.messages.create(model=CLAUDE, stream=True, **ASK)
        assert [event.type async for event in events][-1] == "message_stop"
        async with claude.messages.stream(model=CLAUDE, **ASK) as helper:
            assert (await helper.get_final_message()).content
        chunks = await gpt.chat.completions.create(model=GPT, stream=True, **ASK)
        assert all([chunk.choices async for chunk in chunks])
        async with gpt.chat.completions.stream(model=GPT, **ASK) as chat:
            assert (await chat.get_final_completion()).choices
        async with gpt.chat.completions.with_streaming_response.create(model=GPT, **ASK) as raw:
            assert [line async for line in raw.iter_lines()]
        for stream in (events, helper, chunks, chat, raw):
            assert receipt(stream).flags == ()

    asyncio.run(main())
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


@pytest.mark.parametrize(("options", "usage_chunks"), [({"include_usage": True}, 1), ({"include_usage": False}, 0)])
def test_a_caller_who_decides_about_usage_is_obeyed(
    guard: spendrail.Guard, gpt: openai.OpenAI, options: Any, usage_chunks: int
) -> None:
    stream = guard.wrap(gpt, **ACME).chat.completions.create(model=GPT, stream=True, stream_options=options, **ASK)
    assert sum(not chunk.choices for chunk in stream) == usage_chunks
    if not usage_chunks:
        assert "no_usage" in receipt(stream).flags
        assert receipt(stream).posted_nano_usd == receipt(stream).reserved_nano_usd


def leave(how: str, stream: Any) -> None:
    steps = iter(stream)
    next(steps)
    next(steps)
    if how == "close":
        stream.close()
    elif how == "block":
        with stream:
            pass
    elif how == "generator":
        steps.close()
        stream.close()
    else:
        del steps, stream
        gc.collect()


@pytest.mark.parametrize("how", ["close", "block", "generator", "drop"])
@pytest.mark.parametrize("sdk", ["anthropic", "openai"])
def test_a_stream_that_is_left_early_is_never_free(
    guard: spendrail.Guard, claude: anthropic.Anthropic, gpt: openai.OpenAI, how: str, sdk: str
) -> None:
    more = script("output=150 delay_ms=1")
    if sdk == "anthropic":
        leave(how, guard.wrap(claude, **ACME).messages.create(model=CLAUDE, stream=True, extra_headers=more, **ASK))
    else:
        client = guard.wrap(gpt, **ACME)
        leave(how, client.chat.completions.create(model=GPT, stream=True, extra_headers=more, **ASK))
    gc.collect()
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed == 0, "floor and margin; the rest is released"


@pytest.mark.parametrize("fault", ["cut", "truncate", "hang", "error_event"])
@pytest.mark.parametrize("sdk", ["anthropic", "openai"])
def test_a_stream_that_breaks_is_floor_and_unconfirmed(
    guard: spendrail.Guard, claude: anthropic.Anthropic, gpt: openai.OpenAI, fault: str, sdk: str
) -> None:
    more = script(f"fault={fault} after=6")
    stream: Any
    if sdk == "anthropic":
        client = guard.wrap(claude.with_options(timeout=0.5), **ACME)
        stream = client.messages.create(model=CLAUDE, stream=True, extra_headers=more, **ASK)
    else:
        chat = guard.wrap(gpt.with_options(timeout=0.5), **ACME)
        stream = chat.chat.completions.create(model=GPT, stream=True, extra_headers=more, **ASK)
    seen = 0
    try:
        for _ in stream:
            seen += 1
    except Exception:
        assert seen
    assert "estimated" in receipt(stream).flags
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


def test_an_async_stream_that_is_left_early_is_never_free(guard: spendrail.Guard, provider: Provider) -> None:
    async def main() -> None:
        gpt = guard.wrap(openai.AsyncOpenAI(api_key="acme", base_url=f"{provider.url}/v1"), **ACME)
        more = script("output=150 delay_ms=5")
        stream = await gpt.chat.completions.create(model=GPT, stream=True, extra_headers=more, **ASK)
        async with stream:
            async for _ in stream:
                break
        assert "estimated" in receipt(stream).flags

        async def read() -> None:
            other = await gpt.chat.completions.create(model=GPT, stream=True, extra_headers=more, **ASK)
            async for _ in other:
                pass

        task = asyncio.create_task(read())
        await asyncio.sleep(0.15)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    gc.collect()
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed == 0


# -- surroundings ----------------------------------------------------------------------------------


def test_calls_belong_to_the_scope_and_run_around_them(guard: spendrail.Guard, gpt: openai.OpenAI) -> None:
    client = guard.wrap(gpt)
    with guard.scope(tenant="globex"), guard.run(max_calls=2, max_cost="0.01 USD") as run:
        client.chat.completions.create(model=GPT, **ASK)
        assert run.spent > 0 and run.remaining == 10_000_000 - run.spent
        client.chat.completions.create(model=GPT, **ASK)
        with pytest.raises(spendrail.RunLimitExceeded):
            client.chat.completions.create(model=GPT, **ASK)
    assert spent(guard, tenant="globex")[0] == run.spent


def test_the_same_request_over_and_over_is_a_loop(guard: spendrail.Guard, gpt: openai.OpenAI) -> None:
    client = guard.wrap(gpt, **ACME)
    with guard.run(max_repeats=2, **ACME):
        client.chat.completions.create(model=GPT, **ASK)
        client.chat.completions.create(model=GPT, **ASK)
        with pytest.raises(spendrail.LoopDetected):
            client.chat.completions.create(model=GPT, **ASK)


def test_fifty_tasks_ten_calls(provider: Provider) -> None:
    guard = make_guard("1 USD")
    # $0.10 each: 20,000 output tokens of a model that costs 5 USD per million.
    prices = {"catalog": 1, "provider": "anthropic", "models": {CLAUDE: {"replace": True, "max_output_tokens": 99_999}}}
    prices["models"][CLAUDE]["prices"] = [{"rates": {"input": "0", "cache_write": "0", "output": "5"}}]  # type: ignore[index]
    budget = spendrail.Budget("tenant-day", limit="1 USD", window="day")
    guard = spendrail.Guard(budgets=[budget], prices=[prices])

    async def main() -> list[Any]:
        client = guard.wrap(anthropic.AsyncAnthropic(api_key="acme", base_url=provider.url))
        ask = {"model": CLAUDE, "messages": USER, "max_tokens": 20_000, "extra_headers": script("delay_ms=500")}
        asks = (client.messages.create(**ask, timeout=20) for _ in range(50))
        return await asyncio.gather(*asks, return_exceptions=True)

    replies = asyncio.run(main())
    assert sum(isinstance(reply, spendrail.BudgetExceeded) for reply in replies) == 40
    assert requests(provider) == 10
