//! Where accounts and holds are kept. [`Ledger`] is the contract that every store keeps; `memory` is the first.
//!
//! The contract: every operation is atomic over all its accounts; the same id again is the same answer; what was spent
//! is recorded, late, above the hold or on an empty account; time never runs backwards.

mod memory;

pub use memory::MemoryLedger;

use crate::engine::{
    Adopted, Balance, Event, HoldKey, HoldOutcome, HoldRequest, LegRequest, Pinned, Quantities, Settled,
};
use crate::error::Result;
use crate::values::{Label, Timestamp};
use std::sync::Arc;

/// What an account is given by new rules: `None` leaves it as it is.
pub type NewRules<'a> = dyn FnMut(&Balance) -> Option<Adopted> + 'a;

/// A store of accounts and holds.
pub trait Ledger: Send + Sync + std::fmt::Debug {
    /// Whether other processes see the same accounts.
    fn is_shared(&self) -> bool;

    /// Holds the amounts on all accounts, or on none.
    ///
    /// # Errors
    /// `id_reused`, and the faults of the store.
    fn hold(&self, now: Timestamp, request: &HoldRequest<'_>) -> Result<HoldOutcome>;

    /// The hold of a caller's id, and what it was answered with.
    ///
    /// # Errors
    /// `id_reused`, and the faults of the store.
    fn known(&self, name: &Label, content: u64) -> Result<Option<(HoldKey, Option<Arc<Pinned>>)>>;

    /// Replaces the hold by what was used.
    ///
    /// # Errors
    /// `id_reused`, `hold_closed`, and the faults of the store.
    fn settle(
        &self,
        now: Timestamp,
        key: HoldKey,
        used: &Quantities,
        content: u64,
        estimated: bool,
    ) -> Result<Settled>;

    /// Gives the hold back.
    ///
    /// # Errors
    /// `hold_closed`, and the faults of the store.
    fn release(&self, now: Timestamp, key: HoldKey) -> Result<Settled>;

    /// `floor` was used; the rest follows the expiry policy.
    ///
    /// # Errors
    /// `id_reused`, `hold_closed`, and the faults of the store.
    fn abandon(&self, now: Timestamp, key: HoldKey, floor: &Quantities, content: u64) -> Result<Settled>;

    /// Makes the hold known by its id, with a new deadline.
    fn expose(&self, key: HoldKey, deadline: Timestamp);

    /// The hold of an id that was exposed.
    fn exposed(&self, id: u128) -> Option<HoldKey>;

    /// Expires what is due; returns how many.
    fn expire_due(&self, now: Timestamp) -> usize;

    /// Adds to an account of this window; `true` = the id was known, nothing changed.
    ///
    /// # Errors
    /// `id_reused`, `amount_too_large`, `too_many_accounts`, and the faults of the store.
    fn adjust(
        &self,
        now: Timestamp,
        leg: &LegRequest<'_>,
        generation: u64,
        delta: i64,
        id: &Label,
        content: u64,
    ) -> Result<(Balance, bool)>;

    /// One account.
    fn balance(&self, now: Timestamp, key: &[u8]) -> Option<Balance>;

    /// Every account, in no order, until `look` returns `false`; the lock is given back between passes.
    fn visit(&self, now: Timestamp, look: &mut dyn FnMut(Balance) -> bool);

    /// Gives accounts new rules, limits and windows after a reload.
    fn adopt(&self, now: Timestamp, generation: u64, rule: &mut NewRules<'_>);

    /// Nothing more comes for the run of these keys: its accounts may be forgotten after the retention.
    fn close_accounts(&self, now: Timestamp, keys: &[&[u8]]);

    /// What the ledger noticed since the last time, and how many events did not fit.
    fn take_events(&self) -> (Vec<Event>, u64);

    /// Forgets what is older than the retention.
    fn sweep(&self, now: Timestamp);
}
