//! What of a plan does not depend on amounts: the price entry and the accounts. The same scope with the same model has
//! the same outline, as long as the rules are the same snapshot and no window has ended.

use super::books::Hint;
use super::key::AccountKeys;
use super::plan::{Plan, PlannedLeg};
use crate::catalog::ModelEntry;
use crate::policy::Window;
use crate::rules::{AccountRule, Rules};
use crate::values::Timestamp;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// A plan without amounts. It borrows nothing, so that it can be kept.
#[derive(Debug)]
pub struct Outline {
    /// The snapshot that it was made of.
    generation: u64,
    /// It holds from here …
    from: Timestamp,
    /// … until before here: every window of its accounts is open.
    until: Timestamp,
    entry: Arc<ModelEntry>,
    legs: Box<[OutlinedLeg]>,
    keys: AccountKeys,
}

#[derive(Debug)]
struct OutlinedLeg {
    rule: Arc<AccountRule>,
    key: Range<usize>,
    hash: u64,
    window: Window,
    limit: i64,
    hint: Hint,
}

impl Outline {
    /// Of a plan that found an entry and nothing to refuse. Accounts of runs are left out: they are the call's own.
    #[must_use]
    pub fn of(plan: &Plan<'_>, rules: &Rules) -> Option<Self> {
        let entry = plan.entry.as_deref().filter(|_| plan.refusal.is_none())?;
        let place = |leg: &PlannedLeg<'_>| {
            rules.budgets.iter().find(|active| Arc::ptr_eq(&active.rule, leg.rule))?;
            let PlannedLeg { rule, ref key, hash, window, limit, .. } = *leg;
            let (rule, key) = (Arc::clone(rule), key.clone());
            Some(OutlinedLeg { rule, key, hash, window, limit, hint: Hint::default() })
        };
        let legs: Box<[OutlinedLeg]> = plan.legs.iter().filter_map(place).collect();
        let windows = || legs.iter().map(|leg| leg.window);
        Some(Self {
            generation: rules.generation,
            from: windows().map(|window| window.start).max().unwrap_or(Window::LIFETIME.start),
            until: windows().map(|window| window.end).min().unwrap_or(Window::LIFETIME.end),
            entry: Arc::clone(entry),
            keys: AccountKeys::clone(&plan.keys),
            legs,
        })
    }

    /// Whether it still holds.
    #[must_use]
    pub fn holds(&self, rules: &Rules, now: Timestamp) -> bool {
        self.generation == rules.generation && self.from <= now && now < self.until
    }

    /// Fills an empty plan as it would be filled from the start.
    pub(super) fn draw<'r>(&'r self, plan: &mut Plan<'r>) {
        plan.entry = Some(Cow::Borrowed(&self.entry));
        plan.keys = Cow::Borrowed(&self.keys);
        plan.legs.extend(self.legs.iter().map(|leg| {
            let OutlinedLeg { ref rule, ref key, hash, window, limit, ref hint } = *leg;
            PlannedLeg { rule, key: key.clone(), hash, window, limit, hint: Some(hint) }
        }));
    }
}
