// Wrapped clients of the real SDKs against the local provider, which bills on its own: both books must agree.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AzureOpenAI } from "openai";
import { receiptOf } from "spendrail";
import { agrees, billed, chat, claude, customer, denialOf, drain, provider, text } from "./customer.mjs";
import { booked, CLAUDE, GPT, guardOf, openaiOf, script, tenantOf } from "./provider.mjs";

const usageChunks = (chunks) => chunks.filter((chunk) => chunk.choices.length === 0);

describe("what is answered is what is booked", () => {
  const shapes = {
    "chat completion": ({ gpt }) => gpt.chat.completions.create(chat, script("cache_read=3 reasoning=7")),
    "parsed chat completion": ({ gpt }) => gpt.chat.completions.parse(chat),
    response: ({ gpt }) => gpt.responses.create(text, script("reasoning=13")),
    "parsed response": ({ gpt }) => gpt.responses.parse(text),
    embedding: ({ gpt }) => gpt.embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"] }),
    message: ({ anthropic }) =>
      anthropic.messages.create(claude, script("cache_read=31 cache_write=13 cache_write_1h=5 web_search=1")),
    "beta message": ({ anthropic }) => anthropic.beta.messages.create(claude),
    "raw post": ({ gpt }) => gpt.post("/chat/completions", { body: chat }),
    "body as text": ({ gpt }) =>
      gpt.post("/chat/completions", {
        body: JSON.stringify(chat),
        headers: { "content-type": "application/json" },
      }),
  };
  for (const [name, ask] of Object.entries(shapes)) {
    test(name, async () => {
      const one = customer("plain");
      const reply = await ask(one);
      await agrees(one);
      const receipt = receiptOf(reply);
      assert.equal(Number(receipt.costNanoUsd), await billed(one.tenant));
      // The request declared no search and no cache.
      assert.deepEqual(
        receipt.flags.filter((flag) => flag !== "over_run"),
        [],
      );
    });
  }

  const streams = {
    "chat completion": async ({ gpt }) => drain(await gpt.chat.completions.create({ ...chat, stream: true })),
    "chat helper": ({ gpt }) => gpt.chat.completions.stream(chat).finalChatCompletion(),
    response: async ({ gpt }) => drain(await gpt.responses.create({ ...text, stream: true })),
    "response helper": ({ gpt }) => gpt.responses.stream(text).finalResponse(),
    message: async ({ anthropic }) => drain(await anthropic.messages.create({ ...claude, stream: true })),
    "message helper": ({ anthropic }) => anthropic.messages.stream(claude).finalMessage(),
    "beta message helper": ({ anthropic }) => anthropic.beta.messages.stream(claude).finalMessage(),
    "tee, both sides": async ({ gpt }) => {
      const [left, right] = (await gpt.chat.completions.create({ ...chat, stream: true })).tee();
      const [one, other] = await Promise.all([drain(left), drain(right)]);
      assert.deepEqual(one, other);
    },
    "as a readable stream": async ({ gpt }) => {
      const stream = await gpt.chat.completions.create({ ...chat, stream: true });
      const lines = await new Response(stream.toReadableStream()).text();
      assert.equal(
        usageChunks(
          lines
            .trim()
            .split("\n")
            .map((line) => JSON.parse(line)),
        ).length,
        0,
      );
    },
    "with its response": async ({ gpt }) => {
      const { data, response } = await gpt.chat.completions.create({ ...chat, stream: true }).withResponse();
      assert.equal(response.status, 200);
      await drain(data);
    },
    "as a bare response": async ({ gpt }) => {
      const response = await gpt.chat.completions.create({ ...chat, stream: true }).asResponse();
      assert.match(response.url, /chat\/completions$/);
      assert.match(await response.text(), /\[DONE\]/);
    },
  };
  for (const [name, ask] of Object.entries(streams)) {
    test(`stream: ${name}`, async () => {
      const one = customer("stream");
      await ask(one);
      await agrees(one);
    });
  }

  test("receipts of streams, of helpers' replies and of bare responses", async () => {
    const { gpt, anthropic } = customer("receipts");
    const stream = await gpt.chat.completions.create({ ...chat, stream: true });
    assert.equal(receiptOf(stream), null);
    await drain(stream);
    assert.equal(receiptOf(stream).model, GPT);
    assert.equal(receiptOf(await anthropic.messages.stream(claude).finalMessage()).model, CLAUDE);
    const response = await gpt.responses.create(text).asResponse();
    await response.json();
    assert.equal(receiptOf(response).model, GPT);
    assert.equal(receiptOf({}), null);
    assert.equal(receiptOf("reply"), null);
  });

  test("fifty at once, each in its own scope", async () => {
    const one = customer("many");
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        one.guard.scope({ user: `u${n}` }, () => one.gpt.chat.completions.create(chat)),
      ),
    );
    assert.ok(replies.every((reply) => receiptOf(reply) !== null));
    await agrees(one);
  });
});

describe("the chunk with the usage", () => {
  const ask = async (one, options) =>
    drain(await one.gpt.chat.completions.create({ ...chat, stream: true, ...options }));

  test("is asked for and hidden if the caller did not decide", async () => {
    const one = customer("hidden");
    assert.equal(usageChunks(await ask(one, {})).length, 0);
    assert.equal(usageChunks(await ask(one, { stream_options: { include_obfuscation: false } })).length, 0);
    await agrees(one);
  });

  test("comes to a caller who asked", async () => {
    const one = customer("asked");
    assert.equal(usageChunks(await ask(one, { stream_options: { include_usage: true } })).length, 1);
    await agrees(one);
  });

  test("is left out for a caller who declined; the whole hold is booked", async () => {
    const one = customer("declined");
    assert.equal(usageChunks(await ask(one, { stream_options: { include_usage: false } })).length, 0);
    const { spent, held } = await booked(one.guard, one.tenant);
    assert.ok(spent > (await billed(one.tenant)));
    assert.equal(held, 0);
  });
});

