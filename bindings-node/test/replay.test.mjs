// The replay provider: real SDKs, answers to the byte, connections that break.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { Guard, isDenied, receiptOf } from "spendrail";
import { ReplayProvider } from "spendrail/testing";

const CHAT = {
  id: "c-1",
  object: "chat.completion",
  created: 1,
  model: "gpt-4o-mini",
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "Hello." } }],
};

const guardOf = () =>
  new Guard({ budgets: [{ name: "all", limit: "1 USD", window: "day", releaseCap: "0%" }] });

test("a reply to the byte, and what arrived", async () => {
  const provider = await ReplayProvider.start([
    { body: CHAT },
    { status: 400, body: { error: { message: "no" } } },
  ]);
  const client = guardOf().wrap(new OpenAI({ baseURL: provider.url, apiKey: "k", maxRetries: 0 }));
  const ask = (model) =>
    client.chat.completions.create({ model, max_tokens: 50, messages: [{ role: "user", content: "Hi" }] });
  const { usage } = receiptOf(await ask("gpt-4o-mini"));
  assert.deepEqual([usage.input, usage.output], [10, 5]);
  await assert.rejects(() => ask("gpt-4o-mini"), OpenAI.BadRequestError);
  await assert.rejects(() => ask("gpt-4o-mini"), OpenAI.InternalServerError);
  await assert.rejects(() => ask("nobody-sells-this"), isDenied);
  assert.deepEqual(
    provider.requests.map((request) => request.path),
    ["/chat/completions", "/chat/completions", "/chat/completions"],
  );
  assert.equal(JSON.parse(provider.requests[0].body).messages[0].content, "Hi");
  await provider.close();
});

test("a stream that breaks", async () => {
  const message = { id: "m", type: "message", role: "assistant", model: "claude-haiku-4-5", content: [] };
  const start = {
    ...message,
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 40, output_tokens: 1 },
  };
  const delta = { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 7 } };
  const events = [
    ["message_start", { type: "message_start", message: start }],
    ["message_delta", delta],
    ["message_stop", { type: "message_stop" }],
  ];
  const provider = await ReplayProvider.start([{ events }, { events, cut: 1 }]);
  const guard = guardOf();
  const client = guard.wrap(new Anthropic({ baseURL: provider.url, apiKey: "k", maxRetries: 0 }));
  const read = async () => {
    const seen = [];
    const stream = await client.messages.create({
      model: "claude-haiku-4-5",
      max_tokens: 50,
      stream: true,
      messages: [{ role: "user", content: "Hi" }],
    });
    for await (const one of stream) seen.push(one.type);
    return seen;
  };
  assert.deepEqual(await read(), ["message_start", "message_delta", "message_stop"]);
  assert.equal((await guard.balances()).at(0).spent, 75_000n);
  await assert.rejects(read);
  const after = (await guard.balances()).at(0);
  assert.ok(after.spent >= 115_000n && after.unconfirmed > 0n, `${after.spent} ${after.unconfirmed}`);
  await provider.close();
});
