/**
 * What makes a client a guarded one: a few methods of the copy that stand before those of its class. (A `Proxy` would
 * break the private members of the SDKs' classes.)
 *
 * `makeRequest` is overridden at the entry of the SDK's retry loop, so that a call is one call however often it is sent,
 * and a denial is not taken for a lost connection. `fetch` is where every attempt comes by; the parser, where replies do.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Guard } from "../guard";
import type { Labels } from "../scope";
import { type Answer, type FetchOptions, Sending } from "./sending";

const MARK = Symbol.for("spendrail.guarded");
const BARE = Symbol.for("spendrail.fetch");

/** The request that the code is a part of. */
const sending = new AsyncLocalStorage<Sending>();

/** What the SDK's methods ask the client for. */
export interface RequestOptions {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly stream?: boolean;
  readonly signal?: AbortSignal | null;
}

type Fetch = ((url: unknown, init?: FetchOptions) => Promise<Response>) & { [BARE]?: Fetch };
type Eventual<T> = T | Promise<T>;

type Parse = (client: unknown, answer: Answer) => Promise<unknown>;
type Make = (
  options: Eventual<RequestOptions>,
  retries: unknown,
  retryOf: unknown,
  ...more: unknown[]
) => Promise<Answer>;

/** What the clients of the SDKs have in common. */
export interface Client {
  baseURL: string;
  fetch: Fetch;
  request(...given: unknown[]): Promise<unknown> & { parseResponse?: Parse };
  /** One call with its retries, which come back here with the id of what they retry. */
  makeRequest: Make;
  /** openai 7: reads a reply, and may send the request again if that takes too long. */
  parseResponseWithTimeout?: Parse;
  withOptions(options: object): Client;
}

/** What is particular to an SDK. */
export interface Sdk {
  /** Whether this is one of its clients. */
  owns(client: object): boolean;
  /** Whose prices apply. */
  providerOf(client: object): string;
  /** The options of a copy. */
  options(client: Client, given: object): object;
  /** Guards what a copy does besides requests. `sends`: a request is on its way. */
  cover?(client: Client, guarded: Guarded, sends: () => boolean): void;
}

/** Whose calls a client makes, and under whose guard. */
export interface Guarded {
  readonly guard: Guard;
  readonly sdk: Sdk;
  /** The client that was wrapped. */
  readonly bare: Client;
  readonly provider: string;
  readonly labels: Labels;
}

/** What guards a client, if anything does. */
export function guardedOf(client: object): Guarded | undefined {
  return (client as { [MARK]?: Guarded })[MARK];
}

/** The names of an object's classes, its own first. */
export function classNames(client: object): string[] {
  const names: string[] = [];
  for (let at = Object.getPrototypeOf(client); at !== null; at = Object.getPrototypeOf(at)) {
    names.push(String(at.constructor?.name));
  }
  return names;
}

/** Whether a client has what is overridden here. */
export function wrappable(client: object): client is Client {
  const methods = ["request", "makeRequest", "withOptions", "fetch"] as const;
  return methods.every((name) => typeof (client as Client)[name] === "function");
}

/** Makes a copy of a client a guarded one. */
export function install(client: Client, guarded: Guarded): Client {
  guarded.sdk.cover?.(client, guarded, () => sending.getStore() !== undefined);
  const { request, makeRequest, parseResponseWithTimeout, withOptions } = client;
  const bare = client.fetch[BARE] ?? client.fetch;

  const fetch: Fetch = (url, init) => {
    const current = sending.getStore();
    return current?.sends(url) ? current.attempt((own) => bare(url, own), init) : bare(url, init);
  };
  fetch[BARE] = bare;
  client.fetch = fetch;

  const make: Make = (options, retries, retryOf, ...more) => {
    const send = (own: Eventual<RequestOptions>) => makeRequest.call(client, own, retries, retryOf, ...more);
    const current = retryOf === undefined ? new Sending(guarded, client) : sending.getStore();
    if (current === undefined) return send(options);
    return sending.run(current, () =>
      retryOf === undefined ? current.begin(options, send) : current.again(send(options)),
    );
  };
  const parse =
    (own: Parse): Parse =>
    (by, answer) => {
      const known = Sending.of(answer);
      if (known === undefined) return own(by, answer);
      return sending.run(known.sending, () => known.sending.parse(known.call, () => own(by, answer)));
    };
  const methods = {
    makeRequest: make,
    request(...given: unknown[]) {
      const promise = request.apply(client, given);
      if (promise.parseResponse !== undefined) promise.parseResponse = parse(promise.parseResponse);
      return promise;
    },
    ...(parseResponseWithTimeout && {
      parseResponseWithTimeout: parse(parseResponseWithTimeout.bind(client)),
    }),
    withOptions(options: object) {
      return install(withOptions.call(client, guarded.sdk.options(client, options)), guarded);
    },
    [MARK]: guarded,
  };
  for (const key of Reflect.ownKeys(methods)) {
    const value = methods[key as keyof typeof methods];
    Object.defineProperty(client, key, { value, configurable: true, writable: true });
  }
  return client;
}
