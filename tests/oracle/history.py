"""One random history: a configuration, and steps whose answers are the oracle's."""

from __future__ import annotations

import copy
from collections import Counter
from random import Random
from typing import Any

import choices
from oracle import Oracle, start

STEPS = 45
WEIGHTS = {
    "reserve": 30,
    "settle": 16,
    "pass_time": 9,
    "settle_token": 6,
    "balances": 5,
    "release": 4,
    "detach": 4,
    "tool": 3,
    "abandon": 2,
    "top_up": 2,
    "set_limit": 2,
    "reload": 2,
    "record": 2,
    "start_run": 2,
    "child": 3,
    "run": 2,
    "check": 2,
    "release_token": 1,
    "stop": 1,
    "resume": 1,
    "end_run": 2,
}


class History:
    """Chooses steps by what the oracle has answered so far."""

    def __init__(self, random: Random, name: str, prices: list[dict[str, Any]]) -> None:
        self.random, self.outcomes = random, Counter[str]()
        self.base: dict[str, Any] = {
            "name": name,
            "why": "random",
            "start": random.choice(choices.STARTS),
            "prices": prices,
        }
        self.config = choices.config(random)
        self.first = copy.deepcopy(self.config)
        self.dear = False
        oracle, answer = start({**self.base, "config": self.config})
        assert oracle is not None, answer
        self.oracle: Oracle = oracle
        self.steps: list[dict[str, Any]] = []
        self.open: list[str] = []
        self.tokens: list[str] = []
        self.closed: list[str] = []
        self.runs: list[str] = []
        self.stops: list[str] = []
        self.used_ids: list[dict[str, Any]] = []
        self.settled: dict[str, dict[str, Any]] = {}
        self.prices_at: dict[str, bool] = {}
        self.places: dict[tuple[str, Any], Any] = {}

    def story(self) -> dict[str, Any]:
        """The whole story."""
        while len(self.steps) < STEPS:
            what = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            getattr(self, "step_" + what)()
        self.step_pass_time()
        for budget in self.config["budgets"]:
            self.do({"do": "balances", "with": {"budget": budget["name"]}})
        for run in self.runs:
            self.do({"do": "run", "run": run})
        return {**self.base, "config": self.first, "steps": self.steps}

    def do(self, step: dict[str, Any]) -> Any:
        """Asks the oracle, writes the step, counts what happened."""
        answer = self.oracle.answer(copy.deepcopy(step))
        told = {} if step["do"] == "abandon" else {"expect": portable(answer)}
        self.steps.append(copy.deepcopy(step) | told)
        self.count(step, answer)
        return answer

    def count(self, step: dict[str, Any], answer: Any) -> None:
        """Outcomes by name."""
        self.outcomes["steps"] += 1
        rows = answer if isinstance(answer, list) else []
        for row in rows:
            self.outcomes["unconfirmed"] += row.get("unconfirmed", 0) > 0
            self.outcomes["topped_up"] += row.get("topped_up", 0) > 0
            self.outcomes["negative"] += (row.get("available") or 0) < 0
            place = (row.get("budget"), str(row.get("scope")))
            self.outcomes["rolled"] += self.places.get(place, row.get("window_start")) != row.get(
                "window_start"
            )
            self.places[place] = row.get("window_start")
        if not isinstance(answer, dict):
            return
        for kind in ("denied", "error"):
            if kind in answer:
                self.outcomes[f"{kind}:{answer[kind]['code']}"] += 1
        self.outcomes["several_failures"] += len(answer.get("denied", {}).get("failures", [])) > 1
        if answer.get("would_deny"):
            self.outcomes["would_deny"] += 1
        self.outcomes["flag:repeated"] += answer.get("repeated") is True
        for flag in answer.get("flags", []):
            self.outcomes[f"flag:{flag}"] += 1
        self.outcomes["expired"] += answer.get("expired", 0)
        if step["do"] == "expire":
            counters = [self.oracle.state.counters(leg.account) for leg in self.legs()]
            self.outcomes["freed"] += any(found.freed for found in counters)

    def legs(self) -> list[Any]:
        """Every leg of every hold."""
        return [leg for hold in self.oracle.state.holds for leg in hold.legs]

    # -- calls

    def step_reserve(self) -> None:
        self.tick()
        random = self.random
        if self.used_ids and random.random() < 0.12:
            step = copy.deepcopy(random.choice(self.used_ids))
            if random.random() < 0.4:
                step["with"]["max_output_tokens"] = step["with"]["max_output_tokens"] + 1
        else:
            step = {"do": "reserve", "with": choices.call(random)}
            if self.runs and random.random() < 0.45:
                step["run"] = random.choice(self.runs)
                step["with"]["fingerprint"] = str(random.randrange(3))
            if random.random() < 0.3:
                step["with"]["id"] = f"id-{len(self.steps)}"
        repeated = any(step["with"].get("id") == old["with"]["id"] for old in self.used_ids)
        step["as"] = f"h{len(self.steps)}"
        answer = self.do(step)
        if "held_nano_usd" in answer and not repeated:
            self.open.append(step["as"])
            self.prices_at[step["as"]] = self.dear
            if "id" in step["with"]:
                self.used_ids.append({key: value for key, value in step.items() if key != "as"})

    def step_tool(self) -> None:
        if self.runs:
            self.tick()
            with_ = {"tool": self.random.choice(["search", "browse"])}
            if self.random.random() < 0.5:
                with_["cost"] = self.random.choice(["0.0001 USD", "0.0005 USD"])
            step = {
                "do": "tool",
                "as": f"h{len(self.steps)}",
                "run": self.random.choice(self.runs),
                "with": with_,
            }
            if "held_nano_usd" in self.do(step):
                self.do(
                    {
                        "do": self.random.choice(["settle", "release"]),
                        "hold": step["as"],
                        "with": {},
                    }
                )

    def step_check(self) -> None:
        self.do({"do": "check", "with": choices.call(self.random)})

    def usage(self, hold: str) -> dict[str, Any]:
        """Below, at or above what was held."""
        into, out = self.oracle.names[hold].tokens
        random = self.random
        if random.random() < 0.25:
            return {"usage": {"input": into, "output": out}}
        if random.random() < 0.3:
            return {
                "usage": {"input": into + random.randrange(1, 300), "output": out + random.randrange(300)}
            }
        return {"usage": {"input": random.randint(0, into), "output": random.randint(0, out)}}

    def step_settle(self) -> None:
        if self.closed and self.random.random() < 0.05:
            self.do(
                {"do": "settle", "hold": self.random.choice(self.closed), "with": {"usage": {"input": 1}}}
            )
        elif self.open:
            hold = self.take(self.open)
            answer = self.do({"do": "settle", "hold": hold, "with": self.usage(hold)})
            self.outcomes["settled:reloaded"] += "cost" in answer and self.prices_at[hold] != self.dear

    def step_release(self) -> None:
        if self.open:
            self.do({"do": "release", "hold": self.take(self.open)})

    def step_abandon(self) -> None:
        if self.open:
            self.do({"do": "abandon", "hold": self.take(self.open)})

    def step_detach(self) -> None:
        if self.open:
            hold = self.take(self.open)
            self.do({"do": "detach", "hold": hold, "as": f"t-{hold}"})
            self.tokens.append(f"t-{hold}")

    def step_settle_token(self) -> None:
        if self.tokens:
            token = self.random.choice(self.tokens)
            with_ = self.settled.get(token) if self.random.random() < 0.6 else None
            with_ = with_ or self.usage(token.removeprefix("t-"))
            self.do({"do": "settle_token", "token": token, "with": with_})
            self.settled.setdefault(token, with_)

    def step_release_token(self) -> None:
        if self.tokens:
            self.do({"do": "release_token", "token": self.random.choice(self.tokens)})

    def take(self, names: list[str]) -> str:
        """Takes a handle out of the open ones."""
        name = names.pop(self.random.randrange(len(names)))
        self.closed.append(name)
        return name

    # -- time

    def tick(self) -> None:
        """No two holds share a deadline: nothing says which of them expires first."""
        self.do({"do": "advance", "ms": self.random.randint(1, 2000)})

    def step_pass_time(self) -> None:
        ms = self.random.choice(
            [7, 59_000, 60_000, 61_000, 1_800_000, 3_600_000, 7_200_000, 43_200_000, 86_400_000]
        )
        self.do({"do": "advance", "ms": ms})
        self.do({"do": "expire"})

    # -- rules

    def step_top_up(self) -> None:
        budget = self.budget_with_scope()
        if budget is None:
            return
        id_ = f"top-{self.random.randrange(4)}"
        self.do(
            {
                "do": "top_up",
                "with": choices.account(self.random, budget) | {"amount": budget["limit"], "id": id_},
            }
        )

    def budget_with_scope(self) -> dict[str, Any] | None:
        """A budget whose accounts a scope can name."""
        named = [budget for budget in self.config["budgets"] if "model" not in budget["per"]]
        return self.random.choice(named) if named else None

    def step_set_limit(self) -> None:
        budget = self.budget_with_scope()
        if budget is None:
            return
        limit = self.random.choice([None, choices.limit(self.random, budget["limit"].split(" ", 1)[1])])
        self.do({"do": "set_limit", "with": choices.account(self.random, budget) | {"amount": limit}})

    def step_reload(self) -> None:
        random = self.random
        with_: dict[str, Any] = {}
        config = copy.deepcopy(self.config)
        budget = random.choice(config["budgets"])
        kind = random.choice(["limit", "unit", "remove", "typo", "prices", "mode", "window", "window"])
        unit = budget["limit"].split(" ", 1)[1]
        if kind == "limit":
            budget["limit"] = choices.limit(random, unit)
        elif kind == "unit":
            budget["limit"] = "5 requests" if unit != "requests" else "500 tokens"
            budget.pop("overrides", None)
            budget["release_cap"] = "0%"
            budget.setdefault("window", "day")
        elif kind == "typo":
            budget["limitt"] = "5 USD"
        elif kind == "window" and "window" in budget:
            choices.rewindow(random, budget)
        elif kind == "mode":
            config["mode"] = "observe" if config.get("mode") != "observe" else "enforce"
        elif kind == "remove":
            missing = [
                b for b in self.first["budgets"] if b["name"] not in {c["name"] for c in config["budgets"]}
            ]
            config["budgets"] = (
                config["budgets"] + missing if missing else config["budgets"][1:] or config["budgets"]
            )
        if kind == "prices":
            with_["prices"] = self.base["prices"] if self.dear else choices.dearer(self.base["prices"])
        else:
            with_["config"] = config
        if "error" not in self.do({"do": "reload", "with": with_}):
            self.outcomes["moved"] += any(fact.what == "move" for fact in self.oracle.state.history)
            self.config = config
            self.dear = self.dear != (kind == "prices")

    def step_stop(self) -> None:
        name = f"s{len(self.steps)}"
        self.do(
            {"do": "stop", "as": name, "with": {"reason": "x", "tenant": self.random.choice(choices.TENANTS)}}
        )
        self.stops.append(name)

    def step_resume(self) -> None:
        if self.stops:
            self.do({"do": "resume", "stop": self.stops.pop(0)})

    def step_record(self) -> None:
        with_ = choices.call(self.random)
        with_["usage"] = {"input": with_.pop("input_tokens"), "output": with_.pop("max_output_tokens")}
        self.do({"do": "record", "with": with_ | {"id": f"rec-{self.random.randrange(5)}"}})

    # -- runs

    def step_start_run(self) -> None:
        name = f"r{len(self.steps)}"
        self.do({"do": "start_run", "as": name, "with": choices.run(self.random)})
        self.runs.append(name)

    def step_child(self) -> None:
        if self.runs:
            name = f"r{len(self.steps)}"
            step = {
                "do": "child",
                "as": name,
                "run": self.random.choice(self.runs),
                "with": choices.run(self.random),
            }
            if "denied" not in self.do(step):
                self.runs.append(name)

    def step_end_run(self) -> None:
        if self.runs and self.random.random() < 0.5:
            self.do({"do": "end_run", "run": self.random.choice(self.runs)})

    def step_run(self) -> None:
        if self.runs:
            self.do({"do": "run", "run": self.random.choice(self.runs)})

    # -- questions

    def step_balances(self) -> None:
        budget = self.random.choice(self.config["budgets"])
        self.do({"do": "balances", "with": {"budget": budget["name"]}})


def portable(answer: Any) -> Any:
    """The answer without what a language may show in its own way, or count at another time."""
    if isinstance(answer, list):
        return [{key: value for key, value in row.items() if key != "scope"} for row in answer]
    return {key: value for key, value in answer.items() if key != "expired"}
