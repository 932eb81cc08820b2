"""The stories of tests/vectors, told to a guard through the public API."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import spendrail
from spendrail.testing import ManualClock

Json = dict[str, Any]
VECTORS = Path(__file__).parents[2] / "tests" / "vectors"
CATALOG = "catalog.json"


def stories() -> list[Json]:
    """All stories, each with its topic."""
    files = sorted(path for path in VECTORS.glob("*.json") if path.name != CATALOG)
    return [{"topic": path.stem, **story} for path in files for story in repeated(json.loads(path.read_text()))]


def repeated(value: Any) -> Any:
    """`{"$repeat": ["x", 3]}` stands for "xxx"."""
    if isinstance(value, list):
        return [repeated(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$repeat" in value:
        text, times = value["$repeat"]
        return text * times
    return {key: repeated(item) for key, item in value.items()}


def plain(value: Any) -> Any:
    """An answer as stories write it: decimals and instants as text, records and objects as their public values."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, spendrail.Page):
        return plain(value.items)
    if isinstance(value, spendrail.Usage):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if value is None or isinstance(value, (str, int, float)):
        return value
    names = [name for name in dir(type(value)) if not name.startswith("_")]
    fields = {name: getattr(value, name) for name in names if not callable(getattr(value, name))}
    if isinstance(value, spendrail.Cost):
        fields["cost"] = fields["total"]
    return {name: plain(field) for name, field in fields.items()}


def mismatch(expected: Any, answer: Any, path: str) -> str | None:
    """What is wrong with an answer. Objects match on the keys given, lists item by item."""
    differs = f"{path}: expected {expected!r}, got {answer!r}"
    if isinstance(expected, list):
        if not isinstance(answer, list) or len(answer) != len(expected):
            return differs
        found = (mismatch(item, answer[at], f"{path}[{at}]") for at, item in enumerate(expected))
        return next((why for why in found if why), None)
    if isinstance(expected, dict):
        if not isinstance(answer, dict):
            return differs
        found = (mismatch(item, answer.get(key), f"{path}.{key}") for key, item in expected.items())
        return next((why for why in found if why), None)
    same = type(expected) is type(answer) and (expected == answer or instant(expected) == instant(answer) is not None)
    return None if same else differs


