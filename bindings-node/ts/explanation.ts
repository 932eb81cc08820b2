/** Why a usage costs what it costs: facts, and a text that people read. */
import { date } from "./errors";
import { camel } from "./names";

/** Where something is said: the layer, the file, and the line if it is known. */
export interface Place {
  readonly layer: "built-in" | "file" | "code" | "configuration";
  readonly file: string | null;
  readonly line: number | null;
}

/** What was selected of the price entry. */
export interface Selection {
  /** When the prices begin; null: since ever. */
  readonly begins: Date | null;
  readonly ends: Date | null;
  readonly periodPlace: Place | null;
  /** What the price file cites. */
  readonly source: string | null;
  readonly note: string | null;
  /** The tier that is priced. */
  readonly tier: string;
  /** The conditions of the variant whose rates hold. */
  readonly variant: string | null;
  readonly variantPlace: Place | null;
  /** The length of input that is exceeded. */
  readonly inputGt: number | null;
}

/** One multiplier of a line. */
export interface ExplainedMultiplier {
  readonly factor: string;
  readonly by: "modifier" | "variant" | "override" | "batch_default";
  /** Its conditions, or whose override it is. */
  readonly when: string;
  readonly place: Place | null;
}

/** One line: quantity x rate x multipliers. */
export interface ExplainedLine {
  readonly bucket: string;
  readonly quantity: number;
  /** What was used; less than the quantity where the provider bills a minimum. */
  readonly used: number;
  /** USD for `per` units, exact. */
  readonly rate: string;
  readonly per: number;
  readonly factor: string;
  /** USD, exact. */
  readonly amount: string;
  /** The bucket, and the keys under which its rate was looked for until it was found. */
  readonly chain: readonly string[];
  /** Empty for a rate of the catalog; else the setting that gave it. */
  readonly rateFrom: string;
  readonly place: Place | null;
  readonly multipliers: readonly ExplainedMultiplier[];
}

/** Why a usage costs what it costs. As text it settles an invoice dispute. */
export interface Explanation {
  readonly askedProvider: string | null;
  readonly askedModel: string;
  readonly askedTier: string | null;
  readonly at: Date;
  /** What `[prices] deployments` makes of the name. */
  readonly deployment: string | null;
  readonly provider: string;
  readonly model: string;
  /**
   * How the name led to the entry: `exact`, `alias`, `date_suffix`, `pattern`, `inherited`; or what stands for a model
   * that is in no catalog: `fallback_price`, `zero_with_warning`.
   */
  readonly found: string;
  readonly sameAs: string | null;
  /** Every place that says something about the model, the lowest layer first. */
  readonly places: readonly Place[];
  readonly priceVersion: string;
  readonly totalInput: number;
  /** Null if nothing is listed for the instant. */
  readonly selection: Selection | null;
  readonly lines: readonly ExplainedLine[];
  readonly unpriced: readonly string[];
  /** USD, exact. */
  readonly cost: string;
  /** Rounded up once. */
  readonly costNanoUsd: bigint;
  /** USD, for display only. */
  readonly costUsd: number;
  /** The same for people. */
  readonly text: string;
  toString(): string;
}

/** An explanation as the core wrote it. */
export function explanation(told: unknown): Explanation {
  const { postedNanoUsd, at, selection, ...facts } = named(told) as Record<string, never> & {
    postedNanoUsd: number | string;
    at: string;
    cost: string;
    text: string;
    selection: (Record<string, never> & { begins: string | null; ends: string | null }) | null;
  };
  const own = {
    ...facts,
    at: new Date(at),
    selection:
      selection === null
        ? null
        : { ...selection, begins: date(selection.begins), ends: date(selection.ends) },
    costNanoUsd: BigInt(postedNanoUsd),
    costUsd: Number(facts.cost),
  };
  const shown = { value: () => facts.text, enumerable: false };
  return Object.defineProperty(own, "toString", shown) as unknown as Explanation;
}

/** The same with camelCase keys, also inside. */
function named(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(named);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [camel(key), named(item)]));
}
