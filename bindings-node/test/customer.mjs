// A customer of one test: a tenant with a guard and wrapped clients of the real SDKs, at the local provider, which bills
// on its own.
import assert from "node:assert/strict";
import { after } from "node:test";
import { denialOf as deniedBy } from "spendrail";
import {
  anthropicOf,
  booked,
  CLAUDE,
  GEMINI,
  GPT,
  geminiOf,
  guardOf,
  openaiOf,
  script,
  startProvider,
  tenantOf,
} from "./provider.mjs";

export const messages = [{ role: "user", content: "Hello" }];
export const chat = { model: GPT, messages, max_completion_tokens: 100 };
export const claude = { model: CLAUDE, messages, max_tokens: 100 };
export const text = { model: GPT, input: "Hello", max_output_tokens: 100 };
/** A request of Gemini. `told`: what the provider should do with it. */
export const ask = (told = "", more = {}) => ({
  model: GEMINI,
  contents: "What does a budget protect?",
  config: { maxOutputTokens: 200, httpOptions: script(told), ...more },
});

export const provider = await startProvider();
after(() => provider.stop());

/** A tenant with its guard and its wrapped clients. `httpOptions`: of Gemini's client. */
export function customer(name, { limit, guard = guardOf(limit), httpOptions, ...options } = {}) {
  const tenant = tenantOf(name);
  const gpt = guard.wrap(openaiOf(provider, tenant, options), { tenant });
  const anthropic = guard.wrap(anthropicOf(provider, tenant, options), { tenant });
  const gemini = guard.wrap(geminiOf(provider, tenant, { httpOptions }), { tenant });
  return { tenant, guard, gpt, anthropic, gemini };
}

export async function billed(tenant) {
  const entries = await provider.journal(tenant);
  return entries.reduce((sum, entry) => sum + entry.cost_nano_usd, 0);
}

/** The provider and the ledger say the same, to the nano-USD. */
export async function agrees({ guard, tenant }) {
  const bill = await billed(tenant);
  assert.ok(bill > 0, "something was billed");
  assert.deepEqual(await booked(guard, tenant), { spent: bill, held: 0, unconfirmed: 0 });
}

export async function drain(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

export async function denialOf(promise) {
  const error = await promise.then(
    () => assert.fail("it was not denied"),
    (problem) => problem,
  );
  const denied = deniedBy(error);
  assert.ok(denied, String(error));
  return denied;
}

/** Nothing is held any more, something is spent, and no less is booked than was billed. */
export async function accounted(one) {
  const now = await booked(one.guard, one.tenant);
  assert.equal(now.held, 0);
  assert.ok(now.spent > 0, "spent");
  assert.ok(now.spent + now.unconfirmed >= (await billed(one.tenant)), "no less than was billed");
  return now;
}

/** The same; what is unconfirmed only if somebody else broke off. */
export async function atLeast(one, { unconfirmed }) {
  const now = await accounted(one);
  assert.equal(now.unconfirmed > 0, unconfirmed, `unconfirmed: ${now.unconfirmed}`);
}

/** Waits until what nobody holds any more is collected. */
export async function collected(one) {
  for (let round = 0; round < 100 && (await booked(one.guard, one.tenant)).held > 0; round++) {
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
