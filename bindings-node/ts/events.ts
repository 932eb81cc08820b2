/** Events, as listeners get them: on the main loop, without keeping the process alive. */
import {
  argumentInvalid,
  badConfig,
  type DenialData,
  type Denied,
  denied,
  failed,
  fault,
  type SpendrailError,
} from "./errors";
import { native } from "./native";
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
function event(text: string): Events[keyof Events] {
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
      return { error: badConfig(fault(told.error as Parameters<typeof fault>[0])) };
  }
}

type Listener = (told: never) => void;

/** Who listens to a guard. The core is asked for a kind of event once somebody listens to it. */
export class Listeners {
  readonly #guard: number;
  readonly #kinds = new Map<string, Set<Listener>>();

  constructor(guard: number) {
    this.#guard = guard;
  }

  /** Returns how to stop. */
  add(kind: string, listener: Listener): () => void {
    if (typeof listener !== "function") throw argumentInvalid("listener", "is not a function");
    let heard = this.#kinds.get(kind);
    if (heard === undefined) {
      const all = new Set<Listener>();
      if (!native.subscribe(this.#guard, kind, (text) => tell(all, text))) throw failed();
      this.#kinds.set(kind, all);
      heard = all;
    }
    const listeners = heard.add(listener);
    return () => void listeners.delete(listener);
  }
}

function tell(listeners: Set<Listener>, text: string): void {
  const told = event(text);
  for (const listener of listeners) {
    try {
      listener(told as never);
    } catch (error) {
      // The next listener is told all the same; the error comes up where uncaught ones do.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
