//! The books: every account and every hold of one ledger, and the operations on them.
//!
//! Each operation looks at everything first and then writes everything: a refusal changes nothing, and writing cannot
//! fail half-way. Time is an argument and never runs backwards.

use super::account::{Account, Balance};
use super::denial::Failure;
use super::hold::{Contribution, Hold, HoldKey, Leg, Remaining, Settled, State};
use super::key;
use super::quantities::Quantities;
use super::slots::Slots;
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::policy::{Enforce, Window};
use crate::rules::AccountRule;
use crate::values::{Duration, Label, Timestamp, Unit};
use hashbrown::{HashMap, HashTable};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// What one pass over the books may touch before the lock is given back.
pub const PASS_MAX: usize = 256;
const EVENTS_MAX: usize = 4096;
/// Most closed holds that are remembered; beyond it the oldest is forgotten before its retention is over.
const REMEMBERED_MAX: usize = 1 << 18;

/// The bounds of the books.
#[derive(Clone, Copy, Debug)]
pub struct BooksLimits {
    /// Most accounts.
    pub max_accounts: usize,
    /// How long a closed hold with a known id is remembered.
    pub retention: Duration,
}

/// One account's part of a request.
#[derive(Clone, Copy, Debug)]
pub struct LegRequest<'a> {
    /// What the account's budget says.
    pub rule: &'a Arc<AccountRule>,
    /// The account's key.
    pub key: &'a [u8],
    /// The account's window.
    pub window: Window,
    /// The account's limit.
    pub limit: i64,
}

/// A call's request: hold these amounts on all these accounts, or on none.
#[derive(Clone, Copy, Debug)]
pub struct HoldRequest<'a> {
    /// The hold's id.
    pub id: u128,
    /// The caller's own id, if it chose one.
    pub name: Option<&'a Label>,
    /// A digest of the call: the same id with other content is refused.
    pub content: u64,
    /// The accounts.
    pub legs: &'a [LegRequest<'a>],
    /// The amounts.
    pub amounts: &'a Quantities,
    /// When it expires.
    pub deadline: Timestamp,
    /// Which rules the limits come from.
    pub generation: u64,
    /// Admit whatever the accounts say: the mode is `observe`, or the money is spent already.
    pub force: bool,
}

/// The answer to a [`HoldRequest`].
#[derive(Debug)]
pub enum HoldOutcome {
    /// Held on all accounts. The failures are those of soft and observed budgets, or of all if forced.
    Held(HoldKey, SmallVec<[Failure; 1]>),
    /// The same request was answered before: its hold, and whether that is still open.
    Repeated(HoldKey, bool),
    /// Denied: every leg that did not fit.
    Denied(Vec<Failure>),
    /// Denied: no room for another account.
    TooManyAccounts,
}

/// Something that the books noticed.
#[derive(Clone, Debug)]
pub enum Event {
    /// Settled spend reached a share of the limit.
    Threshold {
        /// The account after it.
        balance: Box<Balance>,
        /// The share, in basis points.
        basis_points: u32,
    },
}

/// Accounts and holds.
#[derive(Debug)]
pub struct Books {
    limits: BooksLimits,
    accounts: Slots<Account>,
    index: HashTable<u32>,
    holds: Slots<Hold>,
    /// Holds that are known outside: by the caller's id, and by the id in a token.
    named: HashMap<Label, HoldKey, foldhash::fast::RandomState>,
    exposed: HashMap<u128, HoldKey, foldhash::fast::RandomState>,
    /// Closed holds that are remembered, in the order in which they were closed.
    closed: VecDeque<(Timestamp, HoldKey)>,
    adjustments: HashMap<Label, (u64, Timestamp), foldhash::fast::RandomState>,
    high_water: Timestamp,
    /// No open hold expires before this.
    earliest_deadline: Timestamp,
    events: Vec<Event>,
    dropped_events: u64,
}

impl Books {
    /// Empty books.
    #[must_use]
    pub fn new(limits: BooksLimits) -> Self {
        Self {
            limits,
            accounts: Slots::default(),
            index: HashTable::new(),
            holds: Slots::default(),
            named: HashMap::default(),
            exposed: HashMap::default(),
            closed: VecDeque::new(),
            adjustments: HashMap::default(),
            high_water: Timestamp::from_nanos(i64::MIN),
            earliest_deadline: Timestamp::MAX,
            events: Vec::new(),
            dropped_events: 0,
        }
    }

