/** An agent run: a scope with limits of its own, shared by its child runs. */
import { errorType, failed } from "./errors";
import type { Guard } from "./guard";
import { Hold } from "./hold";
import { encode } from "./json";
import { NONE, native } from "./native";
import { active, hostSpan } from "./otel";
import { type Balance, balance } from "./receipt";
import { inside, type Labels } from "./scope";

/** What a run is started with. The policy's run limits can only be tightened. */
export interface RunOptions extends Labels {
  /** The run's id; generated if absent. */
  id?: string | undefined;
  maxCalls?: number | undefined;
  maxToolCalls?: number | undefined;
  maxTokens?: number | undefined;
  /** For example `"0.50 USD"`. */
  maxCost?: string | undefined;
  maxDepth?: number | undefined;
  /** For example `"10m"`. */
  maxDuration?: string | undefined;
  maxRepeats?: number | undefined;
}

/** What a tool call is made with. */
export interface ToolOptions {
  /** What one call of it costs, for example `"0.01 USD"`; free if absent. */
  cost?: string | undefined;
}

/** What carries a run: its token, or the headers of a request as servers and `fetch` give them. */
export type CarriedRun =
  | string
  | Headers
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | Iterable<readonly [string, string]>;

function plainHeaders(carried: CarriedRun): unknown {
  if (typeof carried === "string" || carried === null || typeof carried !== "object") return carried;
  return Symbol.iterator in carried ? [...carried] : carried;
}

interface Facts {
  id: string;
  scope: Labels & { run?: string };
  span: string | null;
}

interface State {
  spent: string;
  spent_nano_usd: number | string;
  remaining: string | null;
  remaining_nano_usd: number | string | null;
  balances: unknown[];
}

/** A run that nobody holds has ended. */
const lost = new FinalizationRegistry<number>((handle) => native.runDrop(handle));

/** An agent run. */
export class Run {
  readonly #handle: number;
  readonly #guard: Guard;
  readonly #facts: Facts;
  readonly #labels: Labels;

  private constructor(guard: Guard, handle: number) {
    this.#handle = handle;
    this.#guard = guard;
    lost.register(this, handle);
    this.#facts = JSON.parse(native.runFacts(handle) as string) as Facts;
    const { run: _, ...labels } = this.#facts.scope;
    this.#labels = labels;
  }

  /** @internal */
  static start(guard: Guard, handle: number, above: Run | undefined, options: RunOptions): Run {
    const parent = hostSpan();
    const [traceId, spanId, sampled] = parent?.split("-") ?? [];
    const args = encode(options);
    const own = parent === undefined ? args : withParent(args, traceId, spanId, sampled === "1");
    const started = native.runStart(handle, above === undefined ? NONE : above.#handle, own);
    if (started === NONE) throw failed();
    return new Run(guard, started);
  }

  /** @internal */
  static resume(guard: Guard, handle: number, carried: CarriedRun): Run {
    const resumed = native.runResume(handle, JSON.stringify(plainHeaders(carried)));
    if (resumed === NONE) throw failed();
    return new Run(guard, resumed);
  }

  /** @internal */
  static handle(run: Run): number {
    return run.#handle;
  }

  /** The run's id. */
  get id(): string {
    return this.#facts.id;
  }
  /** The run's labels. */
  get scope(): Labels {
    return this.#labels;
  }
  /** What the run and its child runs have spent: USD, exact. */
  get spent(): string {
    return this.#state().spent;
  }
  /** The same in nano-USD. */
  get spentNanoUsd(): bigint {
    return BigInt(this.#state().spent_nano_usd);
  }
  /** What the run may still spend: USD, exact; null without a limit on cost. */
  get remaining(): string | null {
    return this.#state().remaining;
  }
  /** The same in nano-USD. */
  get remainingNanoUsd(): bigint | null {
    const left = this.#state().remaining_nano_usd;
    return left === null ? null : BigInt(left);
  }
  /** The accounts of the run's own limits. */
  async balances(): Promise<Balance[]> {
    return this.#state().balances.map(balance);
  }

  /**
   * The headers with which a request carries the run to a service that works for it: `spendrail-run`, and `traceparent`
   * (W3C Trace Context) where spans are made. `guard.resumeRun(headers)` reads them there.
   */
  headers(): Record<string, string> {
    const headers = native.runHeaders(this.#handle);
    if (headers === null) throw failed();
    return JSON.parse(headers) as Record<string, string>;
  }
  /** The run as one line of text: `guard.resumeRun(token)` goes on with it in another process. */
  token(): string {
    return this.headers()["spendrail-run"] as string;
  }

  /** Runs `body` inside of this run: its calls count on it. The run goes on afterwards. */
  with<T>(body: (run: Run) => T): T {
    return inside(this.#guard, this, this.#labels, () => active(this.#facts.span, () => body(this)));
  }

  /** `body`, always inside of this run, wherever it is called from. */
  bind<A extends unknown[], R>(body: (...args: A) => R): (...args: A) => R {
    return (...args) => this.with(() => body(...args));
  }

  /** A run of a sub-agent: what it uses counts on this run too. */
  async child(options: RunOptions = {}): Promise<Run> {
    return Run.start(this.#guard, 0, this, options);
  }

  /**
   * Calls a tool as part of this run: counted, and charged if it costs. `args` are compared to find a run that goes
   * in circles; they are never kept.
   */
  async tool<T>(
    name: string,
    args: unknown,
    body: (hold: Hold) => T | Promise<T>,
    options: ToolOptions = {},
  ): Promise<T> {
    const hold = await this.with(() =>
      this.#guard.reserve({ tool: name, cost: options.cost, arguments: args }),
    );
    try {
      const answer = await this.with(() => active(native.holdSpan(Hold.handle(hold)), () => body(hold)));
      if (hold.open) Hold.settle(hold, undefined);
      return answer;
    } catch (error) {
      // The tool was called; what it did is not known to have failed before it cost.
      if (hold.open) Hold.settle(hold, undefined, errorType(error));
      throw error;
    }
  }

  /** Ends the run. Calls that come late still count; no child run can be started. `error`: what it failed with. */
  async end(error?: unknown): Promise<void> {
    native.runEnd(this.#handle, error === undefined ? undefined : errorType(error));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  #state(): State {
    return JSON.parse(native.runState(this.#handle) as string) as State;
  }
}

function withParent(args: string, trace_id = "", span_id = "", sampled = true): string {
  return JSON.stringify({ ...JSON.parse(args), parent: { trace_id, span_id, sampled } });
}
