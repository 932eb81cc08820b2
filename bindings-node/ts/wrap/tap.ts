/**
 * Watches a reply while the caller reads it, at the HTTP response itself: whatever the SDK makes of it (a reply, events,
 * a helper's own iterator, the raw response) comes through here, and stays the SDK's own type.
 */
import { type Call, errorType } from "./call";
import { remember } from "./receipts";
import { Events } from "./sse";

/** What looks at the bytes of a reply. Each method answers with the bytes that go on to the caller. */
interface Tap {
  feed(bytes: Uint8Array): Uint8Array;
  /** All bytes are here. */
  ended(): Uint8Array;
  /** The bytes broke off. */
  failed(error: unknown): void;
  /** The caller does not want the rest. */
  closed(): void;
}

const NOTHING = new Uint8Array();

/** The response, settled by what the caller reads of it. `signal`: what the caller aborts it with. */
export function tap(response: Response, call: Call, signal: AbortSignal | null | undefined): Response {
  // A middleware that sends twice has two replies; the first settles.
  if (!call.open || call.tapped) return response;
  // Of an empty reply the SDKs read nothing.
  if (response.body === null || (!call.streams && response.headers.get("content-length") === "0")) {
    call.finish();
    return response;
  }
  const kind = response.headers.get("content-type") ?? "";
  const events = kind.startsWith("text/event-stream") || (call.streams && !kind.includes("json"));
  const own = events ? new StreamTap(call) : new BodyTap(call);
  call.tapped = true;
  const { status, statusText, headers } = response;
  const watched = new Response(through(response.body, own, signal), { status, statusText, headers });
  for (const key of ["url", "redirected", "type"] as const) {
    Object.defineProperty(watched, key, { value: response[key], configurable: true });
  }
  remember(watched, call);
  return watched;
}

/** A body whose reader is watched. It reads no further ahead than its reader. */
function through(
  body: ReadableStream<Uint8Array>,
  own: Tap,
  signal: AbortSignal | null | undefined,
): ReadableStream<Uint8Array> {
  const source = body[Symbol.asyncIterator]();
  const aborted = closing(new WeakRef(own));
  const over = () => signal?.removeEventListener("abort", aborted);
  signal?.addEventListener("abort", aborted, { once: true });
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          let next: IteratorResult<Uint8Array>;
          try {
            next = await source.next();
          } catch (error) {
            over();
            if (signal?.aborted) own.closed();
            else own.failed(error);
            throw error;
          }
          const out = next.done ? own.ended() : own.feed(next.value);
          if (out.length > 0) controller.enqueue(out);
          if (next.done) {
            over();
            controller.close();
            return;
          }
          if (out.length > 0) return;
        }
      },
      async cancel() {
        over();
        own.closed();
        await source.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * What an abort does. The connection knows the signal, and must not keep a reply that nobody holds any more: that is
 * why this is no closure of the function above.
 */
function closing(own: WeakRef<Tap>): () => void {
  return () => own.deref()?.closed();
}

/** A stream of events. */
class StreamTap implements Tap {
  readonly #call: Call;
  readonly #events: Events;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  #error: string | undefined;

  constructor(call: Call) {
    this.#call = call;
    this.#events = new Events((name, data) => this.#see(name, data));
    call.stream();
  }

  feed(bytes: Uint8Array): Uint8Array {
    const out = this.#events.feed(this.#decoder.decode(bytes, { stream: true }));
    return this.#call.hidesUsage ? this.#encoder.encode(out) : bytes;
  }

  ended(): Uint8Array {
    const rest = this.#events.feed(this.#decoder.decode()) + this.#events.end();
    // Every API says when a stream is over; one that just stops was cut.
    if (this.#error === undefined && this.#call.open && this.#call.complete) this.#call.finish();
    else this.#call.cut(this.#error ?? "incomplete_stream");
    return this.#call.hidesUsage ? this.#encoder.encode(rest) : NOTHING;
  }

  failed(error: unknown): void {
    this.#call.cut(this.#error ?? errorType(error));
  }

  closed(): void {
    if (this.#error === undefined) this.#call.close();
    else this.#call.cut(this.#error);
  }

  #see(name: string, data: string): boolean {
    if (data.startsWith("[DONE]")) {
      this.#call.finish();
      return false;
    }
    if (this.#call.replyId === undefined) this.#name(data);
    if (name === "error" || data.includes('"error"')) this.#error ??= errorIn(name, data);
    const hidden = this.#call.chunk(data);
    if (name === "message_stop") this.#call.finish();
    return hidden;
  }

  /** The reply's id, in the first event that has one. */
  #name(data: string): void {
    const event = read(data);
    for (const part of [event, event?.message, event?.response]) {
      const id = (part as { id?: unknown } | undefined)?.id;
      if (typeof id !== "string") continue;
      this.#call.replyId = id;
      return;
    }
  }
}

/** A whole body. */
class BodyTap implements Tap {
  readonly #call: Call;
  readonly #decoder = new TextDecoder();
  #text = "";
  #over = false;

  constructor(call: Call) {
    this.#call = call;
  }

  feed(bytes: Uint8Array): Uint8Array {
    this.#text += this.#decoder.decode(bytes, { stream: true });
    return bytes;
  }

  ended(): Uint8Array {
    this.#over = true;
    this.#call.settle(this.#text + this.#decoder.decode());
    return NOTHING;
  }

  failed(error: unknown): void {
    this.#broken(errorType(error));
  }

  closed(): void {
    // Nobody stops a generation that is not streamed: it is billed, read or not.
    this.#broken("closed_unread");
  }

  /** Once: a signal closes the reply, and what is being read of it fails. */
  #broken(errorType: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#call.broken(errorType);
  }
}

/** The error that an event of a stream is. */
function errorIn(name: string, data: string): string | undefined {
  const event = read(data) ?? {};
  const { error, type } = event;
  if (!error && type !== "error" && name !== "error") return undefined;
  const parts = typeof error === "object" && error !== null ? (error as Record<string, unknown>) : event;
  for (const own of [parts.code, parts.type]) if (typeof own === "string") return own.slice(0, 64);
  return "error";
}

function read(data: string): Record<string, unknown> | undefined {
  try {
    const event: unknown = JSON.parse(data);
    return typeof event === "object" && event !== null ? (event as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
