//! Settle, release, abandon, expire: a leg gets a new contribution, its account moves by the difference.
use super::{Books, EVENTS_MAX, Event, PASS_MAX, REMEMBERED_MAX};
use crate::codes::Code;
use crate::engine::account::Account;
use crate::engine::hold::{Contribution, Hold, HoldKey, Leg, Remaining, Settled, State};
use crate::engine::quantities::Quantities;
use crate::error::{Error, Result};
use crate::values::{Timestamp, Unit};
use smallvec::SmallVec;

impl Books {
    /// Replaces the hold by what was used. Never refused for being late, above the hold, or on an empty account.
    ///
    /// # Errors
    /// `id_reused`: settled before with other content. `hold_closed`: the books do not know this hold.
    pub fn settle(
        &mut self,
        now: Timestamp,
        key: HoldKey,
        used: &Quantities,
        content: u64,
        estimated: bool,
    ) -> Result<Settled> {
        let now = self.advance(now);
        let hold = self.look(key).ok_or_else(unknown_hold)?;
        let before = hold.state;
        match before {
            State::Settled { .. } if hold.settle_content == content => {
                return Ok(Settled { repeated: true, ..Settled::default() });
            }
            State::Settled { estimated: false } => return Err(settled_before()),
            State::Settled { estimated: true } if estimated => return Err(settled_before()),
            _ => {}
        }
        let late = before == State::Expired || self.rolled_over(hold, now);
        let mut over_run = false;
        let remaining = self.rewrite(key, now, State::Settled { estimated }, content, |leg, _| {
            let actual = used.of(leg.unit);
            over_run |= actual > leg.amount && leg.unit != Unit::Concurrent;
            leg.settled(actual)
        });
        Ok(Settled { late, over_run, remaining, after_release: before == State::Released, repeated: false })
    }

    /// Gives the hold back because nothing was billed. A request that was made still counts.
    ///
    /// # Errors
    /// `hold_closed`: settled already, or not known.
    pub fn release(&mut self, now: Timestamp, key: HoldKey) -> Result<Settled> {
        let now = self.advance(now);
        let hold = self.look(key).ok_or_else(unknown_hold)?;
        let before = hold.state;
        match before {
            State::Released => return Ok(Settled { repeated: true, ..Settled::default() }),
            State::Settled { .. } => {
                return Err(Error::new(
                    Code::HoldClosed,
                    "the hold is settled already, nothing can be released",
                ));
            }
            State::Held | State::Expired => {}
        }
        let remaining = self.rewrite(key, now, State::Released, 0, |leg, _| leg.released());
        Ok(Settled { late: before == State::Expired, remaining, ..Settled::default() })
    }

    /// The connection is gone: `floor` was used, the rest follows the expiry policy. An exact settle may come later.
    ///
    /// # Errors
    /// `hold_closed`: the books do not know this hold, or it is closed.
    pub fn abandon(
        &mut self,
        now: Timestamp,
        key: HoldKey,
        floor: &Quantities,
        content: u64,
    ) -> Result<Settled> {
        let now = self.advance(now);
        let hold = self.look(key).ok_or_else(unknown_hold)?;
        if !matches!(hold.state, State::Held | State::Expired) {
            return Err(settled_before());
        }
        let late = hold.state == State::Expired;
        let mut over_run = false;
        let remaining = self.rewrite(key, now, State::Settled { estimated: true }, content, |leg, room| {
            let used = floor.of(leg.unit);
            over_run |= used > leg.amount && leg.unit != Unit::Concurrent;
            leg.unknown_beyond(used, room)
        });
        Ok(Settled { late, over_run, remaining, ..Settled::default() })
    }

