//! Budgets in force: each with the number that its name keeps through every reload.

use crate::policy::{Budget, Cap, Enforce};
use crate::values::{Dimension, Label, Unit};
use std::collections::HashMap;
use std::sync::Arc;

/// A budget's number in this process: given to its name once, kept through every reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BudgetId(pub u32);

/// What all accounts of a budget have in common; replaced by a reload.
#[derive(Clone, Debug)]
pub struct AccountRule {
    /// The budget's number.
    pub id: BudgetId,
    /// The budget's name; `run.calls` and the like for the limits of runs.
    pub name: Label,
    /// What is counted.
    pub unit: Unit,
    /// The dimensions of `per`.
    pub per: Vec<Dimension>,
    /// What a full account does.
    pub enforce: Enforce,
    /// How much of what expires may be freed.
    pub release_cap: Cap,
    /// Basis points of the limit at which an event is sent, rising, at most 16.
    pub alerts: Vec<u32>,
}

impl AccountRule {
    /// It limits a run, and is no budget.
    #[must_use]
    pub fn is_of_run(&self) -> bool {
        self.name.starts_with("run.")
    }
}

/// A budget that is in force.
#[derive(Clone, Debug)]
pub struct ActiveBudget {
    /// What its accounts have in common.
    pub rule: Arc<AccountRule>,
    /// The budget.
    pub budget: Arc<Budget>,
}

pub(super) fn activate(budget: &Arc<Budget>, names: &mut BudgetNames) -> ActiveBudget {
    let rule = AccountRule {
        id: names.id(&budget.name),
        name: Arc::clone(&budget.name),
        unit: budget.unit,
        per: budget.per.clone(),
        enforce: budget.enforce,
        release_cap: budget.release_cap,
        alerts: budget.alerts.clone(),
    };
    ActiveBudget { rule: Arc::new(rule), budget: Arc::clone(budget) }
}

pub(super) fn all_run_rules(names: &mut BudgetNames) -> [[Arc<AccountRule>; 4]; 3] {
    let mut rule = |name: &str, unit: Unit, enforce: Enforce| {
        let name = Label::from(name);
        Arc::new(AccountRule {
            id: names.id(&name),
            name,
            unit,
            per: vec![Dimension::Run],
            enforce,
            release_cap: Cap::Fixed(0),
            alerts: Vec::new(),
        })
    };
    [Enforce::Hard, Enforce::Soft, Enforce::Observe].map(|enforce| {
        [
            rule("run.calls", Unit::Requests, enforce),
            rule("run.tool_calls", Unit::ToolCalls, enforce),
            rule("run.tokens", Unit::Tokens, enforce),
            rule("run.cost", Unit::Usd, enforce),
        ]
    })
}

/// The numbers of budgets: a name keeps its number through every reload.
#[derive(Debug, Default)]
pub struct BudgetNames {
    numbers: HashMap<Label, BudgetId>,
}

impl BudgetNames {
    fn id(&mut self, name: &Label) -> BudgetId {
        let next = BudgetId(u32::try_from(self.numbers.len()).unwrap_or(u32::MAX));
        *self.numbers.entry(Arc::clone(name)).or_insert(next)
    }
}
