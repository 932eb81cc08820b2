//! The counters of one budget for one value of `per` in one window.

use super::hold::{Contribution, Leg, Remaining};
use super::key;
use crate::policy::Window;
use crate::rules::AccountRule;
use crate::values::{Dimension, Duration, Label, Timestamp, Unit};
use smallvec::SmallVec;
use std::sync::Arc;

/// The counters. `available = limit + topped_up − spent − held − unconfirmed`.
#[derive(Clone, Debug)]
pub struct Account {
    pub(super) rule: Arc<AccountRule>,
    /// Given once, by the books: no other account has it, nor has this one after it was filed under another key.
    pub(super) number: u64,
    /// In place for ordinary labels: whoever finds an account by its key has it in the cache then.
    pub(super) key: SmallVec<[u8; 40]>,
    pub(super) window: Window,
    pub(super) limit: i64,
    pub(super) topped_up: i64,
    pub(super) spent: i64,
    pub(super) held: i64,
    pub(super) unconfirmed: i64,
    /// Freed by expiry and not accounted for since; at most the release cap; not part of the sum.
    pub(super) freed: i64,
    /// Which rules set the limit: an older snapshot does not overwrite a newer one.
    pub(super) generation: u64,
    /// Holds and tombstones that name this account: it stays while there are any.
    pub(super) references: u32,
    /// One bit per alert that was sent.
    pub(super) alerted: u16,
    /// When it moved last.
    pub(super) touched: Timestamp,
    /// When its run ended; [`Timestamp::MAX`] while it may still move.
    closed: Timestamp,
}

/// An account of a run that nobody ends is over after a day without a move.
const IDLE: Duration = Duration::from_seconds(24 * 3600);
/// How long after its window's end an account is kept for calls that were planned before it.
const LATECOMERS: Duration = Duration::from_seconds(5 * 60);

impl Account {
    pub(super) fn new(
        rule: &Arc<AccountRule>,
        key: &[u8],
        window: Window,
        limit: i64,
        generation: u64,
    ) -> Self {
        Self {
            rule: Arc::clone(rule),
            number: 0,
            key: SmallVec::from_slice(key),
            window,
            limit,
            topped_up: 0,
            spent: 0,
            held: 0,
            unconfirmed: 0,
            freed: 0,
            generation,
            references: 0,
            alerted: 0,
            touched: Timestamp::from_nanos(0),
            closed: Timestamp::MAX,
        }
    }

    /// What is left; negative after an over-run or when the limit was lowered.
    #[inline]
    pub(super) fn available(&self) -> i64 {
        let base = self.limit.checked_add(self.topped_up);
        let taken = self.spent.checked_add(self.held).and_then(|sum| sum.checked_add(self.unconfirmed));
        let left = base.zip(taken).and_then(|(base, taken)| base.checked_sub(taken));
        left.unwrap_or_else(|| self.available_of_large_sums())
    }

    #[cold]
    fn available_of_large_sums(&self) -> i64 {
        let sum = i128::from(self.limit) + i128::from(self.topped_up)
            - i128::from(self.spent)
            - i128::from(self.held)
            - i128::from(self.unconfirmed);
        i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
    }

    pub(super) fn remaining(&self) -> Remaining {
        Remaining { budget: self.rule.id, unit: self.rule.unit, available: self.available() }
    }

    /// Takes a leg that contributed nothing so far on hold. Nothing is spent, so no alert is reached.
    #[inline]
    pub(super) fn take(&mut self, leg: &mut Leg, now: Timestamp) {
        leg.now = Contribution { held: leg.amount, ..Contribution::default() };
        self.held = self.held.saturating_add(leg.amount);
        self.touched = now;
        self.references = self.references.saturating_add(1);
    }

    /// Moves by the difference between what a leg contributed and what it contributes from now on. Returns the
    /// alerts that are newly reached, one bit each.
    #[inline]
    pub(super) fn post(&mut self, leg: &mut Leg, next: Contribution, now: Timestamp) -> u16 {
        let before = leg.now;
        shift(&mut self.held, before.held, next.held);
        shift(&mut self.unconfirmed, before.unconfirmed, next.unconfirmed);
        shift(&mut self.freed, before.freed, next.freed);
        shift(&mut self.spent, before.spent, next.spent);
        leg.now = next;
        self.touched = now;
        if self.rule.alerts.is_empty() || next.spent <= before.spent {
            return 0;
        }
        self.newly_reached()
    }

    /// Its run has ended. A late settle still counts.
    pub(super) fn close(&mut self, now: Timestamp) {
        self.closed = self.closed.min(now);
    }

