//! What of a plan does not depend on amounts: the price entry and the accounts. The same scope with the same model has
//! the same outline, as long as the rules are the same snapshot and no window has ended.

use super::books::{Hint, LegRequest};
use super::plan::{Plan, PlannedLeg};
use crate::catalog::ModelEntry;
use crate::policy::Window;
use crate::rules::{AccountRule, Rules};
use crate::values::Timestamp;
use std::sync::Arc;

/// A plan without amounts. It borrows nothing, so that it can be kept.
#[derive(Debug)]
pub struct Outline {
    /// It holds from here …
    from: Timestamp,
    /// … until before here: every window of its accounts is open.
    until: Timestamp,
    entry: Arc<ModelEntry>,
    legs: Box<[OutlinedLeg]>,
}

/// One account of an outline.
#[derive(Debug)]
pub(super) struct OutlinedLeg {
    rule: Arc<AccountRule>,
    key: Box<[u8]>,
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
            let PlannedLeg { rule, hash, window, limit, .. } = *leg;
            let (rule, key) = (Arc::clone(rule), plan.key(leg).into());
            Some(OutlinedLeg { rule, key, hash, window, limit, hint: Hint::default() })
        };
        let legs: Box<[OutlinedLeg]> = plan.legs.iter().filter_map(place).collect();
        let windows = || legs.iter().map(|leg| leg.window);
        Some(Self {
            from: windows().map(|window| window.start).max().unwrap_or(Window::LIFETIME.start),
            until: windows().map(|window| window.end).min().unwrap_or(Window::LIFETIME.end),
            entry: Arc::clone(entry),
            legs,
        })
    }

    /// Whether it holds at this instant, under the rules that it was made of.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    /// What prices the call.
    pub(super) fn entry(&self) -> &Arc<ModelEntry> {
        &self.entry
    }

    /// The accounts.
    pub(super) fn legs(&self) -> &[OutlinedLeg] {
        &self.legs
    }
}

impl OutlinedLeg {
    /// As the books want it.
    #[inline]
    pub(super) fn request(&self) -> LegRequest<'_> {
        let Self { ref rule, ref key, hash, window, limit, ref hint } = *self;
        LegRequest { rule, key, hash, window, limit, hint: Some(hint) }
    }
}
