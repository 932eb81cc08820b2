/**
 * Clients of `@google/genai`. All of their own resources send through one `ApiClient`, whose `apiCall` is the entry of
 * the SDK's retry loop: the copy's reserves there. Newer resources (interactions, agents, …) bring a generated SDK along
 * that only asks the `ApiClient` for a `fetch`: what that would send is denied unless it is free or listed.
 */

import { denialOf } from "../errors";
import type { Guard } from "../guard";
import type { Labels } from "../scope";
import { Call, errorType } from "./call";
import { follow, made } from "./methods";
import { server } from "./sending";
import { tap } from "./tap";

const MARK = Symbol.for("spendrail.guarded");

type Fetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** What a client sends through. */
interface ApiClient {
  clientOptions: object;
  customBaseUrl?: string;
  getBaseUrl(): string;
  getFetch?(): Fetch | undefined;
  getWebsocketBaseUrl(): string;
  apiCall(
    url: string,
    init: RequestInit,
    retry: unknown,
    timeout: unknown,
    signal: AbortSignal | undefined,
    fetcher: Fetch | undefined,
    ...more: unknown[]
  ): Promise<Response>;
  processStreamResponse(response: Response): AsyncGenerator<unknown>;
}

/** A client of the SDK. */
interface Client {
  readonly apiClient: ApiClient;
  readonly models: object;
  readonly live: { auth?: unknown };
  readonly vertexai: boolean;
}

/** Whose calls a client makes, and under whose guard. */
interface Guarded {
  readonly guard: Guard;
  readonly bare: Client;
  readonly provider: string;
  readonly labels: Labels;
}

/** What the options of a client become on it. */
const OPTIONS = ["vertexai", "apiKey", "project", "location", "apiVersion", "httpOptions"] as const;

export const google = {
  owns(client: object): boolean {
    const { apiClient, models } = client as Partial<Client>;
    return typeof apiClient?.apiCall === "function" && typeof models === "object";
  },

  /** A guarded copy, made as the original was. */
  wrap(guard: Guard, client: object, provider: string | undefined, labels: Labels): object {
    const known = (client as { [MARK]?: Guarded })[MARK];
    if (known?.guard === guard) {
      if ((provider ?? known.provider) === known.provider && Object.keys(labels).length === 0) return client;
      return this.wrap(guard, known.bare, provider ?? known.provider, { ...known.labels, ...labels });
    }
    const bare = client as Client;
    const own = provider ?? (bare.vertexai ? "vertex" : "google");
    return install(copy(bare), { guard, bare, provider: own, labels });
  },
};

/** The SDK's resources are bound to the client that they were made by: they have to be made anew. */
function copy(client: Client): Client {
  const options = Object.fromEntries(OPTIONS.map((name) => [name, (client as never)[name]]));
  const fresh = new (client.constructor as new (options: object) => Client)(options);
  const { clientOptions, customBaseUrl } = client.apiClient;
  Object.assign(fresh.apiClient, { clientOptions, customBaseUrl });
  fresh.live.auth = client.live.auth;
  return fresh;
}

function install(client: Client, guarded: Guarded): Client {
  const { apiClient } = client;
  const { apiCall, getFetch, getWebsocketBaseUrl, processStreamResponse } = apiClient;
  const own: Partial<ApiClient> = {
    apiCall(url, init, retry, timeout, signal, fetcher, ...more) {
      const call = reserve(guarded, String(init.method), url, init.body);
      const send = (through: Fetch | undefined) =>
        apiCall.call(apiClient, url, init, retry, timeout, signal, through, ...more);
      return call === undefined ? send(fetcher) : sent(call, send, fetcher ?? fetch, signal);
    },
    /** A reader who leaves early leaves the connection open: the SDK does not cancel what it stops reading. */
    async *processStreamResponse(response) {
      try {
        yield* processStreamResponse.call(apiClient, response);
      } finally {
        if (response.body?.locked === false) await response.body.cancel().catch(() => undefined);
      }
    },
    getWebsocketBaseUrl() {
      refuseConnection(guarded, "/live");
      return getWebsocketBaseUrl.call(apiClient);
    },
    getFetch() {
      const through = getFetch?.call(apiClient) ?? fetch;
      return async (url, init) => {
        const request = url instanceof Request ? url : undefined;
        const method = init?.method ?? request?.method ?? "GET";
        passage(guarded, method, new URL(request?.url ?? String(url)), undefined);
        return through(url, init);
      };
    },
  };
  Object.assign(apiClient, own);
  follow(client.models);
  cover(client, guarded);
  Object.defineProperty(client, MARK, { value: guarded });
  return client;
}

