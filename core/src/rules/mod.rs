//! What holds now: catalog and policy in one snapshot, swapped together. A call loads it once.

mod active;
mod limits;
mod pricing;
pub mod source;
pub mod watch;

pub use active::{AccountRule, ActiveBudget, BudgetId, BudgetNames, Legend};
pub use limits::{LimitTable, SetLimit};
pub use pricing::{Priced, Pricing};

use crate::catalog::{Catalog, ModelEntry};
use crate::codes::Code;
use crate::policy::{Enforce, Facts, Policy, StopRule, WindowClock};
use crate::values::{Bucket, Label};
use active::{activate, all_run_rules};
use std::sync::Arc;

/// Something that was billed and has no price: until prices change, the model's calls are denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpriced {
    /// The provider, as the catalog names it.
    pub provider: Label,
    /// The model that was asked for, as the catalog names it.
    pub model: Label,
    /// What it was.
    pub what: UnpricedWhat,
}

/// What was billed without a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnpricedWhat {
    /// A bucket without a rate.
    Bucket(Bucket),
    /// The call, by a model that is in no catalog.
    ServedBy(Label),
}

/// One snapshot. Immutable; its count of references, which every call writes, has a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
pub struct Rules {
    /// Rises with every swap.
    pub generation: u64,
    /// The prices.
    pub catalog: Arc<Catalog>,
    /// The policy.
    pub policy: Arc<Policy>,
    /// The two together: what prices a name.
    pub pricing: Arc<Pricing>,
    /// The budgets, in the order of the policy.
    pub budgets: Arc<[ActiveBudget]>,
    /// The stops of the file and of code.
    pub stops: Arc<[StopRule]>,
    /// Limits that were set in code.
    pub limits: Arc<LimitTable>,
    /// Models that were billed for something without a price since the last change of prices.
    pub unpriced: Arc<[Unpriced]>,
    /// The names of all budgets so far.
    pub legend: Arc<Legend>,
    run_rules: Arc<[[Arc<AccountRule>; 4]; 3]>,
}

impl Rules {
    /// The first snapshot, or the next one after `before`: what code has set stays.
    #[must_use]
    pub fn next(
        before: Option<&Rules>,
        catalog: Arc<Catalog>,
        policy: Arc<Policy>,
        names: &mut BudgetNames,
    ) -> Rules {
        let budgets = policy.budgets.iter().map(|budget| activate(budget, names)).collect();
        let run_rules =
            before.map_or_else(|| Arc::new(all_run_rules(names)), |rules| Arc::clone(&rules.run_rules));
        let pricing = Arc::new(Pricing::new(&catalog, &policy));
        let legend = Legend::new(names, pricing.version());
        let same_prices = before.filter(|rules| rules.pricing.version() == pricing.version());
        let set_in_code =
            before.iter().flat_map(|rules| rules.stops.iter()).filter(|stop| !is_from_file(stop));
        let stops = policy.stops.iter().chain(set_in_code).cloned().collect();
        Rules {
            generation: before.map_or(1, |rules| rules.generation.saturating_add(1)),
            catalog,
            policy,
            pricing,
            budgets,
            stops,
            limits: before.map_or_else(Arc::default, |rules| Arc::clone(&rules.limits)),
            unpriced: same_prices.map_or_else(|| Arc::from([]), |rules| Arc::clone(&rules.unpriced)),
            legend,
            run_rules,
        }
    }

    /// The same snapshot with one part replaced by `change`.
    #[must_use]
    pub fn with(&self, change: impl FnOnce(&mut Rules)) -> Rules {
        let mut next = Rules {
            generation: self.generation.saturating_add(1),
            catalog: Arc::clone(&self.catalog),
            policy: Arc::clone(&self.policy),
            pricing: Arc::clone(&self.pricing),
            budgets: Arc::clone(&self.budgets),
            stops: Arc::clone(&self.stops),
            limits: Arc::clone(&self.limits),
            unpriced: Arc::clone(&self.unpriced),
            legend: Arc::clone(&self.legend),
            run_rules: Arc::clone(&self.run_rules),
        };
        change(&mut next);
        next
    }

    /// The budget of a name.
    #[must_use]
    pub fn budget(&self, name: &str) -> Option<&ActiveBudget> {
        self.budgets.iter().find(|active| &*active.rule.name == name)
    }

    /// Limit and windows of an account: set in code, else by the first matching override, else the budget's.
    #[must_use]
    pub fn limits_of<'r>(
        &'r self,
        active: &'r ActiveBudget,
        facts: &Facts<'_>,
        key: &[u8],
    ) -> (i64, &'r WindowClock) {
        let budget = &active.budget;
        let found = budget.overrides.iter().find(|o| o.matches.matches(facts));
        let limit = found.and_then(|o| o.limit).unwrap_or(budget.limits.limit);
        let clock = found.and_then(|o| o.clock.as_deref()).unwrap_or(&budget.limits.clock);
        match self.limits.get(key) {
            Some(set) => (set.limit.unwrap_or(limit), set.clock.as_deref().unwrap_or(clock)),
            None => (limit, clock),
        }
    }

    /// The rules of a run's accounts: calls, tool calls, tokens, cost.
    #[must_use]
    pub fn run_rules(&self, enforce: Enforce) -> &[Arc<AccountRule>; 4] {
        let [hard, soft, observe] = &*self.run_rules;
        match enforce {
            Enforce::Hard => hard,
            Enforce::Soft => soft,
            Enforce::Observe => observe,
        }
    }

    /// The provider and model that a deployment stands for.
    #[must_use]
    pub fn deployment<'a>(&'a self, provider: Option<&'a str>, model: &'a str) -> (Option<&'a str>, &'a str) {
        let table = &self.policy.prices.deployments;
        let Some(provider) = provider.filter(|_| !table.is_empty()) else { return (provider, model) };
        let same = |from: &str| from.split_once('/') == Some((provider, model));
        match table.iter().find(|(from, _)| same(from)).and_then(|(_, to)| to.split_once('/')) {
            Some((provider, model)) => (Some(provider), model),
            None => (Some(provider), model),
        }
    }

    /// Why this model's next call must be denied: what was billed for it and has no price.
    #[must_use]
    pub fn distrusted(&self, entry: &ModelEntry) -> Option<(Code, Label)> {
        let same = |found: &&Unpriced| found.provider == *entry.provider() && found.model == *entry.model();
        self.unpriced.iter().find(same).map(|found| match &found.what {
            UnpricedWhat::Bucket(bucket) => (Code::UnpricedBucket, bucket.key().into()),
            UnpricedWhat::ServedBy(model) => {
                (Code::UnknownModel, format!("as `{model}`, which served it").into())
            }
        })
    }
}

fn is_from_file(stop: &StopRule) -> bool {
    stop.id.starts_with("file-")
}
