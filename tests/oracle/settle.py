"""From what was used to what is posted."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from accounts import Account, Fact, moved
from amounts import INPUT, NANO, OPERATION_MAX, OUTPUT, TOKENS, USD, Denial, Fault, posted, shown, usd_exact
from prices import Context, Entry, Usage, checked_usage, is_input, is_output, total
from replies import Reply, read
from reserve import day
from state import Hold, State
from streams import seen_output

CANCEL_MARGIN = 256


@dataclass
class Bill:
    """What a settle posts, and why."""

    cost: Fraction
    nano_usd: int
    usage: Usage | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    anomalies: list[str] = field(default_factory=list)
    computed: Fraction | None = None
    """What the tokens cost, where the provider's own figure is the cost."""
    reported: Fraction | None = None
    computed_lines: list[dict[str, Any]] = field(default_factory=list)
    doubts: dict[tuple[str, str], str] = field(default_factory=dict)
    """What is not trusted any more: the next call is denied."""
    tokens: Usage | None = None
    """What counts against budgets of tokens, where no usage is known."""

    def answer(self) -> dict[str, Any]:
        """As a story shows it."""
        more: dict[str, Any] = {} if self.reported is None else {"reported_cost": shown(self.reported)}
        if self.computed is not None:
            more |= {"computed_cost": shown(self.computed), "computed": {"lines": told(self.computed_lines)}}
        return receipt(self.cost, self.nano_usd, self.flags) | more | {
            "usage": self.usage, "lines": told(self.lines), "anomalies": self.anomalies
        }  # fmt: skip


