//! The identity of an account: budget, one value per dimension of `per`, start of the window.

use super::plan::RunFrame;
use crate::policy::{Budget, Facts, Window};
use crate::rules::BudgetId;
use crate::values::Timestamp;
use smallvec::SmallVec;
use std::hash::BuildHasher;
use std::ops::Range;

const WINDOW_BYTES: usize = 8;

/// Room for the keys of a call with four budgets and ordinary labels.
const IN_PLACE: usize = 256;

/// The keys of a call's accounts, in one buffer: built without allocating for ordinary labels.
#[derive(Clone, Debug, Default)]
pub struct AccountKeys(SmallVec<[u8; IN_PLACE]>);

impl AccountKeys {
    /// Appends the key of a budget's account for these facts; the window's start follows with
    /// [`AccountKeys::push_window`].
    pub fn push_budget(&mut self, id: BudgetId, budget: &Budget, facts: &Facts<'_>) -> Range<usize> {
        let start = self.0.len();
        self.push(&id.0.to_le_bytes());
        for dimension in &budget.per {
            self.push_value(facts.get(dimension));
        }
        start..self.0.len()
    }

    /// Appends the key of a run's account.
    pub fn push_run(&mut self, id: BudgetId, frame: &RunFrame) -> Range<usize> {
        let start = self.0.len();
        self.push(&id.0.to_le_bytes());
        self.push_value(Some(&frame.id));
        self.push_window(start..self.0.len(), Window::LIFETIME.start)
    }

    /// Appends the window's start to the key that was pushed last.
    pub fn push_window(&mut self, key: Range<usize>, start: Timestamp) -> Range<usize> {
        self.push(&start.nanos().to_le_bytes());
        key.start..self.0.len()
    }

    /// A missing value is one zero byte; a present one is its length plus one, then its bytes: no two lists of
    /// values share a key, and a user named "-" is not a missing user.
    fn push_value(&mut self, value: Option<&str>) {
        let Some(text) = value else { return self.push(&[0, 0]) };
        let length = u16::try_from(text.len().saturating_add(1)).unwrap_or(u16::MAX);
        self.push(&length.to_le_bytes());
        self.push(text.as_bytes());
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The bytes of a key.
    #[must_use]
    pub fn get(&self, key: &Range<usize>) -> &[u8] {
        self.0.get(key.clone()).unwrap_or(&[])
    }
}

/// The values of `per` in a key, `None` where the dimension was missing.
#[must_use]
pub(super) fn values(key: &[u8]) -> SmallVec<[Option<&str>; 4]> {
    let end = key.len().saturating_sub(WINDOW_BYTES);
    let mut rest = key.get(4..end).unwrap_or(&[]);
    let mut out = SmallVec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length));
        let Some(count) = length.checked_sub(1) else {
            out.push(None);
            rest = tail;
            continue;
        };
        out.push(tail.get(..count).and_then(|text| std::str::from_utf8(text).ok()));
        rest = tail.get(count..).unwrap_or(&[]);
    }
    out
}

/// The key without its window: the same for every window of an account.
#[must_use]
pub(super) fn without_window(key: &[u8]) -> &[u8] {
    key.get(..key.len().saturating_sub(WINDOW_BYTES)).unwrap_or(&[])
}

/// The same account's key in the window that starts at `start`.
#[must_use]
pub(super) fn in_window(key: &[u8], start: Timestamp) -> Box<[u8]> {
    without_window(key).iter().copied().chain(start.nanos().to_le_bytes()).collect()
}

/// The hash of a key; one fixed seed per process.
#[must_use]
pub(super) fn hash(key: &[u8]) -> u64 {
    foldhash::fast::FixedState::default().hash_one(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_value_is_no_text() {
        let mut keys = AccountKeys::default();
        for value in [None, Some("-"), Some(""), Some("a\0b")] {
            keys.push_value(value);
        }
        let mut key = vec![1, 0, 0, 0];
        key.extend_from_slice(keys.get(&(0..keys.0.len())));
        key.extend_from_slice(&[0; 8]);
        assert_eq!(values(&key).as_slice(), [None, Some("-"), Some(""), Some("a\0b")]);
    }

    #[test]
    fn long_labels_spill_and_nothing_is_lost() {
        let (mut keys, mut plain) = (AccountKeys::default(), Vec::new());
        for byte in 0..=u8::MAX {
            keys.push(&[byte; 9]);
            plain.extend_from_slice(&[byte; 9]);
            assert_eq!(keys.get(&(0..keys.0.len())), plain);
        }
    }
}
