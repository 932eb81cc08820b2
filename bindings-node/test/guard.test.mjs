// The guard by its public API: what no story can tell, because it is Node's own.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import * as esm from "spendrail";
import {
  BudgetExceeded,
  Denied,
  denialOf,
  Guard,
  InvalidInput,
  isDenied,
  SpendrailError,
  Usage,
} from "spendrail";
import { ManualClock } from "spendrail/testing";

const require = createRequire(import.meta.url);
const { native } = require("../dist/native.js");
const { CLASSES, fault } = require("../dist/errors.js");

const PRICES = JSON.stringify({
  catalog: 1,
  provider: "test",
  models: { m: { max_output_tokens: 1000, prices: [{ rates: { input: "1", output: "2" } }] } },
});
const DIME = { provider: "test", model: "m", inputTokens: 100_000, maxOutputTokens: 0 };
const CALL = { provider: "test", model: "m", inputTokens: 100, maxOutputTokens: 50 };

function guardOf(limit = "1 USD", more = {}) {
  const budgets = [{ name: "b", per: ["tenant"], limit, window: "day", releaseCap: "0%" }];
  return new Guard({ budgets, prices: [{ name: "test.json", text: PRICES }], ...more });
}

const numbers = ({ spent, held, unconfirmed }) => [Number(spent), Number(held), Number(unconfirmed)];
const booked = async (guard, scope = {}) => numbers((await guard.balances({ budget: "b", ...scope }))[0]);

