/** Clients of `openai`. */
import { type Client, classNames, type Sdk } from "./client";
import { refuseWebSockets } from "./websocket";

/** What Azure's client forgets when it is copied. */
interface Azure {
  readonly apiVersion?: string;
  readonly deploymentName?: string;
}

export const openai: Sdk = {
  owns: (client) => "OpenAI" in client.constructor,

  /** A compatible server has to be named: `guard.wrap(client, { provider: "groq" })`. */
  providerOf(client) {
    const names = classNames(client);
    if (names.some((name) => name.includes("Azure"))) return "azure";
    return names.some((name) => name.includes("Bedrock")) ? "aws" : "openai";
  },

  /** This SDK makes no spans of its own. */
  options(client: Client, given) {
    const { apiVersion, deploymentName } = client as Azure;
    return apiVersion === undefined ? given : { apiVersion, deployment: deploymentName, ...given };
  },

  cover: refuseWebSockets,
};
