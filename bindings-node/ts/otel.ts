/**
 * The host's OpenTelemetry, if it has one: its active span is the parent of ours, and ours is active inside of a run,
 * a hold or a wrapped call, so that the host's spans become children of it.
 *
 * `@opentelemetry/api` is no dependency. All its copies share what they registered under one global symbol; the names
 * here are those of its versions 1.x.
 */

interface SpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

interface Context {
  getValue(key: symbol): unknown;
  setValue(key: symbol, value: unknown): Context;
}

interface Api {
  readonly context?: {
    active(): Context;
    with<T>(context: Context, body: () => T): T;
  };
}

const API = Symbol.for("opentelemetry.js.api.1");
const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");

function manager(): NonNullable<Api["context"]> | undefined {
  return (globalThis as { [API]?: Api })[API]?.context;
}

/** The host's active span: trace id, span id and whether it is sampled, joined by `-`. */
export function hostSpan(): string | undefined {
  const active = manager()?.active().getValue(SPAN) as { spanContext(): SpanContext } | undefined;
  if (active === undefined) return undefined;
  const { traceId, spanId, traceFlags } = active.spanContext();
  if (/^0*$/.test(traceId) || /^0*$/.test(spanId)) return undefined;
  return `${traceId}-${spanId}-${traceFlags & 1}`;
}

/** Runs `body` with our span as the host's active one. */
export function active<T>(span: string | null | undefined, body: () => T): T {
  const host = span == null ? undefined : manager();
  if (host === undefined) return body();
  return host.with(host.active().setValue(SPAN, new CoreSpan(span as string)), body);
}

/** Our span, to host code that asks for the active one. The core records it; what is set here is not kept. */
class CoreSpan {
  readonly #context: SpanContext;

  constructor(span: string) {
    const [traceId = "", spanId = "", sampled] = span.split("-");
    this.#context = { traceId, spanId, traceFlags: Number(sampled) };
  }

  spanContext(): SpanContext {
    return this.#context;
  }
  setAttribute(): this {
    return this;
  }
  setAttributes(): this {
    return this;
  }
  addEvent(): this {
    return this;
  }
  addLink(): this {
    return this;
  }
  addLinks(): this {
    return this;
  }
  setStatus(): this {
    return this;
  }
  updateName(): this {
    return this;
  }
  end(): void {}
  isRecording(): boolean {
    return false;
  }
  recordException(): void {}
}
