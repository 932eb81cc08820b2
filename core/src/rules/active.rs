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
        id: names.id(&budget.name, budget.unit, &budget.per),
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
            id: names.id(&name, unit, &[Dimension::Run]),
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

/// The names behind the numbers of a snapshot: a receipt keeps one pointer to it instead of many names.
#[derive(Debug, PartialEq, Eq)]
pub struct Legend {
    /// By [`BudgetId`].
    budgets: Box<[Label]>,
    /// The version of the prices.
    pub price_version: Label,
}

impl Legend {
    pub(super) fn new(names: &BudgetNames, price_version: &Label) -> Arc<Self> {
        let mut budgets: Vec<(BudgetId, &Label)> =
            names.known.iter().map(|(name, known)| (known.id, name)).collect();
        budgets.sort_unstable_by_key(|(id, _)| *id);
        let budgets = budgets.into_iter().map(|(_, name)| Arc::clone(name)).collect();
        Arc::new(Self { budgets, price_version: Arc::clone(price_version) })
    }

    /// A budget's name.
    #[must_use]
    pub fn budget(&self, id: BudgetId) -> &str {
        let place = usize::try_from(id.0).unwrap_or(usize::MAX);
        self.budgets.get(place).map_or("", |name| &**name)
    }
}

/// The numbers of budgets: a name keeps its number, its unit and its `per` through every reload, also while it is
/// away.
#[derive(Debug, Default)]
pub struct BudgetNames {
    known: HashMap<Label, Known>,
}

#[derive(Debug)]
struct Known {
    id: BudgetId,
    unit: Unit,
    per: Vec<Dimension>,
}

impl BudgetNames {
    fn id(&mut self, name: &Label, unit: Unit, per: &[Dimension]) -> BudgetId {
        let id = BudgetId(u32::try_from(self.known.len()).unwrap_or(u32::MAX));
        self.known.entry(Arc::clone(name)).or_insert_with(|| Known { id, unit, per: per.to_vec() }).id
    }

    /// What this budget counts otherwise than the one that had its name: `limit` (the unit) or `per`.
    #[must_use]
    pub fn changed(&self, budget: &Budget) -> Option<&'static str> {
        let known = self.known.get(&budget.name)?;
        match (known.unit == budget.unit, known.per == budget.per) {
            (true, true) => None,
            (false, _) => Some("limit"),
            (true, false) => Some("per"),
        }
    }
}
