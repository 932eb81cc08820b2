//! Run limits: the bounds that stop a runaway loop.

use super::budget::Enforce;
use super::matcher::Matcher;
use super::tree::Table;
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::values::{Amount, Duration, Unit};

/// Most identical requests that `loops.repeats` may allow: what the detector remembers.
const REPEATS_MAX: u32 = 64;
/// Deepest run.
const DEPTH_MAX: u32 = 16;
const COUNT_MAX: i64 = 1 << 40;

/// The bounds of one run. `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunLimits {
    /// Model calls, those of child runs included.
    pub max_calls: Option<i64>,
    /// Client-side tool calls, those of child runs included.
    pub max_tool_calls: Option<i64>,
    /// Tokens, input and output, those of child runs included.
    pub max_tokens: Option<i64>,
    /// Nano-USD, those of child runs included.
    pub max_cost: Option<i64>,
    /// How many runs may be nested below the root: 1 is the root alone.
    pub max_depth: Option<u32>,
    /// From the start of the run.
    pub max_duration: Option<Duration>,
    /// Identical requests in one root run, among its last 64.
    pub max_repeats: Option<u32>,
}

impl RunLimits {
    /// The stricter of the two, bound by bound: what a caller states can only tighten a policy's rule.
    #[must_use]
    pub fn tightened_by(&self, other: &RunLimits) -> RunLimits {
        fn stricter<T: Ord + Copy>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        RunLimits {
            max_calls: stricter(self.max_calls, other.max_calls),
            max_tool_calls: stricter(self.max_tool_calls, other.max_tool_calls),
            max_tokens: stricter(self.max_tokens, other.max_tokens),
            max_cost: stricter(self.max_cost, other.max_cost),
            max_depth: stricter(self.max_depth, other.max_depth),
            max_duration: stricter(self.max_duration, other.max_duration),
            max_repeats: stricter(self.max_repeats, other.max_repeats),
        }
    }

    /// Reads the keys of a run's limits from a table; leaves the others.
    pub(crate) fn read(table: &mut Table) -> Result<Self> {
        let path = table.key("max_cost");
        let max_cost = table.amount("max_cost")?.map(|cost| money(cost, &path)).transpose()?;
        let narrow = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok());
        Ok(Self {
            max_calls: table.integer("max_calls", 0..=COUNT_MAX)?,
            max_tool_calls: table.integer("max_tool_calls", 0..=COUNT_MAX)?,
            max_tokens: table.integer("max_tokens", 0..=COUNT_MAX)?,
            max_cost,
            max_depth: narrow(table.integer("max_depth", 1..=i64::from(DEPTH_MAX))?),
            max_duration: table.duration("max_duration")?,
            max_repeats: narrow(table.integer("max_repeats", 1..=i64::from(REPEATS_MAX))?),
        })
    }
}

fn money(cost: Amount, path: &str) -> Result<i64> {
    match cost.unit {
        Unit::Usd => Ok(cost.value),
        _ => Err(Error::new(Code::AmountInvalid, format!("\"{cost}\" is not money"))
            .field(path)
            .hint("for example \"2 USD\"")),
    }
}

/// One `[[run_limits]]`.
#[derive(Clone, Debug)]
pub struct RunRule {
    /// Which runs.
    pub matches: Matcher,
    /// Whether the limits deny.
    pub enforce: Enforce,
    /// The bounds.
    pub limits: RunLimits,
}

impl RunRule {
    pub(crate) fn read(mut table: Table) -> Result<Self> {
        let matches = Matcher::read(table.table("match")?)?;
        let words = [("hard", Enforce::Hard), ("soft", Enforce::Soft), ("observe", Enforce::Observe)];
        let enforce = table.word("enforce", &words)?.unwrap_or_default();
        let mut limits = RunLimits::read(&mut table)?;
        let mut loops = table.table("loops")?;
        let repeats = loops.integer("repeats", 1..=i64::from(REPEATS_MAX))?;
        limits.max_repeats = repeats.and_then(|n| u32::try_from(n).ok()).or(limits.max_repeats);
        loops.not_yet("cycles", &[])?;
        loops.not_yet("without_progress", &[])?;
        loops.not_yet("action", &["stop"])?;
        loops.not_yet("exempt_tools", &[])?;
        loops.finish()?;
        table.not_yet("grace_calls", &[])?;
        table.finish()?;
        Ok(Self { matches, enforce, limits })
    }
}
