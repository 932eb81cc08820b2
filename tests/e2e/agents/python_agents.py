"""The agents of tenant `acme`: the real `anthropic` and `openai` clients, wrapped by a Spendrail guard.

    python python_agents.py '{"config": …, "provider": …, "tenant": …, "budget": …, "runaway_calls": …, …}'

Every step prints one JSON line; the price step waits for one on stdin. node_agents.mjs tells the same story.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from typing import Any

import anthropic
import openai
import spendrail

Json = dict[str, Any]
RELOAD_S = 10.0
MANY = 100
HOUSE_RULES = "Be brief, be kind, and never spend what is not yours. " * 40
CACHED: list[Any] = [{"type": "text", "text": HOUSE_RULES, "cache_control": {"type": "ephemeral"}}]
CACHED_1H: list[Any] = [
    {"type": "text", "text": HOUSE_RULES, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
]
RULES: Any = {"role": "system", "content": HOUSE_RULES}
CLAUDE_TOOLS: list[Any] = [{"name": "search", "description": "Search.", "input_schema": {"type": "object"}}]
GPT_TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}
]


def say(step: str, **facts: Any) -> None:
    print(json.dumps({"step": step, **facts}), flush=True)


def script(text: str) -> dict[str, str]:
    """What the local provider should do with this request."""
    return {"x-provider-script": text}


def denial(denied: spendrail.Denied) -> Json:
    retry_at = denied.retry_at
    return {
        "code": denied.code,
        "http_status": denied.http_status,
        "retry_at": None if retry_at is None else int(retry_at.timestamp()),
        "retry_after_s": denied.retry_after,
        "message": str(denied),
    }


def receipt(reply: Any) -> Json:
    found = spendrail.receipt_of(reply)
    assert found is not None, "a wrapped call has a receipt"
    return {"id": getattr(reply, "id", None), "cost": str(found.cost), "price_version": found.price_version}


class Agents:
    """One guard, the wrapped clients, and one method per step of the story."""

    def __init__(self, given: Json) -> None:
        self.given = given
        self.tenant: str = given["tenant"]
        self.reloaded = threading.Event()
        self.guard = spendrail.Guard(given["config"])
        self.guard.on("reloaded", lambda event: self.reloaded.set())
        url = given["provider"]
        self.claude = self.guard.wrap(
            anthropic.Anthropic(api_key=self.tenant, base_url=url), tenant=self.tenant
        )
        self.gpt = self.guard.wrap(
            openai.OpenAI(api_key=self.tenant, base_url=f"{url}/v1"), tenant=self.tenant
        )

    def researcher(self) -> None:
        """A well-behaved agent: two searches, an answer, and a summary by another model."""
        messages: list[Any] = [{"role": "user", "content": "What does a budget protect?"}]
        ask = script("tool=search rounds=2 cache_read=300 cache_write=120")
        receipts = []
        with self.guard.run(tenant=self.tenant, agent="researcher", max_calls=10, max_cost="0.02 USD") as run:
            for _ in range(MANY):
                reply = self.claude.messages.create(
                    model=self.given["claude"],
                    max_tokens=300,
                    system=CACHED,
                    messages=messages,
                    tools=CLAUDE_TOOLS,
                    extra_headers=ask,
                )
                receipts.append(receipt(reply))
                calls = [block for block in reply.content if block.type == "tool_use"]
                if not calls:
                    break
                messages.append({"role": "assistant", "content": [block.model_dump() for block in calls]})
                for call in calls:
                    with run.tool("search", call.input):
                        result = {"type": "tool_result", "tool_use_id": call.id, "content": "42 documents"}
                    messages.append({"role": "user", "content": [result]})
            with self.gpt.chat.completions.create(
                model=self.given["gpt"],
                messages=[RULES, {"role": "user", "content": "Sum it up."}],
                stream=True,
                max_completion_tokens=200,
                extra_headers=script("cache_read=101 reasoning=7"),
            ) as stream:
                summary = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        say("researcher", receipts=receipts, summary=summary, rounds=len(receipts))

    def runaway(self) -> None:
        """An agent that never has enough. Its run limit ends it, before the provider sees the next call."""
        messages: list[Any] = [RULES, {"role": "user", "content": "Find the end of the internet."}]
        calls = 0
        try:
            with self.guard.run(
                tenant=self.tenant, agent="runaway", max_calls=self.given["runaway_calls"]
            ) as run:
                for _ in range(MANY):
                    reply = self.gpt.chat.completions.create(
                        model=self.given["gpt"],
                        messages=messages,
                        tools=GPT_TOOLS,
                        max_completion_tokens=100,
                        extra_headers=script(self.given["runaway_script"]),
                    )
                    calls += 1
                    call = reply.choices[0].message.tool_calls[0]
                    with run.tool("search", call.function.arguments):
                        result = {"role": "tool", "tool_call_id": call.id, "content": "nothing yet"}
                    messages += [reply.choices[0].message.model_dump(exclude_none=True), result]
        except spendrail.Denied as denied:
            say("runaway", calls=calls, denied=denial(denied))
        else:
            say("runaway", calls=calls, denied=None)

    def more_shapes(self) -> None:
        """Other ways to ask: async, retried, Responses, usage in a stream, embeddings, an unknown model."""
        asyncio.run(self._async())
        retried = self.claude.messages.create(
            model=self.given["claude"],
            max_tokens=100,
            messages=[{"role": "user", "content": "Again, please."}],
            extra_headers=script("fault=529 times=1"),
        )
        with self.claude.messages.stream(
            model=self.given["claude"],
            max_tokens=100,
            system=CACHED_1H,
            messages=[{"role": "user", "content": "Slowly."}],
            extra_headers=script("output=25 cache_write_1h=33"),
        ) as stream:
            stream.until_done()
        with self.gpt.chat.completions.create(
            model=self.given["gpt"],
            messages=[{"role": "user", "content": "And what was used?"}],
            stream=True,
            stream_options={"include_usage": True},
            max_completion_tokens=40,
        ) as asked:
            usage_chunks = sum(1 for chunk in asked if not chunk.choices)
        response = self.gpt.responses.create(
            model=self.given["gpt"], input="Hello", max_output_tokens=90, extra_headers=script("reasoning=11")
        )
        self.gpt.embeddings.create(model=self.given["embedding"], input=["one text", "another text"])
        try:
            self.gpt.chat.completions.create(
                model=self.given["unknown_model"], messages=[{"role": "user", "content": "Are you there?"}]
            )
        except spendrail.Denied as denied:
            receipts = [receipt(retried), receipt(response)]
            say("shapes", receipts=receipts, usage_chunks=usage_chunks, denied=denial(denied))
        else:
            say("shapes", receipts=[], usage_chunks=usage_chunks, denied=None)

    async def _async(self) -> None:
        url = f"{self.given['provider']}/v1"
        async with openai.AsyncOpenAI(api_key=self.tenant, base_url=url) as plain:
            client = self.guard.wrap(plain, tenant=self.tenant)
            ask: Json = {"model": self.given["gpt"], "max_completion_tokens": 60}
            asks = (
                client.chat.completions.create(messages=[{"role": "user", "content": f"Number {n}"}], **ask)
                for n in range(3)
            )
            await asyncio.gather(*asks)

    def price_change(self) -> None:
        """A stream is open while the price file changes; the next call has the new price."""
        ask: Json = {
            "model": self.given["claude"],
            "max_tokens": 200,
            "system": CACHED,
            "messages": [{"role": "user", "content": "What do you cost?"}],
        }
        same = script(self.given["probe_script"])
        before = self.claude.messages.create(**ask, extra_headers=same)
        stream = self.claude.messages.create(**ask, stream=True, extra_headers=same)
        first = next(iter(stream))
        say("prices", receipts=[receipt(before)], in_flight=first.message.id)
        json.loads(sys.stdin.readline())
        reloaded = self.reloaded.wait(RELOAD_S)
        for _ in stream:
            pass
        after = self.claude.messages.create(**ask, extra_headers=same)
        say("reloaded", reloaded=reloaded, receipts=[receipt(after)])

    def spend_it_all(self) -> None:
        """Work until the day's budget is spent; the denial says when to come back."""
        calls, page = 0, "output=280"
        try:
            for _ in range(MANY):
                self.claude.messages.create(
                    model=self.given["claude"],
                    max_tokens=300,
                    messages=[{"role": "user", "content": f"Page {calls} of the report."}],
                    extra_headers=script(page),
                )
                calls += 1
        except spendrail.Denied as denied:
            say("spent", calls=calls, script=page, denied=denial(denied))
        else:
            say("spent", calls=calls, script=page, denied=None)

    def close(self) -> None:
        """What the ledger says, then everything out to the collector."""
        page = list(self.guard.balances(budget=self.given["budget"], tenant=self.tenant))
        balances = [
            {"spent": balance.spent, "held": balance.held, "unconfirmed": balance.unconfirmed}
            for balance in page
        ]
        say("balances", balances=balances)
        flushed = self.guard.flush(timeout=5.0)
        self.guard.close()
        say("closed", flushed=flushed.complete)


def main() -> None:
    agents = Agents(json.loads(sys.argv[1]))
    agents.researcher()
    agents.runaway()
    agents.more_shapes()
    agents.price_change()
    agents.spend_it_all()
    agents.close()


if __name__ == "__main__":
    main()
