"""From what was used to what is posted."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from accounts import Account, Fact, moved
from amounts import INPUT, NANO, OPERATION_MAX, OUTPUT, TOKENS, USD, Fault, posted, shown, usd_exact
from prices import Usage, checked_usage, is_input, is_output, total
from replies import usage_of
from reserve import day
from state import Hold, State

CANCEL_MARGIN = 256


def receipt(cost: Fraction, nano_usd: int, flags: set[str]) -> dict[str, Any]:
    """What a settle answers."""
    return {"cost": shown(cost), "posted_nano_usd": nano_usd, "flags": sorted(flags)}


def used(nano_usd: int, usage: Usage) -> tuple[tuple[str, int], ...]:
    """What was used, by unit."""
    into, out = total(usage, is_input), total(usage, is_output)
    return ((USD, nano_usd), (TOKENS, into + out), (INPUT, into), (OUTPUT, out))


def settle(state: State, hold: Hold, with_: dict[str, Any]) -> dict[str, Any]:
    """Settle a hold, whatever has happened to it since. Refused only for other content under one hold."""
    cost, nano_usd, usage, flags = with_lost_attempts(hold, *bill(state, hold, with_))
    if nano_usd > OPERATION_MAX:
        nano_usd, flags = OPERATION_MAX, flags | {"capped"}
        state.stop_capped(hold.scope)
    return post(state, hold, "settle", receipt(cost, nano_usd, flags), used(nano_usd, usage))


def bill(state: State, hold: Hold, with_: dict[str, Any]) -> tuple[Fraction, int, Usage, set[str]]:
    """Exact cost, posted amount, usage and flags. A complete reply without usage is the whole hold."""
    reserved = Fraction(hold.nano_usd, NANO)
    if "cost" in with_:
        cost = usd_exact(with_["cost"], "cost")
        return cost, posted(cost), {}, set()
    if "usage" not in with_ and "reply" not in with_:
        return reserved, hold.nano_usd, {}, set()
    usage = usage_of(with_["reply"]) if "reply" in with_ else checked_usage(with_["usage"])
    if usage is None:
        into, out = hold.tokens
        return reserved, hold.nano_usd, {"input": into, "output": out}, {"estimated", "no_usage"}
    cost, nano_usd, flags = priced(state, hold, usage, served(with_))
    return cost, nano_usd, usage, flags


def with_lost_attempts(
    hold: Hold, cost: Fraction, nano_usd: int, usage: Usage, flags: set[str]
) -> tuple[Fraction, int, Usage, set[str]]:
    """Each attempt that nobody answered may have been billed: its input counts, as it was reserved."""
    if hold.lost_attempts == 0 or hold.entry is None:
        return cost, nano_usd, usage, flags
    into = hold.tokens[0]
    lost = hold.lost_attempts * hold.entry.cost({"input": into}, day(hold.at), hold.tier)[0]
    beyond = max(nano_usd - posted(cost), 0)
    usage = usage | {"input": usage.get("input", 0) + hold.lost_attempts * into}
    return cost + lost, posted(cost + lost) + beyond, usage, flags | {"estimated"}


def post(
    state: State, hold: Hold, what: str, answer: dict[str, Any], amounts: tuple[tuple[str, int], ...]
) -> dict[str, Any]:
    """Writes the fact, unless the same was posted before. An exact figure replaces an estimate."""
    estimated = "estimated" in answer["flags"]
    if hold.state in ("settled", "estimated"):
        if hold.settled_as == amounts:
            return answer | {"flags": sorted({*answer["flags"], "repeated"})}
        if hold.state == "settled" or estimated:
            raise Fault("id_reused")
    made = next(at for at, fact in enumerate(state.history) if fact.hold == hold.number)
    over = rolled_over(state, [moved(state.history[made:], leg.account) for leg in hold.legs])
    flags = set(answer["flags"])
    flags |= {"late"} if hold.state == "expired" or (what == "settle" and over) else set()
    flags |= {"over_run"} if exceeds(hold, amounts) else set()
    state.history.append(Fact(what, hold.number, used=amounts, caps=state.caps(hold.legs)))
    hold.state, hold.settled_as = "estimated" if estimated else "settled", amounts
    return answer | {"flags": sorted(flags)}


def rolled_over(state: State, accounts: list[Account]) -> bool:
    """Whether the window of some account is over."""
    return any(account.end is not None and account.end <= state.now for account in accounts)


def served(with_: dict[str, Any]) -> str | None:
    """The model that the reply names."""
    reply = with_.get("reply")
    return reply.get("model") if isinstance(reply, dict) else None


def priced(state: State, hold: Hold, usage: Usage, model: str | None) -> tuple[Fraction, int, set[str]]:
    """Exact cost and posted amount under the rules of the reserve. Unknown is not free."""
    entry = hold.entry
    if entry is None:
        return Fraction(0), hold.nano_usd, {"unknown_model"}
    flags: set[str] = set()
    key = (entry.provider, entry.model)
    if model is not None and model not in (entry.model, *entry.body.get("aliases", [])):
        known = [e for e in hold.catalog.entries.values() if e.provider == entry.provider]
        found = next((e for e in known if model in (e.model, *e.body.get("aliases", []))), None)
        if found is None or not found.body.get("prices"):
            flags |= {"unknown_model"}
            state.not_trusted[key] = "unknown_model"
        else:
            entry = found
    cost, _, unpriced = entry.cost(usage, day(hold.at), hold.tier)
    if unpriced:
        flags |= {"unpriced"}
        state.not_trusted[key] = "unpriced_bucket"
    return cost, max(posted(cost), hold.nano_usd if flags else 0), flags


def exceeds(hold: Hold, amounts: tuple[tuple[str, int], ...]) -> bool:
    """Whether more was used than was held, on some account."""
    return any(leg.amount < amount for leg in hold.legs for unit, amount in amounts if leg.unit == unit)


def release(state: State, hold: Hold) -> dict[str, Any]:
    """Nothing was billed."""
    if hold.state in ("settled", "estimated"):
        raise Fault("hold_closed")
    if hold.state != "released":
        state.history.append(Fact("release", hold.number))
        hold.state = "released"
    return {"ok": True}


def floor_of(hold: Hold, margin: int = 0) -> Usage:
    """Input as reserved and output counted so far, with a margin that stays within the hold."""
    into, most = hold.tokens
    return {
        "input": into,
        "output": min(hold.stream.output_floor + margin, max(most, hold.stream.output_floor)),
    }


def floor(state: State, hold: Hold, what: str) -> dict[str, Any]:
    """Abandoned or cut: floor, rest by the expiry policy. Closed by us: floor and margin, rest released."""
    final = hold.stream.buckets()
    if final is not None:
        return settle(state, hold, {"usage": final})
    if hold.state not in ("held", "expired"):
        raise Fault("id_reused")
    usage = floor_of(hold, CANCEL_MARGIN if what == "close" else 0)
    cost = hold.entry.cost(usage, day(hold.at), hold.tier)[0] if hold.entry else Fraction(0)
    cost, nano_usd, usage, flags = with_lost_attempts(hold, cost, posted(cost), usage, {"estimated"})
    what = "settle" if what == "close" else "abandon"
    return post(state, hold, what, receipt(cost, nano_usd, flags), used(nano_usd, usage))


def expire(state: State) -> dict[str, Any]:
    """The reaper: every open hold whose deadline has come, oldest deadline first."""
    due = [hold for hold in state.holds if hold.state == "held" and hold.deadline <= state.now]
    for hold in sorted(due, key=lambda hold: (hold.deadline, hold.number)):
        state.history.append(Fact("expire", hold.number, caps=state.caps(hold.legs)))
        hold.state = "expired"
    return {"expired": len(due)}
