// The agents of tenant `globex`: the real `openai` and `@anthropic-ai/sdk` clients, wrapped by a Spendrail guard.
//
//   node node_agents.mjs '{"config": …, "provider": …, "tenant": …, "node_package": …, …}'
//
// Every step prints one JSON line; the price step waits for one on stdin. python_agents.py tells the same story.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const given = JSON.parse(process.argv[2]);
const require = createRequire(given.node_package);
const { Guard, receiptOf, isDenied } = require("spendrail");
const { OpenAI } = require("openai");
const { Anthropic } = require("@anthropic-ai/sdk");

const RELOAD_MS = 10_000;
const MANY = 100;
const HOUSE_RULES = "Be brief, be kind, and never spend what is not yours. ".repeat(40);
const cached = (ttl) => [{ type: "text", text: HOUSE_RULES, cache_control: { type: "ephemeral", ttl } }];
const CLAUDE_TOOLS = [{ name: "search", description: "Search.", input_schema: { type: "object" } }];
const GPT_TOOLS = [{ type: "function", function: { name: "search", parameters: { type: "object" } } }];

const { tenant } = given;
const guard = new Guard(given.config);
const reloaded = new Promise((resolve) => guard.on("reloaded", () => resolve(true)));
const claude = guard.wrap(new Anthropic({ apiKey: tenant, baseURL: given.provider }), { tenant });
const gpt = guard.wrap(new OpenAI({ apiKey: tenant, baseURL: `${given.provider}/v1` }), { tenant });

const say = (step, facts) => process.stdout.write(`${JSON.stringify({ step, ...facts })}\n`);
const user = (content) => ({ role: "user", content });
const rules = { role: "system", content: HOUSE_RULES };

/** What the local provider should do with this request. */
const script = (text) => ({ headers: { "x-provider-script": text } });

const denial = (denied) => ({
  code: denied.code,
  http_status: denied.httpStatus,
  retry_at: denied.retryAt == null ? null : Math.floor(denied.retryAt.getTime() / 1000),
  retry_after_s: denied.retryAfter,
  message: denied.message,
});

const receipt = (reply) => {
  const found = receiptOf(reply);
  return { id: reply.id, cost: found.cost, price_version: found.priceVersion };
};

/** The denial that ends the work, or null if nothing did. */
const untilDenied = async (work) => {
  try {
    await work();
    return null;
  } catch (error) {
    if (isDenied(error)) return denial(error);
    throw error;
  }
};

/** A well-behaved agent: two searches, an answer, and a summary by another model. */
async function researcher() {
  const messages = [user("What does a budget protect?")];
  const receipts = [];
  let summary = "";
  await guard.run({ tenant, agent: "researcher", maxCalls: 10, maxCost: "0.02 USD" }, async (run) => {
    for (let round = 0; round < MANY; round++) {
      const reply = await claude.messages.create(
        { model: given.claude, max_tokens: 300, system: cached("5m"), messages, tools: CLAUDE_TOOLS },
        script("tool=search rounds=2 cache_read=310 cache_write=130"),
      );
      receipts.push(receipt(reply));
      const calls = reply.content.filter((block) => block.type === "tool_use");
      if (calls.length === 0) break;
      messages.push({ role: "assistant", content: calls });
      for (const call of calls) {
        const content = await run.tool("search", call.input, async () => "42 documents");
        messages.push(user([{ type: "tool_result", tool_use_id: call.id, content }]));
      }
    }
    const stream = await gpt.chat.completions.create(
      { model: given.gpt, messages: [rules, user("Sum it up.")], stream: true, max_completion_tokens: 200 },
      script("cache_read=103 reasoning=9"),
    );
    for await (const chunk of stream) summary += chunk.choices[0].delta.content ?? "";
  });
  say("researcher", { receipts, summary, rounds: receipts.length });
}

