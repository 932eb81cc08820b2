/** The guard: what an application holds in its hands. */

import {
  about,
  type Call,
  labelsOf,
  NOTHING,
  type ProviderRequest,
  type SpendRecord,
  type ToolCall,
  told,
} from "./calls";
import { ManualClock } from "./clock";
import { answeredLater, argumentInvalid, badConfig, failed, SpendrailError } from "./errors";
import { type Events, Listeners } from "./events";
import { type Explanation, explanation } from "./explanation";
import { during, eventually, Hold, type Settlement, settlement } from "./hold";
import { encode, join } from "./json";
import { NONE, native } from "./native";
import {
  type BalanceQuery,
  type CostOptions,
  type GuardOptions,
  type LimitOptions,
  type StatementQuery,
  setup,
  type WrapOptions,
} from "./options";
import { reservePlain, UNUSUAL } from "./plain";
import {
  type Balance,
  balance,
  type Cost,
  cost,
  type Decision,
  decision,
  type FlushReport,
  Kept,
  type Page,
  type PriceReport,
  page,
  Receipt,
  type ReloadReport,
  record,
  type Stop,
} from "./receipt";
import { type CarriedRun, Run, type RunOptions } from "./run";
import { bound, current, type Labels, merge, within } from "./scope";
import { several } from "./several";
import { Entry, STATEMENT_PAGE, type StatementPage } from "./statements";
import { type Buckets, toCore, type Usage } from "./usage";
import { wrap } from "./wrap/index";

const lost = new FinalizationRegistry<number>((handle) => native.guardDrop(handle));
/** How long the end of the process may take for what telemetry is still waiting, in milliseconds. */
const PARTING_MS = 500;
let parting = false;

/**
 * Guards the spending of one application.
 *
 * ```ts
 * const guard = new Guard("spendrail.toml");
 * const client = guard.wrap(new Anthropic(), { tenant: "acme" });
 * ```
 */
export class Guard {
  readonly #handle: number;
  readonly #clock: ManualClock | undefined;
  readonly #listeners: Listeners;

