/** Answers of the core, read when somebody looks. */
import { type DenialData, type Denied, date, denied, type RawFailure } from "./errors";
import { camel } from "./names";
import { NONE, native } from "./native";
import { fromCore, type Usage } from "./usage";

type Whole = number | string;

/** One line of a cost: quantity x rate x factor. */
export interface Line {
  readonly bucket: string;
  readonly quantity: number;
  /** USD for `per` units, exact. */
  readonly rate: string;
  readonly per: number;
  readonly factor: string;
  /** USD, exact. */
  readonly amount: string;
}

/** What an account has left, in nano-USD or counted in its unit. */
export interface Remaining {
  readonly budget: string;
  readonly unit: string;
  readonly available: bigint;
}

interface RawCost {
  cost: string;
  posted_nano_usd: Whole;
  lines: Line[];
  unpriced: string[];
}

interface RawReceipt {
  id: string;
  provider: string | null;
  model: string;
  response_model: string | null;
  usage: Record<string, number> | null;
  cost: string;
  lines: Line[];
  posted_nano_usd: Whole;
  reserved_nano_usd: Whole;
  price_version: string;
  flags: string[];
  anomalies: { rule: string; detail: string }[];
  remaining: { budget: string; unit: string; available: Whole }[];
  reported_cost?: string;
  computed_cost?: string;
  computed?: RawCost;
  hold?: RawHold;
}

/** What was reserved. */
export interface RawHold {
  id: string;
  held_nano_usd: Whole;
  input_tokens: number;
  output_tokens: number;
  repeated: boolean;
  would_deny: boolean;
  failures: RawFailure[];
}

/**
 * What the core keeps until nobody holds it any more: an open hold, or its receipt. Whoever may ask for it keeps this
 * object, and when it is collected the core lets go: what was open is abandoned.
 */
export class Kept {
  handle = NONE;
  /** The guard or the run, which live as long as their open holds. */
  owner: object | undefined;

  constructor(owner: object) {
    this.owner = owner;
  }
}

/** The result of settling. */
export class Receipt {
  /** Where it is to be read, as long as nobody has. */
  #kept: Kept | undefined;
  #read: RawReceipt | undefined;
  #usage: Usage | undefined;

  /** @internal */
  constructor(told: Kept | object) {
    if (told instanceof Kept) this.#kept = told;
    else this.#read = told as RawReceipt;
  }

  /** @internal */
  static hold(receipt: Receipt): RawHold {
    return receipt.#raw.hold as RawHold;
  }

  /** @internal Reads what the core keeps, so that it need not any longer. */
  static read(receipt: Receipt): void {
    receipt.#raw;
  }

