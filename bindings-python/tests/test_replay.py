"""The replay provider: real SDKs, answers to the byte, connections that break."""

from __future__ import annotations

import anthropic
import openai
import pytest

import spendrail
from spendrail.testing import ReplayProvider, Reply

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
CHAT = {
    "id": "c-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini", "usage": USAGE,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}],
}  # fmt: skip


def make(**more: object) -> spendrail.Guard:
    return spendrail.Guard(budgets=[spendrail.Budget("all", limit="1 USD", window="day", release_cap="0%")], **more)  # type: ignore[arg-type]


def test_a_reply_to_the_byte_and_what_arrived() -> None:
    guard = make()
    with ReplayProvider([CHAT, Reply(status=400, body={"error": {"message": "no"}})]) as provider:
        client = guard.wrap(openai.OpenAI(base_url=provider.url, api_key="k", max_retries=0), tenant="acme")
        reply = client.chat.completions.create(
            model="gpt-4o-mini", max_tokens=50, messages=[{"role": "user", "content": "Hi"}]
        )
        receipt = spendrail.receipt_of(reply)
        assert receipt is not None and receipt.usage is not None
        assert (receipt.usage.input, receipt.usage.output) == (10, 5)
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="gpt-4o-mini", max_tokens=50, messages=[])
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="gpt-4o-mini", max_tokens=50, messages=[])
        with pytest.raises(spendrail.UnknownModel):
            client.chat.completions.create(model="nobody-sells-this", max_tokens=50, messages=[])
        assert [request.path for request in provider.requests] == ["/chat/completions"] * 3
        assert provider.requests[0].json()["messages"] == [{"role": "user", "content": "Hi"}]


def test_a_stream_that_breaks() -> None:
    guard = make()
    start = {"id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": [],
             "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 40, "output_tokens": 1}}  # fmt: skip
    events = [
        ("message_start", {"type": "message_start", "message": start}),
        ("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                           "usage": {"output_tokens": 7}}),
        ("message_stop", {"type": "message_stop"}),
    ]  # fmt: skip
    with ReplayProvider([Reply(events=events), Reply(events=events, cut=1)]) as provider:
        client = guard.wrap(anthropic.Anthropic(base_url=provider.url, api_key="k", max_retries=0))
        ask = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
        assert [event.type for event in client.messages.create(**ask, stream=True)] == [name for name, _ in events]
        spent = guard.balances().items[0].spent
        assert spent == 40 * 1_000 + 7 * 5_000
        with pytest.raises(Exception):  # noqa: B017 - each transport has its own
            list(client.messages.create(**ask, stream=True))
        balance = guard.balances().items[0]
        assert balance.spent >= spent + 40 * 1_000 and balance.unconfirmed > 0
