//! Settle, release, abandon, expire: a leg gets a new contribution, its account moves by the difference.
use super::{Books, PASS_MAX, REMEMBERED_MAX};
use crate::codes::Code;
use crate::engine::account::Account;
use crate::engine::hold::{Contribution, HoldKey, Leg, Remaining, Settled, State};
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
        let hold = self.look_mut(key).ok_or_else(unknown_hold)?;
        let before = hold.state;
        match before {
            State::Settled { .. } if hold.settle_content == content => {
                return Ok(Settled { repeated: true, ..Settled::default() });
            }
            State::Settled { estimated: false } => return Err(settled_before()),
            State::Settled { estimated: true } if estimated => return Err(settled_before()),
            _ => {}
        }
        let replaced = hold.estimate.take();
        let (mut late, mut over_run) = (before == State::Expired, false);
        let remaining = self.rewrite(key, now, State::Settled { estimated }, content, |leg, account| {
            let actual = used.of(leg.unit);
            late |= account.window.end <= now;
            over_run |= actual > leg.amount && leg.unit != Unit::Concurrent;
            leg.settled(actual)
        });
        if estimated {
            self.remember_estimate(key, used);
        }
        let after_release = before == State::Released;
        Ok(Settled { late, over_run, after_release, replaced, remaining, repeated: false })
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
        let remaining =
            self.rewrite(key, now, State::Settled { estimated: true }, content, |leg, account| {
                let used = floor.of(leg.unit);
                over_run |= used > leg.amount && leg.unit != Unit::Concurrent;
                leg.unknown_beyond(used, account.room_to_free())
            });
        self.remember_estimate(key, floor);
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
            self.rewrite(*key, now, State::Expired, 0, |leg, account| {
                leg.unknown_beyond(0, account.room_to_free())
            });
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
        mut change: impl FnMut(&Leg, &Account) -> Contribution,
    ) -> SmallVec<[Remaining; 4]> {
        let mut remaining = SmallVec::new();
        let Some(hold) = self.holds.get_mut(key.slot).filter(|hold| hold.id == key.id) else {
            return remaining;
        };
        hold.state = state;
        hold.settle_content = content;
        hold.closed = now;
        let remembered = hold.exposed || state == State::Expired;
        for leg in &mut hold.legs {
            let Some(account) = self.accounts.get_mut(leg.account) else { continue };
            let next = change(leg, account);
            let alerts = account.post(leg, next, now);
            if alerts != 0 {
                self.noticed.thresholds(account, alerts, now);
            }
            remaining.push(account.remaining());
            if !remembered {
                account.references = account.references.saturating_sub(1);
            }
        }
        if remembered {
            self.closed.push_back((now, key));
            self.forget_oldest(self.closed.len().saturating_sub(REMEMBERED_MAX));
        } else {
            // Nobody knows it by a name or an id, and its accounts have let go of it.
            self.holds.clear(key.slot);
        }
        remaining
    }

    /// Of a hold that is remembered: whoever replaces the estimate is told what it had posted.
    fn remember_estimate(&mut self, key: HoldKey, posted: &Quantities) {
        if let Some(hold) = self.look_mut(key) {
            hold.estimate = Some(Box::new(*posted));
        }
    }
}

fn unknown_hold() -> Error {
    Error::new(Code::HoldClosed, "the ledger does not know this hold (any more)")
}

fn settled_before() -> Error {
    Error::new(Code::IdReused, "the hold was settled before with another amount; nothing was changed")
        .hint("settle a hold once")
}
