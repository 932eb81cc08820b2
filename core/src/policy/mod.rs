//! What is allowed: budgets, run limits, stops and the settings of `spendrail.toml`, parsed and checked.
//!
//! A [`Policy`] is immutable. Nothing here looks at an account or a clock.

mod budget;
mod matcher;
mod parse;
mod prices;
mod quarantine;
mod run_limits;
mod telemetry;
pub(crate) mod tree;
mod window;

pub use budget::{Budget, Cap, Enforce, Limits, Override};
pub(crate) use matcher::glob;
pub use matcher::{Facts, Matcher};
pub use parse::{EndpointRule, LedgerSettings};
pub use prices::PriceSettings;
pub(crate) use prices::{Missing, OnMissing, PriceOverride};
pub use run_limits::{RunLimits, RunRule};
pub use window::{Window, WindowClock, WindowKind};

use crate::values::{Dimension, Label};
use std::sync::Arc;

/// Most legs of one call: its budgets, and the limits of its run and of every run above.
pub const LEGS_PER_CALL_MAX: usize = 64;

/// Whether denials deny.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Denials deny.
    #[default]
    Enforce,
    /// Everything is computed and reported as `would_deny`; nothing is denied.
    Observe,
    /// Nothing is computed, held or denied.
    Off,
}

impl Mode {
    /// Reads `enforce`, `observe` or `off`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "enforce" => Some(Self::Enforce),
            "observe" => Some(Self::Observe),
            "off" => Some(Self::Off),
            _ => None,
        }
    }

    /// As written in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
            Self::Off => "off",
        }
    }
}

/// A stop: nothing more is admitted for what it matches.
#[derive(Clone, Debug)]
pub struct StopRule {
    /// Its id: given by [`crate::guard::Guard::stop`], or `file-N` for the N-th of the file.
    pub id: Label,
    /// Which calls.
    pub matches: Matcher,
    /// Why, for people.
    pub reason: Label,
}

/// Everything that `spendrail.toml` says.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Whether denials deny.
    pub mode: Mode,
    /// The deployment's version of this policy.
    pub policy_version: Option<u64>,
    /// Where accounts are kept, and for how long.
    pub ledger: LedgerSettings,
    /// Dimensions that every call must have.
    pub require: Vec<Dimension>,
    /// Where prices come from.
    pub prices: PriceSettings,
    /// The `[telemetry]` table, read by the room that uses it.
    pub telemetry: crate::telemetry::TelemetryConfig,
    /// The budgets, in the order of the file.
    pub budgets: Vec<Arc<Budget>>,
    /// The run limits; the first match wins.
    pub run_limits: Vec<RunRule>,
    /// The stops of the file.
    pub stops: Vec<StopRule>,
    /// Endpoints that may pass without a guard.
    pub endpoints: Vec<EndpointRule>,
    /// What a person should know, although it is no error.
    pub warnings: Vec<String>,
}

impl Policy {
    /// The budget of a name.
    #[must_use]
    pub fn budget(&self, name: &str) -> Option<&Arc<Budget>> {
        self.budgets.iter().find(|budget| &*budget.name == name)
    }
}
