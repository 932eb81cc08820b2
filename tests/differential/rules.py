"""Why Spendrail and another tool answer differently for the same prices: one rule per reason, each with a predicate
that computes what the other tool must have said, wherever that can be computed.

What differs is named from Spendrail's side: it never takes a missing price for zero and never makes one up (DESIGN.md,
"Prices"). The numbers in brackets are those of the list of cost bugs that the design keeps.
"""

from decimal import Decimal

from shapes import USAGES

NEAR = Decimal("1e-9")


def same(one, other):
    return abs(one - other) <= NEAR * max(abs(one), abs(other), Decimal("1e-12"))


class Case:
    """One answer of the other tool beside ours."""

    def __init__(self, answer, mine, theirs, unpriced, entries):
        self.answer, self.mine, self.theirs, self.unpriced, self.entries = (
            answer,
            mine,
            theirs,
            unpriced,
            entries,
        )
        self.shape, self.model, self.provider = answer["shape"], answer["model"], answer["provider"]
        self.buckets, self.tier = USAGES[self.shape]
        self.entry = entries.get(self.model if answer["by"] == "litellm" else (self.provider, self.model), {})

    def price(self, field):
        """A price of the other tool's entry, exact."""
        value = self.entry.get(field)
        if isinstance(value, dict):
            return next((Decimal(repr(price)) for price in value.values()), None)
        return None if value is None else Decimal(repr(value) if isinstance(value, float) else str(value))

    def priced(self, usage):
        """What LiteLLM's standard prices make of input, cache reads and output."""
        read = self.price("cache_read_input_token_cost")
        total = usage.get("input", 0) * self.price("input_cost_per_token")
        total += usage.get("cache_read", 0) * (read if read is not None else self.price("input_cost_per_token"))
        return total + usage.get("output", 0) * (self.price("output_cost_per_token") or 0)

    def says(self, amount):
        return self.theirs is not None and amount is not None and same(self.theirs, amount)


# --- Both -------------------------------------------------------------------------------------------------------


def unpriced_is_listed(case):
    """A bucket without a rate is `unpriced` here (and denied, or priced by policy); they bill it 0. The rest agrees."""
    return bool(case.unpriced) and case.mine is not None and case.theirs is not None and same(case.mine, case.theirs)


# --- genai-prices -----------------------------------------------------------------------------------------------


def no_price_is_zero(case):
    """An entry without any price is an unknown model here; they bill 0 for it (pricing reference 0.6)."""
    return case.mine is None and case.theirs == 0 and not case.entry.get("prices")


# --- LiteLLM ----------------------------------------------------------------------------------------------------


def one_name_two_prices(case):
    """The file has another entry of the same name, at another price: the provider's own counts, the load report says
    so. A caller of Spendrail names the provider, not LiteLLM's calculator."""
    bare = case.model.split("/", 1)[1] if "/" in case.model else case.model
    family = {family for family, of in FAMILIES.items() if case.provider in of}
    siblings = FAMILIES[family.pop()] if family else (case.provider,)
    names = [bare] + [f"{sibling}/{bare}" for sibling in siblings]
    others = [case.entries[name] for name in names if name in case.entries and name != case.model]
    mine = prices(case.entry)
    return any(other.get("litellm_provider") in siblings and prices(other) != mine for other in others)


FAMILIES = {
    "aws": ("bedrock", "bedrock_converse", "bedrock_mantle"),
    "azure": ("azure", "azure_ai", "azure_text"),
    "mistral": ("mistral", "codestral", "text-completion-codestral"),
}


def prices(entry):
    return {key: value for key, value in entry.items() if "cost" in key or key == "tiered_pricing"}


def halves_missing_batch(case):
    """Without a batch price they bill half of the standard one; here the standard one counts (pricing reference 3.6),
    or half where the configuration says so."""
    if case.tier != "batch" or case.price("input_cost_per_token") is None:
        return False
    return case.says(batch(case)) and not all(
        case.entry.get(f"{key}_cost_per_token_batches") is not None for key in ("input", "output")
    )


def batch_cache_is_input(case):
    """They bill cache reads of a batch at the batch input price where no batch cache price is listed; here the
    standard cache price counts (9)."""
    listed = case.entry.get("input_cost_per_token_batches") is not None
    return case.shape == "batch-cached" and listed and case.says(batch(case))


