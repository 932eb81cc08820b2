"""A list of models as TOML that a person enjoys reading: sections, one blank line between models, a rate set a line."""

import json
import re

from published import CHECKED
from published.listing import text

KEYS = (
    "input", "input_audio", "input_image", "input_video", "input_tool", "cache_read", "cache_read_audio",
    "cache_read_image", "cache_read_video", "cache_write", "cache_write_5m", "cache_write_30m", "cache_write_1h",
    "cache_write_12h", "cache_write_audio", "output", "output_reasoning", "output_audio", "output_image",
    "output_video", "output_citation", "cache_storage",
)
SECTIONS = {
    "chat": "Chat",
    "responses": "Chat",
    "completion": "Chat",
    "realtime": "Live",
    "embedding": "Embeddings",
    "rerank": "Reranking",
    "image": "Images",
    "audio": "Speech and transcription",
    "video": "Video",
    "ocr": "Documents",
    "moderation": "Moderation",
    "search": "Search",
    "other": "Other",
}
ORDER = list(dict.fromkeys(SECTIONS.values()))
# Providers that sell other makers' models: chat is split by maker, by the part of the id that names it.
MAKERS = {
    "aws": r"^(?:(?:global|us-gov|us|eu|apac|jp|au|in)\.)?([a-z0-9-]+)\.",
    "together": r"^([^/]+)/",
    "perplexity": r"^([^/]+)/",
    "groq": r"^([^/]+)/",
    "azure": r"^([a-zA-Z]+)",
    "vertex": r"^([a-zA-Z]+)",
}


def section(listing, provider):
    """(order, title) of a model."""
    if listing.deprecated and listing.deprecated < CHECKED:
        return (99, "", "Retired: still on old invoices")
    kind = SECTIONS.get(listing.mode, "Other")
    maker = re.match(MAKERS[provider], listing.id) if provider in MAKERS and kind == "Chat" else None
    if provider == "azure" and re.match(r"^(us|eu|apac|us-gov|global|global-standard)/", listing.id):
        return (98, "", "Data zones and deployments by name: `eu/…` is a deployment in the EU data zone")
    return (ORDER.index(kind), maker[1].lower() if maker else "", f"{kind}: {maker[1].lower()}" if maker else kind)


def natural(name):
    """Names in the order in which people list them: words up, numbers down, the newest first."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name.lower())
    return [(0, -float(part), "") if re.match(r"\d", part) else (1, 0, part) for part in parts if part]


def document(listings, provider):
    """The models as TOML, in sections."""
    lines, title = [], None
    for listing in sorted(listings, key=lambda one: (section(one, provider), natural(one.id))):
        heading = section(listing, provider)[2]
        if heading != title:
            title = heading
            lines += ["", f"# --- {title} {'-' * max(3, 104 - len(title))}"]
        lines += ["", *model(listing, provider)]
    return "\n".join(lines).strip("\n") + "\n"


def model(listing, provider):
    key = quoted(listing.id)
    yield f"[models.{key}]"
    if listing.aliases:
        yield from wrapped("aliases = [", [quoted(alias) for alias in listing.aliases], "]")
    if listing.patterns:
        yield f"patterns = [{', '.join(map(quoted, listing.patterns))}]"
    if listing.same_as:
        yield f"same_as = {quoted(listing.same_as)}"
    if listing.mode != "chat":
        yield f"mode = {quoted(listing.mode)}"
    if listing.max_input:
        yield f"max_input_tokens  = {listing.max_input}"
    if listing.max_output or listing.mode == "embedding":
        yield f"max_output_tokens = {0 if listing.mode == 'embedding' else listing.max_output}"
    if listing.deprecated:
        yield f"deprecated = {quoted(listing.deprecated)}"
    if listing.minimum:
        yield f"minimum = {table({name: quoted(value) for name, value in listing.minimum.items()})}"
    if listing.notes:
        yield f"note = {quoted('; '.join(listing.notes))}"
    for period in listing.periods:
        yield f"[[models.{key}.prices]]"
        yield from prices(period, listing.page)


def prices(period, page):
    if period.start:
        yield f"from  = {quoted(period.start)}"
    yield f"rates = {rates(period.rates)}"
    if period.over:
        yield f"over  = {over(period.over)}"
    if period.variants:
        yield "variants = ["
        for variant in sorted(period.variants, key=lambda v: (len(v.when), v.start)):
            yield f"    {condition(variant)},"
        yield "]"
    yield f"source = {quoted(told(period.sources, page))}"
    yield f"checked = {quoted(CHECKED)}"
    if period.notes:
        yield f"note = {quoted('; '.join(dict.fromkeys(period.notes)))}"


def told(sources, page):
    """Where a figure is from: the provider's page, as the catalogs cite it, and which of them list it."""
    return f"{page} ({', '.join(sources)}{' only' if len(sources) == 1 else ''})"


def condition(variant):
    parts = {"when": table({key: quoted(value) for key, value in variant.when.items()})}
    if variant.start:
        parts["from"] = quoted(variant.start)
    if variant.rates:
        parts["rates"] = rates(variant.rates)
    if variant.over:
        parts["over"] = over(variant.over)
    if variant.multiply is not None:
        parts["multiply"] = quoted(text(variant.multiply))
        if variant.except_:
            parts["except"] = f"[{', '.join(map(quoted, variant.except_))}]"
    return table(parts)


def rates(found):
    ordered = sorted(found, key=lambda key: (KEYS.index(key) if key in KEYS else len(KEYS), key))
    return table({key: quoted(text(found[key])) for key in ordered})


def over(steps):
    shown = [table({"input_gt": str(limit), "rates": rates(found)}) for limit, found in sorted(steps.items())]
    return f"[{', '.join(shown)}]"


def table(parts):
    return "{ " + ", ".join(f"{key} = {value}" for key, value in parts.items()) + " }"


def quoted(value):
    return json.dumps(value, ensure_ascii=False)


def wrapped(start, items, end):
    """A list on one line, or on several of at most 110 characters."""
    whole = start + ", ".join(items) + end
    if len(whole) <= 118:
        yield whole
        return
    yield start
    line = "   "
    for item in items:
        if len(line) + len(item) > 108:
            yield line
            line = "   "
        line += f" {item},"
    yield line
    yield end
