//! The books: every account and every hold of one ledger, and the operations on them.
//!
//! Each operation looks at everything first and then writes everything: a refusal changes nothing, and writing cannot
//! fail half-way. Time is an argument and never runs backwards.

mod admit;
mod adopt;
mod close;
mod upkeep;

use super::account::{Account, Balance, alert_bit};
use super::denial::Failure;
use super::hold::{Hold, HoldKey, Pinned};
use super::key;
use super::plan::Accounts;
use super::quantities::Quantities;
use super::slots::Slots;
use crate::policy::Window;
use crate::rules::AccountRule;
use crate::values::{Duration, Label, Timestamp};
use hashbrown::{HashMap, HashTable};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

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
    /// The hash of the key.
    pub hash: u64,
    /// The account's window.
    pub window: Window,
    /// The account's limit.
    pub limit: i64,
    /// Where it was found the last time.
    pub hint: Option<&'a Hint>,
}

/// Where the account of a kept plan was found the last time: looked at first, believed only if the account that is
/// there has the same number.
#[derive(Debug, Default)]
pub struct Hint {
    place: AtomicU32,
    /// 0 before the first time.
    number: AtomicU64,
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
    pub accounts: Accounts<'a>,
    /// The amounts.
    pub amounts: &'a Quantities,
    /// When it expires.
    pub deadline: Timestamp,
    /// Which rules the limits come from.
    pub generation: u64,
    /// What the same call again is answered with; only with a name.
    pub pinned: Option<&'a Arc<Pinned>>,
    /// Admit whatever the accounts say: the mode is `observe`, or the money is spent already.
    pub force: bool,
}

/// What a reload says of one account.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// What its budget says now.
    pub rule: Arc<AccountRule>,
    /// Its limit.
    pub limit: i64,
    /// Its window.
    pub window: Window,
}

/// The answer to a [`HoldRequest`].
#[derive(Debug)]
pub enum HoldOutcome {
    /// Held on all accounts. The failures are those of soft and observed budgets, or of all if forced.
    Held(HoldKey, Vec<Failure>),
    /// The same request was answered before: its hold, and what it was answered with.
    Repeated(HoldKey, Option<Arc<Pinned>>),
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

/// Events that nobody has taken yet.
#[derive(Debug, Default)]
struct Noticed {
    events: Vec<Event>,
    dropped: u64,
}

impl Noticed {
    /// `alerts` is one bit per alert of the account's rule.
    fn thresholds(&mut self, account: &Account, alerts: u16, now: Timestamp) {
        for (at, basis_points) in account.rule.alerts.iter().enumerate() {
            if alerts & alert_bit(at) == 0 {
                continue;
            }
            if self.events.len() < EVENTS_MAX {
                let balance = Box::new(account.balance(now));
                self.events.push(Event::Threshold { balance, basis_points: *basis_points });
            } else {
                self.dropped = self.dropped.saturating_add(1);
            }
        }
    }
}

/// Where an account is. The hash is kept, so that a growing index need not look at every account again.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u64,
    slot: u32,
}

/// Accounts and holds.
#[derive(Debug)]
pub struct Books {
    limits: BooksLimits,
    accounts: Slots<Account>,
    /// How many numbers were given to accounts.
    numbers: u64,
    index: HashTable<Place>,
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
    /// Where a full ledger looks for room next.
    hand: u32,
    noticed: Noticed,
}

impl Books {
    /// Empty books.
    #[must_use]
    pub fn new(limits: BooksLimits) -> Self {
        Self {
            limits,
            accounts: Slots::default(),
            numbers: 0,
            index: HashTable::new(),
            holds: Slots::default(),
            named: HashMap::default(),
            exposed: HashMap::default(),
            closed: VecDeque::new(),
            adjustments: HashMap::default(),
            high_water: Timestamp::from_nanos(i64::MIN),
            earliest_deadline: Timestamp::MAX,
            hand: 0,
            noticed: Noticed::default(),
        }
    }

    /// What the books noticed since the last time, and how many events did not fit.
    pub fn take_events(&mut self) -> (Vec<Event>, u64) {
        let Noticed { events, dropped } = std::mem::take(&mut self.noticed);
        (events, dropped)
    }

