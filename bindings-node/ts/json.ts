/** Arguments on their way to the core: JSON with the core's keys. Nothing is dropped or rounded on the way. */
import { argumentInvalid } from "./errors";
import { snake } from "./names";

const DEPTH_MAX = 64;
/** Tables whose keys are the application's own. */
const OWN_KEYS = new Set(["tags", "match", "deployments", "headers", "models", "usage", "rates"]);

/** Arguments as JSON. What JSON would drop or bend (NaN, functions, half surrogates) is refused. */
export function encode(args: object): string {
  return JSON.stringify(plain(args, "", true, 0));
}

/** A provider's request or reply as JSON: not ours to judge, but it must be JSON that the core can read. */
export function encodeForeign(value: unknown): string {
  const text = typeof value === "string" ? value : stringified(value);
  if (text === undefined) return "null";
  if (!/\\u[dD][89a-fA-F]/.test(text)) return text;
  // The provider may take half of a surrogate pair; it is counted as the replacement character.
  return JSON.stringify(JSON.parse(text), (_, part: unknown) =>
    typeof part === "string" ? wellFormed(part) : part,
  );
}

function stringified(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    // A bigint, or an object that is inside of itself; what a getter throws is the application's own.
    if (!(error instanceof TypeError)) throw error;
    const why = error.message.split("\n", 1)[0] as string;
    throw argumentInvalid("reply", `cannot be written as JSON: ${why}`);
  }
}

/** Encoded arguments with foreign values put in as they are: texts are JSON already. */
export function join(args: string, foreign: object): string {
  const parts = Object.entries(foreign).map(([key, value]) => `"${key}":${encodeForeign(value)}`);
  if (parts.length === 0) return args;
  return args === "{}" ? `{${parts.join()}}` : `${args.slice(0, -1)},${parts.join()}}`;
}

function wellFormed(text: string): string {
  return text.replace(/[\uD800-\uDBFF][\uDC00-\uDFFF]|[\uD800-\uDFFF]/g, (unit) =>
    unit.length === 2 ? unit : "\uFFFD",
  );
}

function plain(value: unknown, path: string, named: boolean, depth: number): unknown {
  if (depth > DEPTH_MAX) throw argumentInvalid(path, `is nested deeper than ${DEPTH_MAX} levels`);
  switch (typeof value) {
    case "string":
      if (/[\uD800-\uDFFF]/.test(value) && wellFormed(value) !== value) {
        throw argumentInvalid(path, "is not valid Unicode: it has half of a surrogate pair", "label_invalid");
      }
      return value;
    case "boolean":
    case "undefined":
      return value;
    case "number":
      if (!Number.isFinite(value)) throw argumentInvalid(path, `is ${value}, not a number`);
      return value;
    case "bigint":
      // Beyond what JSON carries exactly the core refuses the text.
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    case "object":
      return value === null ? null : table(value, path, named, depth);
    default:
      throw argumentInvalid(path, `is a ${typeof value}`);
  }
}

function table(value: object, path: string, named: boolean, depth: number): unknown {
  if (Array.isArray(value)) {
    return value.map((item, at) => plain(item, `${path}[${at}]`, named, depth + 1) ?? null);
  }
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw argumentInvalid(path, "is an invalid Date");
    return value.toISOString();
  }
  const own: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const name = named ? snake(key) : key;
    own[name] = plain(item, path === "" ? key : `${path}.${key}`, named && !OWN_KEYS.has(name), depth + 1);
  }
  return own;
}
