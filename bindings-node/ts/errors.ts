/** Errors are classes with a stable `code`. A denial is the answer "no"; everything else is a fault. */
import { camel } from "./names";
import { native } from "./native";

const DENIED = Symbol.for("spendrail.denied");

/** What went wrong, as the core tells it. */
interface Fault {
  code: string;
  message: string;
  field?: string | null;
  hint?: string | null;
  file?: string | null;
  line?: number | null;
}

/** The base of everything that Spendrail throws. */
export class SpendrailError extends Error {
  /** Stable, snake_case. */
  readonly code: Code;
  /** The argument or the path in the configuration that is at fault. */
  readonly field: string | null;
  /** What to do. */
  readonly hint: string | null;
  /** The file at fault. */
  readonly file: string | null;
  /** The line in the file, from 1. */
  readonly line: number | null;

  constructor(fault: Fault) {
    super(fault.message);
    this.code = fault.code as Code;
    this.field = fault.field ?? null;
    this.hint = fault.hint ?? null;
    this.file = fault.file ?? null;
    this.line = fault.line ?? null;
  }
}

/** A configuration or a price file that does not hold. */
export class ConfigError extends SpendrailError {}
/** The ledger could not be asked, or has lost an account. */
export class LedgerUnavailable extends SpendrailError {}
/** The same id with other content. */
export class IdReused extends SpendrailError {}
/** An argument, a label, an amount, a usage or a token that does not hold. */
export class InvalidInput extends SpendrailError {}

/** One account that a call does not fit on. Amounts are in nano-USD for `usd`, else counted in the unit. */
export interface Failure {
  readonly budget: string;
  readonly scope: Readonly<Record<string, string | null>>;
  readonly unit: string;
  readonly limit: bigint;
  readonly spent: bigint;
  readonly held: bigint;
  readonly unconfirmed: bigint;
  readonly available: bigint;
  readonly wanted: bigint;
  readonly enforce: "hard" | "soft" | "observe";
  readonly resetsAt: Date | null;
}

/** A problem document (RFC 9457): what may be told to a user. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly retry_at?: string;
  readonly max_output_tokens?: number;
}

/** A denial as plain data: what `toJSON` gives and `Denied.from` takes. */
export interface DenialData {
  readonly code: string;
  readonly message: string;
  readonly failures: readonly RawFailure[];
  readonly max_output_tokens: number | null;
  readonly retry_at: string | null;
  readonly retry_after_ms: number | null;
  readonly http_status: number;
  readonly denied_at: string;
  readonly subject: string | null;
  readonly problem: Problem;
}

/** @internal */
export interface RawFailure {
  readonly budget: string;
  readonly scope: Record<string, string | null>;
  readonly unit: string;
  readonly limit: number | string;
  readonly spent: number | string;
  readonly held: number | string;
  readonly unconfirmed: number | string;
  readonly available: number | string;
  readonly wanted: number | string;
  readonly enforce: "hard" | "soft" | "observe";
  readonly resets_at: string | null;
}

/** The answer "no": the call was not made. */
export class Denied extends SpendrailError {
  /** The denial as plain data. Here because `structuredClone` keeps the cause of an error, and nothing else of ours. */
  declare readonly cause: DenialData;
  /** Every account that the call does not fit on. */
  readonly failures: readonly Failure[];
  /** The most output tokens with which the call would fit now. */
  readonly maxOutputTokens: number | null;
  /** When it could fit; null: waiting alone does not help. */
  readonly retryAt: Date | null;
  /** Seconds until then. */
  readonly retryAfter: number | null;
  /** What a service in front of users would answer with. */
  readonly httpStatus: number;
  /** When it was denied. */
  readonly deniedAt: Date;
  /** What it is about where no account was the reason: a model, a dimension, a stop, a run. */
  readonly subject: string | null;

  constructor(data: DenialData) {
    super(data);
    Object.defineProperty(this, "cause", {
      value: data,
      enumerable: false,
      configurable: true,
      writable: true,
    });
    this.failures = failures(data.failures);
    this.maxOutputTokens = data.max_output_tokens;
    this.retryAt = date(data.retry_at);
    this.retryAfter = data.retry_after_ms === null ? null : data.retry_after_ms / 1000;
    this.httpStatus = data.http_status;
    this.deniedAt = new Date(data.denied_at);
    this.subject = data.subject;
  }

  get [DENIED](): true {
    return true;
  }

  /** A problem document (RFC 9457) without any internal name. */
  toProblem(): Problem {
    return { ...this.cause.problem };
  }

  /** Plain data, for logs, queues and other threads. */
  toJSON(): DenialData {
    return this.cause;
  }

  /** The denial again, from what `toJSON`, `JSON.parse` or `structuredClone` made of it. */
  static from(cloned: unknown): Denied {
    const data = (cloned instanceof Error ? cloned.cause : cloned) as DenialData | null | undefined;
    if (typeof data?.code !== "string" || !Array.isArray(data.failures)) {
      throw argumentInvalid("cloned", "is no denial");
    }
    return denied(data);
  }
}

