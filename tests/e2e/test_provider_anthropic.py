"""The local provider, seen through the real `anthropic` SDK: shapes, streams, faults and what it bills."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from provider import Provider
from test_provider_openai import closed, last, script

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TOOLS: list[Any] = [{"name": "search", "input_schema": {"type": "object"}}]
MODEL = "claude-haiku-4-5"


def test_a_plain_reply_says_what_the_journal_bills(provider: Provider, claude: anthropic.Anthropic) -> None:
    ask = script(
        "input=100 cache_read=2000 cache_write=300 cache_write_1h=50 output=30 reasoning=12 web_search=2"
    )
    reply = claude.messages.create(model=MODEL, max_tokens=1000, messages=HELLO, extra_headers=ask)
    assert (reply.usage.input_tokens, reply.usage.cache_read_input_tokens) == (100, 2000)
    assert reply.usage.cache_creation_input_tokens == 350 and reply.usage.cache_creation is not None
    assert reply.usage.cache_creation.ephemeral_1h_input_tokens == 50
    assert reply.usage.output_tokens == 42 and reply.usage.output_tokens_details is not None
    assert reply.usage.output_tokens_details.thinking_tokens == 12
    assert [block.type for block in reply.content] == ["thinking", "text"] and reply.stop_reason == "end_turn"
    assert reply.usage.server_tool_use is not None and reply.usage.server_tool_use.web_search_requests == 2
    # (100 * 1 + 2000 * 0.1 + 300 * 1.25 + 50 * 2 + 42 * 5) per million + 2 searches at 0.01
    assert last(provider)["cost_usd"] == "0.020985" and last(provider)["key"] == "acme"


def test_a_stream_is_cumulative_and_ends_with_the_true_figure(
    provider: Provider, claude: anthropic.Anthropic
) -> None:
    ask = script("input=50 cache_read=200 output=20")
    with claude.messages.stream(model=MODEL, max_tokens=100, messages=HELLO, extra_headers=ask) as stream:
        events = list(stream)
        final = stream.get_final_message()
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop" and "message_delta" in kinds
    assert final.usage.output_tokens == 20 == last(provider)["tokens"]["output"]
    assert final.usage.input_tokens == 50 and final.usage.cache_read_input_tokens == 200
    start = events[0]
    assert start.type == "message_start" and start.message.usage.output_tokens == 1

    raw = claude.messages.with_raw_response.create(model=MODEL, max_tokens=3, messages=HELLO, stream=True)
    lines = list(raw.http_response.iter_lines())
    assert 'data: {"type": "ping"}' in lines and lines[0] == "event: message_start"
    assert any('"stop_reason":"max_tokens"' in line for line in lines)


@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_loop_calls_its_tool_until_it_has_enough(claude: anthropic.Anthropic, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "Look it up <<provider: tool=search rounds=2>>"}]
    stops = []
    for _ in range(3):
        if stream:
            with claude.messages.stream(
                model=MODEL, max_tokens=200, messages=messages, tools=TOOLS
            ) as events:
                reply = events.get_final_message()
        else:
            reply = claude.messages.create(model=MODEL, max_tokens=200, messages=messages, tools=TOOLS)  # type: ignore[assignment]
        stops.append(reply.stop_reason)
        for block in reply.content:
            if block.type == "tool_use":
                assert block.input == {"query": f"step {len(stops)}"}
                result = {"type": "tool_result", "tool_use_id": block.id, "content": "found"}
                messages += [
                    {"role": "assistant", "content": [block.model_dump(exclude_none=True)]},
                    {"role": "user", "content": [result]},
                ]
    assert stops == ["tool_use", "tool_use", "end_turn"]


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("429", anthropic.RateLimitError, "rate_limit_error"),
        ("401", anthropic.AuthenticationError, "authentication_error"),
        ("500", anthropic.InternalServerError, "api_error"),
        ("529", anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_errors_cost_nothing(
    provider: Provider,
    claude: anthropic.Anthropic,
    fault: str,
    kind: type[anthropic.APIStatusError],
    words: str,
) -> None:
    with pytest.raises(kind, match=words) as raised:
        claude.messages.create(
            model=MODEL, max_tokens=9, messages=HELLO, extra_headers=script(f"fault={fault}")
        )
    assert raised.value.request_id == "req_e2e00000001"
    assert last(provider)["outcome"] == "rejected" and last(provider)["cost_nano_usd"] == 0


@pytest.mark.parametrize("fault", ["cut", "truncate", "hang", "error_event"])
def test_a_broken_stream_bills_what_was_generated(
    provider: Provider, claude: anthropic.Anthropic, fault: str
) -> None:
    ask = script(f"fault={fault} after=7 input=10")
    events = []
    broken = False
    try:
        stream = claude.with_options(timeout=0.5).messages.create(
            model=MODEL, max_tokens=100, messages=HELLO, stream=True, extra_headers=ask
        )
        for event in stream:
            events.append(event)
    except Exception as error:  # the SDK passes its HTTP library's own errors through
        broken = True
        assert fault != "error_event" or (
            isinstance(error, anthropic.APIStatusError) and "verloaded" in str(error)
        )
    # message_start, content_block_start, ping and four words; the SDK does not show the ping
    assert len(events) == 6 and broken == (fault != "truncate")
    assert last(provider)["tokens"]["output"] == 4 and last(provider)["cost_usd"] == "0.00003"


def test_a_stream_closed_early_bills_what_was_sent(provider: Provider, claude: anthropic.Anthropic) -> None:
    ask = script("output=500 delay_ms=20")
    with claude.messages.stream(model=MODEL, max_tokens=1000, messages=HELLO, extra_headers=ask) as stream:
        for _, _event in zip(range(8), stream, strict=False):
            pass
    entry = closed(provider)
    assert entry["outcome"] == "client_closed" and 1 <= entry["tokens"]["output"] < 40


def test_counting_is_free_and_agrees(provider: Provider, claude: anthropic.Anthropic) -> None:
    counted = claude.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens
    assert last(provider)["cost_nano_usd"] == 0
    reply = claude.messages.create(model=MODEL, max_tokens=1, messages=HELLO)
    assert reply.usage.input_tokens == counted == 5


def test_bad_requests_are_refused_with_the_real_words(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="model: claude-nine"):
        claude.messages.create(model="claude-nine", max_tokens=1, messages=HELLO)
    with pytest.raises(anthropic.BadRequestError, match="max_tokens: Field required"):
        claude.post("/v1/messages", body={"model": MODEL, "messages": HELLO}, cast_to=object)
