// What is kept natively under handles: forms of calls, holds, receipts. And statements, which no story can write.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Guard, InvalidInput, simulate, Usage } from "spendrail";

const PRICES = JSON.stringify({
  catalog: 1,
  provider: "test",
  models: { m: { max_output_tokens: 1000, prices: [{ rates: { input: "1", output: "2" } }] } },
});
const prices = [{ name: "test.json", text: PRICES }];
const CALL = { provider: "test", model: "m", inputTokens: 100, maxOutputTokens: 50 };

function guardOf(more = {}) {
  const budgets = [{ name: "b", per: ["tenant"], limit: "100 USD", window: "day", releaseCap: "0%" }];
  return new Guard({ budgets, prices, ...more });
}

async function spent(guard, tenant) {
  return Number((await guard.balances({ budget: "b", tenant }))[0].spent);
}

describe("receipts", () => {
  test("are right whenever they are read, also beyond what may wait unread", async () => {
    const guard = guardOf();
    const receipts = [];
    for (let n = 0; n < 33_000; n++) {
      const hold = await guard.reserve({ ...CALL, tenant: "acme" });
      receipts.push([n, hold.id, await hold.settle(new Usage({ input: n % 90, output: 1 }))]);
    }
    for (const [n, id, receipt] of [...receipts.slice(0, 50), ...receipts.slice(-300)]) {
      const nano = (n % 90) * 1000 + 2000;
      assert.equal(receipt.costNanoUsd, BigInt(nano));
      assert.equal(receipt.id, id);
      assert.equal(receipt.usage.input, n % 90 === 0 ? undefined : n % 90);
      assert.equal(receipt.costNanoUsd, BigInt(nano), "the same once it was read");
      assert.equal(receipt.costUsd, nano / 1e9);
    }
  });

  test("outlive their hold, their guard and collections", async () => {
    const receipt = await (async () => {
      const hold = await guardOf().reserve({ ...CALL, tenant: "acme" });
      return hold.settle(new Usage({ input: 90, output: 10 }));
    })();
    for (let round = 0; round < 5; round++) {
      global.gc();
      await sleep(2);
    }
    assert.deepEqual([receipt.cost, receipt.model, receipt.reservedNanoUsd], ["0.00011", "m", 200_000n]);
  });

  test("are what a hold tells of itself once it is closed", async () => {
    const hold = await guardOf().reserve({ ...CALL, tenant: "acme" });
    const receipt = await hold.settle(new Usage({ input: 1 }));
    assert.equal(hold.receipt, receipt);
    assert.deepEqual([hold.heldNanoUsd, hold.inputTokens, hold.id], [200_000n, 100, receipt.id]);
    await assert.rejects(hold.settle(new Usage({ input: 1 })), { code: "hold_closed" });
    assert.throws(() => hold.lostAttempt(), { code: "hold_closed" });
  });
});

describe("forms", () => {
  test("that were forgotten are told again, and not mistaken for others", async () => {
    const guard = guardOf();
    const tenants = Array.from({ length: 40 }, (_, n) => `${n}-tenant`);
    const call = async (labels) => {
      const hold = await guard.reserve({ ...CALL, ...labels });
      await hold.settle(new Usage({ input: 1 }));
    };
    for (const tenant of tenants) await call({ tenant });
    for (let n = 0; n < 5000; n++) await call({ tenant: "many", user: `user-${n}` });
    for (const tenant of tenants) await call({ tenant });
    for (const tenant of tenants) assert.equal(await spent(guard, tenant), 2000);
    assert.equal(await spent(guard, "many"), 5_000_000);
  });

  test("tell absent labels, empty texts and runs apart", async () => {
    const guard = guardOf();
    const one = async (labels) =>
      (await guard.reserve({ ...CALL, ...labels })).settle(new Usage({ input: 1 }));
    for (let round = 0; round < 3; round++) {
      await one({ user: "x" });
      await one({ tenant: "x" });
      await assert.rejects(one({ tenant: "" }), { code: "label_invalid" });
      await guard.run({ tenant: "x", maxCalls: 1 }, async () => {
        await one({});
        await assert.rejects(one({}), { code: "run_limit_exceeded" });
      });
    }
    assert.equal(await spent(guard, "x"), 6000);
  });
});

describe("a statement", () => {
  const kept = { ledger: { journal: 5000 } };

  async function used(calls) {
    const guard = guardOf(kept);
    for (let n = 0; n < calls; n++) {
      const hold = await guard.reserve({ ...CALL, tenant: n % 2 ? "odd" : "even", tags: { n: String(n) } });
      await hold.settle(new Usage({ input: 90, output: 10 }));
    }
    return guard;
  }
  async function all(entries) {
    const listed = [];
    for await (const entry of entries) listed.push(entry);
    return listed;
  }

  test("comes in pages that nobody sees", async () => {
    const guard = await used(2_345);
    const entries = await all(guard.statement());
    assert.deepEqual(
      entries.map((entry) => entry.scope.tags.n),
      Array.from({ length: 2_345 }, (_, n) => String(n)),
    );
    const [first] = entries;
    assert.deepEqual(
      [first.model, first.provider, first.isTool, first.cost, first.postedNanoUsd, first.reservedNanoUsd],
      ["m", "test", false, "0.00011", 110_000n, 200_000n],
    );
    assert.deepEqual([first.usage.input, first.inputTokens, first.outputTokens], [90, 100, 50]);
    assert.ok(first.startedAt instanceof Date && first.settledAt >= first.startedAt);
    assert.equal((await all(guard.statement({ tenant: "odd" }))).length, 1_172);
    assert.equal((await all(guard.statement({ since: new Date(Date.now() + 1000) }))).length, 0);
    await assert.rejects(all(guardOf().statement()), { code: "config_invalid", field: "ledger.journal" });
  });

  test("is played against other rules: as it comes, as a list, from a file", async () => {
    const guard = await used(10);
    const budgets = [{ name: "cap", limit: "0.0005 USD", window: "lifetime" }];
    const folder = mkdtempSync(join(tmpdir(), "spendrail-statement-"));
    try {
      const path = join(folder, "statement.jsonl");
      const entries = await all(guard.statement());
      writeFileSync(path, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
      for (const played of [guard.statement(), entries, JSON.parse(JSON.stringify(entries)), path]) {
        const { denials, balances, ...told } = await simulate(played, { budgets }, { prices });
        assert.deepEqual(told, {
          calls: 10,
          denied: 7,
          cost: "0.00033",
          postedNanoUsd: 330_000n,
          recordedNanoUsd: 1_100_000n,
        });
        assert.deepEqual(
          [denials[0].code, denials[0].budget, denials[0].count],
          ["budget_exceeded", "cap", 7],
        );
        assert.ok(denials[0].firstAt instanceof Date);
        assert.equal(balances[0].spent, 330_000n);
      }
      writeFileSync(path, "{}\n");
      await assert.rejects(simulate(path, { budgets }), (error) => {
        assert.ok(error instanceof InvalidInput);
        assert.match(error.field, /statement.jsonl:1/);
        return true;
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
    await assert.rejects(simulate([{ model: 1 }], {}), { code: "argument_invalid", field: /entries\[0\]/ });
    await assert.rejects(simulate(3, {}), { code: "argument_invalid", field: "entries" });
    await assert.rejects(simulate("nowhere.jsonl", {}), { code: "io", field: "path" });
    await assert.rejects(simulate([], { budget: [] }), { code: "config_invalid" });
  });
});
