//! New rules for accounts that exist: their limits, and the windows that they move into.
use super::{Adopted, Books, PASS_MAX};
use crate::engine::account::Balance;
use crate::engine::key;
use crate::policy::Window;
use crate::values::Timestamp;
use smallvec::SmallVec;

impl Books {
    /// Gives the accounts of the current windows new rules, limits and windows, up to [`PASS_MAX`] from `cursor`, as
    /// [`Books::visit`]. An account whose window changes moves into the new one with all that is on it, the holds of
    /// calls in flight too.
    pub fn adopt(
        &mut self,
        now: Timestamp,
        cursor: u32,
        generation: u64,
        mut rule: impl FnMut(&Balance) -> Option<Adopted>,
    ) -> Option<u32> {
        let now = self.advance(now);
        let mut changes: Vec<(u32, Adopted)> = Vec::new();
        let next = self.accounts.visit(cursor, PASS_MAX, |slot, account| {
            if account.window.contains(now)
                && let Some(adopted) = rule(&account.balance(now))
            {
                changes.push((slot, adopted));
            }
        });
        for (slot, adopted) in changes {
            self.rewindow(slot, adopted.window, now);
            if let Some(account) = self.accounts.get_mut(slot) {
                account.adopt(&adopted.rule, adopted.limit, generation);
            }
        }
        next
    }

    /// Moves an account into another window.
    fn rewindow(&mut self, slot: u32, window: Window, now: Timestamp) {
        let Some(account) = self.accounts.get(slot).filter(|account| account.window != window) else {
            return;
        };
        let key = key::in_window(&account.key, window.start);
        match self.find(&key).filter(|found| *found != slot) {
            None => self.rekey(slot, &key),
            Some(taken) if self.accounts.get(taken).is_some_and(|account| account.window.end <= now) => {
                // A closed window that began at the same instant: nobody asks for it by its key any more.
                let aside = (1..).map(|by| key::in_window(&key, window.start.saturating_add_nanos(by)));
                if let Some(aside) = aside.take(PASS_MAX).find(|aside| self.find(aside).is_none()) {
                    self.rekey(taken, &aside);
                    self.rekey(slot, &key);
                }
            }
            Some(taken) => return self.pour(slot, taken),
        }
        if let Some(account) = self.accounts.get_mut(slot) {
            account.window = window;
        }
    }

    /// A call was quicker than the move and opened the new account: what counts on the old one counts there too.
    /// What is in flight is counted as spent, which errs on the safe side.
    fn pour(&mut self, from: u32, into: u32) {
        let Some(old) = self.accounts.get_mut(from) else { return };
        let counted = old.spent.saturating_add(old.held).saturating_add(old.unconfirmed);
        old.window.end = old.window.end.min(self.high_water);
        let topped_up = old.topped_up;
        if let Some(new) = self.accounts.get_mut(into) {
            new.spent = new.spent.saturating_add(counted);
            new.topped_up = new.topped_up.saturating_add(topped_up);
        }
    }

    pub(super) fn rekey(&mut self, slot: u32, key: &[u8]) {
        let number = self.next_number();
        let Some(account) = self.accounts.get_mut(slot) else { return };
        account.number = number;
        let old = std::mem::replace(&mut account.key, SmallVec::from_slice(key));
        self.unlist(&old, slot);
        self.list(key, slot);
    }
}
