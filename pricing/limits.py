"""How long an output can get, where neither catalog says so under the provider's own name of a model.

It is a property of the model, not of who sells it. So, in this order, each with a `note` in the file:

1. what LiteLLM lists for the same model under another seller's name, the largest of all: a worst case may be too
   large, never too small;
2. the context window that genai-prices lists: it holds the input and the output, so no output is longer.

Without either the file names no maximum, and a call that names none itself is denied (`unbounded_output`).
"""

import re

from files import undated

# How sellers spell what is no part of a model's name: places and makers before it, versions after it.
PLACE = re.compile(r"(global|us-gov|us|eu|apac|jp|au|in)\.")
MAKERS = "ai21 amazon anthropic cohere deepseek google meta minimax mistral moonshotai nvidia openai qwen xai zai"
MAKER = re.compile(rf"({MAKERS.replace(' ', '|')})\.")
VERSION = re.compile(r"(-v\d+)?:(\d+|free|nitro|exacto|extended|online)$|@\w+$")
# Modes of models that write.
TEXT = ("chat", "completion", "responses")


def same_model(name):
    """One spelling of a model's name, whoever sells it. Never a part of a name, never the closest one."""
    bare = name.lower().rsplit("/", 1)[-1]
    bare = VERSION.sub("", MAKER.sub("", PLACE.sub("", bare, count=1), count=1))
    # Fireworks writes 3p1 for 3.1.
    return re.sub(r"[._ ]", "-", re.sub(r"(?<=\d)p(?=\d)", ".", undated(bare)))


class Limits:
    """What LiteLLM lists, by the model's name."""

    def __init__(self, litellm):
        self.stated = {}
        for name in litellm.entries:
            listing = litellm.listing(name, name) if name != "sample_spec" else None
            if listing is not None and listing.mode in TEXT and listing.max_output:
                known = self.stated.get(same_model(name), (0, ""))
                self.stated[same_model(name)] = max(known, (listing.max_output, name))

    def complete(self, listing, window):
        """Gives a listing a maximum that it lacks. `window`: the context window, if it is known."""
        if listing.mode not in TEXT or listing.max_output or listing.same_as:
            return
        known = [self.stated[name] for name in map(same_model, [listing.id, *listing.aliases]) if name in self.stated]
        if known:
            listing.max_output, name = max(known)
            listing.notes.append(f"max_output_tokens as litellm lists it for {name}")
        elif window:
            listing.max_output = window
            listing.notes.append("max_output_tokens is the context window: no maximum is listed")
