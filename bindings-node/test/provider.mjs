// The local provider of tests/e2e, and a guard with the same prices.
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import { Guard } from "spendrail";

const E2E = new URL("../../tests/e2e/", import.meta.url).pathname;
export const CLAUDE = "claude-haiku-4-5";
export const GPT = "gpt-4o-mini";
export const GEMINI = "gemini-2.5-flash";
export const GEMINI_EMBEDDING = "gemini-embedding-001";
const RATES = {
  [GPT]: { input: "0.15", cache_read: "0.075", output: "0.6", served_as: "gpt-4o-mini-2024-07-18" },
  "text-embedding-3-small": { input: "0.02" },
  [GEMINI]: { input: "0.3", cache_read: "0.03", output: "2.5" },
  [GEMINI_EMBEDDING]: { input: "0.15" },
  [CLAUDE]: {
    input: "1",
    cache_read: "0.1",
    cache_write: "1.25",
    cache_write_1h: "2",
    output: "5",
    web_search: "10",
    served_as: "claude-haiku-4-5-20251001",
  },
};
const PRICES = [
  catalog("openai", { [GPT]: [128_000, 16_384], "text-embedding-3-small": [8_192, 0] }),
  catalog("anthropic", { [CLAUDE]: [200_000, 64_000] }),
  catalog("google", { [GEMINI]: [1_048_576, 65_536], [GEMINI_EMBEDDING]: [2_048, 0] }),
];

function catalog(provider, sizes) {
  const models = Object.entries(sizes).map(([model, [max_input_tokens, max_output_tokens]]) => {
    const { served_as, cache_write, ...rates } = RATES[model];
    if (cache_write !== undefined) rates.cache_write_5m = cache_write;
    const mode = max_output_tokens === 0 ? "embedding" : "chat";
    const aliases = served_as === undefined ? [] : [served_as];
    return [model, { mode, aliases, max_input_tokens, max_output_tokens, prices: [{ rates }] }];
  });
  const text = JSON.stringify({ catalog: 1, provider, models: Object.fromEntries(models) });
  return { name: `${provider}.json`, text };
}

/** Starts the provider; it ends with this process. */
export async function startProvider() {
  const folder = mkdtempSync(join(tmpdir(), "spendrail-provider-"));
  const prices = join(folder, "prices.json");
  writeFileSync(prices, JSON.stringify({ version: "1", models: RATES }));
  const child = spawn(process.env.PYTHON ?? "python3", [join(E2E, "provider.py"), prices], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = await new Promise((resolve, reject) => {
    lines.once("line", (text) => resolve([text]));
    child.once("exit", () => reject(new Error("the provider did not start")));
  });
  const { url } = JSON.parse(line);
  return {
    url,
    /** What the provider billed to this key, request by request. */
    async journal(key) {
      const told = await (await fetch(`${url}/__journal`)).json();
      return told.requests.filter((request) => request.key === key && !request.path.startsWith("/__"));
    },
    stop: () => child.stdin.end(),
  };
}

/** A guard with one budget per tenant, in mode `enforce`. */
export function guardOf(limit = "10 USD", more = {}) {
  const budgets = [
    { name: "b", per: ["tenant"], limit, window: "day", releaseCap: "0%" },
    { name: "n", per: ["tenant"], limit: "1000 requests", window: "day" },
  ];
  return new Guard({ budgets, prices: PRICES, ...more });
}

/** What is booked of a tenant. */
export async function booked(guard, tenant) {
  const [balance] = await guard.balances({ budget: "b", tenant });
  const { spent, held, unconfirmed } = balance;
  return { spent: Number(spent), held: Number(held), unconfirmed: Number(unconfirmed) };
}

let tenants = 0;
/** A tenant of one test: the key that the provider journals. */
export const tenantOf = (name) => `${name}-${++tenants}`;

export const openaiOf = (provider, apiKey, more = {}) =>
  new OpenAI({ apiKey, baseURL: `${provider.url}/v1`, maxRetries: 0, ...more });
export const anthropicOf = (provider, apiKey, more = {}) =>
  new Anthropic({ apiKey, baseURL: provider.url, maxRetries: 0, ...more });

export const geminiOf = (provider, apiKey, { httpOptions, ...more } = {}) =>
  new GoogleGenAI({ apiKey, httpOptions: { baseUrl: provider.url, ...httpOptions }, ...more });

/** What the provider should do with a request. */
export const script = (text) => ({ headers: { "x-provider-script": text } });