/** An agent that never has enough. Its run limit ends it, before the provider sees the next call. */
async function runaway() {
  const messages = [rules, user("Find the end of the internet.")];
  let calls = 0;
  const denied = await untilDenied(() =>
    guard.run({ tenant, agent: "runaway", maxCalls: given.runaway_calls }, async (run) => {
      for (let round = 0; round < MANY; round++) {
        const reply = await gpt.chat.completions.create(
          { model: given.gpt, messages, tools: GPT_TOOLS, max_completion_tokens: 100 },
          script(given.runaway_script),
        );
        calls += 1;
        const { message } = reply.choices[0];
        const [call] = message.tool_calls;
        const content = await run.tool("search", call.function.arguments, async () => "nothing yet");
        messages.push(message, { role: "tool", tool_call_id: call.id, content });
      }
    }),
  );
  say("runaway", { calls, denied });
}

/** Other ways to ask: at once, retried, Responses, usage in a stream, embeddings, an unknown model. */
async function moreShapes() {
  const ask = { model: given.gpt, max_completion_tokens: 60 };
  await Promise.all(
    [0, 1, 2].map((n) => gpt.chat.completions.create({ ...ask, messages: [user(`Number ${n}`)] })),
  );
  const retried = await claude.messages.create(
    { model: given.claude, max_tokens: 100, messages: [user("Again, please.")] },
    script("fault=529 times=1"),
  );
  const stream = claude.messages.stream(
    { model: given.claude, max_tokens: 100, system: cached("1h"), messages: [user("Slowly.")] },
    script("output=26 cache_write_1h=35"),
  );
  await stream.finalMessage();
  const asked = await gpt.chat.completions.create({
    ...ask,
    messages: [user("And what was used?")],
    stream: true,
    stream_options: { include_usage: true },
  });
  let usage_chunks = 0;
  for await (const chunk of asked) usage_chunks += chunk.choices.length === 0 ? 1 : 0;
  const response = await gpt.responses.create(
    { model: given.gpt, input: "Hello", max_output_tokens: 90 },
    script("reasoning=13"),
  );
  await gpt.embeddings.create({ model: given.embedding, input: ["one text", "another text"] });
  const denied = await untilDenied(() =>
    gpt.chat.completions.create({ model: given.unknown_model, messages: [user("Are you there?")] }),
  );
  say("shapes", { receipts: [receipt(retried), receipt(response)], usage_chunks, denied });
}

/** A stream is open while the price file changes; the next call has the new price. */
async function priceChange() {
  const ask = {
    model: given.claude,
    max_tokens: 200,
    system: cached("5m"),
    messages: [user("What do you cost?")],
  };
  const same = script(given.probe_script);
  const before = await claude.messages.create(ask, same);
  const stream = await claude.messages.create({ ...ask, stream: true }, same);
  const events = stream[Symbol.asyncIterator]();
  const first = await events.next();
  say("prices", { receipts: [receipt(before)], in_flight: first.value.message.id });

  const lines = createInterface({ input: process.stdin });
  await new Promise((resolve) => lines.once("line", resolve));
  lines.close();
  // The guard's events keep no process alive; this timer does, until one of the two is there.
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, RELOAD_MS, false);
  });
  const seen = await Promise.race([reloaded, late]);
  clearTimeout(timer);
  while (!(await events.next()).done);
  const after = await claude.messages.create(ask, same);
  say("reloaded", { reloaded: seen, receipts: [receipt(after)] });
}

/** Work until the day's budget is spent; the denial says when to come back. */
async function spendItAll() {
  const page = "output=290";
  let calls = 0;
  const denied = await untilDenied(async () => {
    for (; calls < MANY; calls++) {
      const messages = [user(`Page ${calls} of the report.`)];
      await claude.messages.create({ model: given.claude, max_tokens: 300, messages }, script(page));
    }
  });
  say("spent", { calls, script: page, denied });
}

/** What the ledger says, then everything out to the collector. */
async function close() {
  const page = await guard.balances({ budget: given.budget, tenant });
  const balances = [...page].map(({ spent, held, unconfirmed }) => ({
    spent: Number(spent),
    held: Number(held),
    unconfirmed: Number(unconfirmed),
  }));
  say("balances", { balances });
  const flushed = await guard.flush({ timeout: 5 });
  await guard.close();
  say("closed", { flushed: flushed.complete });
}

await researcher();
await runaway();
await moreShapes();
await priceChange();
await spendItAll();
await close();
