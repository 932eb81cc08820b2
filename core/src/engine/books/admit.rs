//! Holding: all accounts or none.
use super::{Books, HoldOutcome, HoldRequest, LegRequest};
use crate::codes::Code;
use crate::engine::account::Account;
use crate::engine::denial::Failure;
use crate::engine::hold::{Hold, HoldKey, Leg, Legs, Pinned, State};
use crate::error::{Error, Result};
use crate::policy::Enforce;
use crate::values::{Label, Timestamp, Unit};
use smallvec::SmallVec;
use std::sync::Arc;

/// The account of a leg is not there yet.
const NO_PLACE: u32 = u32::MAX;

/// What a leg will be: the place of its account, and what is taken there.
#[derive(Clone, Copy)]
struct Part {
    account: u32,
    unit: Unit,
    amount: i64,
}

type Parts = SmallVec<[Part; 8]>;

impl Books {
    /// Holds the amounts on all accounts, or on none.
    ///
    /// # Errors
    /// `id_reused`: the caller's id is known with other content.
    pub fn hold(&mut self, now: Timestamp, request: &HoldRequest<'_>) -> Result<HoldOutcome> {
        let now = self.advance(now);
        if let Some(name) = request.name
            && let Some((key, pinned)) = self.known(name, request.content)?
        {
            return Ok(HoldOutcome::Repeated(key, pinned));
        }
        self.expire_due(now);
        let mut parts = Parts::new();
        let mut failures = Vec::new();
        let (mut denied, mut missing) = (false, 0usize);
        for leg in request.accounts.requests() {
            let place = self.find_leg(&leg);
            let wanted = request.amounts.of(leg.rule.unit);
            let account = place.and_then(|at| self.accounts.get_mut(at));
            let available = match account {
                Some(account) => {
                    account.adopt(leg.rule, leg.limit, request.generation);
                    account.available()
                }
                None => {
                    missing = missing.saturating_add(1);
                    leg.limit
                }
            };
            let fits = wanted == 0 || wanted <= available;
            if !fits {
                denied |= leg.rule.enforce == Enforce::Hard && !request.force;
                failures.push(self.failure(&leg, place, wanted, now));
            }
            parts.push(Part { account: place.unwrap_or(NO_PLACE), unit: leg.rule.unit, amount: wanted });
        }
        if denied {
            return Ok(HoldOutcome::Denied(failures));
        }
        if missing > 0 && !self.open_missing(now, request, &mut parts, missing) {
            return Ok(HoldOutcome::TooManyAccounts);
        }
        Ok(HoldOutcome::Held(self.write_hold(now, request, &parts), failures))
    }

    /// Opens the accounts that are not there; `false` if there is no room for them, and then nothing was opened.
    fn open_missing(
        &mut self,
        now: Timestamp,
        request: &HoldRequest<'_>,
        parts: &mut Parts,
        missing: usize,
    ) -> bool {
        if self.is_full(missing) {
            if !self.make_room(missing, now) {
                return false;
            }
            // What was swept may have been an idle account of this very call: a run that nobody ended.
            for (part, leg) in parts.iter_mut().zip(request.accounts.requests()) {
                part.account = self.find_leg(&leg).unwrap_or(NO_PLACE);
            }
        }
        for (part, leg) in parts.iter_mut().zip(request.accounts.requests()) {
            if part.account == NO_PLACE {
                part.account = self.open(&leg, request.generation);
            }
        }
        true
    }

    /// Writes the hold where it stays, and posts it to the accounts of its legs.
    fn write_hold(&mut self, now: Timestamp, request: &HoldRequest<'_>, parts: &Parts) -> HoldKey {
        self.earliest_deadline = self.earliest_deadline.min(request.deadline);
        let slot = self.holds.insert(Hold {
            id: request.id,
            state: State::Held,
            legs: Legs::new(),
            deadline: request.deadline,
            closed: Timestamp::MAX,
            content: request.content,
            settle_content: 0,
            estimate: None,
            exposed: request.name.is_some(),
            name: request.name.cloned(),
            pinned: request.name.and(request.pinned).cloned(),
        });
        if let Some(hold) = self.holds.get_mut(slot) {
            hold.legs.extend(parts.iter().map(|part| {
                let mut leg = Leg::new(part.account, part.unit, part.amount);
                if let Some(account) = self.accounts.get_mut(part.account) {
                    account.take(&mut leg, now);
                }
                leg
            }));
        }
        let key = HoldKey { slot, id: request.id };
        if let Some(name) = request.name {
            self.named.insert(Arc::clone(name), key);
            self.exposed.insert(request.id, key);
        }
        key
    }

    /// The hold of a caller's id, and what it was answered with.
    ///
    /// # Errors
    /// `id_reused`: the id is known with other content.
    pub fn known(&self, name: &Label, content: u64) -> Result<Option<(HoldKey, Option<Arc<Pinned>>)>> {
        let Some(key) = self.named.get(name) else { return Ok(None) };
        let Some(hold) = self.look(*key) else { return Ok(None) };
        if hold.content == content {
            return Ok(Some((*key, hold.pinned.clone())));
        }
        Err(Error::new(Code::IdReused, format!("the id {name:?} was used for another call"))
            .field("id")
            .hint("give every call an id of its own"))
    }

    /// Makes the hold known by its id, so that a token can settle it, and gives it a new deadline.
    pub fn expose(&mut self, key: HoldKey, deadline: Timestamp) {
        if let Some(hold) = self.look_mut(key) {
            hold.exposed = true;
            hold.deadline = hold.deadline.max(deadline);
            self.exposed.insert(key.id, key);
        }
    }

    /// The hold of an id that was exposed.
    #[must_use]
    pub fn exposed(&self, id: u128) -> Option<HoldKey> {
        self.exposed.get(&id).copied()
    }

    pub(super) fn failure(
        &self,
        leg: &LegRequest<'_>,
        place: Option<u32>,
        wanted: i64,
        now: Timestamp,
    ) -> Failure {
        let balance = match place.and_then(|at| self.accounts.get(at)) {
            Some(account) => account.balance(now),
            None => Account::new(leg.rule, leg.key, leg.window, leg.limit, 0).balance(now),
        };
        Failure { balance, wanted, enforce: leg.rule.enforce }
    }

    /// Forgets what may be forgotten in one pass; the next call that needs room looks on from there. So a ledger that
    /// is full of live accounts costs no call more than a pass.
    pub(super) fn make_room(&mut self, count: usize, now: Timestamp) -> bool {
        if self.is_full(count) {
            self.hand = self.sweep(now, self.hand).unwrap_or(0);
        }
        !self.is_full(count)
    }

    /// Whether there is no room for so many more accounts.
    fn is_full(&self, count: usize) -> bool {
        self.accounts.len().saturating_add(count) > self.limits.max_accounts
    }

    pub(super) fn open(&mut self, leg: &LegRequest<'_>, generation: u64) -> u32 {
        let mut account = Account::new(leg.rule, leg.key, leg.window, leg.limit, generation);
        account.number = self.next_number();
        let slot = self.accounts.insert(account);
        self.list(leg.key, slot);
        slot
    }
}
