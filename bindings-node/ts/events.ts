/** Events, as listeners get them: on the main loop, without keeping the process alive. */
import { type DenialData, type Denied, denied, fault, type SpendrailError } from "./errors";
import { type Balance, balance, Receipt, type ReloadReport, record } from "./receipt";
import type { Labels } from "./scope";

/** What listeners of each event get. */
export interface Events {
  settled: { receipt: Receipt };
  over_run: { receipt: Receipt };
  /** What the provider reports is not what its prices say. */
  cost_differs: { receipt: Receipt };
  denied: { denial: Denied; scope: Labels };
  loop: { denial: Denied; scope: Labels };
  threshold: { balance: Balance; basisPoints: number };
  stopped: { stopId: string; reason: string; active: boolean };
  reloaded: { report: ReloadReport };
  reload_failed: { error: SpendrailError };
}

/** An event of the core. */
export function event(text: string): Events[keyof Events] {
  const told = JSON.parse(text) as Record<string, unknown>;
  switch (told.event) {
    case "settled":
    case "over_run":
    case "cost_differs":
      return { receipt: new Receipt(told.receipt as object) };
    case "denied":
    case "loop":
      return { denial: denied(told.denial as DenialData), scope: told.scope as Labels };
    case "threshold":
      return { balance: balance(told.balance), basisPoints: told.basis_points as number };
    case "stopped":
      return { stopId: String(told.stop_id), reason: String(told.reason), active: told.active === true };
    case "reloaded":
      return { report: record<ReloadReport>(told.report) };
    default:
      return { error: fault(told.error as Parameters<typeof fault>[0]) };
  }
}
