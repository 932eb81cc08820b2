/** A provider for tests of applications: it answers what it was told to, to the byte, over HTTP on the loopback. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One answer. */
export interface Reply {
  /** Text, bytes, or a value that is written as JSON. */
  body?: unknown;
  /** A stream of server-sent events instead: values, `[name, value]` pairs, or bytes that are sent as they are. */
  events?: readonly unknown[];
  /** 200 unless told otherwise. */
  status?: number;
  headers?: Readonly<Record<string, string>>;
  /** Breaks the connection after so many events, or bytes of the body. */
  cut?: number;
  /** Waits before anything is sent, in milliseconds. */
  delay?: number;
}

/** What arrived: names of headers in lower case. */
export interface ReplayRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

const NONE_LEFT: Reply = { status: 500, body: { error: { type: "replay", message: "no reply is left" } } };

/**
 * A provider that answers with these replies, in order; when none is left, with status 500. Give its `url` to an SDK as
 * its base URL. A call that Spendrail denies does not arrive: `requests` proves it.
 *
 * ```ts
 * await using provider = await ReplayProvider.start([{ body: { model: "gpt-4o-mini", choices: [], usage: { … } } }]);
 * const client = guard.wrap(new OpenAI({ baseURL: provider.url, apiKey: "test" }));
 * ```
 */
export class ReplayProvider {
  /** What arrived so far. */
  readonly requests: ReplayRequest[] = [];
  readonly #replies: Reply[];
  readonly #server: Server;

  private constructor(replies: readonly Reply[]) {
    this.#replies = [...replies];
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** Listens on a free port of the loopback. */
  static async start(replies: readonly Reply[] = []): Promise<ReplayProvider> {
    const provider = new ReplayProvider(replies);
    await new Promise<void>((resolve, reject) => {
      provider.#server.once("error", reject);
      provider.#server.listen(0, "127.0.0.1", resolve);
    });
    return provider;
  }

  /** The address, for example `http://127.0.0.1:41234`. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** More replies, after those that are left. */
  add(...replies: Reply[]): void {
    this.#replies.push(...replies);
  }

  /** Stops listening and ends every connection. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const { method = "", url = "", headers } = request;
    this.requests.push({ method, path: url, headers, body: Buffer.concat(pieces).toString() });
    const reply = this.#replies.shift() ?? NONE_LEFT;
    if (reply.delay !== undefined) await new Promise((resolve) => setTimeout(resolve, reply.delay));
    const events = reply.events?.map(event);
    const stream = events !== undefined;
    const whole = events ?? [bytes(reply.body)];
    const type = stream ? "text/event-stream" : "application/json";
    const length = stream ? {} : { "content-length": String(whole[0]?.length ?? 0) };
    response.writeHead(reply.status ?? 200, { "content-type": type, ...length, ...reply.headers });
    const sent =
      reply.cut === undefined || stream ? whole.slice(0, reply.cut) : [whole[0]?.subarray(0, reply.cut)];
    for (const piece of sent) await new Promise((resolve) => response.write(piece, resolve));
    if (reply.cut === undefined) response.end();
    else response.destroy();
  }
}

function bytes(body: unknown): Buffer {
  if (body instanceof Uint8Array) return Buffer.from(body);
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body ?? null));
}

function event(one: unknown): Buffer {
  if (one instanceof Uint8Array) return Buffer.from(one);
  const [name, value] = Array.isArray(one) ? one : [undefined, one];
  const data = typeof value === "string" ? value : JSON.stringify(value);
  return Buffer.from(`${name === undefined ? "" : `event: ${name}\n`}data: ${data}\n\n`);
}
