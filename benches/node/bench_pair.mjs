// What a guarded call costs from Node: reserve and settle on four budgets, telemetry on. One JSON line per figure.
//
//   node benches/node/bench_pair.mjs [--quick]
import { once } from "node:events";
import { createRequire } from "node:module";
import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { warm as inRounds } from "./neighbours.mjs";

const require = createRequire(new URL("../../bindings-node/package.json", import.meta.url));
const { Guard, Usage } = require("spendrail");

const [ROUNDS, CALLS] = process.argv.includes("--quick") ? [20, 1_000] : [140, 1_500];
/** No application makes more calls than this without letting the others run, and what is collected waits for that. */
const CALLS_A_TURN = 100;
const COLD_CALLS = 2_000;
const COLD_BYTES = 8 << 20;

const prices = JSON.stringify({
  catalog: 1,
  provider: "test",
  models: { m: { max_output_tokens: 1000, prices: [{ rates: { input: "1", output: "2" } }] } },
});

/** Takes every export and keeps nothing. A collector is elsewhere: it does not share the main loop. */
async function receiver() {
  const program = `
    const server = require("node:http").createServer((request, response) => request.resume().on("end", () => response.end()));
    server.listen(0, "127.0.0.1", () => require("node:worker_threads").parentPort.postMessage(server.address().port));`;
  const worker = new Worker(program, { eval: true });
  const [port] = await once(worker, "message");
  worker.unref();
  return `http://127.0.0.1:${port}`;
}

const budget = (name, per) => ({ name, per, limit: "1000000 USD", window: "day" });
const BUDGETS = [
  budget("all", []),
  budget("tenant", ["tenant"]),
  budget("user", ["tenant", "user"]),
  budget("feature", ["tenant", "feature"]),
];

function guardOf(endpoint, budgets = BUDGETS) {
  const telemetry = endpoint === undefined ? { mode: "off" } : { mode: "native", endpoint };
  return new Guard({ budgets, telemetry, prices: [{ name: "bench.json", text: prices }] });
}

const call = {
  provider: "test",
  model: "m",
  inputTokens: 1200,
  maxOutputTokens: 500,
  tenant: "acme",
  user: "u1",
  feature: "chat",
};
const usage = new Usage({ input: 1180, output: 120 });

async function pairs(guard, count, given = () => call) {
  for (let n = 0; n < count; n++) {
    const hold = await guard.reserve(given(n));
    await hold.settle(usage);
    if (n % CALLS_A_TURN === CALLS_A_TURN - 1) await turn();
  }
}

async function warm(guard, given) {
  await pairs(guard, 20_000, given);
  return inRounds((count) => pairs(guard, count, given), ROUNDS, CALLS);
}

/** Between the calls 8 MB are touched, as an application does. */
async function cold(guard) {
  const memory = new Uint8Array(COLD_BYTES);
  const taken = [];
  for (let n = 0; n < COLD_CALLS; n++) {
    await turn();
    for (let at = 0; at < COLD_BYTES; at += 64) memory[at]++;
    const started = process.hrtime.bigint();
    await pairs(guard, 1);
    taken.push(Number(process.hrtime.bigint() - started));
  }
  return median(taken);
}

function median(numbers) {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1];
}

const say = (name, figures) => {
  const whole = Object.entries(figures).map(([key, nanos]) => [key, Math.round(nanos)]);
  console.log(JSON.stringify({ name, ...Object.fromEntries(whole) }));
};

const endpoint = await receiver();
const traced = guardOf(endpoint);
say("node pair", { ...(await warm(traced)), cold: await cold(traced) });
const users = (n) => ({ ...call, user: `u${(n * 7919) % 100_000}` });
say("node pair random", await warm(traced, users));
say("node pair quiet", await warm(guardOf(undefined)));
say("node pair 1 budget", await warm(guardOf(endpoint, BUDGETS.slice(0, 1))));
const runs = guardOf(endpoint);
await runs.run({ tenant: "acme", agent: "a", maxCost: "1000000 USD" }, async () => {
  say("node pair in a run", await warm(runs));
});
await traced.close();
