// The stories of tests/vectors, told to a guard through the public API.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Denied, Guard, InvalidInput, isDenied, SpendrailError, simulate, Usage } from "spendrail";
import { ManualClock } from "spendrail/testing";

const VECTORS = new URL("../../tests/vectors/", import.meta.url).pathname;
const CATALOG = "catalog.json";

/** All stories, each with its topic. */
export function stories() {
  const files = readdirSync(VECTORS).filter((name) => name.endsWith(".json") && name !== CATALOG);
  return files.flatMap((name) => {
    const told = repeated(JSON.parse(readFileSync(join(VECTORS, name), "utf8")));
    return told.map((story) => ({ topic: basename(name, ".json"), ...story }));
  });
}

/** `{"$repeat": ["x", 3]}` stands for "xxx". */
function repeated(value) {
  if (Array.isArray(value)) return value.map(repeated);
  if (value === null || typeof value !== "object") return value;
  if ("$repeat" in value) return value.$repeat[0].repeat(value.$repeat[1]);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, repeated(item)]));
}

const snake = (key) => key.replace(/[A-Z]|(?<=[a-z])[0-9]+(?=[mh]$)/g, (part) => `_${part.toLowerCase()}`);
const camel = (key) => key.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
const OWN_KEYS = new Set(["tags", "scope", "match"]);

/** Arguments as a Node program writes them. */
const args = (given = {}) =>
  Object.fromEntries(Object.entries(given).map(([key, value]) => [camel(key), value]));

/** An answer as stories write it: snake_case, whole numbers as numbers, instants as text, getters read. */
function plain(value) {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  const told = {};
  for (const key of keys(value)) {
    const name = snake(key);
    told[name] = OWN_KEYS.has(name) ? value[key] : plain(value[key]);
  }
  if ("cost_nano_usd" in told) told.posted_nano_usd = told.cost_nano_usd;
  return told;
}

function keys(value) {
  const type = Object.getPrototypeOf(value);
  const getters = Object.entries(Object.getOwnPropertyDescriptors(type)).filter(([, own]) => own.get);
  return [...Object.keys(value), ...(type === Object.prototype ? [] : getters.map(([key]) => key))];
}

/** What is wrong with an answer, or undefined. Objects match on the keys given, arrays item by item. */
function mismatch(expected, answer, path) {
  const differs = `${path}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(answer)}`;
  if (Array.isArray(expected)) {
    if (!Array.isArray(answer) || answer.length !== expected.length) return differs;
    return first(expected.map((item, at) => mismatch(item, answer[at], `${path}[${at}]`)));
  }
  if (expected !== null && typeof expected === "object") {
    if (answer === null || typeof answer !== "object") return differs;
    return first(Object.keys(expected).map((key) => mismatch(expected[key], answer[key], `${path}.${key}`)));
  }
  if (expected === answer || sameInstant(expected, answer)) return undefined;
  return differs;
}

const first = (found) => found.find((why) => why !== undefined);

function sameInstant(expected, answer) {
  const instant = /^\d{4}-\d\d-\d\dT/;
  if (!instant.test(expected) || !instant.test(answer)) return false;
  return new Date(expected).getTime() === new Date(answer).getTime();
}

/** Every way in which the engine disagrees with the story. */
export async function tell(story) {
  const told = new Telling(story);
  try {
    return await told.all();
  } finally {
    told.end();
  }
}

class Telling {
  holds = new Map();
  streams = new Set();
  tokens = new Map();
  runs = new Map();
  stops = new Map();

  constructor(story) {
    this.story = story;
    this.folder = mkdtempSync(join(tmpdir(), "spendrail-story-"));
    this.config = story.config ?? {};
    this.prices = story.prices ?? JSON.parse(readFileSync(join(VECTORS, CATALOG), "utf8"));
  }

