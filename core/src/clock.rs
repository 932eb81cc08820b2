//! Where "now" comes from. Read once per call, at the edge; everything below takes time as an argument.

use crate::values::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A wall clock, or one that a test moves.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's wall clock.
    #[default]
    System,
    /// A clock that only moves when told to.
    Manual(ManualClock),
}

impl Clock {
    /// The instant, in milliseconds since 1970-01-01T00:00Z.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => Timestamp::from_nanos(Self::system_nanos()),
            Clock::Manual(clock) => clock.now(),
        }
    }

    fn system_nanos() -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.ok().and_then(|d| i64::try_from(d.as_nanos()).ok()).unwrap_or(0)
    }
}

/// A clock for tests: shared by its clones, moved by [`ManualClock::set`] and [`ManualClock::advance`].
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.nanos())))
    }

    /// Where the clock stands.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Puts the clock at `now`; it may go back.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.nanos(), Ordering::Relaxed);
    }

    /// Moves the clock by `millis` (negative: back).
    pub fn advance(&self, millis: i64) {
        let to = self.now().saturating_add_millis(millis);
        self.set(to);
    }
}
