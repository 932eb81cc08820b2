//! New rules while calls are in flight: load beside the hot path, check against what is in force, swap one pointer.

use super::events::Event;
use super::state::State;
use crate::catalog::{Catalog, Listed, ModelEntry, PriceReport};
use crate::codes::Code;
use crate::engine::Adopted;
use crate::error::{Error, Result};
use crate::policy::{Facts, Policy};
use crate::rules::{BudgetNames, Rules};
use crate::values::{Dimension, Label, Scope};
use std::collections::HashMap;
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
    /// Models that have a price now and had none.
    pub models_added: Listed<Label>,
    /// Models that had a price and have none.
    pub models_removed: Listed<Label>,
    /// Models whose price is another.
    pub models_repriced: Listed<Label>,
    /// What each price file brought, what was skipped and what is held back.
    pub prices: PriceReport,
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
    let attempt = state.setup.sources.load_changed(changing.digest, &before.catalog);
    let names = &changing.names;
    let checked = attempt.and_then(|read| match read {
        Ok(loaded) => compatible(names, &loaded.policy).map(|()| Ok(loaded)),
        same => Ok(same),
    });
    let loaded = match checked {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(files)) => {
            changing.files = files;
            return Ok(report(&before, &before, false));
        }
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
    changing.digest = loaded.digest;
    changing.files = loaded.files;
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

#[derive(Default)]
struct Models {
    added: Listed<Label>,
    removed: Listed<Label>,
    repriced: Listed<Label>,
}

/// What has changed between two catalogs, as `provider/model`.
fn models(before: &Catalog, after: &Catalog) -> Models {
    let mut changed = Models::default();
    if before.version() == after.version() {
        return changed;
    }
    let key = |entry: &ModelEntry| (Arc::clone(entry.provider()), Arc::clone(entry.model()));
    let name = |entry: &ModelEntry| format!("{}/{}", entry.provider(), entry.model()).into();
    let mut old: HashMap<(Label, Label), &Arc<ModelEntry>> =
        before.entries().map(|entry| (key(entry), entry)).collect();
    for entry in after.entries() {
        match old.remove(&key(entry)) {
            None => changed.added.push(|| name(entry)),
            Some(known) if !known.prices_like(entry) => changed.repriced.push(|| name(entry)),
            Some(_) => {}
        }
    }
    for entry in before.entries().filter(|entry| old.contains_key(&key(entry))) {
        changed.removed.push(|| name(entry));
    }
    changed
}

fn report(before: &Rules, after: &Rules, changed: bool) -> ReloadReport {
    let missing = |from: &Rules, other: &Rules| -> Vec<Label> {
        let gone = from.budgets.iter().filter(|active| other.budget(&active.rule.name).is_none());
        gone.map(|active| Arc::clone(&active.rule.name)).collect()
    };
    let models = models(&before.catalog, &after.catalog);
    let prices = after.catalog.report().clone();
    let warnings = after.policy.warnings.iter().cloned().chain(prices.warnings()).collect();
    ReloadReport {
        changed,
        generation: after.generation,
        price_version: Arc::clone(after.pricing.version()),
        prices_changed: before.pricing.version() != after.pricing.version(),
        models_added: models.added,
        models_removed: models.removed,
        models_repriced: models.repriced,
        prices,
        added: missing(after, before),
        removed: missing(before, after),
        warnings,
    }
}