    /// Holds the amounts on all accounts, or on none.
    ///
    /// # Errors
    /// `id_reused`: the caller's id is known with other content.
    pub fn hold(&mut self, now: Timestamp, request: &HoldRequest<'_>) -> Result<HoldOutcome> {
        let now = self.advance(now);
        if let Some(name) = request.name
            && let Some(found) = self.repeated(name, request.content)?
        {
            return Ok(found);
        }
        self.expire_due(now);
        let mut places: SmallVec<[Option<u32>; 8]> = SmallVec::new();
        let mut failures: SmallVec<[Failure; 1]> = SmallVec::new();
        let (mut denied, mut missing) = (false, 0usize);
        for leg in request.legs {
            let place = self.find(leg.key);
            let wanted = request.amounts.of(leg.rule.unit);
            let account = place.and_then(|at| self.accounts.get_mut(at));
            let fits = match account {
                Some(account) => {
                    account.adopt(leg.rule, leg.limit, request.generation);
                    wanted == 0 || wanted <= account.available()
                }
                None => {
                    missing = missing.saturating_add(1);
                    wanted == 0 || wanted <= leg.limit
                }
            };
            if !fits {
                denied |= leg.rule.enforce == Enforce::Hard && !request.force;
                failures.push(self.failure(leg, place, wanted, now));
            }
            places.push(place);
        }
        if denied {
            return Ok(HoldOutcome::Denied(failures.into_vec()));
        }
        if missing > 0 && !self.make_room(missing, now) {
            return Ok(HoldOutcome::TooManyAccounts);
        }
        let key = self.write_hold(request, &places);
        Ok(HoldOutcome::Held(key, failures))
    }

    fn write_hold(&mut self, request: &HoldRequest<'_>, places: &[Option<u32>]) -> HoldKey {
        let mut legs: SmallVec<[Leg; 4]> = SmallVec::new();
        for (leg, place) in request.legs.iter().zip(places) {
            let account = place.unwrap_or_else(|| self.open(leg, request.generation));
            let amount = request.amounts.of(leg.rule.unit);
            let held = Contribution { held: amount, ..Contribution::default() };
            let mut leg = Leg { account, unit: leg.rule.unit, amount, now: Contribution::default() };
            self.post(&mut leg, held);
            if let Some(account) = self.accounts.get_mut(account) {
                account.references = account.references.saturating_add(1);
            }
            legs.push(leg);
        }
        let hold = Hold {
            id: request.id,
            state: State::Held,
            legs,
            deadline: request.deadline,
            closed: Timestamp::MAX,
            content: request.content,
            settle_content: 0,
            exposed: request.name.is_some(),
            name: request.name.cloned(),
        };
        self.earliest_deadline = self.earliest_deadline.min(request.deadline);
        let slot = self.holds.insert(hold);
        let key = HoldKey { slot, id: request.id };
        if let Some(name) = request.name {
            self.named.insert(Arc::clone(name), key);
            self.exposed.insert(request.id, key);
        }
        key
    }

    fn repeated(&self, name: &Label, content: u64) -> Result<Option<HoldOutcome>> {
        let Some(key) = self.named.get(name) else { return Ok(None) };
        let Some(hold) = self.look(*key) else { return Ok(None) };
        if hold.content == content {
            return Ok(Some(HoldOutcome::Repeated(*key, hold.state == State::Held)));
        }
        Err(Error::new(Code::IdReused, format!("the id {name:?} was used for another call"))
            .field("id")
            .hint("give every call an id of its own"))
    }

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

    /// Expires up to [`PASS_MAX`] holds whose deadline has passed: money and tokens become unconfirmed (up to the
    /// release cap they are freed), requests and tool calls count, places in flight are freed. Returns how many.
    pub fn expire_due(&mut self, now: Timestamp) -> usize {
        let now = self.advance(now);
        if self.earliest_deadline > now {
            return 0;
        }
        let mut due: SmallVec<[HoldKey; 8]> = SmallVec::new();
        let mut earliest = Timestamp::MAX;
        for (slot, hold) in self.holds.iter().filter(|(_, hold)| hold.state == State::Held) {
            if hold.deadline <= now && due.len() < PASS_MAX {
                due.push(HoldKey { slot, id: hold.id });
            } else {
                earliest = earliest.min(hold.deadline);
            }
        }
        self.earliest_deadline = earliest;
        for key in &due {
            self.rewrite(*key, now, State::Expired, 0, |leg, room| leg.unknown_beyond(0, room));
        }
        due.len()
    }

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

    /// Gives the accounts of a budget new rules and limits, up to [`PASS_MAX`] from `cursor`, as
    /// [`Books::visit`].
    pub fn adopt(
        &mut self,
        cursor: u32,
        generation: u64,
        mut rule: impl FnMut(&Balance) -> Option<(Arc<AccountRule>, i64)>,
    ) -> Option<u32> {
        let mut changes: Vec<(u32, Arc<AccountRule>, i64)> = Vec::new();
        let now = self.high_water;
        let next = self.accounts.visit(cursor, PASS_MAX, |slot, account| {
            if let Some((rule, limit)) = rule(&account.balance(now)) {
                changes.push((slot, rule, limit));
            }
        });
        for (slot, rule, limit) in changes {
            if let Some(account) = self.accounts.get_mut(slot) {
                account.adopt(&rule, limit, generation);
            }
        }
        next
    }

    /// What the books noticed since the last time, and how many events did not fit.
    pub fn take_events(&mut self) -> (Vec<Event>, u64) {
        (std::mem::take(&mut self.events), std::mem::take(&mut self.dropped_events))
    }

