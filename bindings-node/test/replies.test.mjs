// Replies that the local provider of tests/e2e does not give: bodies that stop, are empty, or are JSON only to an SDK.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import OpenAI from "openai";
import { receiptOf } from "spendrail";
import { booked, GPT, guardOf } from "./provider.mjs";

const ask = { model: GPT, max_tokens: 100, messages: [{ role: "user", content: "Hi" }] };
const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
const whole = (content = "Hello") =>
  JSON.stringify({
    id: "x",
    object: "chat.completion",
    model: GPT,
    choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content } }],
    usage,
  });

/** What the requests of a test are answered with, one after the other. */
let answers = [];
let asked = 0;
const json = { "content-type": "application/json" };
const server = createServer((request, response) => {
  request.resume().on("end", () => {
    const answer = answers[Math.min(asked, answers.length - 1)];
    asked += 1;
    answer(response);
  });
});
const body = (text) => (response) => response.writeHead(200, json).end(text);
const empty = (response) => response.writeHead(200, { ...json, "content-length": "0" }).end();
/** Half of a body, and nothing more. */
const stops = (response) => response.writeHead(200, json).write(whole().slice(0, 40));

let url;
before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${server.address().port}/v1`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

/** Asks once. What it came to, and what is booked. */
async function call(...replies) {
  [answers, asked] = [replies, 0];
  const guard = guardOf();
  const client = new OpenAI({ apiKey: "k", baseURL: url, maxRetries: 1, timeout: 500 });
  const reply = await guard
    .wrap(client, { tenant: "t" })
    .chat.completions.create(ask)
    .catch((error) => error);
  return { reply, receipt: receiptOf(reply), booked: await booked(guard, "t"), asked };
}

const EXACT = 10 * 150 + 5 * 600;

describe("a body that stops in the middle", () => {
  test("is one lost attempt, and the next one is exact", async () => {
    const once = await call(stops, body(whole()));
    assert.equal(once.asked, 2);
    const floor = once.booked.spent - EXACT;
    assert.ok(floor > 0);
    assert.deepEqual(once.receipt.flags, ["estimated"]);

    // Both attempts are lost: two floors, and the rest of what was held is not known.
    const never = await call(stops);
    assert.equal(never.asked, 2);
    assert.ok(never.reply instanceof OpenAI.APIConnectionTimeoutError, String(never.reply));
    assert.equal(never.booked.spent, 2 * floor);
    assert.ok(never.booked.held === 0 && never.booked.unconfirmed > 0);
  });
});

describe("an odd body", () => {
  test("an empty one is a whole reply without usage", async () => {
    const { booked, asked } = await call(empty);
    assert.equal(asked, 1);
    assert.ok(booked.spent > EXACT);
    assert.deepEqual([booked.held, booked.unconfirmed], [0, 0]);
  });

  for (const [name, text] of Object.entries({
    "with half of an emoji": whole("Hello \ud83d"),
    "with a byte order mark": `\ufeff${whole()}`,
  })) {
    test(`one ${name} is exact`, async () => {
      const { booked, receipt } = await call(body(text));
      assert.deepEqual(receipt?.flags, []);
      assert.deepEqual(booked, { spent: EXACT, held: 0, unconfirmed: 0 });
    });
  }
});
