//! Everything that reads what others wrote, against damaged input.
//!
//! A target is a plain function over bytes that panics if it finds a fault: it runs under this crate's own runner
//! (`make fuzz`), and as it is under cargo-fuzz where that is installed:
//! `fuzz_target!(|data: &[u8]| spendrail_fuzz::targets::catalog(data));`.
//!
//! The runner mutates the vectors and the shipped catalog: bits, bytes, numbers, keys, pieces of one seed in another.
//! It prints its seed; the same seed makes the same inputs.

pub mod corpus;
pub mod mutate;
pub mod targets;

use mutate::Mutator;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// What one run of a target did.
#[derive(Debug)]
pub struct Run {
    /// How many inputs it was given.
    pub inputs: u64,
    /// How many of them it took for good ones: damage that is always refused at the door finds nothing.
    pub accepted: u64,
    /// The longest that one took.
    pub longest: Duration,
    /// The input that it failed on, and what it said.
    pub fault: Option<(Vec<u8>, String)>,
}

/// Runs a target for a while.
#[must_use]
pub fn run(target: &targets::Target, seed: u64, lasting: Duration) -> Run {
    let seeds = (target.corpus)();
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    let mut mutator = Mutator::new(seed);
    let mut told = Run { inputs: 0, accepted: 0, longest: Duration::ZERO, fault: None };
    let until = Instant::now() + lasting;
    // The seeds themselves first, then damage.
    let mut plain = seeds.iter();
    while Instant::now() < until {
        let input = plain.next().cloned().unwrap_or_else(|| mutator.input(&seeds));
        let started = Instant::now();
        let answer = catch_unwind(AssertUnwindSafe(|| (target.body)(&input)));
        told.inputs += 1;
        told.longest = told.longest.max(started.elapsed());
        match answer {
            Ok(accepted) => told.accepted += u64::from(accepted),
            Err(why) => {
                let said = why.downcast_ref::<String>().cloned();
                let said = said.or_else(|| why.downcast_ref::<&str>().map(ToString::to_string));
                told.fault = Some((input, said.unwrap_or_default()));
                return told;
            }
        }
    }
    told
}
