"""From a call to its worst case, its legs and the verdict. Nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from accounts import Account, Leg, accounts
from amounts import (
    CONCURRENT,
    INPUT,
    OPERATION_MAX,
    OUTPUT,
    REQUESTS,
    TOKENS,
    TOOL_CALLS,
    USD,
    Denial,
    Fault,
    label,
    posted,
    usd_exact,
    whole,
)
from policy import RUN_UNITS, Scope, matches
from prices import Context, Entry, checked_usage
from runs import Run, over_plain_limits, repeated_too_often
from state import State, scope_of
from windows import shown
from words import tier

KNOWN = (
    "provider model input_tokens max_output_tokens choices tier speed geo region server_tools fingerprint id "
    "tenant user feature agent session tags"
).split()

LATECOMERS = timedelta(minutes=5)
"""How long an account is kept after its window for calls that were planned in it."""


@dataclass
class Plan:
    """A call, priced and assigned to accounts."""

    scope: Scope
    legs: tuple[Leg, ...] = ()
    nano_usd: int = 0
    tokens: tuple[int, int] = (0, 0)
    entry: Entry | None = None
    context: Context = field(default_factory=dict)
    run: Run | None = None
    choices: int = 1
    tool: bool = False
    refusal: Denial | None = None


def plan(state: State, with_: dict[str, Any], run: Run | None) -> Plan:
    """The legs of a model call, or why it must not be made whatever the accounts say."""
    checked(with_)
    scope = scope_of(with_, run)
    made = Plan(scope, run=run, context=context_of(with_), choices=with_.get("choices", 1))
    try:
        made.entry = state.pricing.resolve(with_.get("provider"), with_["model"], scope)
        if code := state.not_trusted.get((made.entry.provider, made.entry.model)):
            raise Denial(code)
        made.tokens = input_bound(with_, made.entry), output_bound(with_, made.entry)
        extra = checked_usage(with_.get("server_tools", {}))
        made.nano_usd = posted(made.entry.worst_case(*made.tokens, extra, day(state.now), made.context))
        if made.nano_usd > OPERATION_MAX:
            raise Fault("amount_too_large")
    except Denial as denial:
        made.refusal = denial
        if made.entry is None:
            # An observing guard lets it pass: what is stated counts, what it costs is not known.
            made.tokens = with_.get("input_tokens", 0), with_.get("max_output_tokens", 0) * made.choices
    named = made.entry or Entry(with_.get("provider", ""), with_["model"], {})
    made.scope = scope | {"provider": named.provider, "model": named.model}
    made.refusal = not_admitted(state, made.scope, run) or made.refusal
    if made.refusal is None and run is not None and repeated_too_often(run, with_.get("fingerprint")):
        made.refusal = Denial("loop_detected")
    into, out = made.tokens
    amounts = {USD: made.nano_usd, TOKENS: into + out, INPUT: into, OUTPUT: out}
    amounts |= {REQUESTS: 1, TOOL_CALLS: 0, CONCURRENT: 1}
    made.legs = legs_of(state, made.scope, amounts, run)
    return made


def plan_tool(state: State, with_: dict[str, Any], run: Run | None) -> Plan:
    """The legs of a tool call: one tool call, and what the tool costs."""
    scope = scope_of({key: value for key, value in with_.items() if key in KNOWN}, run)
    worst = posted(usd_exact(with_.get("cost", "0 USD"), "cost"))
    facts = scope | {"tool": label(with_["tool"], "tool")}
    amounts = {USD: worst, TOKENS: 0, INPUT: 0, OUTPUT: 0, REQUESTS: 0, TOOL_CALLS: 1, CONCURRENT: 0}
    legs = legs_of(state, facts, amounts, run)
    return Plan(facts, legs, worst, run=run, tool=True, refusal=not_admitted(state, facts, run))


def not_admitted(state: State, scope: Scope, run: Run | None) -> Denial | None:
    """What is asked before any account: stops, required dimensions, a run's duration."""
    if state.stopped(scope):
        return Denial("stopped")
    if any(key not in scope for key in state.policy.require):
        return Denial("scope_missing")
    if run is not None and over_plain_limits(run, state.now):
        return Denial("run_limit_exceeded")
    return None


def context_of(with_: dict[str, Any]) -> Context:
    """What a call states of what its price depends on."""
    context = {key: with_[key] for key in ("speed", "geo", "region") if key in with_}
    return context | ({"tier": tier(with_["tier"])} if "tier" in with_ else {})


def checked(with_: dict[str, Any]) -> None:
    """The call's arguments, each by its name."""
    for key in with_:
        if key not in KNOWN:
            raise Fault("argument_invalid", key)
    for key in ("input_tokens", "max_output_tokens", "choices"):
        if key in with_ and whole(with_[key], key) > 2**40:
            raise Fault("amount_too_large", key)
    for key in ("model", "provider", "id"):
        if key in with_ or key == "model":
            label(with_.get(key), key)


