/** What a call used, counted by the application. */
import { failed } from "./errors";
import { camel } from "./names";
import { type Ending, native } from "./native";

const QUANTITY_MAX = 2 ** 40;
const keys = (JSON.parse(native.tables()) as { buckets: string[] }).buckets;
const numbers = new Map<string, number>();
for (const [at, key] of keys.entries()) {
  numbers.set(key, at);
  numbers.set(camel(key), at);
}

/** Quantities by bucket. The buckets are disjoint: a cached token is in `cacheRead` and not in `input`. */
export interface Buckets {
  input?: number;
  cacheRead?: number;
  cacheWrite?: number;
  cacheWrite5m?: number;
  cacheWrite1h?: number;
  output?: number;
  outputReasoning?: number;
  webSearch?: number;
  [bucket: string]: number | undefined;
}

/**
 * Totals that include their parts, as OpenAI reports them: `input` includes cache reads and writes, audio and images,
 * `output` includes `reasoning`, audio and images. Any bucket can be a part; the parts are disjoint.
 */
export interface InclusiveTotals extends Buckets {
  reasoning?: number;
}

/** What a call used. Each bucket is a property: `usage.input`, `usage.cacheRead`. */
export class Usage {
  readonly [bucket: string]: number | undefined;

  /**
   * @throws InvalidInput `usage_invalid` for an unknown bucket, or a quantity that is no count of at most 2^40.
   */
  constructor(buckets: Buckets) {
    for (const key in buckets) {
      const quantity = buckets[key];
      if (quantity === undefined) continue;
      if (!numbers.has(key) || !Number.isInteger(quantity) || quantity < 0 || quantity > QUANTITY_MAX) {
        refuse(buckets);
      }
      (this as Record<string, number | undefined>)[key] = quantity;
    }
  }

  /**
   * From totals that include their parts.
   * @throws InvalidInput `usage_invalid` with the part that is larger than its total.
   */
  static inclusive(totals: InclusiveTotals): Usage {
    const told = native.usage(JSON.stringify({ inclusive: toCore(totals) }, loud));
    if (told === null) throw failed();
    return fromCore(JSON.parse(told));
  }
}

/** Usage as the core wrote it. */
export function fromCore(buckets: Record<string, number>): Usage {
  return new Usage(Object.fromEntries(Object.entries(buckets).map(([key, n]) => [camel(key), n])));
}

/** The buckets under the core's names. */
export function toCore(usage: Usage | Buckets): Record<string, unknown> {
  const own: Record<string, unknown> = {};
  for (const [key, quantity] of Object.entries(usage)) {
    const number = numbers.get(key);
    own[number === undefined ? key : (keys[number] as string)] = quantity;
  }
  return own;
}

/** Settles with a usage of up to four buckets, past JSON; undefined if there are more. */
export function settleUsage(hold: number, usage: Usage): Ending | undefined {
  let b1 = -1;
  let b2 = -1;
  let b3 = -1;
  let b4 = -1;
  let q1 = 0;
  let q2 = 0;
  let q3 = 0;
  let q4 = 0;
  let found = 0;
  for (const key in usage) {
    const bucket = numbers.get(key) as number;
    const quantity = usage[key] as number;
    found += 1;
    switch (found) {
      case 1:
        b1 = bucket;
        q1 = quantity;
        break;
      case 2:
        b2 = bucket;
        q2 = quantity;
        break;
      case 3:
        b3 = bucket;
        q3 = quantity;
        break;
      case 4:
        b4 = bucket;
        q4 = quantity;
        break;
      default:
        return undefined;
    }
  }
  return native.settleUsage(hold, b1, q1, b2, q2, b3, q3, b4, q4);
}

/** The core says what is wrong. */
function refuse(buckets: Buckets): never {
  native.usage(JSON.stringify({ usage: toCore(buckets) }, loud));
  throw failed();
}

/** JSON knows neither NaN nor Infinity nor bigints: shown as text, which no count is. */
function loud(_: string, value: unknown): unknown {
  const odd = typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value));
  return odd ? String(value) : value;
}
