// Wrapped clients of the real SDKs against the local provider, which bills on its own: both books must agree.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { AzureOpenAI } from "openai";
import { denialOf as deniedBy, receiptOf } from "spendrail";
import {
  anthropicOf,
  booked,
  CLAUDE,
  GPT,
  guardOf,
  openaiOf,
  script,
  startProvider,
  tenantOf,
} from "./provider.mjs";

const messages = [{ role: "user", content: "Hello" }];
const chat = { model: GPT, messages, max_completion_tokens: 100 };
const claude = { model: CLAUDE, messages, max_tokens: 100 };
const text = { model: GPT, input: "Hello", max_output_tokens: 100 };

let provider;
before(async () => {
  provider = await startProvider();
});
after(() => provider.stop());

/** A tenant with its guard and its wrapped clients. */
function customer(name, { limit, guard = guardOf(limit), ...options } = {}) {
  const tenant = tenantOf(name);
  const gpt = guard.wrap(openaiOf(provider, tenant, options), { tenant });
  const anthropic = guard.wrap(anthropicOf(provider, tenant, options), { tenant });
  return { tenant, guard, gpt, anthropic };
}

const RESET = "reset";
const NOWHERE = "nowhere";
let resetting;
let nowhere;
before(async () => {
  const listening = (server) =>
    new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
  // Takes the request, and breaks the connection before it answers.
  resetting = createServer((socket) => socket.on("data", () => socket.resetAndDestroy()));
  await listening(resetting);
  const closed = createServer();
  nowhere = await listening(closed);
  await new Promise((resolve) => closed.close(resolve));
});
after(() => resetting.close());

/** The options of a client whose attempts go as they are told here, one by one. */
function attempts(steps) {
  const left = [...steps];
  const fetch = (url, init) => {
    const step = left.shift();
    const port = { [RESET]: resetting.address().port, [NOWHERE]: nowhere }[step];
    if (port !== undefined) return globalThis.fetch(`http://127.0.0.1:${port}${new URL(url).pathname}`, init);
    const headers = new Headers(init.headers);
    headers.set("x-provider-script", step);
    return globalThis.fetch(url, { ...init, headers });
  };
  return { fetch, timeout: 300, maxRetries: steps.length - 1 };
}

async function billed(tenant) {
  const entries = await provider.journal(tenant);
  return entries.reduce((sum, entry) => sum + entry.cost_nano_usd, 0);
}

/** The provider and the ledger say the same, to the nano-USD. */
async function agrees({ guard, tenant }) {
  const bill = await billed(tenant);
  assert.ok(bill > 0, "something was billed");
  assert.deepEqual(await booked(guard, tenant), { spent: bill, held: 0, unconfirmed: 0 });
}

