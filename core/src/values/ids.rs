//! 128-bit ids: unique in the process by a counter, between processes by randomness, renewed after a fork.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A generated id. Shown as 32 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u128);

/// Makes ids for one owner (a guard of one fork generation).
#[derive(Debug)]
pub struct IdMaker {
    seed: [u64; 2],
    next: AtomicU64,
}

impl Default for IdMaker {
    fn default() -> Self {
        Self::new()
    }
}

impl IdMaker {
    /// A maker with a seed of its own, from the operating system's randomness.
    #[must_use]
    pub fn new() -> Self {
        // `RandomState` seeds once per thread and then counts: process id and time keep forked children apart.
        let word = |salt: u64| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let nanos = since.map(|d| d.as_nanos()).unwrap_or(0);
            RandomState::new().hash_one((std::process::id(), nanos, salt))
        };
        Self { seed: [word(1), word(2)], next: AtomicU64::new(1) }
    }

    /// The next id: never zero in either half, never repeated by this maker.
    #[must_use]
    pub fn next(&self) -> Id {
        self.of(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// The next id and a 64-bit id, never zero: a trace and its first span.
    #[must_use]
    pub fn next_pair(&self) -> (Id, u64) {
        let count = self.next.fetch_add(2, Ordering::Relaxed);
        (self.of(count), self.short_of(count.wrapping_add(1)))
    }

    /// The next 64-bit id, never zero: a span id.
    #[must_use]
    pub fn next_u64(&self) -> u64 {
        self.short_of(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn of(&self, count: u64) -> Id {
        let [high, low] = self.seed;
        let high = mix(high.wrapping_add(count.wrapping_mul(0x9E37_79B9_7F4A_7C15))) | 1;
        let low = mix(low ^ count);
        Id(u128::from(high) << 64 | u128::from(if low == 0 { 1 } else { low }))
    }

    fn short_of(&self, count: u64) -> u64 {
        let [_, low] = self.seed;
        let id = mix(low ^ count);
        if id == 0 { 1 } else { id }
    }
}

/// A bijection of 64 bits (the finaliser of SplitMix64), so that different counts give different ids.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_do_not_repeat() {
        let (a, b) = (IdMaker::new(), IdMaker::new());
        let ids: HashSet<Id> = (0..10_000).flat_map(|_| [a.next(), b.next()]).collect();
        assert_eq!(ids.len(), 20_000);
    }
}
