//! Everything around holds: top-ups, reading, new limits, forgetting.
use super::{Books, LegRequest, PASS_MAX};
use crate::codes::Code;
use crate::engine::account::{Account, Balance};
use crate::engine::hold::HoldKey;
use crate::error::{Error, Result};
use crate::values::{Label, Timestamp};
use smallvec::SmallVec;
use std::sync::Arc;

impl Books {
    /// Adds to an account of this window. The same id again changes nothing.
    ///
    /// # Errors
    /// `id_reused`: the id is known with other content. `amount_too_large`. `too_many_accounts`.
    pub fn adjust(
        &mut self,
        now: Timestamp,
        leg: &LegRequest<'_>,
        generation: u64,
        delta: i64,
        id: &Label,
        content: u64,
    ) -> Result<(Balance, bool)> {
        let now = self.advance(now);
        let before = self.adjustments.get(id).copied();
        if before.is_some_and(|(known, _)| known != content) {
            return Err(
                Error::new(Code::IdReused, format!("the id {id:?} was used for another top-up")).field("id")
            );
        }
        let place = match self.find(leg.key) {
            Some(place) => place,
            None if before.is_some() => {
                // Known from another window: nothing is opened for it in this one.
                let untouched = Account::new(leg.rule, leg.key, leg.window, leg.limit, generation);
                return Ok((untouched.balance(now), true));
            }
            None if self.make_room(1, now) => self.open(leg, generation),
            None => return Err(Error::new(Code::TooManyAccounts, "no room for another account")),
        };
        let account = self.accounts.get_mut(place).ok_or_else(lost)?;
        account.adopt(leg.rule, leg.limit, generation);
        if before.is_none() {
            let sum = account
                .topped_up
                .checked_add(delta)
                .filter(|sum| sum.abs() <= crate::values::money::LIMIT_MAX);
            account.topped_up = sum.ok_or_else(|| {
                Error::new(Code::AmountTooLarge, "the top-ups of this window exceed 2^60").field("amount")
            })?;
            account.rearm();
            let balance = account.balance(now);
            self.adjustments.insert(Arc::clone(id), (content, now));
            return Ok((balance, false));
        }
        Ok((account.balance(now), true))
    }

    /// The account of a key, as people see it.
    #[must_use]
    pub fn balance(&self, now: Timestamp, key: &[u8]) -> Option<Balance> {
        self.accounts.get(self.find(key)?).map(|account| account.balance(now))
    }

    /// Looks at up to [`PASS_MAX`] accounts from `cursor`; returns where to go on, `None` at the end.
    pub fn visit(&self, cursor: u32, mut look: impl FnMut(&Account)) -> Option<u32> {
        self.accounts.visit(cursor, PASS_MAX, |_, account| look(account))
    }

    /// Nothing more comes for the accounts of these keys.
    pub fn close_accounts(&mut self, now: Timestamp, keys: &[&[u8]]) {
        let now = self.advance(now);
        for key in keys {
            if let Some(account) = self.find(key).and_then(|slot| self.accounts.get_mut(slot)) {
                account.close(now);
            }
        }
    }

    /// Forgets closed holds and top-up ids that are older than the retention, and accounts whose time is over. Looks at
    /// [`PASS_MAX`] places from `cursor`; returns where to go on, `None` at the end.
    pub fn sweep(&mut self, now: Timestamp, cursor: u32) -> Option<u32> {
        let now = self.advance(now);
        let retention = self.limits.retention;
        let past = |t: Timestamp| t != Timestamp::MAX && t.saturating_add(retention) <= now;
        let old = self.closed.iter().take(PASS_MAX).take_while(|(at, _)| past(*at)).count();
        self.forget_oldest(old);
        let mut over: Vec<u32> = Vec::new();
        let more_accounts = self.accounts.visit(cursor, PASS_MAX, |slot, account| {
            if account.references == 0 && account.forgettable_from(retention) <= now {
                over.push(slot);
            }
        });
        for slot in over {
            let Some(account) = self.accounts.remove(slot) else { continue };
            self.unlist(&account.key, slot);
        }
        if cursor == 0 {
            self.adjustments.retain(|_, (_, at)| !past(*at));
        }
        if old < PASS_MAX { more_accounts } else { more_accounts.or(Some(cursor)) }
    }

    /// Forgets the holds that were closed longest ago. One that was closed again since comes later in the list too.
    pub(super) fn forget_oldest(&mut self, count: usize) {
        for (at, key) in self.closed.drain(..count.min(self.closed.len())).collect::<SmallVec<[_; 1]>>() {
            if self.look(key).is_some_and(|hold| hold.closed == at) {
                self.forget(key);
            }
        }
    }

    pub(super) fn forget(&mut self, key: HoldKey) {
        let Some(hold) = self.holds.get(key.slot).filter(|hold| hold.id == key.id) else { return };
        for leg in &hold.legs {
            if let Some(account) = self.accounts.get_mut(leg.account) {
                account.references = account.references.saturating_sub(1);
            }
        }
        if let Some(name) = &hold.name {
            self.named.remove(name);
        }
        if hold.exposed {
            self.exposed.remove(&key.id);
        }
        self.holds.clear(key.slot);
    }
}

fn lost() -> Error {
    Error::new(Code::LedgerLost, "an account that was just found is gone")
}