    /// From when on it may be forgotten, if nothing refers to it. A window that has ended never comes again, and no
    /// call asks what was spent in it; a run that has ended is remembered, since a late call is of the same run.
    pub(super) fn forgettable_from(&self, retention: Duration) -> Timestamp {
        let idle = if self.rule.is_of_run() { self.touched.saturating_add(IDLE) } else { Timestamp::MAX };
        let after = |end: Timestamp, time: Duration| match end {
            Timestamp::MAX => Timestamp::MAX,
            end => end.saturating_add(time),
        };
        after(self.closed.min(idle), retention).min(after(self.window.end, retention.min(LATECOMERS)))
    }

    /// How much more expiry may free.
    pub(super) fn room_to_free(&self) -> i64 {
        self.rule.release_cap.of(self.limit).saturating_sub(self.freed).max(0)
    }

    /// The limit of newer rules, and whatever they changed about the budget.
    pub(super) fn adopt(&mut self, rule: &Arc<AccountRule>, limit: i64, generation: u64) {
        if generation < self.generation {
            return;
        }
        self.generation = generation;
        if !Arc::ptr_eq(&self.rule, rule) {
            self.rule = Arc::clone(rule);
        }
        if self.limit != limit {
            self.limit = limit;
            self.rearm();
        }
    }

    /// Alerts that are no longer reached may be sent again.
    pub(super) fn rearm(&mut self) {
        self.alerted &= self.reached();
    }

    /// The alerts that are newly reached, as places in the rule's list; they are marked as sent.
    #[inline(never)]
    fn newly_reached(&mut self) -> u16 {
        let fresh = self.reached() & !self.alerted;
        self.alerted |= fresh;
        fresh
    }

    fn reached(&self) -> u16 {
        let base = i128::from(self.limit) + i128::from(self.topped_up);
        let reached =
            |points: &u32| i128::from(self.spent) * 10_000 >= base * i128::from(*points) && self.spent > 0;
        let marks = self.rule.alerts.iter().enumerate().filter(|(_, points)| reached(points));
        marks.fold(0, |mask, (at, _)| mask | alert_bit(at))
    }

    /// The account as people see it.
    #[must_use]
    pub fn balance(&self, as_of: Timestamp) -> Balance {
        Balance {
            budget: Arc::clone(&self.rule.name),
            unit: self.rule.unit,
            scope: scope_of(&self.rule.per, &self.key),
            limit: self.limit,
            topped_up: self.topped_up,
            spent: self.spent,
            held: self.held,
            unconfirmed: self.unconfirmed,
            available: self.available(),
            window_start: (self.window != Window::LIFETIME).then_some(self.window.start),
            resets_at: (self.window.end != Timestamp::MAX).then_some(self.window.end),
            as_of,
        }
    }
}

/// A sum in which one part is replaced. Most parts of most legs stay as they are.
#[inline]
fn shift(sum: &mut i64, from: i64, to: i64) {
    if from != to {
        *sum = sum.saturating_sub(from).saturating_add(to);
    }
}

/// The bit of the alert at this place in its rule.
pub(super) fn alert_bit(at: usize) -> u16 {
    u32::try_from(at).ok().and_then(|at| 1u16.checked_shl(at)).unwrap_or(0)
}

/// The dimensions of `per` and their values in a key.
pub(super) fn scope_of(per: &[Dimension], key: &[u8]) -> Vec<(Dimension, Option<Label>)> {
    let values = key::values(key);
    let value = |at: usize| values.get(at).copied().flatten().map(Label::from);
    per.iter().enumerate().map(|(at, dimension)| (dimension.clone(), value(at))).collect()
}

/// What one account holds, at one instant. Amounts are in the budget's unit; nano-USD for money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The budget's name.
    pub budget: Label,
    /// What is counted.
    pub unit: Unit,
    /// The values of `per`; `None` is a missing dimension, shown as `-`.
    pub scope: Vec<(Dimension, Option<Label>)>,
    /// The limit of the window.
    pub limit: i64,
    /// Added by top-ups in this window.
    pub topped_up: i64,
    /// Settled.
    pub spent: i64,
    /// On hold for calls in flight.
    pub held: i64,
    /// Expired holds whose outcome is unknown: they still count.
    pub unconfirmed: i64,
    /// What a new call may still take; negative after an over-run.
    pub available: i64,
    /// The first instant of the window; `None` for a lifetime.
    pub window_start: Option<Timestamp>,
    /// The first instant of the next window; `None` for a lifetime.
    pub resets_at: Option<Timestamp>,
    /// When this was read.
    pub as_of: Timestamp,
}
