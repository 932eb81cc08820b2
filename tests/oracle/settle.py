"""From what was used to what is posted."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from accounts import Fact
from amounts import INPUT, NANO, OPERATION_MAX, OUTPUT, TOKENS, USD, Fault, posted, shown
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
    if hold.state in ("settled", "closed"):
        if hold.settled_as == with_:
            return hold.receipt | {"flags": sorted({*hold.receipt["flags"], "repeated"})}
        raise Fault("id_reused")
    usage = usage_of(with_["reply"]) if "reply" in with_ else checked_usage(with_.get("usage"))
    if usage is None:
        return whole_hold(state, hold, with_)
    cost, nano_usd, flags = priced(state, hold, usage, served(with_))
    if nano_usd > OPERATION_MAX:
        nano_usd = OPERATION_MAX
        flags |= {"capped"}
        scope = {key: value for key, value in hold.scope.items() if key not in ("provider", "model")}
        state.stops[f"capped-{hold.number}"] = (scope, "capped")
    if exceeds(hold, dict(used(nano_usd, usage))):
        flags |= {"over_run"}
    if hold.state in ("expired", "released", "abandoned"):
        flags |= {"late"}
    state.history.append(Fact("settle", hold.number, used=used(nano_usd, usage)))
    return close(hold, "settled", with_, receipt(cost, nano_usd, flags))


def served(with_: dict[str, Any]) -> str | None:
    """The model that the reply names."""
    reply = with_.get("reply")
    return reply.get("model") if isinstance(reply, dict) else None


def priced(state: State, hold: Hold, usage: Usage, model: str | None) -> tuple[Fraction, int, set[str]]:
    """Exact cost and posted amount under the rules of the reserve. Unknown is not free."""
    entry = hold.entry
    if entry is None:
        return Fraction(0), 0, set()
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
    nano_usd = posted(cost)
    if flags:
        nano_usd = max(nano_usd, hold.nano_usd)
        cost = max(cost, Fraction(hold.nano_usd, NANO))
    return cost, nano_usd, flags


def exceeds(hold: Hold, amounts: dict[str, int]) -> bool:
    """Whether more was used than was held."""
    into, out = hold.tokens
    return amounts[USD] > hold.nano_usd or amounts[TOKENS] > into + out


def whole_hold(state: State, hold: Hold, with_: Any) -> dict[str, Any]:
    """A complete reply without usage: all that was held."""
    flags = {"estimated", "no_usage"} | ({"late"} if hold.state != "held" else set())
    into, out = hold.tokens
    used_ = used(hold.nano_usd, {"input": into, "output": out})
    state.history.append(Fact("settle", hold.number, used=used_))
    return close(hold, "settled", with_, receipt(Fraction(hold.nano_usd, NANO), hold.nano_usd, flags))


def close(hold: Hold, to: str, content: Any, answer: dict[str, Any]) -> dict[str, Any]:
    """The hold's new state."""
    hold.state, hold.settled_as, hold.receipt = to, content, answer
    return answer


def release(state: State, hold: Hold) -> dict[str, Any]:
    """Nothing was billed."""
    if hold.state == "released":
        return {"flags": ["repeated"]}
    if hold.state == "settled":
        raise Fault("hold_closed")
    state.history.append(Fact("release", hold.number))
    late = ["late"] if hold.state == "expired" else []
    hold.state = "released"
    return {"flags": late}


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
    usage = floor_of(hold, CANCEL_MARGIN if what == "close" else 0)
    assert hold.entry is not None
    cost, _, _ = hold.entry.cost(usage, day(hold.at), hold.tier)
    answer = receipt(cost, posted(cost), {"estimated"})
    kind = "settle" if what == "close" else "abandon"
    caps = state.caps(hold.legs)
    state.history.append(Fact(kind, hold.number, used=used(posted(cost), usage), caps=caps))
    return close(hold, "abandoned", {"floor": what}, answer)


def expire(state: State) -> dict[str, Any]:
    """The reaper: every open hold whose deadline has come, oldest deadline first."""
    due = [hold for hold in state.holds if hold.state == "held" and hold.deadline <= state.now]
    for hold in sorted(due, key=lambda hold: (hold.deadline, hold.number)):
        state.history.append(Fact("expire", hold.number, caps=state.caps(hold.legs)))
        hold.state = "expired"
    return {"expired": len(due)}
