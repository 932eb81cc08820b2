// A hold: how it ends, and what it tells of itself.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { Usage } from "spendrail";
import { booked, CALL, guardOf, refused } from "./plain.mjs";

describe("a hold", () => {
  test("is settled by usage, reply, cost, or as reserved", async () => {
    const guard = guardOf();
    const settle = async (what) => (await (await guard.reserve(CALL)).settle(what)).cost;
    assert.equal(await settle(new Usage({ input: 90, output: 10 })), "0.00011");
    assert.equal(
      await settle(new Usage({ input: 1, cacheRead: 1, cacheWrite: 1, output: 1, outputReasoning: 1 })),
      "0.000007",
    );
    assert.equal(await settle(Usage.inclusive({ input: 90, cacheRead: 30, output: 10 })), "0.00011");
    assert.equal(
      await settle({ usage: { prompt_tokens: 90, completion_tokens: 10, total_tokens: 100 } }),
      "0.00011",
    );
    assert.equal(
      await settle('{"usage":{"prompt_tokens":90,"completion_tokens":10,"total_tokens":100}}'),
      "0.00011",
    );
    assert.equal(await settle({ cost: "0.5 USD" }), "0.5");
  });

  test("tells what it reserved, open and closed", async () => {
    const hold = await guardOf().reserve(CALL);
    const facts = () => [
      hold.heldNanoUsd,
      hold.inputTokens,
      hold.outputTokens,
      hold.repeated,
      hold.wouldDeny,
      hold.failures,
    ];
    await hold.settle(new Usage({ input: 1 }));
    assert.deepEqual(facts(), [200_000n, 100, 50, false, false, []]);
    assert.match(hold.id, /^[0-9a-f]{32}$/);
    assert.equal(hold.receipt.id, hold.id);
    assert.equal(hold.open, false);
    await refused(() => hold.settle(), "hold_closed", null);
  });

  test("stays open if the answer cannot be read", async () => {
    const guard = guardOf();
    const hold = await guard.reserve(CALL);
    await assert.rejects(hold.settle([1, 2]), { code: "usage_invalid" });
    await assert.rejects(hold.settle("no JSON"), { code: "usage_invalid", field: "reply" });
    assert.ok(hold.open);
    await hold.release();
    assert.deepEqual(await booked(guard), [0, 0, 0]);
  });

  test("is a block: settled inside of it, else abandoned, else cut", async () => {
    const guard = guardOf();
    const receipt = await guard.reserve(CALL, (hold) => hold.settle(new Usage({ input: 90, output: 10 })));
    assert.equal(receipt.costNanoUsd, 110_000n);
    await guard.reserve(CALL, async () => "forgotten");
    assert.deepEqual(await booked(guard), [210_000, 0, 100_000]);
    await assert.rejects(
      guard.reserve(CALL, () => Promise.reject(new TypeError("broken"))),
      TypeError,
    );
    assert.deepEqual(await booked(guard), [310_000, 0, 200_000]);
  });

  test("is detached, and settled by its token", async () => {
    const guard = guardOf();
    const token = (await guard.reserve(CALL)).detach();
    assert.equal((await guard.settle(token, new Usage({ input: 90, output: 10 }))).cost, "0.00011");
    assert.deepEqual((await guard.settle(token, new Usage({ input: 90, output: 10 }))).flags, ["repeated"]);
    await guard.release((await guard.reserve(CALL)).detach());
    const stated = await guard.settle((await guard.reserve(CALL)).detach(), { cost: "0.02 USD" });
    assert.equal(stated.cost, "0.02");
    assert.deepEqual(await booked(guard), [20_110_000, 0, 0]);
    await refused(() => guard.settle("sr1.x", new Usage({ input: 1 })), "token_invalid", "token");
  });

  test("that is lost is abandoned; one that was settled is not touched", async () => {
    const guard = guardOf();
    await (async () => {
      await (await guard.reserve(CALL)).settle(new Usage({ input: 90, output: 10 }));
      await guard.reserve(CALL);
    })();
    for (let round = 0; round < 100 && (await booked(guard))[1] > 0; round++) {
      global.gc();
      await sleep(5);
    }
    assert.deepEqual(await booked(guard), [210_000, 0, 100_000]);
  });

  test("keeps its guard and its run", async () => {
    const hold = await (async () => {
      const run = await guardOf().startRun({ tenant: "acme", maxCalls: 5 });
      return run.with(() => guardOf().reserve(CALL));
    })();
    for (let round = 0; round < 5; round++) {
      global.gc();
      await turn();
    }
    assert.equal((await hold.settle(new Usage({ input: 1 }))).cost, "0.000001");
  });
});