    /// Expires up to [`PASS_MAX`] holds whose deadline has passed: money and tokens become unconfirmed (up to the
    /// release cap they are freed), requests and tool calls count, places in flight are freed. Returns how many.
    pub fn expire_due(&mut self, now: Timestamp) -> usize {
        let now = self.advance(now);
        if self.earliest_deadline > now {
            return 0;
        }
        let open = self.holds.iter().filter(|(_, hold)| hold.state == State::Held);
        let mut due: SmallVec<[(Timestamp, HoldKey); 8]> = SmallVec::new();
        let mut earliest = Timestamp::MAX;
        for (slot, hold) in open {
            if hold.deadline <= now {
                due.push((hold.deadline, HoldKey { slot, id: hold.id }));
            } else {
                earliest = earliest.min(hold.deadline);
            }
        }
        // The oldest first: which hold is freed and which stays unconfirmed must not depend on where it is stored.
        due.sort_unstable_by_key(|(deadline, key)| (*deadline, key.slot));
        let later = due.get(PASS_MAX).map_or(earliest, |(deadline, _)| *deadline);
        due.truncate(PASS_MAX);
        self.earliest_deadline = later;
        for (_, key) in &due {
            self.rewrite(*key, now, State::Expired, 0, |leg, room| leg.unknown_beyond(0, room));
        }
        due.len()
    }

    /// Changes every leg of a hold by a rule, posts the differences, and files the hold.
    pub(super) fn rewrite(
        &mut self,
        key: HoldKey,
        now: Timestamp,
        state: State,
        content: u64,
        mut change: impl FnMut(&Leg, i64) -> Contribution,
    ) -> SmallVec<[Remaining; 4]> {
        let mut remaining = SmallVec::new();
        let Some(hold) = self.look_mut(key) else { return remaining };
        hold.state = state;
        hold.settle_content = content;
        hold.closed = now;
        let mut legs = std::mem::take(&mut hold.legs);
        let keep = hold.exposed || state == State::Expired;
        for leg in &mut legs {
            let room = self.accounts.get(leg.account).map_or(0, Account::room_to_free);
            let next = change(leg, room);
            self.post(leg, next);
            if let Some(account) = self.accounts.get(leg.account) {
                remaining.push(account.remaining());
            }
        }
        if let Some(hold) = self.look_mut(key) {
            hold.legs = legs;
        }
        if keep {
            self.closed.push_back((now, key));
            self.forget_oldest(self.closed.len().saturating_sub(REMEMBERED_MAX));
        } else {
            self.forget(key);
        }
        remaining
    }

    /// Moves an account by the difference between what a leg contributed and what it contributes now.
    pub(super) fn post(&mut self, leg: &mut Leg, next: Contribution) {
        let before = std::mem::replace(&mut leg.now, next);
        let Some(account) = self.accounts.get_mut(leg.account) else { return };
        let moved = |sum: i64, from: i64, to: i64| sum.saturating_sub(from).saturating_add(to);
        account.held = moved(account.held, before.held, next.held);
        account.unconfirmed = moved(account.unconfirmed, before.unconfirmed, next.unconfirmed);
        account.freed = moved(account.freed, before.freed, next.freed);
        account.spent = moved(account.spent, before.spent, next.spent);
        account.touched = self.high_water;
        if account.rule.alerts.is_empty() || next.spent <= before.spent {
            return;
        }
        let fresh = account.newly_reached();
        for (at, basis_points) in account.rule.alerts.iter().enumerate() {
            let bit = u32::try_from(at).ok().and_then(|at| 1u16.checked_shl(at)).unwrap_or(0);
            if fresh & bit == 0 {
                continue;
            }
            if self.events.len() < EVENTS_MAX {
                let balance = Box::new(account.balance(self.high_water));
                self.events.push(Event::Threshold { balance, basis_points: *basis_points });
            } else {
                self.dropped_events = self.dropped_events.saturating_add(1);
            }
        }
    }

    pub(super) fn rolled_over(&self, hold: &Hold, now: Timestamp) -> bool {
        let over =
            |leg: &Leg| self.accounts.get(leg.account).is_some_and(|account| account.window.end <= now);
        hold.legs.iter().any(over)
    }
}

fn unknown_hold() -> Error {
    Error::new(Code::HoldClosed, "the ledger does not know this hold (any more)")
}

fn settled_before() -> Error {
    Error::new(Code::IdReused, "the hold was settled before with another amount; nothing was changed")
        .hint("settle a hold once")
}
