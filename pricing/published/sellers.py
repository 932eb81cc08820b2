"""Who sells what: which names of the two catalogs belong to which provider of ours, and under which id.

A name that is left out has a reason; `generate.py --left-out` prints them.
"""

import re
from dataclasses import dataclass

SIZE_CLASS = (r"^(together|fireworks)-ai-", "a size class, not a model's name")
PER_IMAGE = (r"^(low|medium|high|standard|hd)/|^\d+-x-\d+/|max-x-max", "a picture size of a model that is listed")


@dataclass(frozen=True)
class Seller:
    """One provider's names in the two catalogs."""

    litellm: tuple = ()
    strip: tuple = ()
    genai: str = ""
    # (pattern, why): names that are not taken.
    without: tuple = ()
    # Only names that match.
    only: str = ""

    def name(self, name):
        """The id of a litellm name, and why it is left out if it is."""
        for prefix in self.strip:
            name = name.removeprefix(prefix)
        for pattern, why in self.without:
            if re.search(pattern, name):
                return name, why
        if self.only and not re.search(self.only, name):
            return name, "another provider's"
        return name, ""


VERTEX = ("vertex_ai", *(f"vertex_ai-{kind}-models" for kind in ("language", "embedding", "text", "video")))
PARTNERS = ["anthropic", "mistral", "deepseek", "ai21", "llama", "minimax", "moonshot", "zai", "openai", "qwen"]
PUBLISHERS = [
    "google", "meta", "mistralai", "deepseek-ai", "qwen", "openai", "zai-org", "xai", "moonshotai", "minimaxai",
]

SELLERS = {
    "openai": Seller(
        ("openai", "text-completion-openai"),
        ("openai/",),
        "openai",
        (
            PER_IMAGE,
            (r"^container$", "a tool: `code_session` of the models"),
            (r"^gpt-oss|^(?!ft:).*:|^gpt-5(\.4)?-image", "not sold by OpenAI itself"),
            (r"^daybreak-|\.ft-$|^ft:.*-$|^ft:gpt-4o(-mini)?$", "another spelling of a listed name"),
            (r"^gpt-3\.5-0301$|^moderation$", "not a model's name"),
        ),
    ),
    "azure": Seller(
        ("azure", "azure_ai", "azure_text"),
        ("azure/", "azure_ai/"),
        "azure",
        (
            (r"^(low|medium|high)/", "the same model by the picture; its usage is in tokens"),
            (r"^container$", "a tool: `code_session` of the models"),
            (r"dall-e", "priced by the pixel in litellm, which no usage reports"),
            (r"^model[-_]router$", "a surcharge on the model that answers, not a price of its own"),
            (r"jais-", "litellm's figure is a thousand times too high (over 1,000 USD per 1M)"),
            (r":free$|^wizardlm", "not sold by Azure itself"),
            (r"^(ada|babbage|curie|davinci)$", "retired long ago, under another name there"),
        ),
    ),
    "anthropic": Seller(("anthropic",), (), "anthropic"),
    "google": Seller(
        ("gemini",),
        ("gemini/",),
        "google",
        (
            (r"claude|-maas$|^gemini-gemma|:", "sold by Vertex AI"),
            (r"lyria", "music is sold by the song: no unit of ours"),
            (r"^gemini-exp|learnlm|-exp-image|^gemini-(flash-1|pro-1|pro$)|exp-1114", "an experiment that ended"),
        ),
    ),
    "vertex": Seller(
        VERTEX + tuple(f"vertex_ai-{name}_models" for name in PARTNERS),
        ("vertex_ai/", *(f"{name}/" for name in PUBLISHERS)),
        "google",
        (
            (r"^(search_api|chirp)$|lyria", "no unit of ours"),
            (r"^medlm|^text-unicorn|^gemini-(exp|flash-exp)|virtual-try-on", "retired, or sold by the engagement"),
        ),
    ),
    "aws": Seller(
        ("bedrock", "bedrock_converse", "bedrock_mantle"),
        ("bedrock/", "bedrock_mantle/", "invoke/"),
        "aws",
        (
            (r"-month-commitment", "committed capacity is sold by the hour"),
            (r"^guardrails$", "guardrail units are no unit of ours"),
            (r"\d-x-\d|max-x-max", "a picture size of a retired model"),
            (r"^claude-|/claude-sonnet-4-5-2", "litellm's short spelling of a listed name"),
            (r"^claude_platform/", "Claude Platform on AWS: Anthropic's own endpoint, provider `anthropic`"),
        ),
    ),
    "mistral": Seller(
        ("mistral", "codestral"),
        ("mistral/", "codestral/"),
        "mistral",
        ((r":free$", "not sold by Mistral itself"),),
    ),
    "cohere": Seller(("cohere", "cohere_chat"), ("cohere/",), "cohere"),
    "x-ai": Seller(("xai",), ("xai/",), "x-ai", (PER_IMAGE,)),
    "deepseek": Seller(("deepseek",), ("deepseek/",), "deepseek", ((r"^search$", "a tool of litellm, not a model"),)),
    "groq": Seller(("groq",), ("groq/",), "groq"),
    "together": Seller(("together_ai",), ("together_ai/",), "together", (SIZE_CLASS,)),
    "fireworks": Seller(
        ("fireworks_ai", "fireworks_ai-embedding-models"),
        ("fireworks_ai/", "accounts/fireworks/models/", "accounts/fireworks/routers/"),
        "fireworks",
        (
            SIZE_CLASS,
            (r"(?i)^flux-1-|^ssd-1b|stable-diffusion|^playground-v2", "sold by the step, in litellm by the token"),
        ),
    ),
    "perplexity": Seller(
        ("perplexity",),
        ("perplexity/",),
        "perplexity",
        ((r"^preset/", "a preset has no price of its own"),),
    ),
    "moonshotai": Seller(("moonshot",), ("moonshot/",), "moonshotai"),
    "qwen": Seller(("dashscope", "qwencloud", "qwen_ai_platform"), ("dashscope/", "qwencloud/", "qwen_ai_platform/")),
    "z-ai": Seller(("zai",), ("zai/",), "zai"),
    "cerebras": Seller(("cerebras",), ("cerebras/",), "cerebras"),
}
REGION = re.compile(r"^((?:us|eu|ap|ca|sa|me|af)-(?:gov-)?[a-z]+-\d)/(.+)$")
ZONE = re.compile(r"^(us|eu|apac|us-gov)/(.+)$")


def place(provider, name):
    """The id without the place that it says, and that place as a condition: Bedrock's regions."""
    match = REGION.match(name) if provider == "aws" else None
    return (match[2], {"region": match[1]}) if match else (name, {})
