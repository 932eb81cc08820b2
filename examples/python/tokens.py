"""A hold that outlives the process: a batch that is answered tomorrow."""

import spendrail

guard = spendrail.Guard(budgets=[spendrail.Budget("batches", per=["tenant"], limit="5 USD", window="month")])

hold = guard.reserve(
    provider="openai", model="gpt-4o-mini", input_tokens=40_000, max_output_tokens=8_000, tenant="acme"
)
token = hold.detach()  # keep it with the batch's id

(balance,) = guard.balances("batches", tenant="acme")
print("on hold:", balance.held, "nano-USD")

receipt = guard.settle(token, spendrail.Usage(input=38_512, output=5_120))
print("paid:", receipt.cost, "USD")
guard.close()
