"""What the guard knows, and the questions about accounts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import accounts
import windows
from accounts import Account, Counters, Fact, Leg
from amounts import Fault, label
from policy import Budget, Policy, Scope, matches
from prices import Catalog, Context, Entry
from pricing import Pricing
from runs import Run
from streams import Stream
from windows import shown

SCOPE_KEYS = ("tenant", "user", "feature", "agent", "session")
TAGS_MAX = 16


@dataclass(frozen=True)
class SetLimit:
    """What was set for one account in code."""

    amount: int | None
    zone: str | None


@dataclass
class Hold:
    """One reservation, and everything that was fixed when it was made."""

    number: int
    content: Any
    legs: tuple[Leg, ...]
    nano_usd: int
    tokens: tuple[int, int]
    entry: Entry | None
    scope: Scope
    at: datetime
    deadline: datetime
    answer: dict[str, Any]
    pricing: Pricing
    seller: str | None = None
    model: str = ""
    context: Context = field(default_factory=dict)
    run: Run | None = None
    tool: bool = False
    state: str = "held"
    settled_as: Any = None
    receipt: dict[str, Any] = field(default_factory=dict)
    stream: Stream = field(default_factory=Stream)
    lost_attempts: int = 0


def scope_of(with_: dict[str, Any], run: Run | None = None) -> Scope:
    """The labels of a call, those of its run included; tags as `tag.<key>`."""
    scope = dict(run.scope) if run else {}
    for key in (*SCOPE_KEYS, "run"):
        if with_.get(key) is not None:
            scope[key] = label(with_[key], key)
    tags = with_.get("tags", {})
    if not isinstance(tags, dict):
        raise Fault("argument_invalid", "tags")
    scope |= {f"tag.{key}": label(value, f"tag.{key}") for key, value in tags.items()}
    if sum(key.startswith("tag.") for key in scope) > TAGS_MAX:
        raise Fault("label_invalid", "tags")
    return scope


class State:
    """Everything that an answer depends on."""

    def __init__(self, now: datetime, policy: Policy, catalog: Catalog) -> None:
        self.now, self.policy, self.catalog = now, policy, catalog
        self.history: list[Fact] = []
        self.holds: list[Hold] = []
        self.by_id: dict[str, Hold] = {}
        self.runs: dict[str, Run] = {}
        self.stops: dict[str, tuple[Scope, str]] = {}
        self.set_limits: dict[tuple[str, tuple[tuple[str, str | None], ...]], SetLimit] = {}
        self.budgets_seen: dict[str, Budget] = {}
        self.done: dict[str, tuple[Any, Any]] = {}
        self.not_trusted: dict[tuple[str, str], str] = {}
        self.closed = False
        self.remember_budgets()

    @property
    def pricing(self) -> Pricing:
        """What prices calls now."""
        return Pricing(self.policy.prices, self.catalog)

    def remember_budgets(self) -> None:
        """A removed budget still takes settles: its rules are kept."""
        self.budgets_seen |= {one.name: one for one in self.policy.budgets}

    def account(self, budget: Budget, scope: Scope, at: datetime) -> Account:
        """The account of a budget for a scope at an instant."""
        per = tuple((key, scope.get(key)) for key in budget.per)
        set_ = self.set_limits.get((budget.name, per))
        zone = {"timezone": set_.zone} if set_ is not None and set_.zone else {}
        start, end = windows.span(budget.rule(scope) | zone, at)
        return Account(budget.name, per, start, end)

    def is_current(self, account: Account) -> bool:
        """Whether it is the account of a budget in force, in the window of now."""
        budget = next((one for one in self.policy.budgets if one.name == account.budget), None)
        return budget is not None and account == self.account(budget, facts_of(account), self.now)

    def change(self, change: Callable[[], None]) -> None:
        """Changes rules. A changed window takes effect now: the current accounts move into it."""
        known = accounts.accounts(self.history)
        current = [account for account in known if self.is_current(account)]
        # What a removed budget left in its window moves when the budget comes back.
        gone = {one.budget for one in known} - {one.name for one in self.policy.budgets}
        current += [one for one in known if one.budget in gone and self.contains_now(one)]
        change()
        for account in current:
            budget = next((one for one in self.policy.budgets if one.name == account.budget), None)
            target = self.account(budget, facts_of(account), self.now) if budget else account
            if target != account:
                self.history.append(Fact("move", account=target, source=account))

    def contains_now(self, account: Account) -> bool:
        """Whether now is in the account's window."""
        begun = account.start is None or account.start <= self.now
        return begun and (account.end is None or self.now < account.end)

    def limit(self, account: Account, scope: Scope | None = None) -> int | None:
        """The limit in force: set in code, else the first override that matches, else the budget's."""
        if account.budget.startswith("run."):
            return self.runs[str(account.per[0][1])].limit(account.budget.removeprefix("run."))
        budget = self.budgets_seen[account.budget]
        set_ = self.set_limits.get((account.budget, account.per))
        if set_ is not None and set_.amount is not None:
            return set_.amount
        facts = scope if scope is not None else facts_of(account)
        return int(budget.override(facts).get("limit", budget.limit))

    def enforced(self, account: Account) -> str:
        """hard, soft or observe."""
        if account.budget.startswith("run."):
            return self.runs[str(account.per[0][1])].enforce
        return self.budgets_seen[account.budget].enforce

    def counters(self, account: Account) -> Counters:
        """The account now, from the whole history."""
        return accounts.counters(self.history, account)

    def available(self, account: Account, scope: Scope | None = None) -> int | None:
        """Limit and top-ups, less what was spent, is held or is unconfirmed. Below zero after an over-run."""
        limit = self.limit(account, scope)
        found = self.counters(account)
        return None if limit is None else limit + found.topped_up - found.counts

    def caps(self, legs: tuple[Leg, ...]) -> tuple[tuple[Account, int], ...]:
        """What expiry may free on each account, by the limits in force now. Run accounts free nothing."""
        out = []
        for leg in legs:
            budget = self.budgets_seen.get(leg.account.budget)
            out.append((leg.account, budget.cap(self.limit(leg.account) or 0) if budget else 0))
        return tuple(out)

    def failure(self, leg: Leg, scope: Scope) -> dict[str, Any]:
        """One leg that does not fit, as a denial shows it."""
        found = self.counters(leg.account)
        return {
            "budget": leg.account.budget,
            "unit": leg.unit,
            "limit": (self.limit(leg.account, scope) or 0) + found.topped_up,
            "spent": found.spent,
            "held": found.held,
            "unconfirmed": found.unconfirmed,
            "available": self.available(leg.account, scope),
            "wanted": leg.amount,
        }

    def stop_capped(self, scope: Scope) -> None:
        """A settle beyond one operation stops the tenant, or what else is known of the call."""
        labels = {key: value for key, value in scope.items() if key not in ("provider", "model", "tool")}
        labels = {"tenant": scope["tenant"]} if "tenant" in scope else labels
        self.stops[f"capped-{len(self.stops)}"] = (labels, "capped")

    def stopped(self, scope: Scope) -> bool:
        """Whether a stop of the file or of an operator covers the scope."""
        exactly = (rule for rule, _ in self.stops.values())
        ordered = any(all(scope.get(key) == value for key, value in rule.items()) for rule in exactly)
        return ordered or any(matches(stop["match"], scope) for stop in self.policy.stops)

    def balance(self, account: Account) -> dict[str, Any]:
        """One account, as `balances` shows it."""
        found = self.counters(account)
        return {
            "budget": account.budget,
            "scope": dict(account.per),
            "limit": self.limit(account),
            "topped_up": found.topped_up,
            "spent": found.spent,
            "held": found.held,
            "escrowed": 0,
            "unconfirmed": found.unconfirmed,
            "available": self.available(account),
            "window_start": shown(account.start),
            "resets_at": shown(account.end),
        }

    def balances(self, with_: dict[str, Any]) -> list[dict[str, Any]]:
        """The accounts of the current windows with the labels asked for, as far as the budget counts by them.

        An account that was never written is shown too, if the labels name it in full.
        """
        wanted = scope_of({key: value for key, value in with_.items() if key != "budget"})
        budgets = [self.policy.budget(with_["budget"])] if "budget" in with_ else self.policy.budgets
        out = []
        for budget in budgets:
            found = [one for one in accounts.accounts(self.history) if self.shown(one, budget, wanted)]
            full = self.account(budget, wanted, self.now)
            complete = all(value is not None for _, value in full.per) and matches(budget.match, wanted)
            out += found + ([full] if complete and full not in found else [])
        return [self.balance(account) for account in sorted(out, key=place)]

    def shown(self, account: Account, budget: Budget, wanted: Scope) -> bool:
        """Whether the account is one of the budget's current ones and has the labels."""
        if account.budget != budget.name or not self.is_current(account):
            return False
        return all(wanted.get(key, value) == value for key, value in account.per)


def facts_of(account: Account) -> Scope:
    """The labels of an account."""
    return {key: value for key, value in account.per if value is not None}


def place(account: Account) -> tuple[str, list[tuple[bool, str]]]:
    """By budget, then by the values of `per`; a missing one comes last."""
    return account.budget, [(value is None, value or "") for _, value in account.per]
