"""The contract again, slow and obvious: answers the steps of a story."""

from __future__ import annotations

import json
from datetime import timedelta
from fractions import Fraction
from typing import Any

import settle
from accounts import Fact
from amounts import Denial, Fault, posted, shown, usd_exact
from policy import limits_of, matches, read, same_unit, zone
from prices import Catalog, chain_of, checked_usage, inclusive, is_input, key_of, total
from reserve import Plan, context_of, day, legs_of, plan, plan_tool, verdict, would_deny
from runs import ACCOUNTS, Run, remember, tightened
from state import Hold, SetLimit, State, scope_of
from statements import Statements
from windows import instant

ENDPOINTS = ("/chat/completions", "/responses", "/embeddings", "/completions", "/messages")
CLOUDS = {
    "aws": ("/converse", "/converse-stream", "/invoke", "/invoke-with-response-stream"),
    "google": (":generateContent", ":streamGenerateContent", ":embedContent", ":batchEmbedContents"),
    "cohere": ("/chat", "/embed", "/rerank"),
}
FREE = ("/models", "/files", "/count_tokens", "/count-tokens", ":countTokens")


def start(story: dict[str, Any]) -> tuple[Oracle | None, dict[str, Any]]:
    """The oracle of a story, or why its configuration does not hold."""
    try:
        policy, catalog = read(story["config"]), Catalog(story["prices"])
    except Fault as fault:
        return None, {"error": {"code": fault.code, "field": fault.place}}
    return Oracle(State(instant(story["start"]), policy, catalog)), {"ok": True}


