/** The usual call on its way to the core: past JSON, as the handle of its form and two numbers. */
import type { Call } from "./calls";
import { formOf } from "./forms";
import { FORGOTTEN, native } from "./native";
import { hostSpan } from "./otel";
import type { Labels } from "./scope";

/** What is answered for a call that has more to it. */
export const UNUSUAL = -2;

/** The hold's handle, 0, or `UNUSUAL`. `around`: the labels that surround the call; its own win. */
export function reservePlain(guard: number, run: number, call: Call, around: Labels, kept: object): number {
  if (around.tags !== undefined || typeof call.model !== "string") return UNUSUAL;
  let { tenant, user, feature, agent, session } = around;
  let input = -1;
  let output = -1;
  for (const key in call) {
    const value = (call as unknown as Record<string, unknown>)[key];
    if (value === undefined) continue;
    switch (key) {
      case "inputTokens":
        if (!isCount(value)) return UNUSUAL;
        input = value;
        continue;
      case "maxOutputTokens":
        if (!isCount(value)) return UNUSUAL;
        output = value;
        continue;
    }
    if (typeof value !== "string") return UNUSUAL;
    switch (key) {
      case "model":
      case "provider":
        break;
      case "tenant":
        tenant = value;
        break;
      case "user":
        user = value;
        break;
      case "feature":
        feature = value;
        break;
      case "agent":
        agent = value;
        break;
      case "session":
        session = value;
        break;
      default:
        return UNUSUAL;
    }
  }
  const { provider, model } = call;
  const parent = hostSpan();
  const form = formOf(run, provider, model, own(tenant), own(user), own(feature), own(agent), own(session));
  const held = native.reserve(guard, run, form, input, output, parent, kept);
  if (held !== FORGOTTEN) return held;
  const anew = formOf(
    run,
    provider,
    model,
    own(tenant),
    own(user),
    own(feature),
    own(agent),
    own(session),
    true,
  );
  return native.reserve(guard, run, anew, input, output, parent, kept);
}

/** What is around a call clears nothing any more: a label is a text or absent. */
function own(label: string | null | undefined): string | undefined {
  return label as string | undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
