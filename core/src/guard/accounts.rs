//! What is left, and how to change it: balances, top-ups, limits set in code.

use super::state::State;
use crate::codes::Code;
use crate::engine::{Balance, Plan, limit_key};
use crate::error::{Error, Result};
use crate::policy::{Facts, WindowClock};
use crate::rules::{ActiveBudget, LimitTable, Rules, SetLimit};
use crate::values::{Amount, Label, Scope};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Most balances of one page.
pub const PAGE_MAX: usize = 1_000;

/// Which accounts to show.
#[derive(Clone, Debug, Default)]
pub struct BalanceQuery {
    /// Only of this budget.
    pub budget: Option<Label>,
    /// Only with these labels, as far as the budget counts by them.
    pub scope: Scope,
    /// At most so many (100 if 0, at most 1,000).
    pub limit: usize,
    /// Go on after this place: [`Page::next`] of the page before.
    pub after: Option<String>,
}

/// Some accounts, in the order of budget and labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The accounts.
    pub items: Vec<Balance>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// A limit for the accounts of some labels.
#[derive(Clone, Debug, Default)]
pub struct Limit {
    /// The amount; `None` with no time zone clears what was set.
    pub amount: Option<Amount>,
    /// The account's own time zone.
    pub timezone: Option<String>,
    /// Whose account: every dimension of the budget's `per`; a missing one is its own value.
    pub scope: Scope,
}

/// The accounts of current windows. An account of exactly these labels that no call has touched is shown too.
pub(super) fn balances(state: &State, query: &BalanceQuery) -> Result<Page> {
    let (rules, now) = (state.rules.load(), state.now());
    state.ledger.expire_due(now);
    if let Some(name) = &query.budget {
        budget(&rules, name)?;
    }
    let mut found: Vec<(String, Balance)> = Vec::new();
    state.ledger.visit(now, &mut |balance| {
        let current = balance.resets_at.is_none_or(|end| now < end)
            && balance.window_start.is_none_or(|start| start <= now);
        let named = match &query.budget {
            Some(name) => *name == balance.budget,
            None => !balance.budget.starts_with("run."),
        };
        if current && named && shows(&balance, &query.scope) {
            found.push((place(&balance), balance));
        }
        true
    });
    for active in rules
        .budgets
        .iter()
        .filter(|active| query.budget.as_ref().is_none_or(|name| *name == active.rule.name))
    {
        let complete = active.budget.per.iter().all(|dimension| query.scope.get(dimension).is_some());
        let facts = Facts { scope: &query.scope, provider: None, model: None, tool: None };
        if complete && active.budget.matches.matches(&facts) {
            let mut plan = Plan::empty();
            plan.add_budget(active, &facts, &rules, now);
            let untouched = plan.legs.iter().filter(|leg| state.ledger.balance(now, plan.key(leg)).is_none());
            found.extend(
                untouched.map(|leg| plan.untouched(leg, now)).map(|balance| (place(&balance), balance)),
            );
        }
    }
    Ok(page(found, query))
}

fn page(mut found: Vec<(String, Balance)>, query: &BalanceQuery) -> Page {
    let limit = if query.limit == 0 { 100 } else { query.limit.min(PAGE_MAX) };
    if let Some(after) = &query.after {
        found.retain(|(place, _)| place > after);
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(place, _)| place.clone());
    Page { items: found.into_iter().map(|(_, balance)| balance).collect(), next }
}

fn shows(balance: &Balance, scope: &Scope) -> bool {
    balance.scope.iter().all(|(dimension, value)| match scope.get(dimension) {
        Some(wanted) => value.as_ref() == Some(wanted),
        None => true,
    })
}

/// Where an account stands in the order of pages.
fn place(balance: &Balance) -> String {
    let mut place = balance.budget.to_string();
    for (_, value) in &balance.scope {
        match value {
            Some(value) => {
                place.push_str("\u{1}+");
                place.push_str(value);
            }
            None => place.push_str("\u{1}-"),
        }
    }
    place
}

/// Adds to the account of these labels, in this window only.
pub(super) fn top_up(
    state: &State,
    name: &str,
    amount: Amount,
    id: Option<&str>,
    scope: &Scope,
) -> Result<(Balance, bool)> {
    let (rules, now) = (state.rules.load(), state.now());
    let active = budget(&rules, name)?;
    same_unit(active, amount)?;
    let facts = Facts { scope, provider: None, model: None, tool: None };
    let mut plan = Plan::empty();
    plan.add_budget(active, &facts, &rules, now);
    let leg = plan.legs.first().ok_or_else(|| Error::new(Code::Internal, "no account"))?;
    let id = id.map_or_else(|| state.ids.next().to_string().into(), Label::from);
    let content = foldhash::fast::FixedState::default().hash_one((amount, limit_key(plan.key(leg))));
    state.ledger.adjust(now, &plan.request(leg), rules.generation, amount.value, &id, content)
}

/// Sets limits for many accounts at once; all or none. `replace`: what was set before for this budget is cleared.
pub(super) fn set_limits(state: &State, name: &str, limits: &[Limit], replace: bool) -> Result<usize> {
    let changing = state.changing.lock();
    let rules = state.rules.load_full();
    let active = budget(&rules, name)?;
    let mut table: LimitTable = LimitTable::clone(&rules.limits);
    if replace {
        table.clear(&active.rule.id.0.to_le_bytes());
    }
    for (at, limit) in limits.iter().enumerate() {
        let set = read(active, limit).map_err(|e| e.within(&format!("limits[{at}]")))?;
        let facts = Facts { scope: &limit.scope, provider: None, model: None, tool: None };
        let mut keys = crate::engine::AccountKeys::default();
        let key = keys.push_budget(active.rule.id, &active.budget, &facts);
        table.set(keys.get(&key), set);
    }
    let next = Arc::new(rules.with(|rules| rules.limits = Arc::new(table)));
    state.swap_rules(Arc::clone(&next));
    super::reload::adopt(state, &next);
    drop(changing);
    Ok(limits.len())
}

fn read(active: &ActiveBudget, limit: &Limit) -> Result<Option<SetLimit>> {
    if let Some(amount) = limit.amount {
        same_unit(active, amount)?;
    }
    let kind = active.budget.limits.clock.kind();
    let clock = limit.timezone.as_deref().map(|zone| WindowClock::new(kind, zone).map(Arc::new));
    let clock = clock.transpose().map_err(|e| e.field("timezone"))?;
    let value = limit.amount.map(|amount| amount.value);
    Ok((value.is_some() || clock.is_some()).then_some(SetLimit { limit: value, clock }))
}

fn budget<'r>(rules: &'r Rules, name: &str) -> Result<&'r ActiveBudget> {
    rules.budget(name).ok_or_else(|| {
        let known: Vec<&str> = rules.budgets.iter().map(|active| &*active.rule.name).take(20).collect();
        let shown: String = name.chars().take(80).collect();
        Error::new(Code::BudgetUnknown, format!("there is no budget {shown:?}"))
            .field("budget")
            .hint(format!("there are: {}", known.join(", ")))
    })
}

fn same_unit(active: &ActiveBudget, amount: Amount) -> Result<()> {
    if amount.unit == active.rule.unit {
        return Ok(());
    }
    let message =
        format!("\"{amount}\" is not in the unit of budget `{}`, {}", active.rule.name, active.rule.unit);
    Err(Error::new(Code::AmountInvalid, message).field("amount"))
}
