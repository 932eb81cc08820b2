/**
 * Guarded copies of the SDKs' clients.
 *
 * Adding an SDK: a file with `owns`, `providerOf` and `options`, and an entry in `SDKS`, if it is made by the generator
 * that `client.ts` is for; else one with `owns` and `wrap`, as `google.ts`.
 */
import { argumentInvalid } from "../errors";
import type { Guard } from "../guard";
import type { WrapOptions } from "../options";
import { anthropic } from "./anthropic";
import { type Client, guardedOf, install, type Sdk, wrappable } from "./client";
import { google } from "./google";
import { openai } from "./openai";

const SDKS: readonly Sdk[] = [anthropic, openai];

/** A guarded copy of a client; the client itself if this guard guards it already and nothing is new. */
export function wrap<C extends object>(guard: Guard, client: C, options: WrapOptions): C {
  if (typeof client !== "object" || client === null) throw notOurs();
  const other = guardedOf(client)?.guard;
  if (other !== undefined && other !== guard) {
    throw argumentInvalid(
      "client",
      "is guarded by another guard, whose budgets would be left out: wrap the client that it was made of",
    );
  }
  const { provider, ...labels } = options;
  // A label that does not hold is told here, not at the first call.
  const checked = () => guard.scope(labels, () => undefined);
  if (google.owns(client)) {
    checked();
    return google.wrap(guard, client, provider, labels) as C;
  }
  const sdk = SDKS.find((one) => one.owns(client));
  if (sdk === undefined || !wrappable(client)) throw notOurs();
  checked();
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
  const own = provider ?? hosted(guard, client) ?? sdk.providerOf(client);
  const guarded = { guard, sdk, bare: client, provider: own, labels };
  return install(copy(client, sdk), guarded) as C & Client;
}

function notOurs(): Error {
  return argumentInvalid(
    "client",
    "is no client of openai, @anthropic-ai/sdk or @google/genai; for others there is guard.reserve",
  );
}

/** Whose compatible server a client of the common kind is aimed at, if the catalog knows the host. */
function hosted(guard: Guard, client: Client): string | null {
  if (!["OpenAI", "Anthropic"].includes(client.constructor.name) || !URL.canParse(client.baseURL))
    return null;
  return guard.providerNamed(new URL(client.baseURL).hostname);
}

function copy(client: Client, sdk: Sdk): Client {
  return client.withOptions(sdk.options(client, {}));
}
