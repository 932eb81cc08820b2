"""Replies and streams of the stories, damaged at random: the engine and the oracle read them alike."""

from __future__ import annotations

import copy
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import spendrail
from stories import stories

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "oracle"))

from prices import PER
from replies import Reply, read
from streams import Stream

Json = dict[str, Any]
SEED, EACH = 7, 2_000
COUNTS = [0, 1, 2, 5, 10, 50, 100, 130, 500, 1000, 5000]
PLACES = ("index", "content_index")
DAMAGE = [-1, 1.5, "7", True, 2**41, [1]]


class Sent:
    """What a provider of a story sent: a whole reply, or the events of a stream."""

    def __init__(self, story: Json) -> None:
        called = next((step["with"] for step in story["steps"] if step["do"] == "reserve"), {})
        self.name = f"{story['topic']}: {story['name']}"
        self.provider, self.model = called.get("provider", "openai"), called.get("model", "m")
        given = [step.get("with", {}) for step in story["steps"]]
        self.replies = [one["reply"] for one in given if isinstance(one.get("reply"), dict)]
        self.events = [one["event"] for one in given if "event" in one]


TOLD = [Sent(story) for story in stories() if story["topic"] in ("costs", "replies", "streams")]
PROVIDERS = {sent.provider for sent in TOLD}
# What other models are billed for, and what a reply may be served by.
MODELS = {sent.model for sent in TOLD} | {
    "small", "adviser", "fallback", "vector-1", "gpt-image-2", "image_generation", "cached", "vendor/new-one",
    "input_audio_transcription",
}  # fmt: skip


def guard() -> spendrail.Guard:
    rates = {bucket: "1" for bucket in PER if bucket != "request"}
    models = {model: {"max_output_tokens": 10**6, "prices": [{"rates": rates}]} for model in MODELS}
    prices = [{"catalog": 1, "provider": provider, "models": models} for provider in PROVIDERS]
    return spendrail.Guard(config={"prices": {"builtin": False}, "telemetry": {"mode": "off"}}, prices=prices)


def damaged(told: Json, chance: random.Random) -> Json:
    """Some figures are others, are not told, or are no counts."""
    told = copy.deepcopy(told)
    places = list(numbers(told))
    for holder, key in chance.sample(places, min(len(places), chance.choice([1, 1, 2, 3]))):
        how = chance.random()
        if how < 0.6:
            holder[key] = chance.choice(COUNTS)
        elif how < 0.75:
            holder[key] = None
        elif how < 0.85 and isinstance(holder, dict):
            del holder[key]
        elif how < 0.95:
            holder[key] = chance.choice(DAMAGE)
        else:
            holder[key] = float(chance.choice(COUNTS))
    return told


def numbers(value: Any) -> Any:
    """Where figures stand. Which choice a chunk belongs to, or which part of an item, is none."""
    pairs = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, item in pairs:
        if isinstance(item, (int, float)) and not isinstance(item, bool) and key not in PLACES:
            yield value, key
        yield from numbers(item)


def oracle_says(reply: Reply) -> Any:
    """The buckets of all models, and the anomalies; nothing where a figure cannot be read."""
    if reply.usage is None:
        return None
    usage: Counter[str] = Counter(reply.usage)
    for _, part in reply.parts:
        usage.update(part)
    return {bucket: n for bucket, n in usage.items() if n}, sorted(reply.anomalies)[:8]


def engine_says(receipt: spendrail.Receipt) -> Any:
    if receipt.usage is None:
        return None
    rules = [rule for rule, _ in receipt.anomalies if rule != "reported_cost"]
    return receipt.usage.to_dict(), sorted(rules)[:8]


def test_damaged_replies() -> None:
    chance, engine, seen = random.Random(SEED), guard(), Counter[str]()
    for _ in range(EACH):
        sent = chance.choice([sent for sent in TOLD if sent.replies])
        reply = damaged(chance.choice(sent.replies), chance)
        expected = oracle_says(read(sent.provider, sent.model, reply))
        hold = engine.reserve(provider=sent.provider, model=sent.model, input_tokens=10, max_output_tokens=10)
        assert engine_says(hold.settle(reply)) == expected, (sent.name, reply)
        seen["unknown" if expected is None else "odd" if expected[1] else "plain"] += 1
    assert min(seen[what] for what in ("unknown", "odd", "plain")) > EACH // 50, seen


def test_damaged_streams() -> None:
    chance, engine, seen = random.Random(SEED), guard(), Counter[str]()
    for _ in range(EACH):
        sent = chance.choice([sent for sent in TOLD if sent.events])
        events = [damaged(event, chance) if chance.random() < 0.5 else event for event in sent.events]
        if chance.random() < 0.2:
            events = events[: chance.randrange(len(events) + 1)]
        stream = Stream()
        hold = engine.reserve(provider=sent.provider, model=sent.model, input_tokens=10, max_output_tokens=10)
        hold.stream()
        for event in events:
            stream.feed(event)
            hold.chunk(event)
        expected = oracle_says(stream.reply(sent.provider, sent.model))
        receipt = hold.finish()
        if stream.complete:
            assert engine_says(receipt) == expected, (sent.name, events)
        else:
            assert "estimated" in receipt.flags, (sent.name, events)
        seen["cut" if not stream.complete else "unknown" if expected is None else "complete"] += 1
    assert min(seen[what] for what in ("cut", "unknown", "complete")) > EACH // 50, seen