def batch(case):
    """Their batch calculator."""
    prompt = case.price("input_cost_per_token_batches")
    read = case.price("cache_read_input_token_cost_batches")
    fresh, cached = case.buckets["input"], case.buckets.get("cache_read", 0)
    if prompt is not None:
        total = (fresh + (cached if read is None else 0)) * prompt + (cached * read if read is not None else 0)
    else:
        standard = case.price("cache_read_input_token_cost")
        total = fresh * case.price("input_cost_per_token") / 2 + cached * (standard or Decimal(0)) / 2
    output = case.price("output_cost_per_token_batches")
    if output is None:
        output = (case.price("output_cost_per_token") or Decimal(0)) / 2
    return total + case.buckets["output"] * output


def batch_is_zero(case):
    """They answer $0 for a batch of a model whose prices their calculator does not find (13, 19)."""
    return case.tier == "batch" and case.theirs == 0 and case.mine is not None and case.mine > 0


def fireworks_halves_missing_cache(case):
    """Fireworks: a cache price that is not listed is half of the input price in their library, not in the file."""
    if case.provider != "fireworks_ai" or case.price("cache_read_input_token_cost") is not None:
        return False
    usage, half = case.buckets, (case.price("input_cost_per_token") or Decimal(0)) / 2
    amount = usage["input"] * half * 2 + usage.get("cache_read", 0) * half
    return case.says(amount + usage["output"] * (case.price("output_cost_per_token") or 0))


def fireworks_ignores_tiers(case):
    """Fireworks: their calculator does not take the service tier, although the file has its price (19)."""
    return case.provider == "fireworks_ai" and case.tier == "priority" and case.says(case.priced(case.buckets))


def perplexity_has_its_own(case):
    """Perplexity: their calculator knows input and output only: no cache, no length, no fee per request (pricing
    reference 0.1)."""
    if case.provider != "perplexity":
        return False
    inputs = sum(
        case.buckets.get(key, 0)
        for key in ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "input_image")
    )
    outputs = sum(case.buckets.get(key, 0) for key in ("output", "output_reasoning", "output_audio", "output_image"))
    amount = inputs * (case.price("input_cost_per_token") or 0) + outputs * (case.price("output_cost_per_token") or 0)
    return case.says(amount)


def ignores_the_request_fee(case):
    """A fee per request is billed here; their token calculators leave it out."""
    fee = case.price("input_cost_per_request")
    return fee is not None and case.mine is not None and case.says(case.mine - fee)


def google_searches_have_a_price(case):
    """A search of Google's that the file does not price is $0.035 in their library; here it is `unpriced`."""
    google = case.provider.startswith("vertex_ai") or case.provider == "gemini"
    listed = case.price("search_context_cost_per_query") is not None if google else True
    return not listed and case.unpriced == ["web_search"] and case.says(case.mine + Decimal("0.035"))


def takes_the_picture_that_is_shown(case):
    """Where an entry prices a picture that is shown and one that is made, they bill the first; here what was made."""
    made, shown = case.price("output_cost_per_image"), case.price("input_cost_per_image")
    if case.shape != "images" or made is None or shown is None:
        return False
    (count,) = case.buckets.values()
    return case.says(shown * count) and case.mine == made * count


def strips_the_provider_twice(case):
    """`perplexity/perplexity/sonar` is `perplexity/sonar` to them (15); here it is what the file lists."""
    parts = case.model.split("/")
    return len(parts) > 2 and parts[0] == parts[1]


RULES = {
    "genai-prices": (unpriced_is_listed, no_price_is_zero),
    "litellm": (
        unpriced_is_listed, batch_is_zero, halves_missing_batch, batch_cache_is_input,
        fireworks_halves_missing_cache, fireworks_ignores_tiers, ignores_the_request_fee, perplexity_has_its_own,
        google_searches_have_a_price, takes_the_picture_that_is_shown, strips_the_provider_twice,
        one_name_two_prices,
    ),
}  # fmt: skip


def explain(by, answer, mine, theirs, unpriced, entries):
    """The name of the rule that a difference follows; None if there is none."""
    case = Case(answer, mine, theirs, unpriced, entries)
    return next((rule.__name__.replace("_", "-") for rule in RULES[by] if rule(case)), None)
