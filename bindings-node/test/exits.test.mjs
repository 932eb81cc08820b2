// Every way out of a wrapped call that the SDKs offer: helpers, runners of tools, raw responses, split streams, signals,
// the guard's and the process's own end. Told by the books and by the provider's.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { denialOf, receiptOf } from "spendrail";
import {
  accounted,
  agrees,
  ask,
  atLeast,
  billed,
  chat,
  claude,
  collected,
  customer,
  drain,
  provider,
  text,
} from "./customer.mjs";
import { booked, GEMINI, script } from "./provider.mjs";

const slow = script("output=90 delay_ms=5");
const slowly = "output=150 delay_ms=2";
const nothing = { spent: 0, held: 0, unconfirmed: 0 };

/** The streams of each SDK, slow enough to be left. */
const STREAMS = {
  chat: ({ gpt }, more) => gpt.chat.completions.create({ ...chat, stream: true }, { ...slow, ...more }),
  response: ({ gpt }, more) => gpt.responses.create({ ...text, stream: true }, { ...slow, ...more }),
  message: ({ anthropic }, more) =>
    anthropic.messages.create({ ...claude, stream: true }, { ...slow, ...more }),
  gemini: ({ gemini }, { signal } = {}) =>
    gemini.models.generateContentStream(ask(slowly, { abortSignal: signal })),
};
const HELPERS = {
  chat: ({ gpt }, how = slow) => gpt.chat.completions.stream(chat, how),
  response: ({ gpt }, how = slow) => gpt.responses.stream(text, how),
  message: ({ anthropic }, how = slow) => anthropic.messages.stream(claude, how),
};

/** What a tool is asked for, twice, before the model answers. */
const searching = [{ role: "user", content: "Look <<provider: tool=search rounds=2>>" }];
const schema = { type: "object", properties: { query: { type: "string" } } };
const about = { name: "search", description: "Searches." };
const gptTools = (found = async () => "found") => [
  { type: "function", function: { ...about, parameters: schema, parse: JSON.parse, function: found } },
];
const claudeTool = { ...about, input_schema: schema, run: async () => "found", parse: (input) => input };
const geminiTool = {
  tool: async () => ({ functionDeclarations: [{ ...about, parametersJsonSchema: schema }] }),
  callTool: async (calls) =>
    calls.map(({ id, name }) => ({ functionResponse: { id, name, response: { found: 1 } } })),
};
const RUNNERS = {
  "chat.completions.runTools": ({ gpt }, tools = gptTools(), more = {}) =>
    gpt.chat.completions.runTools({ ...chat, messages: searching, tools }, more).finalContent(),
  "chat.completions.runTools, streamed": ({ gpt }) =>
    gpt.chat.completions
      .runTools({ ...chat, messages: searching, tools: gptTools(), stream: true })
      .finalContent(),
  "messages.toolRunner": ({ anthropic }) =>
    anthropic.beta.messages.toolRunner({ ...claude, messages: searching, tools: [claudeTool] }),
  "automatic function calling": ({ gemini }) =>
    gemini.models.generateContent({
      model: GEMINI,
      contents: searching[0].content,
      config: { maxOutputTokens: 100, tools: [geminiTool] },
    }),
  "automatic function calling, streamed": async ({ gemini }) =>
    drain(
      await gemini.models.generateContentStream({
        model: GEMINI,
        contents: searching[0].content,
        config: { maxOutputTokens: 100, tools: [geminiTool] },
      }),
    ),
};

