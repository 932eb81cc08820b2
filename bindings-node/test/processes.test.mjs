// The end of a process, worker threads, workers of a cluster.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Guard } from "spendrail";
import { booked, CALL, guardOf } from "./plain.mjs";

const require = createRequire(import.meta.url);

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