def told(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines as a receipt shows them."""
    return [{**line, "amount": shown(line["amount"])} for line in lines]


def receipt(cost: Fraction, nano_usd: int, flags: set[str]) -> dict[str, Any]:
    """What a settle answers."""
    return {"cost": shown(cost), "posted_nano_usd": nano_usd, "flags": sorted(flags)}


def used(nano_usd: int, usage: Usage) -> tuple[tuple[str, int], ...]:
    """What was used, by unit."""
    into, out = total(usage, is_input), total(usage, is_output)
    return ((USD, nano_usd), (TOKENS, into + out), (INPUT, into), (OUTPUT, out))


def settle(state: State, hold: Hold, with_: dict[str, Any]) -> dict[str, Any]:
    """Settle a hold, whatever has happened to it since. Refused only for other content under one hold."""
    return settle_bill(state, hold, bill(state, hold, with_))


def settle_bill(state: State, hold: Hold, made: Bill) -> dict[str, Any]:
    """Post a bill; more than one operation may be is posted as the most and stops the scope."""
    made = with_lost_attempts(hold, made)
    if made.nano_usd > OPERATION_MAX:
        made.nano_usd = OPERATION_MAX
        made.flags |= {"capped"}
        state.stop_capped(hold.scope)
    amounts = used(made.nano_usd, made.tokens or made.usage or {})
    return post(state, hold, "settle", made.answer(), amounts)


def bill(state: State, hold: Hold, with_: dict[str, Any]) -> Bill:
    """Exact cost, posted amount, usage and flags. A complete reply without usage is the whole hold."""
    reserved = Fraction(hold.nano_usd, NANO)
    if "cost" in with_:
        cost = usd_exact(with_["cost"], "cost")
        return Bill(cost, posted(cost))
    if "usage" not in with_ and "reply" not in with_:
        return Bill(reserved, hold.nano_usd)
    if "reply" in with_:
        reply = read(provider(hold), hold.model, with_["reply"])
    else:
        reply = Reply(usage=checked_usage(with_["usage"]))
    return bill_reply(state, hold, reply)


def bill_reply(state: State, hold: Hold, reply: Reply) -> Bill:
    """A reply, plain or put together from a stream."""
    if reply.usage is None:
        into, out = hold.tokens
        all_ = {"input": into, "output": out}
        reserved = Fraction(hold.nano_usd, NANO)
        flags = {"estimated", "no_usage"}
        made = Bill(reserved, hold.nano_usd, flags=flags, anomalies=reply.anomalies, tokens=all_)
        return invoiced(state, hold, made, reply.reported)
    return invoiced(state, hold, priced(hold, reply), reply.reported)


def invoiced(state: State, hold: Hold, made: Bill, reported: Fraction | None) -> Bill:
    """What the provider says that it invoices is the cost where the settings prefer it; else it is only told.
    A figure that cannot be is not used."""
    if reported is not None and not (reported >= 0 and posted(reported) <= OPERATION_MAX):
        made.anomalies, reported = [*made.anomalies, "reported_cost"], None
    made.reported = reported
    if reported is not None and (hold.seller or provider(hold)) in hold.pricing.settings.reported:
        if made.usage is not None and "unknown_model" not in made.flags:
            made.computed, made.computed_lines = made.cost, made.lines
        # The invoice is known: nothing is without a price.
        made.cost, made.nano_usd, made.doubts = reported, posted(reported), {}
        made.lines = [{"bucket": "reported", "quantity": 1, "amount": reported}]
        made.flags = made.flags & {"estimated", "no_usage"} | {"reported"}
    state.not_trusted |= made.doubts
    return made


def provider(hold: Hold) -> str | None:
    """As the catalog names it."""
    return hold.entry.provider if hold.entry else None


def with_lost_attempts(hold: Hold, made: Bill) -> Bill:
    """Each attempt that nobody answered may have been billed: its input counts, as it was reserved."""
    if hold.lost_attempts == 0 or hold.entry is None:
        return made
    into, beyond = hold.tokens[0], max(made.nano_usd - posted(made.cost), 0)
    cost, lines, _ = hold.entry.cost({"input": into}, day(hold.at), hold.context)
    made.cost += hold.lost_attempts * cost
    made.lines = [*made.lines, *(lines * hold.lost_attempts)]
    made.nano_usd = posted(made.cost) + beyond
    made.flags |= {"estimated"}
    counted = made.usage or made.tokens or {}
    made.tokens = counted | {"input": counted.get("input", 0) + hold.lost_attempts * into}
    return made


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


def priced(hold: Hold, reply: Reply) -> Bill:
    """Exact cost and posted amount under the rules of the reserve. Unknown is free only where that is set."""
    assert reply.usage is not None
    made = Bill(Fraction(0), hold.nano_usd, usage={}, flags=set(), anomalies=reply.anomalies)
    if hold.entry is None:
        made.usage, made.flags = reply.usage, {"unknown_model"}
        return made
    key = (hold.entry.provider, hold.entry.model)
    context: Context = hold.context | reply.context
    for at, (model, usage) in enumerate([(reply.model, reply.usage), *reply.parts]):
        entry = serving(hold, model)
        if entry is None:
            made.flags |= {"unknown_model"}
            made.doubts[key] = "unknown_model"
        elif entry.terms.stand_in == "zero_with_warning" and hold.entry.terms.stand_in is None:
            # The price of the model that was asked for is closer to the truth than nothing.
            made.flags |= {"unknown_model"}
            entry = None
        # Another model's part has no price without its entry; the reply has that of the model asked for.
        entry = entry or (hold.entry if at == 0 else None)
        if entry is not None:
            cost, lines, unpriced = entry.cost(usage, day(hold.at), context)
            made.cost += cost
            made.lines += lines
            made.flags |= stand_in_flags(entry)
            if unpriced and entry.terms.stand_in != "zero_with_warning":
                made.flags |= {"unpriced"}
                if not entry.terms.forgiving:
                    made.doubts.setdefault(key, "unpriced_bucket")
        for bucket, n in usage.items():
            made.usage = (made.usage or {}) | {bucket: (made.usage or {}).get(bucket, 0) + n}
    made.nano_usd = max(posted(made.cost), hold.nano_usd if made.doubts else 0)
    return made


def stand_in_flags(entry: Entry) -> set[str]:
    """What a receipt says of an entry that stands for an unknown model."""
    words = {"zero_with_warning": {"unknown_model"}, "fallback_price": {"fallback_price"}}
    return words.get(entry.terms.stand_in or "", set())


def serving(hold: Hold, model: str | None) -> Entry | None:
    """The entry of the model that served, under the rules of the reserve."""
    assert hold.entry is not None
    if model is None or model in (hold.model, hold.entry.model, *hold.entry.body.get("aliases", [])):
        return hold.entry
    try:
        found = hold.pricing.resolve(hold.entry.provider, model, hold.scope)
    except Denial:
        return None
    # The same model under another name keeps what was fixed when the call was reserved.
    same = (found.provider, found.model) == (hold.entry.provider, hold.entry.model)
    return hold.entry if same else found


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


def floor_of(hold: Hold, told: Usage, margin: int = 0) -> Usage:
    """Input as told, else as reserved; output counted so far, with a margin that stays within the hold."""
    into, most = hold.tokens
    usage = dict(told)
    if total(usage, is_input) == 0:
        usage["input"] = into
    seen = seen_output(usage)
    counted = max(seen, hold.stream.output_floor)
    if margin:
        counted = min(counted + margin, max(most, counted))
    usage["output"] = usage.get("output", 0) + counted - seen
    return {bucket: n for bucket, n in usage.items() if n}


def floor(state: State, hold: Hold, what: str) -> dict[str, Any]:
    """Abandoned or cut: floor, rest by the expiry policy. Closed by us: floor and margin, rest released."""
    reply = hold.stream.reply(provider(hold), hold.model)
    if hold.stream.complete:
        return settle_bill(state, hold, bill_reply(state, hold, reply))
    if hold.state not in ("held", "expired"):
        raise Fault("id_reused")
    margin = CANCEL_MARGIN if what == "close" else 0
    reply.usage = floor_of(hold, reply.usage or {}, margin)
    made = Bill(Fraction(0), 0, reply.usage) if hold.entry is None else priced(hold, reply)
    state.not_trusted |= made.doubts
    made.flags |= {"estimated"}
    made = with_lost_attempts(hold, made)
    end = "settle" if what in ("close", "finish") else "abandon"
    return post(state, hold, end, made.answer(), used(made.nano_usd, made.tokens or made.usage or {}))


def finish(state: State, hold: Hold) -> dict[str, Any]:
    """The stream came to its end: with its last word, without any, or with only the first ones."""
    reply = hold.stream.reply(provider(hold), hold.model)
    if hold.stream.complete or reply.usage is None:
        return settle_bill(state, hold, bill_reply(state, hold, reply))
    return floor(state, hold, "finish")


def expire(state: State) -> dict[str, Any]:
    """The reaper: every open hold whose deadline has come, oldest deadline first."""
    due = [hold for hold in state.holds if hold.state == "held" and hold.deadline <= state.now]
    for hold in sorted(due, key=lambda hold: (hold.deadline, hold.number)):
        state.history.append(Fact("expire", hold.number, caps=state.caps(hold.legs)))
        hold.state = "expired"
    return {"expired": len(due)}