describe("a stream that is left", () => {
  for (const [name, open] of Object.entries(STREAMS)) {
    test(`${name}: by an exception in the loop`, async () => {
      const one = customer("thrown");
      await assert.rejects(async () => {
        for await (const _ of await open(one)) throw new RangeError("mine");
      }, RangeError);
      await atLeast(one, { unconfirmed: false });
    });

    test(`${name}: after one event, without a word`, async () => {
      const one = customer("dropped");
      await (async () => void (await (await open(one))[Symbol.asyncIterator]().next()))();
      await collected(one);
      await accounted(one);
    });

    test(`${name}: unread, and its iterator returned`, async () => {
      const one = customer("returned");
      await (async () => void (await (await open(one))[Symbol.asyncIterator]().return()))();
      await collected(one);
      await accounted(one);
    });

    test(`${name}: by the caller's signal, unread`, async () => {
      const one = customer("signal");
      const controller = new AbortController();
      const stream = await open(one, { signal: controller.signal });
      controller.abort();
      await sleep(20);
      await atLeast(one, { unconfirmed: false });
      assert.ok(stream);
    });

    test(`${name}: by a signal that was aborted before anything was sent`, async () => {
      const one = customer("early");
      await assert.rejects(async () => open(one, { signal: AbortSignal.abort() }));
      assert.deepEqual(await booked(one.guard, one.tenant), nothing);
      assert.deepEqual(await provider.journal(one.tenant), []);
    });
  }

  for (const [name, open] of Object.entries(STREAMS).filter(([name]) => name !== "gemini")) {
    test(`${name}: both halves of it`, async () => {
      const one = customer("halves");
      await (async () => {
        for (const half of (await open(one)).tee()) for await (const _ of half) break;
      })();
      await collected(one);
      await accounted(one);
    });

    test(`${name}: one half of it, and the other is read`, async () => {
      const one = customer("half");
      const [left, right] = (await open(one)).tee();
      for await (const _ of left) break;
      await drain(right);
      await agrees(one);
    });

    test(`${name}: as a readable stream that is cancelled`, async () => {
      const one = customer("readable");
      const reader = (await open(one)).toReadableStream().getReader();
      await reader.read();
      await reader.cancel();
      await atLeast(one, { unconfirmed: false });
    });
  }

  for (const [name, open] of Object.entries(HELPERS)) {
    test(`${name} helper: by break`, async () => {
      const one = customer("helper");
      for await (const _ of open(one)) break;
      await sleep(20);
      await atLeast(one, { unconfirmed: false });
    });

    test(`${name} helper: aborted at once`, async () => {
      const one = customer("helper-early");
      const stream = open(one);
      stream.abort();
      await assert.rejects(stream.done());
      await sleep(20);
      assert.deepEqual(await booked(one.guard, one.tenant), nothing);
    });

    test(`${name} helper: aborted before the first byte`, async () => {
      const one = customer("helper-silent");
      const stream = open(one, script("delay_ms=1500"));
      setTimeout(() => stream.abort(), 300);
      await assert.rejects(stream.done());
      await sleep(20);
      await atLeast(one, { unconfirmed: false });
    });
  }
});

describe("a raw response", () => {
  const raw = (one, more) => one.gpt.chat.completions.create({ ...chat, ...more }, slow).asResponse();

  test("that nobody reads is abandoned when it is collected", async () => {
    const one = customer("unread");
    await (async () => void (await raw(one)))();
    await collected(one);
    await atLeast(one, { unconfirmed: true });
  });

  test("whose reader stops", async () => {
    const one = customer("stopped");
    const reader = (await raw(one, { stream: true })).body.getReader();
    await reader.read();
    await reader.cancel();
    await atLeast(one, { unconfirmed: false });
  });

  test("and its clone are one call, and so is whatever else is asked of the promise", async () => {
    const one = customer("clone");
    const response = await raw(one);
    const clone = response.clone();
    assert.deepEqual(await response.json(), await clone.json());
    await agrees(one);

    const other = customer("asked");
    for (const asked of [other.gpt.chat.completions.create(chat), other.anthropic.messages.create(claude)]) {
      const response = await asked.asResponse();
      const [reply, again, { data }] = await Promise.all([asked, asked, asked.withResponse()]);
      assert.ok(reply.id === again.id && reply.id === data.id);
      assert.equal(receiptOf(reply), receiptOf(response));
    }
    await agrees(other);
  });
});

describe("an agent of the SDK's", () => {
  for (const [name, run] of Object.entries(RUNNERS)) {
    test(`${name}: each of its requests is a call`, async () => {
      const one = customer("runner");
      const reply = await run(one);
      assert.ok((await provider.journal(one.tenant)).length >= 2);
      await agrees(one);
      if (typeof reply === "object") assert.ok(receiptOf(Array.isArray(reply) ? reply.at(-1) : reply));
    });

    test(`${name}: stops where it is denied`, async () => {
      const one = customer("runner-denied");
      const error = await one.guard.run({ maxCalls: 1, tenant: one.tenant }, () =>
        Promise.resolve(run(one)).then(
          () => assert.fail("it was not denied"),
          (problem) => problem,
        ),
      );
      assert.equal(denialOf(error)?.code, "run_limit_exceeded", String(error));
      assert.equal((await provider.journal(one.tenant)).length, 1);
      await agrees(one);
    });
  }

  test("stops where its tool stops it", async () => {
    const one = customer("runner-aborted");
    const controller = new AbortController();
    const tools = gptTools(async () => controller.abort());
    await assert.rejects(RUNNERS["chat.completions.runTools"](one, tools, { signal: controller.signal }));
    await agrees(one);
  });

  test("automatic function calling in a stream has the receipt of its last request", async () => {
    const one = customer("runner-receipt");
    const stream = await one.gemini.models.generateContentStream({
      model: GEMINI,
      contents: searching[0].content,
      config: { maxOutputTokens: 100, tools: [geminiTool] },
    });
    assert.equal(receiptOf(stream), null);
    await drain(stream);
    const last = (await provider.journal(one.tenant)).at(-1);
    assert.equal(Number(receiptOf(stream).costNanoUsd), last.cost_nano_usd);
  });
});

