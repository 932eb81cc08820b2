/** A guarded request, from its hold to its receipt. What ends it first counts; later endings change nothing. */
import { Hold } from "../hold";
import { type Ending, native } from "../native";
import { active } from "../otel";
import type { Receipt } from "../receipt";
import { rememberId } from "./receipts";

/** What a request that never got a connection fails with. */
const NEVER_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

const NAME = /^[A-Za-z0-9_.-]{1,64}$/;

export class Call {
  readonly api: string;
  readonly hold: Hold;
  /** The reply is asked for as a stream. */
  readonly streams: boolean;
  /** The chunk with the usage was asked for by us, not by the caller. */
  readonly hidesUsage: boolean;
  receipt: Receipt | null = null;
  /** The id of a streamed reply. */
  replyId: string | undefined;
  open = true;
  /** The reply is being read by the caller: how that ends is how the call ends. */
  tapped = false;
  /** The SDK is reading the reply: if that fails, the SDK may send the request again. */
  parsed = false;
  /** Attempts that were sent and brought no whole answer: each may have been billed. */
  lost = 0;

  constructor(api: string, hold: Hold, streams: boolean, hidesUsage: boolean) {
    this.api = api;
    this.hold = hold;
    this.streams = streams;
    this.hidesUsage = hidesUsage;
  }

  /** Sends it once, inside of its span. `signal`: what it is aborted with. */
  async attempt(send: () => Promise<Response>, signal: AbortSignal | null | undefined): Promise<Response> {
    const aborted = signal?.aborted === true;
    try {
      return await active(native.holdSpan(this.#handle), send);
    } catch (error) {
      // What was aborted before it was sent was read by nobody.
      if (!aborted && !neverSent(error)) this.lost += 1;
      throw error;
    }
  }

  /** The reply will come in events. */
  stream(): void {
    native.stream(this.#handle, this.api);
  }

  /** One event of a stream. True: hide it. */
  chunk(data: string): boolean {
    return this.open && native.chunk(this.#handle, data) && this.hidesUsage;
  }

  /** The last word on the usage has arrived. */
  get complete(): boolean {
    return native.isComplete(this.#handle);
  }

  /** The whole reply is here. */
  settle(body: string): void {
    this.#end(() => native.settleReply(this.#handle, body, undefined));
  }

  /** The stream came to its end. */
  finish(): void {
    this.#end(() => native.finish(this.#handle));
  }

  /** We closed the stream. */
  close(): void {
    this.#end(() => native.close(this.#handle));
  }

  /** The reply is lost, or part of it. */
  cut(errorType: string): void {
    this.#end(() => native.cut(this.#handle, errorType));
  }

  /** A whole reply broke off. How the SDK goes on decides, if it is the SDK that reads. */
  broken(errorType: string): void {
    if (this.parsed) {
      this.lost += 1;
      this.tapped = false;
    } else {
      this.cut(errorType);
    }
  }

  /** Nothing was billed. */
  release(errorType: string | undefined): void {
    if (!this.open) return;
    this.open = false;
    Hold.release(this.hold, errorType);
  }

  get #handle(): number {
    return Hold.handle(this.hold);
  }

  #end(ending: () => Ending): void {
    if (!this.open) return;
    this.open = false;
    for (let lost = 0; lost < this.lost; lost += 1) native.lostAttempt(this.#handle);
    let told = ending();
    if (told === 0) {
      // The caller has its reply and must not lose it. One that cannot be read costs what was reserved.
      native.takeFailure();
      native.stream(this.#handle, undefined);
      told = native.finish(this.#handle);
    }
    if (told === 0) return;
    this.receipt = Hold.closed(this.hold, told);
    if (this.replyId !== undefined) rememberId(this.replyId, this.receipt);
  }
}

/** The low-cardinality name of a failure: the provider's own code, else the status, else the error's class. */
export function errorType(error: unknown): string {
  if (typeof error !== "object" || error === null) return "_OTHER";
  const { code, type, status, name } = error as Record<string, unknown>;
  for (const own of [code, type]) if (typeof own === "string" && NAME.test(own)) return own;
  if (typeof status === "number") return String(status);
  const known = error.constructor.name || String(name);
  return known.includes("Timeout") ? "timeout" : known;
}

/** The request did not get as far as the provider. */
export function neverSent(error: unknown): boolean {
  for (let at = error; typeof at === "object" && at !== null; at = (at as Error).cause) {
    if (NEVER_SENT.has(String((at as { code?: unknown }).code))) return true;
  }
  return false;
}
