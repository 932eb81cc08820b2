/**
 * WebSockets that are opened with a wrapped client of `openai`. A connection in which work is ordered cannot be guarded:
 * it is denied unless the policy lets its path pass.
 *
 * The helpers that open one do not ask the client to do it; they read what they need of it and open it themselves. What
 * they all read tells them from everybody else:
 * - a realtime session reads the client's options and then, at once, its base URL, which requests and copies do only
 *   inside of methods that are overridden here;
 * - the others ask for the address of their path and then, at once, for the headers. SDKs before version 7 make the
 *   headers themselves, but only who opens a connection asks for an address outside of a request.
 */
import type { Client, Guarded } from "./client";

/** What the helpers read. */
interface Connectable extends Client {
  _options: unknown;
  buildURL(path: string, ...more: unknown[]): string;
  _buildWebSocketHeaders?(...given: unknown[]): unknown;
}

/** Stands in the way of WebSockets. `sends`: a request is on its way, which is guarded by itself. */
export function refuseWebSockets(copy: Client, guarded: Guarded, sends: () => boolean): void {
  const client = copy as Connectable;
  const { buildURL, withOptions, _buildWebSocketHeaders: headers } = client;
  const options = new Momentary<true>();
  const path = new Momentary<string>();
  let working = false;

  /** A method of the client, which may read whatever it likes. */
  const own =
    <A extends unknown[], R>(method: (...given: A) => R) =>
    (...given: A): R => {
      const before = working;
      working = true;
      try {
        return method.apply(client, given);
      } finally {
        working = before;
      }
    };
  const elsewhere = () => !working && !sends();

  whenRead(client, "_options", () => {
    if (elsewhere()) options.value = true;
  });
  whenRead(client, "baseURL", () => {
    if (elsewhere() && options.value) refuse(guarded, "/realtime");
  });
  const methods: Partial<Connectable> = {
    withOptions: own(withOptions),
    buildURL(asked, ...more) {
      if (elsewhere()) {
        if (headers === undefined) refuse(guarded, asked);
        path.value = asked;
      }
      return own(buildURL)(asked, ...more);
    },
    ...(headers && {
      _buildWebSocketHeaders(...given) {
        refuse(guarded, path.value ?? "/realtime");
        return own(headers)(...given);
      },
    }),
  };
  for (const [key, value] of Object.entries(methods)) {
    Object.defineProperty(client, key, { value, configurable: true, writable: true });
  }
}

/** What is known only to the code that runs now, not to what runs later. */
class Momentary<T> {
  #value: T | undefined;

  get value(): T | undefined {
    return this.#value;
  }

  set value(value: T) {
    this.#value = value;
    queueMicrotask(() => {
      this.#value = undefined;
    });
  }
}

/** A field that tells when it is read. */
function whenRead(client: Connectable, key: "_options" | "baseURL", told: () => void): void {
  let value: unknown = client[key];
  Object.defineProperty(client, key, {
    get() {
      told();
      return value;
    },
    set(next: unknown) {
      value = next;
    },
    configurable: true,
    enumerable: true,
  });
}

function refuse({ guard, provider, labels }: Guarded, path: string): void {
  if (guard.endpoint(provider, "GET", path).endpoint === "allowed") return;
  const connection = { method: "POST", path: `${path}/connect`, model: undefined, server: undefined };
  guard.passage({ provider, labels, ...connection });
}
