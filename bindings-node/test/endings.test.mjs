// How wrapped calls end: whatever happens to them, nothing is lost, booked twice, or booked as zero.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { receiptOf } from "spendrail";
import {
  agrees,
  atLeast,
  billed,
  chat,
  claude,
  collected,
  customer,
  drain,
  messages,
  provider,
} from "./customer.mjs";
import { booked, CLAUDE, script } from "./provider.mjs";

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

describe("what ends early is never free", () => {
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
    await collected(one);
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
