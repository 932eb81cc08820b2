/** The receipts of replies. */
import type { Receipt } from "../receipt";

const receipts = new WeakMap<object, Receipt>();

/** The receipt of a wrapped client's reply, or of a stream that has ended; null if there is none (yet). */
export function receiptOf(reply: unknown): Receipt | null {
  return typeof reply === "object" && reply !== null ? (receipts.get(reply) ?? null) : null;
}

/** Remembers the receipt of a reply. */
export function keepReceipt(reply: unknown, receipt: Receipt): void {
  if (typeof reply === "object" && reply !== null) receipts.set(reply, receipt);
}
