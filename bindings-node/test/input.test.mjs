// Bad input: a typed error that names the field, and nothing is taken.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Guard, InvalidInput, isDenied, SpendrailError, Usage } from "spendrail";
import { ManualClock } from "spendrail/testing";
import { CALL, guardOf, refused } from "./plain.mjs";

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
    const own = {};
    own.own = own;
    for (const reply of [{ usage: { prompt_tokens: 5n } }, own]) {
      await refused(() => hold.settle(reply), "argument_invalid", "reply");
    }
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
    // Where a guard is made, what is bad input elsewhere is a bad configuration, as in Python.
    const made = { name: "ConfigError", code: "amount_invalid", field: "budgets[0].limit" };
    assert.throws(() => guardOf(5), made);
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
    for (const config of [5, null, [], new URL("file:///spendrail.toml")]) {
      assert.throws(() => new Guard(config), { name: "ConfigError", field: "config" });
    }
    assert.throws(() => new Guard("/no/such/file.toml"), { name: "ConfigError", code: "io" });
    assert.throws(() => new Guard({ file: 5 }), { code: "argument_invalid", field: "file" });
    assert.throws(() => new ManualClock("yesterday"), SpendrailError);
  });

  test("the rest", async () => {
    await refused(() => guard.balances({ budget: "x" }), "budget_unknown", "budget");
    await refused(() => guard.resume("x"), "stop_unknown", "stopId");
    await refused(() => guard.on("exploded", () => 1), "argument_invalid", "event");
    await refused(() => guard.on("settled", null), "argument_invalid", "listener");
    await refused(() => guard.wrap(null), "argument_invalid", "client");
    await refused(() => guard.run(null, () => 1), "argument_invalid", "options");
    await refused(() => guard.run({}), "argument_invalid", "body");
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
