// Wrapped clients of @google/genai against the local provider, which bills on its own: both books must agree.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { GoogleGenAI } from "@google/genai";
import { denialOf, isDenied, receiptOf } from "spendrail";
import {
  booked,
  GEMINI,
  GEMINI_EMBEDDING,
  geminiOf,
  guardOf,
  script,
  startProvider,
  tenantOf,
} from "./provider.mjs";

const contents = "What does a budget protect?";

let provider;
before(async () => {
  provider = await startProvider();
});
after(() => provider.stop());

/** A tenant with its guard and its wrapped client. */
function customer(name, { limit, guard = guardOf(limit), ...options } = {}) {
  const tenant = tenantOf(name);
  const bare = geminiOf(provider, tenant, options);
  return { tenant, guard, bare, gemini: guard.wrap(bare, { tenant }) };
}

const ask = (text = "", more = {}) => ({
  model: GEMINI,
  contents,
  config: { maxOutputTokens: 200, httpOptions: script(text), ...more },
});

async function bill(tenant) {
  const entries = await provider.journal(tenant);
  return { requests: entries.length, sum: entries.reduce((sum, entry) => sum + entry.cost_nano_usd, 0) };
}

/** The provider and the ledger say the same, to the nano-USD. */
async function agrees({ guard, tenant }) {
  const { sum } = await bill(tenant);
  assert.ok(sum > 0, "something was billed");
  assert.deepEqual(await booked(guard, tenant), { spent: sum, held: 0, unconfirmed: 0 });
}

