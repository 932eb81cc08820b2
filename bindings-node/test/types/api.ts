// What the types allow, and what they refuse. Compiled, never run.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import {
  BudgetExceeded,
  type Code,
  Denied,
  denialOf,
  Guard,
  type Hold,
  isDenied,
  type Receipt,
  type Run,
  receiptOf,
  Usage,
} from "spendrail";
import { ManualClock } from "spendrail/testing";

export async function uses(): Promise<void> {
  const guard = new Guard("spendrail.toml");
  new Guard();
  new Guard({ budgets: [{ name: "b", limit: "1 USD" }], mode: "observe", clock: new ManualClock() });
  // @ts-expect-error a mode that does not exist
  new Guard({ mode: "loud" });
  // @ts-expect-error no such key
  new Guard({ budget: [] });

  const claude: Anthropic = guard.wrap(new Anthropic(), { tenant: "acme" });
  const gpt: OpenAI = guard.wrap(new OpenAI(), { provider: "groq", tags: { team: "a" } });
  // @ts-expect-error labels are texts
  guard.wrap(claude, { tenant: 5 });

  const call = { provider: "openai", model: "gpt-4o", inputTokens: 1, maxOutputTokens: 1, tenant: "acme" };
  const hold: Hold = await guard.reserve(call);
  const receipt: Receipt = await hold.settle(new Usage({ input: 1, cacheWrite5m: 2 }));
  const settled: Receipt = await guard.reserve(call, (open) => open.settle({ cost: "0.01 USD" }));
  const text: string = settled.cost;
  const nano: bigint = receipt.costNanoUsd;
  const shown: number = receipt.costUsd;
  // @ts-expect-error money is no number
  const money: number = receipt.cost;
  // @ts-expect-error a call has a model
  await guard.reserve({ tenant: "acme" });
  // @ts-expect-error a typo
  await guard.reserve({ model: "m", inputTokns: 5 });
  // @ts-expect-error quantities are numbers
  new Usage({ input: "5" });
  // @ts-expect-error a cost is a text with a unit
  await guard.reserve({ tool: "search", cost: 0.01 });

  const sum: number = await guard.run({ agent: "a", maxCost: "1 USD" }, async (run: Run) => {
    const found = await run.tool("search", { q: "x" }, () => [1, 2], { cost: "0.01 USD" });
    const left: string | null = run.remaining;
    const child: Run = await run.child({ agent: "b" });
    await child.with(async () => gpt.chat.completions.create({ model: "m", messages: [] }));
    return found.length + (left?.length ?? 0);
  });
  // @ts-expect-error money as a number
  await guard.run({ maxCost: 1 }, async () => undefined);

  const [balance] = await guard.balances({ budget: "b" });
  const available: bigint | undefined = balance?.available;
  const stopped: string = guard.scope({ user: "u" }, () => "x");
  const bound: (n: number) => string = guard.bind((n: number) => `${n}`);
  await guard.topUp("b", "1 USD", { tenant: "acme", id: "x" });
  await guard.setLimits("b", [{ amount: "5 USD", tenant: "a", timezone: "Europe/Berlin" }], {
    replace: true,
  });

  guard.on("threshold", ({ balance: full, basisPoints }) => [full.spent, basisPoints]);
  guard.on("denied", ({ denial }) => denial.failures);
  // @ts-expect-error no such event
  guard.on("exploded", () => undefined);
  // @ts-expect-error a denial has no receipt
  guard.on("denied", ({ receipt: none }) => none);

  try {
    await guard.check(call);
  } catch (error) {
    if (isDenied(error)) {
      const code: Code = error.code;
      const later: Date | null = error.retryAt;
      const status: number = error.httpStatus;
      const own: Denied = Denied.from(error.toJSON());
      [code, later, status, own, error.toProblem().title, error instanceof BudgetExceeded];
    }
    const denied: Denied | null = denialOf(error);
    denied?.failures.map((failure) => failure.wanted - failure.available);
  }
  const found: Receipt | null = receiptOf({});
  await guard.flush({ timeout: 1.5 });
  [text, nano, shown, money, sum, available, stopped, bound, found];
}
