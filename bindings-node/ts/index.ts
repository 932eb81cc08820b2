/**
 * Spendrail: a guard rail for LLM spending.
 *
 * Before a model call leaves the process its worst case is held on every budget that applies; after the call it is
 * settled for what was really used; a call that does not fit, or a run that goes in circles, is refused before it
 * costs anything. Start at {@link Guard}.
 */
export type { Call, SpendRecord, ToolCall } from "./calls";
export {
  BudgetExceeded,
  type Code,
  ConfigError,
  type DenialData,
  Denied,
  denialOf,
  type Failure,
  IdReused,
  InvalidInput,
  isDenied,
  LedgerUnavailable,
  LoopDetected,
  type Problem,
  RateExceeded,
  RunLimitExceeded,
  SpendrailError,
  Stopped,
  UnknownModel,
} from "./errors";
export type { Events } from "./events";
export type {
  ExplainedLine,
  ExplainedMultiplier,
  Explanation,
  Place,
  Selection,
} from "./explanation";
export { Guard } from "./guard";
export { Hold, type Settlement } from "./hold";
export type {
  BalanceQuery,
  CostOptions,
  GuardOptions,
  LimitOptions,
  StatementQuery,
  WrapOptions,
} from "./options";
export {
  type Balance,
  type Cost,
  type Decision,
  type FlushReport,
  type Line,
  type Listed,
  type Page,
  type PriceNote,
  type PriceReport,
  Receipt,
  type ReloadReport,
  type Remaining,
  type Stop,
} from "./receipt";
export { type CarriedRun, Run, type RunOptions, type ToolOptions } from "./run";
export type { Labels } from "./scope";
export {
  type DenialCount,
  Entry,
  type Simulation,
  type SimulationOptions,
  simulate,
} from "./statements";
export { type Buckets, type InclusiveTotals, Usage } from "./usage";
export { receiptOf } from "./wrap/receipts";