def input_bound(with_: dict[str, Any], entry: Entry) -> int:
    """As stated, else the model's context."""
    most = with_.get("input_tokens", entry.max_input_tokens)
    if most is None:
        raise Denial("unbounded_input")
    return int(most)


def output_bound(with_: dict[str, Any], entry: Entry) -> int:
    """Choices times the stated maximum, else the model's; without either the call has no bound."""
    most = with_.get("max_output_tokens", entry.max_output_tokens)
    if most is None:
        raise Denial("unbounded_output")
    return int(most) * int(with_.get("choices", 1))


def legs_of(
    state: State, facts: Scope, amounts: dict[str, int], run: Run | None, at: datetime | None = None
) -> Any:
    """One leg per budget that matches, in the order of the file, then those of the run and its ancestors."""
    legs = [
        Leg(state.account(budget, facts, at or state.now), budget.unit, amounts[budget.unit])
        for budget in state.policy.budgets
        if matches(budget.match, facts)
    ]
    for one in run.chain() if run else ():
        limited = {what: unit for what, unit in RUN_UNITS.items() if one.limit(what) is not None}
        legs += [Leg(one.account(what), unit, amounts[unit]) for what, unit in limited.items()]
    return tuple(legs)


def failing(state: State, plan_: Plan) -> list[Leg]:
    """Every leg that does not fit; only the hard ones deny."""
    out = []
    for leg in plan_.legs:
        left = state.available(leg.account, plan_.scope)
        # A leg of nothing always fits: a free model is not blocked by a spent budget.
        if left is not None and leg.amount > 0 and left < leg.amount:
            out.append(leg)
    return out


def verdict(state: State, plan_: Plan) -> Denial | None:
    """No, with every leg that fails; or None for yes."""
    if plan_.refusal:
        return plan_.refusal
    seen = {account for account in accounts(state.history) if not forgotten(state, account)}
    new = {leg.account for leg in plan_.legs} - seen
    if new and len(seen) + len(new) > state.policy.max_accounts:
        return Denial("too_many_accounts")
    legs = failing(state, plan_)
    hard = [leg for leg in legs if state.enforced(leg.account) == "hard"]
    if not hard:
        return None
    if any(leg.account.budget.startswith("run.") for leg in hard):
        code = "run_limit_exceeded"
    elif any(leg.unit not in (REQUESTS, TOOL_CALLS, CONCURRENT) for leg in hard):
        code = "budget_exceeded"
    else:
        code = "rate_exceeded"
    return Denial(
        code=code,
        failures=[state.failure(leg, plan_.scope) for leg in legs],
        retry_at=retry_at(state, plan_, hard),
        max_output_tokens=fitting_output(state, plan_, hard),
    )


def forgotten(state: State, account: Account) -> bool:
    """A window that ended long enough ago, and no call in flight that is on it."""
    if account.end is None or account.end + LATECOMERS > state.now:
        return False
    flying = (hold for hold in state.holds if hold.state == "held")
    return not any(leg.account == account for hold in flying for leg in hold.legs)


def would_deny(state: State, plan_: Plan, denial: Denial | None) -> bool:
    """Admitted, although an enforcing budget would have said no."""
    watched = [leg for leg in failing(state, plan_) if state.enforced(leg.account) != "soft"]
    return denial is not None or bool(watched)


def retry_at(state: State, plan_: Plan, legs: list[Leg]) -> str | None:
    """When every failing window has ended; none if one never ends, or a fresh one is too small."""
    ends = [leg.account.end for leg in legs]
    if any(end is None for end in ends):
        return None
    if any(leg.amount > (state.limit(leg.account, plan_.scope) or 0) for leg in legs):
        return None
    return shown(max(end for end in ends if end is not None))


def fitting_output(state: State, plan_: Plan, legs: list[Leg]) -> int | None:
    """The largest maximum output with which every failing leg would fit; none if not even 1 does."""
    if plan_.entry is None:
        return None
    entry, into = plan_.entry, plan_.tokens[0]

    def fits(out: int) -> bool:
        worst = posted(entry.worst_case(into, out, {}, day(state.now), plan_.context))
        amounts = {USD: worst, TOKENS: into + out, INPUT: into, OUTPUT: out}
        return all(
            amounts.get(leg.unit, leg.amount) <= (state.available(leg.account, plan_.scope) or 0)
            for leg in legs
        )

    low, high = 0, plan_.tokens[1]
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low // plan_.choices or None


def day(now: datetime) -> str:
    """An instant as the price periods write it."""
    return str(shown(now))
