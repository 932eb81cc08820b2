"""What was spent, call by call, and what other rules would have made of it."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Any

from amounts import Fault, shown
from policy import read
from prices import Catalog
from state import Hold, State, scope_of
from windows import instant

SETTLES = ("settle", "settle_token", "finish", "close", "cut", "abandon")


class Statements:
    """The statement of one guard; a part of the oracle."""

    state: State
    clock: datetime
    tokens: dict[str, Hold]
    names: dict[str, Hold]
    entries: dict[int, dict[str, Any]]

    def __init__(self, state: State) -> None:
        raise NotImplementedError

    def answer(self, step: dict[str, Any]) -> Any:
        """One step's answer, as JSON."""
        raise NotImplementedError

    def enter(self, step: Any, answer: Any) -> None:
        """One entry per call that was settled; a better word on the same call replaces the one before."""
        if step["do"] not in SETTLES or "repeated" in answer.get("flags", ["repeated"]):
            return
        if self.state.policy.journal == 0 or self.state.policy.mode == "off":
            return
        hold = self.tokens[step["token"]] if "token" in step else self.names[step["hold"]]
        with_ = step.get("with", {})
        entry = {
            **{key: answer[key] for key in ("cost", "posted_nano_usd", "flags")},
            "reserved_nano_usd": hold.answer.get("held_nano_usd", 0),
            "model": hold.content.get("tool") or hold.content["model"],
            "is_tool": "tool" in hold.content,
            "scope": nested(scope_of(hold.content)),
            "labels": scope_of(hold.content),
            "started_at": hold.at,
            "settled_at": self.state.now,
            "call": hold.content,
            "with": {"usage": with_["usage"]} if "usage" in with_ else {"cost": answer["cost"] + " USD"},
        }
        self.entries.pop(hold.number, None)
        self.entries[hold.number] = entry

    def do_statement(self, _: Any, with_: Any) -> Any:
        if self.state.policy.journal == 0:
            raise Fault("config_invalid", "ledger.journal")
        since, until = (instant(with_[key]) if key in with_ else None for key in ("since", "until"))
        wanted = scope_of({key: value for key, value in with_.items() if key not in ("since", "until")})

        def listed(entry: dict[str, Any]) -> bool:
            in_time = (since is None or entry["settled_at"] >= since) and (
                until is None or entry["settled_at"] < until
            )
            return in_time and wanted.items() <= entry["labels"].items()

        return [entry for entry in self.entries.values() if listed(entry)]

    def do_simulate(self, _: Any, with_: Any) -> Any:
        """Every call again, at its own time, under other rules: what ends ends before something begins."""
        entries = list(self.entries.values())
        catalog = Catalog(with_["prices"]) if "prices" in with_ else self.state.catalog
        times = [(e["settled_at"], e["settled_at"] == e["started_at"], at, 1) for at, e in enumerate(entries)]
        times += [(e["started_at"], True, at, 0) for at, e in enumerate(entries)]
        other = type(self)(State(min(times)[0], read(with_.get("config", {})), catalog))
        denials: dict[Any, int] = {}
        admitted, total, nano = set(), Fraction(0), 0
        for now, _, at, ends in sorted(times):
            other.clock, entry = now, entries[at]
            if not ends:
                call = {key: value for key, value in entry["call"].items() if key not in ("id", "run")}
                do = {"do": "tool" if entry["is_tool"] else "reserve", "as": str(at), "with": call}
                answer = other.answer(do)
                if "denied" in answer:
                    hard = [one["budget"] for one in answer["denied"].get("failures", [])]
                    reason = (answer["denied"]["code"], hard[0] if hard else None)
                    denials[reason] = denials.get(reason, 0) + 1
                else:
                    admitted.add(at)
            elif at in admitted:
                answer = other.answer({"do": "settle", "hold": str(at), "with": entry["with"]})
                total, nano = total + Fraction(answer["cost"]), nano + answer["posted_nano_usd"]
        return {
            "calls": len(entries),
            "denied": len(entries) - len(admitted),
            "cost": shown(total),
            "posted_nano_usd": nano,
            "recorded_nano_usd": sum(entry["posted_nano_usd"] for entry in entries),
            "denials": [{"code": c, "budget": b, "count": n} for (c, b), n in denials.items()],
        }


def nested(labels: dict[str, Any]) -> dict[str, Any]:
    """Labels as a scope is written: tags apart."""
    tags = {key.removeprefix("tag."): value for key, value in labels.items() if key.startswith("tag.")}
    plain = {key: value for key, value in labels.items() if not key.startswith("tag.")}
    return plain | ({"tags": tags} if tags else {})
