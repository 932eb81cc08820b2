// Agent runs.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Usage } from "spendrail";
import { booked, CALL, guardOf, refused } from "./plain.mjs";

describe("a run", () => {
  test("limits its calls, its child runs' included, and knows what is left", async () => {
    const guard = guardOf();
    const ask = async () => (await guard.reserve(CALL)).settle(new Usage({ input: 100 }));
    await guard.run({ tenant: "t", agent: "a", maxCalls: 3, maxCost: "0.001 USD" }, async (run) => {
      await ask();
      await guard.run({ agent: "sub" }, ask);
      assert.deepEqual([run.spent, run.spentNanoUsd, run.remaining], ["0.0002", 200_000n, "0.0008"]);
      assert.equal(run.remainingNanoUsd, 800_000n);
      const child = await run.child({ agent: "other" });
      await child.with(ask);
      await child.end();
      const denied = await ask().catch((error) => error);
      assert.equal(denied.code, "run_limit_exceeded");
    });
    await ask();
    assert.deepEqual(await booked(guard, { tenant: "t" }), [300_000, 0, 0]);
  });

  test("counts tools, charges them, and finds the same call again and again", async () => {
    const guard = guardOf();
    await guard.run({ maxToolCalls: 4, maxRepeats: 2 }, async (run) => {
      const look = (q) => run.tool("search", { q }, async () => `found ${q}`, { cost: "0.01 USD" });
      assert.equal(await look("a"), "found a");
      await look("a");
      assert.equal((await look("a").catch((error) => error)).code, "loop_detected");
      await look("b");
      await assert.rejects(
        run.tool("search", { q: "c" }, () => Promise.reject(new RangeError("no"))),
        RangeError,
      );
      assert.equal((await look("d").catch((error) => error)).code, "run_limit_exceeded");
      assert.equal(run.spent, "0.03");
    });
  });

  test("a run goes on where its headers arrive", async () => {
    const guard = guardOf();
    const run = await guard.startRun({ tenant: "t", id: "r-9", maxCalls: 4 });
    const headers = run.headers();
    assert.deepEqual(Object.keys(headers), ["spendrail-run"]);
    const shapes = [run.token(), headers, new Headers(headers), { "SPENDRAIL-RUN": [run.token()] }];
    for (const carried of shapes) {
      const here = await guard.resumeRun(carried);
      assert.equal(here.id, "r-9");
      await here.with(async () => (await guard.reserve(CALL)).settle());
      await here.end();
    }
    const [calls] = await run.balances();
    assert.deepEqual([calls.spent, calls.available], [4n, 0n]);
    for (const carried of [{}, "", "srr1.x", { traceparent: "00-1" }]) {
      await refused(
        () => guard.resumeRun(carried),
        "token_invalid",
        typeof carried === "string" ? "token" : "headers",
      );
    }
  });

  test("beyond a block: bound, not ambient, ended by `await using` and by its end", async () => {
    const guard = guardOf();
    const run = await guard.startRun({ tenant: "t", id: "r-1", maxCalls: 1 });
    assert.deepEqual([run.id, run.scope], ["r-1", { tenant: "t" }]);
    const ask = run.bind(async () => (await guard.reserve(CALL)).settle());
    await ask();
    await assert.rejects(ask(), { code: "run_limit_exceeded" });
    await (await guard.reserve(CALL)).settle();
    await run[Symbol.asyncDispose]();
    await assert.rejects(run.child(), { code: "run_closed" });
  });

  test("of another guard is no parent", async () => {
    const [one, other] = [guardOf(), guardOf()];
    await one.run({ maxCalls: 1 }, async () => {
      await other.run({}, async () => (await other.reserve(CALL)).settle());
      await (await one.reserve(CALL)).settle();
    });
  });
});
