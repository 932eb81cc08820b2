"""Streams (prices reference 2.4): events, folded into the reply that they would have been."""

from __future__ import annotations

from typing import Any

from figures import Json, Unreadable, count, get, inside, listed
from prices import Usage
from replies import Reply, read
from replies_clouds import METRICS, either
from replies_openai import hollow

ANTHROPIC = ("message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop")
CONVERSE = (
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
)
BEDROCK = {
    "inputTokenCount": "input_tokens",
    "outputTokenCount": "output_tokens",
    "cacheReadInputTokenCount": "cache_read_input_tokens",
    "cacheWriteInputTokenCount": "cache_creation_input_tokens",
}
COUNTS = ("prompt_token_count", "generation_token_count", "inputTextTokenCount", "totalOutputTextTokenCount")
TRANSCRIPTION = "conversation.item.input_audio_transcription."


class Stream:
    """What a stream has told so far."""

    def __init__(self) -> None:
        self.whole: Json = {}
        """The reply without its content."""
        self.pieces: list[str] = []
        """What came out, piece by piece; sound and images are pieces without text."""
        self.begun: set[int] = set()
        self.ended: set[int] = set()
        self.complete = False
        self.finished = False
        self.odd: list[str] = []
        self.tools: dict[int, Json] = {}
        """Groq's executed tools, by their index."""
        self.under_way: set[str] = set()
        """Responses and transcriptions that have begun."""
        self.transcriber: str | None = None
        self.only_transcribes = False
        self.heard: dict[tuple[str, int], tuple[str | None, Json]] = {}
        """Transcriptions that have ended: who transcribed, the usage."""

    def feed(self, event: Json) -> None:
        """One event. Its shape tells whose it is. Usage is cumulative: the last value wins."""
        if {"choices", "type"} & set(inside(event, "data")):
            event = event["data"]
        if "candidates" in inside(event, "response"):
            event = event["response"]
        kind = str(event.get("type", ""))
        if "choices" in event or "x_groq" in event:
            self.chat(event)
        elif is_live(event):
            self.live(event)
        elif {"candidates", "usageMetadata", "usage_metadata", "promptFeedback"} & set(event):
            self.gemini(event)
        elif "event_type" in event:
            self.cohere(event) if "-" in event["event_type"] else self.interactions(event)
        elif kind in ANTHROPIC:
            self.anthropic(event, kind)
        elif kind.startswith(TRANSCRIPTION) or "session." in kind:
            self.session(event, kind)
        elif kind.startswith("response."):
            self.responses(event, kind)
        elif kind.startswith(("image_", "trans", "speech.")):
            self.media(event, kind)
        elif "-" in kind:
            self.cohere(event)
        elif set(CONVERSE) & set(event):
            self.converse(event)
        elif {METRICS, "generation", "outputText", "outputs"} & set(event):
            self.invoke(event)
        elif "done" in event:
            self.ollama(event)
        else:
            self.chat(event)

    def piece(self, *texts: Any) -> None:
        """Output, if there is any."""
        text = "".join(text for text in texts if isinstance(text, str))
        if text:
            self.pieces.append(text)

    def keep(self, event: Json, *names: str) -> None:
        """The first value of each field counts."""
        for name in names:
            if event.get(name):
                self.whole.setdefault(name, event[name])

    def chat(self, event: Json) -> None:
        """Chat Completions; usage before the end is a running count or a skeleton."""
        self.keep(event, "model", "object")
        if event.get("service_tier"):
            self.whole["service_tier"] = event["service_tier"]
        for place, choice in enumerate(listed(event, "choices")):
            delta, index = inside(choice, "delta"), index_of(choice, place)
            self.begun.add(index)
            self.piece(delta.get("content"), delta.get("reasoning_content"), choice.get("text"))
            for tool in listed(delta, "executed_tools"):
                kept = self.tools.setdefault(tool.get("index", len(self.tools)), {})
                kept |= {key: tool[key] for key in ("name", "type") if tool.get(key)}
                self.whole["choices"] = [{"message": {"executed_tools": list(self.tools.values())}}]
            if choice.get("finish_reason"):
                self.ended.add(index)
        self.finished = bool(self.begun) and self.begun == self.ended
        if not listed(event, "choices"):
            self.piece(event.get("content"), event.get("response"))
            self.finished |= event.get("type") == "conversation.response.done"
        groq = inside(event, "x_groq")
        told = {"prompt_tokens", "completion_tokens"} & set(inside(groq, "usage"))
        usage = event.get("usage") or (inside(groq, "usage") if told else None)
        if usage and self.pieces and hollow(usage):
            # Zeros next to output are no last word.
            self.whole.setdefault("usage", usage)
        elif usage:
            self.whole["usage"] = usage
            self.complete = self.finished or (not listed(event, "choices") and bool(self.pieces))
        if breakdown := groq.get("usage_breakdown") or event.get("usage_breakdown"):
            self.whole["usage_breakdown"] = breakdown

    def responses(self, event: Json, kind: str) -> None:
        """Responses: the last event has the reply. In Realtime each `response.done` ends one of several."""
        if kind.endswith(".delta"):
            self.piece(event.get("delta"))
        if kind == "response.created":
            self.under_way.add("response")
            self.finished = self.complete = False
        if kind.removeprefix("response.") in ("completed", "incomplete", "failed", "cancelled", "done"):
            self.whole.setdefault("responses", [])
            if kind != "response.done":
                self.whole["responses"] = []
            self.under_way.discard("response")
            known = [one.get("id") for one in self.whole["responses"]]
            if event["response"].get("id") in known and kind == "response.done":
                return
            self.whole["responses"].append(event["response"])
            self.finished, self.complete = True, bool(event["response"].get("usage")) and not self.under_way

    def session(self, event: Json, kind: str) -> None:
        """How a session is set up, and the transcription of what was said in it."""
        told = inside(event, "session")
        self.only_transcribes |= kind.startswith("transcription") or told.get("type") == "transcription"
        setting = inside(inside(inside(told, "audio"), "input"), "transcription")
        setting = setting or inside(told, "input_audio_transcription")
        self.transcriber = setting.get("model") or self.transcriber
        if kind == TRANSCRIPTION + "delta":
            self.piece(event.get("delta"))
            self.under_way.add("transcription")
            self.complete = False
        elif kind.startswith(TRANSCRIPTION):
            self.under_way.discard("transcription")
            if kind.endswith("completed"):
                item = (event["item_id"], event["content_index"])
                self.heard.setdefault(item, (self.transcriber, {"usage": event.get("usage")}))
            told = all(one.get("usage") for one in self.whole.get("responses", []))
            self.complete = not self.under_way and told
            self.finished |= self.complete

    def media(self, event: Json, kind: str) -> None:
        """Images, transcription, speech."""
        if kind.endswith(".delta"):
            text = event.get("delta") if kind.startswith("trans") else event.get("text")
            self.pieces.append(text or "")
        elif kind.endswith(".partial_image"):
            self.pieces.append("")
        if kind.endswith((".done", ".completed")):
            self.whole |= {key: event[key] for key in ("type", "size", "quality", "usage") if key in event}
            if kind.startswith("speech.") and "usage" in event:
                # What is spoken is audio.
                spoken = {"audio_tokens": event["usage"].get("output_tokens")}
                self.whole["usage"] = event["usage"] | {"output_tokens_details": spoken}
            self.finished, self.complete = True, "usage" in event

    def anthropic(self, event: Json, kind: str) -> None:
        """Messages: the last value of each field that is there wins."""
        self.whole["type"] = "message"
        self.keep(inside(event, "message"), "model")
        delta = inside(event, "delta")
        self.piece(next((delta[k] for k in ("text", "thinking", "partial_json") if k in delta), None))
        self.piece(inside(event, "content_block").get("name"))
        self.merge("usage", inside(event, "message").get("usage") or event.get("usage"))
        if delta.get("stop_reason"):
            # Without it the seed's single token would be the last word.
            out = inside(event, "usage").get("output_tokens")
            self.finished, self.complete = True, out is not None and not (out == 0 and self.pieces)
            # Without its input it is not all that is billed.
            self.complete &= self.whole["usage"].get("input_tokens") is not None
        if METRICS in event:
            # On Bedrock only the last event tells the cache.
            told = {ours: event[METRICS].get(theirs) for theirs, ours in BEDROCK.items()}
            usage = self.whole.setdefault("usage", {})
            usage |= {ours: n for ours, n in told.items() if n and not usage.get(ours)}
            self.complete = True

    def merge(self, name: str, usage: Any) -> None:
        """A counter does not fall: one that falls to nothing is a field that a gateway does not know."""
        known, odd = self.whole.setdefault(name, {}), []
        for key, value in (usage or {}).items():
            before = known.get(key)
            if value is None:
                continue
            if is_count(before) and is_count(value) and value < before:
                odd.append("counter_fell")
                if value == 0:
                    continue
            known[key] = value
        # One event is enough to tell it.
        self.odd = self.odd or odd

    def live(self, event: Json) -> None:
        """A message of a Live session: the usage of a turn comes on top of the turns before."""
        if turn := either(either(event, "serverContent") or {}, "modelTurn"):
            self.finished = self.complete = False
            for part in listed(turn, "parts"):
                self.piece(part.get("text"))
        usage = either(event, "usageMetadata")
        if isinstance(usage, dict):
            self.whole.setdefault("responses", []).append({"usageMetadata": usage})
            self.finished = self.complete = True

    def gemini(self, event: Json) -> None:
        """Each chunk is a reply with a piece of the content."""
        for name in ("modelVersion", "model_version"):
            self.keep(event, name)
        for place, candidate in enumerate(listed(event, "candidates")):
            index = index_of(candidate, place)
            self.begun.add(index)
            for part in listed(inside(candidate, "content"), "parts"):
                self.piece(part.get("text"))
            if either(candidate, "groundingMetadata"):
                self.whole["candidates"] = [{"groundingMetadata": either(candidate, "groundingMetadata")}]
            if either(candidate, "finishReason"):
                self.ended.add(index)
        blocked = "promptFeedback" in event and not self.begun
        self.finished = blocked or (bool(self.begun) and self.begun == self.ended)
        if usage := either(event, "usageMetadata"):
            self.merge("usageMetadata", usage)
            self.complete = self.finished

    def interactions(self, event: Json) -> None:
        """Interactions: the event that ends it has the usage."""
        delta = inside(event, "delta")
        self.piece(delta.get("text"), delta.get("arguments"))
        done = inside(event, "interaction")
        self.keep(done, "model", "service_tier")
        created = event["event_type"] == "interaction.created"
        running = created or done.get("status") in ("queued", "in_progress")
        if done and not running:
            self.whole |= {key: done[key] for key in ("usage", "service_tier") if done.get(key)}
            self.finished, self.complete = True, bool(done.get("usage"))

    def converse(self, event: Json) -> None:
        """ConverseStream: usage in `metadata`."""
        delta = inside(inside(event, "contentBlockDelta"), "delta")
        self.piece(delta.get("text") or inside(delta, "reasoningContent").get("text"))
        self.piece(inside(delta, "toolUse").get("input"))
        self.finished |= "messageStop" in event
        self.whole |= inside(event, "metadata")
        self.complete |= bool(inside(event, "metadata").get("usage"))

    def invoke(self, event: Json) -> None:
        """Other families of InvokeModel: counts next to the content, metrics at the end."""
        for place in (event, *listed(event, "outputs")):
            self.piece(place.get("generation"), place.get("outputText"), place.get("text"))
            self.finished |= bool(place.get("stop_reason") or place.get("completionReason"))
        self.whole |= {key: event[key] for key in (*COUNTS, METRICS) if event.get(key) is not None}
        self.finished |= METRICS in event
        self.complete = self.finished and bool({*COUNTS, METRICS} & set(self.whole))

    def cohere(self, event: Json) -> None:
        """Both versions: the event that ends it has the usage."""
        kind, said = event.get("type") or event.get("event_type"), inside(inside(event, "delta"), "message")
        content = inside(said, "content")
        self.piece(content.get("text"), content.get("thinking"), said.get("tool_plan"))
        if kind == "text-generation":
            self.piece(event.get("text"))
        if kind in ("message-end", "stream-end"):
            end = inside(event, "delta", "response")
            usage = end.get("usage") or end.get("meta")
            self.finished, self.complete = True, bool(usage)
            self.whole |= {"usage": usage} if usage else {}

    def ollama(self, event: Json) -> None:
        """The last object has the counts."""
        self.keep(event, "model")
        self.piece(inside(event, "message").get("content"), event.get("response"))
        if event["done"] is True:
            self.finished, self.complete = True, event.get("eval_count") is not None
            counts = ("prompt_eval_count", "eval_count")
            self.whole |= {key: event[key] for key in counts if event.get(key) is not None}

    def reply(self, provider: str | None, model: str | None) -> Reply:
        """The reply so far. What it costs is told by its last word only."""
        whole = self.whole.get("responses", [self.whole])
        replies = [read(provider, model, one) for one in whole]
        first = replies[0]
        for more in replies[1:]:
            first.anomalies += more.anomalies
            first.usage = plus_usage(first.usage, more.usage)
        responded = "responses" in self.whole
        untold = responded and first.usage is None
        for transcriber, one in self.heard.values():
            more = read(provider, None, one)
            first.anomalies += more.anomalies
            if more.usage is None and not {"unreadable", "unrecognised"} & set(more.anomalies):
                first.anomalies.append("unrecognised")
            if self.only_transcribes or (self.transcriber is None and not responded):
                first.usage = plus_usage(first.usage, more.usage)
            else:
                # Without its name the model has no price.
                first.usage = first.usage or {}
                first.parts.append((transcriber or "input_audio_transcription", more.usage or {}))
        if untold and self.heard:
            first.usage, first.parts = None, []
        if (len(replies) > 1 or self.heard) and {"unreadable", "unrecognised"} & set(first.anomalies):
            # One that cannot be read leaves nothing to be trusted.
            first.usage, first.parts, self.complete = None, [], False
        if not self.complete:
            first.reported = None
        first.anomalies += self.odd
        return first

    @property
    def output_floor(self) -> int:
        """Output tokens counted so far: at least one per piece, at least one per four bytes."""
        return max(len(self.pieces), -(-len("".join(self.pieces).encode()) // 4))


def is_live(event: Json) -> bool:
    """A message of a Live session."""
    usage = either(event, "usageMetadata")
    responded = isinstance(usage, dict) and either(usage, "responseTokenCount") is not None
    return responded or isinstance(either(event, "serverContent"), dict)


def plus_usage(sum_: Usage | None, more: Usage | None) -> Usage:
    """Both, bucket by bucket."""
    one, two = sum_ or {}, more or {}
    return {bucket: one.get(bucket, 0) + two.get(bucket, 0) for bucket in one | two}


def is_count(value: Any) -> bool:
    """A number that a counter can have."""
    try:
        return get({"n": value}, "n") is not None
    except Unreadable:
        return False


def index_of(choice: Json, place: int) -> int:
    """Which choice it is: as it says, else by its place."""
    index = choice.get("index")
    return index if isinstance(index, int) and not isinstance(index, bool) else place


def seen_output(usage: Json) -> int:
    """Output tokens that the provider has counted."""
    return sum(count(usage, bucket) for bucket in usage if bucket.startswith("output"))
