/** Whether this thread is one of several that guard the same spending. */
import cluster from "node:cluster";
import { isMainThread } from "node:worker_threads";

/** What this is one of several of, for people; undefined if it is alone. */
export function several(): string | undefined {
  if (!isMainThread) return "a worker thread";
  return cluster.isWorker ? "a worker of a cluster" : undefined;
}
