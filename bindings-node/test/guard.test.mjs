// The guard by its public API: what no story can tell, because it is Node's own.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import * as esm from "spendrail";
import { Denied, Guard, isDenied, SpendrailError, Usage } from "spendrail";
import { booked, CALL, DIME, guardOf } from "./plain.mjs";

const require = createRequire(import.meta.url);
const { native } = require("../dist/native.js");
const { CLASSES, fault } = require("../dist/errors.js");

describe("the package", () => {
  test("is one build: what is imported is what is required", () => {
    const cjs = require("spendrail");
    assert.deepEqual(Object.keys(esm).sort(), Object.keys(cjs).sort());
    assert.equal(esm.Guard, cjs.Guard);
  });

  test("starts nothing when it is loaded, nor when a guard is made", () => {
    const program = `
      const fs = require("node:fs");
      const threads = () => fs.existsSync("/proc/self/task") ? fs.readdirSync("/proc/self/task").length : 0;
      const before = threads();
      const { Guard } = require("spendrail");
      new Guard({ budgets: [{ name: "b", limit: "1 USD", window: "day" }] });
      console.log(threads() - before);`;
    const done = spawnSync(process.execPath, ["-e", program], { cwd: new URL("..", import.meta.url) });
    assert.equal(done.stdout.toString().trim(), "0", done.stderr.toString());
  });

  test("maps every code of the core", () => {
    const codes = JSON.parse(native.codes());
    assert.deepEqual(Object.keys(CLASSES).sort(), codes.map(({ code }) => code).sort());
    for (const { code, kind } of codes) {
      const type = CLASSES[code];
      assert.equal(type === Denied || type.prototype instanceof Denied, kind === "denial", code);
      assert.ok(fault({ code, message: "x" }) instanceof SpendrailError);
    }
  });
});

describe("at once", () => {
  test("of fifty calls of $0.10 on $1.00 exactly ten pass", async () => {
    const guard = guardOf();
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => {
        try {
          const hold = await guard.reserve(DIME);
          await sleep(1);
          await hold.settle(new Usage({ input: 100_000 }));
          return true;
        } catch (error) {
          assert.ok(isDenied(error), String(error));
          return false;
        }
      }),
    );
    assert.equal(answers.filter(Boolean).length, 10);
    assert.deepEqual(await booked(guard), [1_000_000_000, 0, 0]);
  });
});

