//! New rules while calls are in flight: load beside the hot path, check against what is in force, swap one pointer.

use super::events::Event;
use super::state::State;
use crate::codes::Code;
use crate::engine::Adopted;
use crate::error::{Error, Result};
use crate::policy::{Facts, Policy};
use crate::rules::{BudgetNames, Rules};
use crate::values::{Dimension, Label, Scope};
use std::sync::Arc;

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadReport {
    /// `false`: no byte had changed.
    pub changed: bool,
    /// The number of the rules in force.
    pub generation: u64,
    /// The version of the prices in force.
    pub price_version: Label,
    /// Whether the prices are other ones than before.
    pub prices_changed: bool,
    /// Budgets that are new.
    pub added: Vec<Label>,
    /// Budgets that are gone: they admit nothing more and still take settles.
    pub removed: Vec<Label>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

pub(super) fn reload(state: &State) -> Result<ReloadReport> {
    let mut changing = state.changing.lock();
    let before = state.rules.load_full();
    let attempt = state.setup.sources.load();
    let names = &changing.names;
    let loaded = match attempt.and_then(|loaded| compatible(names, &loaded.policy).map(|()| loaded)) {
        Ok(loaded) => loaded,
        Err(error) => {
            // A file that stays bad is told once, not at every look.
            let told = digest_of(&error);
            if changing.digest != told {
                changing.digest = told;
                state.events.send(&Event::ReloadFailed(error.clone()));
            }
            return Err(error);
        }
    };
    let same = loaded.digest == changing.digest;
    changing.digest = loaded.digest;
    changing.files = loaded.files;
    if same {
        return Ok(report(&before, &before, false));
    }
    let next = Rules::next(Some(&before), loaded.catalog, loaded.policy, &mut changing.names);
    let next = Arc::new(next);
    state.swap_rules(Arc::clone(&next));
    adopt(state, &next);
    let report = report(&before, &next, true);
    drop(changing);
    state.events.send(&Event::Reloaded(report.clone()));
    Ok(report)
}

/// A budget is its name: under the same name it counts the same thing for the same labels.
fn compatible(names: &BudgetNames, after: &Policy) -> Result<()> {
    for (at, budget) in after.budgets.iter().enumerate() {
        let Some(key) = names.changed(budget) else { continue };
        let what = if key == "limit" { "unit" } else { key };
        let message = format!("budget `{}` changed its {what} under the same name", budget.name);
        return Err(Error::new(Code::ConfigInvalid, message)
            .field(format!("budgets[{at}].{key}"))
            .hint("give the new budget a name of its own"));
    }
    Ok(())
}

fn digest_of(error: &Error) -> u64 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::default().hash_one(error.to_string())
}

/// Accounts that exist learn their new limits and windows now, not at the next call: balances must be true.
pub(super) fn adopt(state: &State, rules: &Rules) {
    let now = state.now();
    state.ledger.adopt(now, rules.generation, &mut |balance| {
        let active = rules.budget(&balance.budget)?;
        let mut scope = Scope::default();
        for (dimension, value) in &balance.scope {
            // `provider`, `model` and `tool` are no part of a scope, but of the facts.
            let _ = scope.set(dimension, value.as_deref());
        }
        let of = |dimension: Dimension| {
            balance
                .scope
                .iter()
                .find(|(known, _)| *known == dimension)
                .and_then(|(_, value)| value.as_deref())
        };
        let facts = Facts {
            scope: &scope,
            provider: of(Dimension::Provider),
            model: of(Dimension::Model),
            tool: of(Dimension::Tool),
        };
        let mut keys = crate::engine::AccountKeys::default();
        let key = keys.push_budget(active.rule.id, &active.budget, &facts);
        let (limit, clock) = rules.limits_of(active, &facts, keys.get(&key));
        Some(Adopted { rule: Arc::clone(&active.rule), limit, window: clock.at(now) })
    });
}

fn report(before: &Rules, after: &Rules, changed: bool) -> ReloadReport {
    let missing = |from: &Rules, other: &Rules| -> Vec<Label> {
        let gone = from.budgets.iter().filter(|active| other.budget(&active.rule.name).is_none());
        gone.map(|active| Arc::clone(&active.rule.name)).collect()
    };
    ReloadReport {
        changed,
        generation: after.generation,
        price_version: Arc::clone(after.pricing.version()),
        prices_changed: before.pricing.version() != after.pricing.version(),
        added: missing(after, before),
        removed: missing(before, after),
        warnings: after.policy.warnings.clone(),
    }
}
