/** Guarded copies of providers' clients. */
import { argumentInvalid } from "../errors";
import type { Guard, WrapOptions } from "../guard";

/** A guarded copy of a client. */
export function wrap<C extends object>(_guard: Guard, _client: C, _options: WrapOptions): C {
  throw argumentInvalid("client", "is of no class that Spendrail wraps");
}
