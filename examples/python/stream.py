"""A streamed reply under a budget. A stream that is closed early is paid for, but not more than it used."""

import openai
import spendrail

guard = spendrail.Guard(budgets=[spendrail.Budget("all", limit="1 USD", window="day")])
client = guard.wrap(openai.OpenAI(), feature="chat")

stream = client.chat.completions.create(
    model="gpt-4o-mini", max_tokens=100, messages=[{"role": "user", "content": "Tell me a story."}], stream=True
)
for chunk in stream:
    if chunk.choices and chunk.choices[0].delta.content:
        print(chunk.choices[0].delta.content, end="")
receipt = spendrail.receipt_of(stream)
print(f"\n{receipt.usage.output} output tokens, {receipt.cost} USD")
guard.close()
