// A client of the common kind that is aimed at a compatible server: the host tells whose prices apply.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { Guard, receiptOf } from "spendrail";

const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
const choices = [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }];

function guardOf() {
  const models = (id) => ({
    [id]: { max_output_tokens: 100, prices: [{ rates: { input: "1", output: "2" } }] },
  });
  const files = ["groq", "deepseek"].map((provider) => ({
    name: `${provider}.json`,
    text: JSON.stringify({ catalog: 1, provider, models: models(`model-of-${provider}`) }),
  }));
  return new Guard({ budgets: [{ name: "b", limit: "1 USD", window: "day" }], prices: files });
}

const answering = (body) => async () =>
  new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } });

test("openai at groq", async () => {
  const fetch = answering({ id: "c", object: "chat.completion", model: "model-of-groq", choices, usage });
  const bare = new OpenAI({ apiKey: "k", baseURL: "https://api.groq.com/openai/v1", fetch });
  const ask = { model: "model-of-groq", messages: [{ role: "user", content: "hi" }], max_tokens: 50 };
  const reply = await guardOf().wrap(bare).chat.completions.create(ask);
  assert.equal(receiptOf(reply).costNanoUsd, 20_000n);
  // What is said wins.
  const other = guardOf().wrap(bare, { provider: "deepseek" });
  await assert.rejects(other.chat.completions.create(ask), { code: "unknown_model" });
});

test("anthropic at deepseek", async () => {
  const message = { id: "m", type: "message", role: "assistant", content: [], model: "model-of-deepseek" };
  const fetch = answering({ ...message, usage: { input_tokens: 10, output_tokens: 5 } });
  const bare = new Anthropic({ apiKey: "k", baseURL: "https://api.deepseek.com/anthropic", fetch });
  const ask = { model: "model-of-deepseek", messages: [{ role: "user", content: "hi" }], max_tokens: 50 };
  const reply = await guardOf().wrap(bare).messages.create(ask);
  assert.equal(receiptOf(reply).costNanoUsd, 20_000n);
});
