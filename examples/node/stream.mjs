// A streamed reply under a budget, and what it cost.
import Anthropic from "@anthropic-ai/sdk";
import { Guard, receiptOf } from "spendrail";

const guard = new Guard({ budgets: [{ name: "all", limit: "1 USD", window: "day" }] });
const client = guard.wrap(new Anthropic(), { feature: "chat" });

const stream = await client.messages.create({
  model: "claude-haiku-4-5", max_tokens: 100, stream: true,
  messages: [{ role: "user", content: "Tell me a story." }],
});
for await (const event of stream) {
  if (event.type === "content_block_delta" && event.delta.type === "text_delta") process.stdout.write(event.delta.text);
}
console.log(`\n${receiptOf(stream).cost} USD`);
await guard.close();