    /// Whether there are events to take.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// How many accounts there are.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// How many holds are open or remembered.
    #[must_use]
    pub fn holds(&self) -> usize {
        self.holds.len()
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

    /// Forgets closed holds, top-up ids and accounts whose time was over longer ago than the retention. Looks at
    /// [`PASS_MAX`] places from `cursor`; returns where to go on, `None` at the end.
    pub fn sweep(&mut self, now: Timestamp, cursor: u32) -> Option<u32> {
        let now = self.advance(now);
        let retention = self.limits.retention;
        let past = |t: Timestamp| t != Timestamp::MAX && t.saturating_add(retention) <= now;
        let old = self.closed.iter().take(PASS_MAX).take_while(|(at, _)| past(*at)).count();
        self.forget_oldest(old);
        let mut over: Vec<u32> = Vec::new();
        let more_accounts = self.accounts.visit(cursor, PASS_MAX, |slot, account| {
            if account.references == 0 && past(account.over()) {
                over.push(slot);
            }
        });
        for slot in over {
            let Some(account) = self.accounts.remove(slot) else { continue };
            if let Ok(entry) = self.index.find_entry(key::hash(&account.key), |at| *at == slot) {
                entry.remove();
            }
        }
        if cursor == 0 {
            self.adjustments.retain(|_, (_, at)| !past(*at));
        }
        if old < PASS_MAX { more_accounts } else { more_accounts.or(Some(cursor)) }
    }

    /// Changes every leg of a hold by a rule, posts the differences, and files the hold.
    fn rewrite(
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
    fn post(&mut self, leg: &mut Leg, next: Contribution) {
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

    /// Forgets the holds that were closed longest ago. One that was closed again since comes later in the list too.
    fn forget_oldest(&mut self, count: usize) {
        for (at, key) in self.closed.drain(..count.min(self.closed.len())).collect::<SmallVec<[_; 1]>>() {
            if self.look(key).is_some_and(|hold| hold.closed == at) {
                self.forget(key);
            }
        }
    }

    fn forget(&mut self, key: HoldKey) {
        let Some(hold) = self.look(key) else { return };
        let (name, exposed) = (hold.name.clone(), hold.exposed);
        let Some(hold) = self.holds.remove(key.slot) else { return };
        for leg in &hold.legs {
            if let Some(account) = self.accounts.get_mut(leg.account) {
                account.references = account.references.saturating_sub(1);
            }
        }
        if let Some(name) = name {
            self.named.remove(&name);
        }
        if exposed {
            self.exposed.remove(&key.id);
        }
    }

    fn failure(&self, leg: &LegRequest<'_>, place: Option<u32>, wanted: i64, now: Timestamp) -> Failure {
        let balance = match place.and_then(|at| self.accounts.get(at)) {
            Some(account) => account.balance(now),
            None => Account::new(leg.rule, leg.key, leg.window, leg.limit, 0).balance(now),
        };
        Failure { balance, wanted, enforce: leg.rule.enforce }
    }

    fn make_room(&mut self, count: usize, now: Timestamp) -> bool {
        let full = |books: &Self| books.accounts.len().saturating_add(count) > books.limits.max_accounts;
        let mut cursor = Some(0);
        while let Some(from) = cursor.filter(|_| full(self)) {
            cursor = self.sweep(now, from);
        }
        !full(self)
    }

    fn open(&mut self, leg: &LegRequest<'_>, generation: u64) -> u32 {
        let slot = self.accounts.insert(Account::new(leg.rule, leg.key, leg.window, leg.limit, generation));
        let accounts = &self.accounts;
        let rehash = |at: &u32| accounts.get(*at).map_or(0, |account| key::hash(&account.key));
        self.index.insert_unique(key::hash(leg.key), slot, rehash);
        slot
    }

    fn find(&self, key: &[u8]) -> Option<u32> {
        let same = |at: &u32| self.accounts.get(*at).is_some_and(|account| &*account.key == key);
        self.index.find(key::hash(key), same).copied()
    }

    fn rolled_over(&self, hold: &Hold, now: Timestamp) -> bool {
        let over =
            |leg: &Leg| self.accounts.get(leg.account).is_some_and(|account| account.window.end <= now);
        hold.legs.iter().any(over)
    }

    fn look(&self, key: HoldKey) -> Option<&Hold> {
        self.holds.get(key.slot).filter(|hold| hold.id == key.id)
    }

    fn look_mut(&mut self, key: HoldKey) -> Option<&mut Hold> {
        self.holds.get_mut(key.slot).filter(|hold| hold.id == key.id)
    }

    fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.high_water = self.high_water.max(now);
        self.high_water
    }
}

fn unknown_hold() -> Error {
    Error::new(Code::HoldClosed, "the ledger does not know this hold (any more)")
}

fn settled_before() -> Error {
    Error::new(Code::IdReused, "the hold was settled before with another amount; nothing was changed")
        .hint("settle a hold once")
}

fn lost() -> Error {
    Error::new(Code::LedgerLost, "an account that was just found is gone")
}