    /// Whether there are events to take.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.noticed.events.is_empty()
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

    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        self.find_hashed(key, key::hash(key))
    }

    pub(super) fn find_hashed(&self, key: &[u8], hash: u64) -> Option<u32> {
        let same = |at: &Place| {
            at.hash == hash && self.accounts.get(at.slot).is_some_and(|account| *account.key == *key)
        };
        self.index.find(hash, same).map(|at| at.slot)
    }

    /// The account of a leg.
    #[inline]
    fn find_leg(&self, leg: &LegRequest<'_>) -> Option<u32> {
        if let Some(hint) = leg.hint {
            let place = hint.place.load(Ordering::Relaxed);
            let number = hint.number.load(Ordering::Relaxed);
            if self.accounts.get(place).is_some_and(|account| account.number == number) {
                return Some(place);
            }
        }
        self.look_up(leg)
    }

    /// The same by its key; the next time it is found by its hint.
    #[inline(never)]
    fn look_up(&self, leg: &LegRequest<'_>) -> Option<u32> {
        let found = self.find_hashed(leg.key, leg.hash)?;
        if let (Some(hint), Some(account)) = (leg.hint, self.accounts.get(found)) {
            hint.place.store(found, Ordering::Relaxed);
            hint.number.store(account.number, Ordering::Relaxed);
        }
        Some(found)
    }

    /// A number that no account has had: from 1 on.
    fn next_number(&mut self) -> u64 {
        self.numbers = self.numbers.saturating_add(1);
        self.numbers
    }

    pub(super) fn list(&mut self, key: &[u8], slot: u32) {
        let place = Place { hash: key::hash(key), slot };
        self.index.insert_unique(place.hash, place, |other| other.hash);
    }

    pub(super) fn unlist(&mut self, key: &[u8], slot: u32) {
        if let Ok(entry) = self.index.find_entry(key::hash(key), |at| at.slot == slot) {
            entry.remove();
        }
    }

    pub(super) fn look(&self, key: HoldKey) -> Option<&Hold> {
        self.holds.get(key.slot).filter(|hold| hold.id == key.id)
    }

    pub(super) fn look_mut(&mut self, key: HoldKey) -> Option<&mut Hold> {
        self.holds.get_mut(key.slot).filter(|hold| hold.id == key.id)
    }

    pub(super) fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.high_water = self.high_water.max(now);
        self.high_water
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Cap, Enforce};
    use crate::rules::BudgetId;
    use crate::values::Unit;

    #[test]
    fn a_hint_finds_its_own_account_or_none() {
        let rule = Arc::new(AccountRule {
            id: BudgetId(0),
            name: "b".into(),
            unit: Unit::Requests,
            per: Vec::new(),
            enforce: Enforce::Hard,
            release_cap: Cap::Fixed(0),
            alerts: Vec::new(),
        });
        let (hint, other) = (Hint::default(), Hint::default());
        let leg = |key, hint| LegRequest {
            rule: &rule,
            key,
            hash: key::hash(key),
            window: Window::LIFETIME,
            limit: 1,
            hint: Some(hint),
        };
        let (mine, theirs) = (leg(b"mine", &hint), leg(b"theirs", &other));
        let mut books = Books::new(BooksLimits { max_accounts: 10, retention: Duration::from_seconds(0) });
        assert_eq!(books.find_leg(&mine), None);
        let place = books.open(&mine, 1);
        assert_eq!([books.find_leg(&mine), books.find_leg(&mine)], [Some(place); 2]);
        // Its place is used again by another account.
        books.accounts.remove(place);
        books.unlist(b"mine", place);
        assert_eq!(books.open(&theirs, 1), place);
        assert_eq!((books.find_leg(&mine), books.find_leg(&theirs)), (None, Some(place)));
        // It is opened again, elsewhere, and then filed under another key.
        let elsewhere = books.open(&mine, 1);
        assert_eq!(books.find_leg(&mine), Some(elsewhere));
        books.rekey(elsewhere, b"moved");
        assert_eq!(books.find_leg(&mine), None);
    }
}