async function drain(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

const usageChunks = (chunks) => chunks.filter((chunk) => chunk.choices.length === 0);

async function denialOf(promise) {
  const error = await promise.then(
    () => assert.fail("it was not denied"),
    (problem) => problem,
  );
  const denied = deniedBy(error);
  assert.ok(denied, String(error));
  return denied;
}

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

describe("what ends early is never free", () => {
  /** Booked as spent, nothing held; what is unconfirmed only if somebody else broke off. */
  async function atLeast(one, { unconfirmed }) {
    const now = await booked(one.guard, one.tenant);
    assert.equal(now.held, 0);
    assert.ok(now.spent > 0, "spent");
    assert.ok(now.spent + now.unconfirmed >= (await billed(one.tenant)), "no less than was billed");
    assert.equal(now.unconfirmed > 0, unconfirmed, `unconfirmed: ${now.unconfirmed}`);
  }
  const slow = script("output=90 delay_ms=5");
  const open = (one, more = {}) =>
    one.gpt.chat.completions.create({ ...chat, stream: true }, { ...slow, ...more });

  test("a loop that breaks", async () => {
    const one = customer("break");
    for await (const _ of await open(one)) break;
    await atLeast(one, { unconfirmed: false });
  });

  test("a stream that is aborted by its controller", async () => {
    const one = customer("abort");
    const stream = await open(one);
    for await (const _ of stream) stream.controller.abort();
    await atLeast(one, { unconfirmed: false });
  });

  test("a stream that is aborted and never read again", async () => {
    const one = customer("unread");
    (await open(one)).controller.abort();
    await atLeast(one, { unconfirmed: false });
  });

  test("a stream that is aborted by the caller's signal", async () => {
    const one = customer("signal");
    const controller = new AbortController();
    const stream = await open(one, { signal: controller.signal });
    for await (const _ of stream) controller.abort();
    await atLeast(one, { unconfirmed: false });
  });

  test("a helper that is aborted", async () => {
    const one = customer("helper");
    const stream = one.anthropic.messages.stream(claude, slow);
    stream.on("text", () => stream.abort());
    await assert.rejects(stream.finalMessage());
    await atLeast(one, { unconfirmed: false });
  });

  test("a bare response that is cancelled", async () => {
    const one = customer("cancel");
    const response = await open(one).asResponse();
    await response.body.cancel();
    await atLeast(one, { unconfirmed: false });
  });

  test("a connection that breaks in mid-stream", async () => {
    const one = customer("cut");
    const stream = await one.gpt.chat.completions.create({ ...chat, stream: true }, script("fault=cut"));
    await assert.rejects(drain(stream));
    await atLeast(one, { unconfirmed: true });
  });

  test("a stream that just stops", async () => {
    const one = customer("truncated");
    await drain(await one.anthropic.messages.create({ ...claude, stream: true }, script("fault=truncate")));
    await atLeast(one, { unconfirmed: true });
  });

  test("a stream that says error", async () => {
    const one = customer("error");
    const stream = await one.gpt.chat.completions.create(
      { ...chat, stream: true },
      script("fault=error_event"),
    );
    await assert.rejects(drain(stream));
    await atLeast(one, { unconfirmed: true });
  });

  test("a body that breaks off", async () => {
    const one = customer("body");
    await assert.rejects(async () => one.gpt.chat.completions.create(chat, script("fault=cut")));
    await atLeast(one, { unconfirmed: true });
  });

  test("half of a JSON body costs what was reserved", async () => {
    const one = customer("half");
    await assert.rejects(async () => one.gpt.chat.completions.create(chat, script("fault=truncate")));
    await atLeast(one, { unconfirmed: false });
  });

  test("a reply without usage costs what was reserved", async () => {
    const one = customer("silent");
    const reply = await one.gpt.chat.completions.create(chat, script("fault=no_usage"));
    assert.deepEqual([...receiptOf(reply).flags].sort(), ["estimated", "no_usage"]);
    await atLeast(one, { unconfirmed: false });
  });

  test("a call that times out", async () => {
    const one = customer("timeout", { timeout: 200 });
    await assert.rejects(async () => one.gpt.chat.completions.create(chat, script("fault=hang")));
    await atLeast(one, { unconfirmed: true });
  });

  test("a call that times out and is then refused", async () => {
    const one = customer("timeout-429", attempts(["fault=hang", "fault=429"]));
    await assert.rejects(async () => one.gpt.chat.completions.create(chat), { status: 429 });
    assert.equal((await provider.journal(one.tenant)).length, 2);
    await atLeast(one, { unconfirmed: true });
  });

  test("a plain call that is aborted by the caller", async () => {
    const one = customer("plain-abort");
    const controller = new AbortController();
    const asked = one.gpt.chat.completions.create(chat, {
      ...script("delay_ms=500"),
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 100);
    await assert.rejects(async () => asked);
    await atLeast(one, { unconfirmed: true });
  });

  test("a stream that nobody reads is abandoned when it is collected", async () => {
    const one = customer("collected");
    await (async () => void (await open(one)))();
    for (let round = 0; round < 100 && (await booked(one.guard, one.tenant)).held > 0; round++) {
      global.gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await atLeast(one, { unconfirmed: true });
  });
});

describe("an attempt that nobody answered counts its input", () => {
  const asks = {
    openai: (one) => one.gpt.chat.completions.create(chat),
    anthropic: (one) => one.anthropic.messages.create(claude),
  };
  const nanoPerToken = { openai: 150, anthropic: 1000 };
  const stories = {
    "a timeout, then an answer": ["fault=hang", "output=5"],
    "a timeout, then a refusal, then an answer": ["fault=hang", "fault=429", "output=5"],
    "a connection that is reset, then an answer": [RESET, "output=5"],
    "two that are lost, then an answer": ["fault=hang", RESET, "output=5"],
  };
  for (const [sdk, ask] of Object.entries(asks)) {
    for (const [name, steps] of Object.entries(stories)) {
      test(`${sdk}: ${name}`, async () => {
        const one = customer("lost", attempts(steps));
        const receipt = receiptOf(await ask(one));
        const lost = steps.filter((step) => step === RESET || step === "fault=hang").length;
        const floors = receipt.lines.slice(-lost);
        assert.ok(floors.every((line) => line.bucket === "input" && line.quantity > 0));
        assert.ok(receipt.flags.includes("estimated"));
        const floor = floors.reduce((sum, line) => sum + line.quantity * nanoPerToken[sdk], 0);
        const journal = await provider.journal(one.tenant);
        const answered = journal.filter((entry) => entry.status === 200);
        assert.equal(answered.length, 1);
        assert.deepEqual(await booked(one.guard, one.tenant), {
          spent: answered[0].cost_nano_usd + floor,
          held: 0,
          unconfirmed: 0,
        });
        assert.ok(answered[0].cost_nano_usd + floor >= (await billed(one.tenant)), "no less than was billed");
      });
    }
  }

  test("a server that was not there is no attempt", async () => {
    const one = customer("nowhere-first", attempts([NOWHERE, "output=5"]));
    await one.gpt.chat.completions.create(chat);
    await agrees(one);
  });
});

describe("what was not billed is given back", () => {
  const nothing = { spent: 0, held: 0, unconfirmed: 0 };
  for (const fault of ["429", "401", "500", "529"]) {
    test(`an answer of ${fault}`, async () => {
      const one = customer("refused");
      await assert.rejects(async () => one.anthropic.messages.create(claude, script(`fault=${fault}`)));
      assert.deepEqual(await booked(one.guard, one.tenant), nothing);
    });
  }

  test("a server that is not there", async () => {
    const one = customer("nowhere", { baseURL: `http://127.0.0.1:${nowhere}/v1` });
    await assert.rejects(async () => one.gpt.chat.completions.create(chat));
    assert.deepEqual(await booked(one.guard, one.tenant), nothing);
  });

  test("a call that was aborted before it was sent", async () => {
    const one = customer("early");
    await assert.rejects(async () => one.gpt.chat.completions.create(chat, { signal: AbortSignal.abort() }));
    assert.deepEqual(await booked(one.guard, one.tenant), nothing);
    assert.deepEqual(await provider.journal(one.tenant), []);
  });

  test("what is free", async () => {
    const one = customer("free");
    await one.gpt.models.list();
    await one.anthropic.messages.countTokens({ model: CLAUDE, messages });
    assert.deepEqual(await booked(one.guard, one.tenant), nothing);
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