/** Sends a request, as often as the SDK sees fit. */
async function sent(
  call: Call,
  send: (through: Fetch) => Promise<Response>,
  fetcher: Fetch,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const attempt: Fetch = (url, init) => call.attempt(() => fetcher(url, init), init?.signal);
  try {
    const response = await send(attempt);
    if (response.ok) return tap(response, call, signal);
    failed(call, String(response.status), false);
    return response;
  } catch (error) {
    failed(call, errorType(error), call.streams && signal?.aborted === true);
    throw error;
  }
}

/** What the provider refused in so many words, or never got, it did not bill; an attempt without an answer it may have. */
function failed(call: Call, type: string, closed: boolean): void {
  if (!call.open) return;
  if (call.lost === 0) {
    call.release(type);
    return;
  }
  // How the call ends accounts for one of them itself.
  call.lost -= 1;
  if (closed) call.close();
  else call.cut(type);
}

function reserve(guarded: Guarded, method: string, url: string, body: unknown): Call | undefined {
  const address = new URL(url);
  const text = typeof body === "string" ? body : "{}";
  const about = passage(guarded, method, address, text);
  if (about.api === "") return undefined;
  const hold = guarded.guard.reserveRequest(about.request, about.api, text);
  const call = new Call(about.api, hold, address.pathname.endsWith(":streamGenerateContent"), false);
  made(call);
  return call;
}

/** The API of a request that is guarded; empty for one that may pass. Throws `Denied`. */
function passage(guarded: Guarded, method: string, url: URL, body: string | undefined) {
  const { guard, provider, labels } = guarded;
  const path = url.pathname + url.search;
  const request = { provider, labels, method, path, model: undefined, server: server(url.href) };
  const api = guard.passage(request);
  return { request, api: body === undefined ? "" : api };
}

/** A WebSocket in which work is ordered. */
function refuseConnection(guarded: Guarded, path: string): void {
  const { guard, provider, labels, bare } = guarded;
  if (guard.endpoint(provider, "GET", path).endpoint === "allowed") return;
  const to = server(bare.apiClient.getBaseUrl());
  guard.passage({ provider, labels, method: "POST", path: `${path}/connect`, model: undefined, server: to });
}

/** Newer resources: a denial that their SDK has wrapped comes out as it is. */
function cover(client: Client, guarded: Guarded): void {
  const known = new WeakMap<object, object>();
  for (const [name, { get }] of Object.entries(accessors(client))) {
    const covered = () => {
      const made: unknown = get?.call(client);
      if (typeof made !== "object" || made === null) return made;
      const proxy =
        known.get(made) ?? new Proxy(made, { get: (target, key) => member(target, key, guarded) });
      known.set(made, proxy);
      return proxy;
    };
    Object.defineProperty(client, name, { get: covered, configurable: true, enumerable: false });
  }
}

function member(target: object, key: string | symbol, guarded: Guarded): unknown {
  const value: unknown = Reflect.get(target, key, target);
  if (typeof value !== "function") return value;
  return (...given: unknown[]) => {
    if (key === "connect") refuseConnection(guarded, "/live");
    const made: unknown = value.apply(target, given);
    if (!(made instanceof Promise)) return made;
    return made.catch((error: unknown) => {
      throw denialOf(error) ?? error;
    });
  };
}

function accessors(client: object): Record<string, PropertyDescriptor> {
  const found: Record<string, PropertyDescriptor> = {};
  for (let at = Object.getPrototypeOf(client); at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, one] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (one.get !== undefined && !(name in found)) found[name] = one;
    }
  }
  return found;
}
