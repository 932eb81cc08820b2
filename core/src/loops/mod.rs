//! Runaway patterns. Pure: it sees fingerprints, never content.

mod detector;

pub use detector::Repeats;
