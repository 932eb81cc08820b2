/** What was spent, call by call, and what other rules would have made of it. */
import { answeredLater, argumentInvalid, type Code } from "./errors";
import { encode, join } from "./json";
import { native } from "./native";
import { type GuardOptions, setup } from "./options";
import { type Balance, balance } from "./receipt";
import type { Labels } from "./scope";
import { fromCore, type Usage } from "./usage";

type Whole = number | string;

/** How many entries are asked for at once. */
export const STATEMENT_PAGE = 1000;

/** Entries, and where the next page starts. */
export interface StatementPage {
  readonly entries: readonly object[];
  readonly next: number | null;
}

interface RawEntry {
  id: string;
  started_at: string;
  settled_at: string;
  provider: string | null;
  model: string;
  is_tool: boolean;
  scope: Labels & { run?: string };
  usage: Record<string, number> | null;
  cost: string;
  posted_nano_usd: Whole;
  reserved_nano_usd: Whole;
  input_tokens: number;
  output_tokens: number;
  flags: string[];
  price_version: string;
}

/** What one call used and cost. As JSON it is one line of a file that `simulate(path, …)` reads. */
export class Entry {
  readonly #told: RawEntry;

  /** @internal */
  constructor(told: object) {
    this.#told = told as RawEntry;
  }

  /** The hold's id. */
  get id(): string {
    return this.#told.id;
  }
  get startedAt(): Date {
    return new Date(this.#told.started_at);
  }
  get settledAt(): Date {
    return new Date(this.#told.settled_at);
  }
  /** The provider, as the catalog names it; null for a tool. */
  get provider(): string | null {
    return this.#told.provider;
  }
  /** The model, as the catalog names it; a tool's name. */
  get model(): string {
    return this.#told.model;
  }
  get isTool(): boolean {
    return this.#told.is_tool;
  }
  /** What it was for, its run included. */
  get scope(): Labels & { readonly run?: string } {
    return this.#told.scope;
  }
  /** What was used; null if nobody knows. */
  get usage(): Usage | null {
    const { usage } = this.#told;
    return usage === null ? null : fromCore(usage);
  }
  /** USD, exact to the last digit. */
  get cost(): string {
    return this.#told.cost;
  }
  /** What every budget in USD was charged. */
  get postedNanoUsd(): bigint {
    return BigInt(this.#told.posted_nano_usd);
  }
  /** What had been on hold. */
  get reservedNanoUsd(): bigint {
    return BigInt(this.#told.reserved_nano_usd);
  }
  /** The worst case of the input that had been reserved. */
  get inputTokens(): number {
    return this.#told.input_tokens;
  }
  /** The worst case of the output that had been reserved. */
  get outputTokens(): number {
    return this.#told.output_tokens;
  }
  get flags(): readonly string[] {
    return this.#told.flags;
  }
  /** The version of the prices that the call was reserved with. */
  get priceVersion(): string {
    return this.#told.price_version;
  }

  /** As the core told it: exact to the nanosecond, and what `simulate` reads. */
  toJSON(): object {
    return this.#told;
  }
}

/** One reason to deny: its code, the first budget that did not fit, how often and when first. */
export interface DenialCount {
  readonly code: Code;
  readonly budget: string | null;
  readonly count: number;
  readonly firstAt: Date;
}

/** What other rules would have done. */
export interface Simulation {
  readonly calls: number;
  /** How many of the calls would have been denied. */
  readonly denied: number;
  /** What the others would have cost: USD, exact. */
  readonly cost: string;
  /** The same as it would have been posted. */
  readonly postedNanoUsd: bigint;
  /** What was posted for all of them. */
  readonly recordedNanoUsd: bigint;
  readonly denials: readonly DenialCount[];
  readonly balances: readonly Balance[];
}

/** With what a simulation differs from its configuration. */
export interface SimulationOptions {
  /** As for a guard; they win over those of the configuration. */
  prices?: GuardOptions["prices"];
}

/**
 * Plays entries against another configuration: a file, or tables as for a guard. `entries`: those of
 * `guard.statement()`, or the path of a file with one entry as JSON a line. Calls overlap as they did; limits of runs
 * are not played. Nothing is exported and no other guard is touched.
 * @throws ConfigError; InvalidInput with the entry and its field.
 */
export async function simulate(
  entries: string | Iterable<Entry | object> | AsyncIterable<Entry | object>,
  config: string | GuardOptions,
  options: SimulationOptions = {},
): Promise<Simulation> {
  const tables = typeof config === "string" ? { file: config } : config;
  const { prices = tables.prices } = options;
  const args = setup(prices === undefined ? tables : { ...tables, prices });
  if (tables.file === undefined && tables.text === undefined) args.config ??= {};
  const played =
    typeof entries === "string"
      ? encode({ ...args, path: entries })
      : join(encode(args), { entries: await listed(entries) });
  const told = answeredLater(await native.simulateLater(played)) as RawSimulation;
  return {
    calls: told.calls,
    denied: told.denied,
    cost: told.cost,
    postedNanoUsd: BigInt(told.posted_nano_usd),
    recordedNanoUsd: BigInt(told.recorded_nano_usd),
    denials: told.denials.map(({ first_at, ...one }) => ({ ...one, firstAt: new Date(first_at) })),
    balances: told.balances.map(balance),
  };
}

interface RawSimulation {
  calls: number;
  denied: number;
  cost: string;
  posted_nano_usd: Whole;
  recorded_nano_usd: Whole;
  denials: { code: Code; budget: string | null; count: number; first_at: string }[];
  balances: unknown[];
}

async function listed<T>(entries: Iterable<T> | AsyncIterable<T>): Promise<T[]> {
  const given = Object(entries);
  if (!(Symbol.iterator in given || Symbol.asyncIterator in given)) {
    throw argumentInvalid("entries", "must be entries, or the path of a file");
  }
  const all: T[] = [];
  for await (const one of entries) all.push(one);
  return all;
}
