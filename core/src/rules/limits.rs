//! Limits that were set in code: they win over the file until they are cleared.

use crate::policy::WindowClock;
use hashbrown::HashMap;
use std::sync::Arc;

/// What was set for one account.
#[derive(Clone, Debug)]
pub struct SetLimit {
    /// In the budget's unit.
    pub limit: Option<i64>,
    /// The windows, in a time zone of the account's own.
    pub clock: Option<Arc<WindowClock>>,
}

/// Limits by account key without window.
#[derive(Clone, Debug, Default)]
pub struct LimitTable {
    limits: HashMap<Box<[u8]>, SetLimit, foldhash::fast::RandomState>,
}

impl LimitTable {
    /// What was set for the account of this key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&SetLimit> {
        if self.limits.is_empty() { None } else { self.limits.get(key) }
    }

    /// Sets or clears one.
    pub fn set(&mut self, key: &[u8], limit: Option<SetLimit>) {
        match limit {
            Some(limit) => drop(self.limits.insert(key.into(), limit)),
            None => drop(self.limits.remove(key)),
        }
    }

    /// Clears all whose key starts with `prefix`.
    pub fn clear(&mut self, prefix: &[u8]) {
        self.limits.retain(|key, _| !key.starts_with(prefix));
    }
}
