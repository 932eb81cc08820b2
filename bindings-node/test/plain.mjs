// A guard with one budget and a price list of one model, and plain calls of it.
import assert from "node:assert/strict";
import { Guard, SpendrailError } from "spendrail";

const PRICES = JSON.stringify({
  catalog: 1,
  provider: "test",
  models: { m: { max_output_tokens: 1000, prices: [{ rates: { input: "1", output: "2" } }] } },
});
export const DIME = { provider: "test", model: "m", inputTokens: 100_000, maxOutputTokens: 0 };
export const CALL = { provider: "test", model: "m", inputTokens: 100, maxOutputTokens: 50 };

export function guardOf(limit = "1 USD", more = {}) {
  const budgets = [{ name: "b", per: ["tenant"], limit, window: "day", releaseCap: "0%" }];
  return new Guard({ budgets, prices: [{ name: "test.json", text: PRICES }], ...more });
}

const numbers = ({ spent, held, unconfirmed }) => [Number(spent), Number(held), Number(unconfirmed)];
export const booked = async (guard, scope = {}) =>
  numbers((await guard.balances({ budget: "b", ...scope }))[0]);

export async function refused(body, code, field) {
  const error = await Promise.resolve()
    .then(body)
    .then(
      () => assert.fail("it was taken"),
      (problem) => problem,
    );
  assert.ok(error instanceof SpendrailError, String(error?.stack));
  assert.deepEqual([error.code, error.field], [code, field], error.message);
  return error;
}