describe("a denial", () => {
  test("is thrown before anything is sent, and not retried", async () => {
    const one = customer("denied", { limit: "0.00001 USD", maxRetries: 3 });
    let denials = 0;
    one.guard.on("denied", () => denials++);
    for (const ask of [
      () => one.gpt.chat.completions.create(chat),
      () => one.gpt.chat.completions.create({ ...chat, stream: true }),
      () => one.anthropic.messages.create(claude).asResponse(),
      () => one.anthropic.messages.stream(claude).finalMessage(),
      () => one.gpt.responses.create(text).withResponse(),
    ]) {
      const denied = await denialOf(Promise.resolve().then(ask));
      assert.equal(denied.code, "budget_exceeded");
      assert.equal(denied.failures[0].budget, "b");
    }
    assert.deepEqual(await provider.journal(one.tenant), []);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(denials, 5);
  });

  test("of an endpoint that may cost money, unless the policy lists it", async () => {
    const one = customer("endpoint");
    for (const ask of [
      () => one.gpt.images.generate({ prompt: "a cat" }),
      () => one.gpt.audio.speech.create({ model: "tts-1", input: "Hi", voice: "alloy" }),
      () => one.gpt.vectorStores.search("vs_1", { query: "q" }),
      () => one.anthropic.messages.batches.create({ requests: [] }),
    ]) {
      const denied = await denialOf(Promise.resolve().then(ask));
      assert.equal(denied.code, "unguarded_endpoint");
    }
    assert.deepEqual(await provider.journal(one.tenant), []);
    const guard = guardOf("10 USD", { endpoints: { allow: ["/images/*"] } });
    const allowed = customer("allowed", { guard });
    await assert.rejects(async () => allowed.gpt.images.generate({ prompt: "a cat" }), { status: 404 });
  });

  test("of a run that has made its calls", async () => {
    const one = customer("run");
    await one.guard.run({ tenant: one.tenant, agent: "a", maxCalls: 2 }, async (run) => {
      await one.gpt.chat.completions.create(chat);
      await one.gpt.chat.completions.create(chat);
      const denied = await denialOf(one.gpt.chat.completions.create(chat));
      assert.equal(denied.code, "run_limit_exceeded");
      assert.equal(Number(run.spentNanoUsd), await billed(one.tenant));
    });
    await agrees(one);
  });
});

describe("one call, however often it is sent", () => {
  test("retries are one request and one hold", async () => {
    const one = customer("retried", { maxRetries: 2 });
    const reply = await one.anthropic.messages.create(claude, script("fault=529 times=1"));
    assert.ok(receiptOf(reply));
    assert.equal((await provider.journal(one.tenant)).length, 2);
    const [requests] = await one.guard.balances({ budget: "n", tenant: one.tenant });
    assert.equal(requests.spent, 1n);
    await agrees(one);
  });
});

describe("a wrapped client", () => {
  test("is a copy of the same class; the client itself is left alone", async () => {
    const tenant = tenantOf("copy");
    const guard = guardOf();
    const bare = openaiOf(provider, tenant);
    const own = Object.getOwnPropertyNames(bare);
    const wrapped = guard.wrap(bare, { tenant });
    assert.notEqual(wrapped, bare);
    assert.equal(Object.getPrototypeOf(wrapped), Object.getPrototypeOf(bare));
    assert.deepEqual(Object.getOwnPropertyNames(bare), own);
    assert.deepEqual(Object.keys(wrapped), Object.keys(bare));
    await bare.chat.completions.create(chat);
    assert.deepEqual(await guard.balances({ budget: "b", tenant }).then((page) => page.map((b) => b.spent)), [
      0n,
    ]);
  });

  test("is wrapped once", async () => {
    const one = customer("twice");
    assert.equal(one.guard.wrap(one.gpt), one.gpt);
    const labelled = one.guard.wrap(one.gpt, { feature: "f" });
    assert.notEqual(labelled, one.gpt);
    await labelled.chat.completions.create(chat);
    await agrees(one);
    // The budgets of the first guard would be left out, and nobody would notice.
    for (const client of [one.gpt, one.anthropic, one.gemini]) {
      assert.throws(() => guardOf().wrap(client), { code: "argument_invalid", field: "client" });
    }
  });

  test("has copies that are guarded too", async () => {
    const one = customer("copies");
    await one.gpt.withOptions({ maxRetries: 1 }).withOptions({ timeout: 5000 }).chat.completions.create(chat);
    await one.anthropic.withOptions({ maxRetries: 1 }).messages.create(claude);
    await agrees(one);
  });

  test("of Azure keeps its version and deployment", async () => {
    const tenant = tenantOf("azure");
    const options = {
      apiKey: tenant,
      apiVersion: "2026-01-01",
      baseURL: `${provider.url}/openai`,
      deployment: GPT,
    };
    const guard = guardOf("10 USD", { mode: "observe" });
    const azure = guard.wrap(new AzureOpenAI(options), { tenant });
    assert.equal(azure.apiVersion, "2026-01-01");
    assert.equal(azure.deploymentName, GPT);
  });

  test("is one of the SDKs", () => {
    for (const other of [{}, new Map(), new (class OpenAIish {})()]) {
      assert.throws(() => guardOf().wrap(other), { code: "argument_invalid", field: "client" });
    }
    assert.throws(() => guardOf().wrap(openaiOf(provider, "k"), { tenat: "x" }), {
      code: "argument_invalid",
    });
  });
});