  /**
   * Loads the rules. No thread, socket or watcher starts before the first call. Without arguments the file that
   * `SPENDRAIL_CONFIG` names is read, else `spendrail.toml` in the working directory.
   * @throws ConfigError with file, line, key and hint.
   */
  constructor(config?: string | GuardOptions) {
    const clock = typeof config === "object" ? config?.clock : undefined;
    this.#clock = clock;
    this.#handle = native.guardNew(encode(setup(config)), ManualClock.handle(clock), several());
    if (this.#handle === NONE) throw badConfig(failed());
    this.#listeners = new Listeners(this.#handle);
    lost.register(this, this.#handle);
    if (!parting) {
      parting = true;
      process.once("exit", () => native.closeAll(PARTING_MS));
    }
    for (const warning of this.warnings()) process.emitWarning(warning, "SpendrailWarning");
  }

  /**
   * A copy of a client of `openai` or `@anthropic-ai/sdk`, of the same class, whose calls are reserved before they are
   * sent and settled when they are answered. The client itself is left alone. A denied call throws `Denied` before
   * anything is sent.
   */
  wrap<C extends object>(client: C, options: WrapOptions = {}): C {
    return wrap(this, client, options);
  }

  /**
   * Runs `body` as an agent run: what it calls counts on the run, which ends with it. Inside of another run it is a
   * child of that one.
   */
  async run<T>(options: RunOptions, body: (run: Run) => T | Promise<T>): Promise<T> {
    if (typeof body !== "function") throw argumentInvalid("body", "is not a function");
    const run = await this.startRun(options);
    let answer: T;
    try {
      answer = await run.with(body);
    } catch (error) {
      await run.end(error);
      throw error;
    }
    await run.end();
    return answer;
  }

  /** Starts a run that is not bound to a block: see `run.with`, `run.bind` and `run.end`. `parent: null`: no child. */
  async startRun(options: RunOptions & { parent?: Run | null } = {}): Promise<Run> {
    if (typeof options !== "object" || options === null) throw argumentInvalid("options", "is no object");
    const { parent, ...own } = options;
    const block = current(this);
    const above = parent === undefined ? block?.run : (parent ?? undefined);
    return Run.start(
      this,
      this.#handle,
      above,
      block === undefined ? own : { ...own, ...merge(block.labels, labelsOf(own)) },
    );
  }

  /**
   * A run that another process has started, by the headers of a request that carries it (`run.headers()`, names in any
   * case) or by its `token`. Calls in it count on the same accounts, as far as the ledger reaches; its end here is not
   * the run's end. Take headers from services that you trust: the token is checked for damage, not for forgery, and this
   * guard's own run limits can only tighten it.
   * @throws SpendrailError with code `token_invalid`.
   */
  async resumeRun(carried: CarriedRun): Promise<Run> {
    return Run.resume(this, this.#handle, carried);
  }

  /** Runs `body` with these labels: what is named replaces, tags merge, `null` clears. */
  scope<T>(labels: Labels, body: () => T): T {
    return within(this, labels, body);
  }

  /** `body`, always with the scope and run of here and now, wherever it is called from. */
  bind<A extends unknown[], R>(body: (...args: A) => R): (...args: A) => R {
    return bound(body);
  }

  /**
   * Reserves the worst case of a call on every account that applies, or on none. With `body` the hold is open inside
   * of it; what `body` leaves open is abandoned.
   * @throws Denied
   */
  reserve(call: Call | ToolCall): Promise<Hold>;
  reserve<T>(call: Call | ToolCall, body: (hold: Hold) => T | Promise<T>): Promise<T>;
  reserve<T>(call: Call | ToolCall, body?: (hold: Hold) => T | Promise<T>): Promise<Hold | T> {
    return body === undefined
      ? eventually(() => this.#reserve(call as Call))
      : eventually(() => during(this.#reserve(call as Call), body));
  }

  /** Settles a detached hold by its token. */
  async settle(token: string, settled?: Settlement): Promise<Receipt> {
    const given = settlement(settled);
    // A reply is JSON of the provider's already; what we say ourselves is written with the token.
    const [own, foreign] = "reply" in given ? [{}, given] : [given, {}];
    return new Receipt(this.#ask("settle", { token, ...own }, foreign) as object);
  }

  /** Releases a detached hold by its token, because nothing was billed. */
  async release(token: string): Promise<void> {
    this.#ask("release", { token });
  }

  /** Would the call be admitted now? Nothing is held. */
  async check(call: Call | ToolCall): Promise<Decision> {
    const { run, labels } = this.#around(call);
    return decision(JSON.parse(answered(native.check(this.#handle, inside(run), told(call), labels))));
  }

  /** Records spend that already happened. Never denied. */
  async record(spend: SpendRecord): Promise<Receipt> {
    const [args, foreign] = this.#spend(spend);
    return new Receipt(this.#ask("record", args, foreign) as object);
  }

  /** The same for many. */
  async recordMany(spends: readonly SpendRecord[]): Promise<Receipt[]> {
    const records = spends.map((spend) => {
      const [args, foreign] = this.#spend(spend);
      return JSON.parse(join(encode(args), foreign)) as unknown;
    });
    const told = await this.#askLater("record_many", JSON.stringify({ records }));
    return (told as object[]).map((receipt) => new Receipt(receipt));
  }

  /**
   * The exact cost of a usage, line by line, under the prices in force; for the labels given and those of the block
   * around, where prices are agreed for some scopes only.
   */
  async cost(model: string, usage: Usage | Buckets, options: CostOptions = {}): Promise<Cost> {
    return cost(this.#ask("cost", this.#priced(model, usage, options)));
  }

  /**
   * The same, and why: which price entry, which file and line, which period, tier, length, variant and multiplier.
   * `String(…)` of it is for people. The price files are read again for it.
   */
  async explain(model: string, usage: Usage | Buckets, options: CostOptions = {}): Promise<Explanation> {
    const args = encode(this.#priced(model, usage, options));
    return explanation(await this.#askLater("explain", args));
  }

  /** The balances of accounts in their current windows. */
  async balances(query: BalanceQuery = {}): Promise<Page<Balance>> {
    return page(this.#ask("balances", query));
  }

  /**
   * What was spent, call by call, in the order in which it was settled: settled at or after `since` and before `until`,
   * with these labels. An estimate that was replaced by an exact settle is listed once, as replaced. As many entries are
   * kept as `[ledger] journal` says.
   * @throws ConfigError without a journal.
   */
  async *statement(query: StatementQuery = {}): AsyncGenerator<Entry, void, undefined> {
    for (let after: number | null = 0; after !== null; ) {
      const page = this.#ask("statement", { ...query, limit: STATEMENT_PAGE, after }) as StatementPage;
      for (const told of page.entries) yield new Entry(told);
      after = page.next;
    }
  }

  /** Adds to an account, in this window only. `repeated`: this id was known and nothing changed. */
  async topUp(
    budget: string,
    amount: string,
    options: Labels & { id?: string } = {},
  ): Promise<{ balance: Balance; repeated: boolean }> {
    const told = this.#ask("top_up", { ...options, budget, amount }) as {
      balance: unknown;
      repeated: boolean;
    };
    return { balance: balance(told.balance), repeated: told.repeated };
  }

  /** Sets the limit of one account until it is cleared (`null`); wins over the file. */
  async setLimit(budget: string, amount: string | null, labels: Labels = {}): Promise<void> {
    this.#ask("set_limit", { ...labels, budget, amount });
  }

  /** Sets the limits of many accounts, all or none. `replace`: clears what was set before for this budget. */
  async setLimits(
    budget: string,
    limits: readonly LimitOptions[],
    options: { replace?: boolean } = {},
  ): Promise<number> {
    return (await this.#askLater(
      "set_limits",
      encode({ budget, limits, replace: options.replace }),
    )) as number;
  }

  /** Stops everything with these labels. Returns the id for `resume`. */
  async stop(options: Labels & { reason?: string }): Promise<string> {
    return this.#ask("stop", options) as string;
  }

  /** Lifts a stop. */
  async resume(stopId: string): Promise<void> {
    this.#ask("resume", { stop_id: stopId });
  }

  /** The stops in force, those of the file first. */
  async stops(): Promise<Stop[]> {
    return (this.#ask("stops", {}) as unknown[]).map((stop) => record<Stop>(stop));
  }

  /** Reads configuration and prices again, now. On an error the last good rules stay. */
  async reload(): Promise<ReloadReport> {
    const report = this.#askLater("reload", "{}").catch((error: unknown) => {
      throw error instanceof SpendrailError ? badConfig(error) : error;
    });
    return record<ReloadReport>(await report);
  }

  /** Listens. The listener is called on the main loop and does not keep the process alive. Returns how to stop. */
  on<K extends keyof Events>(kind: K, listener: (told: Events[K]) => void): () => void {
    return this.#listeners.add(kind, listener);
  }

  /** Expires what is due; the background thread does this by itself, except under a manual clock. */
  async expireDue(): Promise<number> {
    return this.#ask("expire_due", {}) as number;
  }

  /** The version of the prices in force. */
  async priceVersion(): Promise<string> {
    return this.#ask("price_version", {}) as string;
  }

  /**
   * What the price files in force brought, file by file: models, what was skipped, rounded and held back (each with its
   * count and the first hundred).
   */
  async priceReport(): Promise<PriceReport> {
    return this.#ask("price_report", {}) as PriceReport;
  }

  /** What a person should know about the configuration in force, although it is no error. */
  warnings(): string[] {
    return this.#ask("warnings", {}) as string[];
  }

  /** Exports what was recorded so far; answers after `timeout` seconds at the latest. */
  async flush(options: { timeout?: number } = {}): Promise<FlushReport> {
    return record<FlushReport>(await this.#askLater("flush", timeout(options)));
  }

  /** The same, then ends the background thread. Later calls fail with `closed`; open holds can still be settled. */
  async close(options: { timeout?: number } = {}): Promise<FlushReport> {
    return record<FlushReport>(await this.#askLater("close", timeout(options)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal The API of a request that must be reserved; `""` if it may pass. Denied if nobody knows its cost. */
  passage(request: ProviderRequest): string {
    const { run, labels } = this.#around(request.labels);
    const args = encode({ ...about(request), model: request.model ?? "-" });
    return answered(native.passage(this.#handle, inside(run), args, labels, request.method, request.path));
  }

  /** @internal A provider's request, as a wrapped client is about to send it. `body`: JSON. */
  reserveRequest(request: ProviderRequest, api: string, body: string): Hold {
    const { run, labels } = this.#around(request.labels);
    const args = encode({ ...about(request), model: request.model ?? "-" });
    const kept = new Kept(run ?? this);
    const { path } = request;
    kept.handle = native.reserveRequest(this.#handle, inside(run), args, labels, api, path, body, kept);
    return new Hold(kept);
  }

  /** @internal The catalog's id of a provider, by one of its names or by the host that it serves from. */
  providerNamed(name: string): string | null {
    return this.#ask("provider", { name }) as string | null;
  }

  /** @internal What is known of an endpoint. */
  endpoint(provider: string, method: string, path: string): { endpoint: string; api?: string } {
    return this.#ask("endpoint", { provider, method, path }) as { endpoint: string; api?: string };
  }

  /** The usual call goes past JSON: a form and two numbers. */
  #reserve(call: Call): Hold {
    if (typeof call !== "object" || call === null) throw argumentInvalid("call", "is no object");
    const block = current(this);
    const run = inside(block?.run);
    const kept = new Kept(block?.run ?? this);
    kept.handle = reservePlain(this.#handle, run, call, block?.labels ?? NOTHING, kept);
    if (kept.handle === UNUSUAL) {
      const { labels } = this.#around(call);
      kept.handle = native.reserveJson(this.#handle, run, told(call), labels, kept);
    }
    return new Hold(kept);
  }

  /** The run around a call, and all its labels as JSON. */
  #around(own: object): { run: Run | undefined; labels: string } {
    const block = current(this);
    return { run: block?.run, labels: encode(merge(block?.labels ?? NOTHING, labelsOf(own))) };
  }

  #priced(model: string, usage: Usage | Buckets, options: CostOptions): object {
    const labels = merge(current(this)?.labels ?? NOTHING, labelsOf(options));
    const at = this.#clock !== undefined && options.at === undefined ? this.#clock.now() : options.at;
    return { ...options, ...labels, at, model, usage: toCore(usage) };
  }

  #spend(spend: SpendRecord): [object, object] {
    const { usage, reply, ...rest } = spend;
    const args = { ...rest, ...merge(current(this)?.labels ?? NOTHING, labelsOf(rest)) };
    if (usage !== undefined) return [{ ...args, usage: toCore(usage) }, {}];
    return [args, reply === undefined ? {} : { reply }];
  }

  /** A method that answers at once. `foreign`: what is passed as it is. */
  #ask(method: string, args: object, foreign: object = {}): unknown {
    return JSON.parse(answered(native.invoke(this.#handle, method, join(encode(args), foreign))));
  }

  /** A method that takes its time. */
  async #askLater(method: string, args: string): Promise<unknown> {
    return answeredLater(await native.invokeLater(this.#handle, method, args));
  }
}

function inside(run: Run | undefined): number {
  return run === undefined ? NONE : Run.handle(run);
}

function answered(answer: string | null): string {
  if (answer === null) throw failed();
  return answer;
}

function timeout(options: { timeout?: number }): string {
  const { timeout = 2 } = options;
  if (!(timeout >= 0)) throw argumentInvalid("timeout", `is ${timeout}, not a number of seconds`);
  return encode({ timeoutMs: Math.round(timeout * 1000) });
}
