"""The local provider, seen through the real `openai` SDK: shapes, streams, faults and what it bills."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest

from billing import Entry
from provider import Provider

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TOOLS: list[Any] = [{"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}]
MODEL = "gpt-4o-mini"


def script(text: str) -> dict[str, str]:
    return {"x-provider-script": text}


def last(provider: Provider) -> dict[str, Any]:
    entries: list[dict[str, Any]] = provider.journal.to_json()["requests"]
    return entries[-1]


def test_a_plain_reply_says_what_the_journal_bills(provider: Provider, chat: openai.OpenAI) -> None:
    reply = chat.chat.completions.create(
        model=MODEL, messages=HELLO, extra_headers=script("input=100 cache_read=400 output=30 reasoning=12")
    )
    assert reply.usage is not None and reply.usage.prompt_tokens_details is not None
    assert (reply.usage.prompt_tokens, reply.usage.prompt_tokens_details.cached_tokens) == (500, 400)
    assert reply.usage.completion_tokens == 42 and reply.usage.total_tokens == 542
    assert reply.usage.completion_tokens_details is not None
    assert reply.usage.completion_tokens_details.reasoning_tokens == 12
    assert reply.model == "gpt-4o-mini-2024-07-18" and reply.choices[0].finish_reason == "stop"
    # 100 * 0.15 + 400 * 0.075 + 42 * 0.6, per million
    assert last(provider)["cost_usd"] == "0.0000702" and last(provider)["cost_nano_usd"] == 70_200
    assert last(provider)["key"] == "acme" and last(provider)["outcome"] == "complete"


def test_a_stream_has_a_usage_chunk_only_on_request(provider: Provider, chat: openai.OpenAI) -> None:
    without = list(chat.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in without)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in without)
    assert text.startswith("A budget is a promise")

    with_usage = list(
        chat.chat.completions.create(
            model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk.choices for chunk in with_usage].count([]) == 1 and with_usage[-1].choices == []
    assert all(chunk.usage is None for chunk in with_usage[:-1])
    assert with_usage[-1].usage is not None
    assert with_usage[-1].usage.completion_tokens == last(provider)["tokens"]["output"] == len(without) - 2


def test_the_maximum_ends_the_answer(chat: openai.OpenAI) -> None:
    reply = chat.chat.completions.create(model=MODEL, messages=HELLO, max_completion_tokens=5, n=3)
    assert [choice.finish_reason for choice in reply.choices] == ["length"] * 3
    assert reply.usage is not None and reply.usage.completion_tokens == 15


@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_loop_calls_its_tool_until_it_has_enough(
    provider: Provider, chat: openai.OpenAI, stream: bool
) -> None:
    messages: list[Any] = [{"role": "user", "content": "Look it up <<provider: tool=search rounds=2>>"}]
    message: Any
    for _ in range(2):
        if stream:
            with chat.chat.completions.stream(model=MODEL, messages=messages, tools=TOOLS) as events:
                message = events.get_final_completion().choices[0].message
        else:
            message = (
                chat.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS).choices[0].message
            )
        assert message.tool_calls is not None and message.tool_calls[0].type == "function"
        assert "query" in json.loads(message.tool_calls[0].function.arguments)
        messages += [
            message.model_dump(exclude_none=True, exclude={"parsed"}),
            {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "found"},
        ]
    end = chat.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    assert end.choices[0].finish_reason == "stop" and end.choices[0].message.content
    assert len(provider.journal.to_json()["requests"]) == 3


def test_responses_plain_and_streamed(provider: Provider, chat: openai.OpenAI) -> None:
    plain = chat.responses.create(
        model=MODEL, input="Hello", extra_headers=script("cache_read=7 reasoning=9")
    )
    assert plain.usage is not None and plain.usage.input_tokens_details.cached_tokens == 7
    assert plain.usage.output_tokens_details.reasoning_tokens == 9
    assert plain.output[0].type == "reasoning" and plain.output_text.startswith("A budget")

    events = list(
        chat.responses.create(model=MODEL, input="Hello", stream=True, extra_headers=script("output=4"))
    )
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds.count("response.output_text.delta") == 4 and kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    final = events[-1]
    assert final.type == "response.completed" and final.response.usage is not None
    assert final.response.usage.output_tokens == last(provider)["tokens"]["output"] == 4

    cut_off = list(chat.responses.create(model=MODEL, input="Hello", stream=True, max_output_tokens=2))
    assert cut_off[-1].type == "response.incomplete"


def test_responses_call_a_function(chat: openai.OpenAI) -> None:
    tools: list[Any] = [
        {"type": "function", "name": "search", "parameters": {"type": "object"}, "strict": False}
    ]
    with chat.responses.stream(model=MODEL, input="Look <<provider: tool=search>>", tools=tools) as stream:
        call = stream.get_final_response().output[0]
    assert call.type == "function_call" and json.loads(call.arguments) == {"query": "step 1"}


def test_embeddings_bill_input_only(provider: Provider, chat: openai.OpenAI) -> None:
    reply = chat.embeddings.create(model="text-embedding-3-small", input=["abcd" * 10, "efgh"], dimensions=8)
    assert len(reply.data) == 2 and len(reply.data[0].embedding) == 8
    assert reply.data[0].embedding[0] == -50 / 64 + ((1 % 101) / 64)
    assert reply.usage.prompt_tokens == last(provider)["tokens"]["input"] == 11
    assert last(provider)["tokens"]["output"] == 0 and last(provider)["cost_usd"] == "0.00000022"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("429", openai.RateLimitError),
        ("quota", openai.RateLimitError),
        ("401", openai.AuthenticationError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
    ],
)
def test_errors_cost_nothing(
    provider: Provider, chat: openai.OpenAI, fault: str, kind: type[openai.APIStatusError]
) -> None:
    with pytest.raises(kind) as raised:
        chat.chat.completions.create(
            model=MODEL, messages=HELLO, extra_headers=script(f"fault={fault} retry_after=2")
        )
    assert raised.value.request_id and isinstance(raised.value.body, dict) and raised.value.body["message"]
    assert last(provider)["outcome"] == "rejected" and last(provider)["cost_nano_usd"] == 0
    assert ("retry-after" in raised.value.response.headers) == (fault in ("429", "503"))


def test_the_sdk_retries_over_a_passing_fault(provider: Provider, chat: openai.OpenAI) -> None:
    reply = chat.with_options(max_retries=2).chat.completions.create(
        model=MODEL, messages=HELLO, extra_headers=script("fault=500 times=2")
    )
    assert reply.usage is not None
    entries = provider.journal.to_json()["requests"]
    assert [(entry["status"], entry["retry"]) for entry in entries] == [(500, 0), (500, 1), (200, 2)]
    assert provider.journal.to_json()["keys"]["acme"]["billed"] == 1


@pytest.mark.parametrize(
    ("fault", "generated"), [("cut", 4), ("truncate", 4), ("hang", 4), ("error_event", 4)]
)
def test_a_broken_stream_bills_what_was_generated(
    provider: Provider, chat: openai.OpenAI, fault: str, generated: int
) -> None:
    received = []
    stream = chat.with_options(timeout=0.5).chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, extra_headers=script(f"fault={fault} after=5")
    )
    broken = False
    try:
        for chunk in stream:
            received.append(chunk)
    except Exception:  # the SDK passes its HTTP library's own errors through
        broken = True
    assert len(received) == 5 and broken == (fault != "truncate")
    assert last(provider)["tokens"]["output"] == generated and last(provider)["cost_nano_usd"] > 0


def test_a_stream_closed_early_bills_what_was_sent(provider: Provider, chat: openai.OpenAI) -> None:
    with chat.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, extra_headers=script("output=500 delay_ms=20")
    ) as stream:
        for _, _chunk in zip(range(4), stream, strict=False):
            pass
    entry = closed(provider)
    assert entry["outcome"] == "client_closed" and 3 <= entry["tokens"]["output"] < 30


def closed(provider: Provider) -> dict[str, Any]:
    deadline = time.monotonic() + 5
    while provider.journal.to_json()["open"] and time.monotonic() < deadline:
        time.sleep(0.01)
    return last(provider)


@pytest.mark.parametrize("fault", ["cut", "truncate", "hang"])
def test_a_broken_plain_reply_is_still_billed(provider: Provider, chat: openai.OpenAI, fault: str) -> None:
    with pytest.raises((openai.APIConnectionError, openai.APIResponseValidationError, ValueError)):
        chat.with_options(timeout=0.5).chat.completions.create(
            model=MODEL, messages=HELLO, extra_headers=script(f"fault={fault}")
        )
    assert last(provider)["cost_nano_usd"] > 0


def test_a_reply_can_hide_its_usage(provider: Provider, chat: openai.OpenAI) -> None:
    plain = chat.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=script("fault=no_usage"))
    assert plain.usage is None and last(provider)["cost_nano_usd"] > 0


def test_a_price_change_counts_from_the_next_request(provider: Provider, chat: openai.OpenAI) -> None:
    import urllib.request

    table = {"version": "test-2", "models": {MODEL: {"input": "0.3", "output": "1.2"}}}
    ask = script("input=1000 output=10 delay_ms=30")
    stream = chat.chat.completions.create(model=MODEL, messages=HELLO, stream=True, extra_headers=ask)
    next(stream)
    request = urllib.request.Request(f"{provider.url}/__prices", json.dumps(table).encode(), method="POST")
    assert json.load(urllib.request.urlopen(request)) == {"version": "test-2"}
    list(stream)
    chat.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=ask)
    before, after = provider.journal.to_json()["requests"]
    assert (before["price_version"], before["cost_usd"]) == ("test-1", "0.000156")
    assert (after["price_version"], after["cost_usd"]) == ("test-2", "0.000312")


def test_bad_requests_are_refused_with_the_real_words(provider: Provider, chat: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist") as unknown:
        chat.chat.completions.create(model="gpt-nine", messages=HELLO)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="unknown directive 'fualt=429'"):
        chat.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=script("fualt=429"))
    with pytest.raises(openai.BadRequestError, match="not among the tools"):
        chat.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=script("tool=search"))
    with pytest.raises(openai.BadRequestError, match="has no rate 'cache_write'"):
        chat.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=script("cache_write=5"))
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        chat.images.generate(model="gpt-image-1", prompt="x")
    assert [model.id for model in chat.models.list()]
    assert provider.journal.to_json()["keys"]["acme"]["cost_nano_usd"] == 0


def test_rounding_is_up_once_per_call() -> None:
    from fractions import Fraction

    from billing import nano_usd_up

    assert nano_usd_up(Fraction(1, 3_000_000_000)) == 1 and nano_usd_up(Fraction(2, 1_000_000_000)) == 2
    assert Entry(1, "k", "/").to_json()["cost_usd"] == "0"