describe("between and behind the attempts", () => {
  test("a call that is aborted while the SDK waits to try again costs nothing", async () => {
    const one = customer("backoff", { maxRetries: 2 });
    const controller = new AbortController();
    const asked = one.anthropic.messages.create(claude, {
      ...script("fault=529 retry_after=5"),
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 500);
    await assert.rejects(async () => asked);
    assert.deepEqual(await booked(one.guard, one.tenant), nothing);
  });

  test("a reply that the SDK cannot parse was paid for", async () => {
    const one = customer("unparsed");
    const json_schema = { name: "x", schema: {} };
    const format = { type: "json_schema", json_schema, $brand: "auto-parseable-response-format" };
    const $parseRaw = () => {
      throw new RangeError("not of this form");
    };
    const asked = one.gpt.chat.completions.parse({ ...chat, response_format: { ...format, $parseRaw } });
    await assert.rejects(async () => asked, RangeError);
    await agrees(one);
  });

  test("a call that nobody waits for is abandoned, and not forgotten", async () => {
    const one = customer("unawaited");
    one.gpt.chat.completions.create(chat);
    for (let n = 0; n < 100 && (await provider.journal(one.tenant)).length === 0; n++) await sleep(10);
    await sleep(50);
    await collected(one);
    await atLeast(one, { unconfirmed: true });
  });
});

describe("a guard that is closed", () => {
  test("in mid-call still settles it; nothing is sent afterwards", async () => {
    const one = customer("closed");
    const asked = one.gpt.chat.completions.create(chat, script("delay_ms=400")).then((reply) => reply);
    await sleep(150);
    await one.guard.close({ timeout: 0.1 });
    assert.equal(Number(receiptOf(await asked).costNanoUsd), await billed(one.tenant));
    await agrees(one);
    for (const again of [
      () => one.gpt.chat.completions.create(chat),
      () => one.anthropic.messages.create(claude),
      () => one.gemini.models.generateContent(ask()),
    ]) {
      await assert.rejects(async () => again(), { code: "closed" });
    }
    assert.equal((await provider.journal(one.tenant)).length, 1);
  });

  for (const [name, open] of Object.entries(STREAMS)) {
    test(`in the middle of a stream: ${name}`, async () => {
      const one = customer("closed-stream");
      const stream = await open(one);
      let events = 0;
      for await (const _ of stream) if (++events === 3) await one.guard.close({ timeout: 0.1 });
      assert.equal(Number(receiptOf(stream).costNanoUsd), await billed(one.tenant));
      await agrees(one);
    });
  }
});

describe("a process or a thread that ends in the middle of a stream", () => {
  const helpers = new URL("./provider.mjs", import.meta.url).href;
  /** Reads three events of a stream, and then does this. */
  const program = (then) => `
    const { guardOf, openaiOf, script } = await import(${JSON.stringify(helpers)});
    const guard = guardOf("10 USD", { telemetry: { mode: "native", endpoint: "http://127.0.0.1:1" } });
    const gpt = guard.wrap(openaiOf({ url: ${JSON.stringify(provider.url)} }, "ended"), { tenant: "ended" });
    const ask = { ...${JSON.stringify(chat)}, stream: true };
    let events = 0;
    for await (const _ of await gpt.chat.completions.create(ask, script("output=90 delay_ms=5"))) {
      if (++events === 3) { ${then} }
    }`;

  const ends = {
    "process.exit": ["process.exit(3);", 3],
    "an error that nobody catches": ["setTimeout(() => { throw new RangeError('mine'); });", 1],
    "nothing more to do": ["break;", 0],
  };
  for (const [name, [then, status]] of Object.entries(ends)) {
    test(name, async () => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", program(then)], {
        cwd: new URL("..", import.meta.url),
        stdio: ["ignore", "inherit", "pipe"],
        timeout: 60_000,
      });
      let said = "";
      child.stderr.on("data", (part) => {
        said += part;
      });
      assert.deepEqual(await once(child, "exit"), [status, null], said);
      assert.doesNotMatch(said, /panicked|unhandled/i);
    });
  }

  test("a worker thread that is ended", async () => {
    const then = `(await import("node:worker_threads")).parentPort.postMessage("in the middle");`;
    const source = `data:text/javascript,${encodeURIComponent(program(then))}`;
    for (let round = 0; round < 2; round++) {
      const worker = new Worker(new URL(source));
      worker.on("error", (error) => assert.fail(error));
      await once(worker, "message");
      await worker.terminate();
    }
    const one = customer("after-worker");
    await one.gpt.chat.completions.create(chat);
    await agrees(one);
  });
});