describe("the other methods", () => {
  test("record, cost, top-up, limits, stops", async () => {
    const guard = guardOf();
    const usage = { input: 90, output: 10 };
    const spend = { id: "r1", provider: "test", model: "m", usage, tenant: "t" };
    assert.equal((await guard.record(spend)).cost, "0.00011");
    const many = await guard.recordMany([spend, { ...spend, id: "r2", usage: undefined, cost: "0.5 USD" }]);
    assert.deepEqual(
      many.map((receipt) => receipt.flags),
      [["repeated"], []],
    );
    assert.deepEqual(await booked(guard, { tenant: "t" }), [500_110_000, 0, 0]);

    const { cost, lines, costNanoUsd } = await guard.cost("m", new Usage(usage), { provider: "test" });
    assert.deepEqual(
      [cost, costNanoUsd, lines.map((line) => line.amount)],
      ["0.00011", 110_000n, ["0.00009", "0.00002"]],
    );

    const { balance, repeated } = await guard.topUp("b", "2 USD", { tenant: "t", id: "x" });
    assert.deepEqual([balance.toppedUp, repeated], [2_000_000_000n, false]);
    await guard.setLimit("b", "5 USD", { tenant: "t" });
    assert.equal(
      await guard.setLimits("b", [
        { amount: "7 USD", tenant: "u" },
        { amount: "8 USD", tenant: "v" },
      ]),
      2,
    );
    for (const tenant of ["u", "v"]) await (await guard.reserve({ ...CALL, tenant })).release();
    const limits = (await guard.balances({ budget: "b" })).map(({ limit }) => limit / 1_000_000_000n);
    assert.deepEqual(limits, [5n, 7n, 8n]);

    const page = await guard.balances({ budget: "b", limit: 2 });
    assert.equal(page.length, 2);
    assert.equal((await guard.balances({ budget: "b", after: page.next })).length, 1);

    const id = await guard.stop({ tenant: "t", reason: "INC-7" });
    await assert.rejects(guard.reserve({ ...CALL, tenant: "t" }), {
      code: "stopped",
      name: "Stopped",
      httpStatus: 403,
    });
    assert.deepEqual(
      (await guard.stops()).map((stop) => [stop.stopId, stop.reason]),
      [[id, "INC-7"]],
    );
    await guard.resume(id);
    const decision = await guard.check({ ...CALL, tenant: "t" });
    assert.deepEqual([decision.allowed, decision.denial, decision.worstCaseNanoUsd], [true, null, 200_000n]);
  });

  test("prices are files, documents, tables and texts, alone or in a list", async () => {
    const priced = (model, input) => ({
      catalog: 1,
      provider: "own",
      models: { [model]: { prices: [{ rates: { input, output: "1" } }] } },
    });
    const folder = await mkdtemp(join(tmpdir(), "spendrail-"));
    const file = join(folder, "own.json");
    await writeFile(file, JSON.stringify(priced("a", "1")));
    const text = { name: "c.json", text: JSON.stringify(priced("c", "3")) };
    const cost = async (prices, model) => {
      const guard = new Guard({ prices });
      return (await guard.cost(model, { input: 1_000_000 }, { provider: "own" })).cost;
    };
    assert.equal(await cost(file, "a"), "1");
    assert.equal(await cost(priced("b", "2"), "b"), "2");
    assert.equal(await cost({ files: [file] }, "a"), "1");
    const all = [file, priced("b", "2"), text, { builtin: false }];
    assert.deepEqual(await Promise.all(["a", "b", "c"].map((model) => cost(all, model))), ["1", "2", "3"]);
    for (const prices of [5, [5], [null]]) {
      assert.throws(() => new Guard({ prices }), { name: "ConfigError", field: /^prices/ });
    }
    await rm(folder, { recursive: true });
  });

  test("a provider's own figure counts, and a difference is told", async () => {
    const rates = { input: "3", output: "15" };
    const text = JSON.stringify({
      catalog: 1,
      provider: "openrouter",
      models: { m: { prices: [{ rates }] } },
    });
    const overrides = [{ match: { tenant: "acme" }, multiply: "0.85" }];
    const guard = new Guard({
      prices: [
        { name: "or.json", text },
        { builtin: false, overrides },
      ],
    });
    const heard = [];
    guard.on("cost_differs", ({ receipt }) => heard.push(receipt.computedCost));
    const call = { provider: "openrouter", model: "m", inputTokens: 1000, maxOutputTokens: 100 };
    const usage = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100, cost: 0.002 };
    const reply = { object: "chat.completion", model: "m", choices: [], usage };
    const receipt = await (await guard.reserve(call)).settle(reply);
    assert.deepEqual(
      [receipt.cost, receipt.reportedCost, receipt.computedCost, receipt.flags],
      ["0.002", "0.002", "0.0045", ["reported"]],
    );
    assert.deepEqual(
      receipt.lines.map(({ bucket, rate, per }) => [bucket, rate, per]),
      [["reported", "0.002", 1]],
    );
    assert.deepEqual(
      receipt.computed.lines.map(({ bucket }) => bucket),
      ["input", "output"],
    );
    for (let round = 0; round < 100 && heard.length < 1; round++) await sleep(5);
    assert.deepEqual(heard, ["0.0045"]);

    const told = await guard.scope({ tenant: "acme" }, () =>
      guard.explain("m", { input: 1000 }, { provider: "openrouter", at: "2026-11-20T00:00:00Z" }),
    );
    assert.deepEqual([told.cost, told.costNanoUsd, told.found], ["0.00255", 2550000n, "exact"]);
    assert.match(String(told), /× 0.85 \(override prices.overrides\[0\], for tenant=acme, configuration\)/);
    assert.equal((await guard.cost("m", { input: 1000 }, { provider: "openrouter" })).cost, "0.003");
    const parts = Usage.inclusive({ input: 100, inputAudio: 30, cacheWrite1h: 20, output: 9, reasoning: 4 });
    assert.deepEqual(
      { ...parts },
      { input: 50, inputAudio: 30, cacheWrite1h: 20, output: 5, outputReasoning: 4 },
    );
  });

  test("events come on the main loop, to each listener until it stops", async () => {
    const guard = guardOf("0.0003 USD");
    const heard = [];
    const stop = guard.on("settled", ({ receipt }) => heard.push(receipt.cost));
    guard.on("settled", () => heard.push("again"));
    guard.on("denied", ({ denial, scope }) => heard.push([denial.code, scope.tenant]));
    await (await guard.reserve({ ...CALL, tenant: "t" })).settle();
    await assert.rejects(guard.reserve({ ...CALL, tenant: "t" }));
    for (let round = 0; round < 100 && heard.length < 3; round++) await sleep(5);
    assert.deepEqual(heard.sort(), ["0.0002", "again", ["budget_exceeded", "t"]].sort());
    stop();
    await (await guard.reserve({ ...CALL, tenant: "u" })).settle();
    for (let round = 0; round < 100 && heard.length < 4; round++) await sleep(5);
    assert.deepEqual(heard.filter((one) => one === "again").length, 2);
    assert.deepEqual(heard.filter((one) => one === "0.0002").length, 1);
  });

  test("close: later calls fail, open holds can still be settled", async () => {
    const guard = guardOf();
    const hold = await guard.reserve(CALL);
    assert.equal(typeof (await guard.close({ timeout: 0.5 })).complete, "boolean");
    await assert.rejects(guard.reserve(CALL), { code: "closed" });
    assert.equal((await hold.settle(new Usage({ input: 1 }))).cost, "0.000001");
  });
});
