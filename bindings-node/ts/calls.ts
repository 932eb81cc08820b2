/** Calls and other spend, and how the core is told of them. */
import { encode, join } from "./json";
import { hostSpan } from "./otel";
import type { Labels } from "./scope";
import type { Buckets, Usage } from "./usage";

/** A model call. */
export interface Call extends Labels {
  provider?: string | undefined;
  model: string;
  /** All input tokens, cached ones included. */
  inputTokens?: number | undefined;
  /** The most output tokens of one choice. */
  maxOutputTokens?: number | undefined;
  choices?: number | undefined;
  /** The same call again with it is the same hold, not a second one. */
  id?: string | undefined;
  tier?: string | undefined;
  speed?: string | undefined;
  geo?: string | undefined;
  region?: string | undefined;
  /** What two identical requests have in common, to find a run that goes in circles. */
  fingerprint?: string | undefined;
}

/** A call of a client-side tool. */
export interface ToolCall extends Labels {
  tool: string;
  /** What one call of it costs, for example `"0.01 USD"`; free if absent. */
  cost?: string | undefined;
  /** Compared to find a run that goes in circles, never kept. */
  arguments?: unknown;
  id?: string | undefined;
}

/** @internal What a wrapped client is about to send. */
export interface ProviderRequest {
  readonly provider: string;
  readonly server: { readonly address: string; readonly port: number } | undefined;
  readonly labels: Labels;
  readonly method: string;
  readonly path: string;
  readonly model: string | undefined;
}

/** Spend that already happened. One of `usage`, `reply` and `cost`. */
export interface SpendRecord extends Labels {
  id: string;
  provider?: string | undefined;
  model?: string | undefined;
  usage?: Usage | Buckets | undefined;
  reply?: unknown;
  /** For example `"31.20 USD"`. */
  cost?: string | undefined;
  at?: string | Date | undefined;
}

export const NOTHING: Labels = {};
const LABELS = ["tenant", "user", "feature", "agent", "session", "tags"] as const;

export function labelsOf(from: object): Labels {
  const found: Record<string, unknown> = {};
  for (const key of LABELS) if (key in from) found[key] = (from as Record<string, unknown>)[key];
  return found;
}

/** A call as JSON, without its labels. */
export function told(call: Call | ToolCall): string {
  const own: Record<string, unknown> = { parent: hostParent() };
  for (const [key, value] of Object.entries(call)) {
    if (value !== null && key !== "arguments" && !LABELS.includes(key as never)) own[key] = value;
  }
  const foreign = "arguments" in call && call.arguments !== undefined ? { arguments: call.arguments } : {};
  return join(encode(own), foreign);
}

/** What the core is told of a provider's request besides its body. */
export function about({ provider, server }: ProviderRequest): object {
  return { provider, server, parent: hostParent() };
}

/** The host's span, as arguments. */
function hostParent(): object | undefined {
  const [traceId, spanId, sampled] = hostSpan()?.split("-") ?? [];
  return traceId === undefined ? undefined : { traceId, spanId, sampled: sampled === "1" };
}
