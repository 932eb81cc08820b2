"""Which API a path belongs to, and in whose words its errors are told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import ModuleType
from typing import Final
from urllib.parse import unquote

from wire import (
    anthropic_messages,
    bedrock_converse,
    bedrock_invoke,
    cohere_chat,
    cohere_embed,
    cohere_rerank,
    gemini_embed,
    gemini_generate,
    mistral_chat,
    mistral_embeddings,
    openai_chat,
    openai_embeddings,
    openai_responses,
)


@dataclass(frozen=True, slots=True)
class Route:
    """One model call: the API, and what the path says of it."""

    api: ModuleType
    model: str = ""
    stream: bool = False


_PATHS: Final[dict[str, ModuleType]] = {
    "/v1/chat/completions": openai_chat,
    "/v1/responses": openai_responses,
    "/v1/embeddings": openai_embeddings,
    "/v1/messages": anthropic_messages,
    "/v2/chat": cohere_chat,
    "/v1/chat": cohere_chat,
    "/v2/embed": cohere_embed,
    "/v1/embed": cohere_embed,
    "/v2/rerank": cohere_rerank,
    "/v1/rerank": cohere_rerank,
}
_MISTRAL: Final[dict[str, ModuleType]] = {
    "/v1/chat/completions": mistral_chat,
    "/v1/fim/completions": mistral_chat,
    "/v1/agents/completions": mistral_chat,
    "/v1/embeddings": mistral_embeddings,
}
_GEMINI: Final = re.compile(
    r"/v1(?:beta1?)?/(?:projects/[^/]+/locations/[^/]+/publishers/google/)?models/([^/:]+):(\w+)"
)
_GEMINI_ACTIONS: Final = {
    "generateContent": (gemini_generate, False),
    "streamGenerateContent": (gemini_generate, True),
    "embedContent": (gemini_embed, False),
    "batchEmbedContents": (gemini_embed, False),
}
_BEDROCK: Final = re.compile(r"/model/([^/]+)/([\w-]+)")
_BEDROCK_ACTIONS: Final = {
    "converse": (bedrock_converse, False),
    "converse-stream": (bedrock_converse, True),
    "invoke": (bedrock_invoke, False),
    "invoke-with-response-stream": (bedrock_invoke, True),
}


def dialect_of(path: str, user_agent: str) -> str:
    """Whose words an error is told in: anthropic, bedrock, cohere, google, mistral or openai."""
    if path.startswith(("/model/", "/async-invoke", "/guardrail/")):
        return "bedrock"
    if "mistral" in user_agent:
        return "mistral"
    if ":" in path or "google-genai" in user_agent:
        return "google"
    if path.startswith("/v1/messages"):
        return "anthropic"
    return "cohere" if path.split("/")[-1] in ("chat", "embed", "rerank", "classify") else "openai"


def route(path: str, user_agent: str) -> Route | None:
    """The API of a path; `None` if nothing is served there."""
    if found := _GEMINI.fullmatch(path):
        api, stream = _GEMINI_ACTIONS.get(found[2], (None, False))
        return None if api is None else Route(api, found[1], stream)
    if found := _BEDROCK.fullmatch(path):
        api, stream = _BEDROCK_ACTIONS.get(found[2], (None, False))
        return None if api is None else Route(api, unquote(found[1]), stream)
    table = _MISTRAL if dialect_of(path, user_agent) == "mistral" else _PATHS
    api = table.get(path)
    return None if api is None else Route(api)
