/**
 * Which call a reply came of, for SDKs whose replies do not know the HTTP response that they were made of: whatever a
 * method of a client's resource returns, or yields, came of the last request that was made inside it.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Call } from "./call";
import { remember } from "./receipts";

interface Latest {
  call: Call | undefined;
  /** The method that this one was called in. */
  readonly outer: Latest | undefined;
}

/** The last call that was made inside a method. */
const latest = new AsyncLocalStorage<Latest>();

/** A call is made: what the methods around return came of it. */
export function made(call: Call): void {
  for (let at = latest.getStore(); at !== undefined; at = at.outer) at.call = call;
}

/** Makes the methods of a resource remember what their replies came of. */
export function follow(resource: object): void {
  for (const name of methodsOf(resource)) {
    const method = (resource as Record<string, unknown>)[name] as (...given: unknown[]) => unknown;
    const value = (...given: unknown[]) => {
      const box: Latest = { call: undefined, outer: latest.getStore() };
      const reply = latest.run(box, () => method.apply(resource, given));
      return reply instanceof Promise ? reply.then((own) => told(own, box)) : told(reply, box);
    };
    Object.defineProperty(resource, name, { value, configurable: true, writable: true });
  }
}

function methodsOf(resource: object): string[] {
  const names = new Set<string>();
  for (let at = resource; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === "function" && name !== "constructor") names.add(name);
    }
  }
  return [...names];
}

function told(reply: unknown, box: Latest): unknown {
  // Whatever is carried along asynchronously may live long: a reply that nobody holds any more is to be collected.
  const { call } = box;
  box.call = undefined;
  const own = generates(reply) ? items(reply, box, call) : reply;
  if (call !== undefined) remember(own, call);
  return own;
}

function generates(reply: unknown): reply is AsyncGenerator<unknown> {
  const made = reply as Partial<AsyncGenerator<unknown>> | null | undefined;
  return typeof made?.next === "function" && typeof made[Symbol.asyncIterator] === "function";
}

/** `first`: the call that was made already; some generators make theirs when they are read. */
function items(
  source: AsyncGenerator<unknown>,
  box: Latest,
  first: Call | undefined,
): AsyncGenerator<unknown> {
  let known = first && new WeakRef(first);
  const step = async (next: () => Promise<IteratorResult<unknown>>) => {
    const item = await latest.run(box, next);
    if (box.call !== undefined) {
      known = new WeakRef(box.call);
      remember(own, box.call);
    }
    box.call = undefined;
    const call = known?.deref();
    if (call !== undefined && item.done !== true) remember(item.value, call);
    return item;
  };
  const steps: Pick<AsyncGenerator<unknown>, "next" | "return" | "throw"> = {
    next: (...given) => step(() => source.next(...given)),
    return: (value) => step(() => source.return(value)),
    throw: (error) => step(() => source.throw(error)),
  };
  // It stays the kind of object that the SDK returns.
  const own = Object.assign(Object.create(source) as AsyncGenerator<unknown>, steps, {
    [Symbol.asyncIterator](this: AsyncGenerator<unknown>) {
      return this;
    },
  });
  return own;
}
