// The labels and the run around a call, carried along asynchronously.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Usage } from "spendrail";
import { booked, CALL, guardOf } from "./plain.mjs";

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
