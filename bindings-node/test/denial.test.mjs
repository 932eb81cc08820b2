// A denial, as an error of JavaScript.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BudgetExceeded, Denied, denialOf, InvalidInput, isDenied } from "spendrail";
import { ManualClock } from "spendrail/testing";
import { CALL, guardOf } from "./plain.mjs";

describe("a denial", () => {
  const denial = async () => {
    const clock = new ManualClock("2026-11-20T10:00:00Z");
    const error = await guardOf("0.01 USD", { clock })
      .reserve({ ...CALL, inputTokens: 9_950, tenant: "acme" })
      .then((hold) => hold.settle())
      .catch((problem) => problem);
    assert.ok(isDenied(error));
    return error;
  };

  test("says why, by how much, and when to try again", async () => {
    const denied = await denial();
    assert.ok(denied instanceof BudgetExceeded && denied instanceof Error);
    assert.equal(denied.name, "BudgetExceeded");
    assert.equal(denied.httpStatus, 402);
    assert.match(denied.message, /budget `b` of tenant=acme/);
    const [failure] = denied.failures;
    assert.deepEqual(
      [failure.limit, failure.wanted, failure.scope],
      [10_000_000n, 10_050_000n, { tenant: "acme" }],
    );
    assert.equal(denied.maxOutputTokens, 25);
    assert.equal(failure.resetsAt.toISOString(), "2026-11-21T00:00:00.000Z");
  });

  test("that waiting helps against has a time", async () => {
    const clock = new ManualClock("2026-11-20T10:00:00Z");
    const guard = guardOf("0.0003 USD", { clock });
    await (await guard.reserve(CALL)).settle();
    const denied = await guard.reserve(CALL).catch((error) => error);
    assert.equal(denied.retryAt.getTime(), Date.UTC(2026, 10, 21));
    assert.equal(denied.retryAfter, 14 * 3600);
  });

  test("survives JSON, structuredClone and other threads", async () => {
    const denied = await denial();
    for (const copy of [
      JSON.parse(JSON.stringify(denied)),
      structuredClone(denied),
      structuredClone(denied.toJSON()),
    ]) {
      const again = Denied.from(copy);
      assert.ok(again instanceof BudgetExceeded && isDenied(again));
      assert.deepEqual(again.failures, denied.failures);
      assert.equal(again.message, denied.message);
    }
    assert.throws(() => Denied.from(new Error("x")), InvalidInput);
  });

  test("is found under errors that others put around it", async () => {
    const denied = await denial();
    assert.equal(denialOf(new Error("x", { cause: new TypeError("y", { cause: denied }) })), denied);
    assert.equal(denialOf(new Error("x")), null);
    assert.equal(denialOf(null), null);
  });

  test("is a problem document without internal names", async () => {
    const problem = (await denial()).toProblem();
    assert.deepEqual([problem.status, problem.code, problem.type], [402, "budget_exceeded", "about:blank"]);
    assert.doesNotMatch(JSON.stringify(problem), /acme|`b`/);
  });
});
