/** The scope and the run that surround a call, carried by one `AsyncLocalStorage`. */
import { AsyncLocalStorage } from "node:async_hooks";
import { failed } from "./errors";
import { encode } from "./json";
import { native } from "./native";
import type { Run } from "./run";

/** Who and what a call is for. `null` clears what surrounds the call. */
export interface Labels {
  tenant?: string | null | undefined;
  user?: string | null | undefined;
  feature?: string | null | undefined;
  agent?: string | null | undefined;
  session?: string | null | undefined;
  tags?: Readonly<Record<string, string | null>> | null | undefined;
}

/** What surrounds a call of one guard; the blocks of other guards are further out. */
export interface Block {
  readonly guard: object;
  readonly labels: Labels;
  readonly run: Run | undefined;
  readonly outer: Block | undefined;
}

const KEY = Symbol.for("spendrail.scope");
const EMPTY: Labels = Object.freeze({});

/** Shared by all copies of this package in a process. */
const storage: AsyncLocalStorage<Block> = shared();

function shared(): AsyncLocalStorage<Block> {
  const global = globalThis as { [KEY]?: AsyncLocalStorage<Block> };
  global[KEY] ??= new AsyncLocalStorage<Block>();
  return global[KEY];
}

/** The innermost block of this guard. */
export function current(guard: object): Block | undefined {
  let block = storage.getStore();
  while (block !== undefined && block.guard !== guard) block = block.outer;
  return block;
}

/** Runs `body` with these labels inside of what is around: what is named replaces, tags merge, `null` clears. */
export function within<T>(guard: object, labels: Labels, body: () => T): T {
  const base = current(guard);
  const merged = merge(base?.labels ?? EMPTY, check(labels));
  return storage.run({ guard, labels: merged, run: base?.run, outer: storage.getStore() }, body);
}

/** Runs `body` inside of a run. */
export function inside<T>(guard: object, run: Run, labels: Labels, body: () => T): T {
  const merged = merge(current(guard)?.labels ?? EMPTY, labels);
  return storage.run({ guard, labels: merged, run, outer: storage.getStore() }, body);
}

/** `body` with the scope and run of here and now, and whatever else is carried along asynchronously. */
export function bound<A extends unknown[], R>(body: (...args: A) => R): (...args: A) => R {
  return AsyncLocalStorage.bind(body);
}

/** `outer` with what `inner` names. */
export function merge(outer: Labels, inner: Labels): Labels {
  const merged: Record<string, unknown> = { ...outer };
  for (const [key, value] of Object.entries(inner)) {
    if (value === undefined) continue;
    if (value === null) delete merged[key];
    else merged[key] = key === "tags" ? mergeTags(outer.tags, value) : value;
  }
  return merged;
}

function mergeTags(outer: object | null | undefined, inner: unknown): unknown {
  // What are no tags is told by the core.
  if (typeof inner !== "object" || Array.isArray(inner)) return inner;
  const kept = Object.entries({ ...outer, ...inner }).filter(([, value]) => value != null);
  return Object.fromEntries(kept);
}

/** The core says what is no label. What clears one is none. */
function check(labels: Labels): Labels {
  if (!native.checkScope(encode(merge(EMPTY, labels)))) throw failed();
  return labels;
}