  get #raw(): RawReceipt {
    if (this.#read === undefined) {
      const text = native.receiptText((this.#kept as Kept).handle) as string;
      // Beyond 2^53 a number would be bent on its way; no text has this key unescaped.
      const exact = text.replace(/"available":(-?\d{16,})/g, '"available":"$1"');
      this.#read = JSON.parse(exact) as RawReceipt;
      this.#kept = undefined;
    }
    return this.#read;
  }

  /** The hold's id. */
  get id(): string {
    return this.#raw.id;
  }
  /** The provider, as the catalog names it; null for a tool. */
  get provider(): string | null {
    return this.#raw.provider;
  }
  /** The model, as the catalog names it; a tool's name. */
  get model(): string {
    return this.#raw.model;
  }
  /** The model that served, as the provider named it. */
  get responseModel(): string | null {
    return this.#raw.response_model;
  }
  /** What was used; null if the reply did not say. */
  get usage(): Usage | null {
    const { usage } = this.#raw;
    if (usage === null) return null;
    this.#usage ??= fromCore(usage);
    return this.#usage;
  }
  /** USD, exact to the last digit. */
  get cost(): string {
    return this.#raw.cost;
  }
  /** What was posted to every budget: the cost in nano-USD, rounded up once. */
  get costNanoUsd(): bigint {
    const posted = this.#kept === undefined ? null : native.receiptPosted(this.#kept.handle);
    return BigInt(posted ?? this.#raw.posted_nano_usd);
  }
  /** USD, for display only. */
  get costUsd(): number {
    return Number(this.#raw.cost);
  }
  /** The cost line by line; the lines add up to the total exactly. */
  get lines(): readonly Line[] {
    return this.#raw.lines;
  }
  /**
   * USD, exact: what the provider says that it invoices; null if it does not say so. It is the cost where the flag
   * `reported` is set.
   */
  get reportedCost(): string | null {
    return this.#raw.reported_cost ?? null;
  }
  /** USD, exact: what the catalog makes of the usage, where the cost is what the provider reports. */
  get computedCost(): string | null {
    return this.#raw.computed_cost ?? null;
  }
  /** The same line by line. */
  get computed(): Cost | null {
    const { computed } = this.#raw;
    return computed === undefined ? null : cost(computed);
  }
  /** What had been on hold. */
  get reservedNanoUsd(): bigint {
    return BigInt(this.#raw.reserved_nano_usd);
  }
  /** The version of the prices that the call was reserved with. */
  get priceVersion(): string {
    return this.#raw.price_version;
  }
  /** What is remarkable: `estimated`, `over_run`, `late`, `repeated`, … */
  get flags(): readonly string[] {
    return this.#raw.flags;
  }
  /** Figures of the reply that did not fit the provider's convention. */
  get anomalies(): readonly { readonly rule: string; readonly detail: string }[] {
    return this.#raw.anomalies;
  }
  /** What each account has left. */
  get remaining(): readonly Remaining[] {
    return this.#raw.remaining.map((left) => ({ ...left, available: BigInt(left.available) }));
  }

  /** Plain data. */
  toJSON(): object {
    const { hold: _, ...told } = this.#raw;
    return told;
  }
}

/** The exact cost of a usage. */
export interface Cost {
  /** USD, exact. */
  readonly cost: string;
  /** Rounded up once. */
  readonly costNanoUsd: bigint;
  /** USD, for display only. */
  readonly costUsd: number;
  readonly lines: readonly Line[];
  /** Buckets that were used and have no rate. */
  readonly unpriced: readonly string[];
}

/** One account. Amounts are in nano-USD for `usd`, else counted in the unit. */
export interface Balance {
  readonly budget: string;
  readonly unit: string;
  readonly scope: Readonly<Record<string, string | null>>;
  readonly limit: bigint;
  readonly toppedUp: bigint;
  readonly spent: bigint;
  readonly held: bigint;
  readonly escrowed: bigint;
  readonly unconfirmed: bigint;
  readonly available: bigint;
  readonly windowStart: Date | null;
  readonly resetsAt: Date | null;
  readonly asOf: Date;
}

interface RawBalance {
  budget: string;
  unit: string;
  scope: Record<string, string | null>;
  limit: Whole;
  topped_up: Whole;
  spent: Whole;
  held: Whole;
  escrowed: Whole;
  unconfirmed: Whole;
  available: Whole;
  window_start: string | null;
  resets_at: string | null;
  as_of: string;
}

/** A page of accounts; `next` is the `after` of the next page. */
export class Page<T> extends Array<T> {
  next: string | null = null;

  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

/** Would the call be admitted now? */
export interface Decision {
  readonly allowed: boolean;
  readonly denial: Denied | null;
  readonly worstCaseNanoUsd: bigint;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** A stop that is in force. */
export interface Stop {
  readonly stopId: string;
  readonly reason: string;
  readonly match: unknown;
}

/** What a reload did. */
export interface ReloadReport {
  readonly changed: boolean;
  readonly generation: number;
  readonly priceVersion: string;
  readonly pricesChanged: number | boolean;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly warnings: readonly string[];
  /** `provider/model` of what has a price now and had none, had one and has none, or has another one. */
  readonly modelsAdded: Listed<string>;
  readonly modelsRemoved: Listed<string>;
  readonly modelsRepriced: Listed<string>;
  readonly prices: PriceReport;
}

/** How many there are, and the first hundred. */
export interface Listed<T> {
  readonly count: number;
  readonly first: readonly T[];
}

/** Something about an entry of a price file; an empty `field` means all of it. */
export interface PriceNote {
  readonly entry: string;
  readonly field: string;
  readonly why: string;
}

/** What the price files brought; the built-in catalog is not listed. */
export interface PriceReport {
  readonly files: readonly {
    readonly file: string;
    readonly format: "catalog" | "litellm" | "genai-prices";
    readonly models: number;
    /** What could not be taken over. */
    readonly skipped: Listed<PriceNote>;
    /** What was finer than 10⁻¹² USD. */
    readonly rounded: Listed<PriceNote>;
    /** What is held back: the older prices stay. */
    readonly quarantined: Listed<PriceNote>;
  }[];
}

/** What a flush delivered. */
export interface FlushReport {
  readonly complete: boolean;
  readonly exported: number;
  readonly dropped: number;
  readonly failed: number;
  readonly lastError: string | null;
}

export function cost(told: unknown): Cost {
  const { cost, posted_nano_usd, lines, unpriced } = told as RawCost;
  return { cost, costNanoUsd: BigInt(posted_nano_usd), costUsd: Number(cost), lines, unpriced };
}

export function balance(told: unknown): Balance {
  const { topped_up, window_start, resets_at, as_of, ...raw } = told as RawBalance;
  return {
    ...raw,
    limit: BigInt(raw.limit),
    toppedUp: BigInt(topped_up),
    spent: BigInt(raw.spent),
    held: BigInt(raw.held),
    escrowed: BigInt(raw.escrowed),
    unconfirmed: BigInt(raw.unconfirmed),
    available: BigInt(raw.available),
    windowStart: date(window_start),
    resetsAt: date(resets_at),
    asOf: new Date(as_of),
  };
}

export function page(told: unknown): Page<Balance> {
  const { items, next } = told as { items: unknown[]; next: string | null };
  const made = Page.from(items, balance) as Page<Balance>;
  made.next = next;
  return made;
}

export function decision(told: unknown): Decision {
  const raw = told as {
    allowed: boolean;
    denial: DenialData | null;
    worst_case_nano_usd: Whole;
    input_tokens: number;
    output_tokens: number;
  };
  return {
    allowed: raw.allowed,
    denial: raw.denial === null ? null : denied(raw.denial),
    worstCaseNanoUsd: BigInt(raw.worst_case_nano_usd),
    inputTokens: raw.input_tokens,
    outputTokens: raw.output_tokens,
  };
}

/** The same with camelCase keys, for answers without money. */
export function record<T>(told: unknown): T {
  const entries = Object.entries(told as object).map(([key, value]) => [camel(key), value]);
  return Object.fromEntries(entries) as T;
}