/** A budget has not enough left. */
export class BudgetExceeded extends Denied {}
/** A budget in requests, tool calls or concurrent calls is full: try later. */
export class RateExceeded extends Denied {}
/** A run limit is reached. */
export class RunLimitExceeded extends Denied {}
/** The same request was made too often in one run. */
export class LoopDetected extends Denied {}
/** No price is known. */
export class UnknownModel extends Denied {}
/** An operator's or a file's stop covers this call. */
export class Stopped extends Denied {}

/** Which class each code of the core's table is thrown as. */
export const CLASSES = {
  budget_exceeded: BudgetExceeded,
  rate_exceeded: RateExceeded,
  run_limit_exceeded: RunLimitExceeded,
  loop_detected: LoopDetected,
  unknown_model: UnknownModel,
  ambiguous_model: UnknownModel,
  unpriced_bucket: UnknownModel,
  unbounded_output: Denied,
  unbounded_input: Denied,
  scope_missing: Denied,
  stopped: Stopped,
  unguarded_endpoint: Denied,
  run_closed: Denied,
  too_many_accounts: Denied,
  ledger_not_shared: Denied,
  config_invalid: ConfigError,
  prices_invalid: ConfigError,
  amount_invalid: InvalidInput,
  amount_too_large: InvalidInput,
  label_invalid: InvalidInput,
  argument_invalid: InvalidInput,
  usage_invalid: InvalidInput,
  id_reused: IdReused,
  token_invalid: InvalidInput,
  budget_unknown: InvalidInput,
  stop_unknown: InvalidInput,
  too_many_legs: InvalidInput,
  hold_closed: InvalidInput,
  ledger_unavailable: LedgerUnavailable,
  ledger_lost: LedgerUnavailable,
  closed: SpendrailError,
  hold_foreign: SpendrailError,
  io: SpendrailError,
  internal: SpendrailError,
} as const;

/** A stable code of a denial or an error. */
export type Code = keyof typeof CLASSES;

for (const type of [SpendrailError, Denied, ...Object.values(CLASSES)]) {
  Object.defineProperty(type.prototype, "name", { value: type.name, configurable: true, writable: true });
}

/** Whether this is a denial, of whatever copy of this package. */
export function isDenied(error: unknown): error is Denied {
  return typeof error === "object" && error !== null && DENIED in error;
}

/** The denial that an error is, or that it was caused by: helpers of the SDKs put errors of their own around others. */
export function denialOf(error: unknown): Denied | null {
  let at = error;
  for (let depth = 0; depth < 16 && at instanceof Error; depth++) {
    if (isDenied(at)) return at;
    at = at.cause;
  }
  return null;
}

/** Why the native function that was just called had no answer. */
export function failed(): SpendrailError {
  const told = JSON.parse(native.takeFailure()) as { denied?: DenialData; error?: Fault };
  return told.denied === undefined ? fault(told.error as Fault) : denied(told.denied);
}

/**
 * What is bad input elsewhere, or a file that cannot be read, is a bad configuration where a guard is made, or made
 * anew by its files.
 */
export function badConfig(error: SpendrailError): SpendrailError {
  if (!(error instanceof InvalidInput || error.code === "io")) return error;
  const { code, message, field, hint, file, line } = error;
  return new ConfigError({ code, message, field, hint, file, line });
}

/** What another thread answers: `{ok: …}` or `{error: …}`. */
export function answeredLater(text: string): unknown {
  const answer = JSON.parse(text) as { ok?: unknown; error?: Fault };
  if (answer.error !== undefined) throw fault(answer.error);
  return answer.ok;
}

/** A fault of the core. Its field is a path in arguments, unless it is one in a file. */
export function fault(told: Fault): SpendrailError {
  const type = CLASSES[told.code as Code] ?? SpendrailError;
  // `cost` of an unknown model is a fault, although the same code denies a call.
  const made = type.prototype instanceof Denied || type === Denied ? SpendrailError : type;
  const field = told.field == null || told.file != null ? told.field : camel(told.field);
  return new (made as typeof SpendrailError)({ ...told, field: field ?? null });
}

/** A denial of the core. */
export function denied(data: DenialData): Denied {
  const type = CLASSES[data.code as Code] as unknown as typeof Denied;
  return new (type?.prototype instanceof Denied ? type : Denied)(data);
}

/** An argument that never reaches the core. */
export function argumentInvalid(
  field: string,
  message: string,
  code: Code = "argument_invalid",
): InvalidInput {
  return new InvalidInput({ code, message: field === "" ? message : `\`${field}\`: ${message}`, field });
}

/** The low-cardinality name of a failure, for telemetry. */
export function errorType(error: unknown): string {
  if (isDenied(error)) return error.code;
  if (error instanceof Error) return error.constructor.name || error.name;
  return "_OTHER";
}

/** Failures of the core. */
export function failures(raw: readonly RawFailure[]): Failure[] {
  return raw.map(failure);
}

function failure(raw: RawFailure): Failure {
  const { limit, spent, held, unconfirmed, available, wanted, resets_at, ...rest } = raw;
  return {
    ...rest,
    limit: BigInt(limit),
    spent: BigInt(spent),
    held: BigInt(held),
    unconfirmed: BigInt(unconfirmed),
    available: BigInt(available),
    wanted: BigInt(wanted),
    resetsAt: date(resets_at),
  };
}

/** An instant of the core. */
export function date(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
