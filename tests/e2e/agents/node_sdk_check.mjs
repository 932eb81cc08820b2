// The real Node SDKs against the local provider: prints what they understood as one JSON line.
// usage: node node_sdk_check.mjs PROVIDER_URL PACKAGE_JSON_WHOSE_NODE_MODULES_HOLD_THE_SDKS
import { createRequire } from "node:module";

const [url, base] = process.argv.slice(2);
const require = createRequire(base);
const { OpenAI, RateLimitError } = require("openai");
const { Anthropic, InternalServerError } = require("@anthropic-ai/sdk");

const openai = new OpenAI({ apiKey: "acme", baseURL: `${url}/v1`, maxRetries: 0 });
const anthropic = new Anthropic({ apiKey: "acme", baseURL: url, maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];
const script = (text) => ({ headers: { "x-provider-script": text } });
const chat = { model: "gpt-4o-mini", messages };
const claude = { model: "claude-haiku-4-5", max_tokens: 100, messages };
const told = {};

told.chat = (await openai.chat.completions.create(chat, script("cache_read=5 output=7"))).usage;

const chunks = [];
const options = { include_usage: true };
for await (const chunk of await openai.chat.completions.create(
  { ...chat, stream: true, stream_options: options },
  script("output=6"),
))
  chunks.push(chunk);
told.chatStream = { last: chunks.at(-1), contents: chunks.filter((c) => c.choices[0]?.delta.content).length };

const tools = [{ type: "function", function: { name: "search", parameters: { type: "object" } } }];
const asked = await openai.chat.completions.create({ ...chat, tools }, script("tool=search"));
told.tool = asked.choices[0].message.tool_calls[0].function;

const events = [];
for await (const event of await openai.responses.create(
  { model: "gpt-4o-mini", input: "Hello", stream: true },
  script("output=3"),
))
  events.push(event);
told.responses = { kinds: [...new Set(events.map((e) => e.type))], usage: events.at(-1).response.usage };

const embedding = await openai.embeddings.create({
  model: "text-embedding-3-small",
  input: "Hello",
  dimensions: 4,
});
told.embedding = embedding.data[0].embedding.length;

told.claude = (await anthropic.messages.create(claude, script("cache_read=9 output=4"))).usage;
const stream = anthropic.messages.stream(claude, script("output=8 reasoning=5"));
const final = await stream.finalMessage();
told.claudeStream = { usage: final.usage, kinds: final.content.map((block) => block.type) };

told.errors = [
  await openai.chat.completions
    .create(chat, script("fault=429"))
    .catch((e) => e instanceof RateLimitError && e.code),
  await anthropic.messages
    .create(claude, script("fault=529"))
    .catch((e) => e instanceof InternalServerError && e.status),
];

const slow = await openai.chat.completions.create(
  { ...chat, stream: true },
  script("output=500 delay_ms=20"),
);
let seen = 0;
for await (const _ of slow) if (++seen === 4) break;
told.closedEarly = seen;
console.log(JSON.stringify(told));