class Oracle(Statements):
    """One guard."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.clock = state.now
        self.names: dict[str, Hold] = {}
        self.detached: set[str] = set()
        self.spent_handles: set[str] = set()
        self.tokens: dict[str, Hold] = {}
        self.carried: dict[str, Run] = {}
        self.stop_ids: dict[str, str] = {}
        self.entries: dict[int, dict[str, Any]] = {}

    def answer(self, step: dict[str, Any]) -> Any:
        """One step's answer, as JSON."""
        try:
            if self.state.closed and step["do"] not in ("advance", "set_time"):
                raise Fault("closed")
            if step["do"] not in ("advance", "set_time"):
                # The ledger's time never runs backwards: a closed window stays closed.
                self.state.now = max(self.state.now, self.clock)
            answer = getattr(self, "do_" + step["do"])(step, step.get("with", {}))
            self.enter(step, answer)
            return answer
        except Fault as fault:
            return {"error": {"code": fault.code, "field": fault.place}}
        except Denial as denial:
            return {"denied": denial.answer()}

    # -- time and rules

    def do_advance(self, step: Any, _: Any) -> Any:
        self.clock += timedelta(milliseconds=step["ms"])
        return {"ok": True}

    def do_set_time(self, step: Any, _: Any) -> Any:
        self.clock = instant(step["to"])
        return {"ok": True}

    def do_reload(self, _: Any, with_: Any) -> Any:
        state = self.state
        policy = read(with_["config"]) if "config" in with_ else state.policy
        catalog = Catalog(with_["prices"]) if "prices" in with_ else state.catalog
        for at, new in enumerate(policy.budgets):
            old = state.budgets_seen.get(new.name)
            if old and old.unit != new.unit:
                raise Fault("config_invalid", f"budgets[{at}].limit")
            if old and old.per != new.per:
                raise Fault("config_invalid", f"budgets[{at}].per")
        if "prices" in with_ or policy.prices != state.policy.prices:
            state.not_trusted.clear()
        state.catalog = catalog
        state.change(lambda: setattr(state, "policy", policy))
        state.remember_budgets()
        return {"ok": True}

    def do_close_guard(self, _: Any, __: Any) -> Any:
        self.state.closed = True
        return {"ok": True}

    # -- calls

    def do_reserve(self, step: Any, with_: Any) -> Any:
        return self._admit(step, with_, plan)

    def do_tool(self, step: Any, with_: Any) -> Any:
        return self._admit(step, with_, plan_tool)

    def _admit(self, step: Any, with_: Any, planner: Any) -> Any:
        state, run = self.state, self._run(step)
        id_ = with_.get("id")
        content = {key: value for key, value in with_.items() if key != "id"} | {"run": step.get("run")}
        if id_ is not None and id_ in state.by_id:
            known = state.by_id[id_]
            if known.content != content:
                raise Fault("id_reused", "id")
            self.names[step.get("as", "")] = known
            return {"held_nano_usd": known.nano_usd, "repeated": True}
        if state.policy.mode == "off":
            self._hold(step, content, Plan({}), None)
            return {"held_nano_usd": 0, "repeated": False, "would_deny": False}
        made: Plan = planner(state, with_, run)
        if made.refusal is None or state.policy.mode != "enforce":
            settle.expire(state)
        denial = verdict(state, made)
        if denial and state.policy.mode == "enforce":
            raise denial
        hold = self._hold(step, content, made, denial)
        if id_ is not None:
            state.by_id[id_] = hold
        if run is not None:
            remember(run, with_.get("fingerprint"))
        return dict(hold.answer)

    def _hold(self, step: Any, content: Any, made: Plan, denial: Denial | None) -> Hold:
        state = self.state
        would = would_deny(state, made, denial)
        if denial and denial.code == "too_many_accounts":
            made.legs = ()
        answer = {"held_nano_usd": made.nano_usd, "would_deny": would, "repeated": False}
        hold = Hold(
            number=len(state.holds) + 1,
            content=content,
            legs=made.legs,
            nano_usd=made.nano_usd,
            tokens=made.tokens,
            entry=made.entry,
            scope=made.scope,
            at=state.now,
            deadline=state.now + timedelta(milliseconds=state.policy.max_call_ms),
            answer=answer,
            tool=made.tool,
            pricing=state.pricing,
            seller=content.get("provider"),
            model=content.get("model", ""),
            context=made.context,
            run=made.run,
        )
        state.holds.append(hold)
        state.history.append(Fact("hold", hold.number, legs=made.legs))
        if "as" in step:
            self.names[step["as"]] = hold
            self.spent_handles.discard(step["as"])
        return hold

    def do_check(self, step: Any, with_: Any) -> Any:
        settle.expire(self.state)
        denial = verdict(self.state, plan(self.state, with_, self._run(step)))
        allowed = denial is None or self.state.policy.mode != "enforce"
        return {"allowed": allowed, "denial": denial.answer() if denial else None}

    # -- the end of a call

    def _take(self, step: Any) -> Hold:
        """The handle, which is used up by this."""
        name = step["hold"]
        if name in self.spent_handles:
            raise Fault("hold_closed")
        self.spent_handles.add(name)
        return self.names[name]

    def _token(self, step: Any, with_: Any) -> Hold:
        if "token" in with_:
            raise Fault("token_invalid", "token")
        return self.tokens[step["token"]]

    def do_settle(self, step: Any, with_: Any) -> Any:
        name = step["hold"]
        if name in self.spent_handles:
            raise Fault("hold_closed")
        answer = settle.settle(self.state, self.names[name], with_)
        self.spent_handles.add(name)
        return answer

    def do_settle_token(self, step: Any, with_: Any) -> Any:
        return settle.settle(self.state, self._token(step, with_), rest(with_, "token"))

    def do_release(self, step: Any, _: Any) -> Any:
        return settle.release(self.state, self._take(step))

    def do_release_token(self, step: Any, with_: Any) -> Any:
        return settle.release(self.state, self._token(step, with_))

    def do_detach(self, step: Any, _: Any) -> Any:
        hold = self.tokens[step["as"]] = self._take(step)
        longest = self.state.now + timedelta(milliseconds=self.state.policy.max_call_ms)
        hold.deadline = max(hold.deadline, longest)
        return {"ok": True}

    def do_abandon(self, step: Any, _: Any) -> Any:
        return settle.floor(self.state, self._take(step), "abandon")

    def do_cut(self, step: Any, _: Any) -> Any:
        return settle.floor(self.state, self._take(step), "cut")

    def do_close(self, step: Any, _: Any) -> Any:
        return settle.floor(self.state, self._take(step), "close")

    def do_chunk(self, step: Any, with_: Any) -> Any:
        self.names[step["hold"]].stream.feed(with_["event"])
        return {"ok": True}

    def do_lost_attempt(self, step: Any, _: Any) -> Any:
        if step["hold"] in self.spent_handles:
            raise Fault("hold_closed")
        self.names[step["hold"]].lost_attempts += 1
        return {"ok": True}

    def do_finish(self, step: Any, _: Any) -> Any:
        return settle.finish(self.state, self._take(step))

    def do_expire(self, _: Any, __: Any) -> Any:
        return settle.expire(self.state)

    # -- what was spent elsewhere, and what things cost

    def do_record(self, _: Any, with_: Any) -> Any:
        state = self.state
        repeated = self._once(with_)
        if repeated is not None:
            return repeated | {"flags": sorted({*repeated["flags"], "repeated"})}
        at = instant(with_["at"]) if "at" in with_ else state.now
        usage, flags, entry = checked_usage(with_.get("usage", {})), set(), None
        try:
            entry = state.pricing.resolve(with_.get("provider"), with_["model"], scope_of(with_))
            cost = entry.cost(usage, day(at))[0]
            flags |= settle.stand_in_flags(entry)
        except Denial:
            cost, flags = Fraction(0), {"unknown_model"}
        if "cost" in with_:
            cost, flags = usd_exact(with_["cost"], "cost"), set()
        amounts = dict(settle.used(posted(cost), usage)) | {"requests": 1, "tool calls": 0, "concurrent": 0}
        names = {"provider": with_.get("provider", ""), "model": with_["model"]}
        scope = scope_of(with_) | ({"provider": entry.provider, "model": entry.model} if entry else names)
        legs = legs_of(state, scope, amounts, None, at)
        number = len(state.holds) + len(state.history) + 1_000_000
        state.history.append(Fact("record", number, legs=legs))
        flags |= {"late"} if settle.rolled_over(state, [leg.account for leg in legs]) else set()
        return self._done(with_, settle.receipt(cost, posted(cost), flags))

    def do_cost(self, _: Any, with_: Any) -> Any:
        entry = self.state.pricing.resolve(with_.get("provider"), with_["model"], scope_of(with_))
        usage = checked_usage(with_["usage"]) if "usage" in with_ else inclusive(with_["inclusive"])
        cost, lines, unpriced = entry.cost(usage, day(self.state.now), context_of(with_))
        shown_lines = [{**line, "amount": shown(line["amount"])} for line in lines]
        return {"cost": shown(cost), "lines": shown_lines, "unpriced": unpriced}

    def do_explain(self, _: Any, with_: Any) -> Any:
        """As far as it is told by prices alone: how the name was found, what each line is made of."""
        asked = with_["model"].lower()
        entry = self.state.pricing.resolve(with_.get("provider"), with_["model"], scope_of(with_))
        usage, context = checked_usage(with_["usage"]), context_of(with_)
        cost, lines, unpriced = entry.cost(usage, day(self.state.now), context)
        table = entry.table(day(self.state.now), total(usage, is_input), context)
        told = []
        for line in lines:
            chain = chain_of(line["bucket"])
            chain = chain[: chain.index(str(key_of(line["bucket"], table.rates))) + 1]
            factors = [decimal(factor) for factor, spared in table.factors if chain[-1] not in spared]
            told.append(
                {
                    **line,
                    "amount": shown(line["amount"]),
                    "used": usage[line["bucket"]],
                    "rate": decimal(table.rates[chain[-1]]),
                    "chain": chain,
                    "multipliers": [{"factor": factor} for factor in factors],
                }
            )
        by_name = "exact" if asked == entry.model.lower() else "alias"
        return {
            "provider": entry.provider,
            "model": entry.model,
            "found": entry.terms.stand_in or by_name,
            "lines": told,
            "cost": shown(cost),
            "unpriced": unpriced,
        }

    def do_endpoint(self, _: Any, with_: Any) -> Any:
        if with_["method"] == "GET" or with_["path"].endswith(FREE):
            return {"endpoint": "free"}
        if with_["path"].endswith((*ENDPOINTS, *CLOUDS.get(with_["provider"], ()))):
            return {"endpoint": "guarded"}
        return {"endpoint": "unguarded"}

    # -- budgets

    def do_balances(self, _: Any, with_: Any) -> Any:
        settle.expire(self.state)
        return self.state.balances(with_)

    def do_top_up(self, _: Any, with_: Any) -> Any:
        state = self.state
        if self._once(with_) is not None:
            return {"repeated": True}
        budget = state.policy.budget(with_["budget"])
        amount = same_unit(with_["amount"], budget.unit, "amount")
        account = state.account(budget, scope_of(rest(with_, "amount")), state.now)
        state.history.append(Fact("top_up", account=account, amount=amount))
        return self._done(with_, {"repeated": False})

    def do_set_limit(self, _: Any, with_: Any) -> Any:
        return self._set_limits(with_["budget"], [rest(with_)], False)

    def do_set_limits(self, _: Any, with_: Any) -> Any:
        return self._set_limits(with_["budget"], with_["limits"], with_.get("replace", False))

    def _set_limits(self, name: str, limits: list[Any], replace: bool) -> Any:
        """All or none."""
        budget = self.state.policy.budget(name)
        kept = {key: set_ for key, set_ in self.state.set_limits.items() if not (replace and key[0] == name)}
        for one in limits:
            amount, timezone = one.get("amount"), one.get("timezone")
            found = None if amount is None else same_unit(amount, budget.unit, "amount")
            timezone = None if timezone is None else zone(timezone, "timezone", "argument_invalid")
            scope = scope_of(rest(one, "amount", "timezone"))
            key = (name, tuple((dimension, scope.get(dimension)) for dimension in budget.per))
            kept.pop(key, None)
            if found is not None or timezone is not None:
                kept[key] = SetLimit(found, timezone)
        self.state.change(lambda: setattr(self.state, "set_limits", kept))
        return {"ok": True}

    def _once(self, with_: Any) -> Any:
        """The answer given under this id before; other content under it is an error."""
        id_ = with_.get("id")
        if id_ is None or id_ not in self.state.done:
            return None
        content, answer = self.state.done[id_]
        if content != json.dumps(with_, sort_keys=True):
            raise Fault("id_reused", "id")
        return answer

    def _done(self, with_: Any, answer: Any) -> Any:
        if with_.get("id") is not None:
            self.state.done[with_["id"]] = (json.dumps(with_, sort_keys=True), answer)
        return answer

    # -- stops

    def do_stop(self, step: Any, with_: Any) -> Any:
        scope = scope_of(rest(with_, "reason"))
        if not scope:
            raise Fault("argument_invalid", "scope")
        id_ = f"stop-{len(self.state.stops) + 1}"
        self.state.stops[id_] = (scope, with_.get("reason", ""))
        self.stop_ids[step.get("as", "")] = id_
        return {"ok": True}

    def do_resume(self, step: Any, with_: Any) -> Any:
        id_ = self.stop_ids.get(step.get("stop", ""), with_.get("stop_id"))
        if id_ not in self.state.stops:
            raise Fault("stop_unknown", "stop_id")
        del self.state.stops[id_]
        return {"ok": True}

    def do_stops(self, _: Any, __: Any) -> Any:
        filed = [
            {"reason": stop.get("reason", "stopped"), "scope": stop["match"]}
            for stop in self.state.policy.stops
        ]
        return filed + [{"reason": reason, "scope": scope} for scope, reason in self.state.stops.values()]

    # -- runs

    def _run(self, step: Any) -> Run | None:
        return self.state.runs[step["run"]] if "run" in step else None

    def do_start_run(self, step: Any, with_: Any) -> Any:
        return self._start(step, with_, None)

    def do_child(self, step: Any, with_: Any) -> Any:
        return self._start(step, with_, self._run(step))

    def _start(self, step: Any, with_: Any, parent: Run | None) -> Any:
        state = self.state
        stated = limits_of(with_, "")
        scope = (parent.scope if parent else {}) | scope_of(
            {k: v for k, v in with_.items() if "max_" not in k}
        )
        scope["run"] = step["as"]
        if parent and any(above.id == step["as"] for above in parent.chain()):
            raise Fault("id_reused", "id")
        rule = next((rule for rule in state.policy.run_limits if matches(rule["match"], scope)), {})
        run = Run(step["as"], scope, tightened(rule, stated), rule.get("enforce", "hard"), state.now, parent)
        enforced = state.policy.mode == "enforce"
        if parent and parent.ended and enforced:
            raise Denial("run_closed")
        if run.too_deep() and enforced:
            raise Denial("run_limit_exceeded")
        state.runs[run.id] = run
        return {"ok": True}

    def do_carry(self, step: Any, _: Any) -> Any:
        run = self._run(step)
        assert run is not None
        self.carried[step["as"]] = run
        return {"ok": True}

    def do_resume_run(self, step: Any, with_: Any) -> Any:
        if "token" in with_:
            raise Fault("token_invalid", "token")
        run = self.carried[step["token"]].elsewhere()
        rule = next((rule for rule in self.state.policy.run_limits if matches(rule["match"], run.scope)), {})
        run.limits = tightened(rule, run.limits)
        self.state.runs[step["as"]] = run
        # An account has the limit of the handle that was used last: from here on stories use this one.
        self.state.runs[run.id].limits = run.limits
        return {"ok": True}

    def do_end_run(self, step: Any, _: Any) -> Any:
        run = self._run(step)
        assert run is not None
        run.ended = True
        return {"ok": True}

    def do_run(self, step: Any, _: Any) -> Any:
        run = self._run(step)
        assert run is not None
        settle.expire(self.state)
        out = {}
        for what in (what for what in ACCOUNTS if run.limit(what) is not None):
            found = self.state.counters(run.account(what))
            out[what] = {"limit": run.limit(what), "spent": found.spent, "held": found.held}
            out[what] |= {
                "unconfirmed": found.unconfirmed,
                "available": self.state.available(run.account(what)),
            }
        return out


def decimal(value: Fraction) -> str:
    """In full, without trailing zeros."""
    return shown(value)


def rest(with_: dict[str, Any], *without: str) -> dict[str, Any]:
    """The scope among the arguments."""
    return {key: value for key, value in with_.items() if key not in (*without, "budget", "id")}
