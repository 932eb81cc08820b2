/** Clients of `@anthropic-ai/sdk` and of its siblings for other platforms. */
import { type Client, classNames, type Sdk } from "./client";

const PLATFORMS = {
  Bedrock: "aws",
  Vertex: "vertex",
  Foundry: "azure",
  AWS: "aws",
  GoogleCloud: "vertex",
};

interface Traced {
  readonly openTelemetry?: object;
}

export const anthropic: Sdk = {
  owns: (client) => "Anthropic" in client.constructor || classNames(client).includes("BaseAnthropic"),

  providerOf(client) {
    const names = classNames(client);
    const found = Object.entries(PLATFORMS).find(([word]) => names.some((name) => name.includes(word)));
    return found === undefined ? "anthropic" : found[1];
  },

  /** Without the SDK's own gen_ai spans: a wrapped call appears once. */
  options(client: Client, given) {
    const settings = (given as Traced).openTelemetry ?? (client as Traced).openTelemetry;
    if (settings === undefined) return given;
    return { ...given, openTelemetry: { ...settings, traces: false } };
  },
};
