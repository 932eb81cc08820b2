/**
 * Guarded copies of the SDKs' clients.
 *
 * Adding an SDK: a file with `owns`, `providerOf` and `copy`, and an entry in `SDKS`. The SDKs here are made by the
 * same generator and share `client.ts`.
 */
import { argumentInvalid } from "../errors";
import type { Guard } from "../guard";
import type { WrapOptions } from "../options";
import { anthropic } from "./anthropic";
import { type Client, guardedOf, install, type Sdk, wrappable } from "./client";
import { openai } from "./openai";

const SDKS: readonly Sdk[] = [anthropic, openai];

/** A guarded copy of a client; the client itself if this guard guards it already and nothing is new. */
export function wrap<C extends object>(guard: Guard, client: C, options: WrapOptions): C {
  const sdk = SDKS.find((one) => one.owns(client));
  if (sdk === undefined || !wrappable(client)) {
    throw argumentInvalid(
      "client",
      "is no client of openai or @anthropic-ai/sdk; for others there is guard.reserve",
    );
  }
  const { provider, ...labels } = options;
  // A label that does not hold is told here, not at the first call.
  guard.scope(labels, () => undefined);
  const known = guardedOf(client);
  if (known?.guard === guard) {
    if ((provider ?? known.provider) === known.provider && Object.keys(labels).length === 0) return client;
    const merged = { ...known.labels, ...labels };
    return install(copy(known.bare, sdk), {
      ...known,
      provider: provider ?? known.provider,
      labels: merged,
    }) as C;
  }
  const guarded = { guard, sdk, bare: client, provider: provider ?? sdk.providerOf(client), labels };
  return install(copy(client, sdk), guarded) as C & Client;
}

function copy(client: Client, sdk: Sdk): Client {
  return client.withOptions(sdk.options(client, {}));
}
