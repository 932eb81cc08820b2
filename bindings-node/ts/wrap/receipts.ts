/** The receipts of replies. */
import type { Receipt } from "../receipt";
import type { Call } from "./call";

const calls = new WeakMap<object, Call>();
/** By the reply's id, for what the SDKs make of a reply or of its events. The latest ones. */
const ids = new Map<string, Receipt>();
const IDS_MAX = 256;

/**
 * The receipt of what a wrapped client answered: a reply, a stream that has ended, a `Response` that was read. Null
 * where there is none, or not yet.
 */
export function receiptOf(reply: unknown): Receipt | null {
  if (typeof reply !== "object" || reply === null) return null;
  const { id } = reply as { id?: unknown };
  const own = calls.get(reply)?.receipt;
  return own ?? (typeof id === "string" ? ids.get(id) : undefined) ?? null;
}

/** Remembers whose reply this is. */
export function remember(reply: unknown, call: Call): void {
  if (typeof reply !== "object" || reply === null) return;
  calls.set(reply, call);
  const { id } = reply as { id?: unknown };
  if (typeof id === "string" && call.receipt !== null) rememberId(id, call.receipt);
}

/** Remembers the receipt of the reply with this id. */
export function rememberId(id: string, receipt: Receipt): void {
  ids.set(id, receipt);
  if (ids.size > IDS_MAX) ids.delete(ids.keys().next().value as string);
}