  end() {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The configuration names its price files; a price file that is no object is told as text. */
  write(config, prices) {
    const files = prices.map((price, at) => {
      const name = `prices-${at}.json`;
      writeFileSync(join(this.folder, name), typeof price === "string" ? price : JSON.stringify(price));
      return name;
    });
    const own =
      typeof config === "object"
        ? { ...config, prices: { builtin: false, ...config.prices, files } }
        : config;
    writeFileSync(join(this.folder, "spendrail.json"), typeof own === "string" ? own : JSON.stringify(own));
  }

  async all() {
    const wrong = [];
    this.write(this.config, this.prices);
    const built = await shown(() => {
      this.clock = new ManualClock(this.story.start ?? "2026-01-01T00:00:00Z");
      this.guard = new Guard({ file: join(this.folder, "spendrail.json"), clock: this.clock });
    });
    if (this.story.expect !== undefined || this.guard === undefined) {
      const why = mismatch(this.story.expect ?? { ok: true }, built, "start");
      return why === undefined ? [] : [`${why}: ${JSON.stringify(built)}`];
    }
    for (const [at, step] of (this.story.steps ?? []).entries()) {
      const answer = await shown(() => this.step(step, step.with ?? {}));
      const failed = "error" in answer || "denied" in answer;
      if (step.expect === undefined && !failed) continue;
      if (step.do === "abandon" && !failed) continue;
      const why = mismatch(step.expect ?? { ok: true }, answer, "");
      if (why !== undefined) wrong.push(`step ${at} (${step.do}): ${why}`);
    }
    return wrong;
  }

  async step(step, given) {
    const { guard, clock } = this;
    switch (step.do) {
      case "advance":
        return clock.advance(step.ms);
      case "set_time":
        return clock.set(step.to);
      case "reserve":
      case "tool":
        return this.keep(step, await this.surrounded(step, () => guard.reserve(args(given))));
      case "check":
        return this.surrounded(step, () => guard.check(args(given)));
      case "settle":
        return this.hold(step).settle(settlement(given));
      case "settle_token":
        return guard.settle(this.token(step, given), settlement(given));
      case "release":
        return this.hold(step).release();
      case "release_token":
        return guard.release(this.token(step, given));
      case "detach":
        this.tokens.set(step.as, this.hold(step).detach());
        return undefined;
      case "abandon":
        return this.hold(step).abandon();
      case "chunk": {
        const hold = this.hold(step);
        if (!this.streams.has(step.hold)) hold.stream(given.api);
        this.streams.add(step.hold);
        hold.chunk(given.event);
        return undefined;
      }
      case "lost_attempt":
        return this.hold(step).lostAttempt();
      case "finish":
        return this.hold(step).finish();
      case "close":
        return this.hold(step).close();
      case "cut":
        return this.hold(step).cut();
      case "expire":
        return { expired: await guard.expireDue() };
      case "record":
        return guard.record(args(given));
      case "cost": {
        const { model, usage, inclusive, ...rest } = args(given);
        return guard.cost(model, usage ?? Usage.inclusive(inclusive), rest);
      }
      case "explain": {
        const { model, usage, ...rest } = args(given);
        return guard.explain(model, usage, rest);
      }
      case "endpoint":
        return guard.endpoint(given.provider, given.method ?? "POST", given.path);
      case "balances":
        return guard.balances(args(given));
      case "statement":
        return (await this.entries(args(given))).map((entry) => entry.toJSON());
      case "simulate": {
        // Read back from a file, as it was written.
        const lines = (await this.entries({})).map((entry) => `${JSON.stringify(entry)}\n`);
        const path = join(this.folder, "statement.jsonl");
        writeFileSync(path, lines.join(""));
        const config = { ...given.config, prices: { builtin: false } };
        const prices = (given.prices ?? this.prices).map((price, at) => ({
          name: `prices-${at}.json`,
          text: JSON.stringify(price),
        }));
        return simulate(path, { text: JSON.stringify(config) }, { prices });
      }
      case "top_up": {
        const { budget, amount, ...rest } = args(given);
        const { repeated } = await guard.topUp(budget, amount, rest);
        return { flags: repeated ? ["repeated"] : [], repeated };
      }
      case "set_limit": {
        const { budget, amount, limit = amount, ...rest } = args(given);
        return guard.setLimit(budget, limit, rest);
      }
      case "set_limits": {
        const { budget, limits, replace } = args(given);
        const own = limits?.map?.(({ limit, amount = limit, ...rest }) => ({ amount, ...args(rest) }));
        await guard.setLimits(budget, own ?? limits, replace === undefined ? {} : { replace });
        return undefined;
      }
      case "stop":
        this.stops.set(step.as, await guard.stop(args(given)));
        return undefined;
      case "resume":
        return guard.resume(this.stops.get(step.stop) ?? given.id ?? given.stop_id);
      case "stops":
        return guard.stops();
      case "start_run":
      case "child": {
        const options = { id: step.as, ...args(given) };
        const above = this.runs.get(step.run);
        this.runs.set(step.as, await (above ? above.child(options) : guard.startRun(options)));
        return undefined;
      }
      case "carry":
        this.tokens.set(step.as, this.runs.get(step.run).token());
        return undefined;
      case "resume_run":
        this.runs.set(step.as, await guard.resumeRun(this.token(step, given)));
        return undefined;
      case "end_run":
        return this.runs.get(step.run).end();
      case "run": {
        const balances = await this.runs.get(step.run).balances();
        return Object.fromEntries(balances.map((one) => [one.budget.replace(/^run\./, ""), one]));
      }
      case "price_report":
        return guard.priceReport();
      case "warnings":
        return guard.warnings();
      case "reload":
        return this.reload(given);
      case "close_guard":
        await guard.close();
        return undefined;
      default:
        throw new Error(`there is no step ${step.do}`);
    }
  }

  async entries(query) {
    const entries = [];
    for await (const entry of this.guard.statement(query)) entries.push(entry);
    return entries;
  }

  surrounded(step, body) {
    return step.run === undefined ? body() : this.runs.get(step.run).with(body);
  }

  keep(step, hold) {
    this.holds.set(step.as ?? `unnamed-${this.holds.size}`, hold);
    return { ...plain(hold), flags: hold.repeated ? ["repeated"] : [] };
  }

  hold(step) {
    return this.holds.get(step.hold);
  }

  token(step, given) {
    return given.token ?? this.tokens.get(step.token);
  }

  /** Writes the files and reads them; after an error the files that were good stand there again. */
  async reload(given) {
    const [config, prices] = [given.config ?? this.config, given.prices ?? this.prices];
    this.write(config, prices);
    try {
      await this.guard.reload();
      [this.config, this.prices] = [config, prices];
    } catch (error) {
      this.write(this.config, this.prices);
      throw error;
    }
  }
}

function settlement(given) {
  if ("usage" in given) return new Usage(given.usage);
  if ("cost" in given) return { cost: given.cost };
  return given.reply;
}

/** An answer, a denial or an error, as stories write it. */
async function shown(body) {
  try {
    const answer = plain(await body());
    if (answer?.flags) answer.flags.sort();
    if (answer?.anomalies) answer.anomalies = answer.anomalies.map(({ rule }) => rule);
    return answer ?? { ok: true };
  } catch (error) {
    if (isDenied(error)) return { denied: plain(error) };
    if (error instanceof SpendrailError) {
      return { error: { code: error.code, field: error.field?.split(".").map(snake).join(".") ?? null } };
    }
    throw error;
  }
}

export { Denied, InvalidInput };