def instant(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (AttributeError, ValueError):
        return None


class Telling:
    """One story, in a folder of its own."""

    def __init__(self, story: Json, folder: Path) -> None:
        self.story, self.folder = story, folder
        self.config: Any = story.get("config", {})
        self.prices: Any = story.get("prices", json.loads((VECTORS / CATALOG).read_text()))
        self.guard: spendrail.Guard
        self.clock = ManualClock(story.get("start", "2026-01-01T00:00:00Z"))
        self.holds: dict[str, spendrail.Hold] = {}
        self.streams: set[str] = set()
        self.tokens: dict[str, str] = {}
        self.runs: dict[str, spendrail.Run] = {}
        self.stops: dict[str, str] = {}

    def wrong(self) -> list[str]:
        """Every way in which the engine disagrees with the story."""
        self.write(self.config, self.prices)
        built = shown(self.build)
        if "expect" in self.story or built != {"ok": True}:
            why = mismatch(self.story.get("expect", {"ok": True}), built, "start")
            return [f"{why}: {built}"] if why else []
        wrong = []
        for at, step in enumerate(self.story.get("steps", [])):
            answer = shown(lambda step=step: self.step(step, step.get("with", {})))  # type: ignore[misc]
            failed = "error" in answer or "denied" in answer if isinstance(answer, dict) else False
            if not failed and ("expect" not in step or step["do"] == "abandon"):
                continue
            if why := mismatch(step.get("expect", {"ok": True}), answer, ""):
                wrong.append(f"step {at} ({step['do']}): {why}")
        return wrong

    def build(self) -> None:
        self.guard = spendrail.Guard(self.folder / "spendrail.json", clock=self.clock)

    def write(self, config: Any, prices: list[Any]) -> None:
        """The configuration names its price files; what is no object is written as the text that it is."""
        files = []
        for at, price in enumerate(prices):
            files.append(f"prices-{at}.json")
            text = price if isinstance(price, str) else json.dumps(price)
            self.replace(files[-1], text)
        if isinstance(config, dict):
            config = {**config, "prices": {"builtin": False, **config.get("prices", {}), "files": files}}
        self.replace("spendrail.json", config if isinstance(config, str) else json.dumps(config))

    def replace(self, name: str, text: str) -> None:
        """In one step: the guard is watching."""
        (self.folder / ".draft").write_text(text)
        (self.folder / ".draft").replace(self.folder / name)

    def step(self, step: Json, given: Json) -> Any:
        return self.guard.stops() if step["do"] == "stops" else getattr(self, step["do"])(step, given)

    def advance(self, step: Json, given: Json) -> None:
        self.clock.advance(step["ms"])

    def set_time(self, step: Json, given: Json) -> None:
        self.clock.set(step["to"])

    def reserve(self, step: Json, given: Json) -> Any:
        reserve = self.runs[step["run"]].reserve if "run" in step else self.guard.reserve
        hold = reserve(**given)
        self.holds[step.get("as", f"unnamed-{len(self.holds)}")] = hold
        return {**plain(hold), "flags": ["repeated"] if hold.repeated else []}

    tool = reserve

    def check(self, step: Json, given: Json) -> Any:
        if "run" not in step:
            return self.guard.check(**given)
        return self.runs[step["run"]].bind(self.guard.check)(**given)

    def settle(self, step: Json, given: Json) -> Any:
        hold = self.holds[step["hold"]]
        return hold.settle(given["reply"]) if "reply" in given else hold.settle(**given)

    def settle_token(self, step: Json, given: Json) -> Any:
        token = given["token"] if "token" in given else self.tokens[step["token"]]
        given = {key: value for key, value in given.items() if key != "token"}
        if "reply" in given:
            return self.guard.settle(token, given["reply"])
        return self.guard.settle(token, **given)

    def release(self, step: Json, given: Json) -> None:
        self.holds[step["hold"]].release()

    def release_token(self, step: Json, given: Json) -> None:
        self.guard.release(given["token"] if "token" in given else self.tokens[step["token"]])

    def detach(self, step: Json, given: Json) -> None:
        self.tokens[step["as"]] = self.holds[step["hold"]].detach()

    def abandon(self, step: Json, given: Json) -> None:
        self.holds.pop(step["hold"])

    def chunk(self, step: Json, given: Json) -> None:
        hold = self.holds[step["hold"]]
        if step["hold"] not in self.streams:
            hold.stream(given.get("api"))
        self.streams.add(step["hold"])
        hold.chunk(given["event"])

    def lost_attempt(self, step: Json, given: Json) -> None:
        self.holds[step["hold"]].lost_attempt()

    def finish(self, step: Json, given: Json) -> Any:
        return self.holds[step["hold"]].finish()

    def close(self, step: Json, given: Json) -> Any:
        return self.holds[step["hold"]].close()

    def cut(self, step: Json, given: Json) -> Any:
        return self.holds[step["hold"]].cut()

    def expire(self, step: Json, given: Json) -> Any:
        return {"expired": self.guard.expire_due()}

    def record(self, step: Json, given: Json) -> Any:
        return self.guard.record(**given)

    def cost(self, step: Json, given: Json) -> Any:
        return self.guard.cost(**told_usage(given))

    def explain(self, step: Json, given: Json) -> Any:
        return self.guard.explain(**told_usage(given))

    def endpoint(self, step: Json, given: Json) -> Any:
        return self.guard.invoke("endpoint", given)

    def balances(self, step: Json, given: Json) -> Any:
        return self.guard.balances(**given)

    def top_up(self, step: Json, given: Json) -> Any:
        done = self.guard.top_up(**given)
        return {"flags": ["repeated"] if done.repeated else [], "repeated": done.repeated}

    def set_limit(self, step: Json, given: Json) -> None:
        given = dict(given)
        limit = given.pop("limit") if "limit" in given else given.pop("amount", None)
        self.guard.set_limit(given.pop("budget"), limit, **given)

    def set_limits(self, step: Json, given: Json) -> None:
        self.guard.set_limits(**given)

    def stop(self, step: Json, given: Json) -> None:
        self.stops[step["as"]] = self.guard.stop(**given)

    def resume(self, step: Json, given: Json) -> None:
        self.guard.resume(self.stops.get(step.get("stop", "")) or given.get("stop_id") or given["id"])

    def start_run(self, step: Json, given: Json) -> None:
        self.runs[step["as"]] = self.guard.start_run(**{"id": step["as"], **given})

    def child(self, step: Json, given: Json) -> None:
        self.runs[step["as"]] = self.runs[step["run"]].child(**{"id": step["as"], **given})

    def carry(self, step: Json, given: Json) -> None:
        self.tokens[step["as"]] = self.runs[step["run"]].token()

    def resume_run(self, step: Json, given: Json) -> None:
        self.runs[step["as"]] = self.guard.resume_run(given.get("token") or self.tokens[step["token"]])

    def end_run(self, step: Json, given: Json) -> None:
        self.runs[step["run"]].end()

    def run(self, step: Json, given: Json) -> Any:
        return {one.budget.removeprefix("run."): one for one in self.runs[step["run"]].balances()}

    def price_report(self, step: Json, given: Json) -> Any:
        return self.guard.price_report()

    def warnings(self, step: Json, given: Json) -> Any:
        return self.guard.warnings

    def reload(self, step: Json, given: Json) -> None:
        """Writes the files and reads them; after an error the files that were good stand there again."""
        config, prices = given.get("config", self.config), given.get("prices", self.prices)
        self.write(config, prices)
        try:
            self.guard.reload()
        except spendrail.Error:
            self.write(self.config, self.prices)
            raise
        self.config, self.prices = config, prices

    def statement(self, step: Json, given: Json) -> Any:
        return [entry.to_dict() for entry in self.guard.statement(**given)]

    def simulate(self, step: Json, given: Json) -> Any:
        config = {**given.get("config", {}), "prices": {"builtin": False}}
        return spendrail.simulate(self.guard.statement(), config, prices=given.get("prices", self.prices))

    def close_guard(self, step: Json, given: Json) -> None:
        self.guard.close()


def told_usage(given: Json) -> Json:
    """Totals that include their parts are a usage too."""
    if "inclusive" not in given:
        return given
    rest = {key: value for key, value in given.items() if key != "inclusive"}
    return {**rest, "usage": spendrail.Usage.inclusive(**given["inclusive"])}


def shown(body: Callable[[], Any]) -> Any:
    """An answer, a denial or an error, as stories write it."""
    try:
        answer = plain(body())
    except spendrail.Denied as denied:
        return {"denied": plain({name: getattr(denied, name) for name in DENIAL})}
    except spendrail.Error as error:
        return {"error": {"code": error.code, "field": error.field}}
    if isinstance(answer, dict) and "flags" in answer:
        answer["flags"] = sorted(answer["flags"])
    if isinstance(answer, dict) and "anomalies" in answer:
        answer["anomalies"] = [rule for rule, _ in answer["anomalies"]]
    return {"ok": True} if answer is None else answer


DENIAL = ("code", "failures", "retry_at", "max_output_tokens", "http_status", "subject", "retry_after")
