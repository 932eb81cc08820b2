// The host's OpenTelemetry and ours: one tree of spans, in both directions, and one span per call.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { context, ROOT_CONTEXT, TraceFlags, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { isDenied, Usage } from "spendrail";
import { receiver } from "./otlp.mjs";
import { anthropicOf, CLAUDE, GPT, guardOf, openaiOf, script, startProvider } from "./provider.mjs";

const exporter = new InMemorySpanExporter();
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(
  new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
);
const tracer = trace.getTracer("host");

const CALL = { provider: "anthropic", model: CLAUDE, inputTokens: 100, maxOutputTokens: 50, tenant: "acme" };
const messages = [{ role: "user", content: "Hello" }];
const claude = { model: CLAUDE, messages, max_tokens: 100 };
const chat = { model: GPT, messages, max_completion_tokens: 100 };
const usage = new Usage({ input: 90, output: 10 });

let provider;
let collector;
before(async () => {
  provider = await startProvider();
});
after(() => provider.stop());
beforeEach(async () => {
  exporter.reset();
  collector = await receiver();
});
afterEach(() => collector.stop());

const traced = (limit) => guardOf(limit, { telemetry: { mode: "native", endpoint: collector.url } });

/** A span of the host, with what is called inside of it. */
const hostSpan = (name, body) =>
  tracer.startActiveSpan(name, async (span) => {
    try {
      return await body(span.spanContext());
    } finally {
      span.end();
    }
  });

/** Our spans by name, once they have arrived. */
async function ours(guard) {
  assert.equal((await guard.flush({ timeout: 5 })).complete, true);
  return Object.fromEntries(collector.spans.map((span) => [span.name, span]));
}

const host = () => Object.fromEntries(exporter.getFinishedSpans().map((span) => [span.name, span]));

describe("the host's OpenTelemetry", () => {
  test("has the parents of our spans", async () => {
    const guard = traced();
    const root = await hostSpan("request", async (own) => {
      await (await guard.reserve(CALL)).settle(usage);
      await guard.run({ tenant: "acme", agent: "a" }, async (run) => {
        await guard.reserve(CALL, (hold) => hold.settle(usage));
        await run.tool("search", { q: 1 }, () => sleep(1));
      });
      return own;
    });
    await (await guard.reserve({ ...CALL, tier: "standard" })).settle(usage);
    const spans = await ours(guard);
    const run = spans["invoke_agent a"];
    assert.deepEqual([run.traceId, run.parentSpanId], [root.traceId, root.spanId]);
    assert.equal(spans["execute_tool search"].parentSpanId, run.spanId);
    const chats = collector.spans.filter((span) => span.name === `chat ${CLAUDE}`);
    const parents = chats.map((span) => span.parentSpanId).sort();
    assert.deepEqual(parents, [root.spanId, run.spanId, ""].sort());
  });

  test("has its spans under ours: in a run, a call, a tool, what is bound, a wrapped client", async () => {
    const guard = traced();
    const inside = (name) => hostSpan(name, () => sleep(1));
    const fetching = (url, init) => hostSpan("in the request", () => globalThis.fetch(url, init));
    const gpt = guard.wrap(openaiOf(provider, "otel", { fetch: fetching }), { tenant: "acme" });
    let later;
    await guard.run({ tenant: "acme", agent: "a" }, async (run) => {
      await inside("in the run");
      await guard.reserve(CALL, async (hold) => {
        await inside("in the call");
        await hold.settle(usage);
      });
      await run.tool("search", {}, () => inside("in the tool"));
      later = run.bind(() => inside("bound"));
      await gpt.chat.completions.create(chat);
    });
    await later();
    assert.equal(trace.getActiveSpan(), undefined);
    const spans = await ours(guard);
    const parents = {
      "in the run": "invoke_agent a",
      "in the call": `chat ${CLAUDE}`,
      "in the tool": "execute_tool search",
      bound: "invoke_agent a",
      "in the request": `chat ${GPT}`,
    };
    const hosts = host();
    for (const [name, parent] of Object.entries(parents)) {
      assert.equal(hosts[name].parentSpanContext?.spanId, spans[parent].spanId, name);
      assert.equal(hosts[name].spanContext().traceId, spans[parent].traceId, name);
    }
  });

  test("sees a wrapped call once: the SDK's own spans are off on the copy", async () => {
    const guard = traced();
    const own = anthropicOf(provider, "otel", { openTelemetry: { traces: { contentMode: "none" } } });
    const copy = guard.wrap(own, { tenant: "acme" });
    await copy.messages.create(claude);
    await copy.withOptions({ timeout: 5000 }).messages.create(claude);
    await copy.messages.stream(claude).finalMessage();
    await guard.wrap(openaiOf(provider, "otel"), { tenant: "acme" }).chat.completions.create(chat);
    assert.deepEqual(Object.keys(host()), []);
    await ours(guard);
    const names = collector.spans.map((span) => span.name).sort();
    assert.deepEqual(names, [`chat ${CLAUDE}`, `chat ${CLAUDE}`, `chat ${CLAUDE}`, `chat ${GPT}`].sort());
    await own.messages.create(claude);
    assert.equal(exporter.getFinishedSpans().length, 1, "the original still makes its own");
  });

  test("gets a span of a denied call, and of a failed one", async () => {
    const poor = traced("0.00001 USD");
    const asked = poor.wrap(anthropicOf(provider, "otel"), { tenant: "acme" }).messages.create(claude);
    await assert.rejects(asked, (error) => isDenied(error));
    const denied = (await ours(poor))[`chat ${CLAUDE}`];
    assert.deepEqual([denied.attributes["error.type"], denied.isError], ["budget_exceeded", true]);

    collector.spans.length = 0;
    const guard = traced();
    const gpt = guard.wrap(openaiOf(provider, "otel"), { tenant: "acme" });
    await assert.rejects(async () => gpt.chat.completions.create(chat, script("fault=500")));
    const failed = (await ours(guard))[`chat ${GPT}`];
    assert.ok(failed.isError);
    assert.ok(failed.attributes["error.type"].length > 0);
  });

  test("decides what is sampled: under a span that is not, ours are not either", async () => {
    const guard = traced();
    const unsampled = { traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: TraceFlags.NONE };
    const sampled = { ...unsampled, spanId: "3".repeat(16), traceFlags: TraceFlags.SAMPLED };
    for (const parent of [unsampled, sampled]) {
      await context.with(trace.setSpanContext(ROOT_CONTEXT, parent), async () => {
        await guard.reserve(CALL, async (hold) => {
          const active = trace.getActiveSpan().spanContext();
          assert.equal(active.traceId, parent.traceId);
          assert.equal(active.traceFlags, parent.traceFlags);
          await hold.settle(usage);
        });
        await guard.run({ tenant: "acme", agent: "a" }, () =>
          guard.reserve(CALL, (hold) => hold.settle(usage)),
        );
      });
    }
    await ours(guard);
    const parents = collector.spans.map((span) => span.parentSpanId);
    assert.equal(collector.spans.length, 3);
    assert.equal(parents.filter((parent) => parent === sampled.spanId).length, 2);
    assert.ok(!parents.includes(unsampled.spanId));
  });
});