async function closedPort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function drain(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

describe("the copy", () => {
  test("the original is untouched, wrapping twice changes nothing", async () => {
    const { guard, bare, gemini, tenant } = customer("copy");
    assert.ok(gemini instanceof GoogleGenAI && gemini !== bare);
    assert.equal(guard.wrap(gemini), gemini);
    assert.notEqual(guard.wrap(gemini, { feature: "f" }), gemini);
    await bare.models.generateContent(ask());
    assert.equal((await bill(tenant)).requests, 1);
    assert.deepEqual(await booked(guard, tenant), { spent: 0, held: 0, unconfirmed: 0 });
  });

  test("more labels are no second guard", async () => {
    const { guard, gemini, tenant } = customer("labels");
    const reply = await guard.wrap(gemini, { feature: "f" }).models.generateContent(ask());
    assert.deepEqual(receiptOf(reply).flags, []);
    await agrees({ guard, tenant });
  });
});

describe("what is answered is what is booked", () => {
  const shapes = {
    content: ({ gemini }) => gemini.models.generateContent(ask("cache_read=3 reasoning=7")),
    "two candidates": ({ gemini }) => gemini.models.generateContent(ask("", { candidateCount: 2 })),
    embedding: ({ gemini }) =>
      gemini.models.embedContent({ model: GEMINI_EMBEDDING, contents: ["one", "two"] }),
    chat: ({ gemini }) => gemini.chats.create({ model: GEMINI }).sendMessage({ message: "Hello" }),
  };
  for (const [name, call] of Object.entries(shapes)) {
    test(name, async () => {
      const one = customer("plain");
      const reply = await call(one);
      await agrees(one);
      const receipt = receiptOf(reply);
      assert.equal(Number(receipt.costNanoUsd), (await bill(one.tenant)).sum);
      assert.deepEqual(receipt.flags, []);
    });
  }

  test("stream", async () => {
    const one = customer("stream");
    const stream = await one.gemini.models.generateContentStream(ask("reasoning=5"));
    assert.equal(receiptOf(stream), null);
    const chunks = await drain(stream);
    assert.ok(chunks.at(-1).usageMetadata.totalTokenCount > 0);
    assert.equal(receiptOf(stream), receiptOf(chunks.at(-1)));
    assert.deepEqual(receiptOf(stream).flags, []);
    await agrees(one);
  });

  test("vertex is another provider with the same prices", async () => {
    const tenant = tenantOf("vertex");
    const guard = guardOf();
    const options = { vertexai: true, apiKey: undefined, project: "p", location: "l" };
    const auth = { addAuthHeaders: async (headers) => headers.append("x-goog-api-key", tenant) };
    const bare = geminiOf(provider, tenant, options);
    bare.apiClient.clientOptions.auth = auth;
    const reply = await guard.wrap(bare, { tenant }).models.generateContent(ask());
    const [entry] = await provider.journal(tenant);
    assert.match(entry.path, /projects\/p\/locations\/l\/publishers\/google/);
    assert.equal(Number(receiptOf(reply).costNanoUsd), entry.cost_nano_usd);
    await agrees({ guard, tenant });
  });
});

describe("what is not sent", () => {
  test("a denial comes before anything is sent, and is not retried", async () => {
    const { gemini, tenant } = customer("denied", {
      limit: "0.000001 USD",
      httpOptions: { retryOptions: { attempts: 5 } },
    });
    await assert.rejects(gemini.models.generateContent(ask()), isDenied);
    await assert.rejects(gemini.models.generateContentStream(ask()), isDenied);
    assert.equal((await bill(tenant)).requests, 0);
  });

  test("endpoints that may cost are denied", async () => {
    const { gemini, tenant } = customer("unguarded");
    const calls = [
      () => gemini.caches.create({ model: GEMINI, config: { contents } }),
      () => gemini.fileSearchStores.create({}),
      () => gemini.interactions.create({ model: GEMINI, input: contents }),
      () => gemini.live.connect({ model: GEMINI, callbacks: { onmessage: () => undefined } }),
    ];
    for (const call of calls) {
      const error = await call().then(
        () => assert.fail("it was not denied"),
        (problem) => problem,
      );
      assert.ok(isDenied(error), String(error));
      assert.equal(denialOf(error).code, "unguarded_endpoint");
    }
    assert.equal((await bill(tenant)).requests, 0);
    // Counting is free: it is sent.
    await assert.rejects(gemini.models.countTokens({ model: GEMINI, contents }), { status: 404 });
    assert.equal((await bill(tenant)).requests, 1);
  });
});

describe("failures", () => {
  for (const fault of ["429", "500", "401"]) {
    test(`${fault} is not billed`, async () => {
      const { guard, gemini, tenant } = customer("refused");
      await assert.rejects(gemini.models.generateContent(ask(`fault=${fault}`)));
      await assert.rejects(gemini.models.generateContentStream(ask(`fault=${fault}`)));
      assert.deepEqual(await booked(guard, tenant), { spent: 0, held: 0, unconfirmed: 0 });
    });
  }

  test("a retried call is one call", async () => {
    const retryOptions = { attempts: 4, initialDelay: 0.01, maxDelay: 0.05 };
    const one = customer("retried", { httpOptions: { retryOptions } });
    const config = { maxCalls: 1, tenant: one.tenant };
    const reply = await one.guard.run(config, () =>
      one.gemini.models.generateContent(ask("fault=503 times=2")),
    );
    assert.equal((await bill(one.tenant)).requests, 3);
    assert.equal(Number(receiptOf(reply).costNanoUsd), (await bill(one.tenant)).sum);
    await agrees(one);
  });

  test("an attempt that nobody answered adds its input", async () => {
    const retryOptions = { attempts: 3, initialDelay: 0.01, maxDelay: 0.05 };
    const { guard, gemini, tenant } = customer("silent", { httpOptions: { retryOptions, timeout: 400 } });
    const receipt = receiptOf(await gemini.models.generateContent(ask("fault=hang times=1")));
    assert.equal((await bill(tenant)).requests, 2);
    assert.deepEqual(
      receipt.lines.map((line) => line.bucket),
      ["input", "output", "input"],
    );
    assert.ok(receipt.flags.includes("estimated"));
    assert.equal((await booked(guard, tenant)).spent, Number(receipt.costNanoUsd));
  });

  test("a reply that is lost is not free", async () => {
    const { guard, gemini, tenant } = customer("lost");
    const config = { httpOptions: { ...script("fault=hang"), timeout: 300 } };
    await assert.rejects(gemini.models.generateContent(ask("", config)));
    const { spent, held, unconfirmed } = await booked(guard, tenant);
    assert.ok(spent > 0 && held === 0 && unconfirmed > 0, JSON.stringify({ spent, held, unconfirmed }));
  });

  test("an aborted call is not free", async () => {
    const { guard, gemini, tenant } = customer("aborted");
    const abort = new AbortController();
    const asked = gemini.models.generateContent(ask("delay_ms=3000", { abortSignal: abort.signal }));
    setTimeout(() => abort.abort(), 300);
    await assert.rejects(asked);
    const { spent, held, unconfirmed } = await booked(guard, tenant);
    assert.ok(spent > 0 && held === 0 && unconfirmed > 0, JSON.stringify({ spent, held, unconfirmed }));
  });

  test("a connection that never was costs nothing", async () => {
    const guard = guardOf();
    const tenant = tenantOf("nobody");
    const gemini = guard.wrap(geminiOf({ url: `http://127.0.0.1:${await closedPort()}` }, tenant), {
      tenant,
    });
    await assert.rejects(gemini.models.generateContent(ask()));
    assert.deepEqual(await booked(guard, tenant), { spent: 0, held: 0, unconfirmed: 0 });
  });

  test("a reply without usage costs what was reserved", async () => {
    const { gemini } = customer("unsaid");
    const receipt = receiptOf(await gemini.models.generateContent(ask("fault=no_usage")));
    assert.equal(receipt.costNanoUsd, receipt.reservedNanoUsd);
    assert.ok(receipt.flags.includes("no_usage"));
  });
});

describe("streams that end otherwise", () => {
  for (const how of ["break", "return", "abort"]) {
    test(`left early: ${how}`, async () => {
      const { guard, gemini, tenant } = customer("left");
      const abort = new AbortController();
      const more = how === "abort" ? { abortSignal: abort.signal } : {};
      const stream = await gemini.models.generateContentStream(ask("output=150 delay_ms=2", more));
      let seen = 0;
      try {
        for await (const _ of stream) {
          seen += 1;
          if (seen < 3) continue;
          if (how === "abort") abort.abort();
          else if (how === "return") await stream.return(undefined);
          else break;
        }
      } catch (error) {
        assert.equal(how, "abort", String(error));
      }
      assert.ok(receiptOf(stream).flags.includes("estimated"));
      const { spent, held, unconfirmed } = await booked(guard, tenant);
      assert.ok(spent > 0, "floor and margin");
      assert.deepEqual({ held, unconfirmed }, { held: 0, unconfirmed: 0 }, "the rest is released");
    });
  }

  for (const fault of ["cut", "truncate", "error_event"]) {
    test(`broken: ${fault}`, async () => {
      const { guard, gemini, tenant } = customer("broken");
      const stream = await gemini.models.generateContentStream(ask(`fault=${fault} after=6`));
      await drain(stream).catch(() => assert.notEqual(fault, "truncate"));
      assert.ok(receiptOf(stream).flags.includes("estimated"));
      const { spent, held, unconfirmed } = await booked(guard, tenant);
      assert.ok(spent > 0 && held === 0 && unconfirmed > 0, JSON.stringify({ spent, held, unconfirmed }));
    });
  }
});
