//! One hold: what it contributes to each of its accounts, and how that changes.
//!
//! Every operation turns a leg's old contribution into a new one; the account moves by the difference. So nothing is
//! counted twice, whatever the order of settle, release, expire and late settle.

use super::estimate::Estimate;
use super::quantities::Quantities;
use crate::catalog::ModelEntry;
use crate::rules::{BudgetId, Rules};
use crate::values::{Label, Timestamp, Unit};
use smallvec::SmallVec;
use std::sync::Arc;

/// Finds a hold in the books: its place, and its number there, so that a place used again is not mistaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HoldKey {
    pub(super) slot: u32,
    pub(super) id: u128,
}

impl HoldKey {
    /// The hold's id.
    #[must_use]
    pub const fn id(&self) -> u128 {
        self.id
    }
}

/// Where a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Held,
    /// `estimated`: the first exact settle replaces it.
    Settled {
        estimated: bool,
    },
    Released,
    Expired,
}

/// What a leg contributes to its account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contribution {
    pub(super) held: i64,
    pub(super) unconfirmed: i64,
    pub(super) freed: i64,
    pub(super) spent: i64,
}

/// One account's part of a hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    pub(super) account: u32,
    pub(super) unit: Unit,
    /// What was reserved.
    pub(super) amount: i64,
    pub(super) now: Contribution,
}

/// All parts of a hold.
pub(super) type Legs = SmallVec<[Leg; 4]>;

impl Leg {
    /// A part that contributes nothing yet.
    pub(super) fn new(account: u32, unit: Unit, amount: i64) -> Self {
        Self { account, unit, amount, now: Contribution::default() }
    }

    /// The contribution after a settle.
    pub(super) fn settled(&self, actual: i64) -> Contribution {
        match self.unit {
            Unit::Concurrent => Contribution::default(),
            _ => Contribution { spent: actual, ..Contribution::default() },
        }
    }

    /// The contribution after a release: nothing was billed, but a request that was made counts.
    pub(super) fn released(&self) -> Contribution {
        match self.unit {
            Unit::Requests | Unit::ToolCalls => {
                Contribution { spent: self.amount, ..Contribution::default() }
            }
            _ => Contribution::default(),
        }
    }

    /// The contribution when `floor` is known to be spent and nothing is known of the rest, of which `room` may be
    /// freed. An expiry is a floor of zero.
    pub(super) fn unknown_beyond(&self, floor: i64, room: i64) -> Contribution {
        match self.unit {
            Unit::Concurrent => Contribution::default(),
            Unit::Requests | Unit::ToolCalls => {
                Contribution { spent: self.amount, ..Contribution::default() }
            }
            _ => {
                let rest = self.amount.saturating_sub(floor).max(0);
                let freed = rest.min(room);
                Contribution { held: 0, unconfirmed: rest.saturating_sub(freed), freed, spent: floor }
            }
        }
    }
}

/// What a call was answered with, kept for the same call again: one price per call, whatever is reloaded between.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// The rules that the call was reserved with.
    pub rules: Arc<Rules>,
    /// The price entry.
    pub entry: Option<Arc<ModelEntry>>,
    /// What was reserved.
    pub estimate: Estimate,
    /// When.
    pub started: Timestamp,
}

/// A hold, open or remembered.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) id: u128,
    pub(super) state: State,
    pub(super) legs: Legs,
    pub(super) deadline: Timestamp,
    /// When the state was left for good; a tombstone is dropped after the retention.
    pub(super) closed: Timestamp,
    /// Of the call: the same id with other content is refused.
    pub(super) content: u64,
    /// Of the settle, 0 before.
    pub(super) settle_content: u64,
    /// What an estimate posted, which an exact settle may still replace.
    pub(super) estimate: Option<Box<Quantities>>,
    /// Known outside by a caller's id or a token: remembered after it is closed.
    pub(super) exposed: bool,
    pub(super) name: Option<Label>,
    /// Only with a name.
    pub(super) pinned: Option<Arc<Pinned>>,
}

/// What an account has left after a settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The budget.
    pub budget: BudgetId,
    /// What it counts.
    pub unit: Unit,
    /// What a new call may still take; negative after an over-run.
    pub available: i64,
}

/// What a settle, release or expiry did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The same operation was done before; nothing changed.
    pub repeated: bool,
    /// The hold had expired, or its window is over.
    pub late: bool,
    /// More was used than reserved, on some account.
    pub over_run: bool,
    /// The hold had been released before.
    pub after_release: bool,
    /// What an estimate had posted, which this settle replaced.
    pub replaced: Option<Box<Quantities>>,
    /// What the accounts have left; empty for a repetition.
    pub remaining: SmallVec<[Remaining; 4]>,
}
