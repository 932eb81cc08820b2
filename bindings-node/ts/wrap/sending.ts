/** One guarded request on its way: admitted, sent once or more often, answered or not. */

import { encodeForeign } from "../json";
import { native } from "../native";
import { Call, errorType, neverSent } from "./call";
import type { Client, Guarded, RequestOptions } from "./client";
import { remember } from "./receipts";
import { tap } from "./tap";

/** What `fetch` is called with. */
export interface FetchOptions {
  readonly signal?: AbortSignal | null;
}

/** What the SDK's retry loop ends with. */
export interface Answer {
  response: Response;
  readonly controller?: AbortController;
}

/** Which request an answer is to. */
const answers = new WeakMap<Answer, { sending: Sending; call: Call }>();

/**
 * It is carried along asynchronously, so a connection that is kept alive may know it for long. It knows its call only
 * as long as something is under way: a reply that nobody holds any more is to be collected.
 */
export class Sending {
  readonly #guarded: Guarded;
  readonly #client: Client;
  #call: Call | undefined;
  #path = "";
  #signal: AbortSignal | null | undefined;
  #attempts = 0;

  constructor(guarded: Guarded, client: Client) {
    this.#guarded = guarded;
    this.#client = client;
  }

  /** The request that this is the answer to. */
  static of(answer: Answer): { sending: Sending; call: Call } | undefined {
    return answers.get(answer);
  }

  /** Admits the request and sends it, as often as the SDK sees fit. */
  async begin(
    options: RequestOptions | Promise<RequestOptions>,
    send: (options: RequestOptions) => Promise<Answer>,
  ): Promise<Answer> {
    const admitted = this.#admit(await options);
    try {
      const answer = await this.again(send(admitted));
      if (this.#call !== undefined) answers.set(answer, { sending: this, call: this.#call });
      return answer;
    } finally {
      this.#call = undefined;
    }
  }

  /** An attempt that the SDK makes by itself, or the first. */
  async again(sent: Promise<Answer>): Promise<Answer> {
    const answer = await sent.catch((error: unknown) => {
      this.#failed(error);
      throw error;
    });
    const call = this.#call;
    if (call?.open && !call.tapped) {
      // An answer without an attempt is one of the SDK's middleware: nothing was sent.
      if (this.#attempts === 0 && "middleware" in this.#client) call.release(undefined);
      else answer.response = tap(answer.response, call, answer.controller?.signal);
    }
    return answer;
  }

  /** Reads the reply. What comes out is what the receipt is asked for with. */
  async parse(call: Call, read: () => Promise<unknown>): Promise<unknown> {
    this.#call = call;
    call.parsed = true;
    try {
      const reply = await read();
      remember(reply, call);
      return reply;
    } catch (error) {
      this.#failed(error);
      throw error;
    } finally {
      call.parsed = false;
      this.#call = undefined;
    }
  }

  /** Reserves the request, or finds that there is nothing to reserve. Answers with what is to be sent. */
  #admit(options: RequestOptions): RequestOptions {
    const { guard, provider, labels } = this.#guarded;
    const { method, path } = options;
    const body = bodyOf(options.body);
    const model = typeof body?.model === "string" && body.model !== "" ? body.model : undefined;
    const request = { provider, labels, method, path, model, server: server(this.#client.baseURL) };
    const api = guard.passage(request);
    if (api === "") return options;
    // Aborted before it is sent: the SDK says so, and nothing was billed.
    if (options.signal?.aborted) return options;

    const streams = options.stream === true || body?.stream === true;
    let text = encodeForeign(body ?? options.body);
    let sent = options;
    const asks = streams && native.requestWantsUsage(api, path, text);
    if (asks) {
      const asking = {
        ...body,
        stream_options: { ...(body?.stream_options as object), include_usage: true },
      };
      text = encodeForeign(asking);
      sent = { ...options, body: typeof options.body === "string" ? text : asking };
    }
    this.#path = path.split("?", 1)[0] as string;
    this.#signal = options.signal;
    this.#call = new Call(api, guard.reserveRequest(request, api, text), streams, asks);
    return sent;
  }

  /** Whether a `fetch` to this address is an attempt of this request, and not for a token or the like. */
  sends(url: unknown): boolean {
    if (this.#call === undefined) return false;
    const address = typeof url === "string" || url instanceof URL ? String(url) : (url as Request).url;
    return (address.split("?", 1)[0] as string).endsWith(this.#path);
  }

  /** One attempt, sent inside of our span. */
  async attempt(
    send: (init: FetchOptions | undefined) => Promise<Response>,
    init: FetchOptions | undefined,
  ): Promise<Response> {
    this.#attempts += 1;
    const own = init?.signal ? { ...init, signal: following(init.signal) } : init;
    return (this.#call as Call).attempt(() => send(own), init?.signal);
  }

  #failed(error: unknown): void {
    const call = this.#call;
    if (call === undefined || !call.open || call.tapped) return;
    // What the provider refused in so many words, or never got, it did not bill.
    if (call.lost === 0 && (this.#attempts > 0 || !isLoss(error))) {
      call.release(errorType(error));
      return;
    }
    // How the call ends accounts for one of them itself.
    call.lost = Math.max(0, call.lost - 1);
    if (call.streams && this.#signal?.aborted === true) call.close();
    // Silence is not "not spent": the provider may have read the prompt and answered it.
    else call.cut(errorType(error));
  }
}

/**
 * A signal for the connection alone. A connection that nobody reads stays open, and knows what it was opened with: with
 * the SDK's own signal it would keep all that listens there, down to a reply that nobody holds any more.
 */
function following(signal: AbortSignal): AbortSignal {
  const own = new AbortController();
  const abort = () => own.abort(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return own.signal;
}

/** The SDK could not reach the provider, or has heard nothing of it. */
function isLoss(error: unknown): boolean {
  return error instanceof Error && /Connection|Timeout/.test(error.constructor.name) && !neverSent(error);
}

function bodyOf(body: unknown): Record<string, unknown> | undefined {
  let read = body;
  if (typeof body === "string") {
    try {
      read = JSON.parse(body);
    } catch {
      return undefined;
    }
  }
  const plain =
    typeof read === "object" && read !== null && !Array.isArray(read) && !ArrayBuffer.isView(read);
  return plain ? (read as Record<string, unknown>) : undefined;
}

export function server(baseUrl: string): { address: string; port: number } | undefined {
  if (!URL.canParse(baseUrl)) return undefined;
  const { hostname, port, protocol } = new URL(baseUrl);
  return { address: hostname, port: port === "" ? (protocol === "http:" ? 80 : 443) : Number(port) };
}