async function refused(body, code, field) {
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

describe("scope", () => {
  const scopes = async (guard) =>
    (await guard.balances({ budget: "b" })).map((account) => account.scope.tenant);

  test("inner replaces, tags merge, null clears, siblings do not meet", async () => {
    const budgets = [
      { name: "b", per: ["tenant", "user", "tag.a", "tag.costCenter"], limit: "1 USD", window: "day" },
    ];
    const guard = guardOf("", { budgets });
    const ask = async () => (await guard.reserve(CALL)).settle(new Usage({ input: 1 }));
    await guard.scope({ tenant: "t", user: "u", tags: { a: "1", costCenter: "x" } }, async () => {
      await Promise.all([
        guard.scope({ user: "v", tags: { a: "2" } }, async () => {
          await sleep(2);
          await ask();
        }),
        guard.scope({ user: null, tags: { costCenter: null } }, async () => {
          await sleep(1);
          await ask();
        }),
      ]);
      await ask();
    });
    const seen = (await guard.balances({ budget: "b" })).map(({ scope }) => Object.values(scope).join());
    assert.deepEqual(seen.sort(), ["1,,t,", "1,x,t,u", "2,x,t,v"]);
  });

  test("a call's own labels win; what is bound keeps its scope", async () => {
    const guard = guardOf();
    const ask = async (own = {}) => void (await (await guard.reserve({ ...CALL, ...own })).settle());
    let later;
    await guard.scope({ tenant: "a" }, async () => {
      await ask();
      await ask({ tenant: "b" });
      later = guard.bind(ask);
    });
    await guard.scope({ tenant: "c" }, () => later());
    assert.deepEqual(await scopes(guard), ["a", "b"]);
    assert.deepEqual(await booked(guard, { tenant: "a" }), [400_000, 0, 0]);
  });

  test("belongs to its guard", async () => {
    const [one, other] = [guardOf(), guardOf()];
    await one.scope({ tenant: "a" }, async () => (await other.reserve(CALL)).settle());
    assert.deepEqual(await scopes(other), [null]);
  });

  test("is refused where it is written", () => {
    const guard = guardOf();
    assert.throws(() => guard.scope({ tenat: "x" }, () => 1), { code: "argument_invalid", field: "tenat" });
    assert.throws(() => guard.scope({ tenant: "" }, () => 1), { code: "label_invalid", field: "tenant" });
    assert.throws(() => guard.scope({ tenant: 5 }, () => 1), { code: "argument_invalid", field: "tenant" });
  });
});

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

describe("bad input", () => {
  const guard = guardOf();
  const calls = [
    ["nothing", undefined, "argument_invalid", "call"],
    ["null", null, "argument_invalid", "call"],
    ["a number", 5, "argument_invalid", "call"],
    ["a model of the wrong type", { model: 5 }, "argument_invalid", "model"],
    ["an empty model", { model: "" }, "label_invalid", "model"],
    ["NaN", { ...CALL, inputTokens: Number.NaN }, "argument_invalid", "inputTokens"],
    ["Infinity", { ...CALL, inputTokens: Number.POSITIVE_INFINITY }, "argument_invalid", "inputTokens"],
    ["a fraction", { ...CALL, inputTokens: 1.5 }, "argument_invalid", "inputTokens"],
    ["less than nothing", { ...CALL, maxOutputTokens: -1 }, "argument_invalid", "maxOutputTokens"],
    ["a huge number", { ...CALL, inputTokens: 1e300 }, "argument_invalid", "inputTokens"],
    ["a large number", { ...CALL, inputTokens: 2 ** 41 }, "amount_too_large", "inputTokens"],
    ["a text for a number", { ...CALL, inputTokens: "5" }, "argument_invalid", "inputTokens"],
    ["a huge bigint", { ...CALL, inputTokens: 10n ** 30n }, "argument_invalid", "inputTokens"],
    ["an unknown key", { ...CALL, inputTokns: 5 }, "argument_invalid", "inputTokns"],
    ["a function", { ...CALL, tenant: () => "x" }, "argument_invalid", "tenant"],
    ["a symbol", { ...CALL, tenant: Symbol("x") }, "argument_invalid", "tenant"],
    ["a label of 10 MB", { ...CALL, tenant: "x".repeat(10_000_000) }, "label_invalid", "tenant"],
    ["an empty label", { ...CALL, tenant: "" }, "label_invalid", "tenant"],
    ["half of a surrogate pair", { ...CALL, tenant: "a\uD83D" }, "label_invalid", "tenant"],
    ["half of one in a tag", { ...CALL, tags: { team: "\uDE00" } }, "label_invalid", "tags.team"],
    ["tags that are none", { ...CALL, tags: ["a"] }, "argument_invalid", "tags"],
    ["something endless", { ...CALL, tags: endless() }, "argument_invalid", undefined],
    ["a tool that costs a number", { tool: "t", cost: 0.5 }, "amount_invalid", "cost"],
    ["a tool that costs tokens", { tool: "t", cost: "5 tokens" }, "amount_invalid", "cost"],
  ];
  for (const [name, call, code, field] of calls) {
    test(`a call: ${name}`, async () => {
      const error = await guard.reserve(call).then(
        () => assert.fail("it was taken"),
        (problem) => problem,
      );
      assert.ok(error instanceof InvalidInput, String(error?.stack));
      assert.equal(error.code, code, error.message);
      if (field !== undefined) assert.equal(error.field, field);
    });
  }

  test("what is no bad input: other scripts, the replacement character, snake_case", async () => {
    for (const tenant of ["Ωmega 😀", "\uFFFD", "x".repeat(256), "é".repeat(128)]) {
      await (await guard.reserve({ ...CALL, tenant })).release();
    }
    await (
      await guard.reserve({ model: "m", provider: "test", input_tokens: 1, max_output_tokens: 1 })
    ).release();
  });

  test("a usage", () => {
    for (const buckets of [
      { inputt: 5 },
      { input: Number.NaN },
      { input: -1 },
      { input: 1.5 },
      { input: "5" },
      { input: 2 ** 41 },
      { input: 5n },
    ]) {
      assert.throws(() => new Usage(buckets), { name: "InvalidInput", code: "usage_invalid" });
    }
    assert.throws(() => Usage.inclusive({ input: Number.NaN }), InvalidInput);
    assert.throws(() => Usage.inclusive({ input: 1, cacheRead: 2 }), { code: "usage_invalid" });
  });

  test("a reply", async () => {
    const hold = await guard.reserve(CALL);
    await assert.rejects(hold.settle(5), { code: "usage_invalid" });
    const receipt = await hold.settle({ choices: [] });
    assert.deepEqual([...receipt.flags].sort(), ["estimated", "no_usage"]);
    assert.equal(receipt.costNanoUsd, 200_000n);
  });

  test("money as a number, everywhere", async () => {
    const hold = await guard.reserve(CALL);
    await refused(() => hold.settle({ cost: 0.5 }), "amount_invalid", "cost");
    await refused(() => guard.topUp("b", 5), "amount_invalid", "amount");
    await refused(() => guard.setLimit("b", 5, { tenant: "x" }), "amount_invalid", "amount");
    await refused(() => guard.run({ maxCost: 5 }, () => 1), "amount_invalid", "maxCost");
    await refused(
      () => guard.record({ id: "1", provider: "test", model: "m", cost: 5 }),
      "amount_invalid",
      "cost",
    );
    assert.throws(() => guardOf(5), { code: "amount_invalid", field: "budgets[0].limit" });
    await hold.release();
  });

  test("a configuration", () => {
    const bad = [
      [{ budgets: [{ name: "b", limit: "1 USD", windw: "day" }] }, "budgets[0].windw"],
      [
        { budgets: [{ name: "b", limit: "1 USD", window: "day", timezone: "Mars/Olympus" }] },
        "budgets[0].timezone",
      ],
      [{ budgts: [] }, "budgts"],
      [{ mode: "loud" }, "mode"],
    ];
    for (const [config, field] of bad) {
      assert.throws(() => new Guard(config), { name: "ConfigError", code: "config_invalid", field });
    }
    assert.throws(() => new Guard("/no/such/file.toml"), { code: "io" });
    assert.throws(() => new Guard({ file: 5 }), { code: "argument_invalid", field: "file" });
    assert.throws(() => new ManualClock("yesterday"), SpendrailError);
  });

  test("the rest", async () => {
    await refused(() => guard.balances({ budget: "x" }), "budget_unknown", "budget");
    await refused(() => guard.resume("x"), "stop_unknown", "stopId");
    await refused(() => guard.on("exploded", () => 1), "argument_invalid", "event");
    await refused(() => guard.flush({ timeout: -1 }), "argument_invalid", "timeout");
    await refused(
      () => guard.record({ provider: "test", model: "m", cost: "1 USD" }),
      "argument_invalid",
      "id",
    );
    await refused(() => guard.cost("m", { input: 1.5 }), "usage_invalid", "input");
    const error = await guard.cost("no-such", { input: 1 }).catch((problem) => problem);
    assert.ok(error.code === "unknown_model" && !isDenied(error));
  });
});

function endless() {
  const tags = {};
  tags.more = tags;
  return tags;
}

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

describe("processes and threads", () => {
  const run = (program, ...flags) =>
    spawnSync(process.execPath, [...flags, "-e", program], {
      cwd: new URL("..", import.meta.url),
      timeout: 20_000,
    });
  const START = `
    const { Guard, Usage } = require("spendrail");
    const config = { budgets: [{ name: "b", limit: "1 USD", window: "day" }] };
    const call = { provider: "anthropic", model: "claude-haiku-4-5", inputTokens: 10, maxOutputTokens: 10 };`;

  test("exit right after the last await, with holds, runs, listeners and telemetry open", () => {
    const program = `${START}
      (async () => {
        const telemetry = { mode: "native", endpoint: "http://127.0.0.1:1" };
        const guard = new Guard({ ...config, telemetry });
        guard.on("settled", () => undefined);
        await guard.startRun({ agent: "a" });
        await guard.reserve(call);
        await (await guard.reserve(call)).settle(new Usage({ input: 1 }));
        console.log("done");
      })();`;
    for (const ending of ["", "process.on('beforeExit', () => process.exit(0));"]) {
      const started = performance.now();
      const done = run(ending + program);
      assert.deepEqual(
        [done.status, done.signal, done.stdout.toString()],
        [0, null, "done\n"],
        done.stderr.toString(),
      );
      assert.ok(performance.now() - started < 10_000);
    }
  });

  test("a worker thread has a guard of its own, and is warned", async () => {
    const program = `${START}
      const { parentPort } = require("node:worker_threads");
      process.on("warning", (warning) => parentPort.postMessage(String(warning)));
      const guard = new Guard(config);
      guard.reserve(call).then((hold) => hold.settle(new Usage({ input: 1 }))).then((receipt) => parentPort.postMessage(receipt.cost));`;
    const said = [];
    const worker = new Worker(program, { eval: true });
    worker.on("message", (message) => said.push(message));
    assert.equal(await new Promise((resolve) => worker.once("exit", resolve)), 0);
    assert.ok(said.includes("0.000001"), String(said));
    assert.match(said.join(), /ledger_not_shared: this is a worker thread/);
  });

  test("a worker thread that is ended in mid-call takes nothing with it", async () => {
    const program = `${START} new Guard(config).reserve(call).then(() => setInterval(() => undefined, 1000));`;
    for (let round = 0; round < 3; round++) {
      const worker = new Worker(program, { eval: true });
      await new Promise((resolve) => worker.once("online", resolve));
      await sleep(30);
      await worker.terminate();
    }
    const guard = guardOf();
    await (await guard.reserve(CALL)).settle();
    assert.deepEqual(await booked(guard), [200_000, 0, 0]);
  });

  test("require_shared is refused where it would not hold", async () => {
    const program = `${START}
      const { parentPort } = require("node:worker_threads");
      try {
        new Guard({ ...config, ledger: { requireShared: true } });
      } catch (error) {
        parentPort.postMessage(error.code);
      }`;
    const worker = new Worker(program, { eval: true });
    assert.equal(await new Promise((resolve) => worker.once("message", resolve)), "ledger_not_shared");
    new Guard({ budgets: [{ name: "b", limit: "1 USD", window: "day" }], ledger: { requireShared: true } });
  });

  test("a worker of a cluster is warned", () => {
    const folder = mkdtempSync(join(tmpdir(), "spendrail-cluster-"));
    const program = join(folder, "cluster.cjs");
    writeFileSync(
      program,
      `const cluster = require("node:cluster");
      if (cluster.isPrimary) {
        cluster.fork().on("message", (said) => console.log(said));
      } else {
        const { Guard } = require(${JSON.stringify(require.resolve("spendrail"))});
        process.on("warning", (warning) => process.send(String(warning), () => process.disconnect()));
        new Guard({ budgets: [{ name: "b", limit: "1 USD", window: "day" }] });
      }`,
    );
    const done = spawnSync(process.execPath, [program], { timeout: 20_000 });
    rmSync(folder, { recursive: true });
    assert.match(done.stdout.toString(), /a worker of a cluster/, done.stderr.toString());
  });
});
