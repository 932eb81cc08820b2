/** What the guard and its methods are given beside a call. */
import type { ManualClock } from "./clock";
import { ConfigError } from "./errors";
import { encodeForeign } from "./json";
import type { Labels } from "./scope";

/** A configuration in code: the keys of `spendrail.toml` in camelCase. They win over the file. */
export interface GuardOptions {
  /** The configuration file; followed. */
  file?: string;
  /** A configuration as text; `name` stands for it in errors. */
  text?: string;
  name?: string;
  /**
   * A price file's name, a whole price document (it has a `catalog`), a table as in the file, or a list of such; in a
   * list also `{ name, text }`, a document as text. They come over what the configuration names.
   */
  prices?: string | object | readonly (string | { readonly name: string; readonly text: string } | object)[];
  budgets?: readonly object[];
  runLimits?: readonly object[];
  stops?: readonly object[];
  scope?: object;
  telemetry?: object;
  ledger?: object;
  estimate?: object;
  endpoints?: object;
  mode?: "enforce" | "observe" | "off";
  policyVersion?: number;
  /** A clock that a test moves. */
  clock?: ManualClock;
}

/** What selects a price. */
export interface CostOptions extends Labels {
  provider?: string | undefined;
  at?: string | Date | undefined;
  tier?: string | undefined;
  speed?: string | undefined;
  geo?: string | undefined;
  region?: string | undefined;
}

/** Which accounts. */
export interface BalanceQuery extends Labels {
  budget?: string | undefined;
  /** Most accounts of a page. */
  limit?: number | undefined;
  /** The `next` of the page before. */
  after?: string | null | undefined;
}

/** The limit of one account; `null` clears what was set. */
export interface LimitOptions extends Labels {
  amount: string | null;
  timezone?: string | undefined;
}

/** Which entries of the statement. */
export interface StatementQuery extends Labels {
  /** Settled then or later. */
  since?: string | Date | undefined;
  /** Settled before. */
  until?: string | Date | undefined;
}

/** How a client is wrapped. */
export interface WrapOptions extends Labels {
  /** Whose prices apply, where the client's class does not tell: an OpenAI-compatible server. */
  provider?: string | undefined;
}

/** A configuration as the core takes it: a file, or a text, and over them what is given in code. */
export function setup(config: string | GuardOptions | undefined): Record<string, unknown> {
  if (typeof config === "string") return { file: config };
  if (config !== undefined && !isOptions(config)) {
    throw new ConfigError({
      code: "config_invalid",
      message: "`config`: is neither the name of a file nor a table of options",
      field: "config",
    });
  }
  const { file, text, name, clock: _, prices, ...values } = { ...config };
  const { files, tables, texts } = sorted(prices);
  if (files.length > 0) tables.push({ files });
  const inCode = tables.length === 0 ? values : { ...values, prices: merged(tables) };
  // What is given in code is a configuration of its own, even where it is only prices.
  const given = Object.keys(inCode).length > 0 || texts.length > 0 ? inCode : undefined;
  return { file, text, name, prices: texts.length > 0 ? texts : undefined, config: given };
}

/** Names of files, tables as in the file, and documents as text. What is none of them the core refuses. */
function sorted(prices: unknown): { files: string[]; tables: unknown[]; texts: unknown[] } {
  const [files, tables, texts]: [string[], unknown[], unknown[]] = [[], [], []];
  const listed = Array.isArray(prices);
  for (const one of listed ? (prices as unknown[]) : prices === undefined ? [] : [prices]) {
    const keys = typeof one === "object" && one !== null ? one : undefined;
    if (typeof one === "string") files.push(one);
    else if (keys === undefined) (listed ? texts : tables).push(one);
    else if ("catalog" in keys) texts.push({ name: `prices[${texts.length}]`, text: encodeForeign(one) });
    else if ("text" in keys || "name" in keys) texts.push(one);
    else tables.push(one);
  }
  return { files, tables, texts };
}

/** A URL has no options, and would pass for a table without any. */
function isOptions(one: unknown): boolean {
  return typeof one === "object" && one !== null && !Array.isArray(one) && !(one instanceof URL);
}

/** One is itself, whatever it is: the core says what is wrong with it. */
function merged(tables: readonly unknown[]): unknown {
  return tables.length === 1 ? tables[0] : Object.assign({}, ...tables);
}
