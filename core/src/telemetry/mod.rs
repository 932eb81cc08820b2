//! What the outside world sees: OpenTelemetry spans and metrics, made from compact records on the background thread
//! and exported over OTLP.
//!
//! The caller's side is [`Recorder`]: ids and the sampler's answer when a span begins, one [`Record`] pushed into a
//! bounded lock-free queue when it ends. Nothing else happens on a caller's thread, nothing there ever waits, and
//! content is never recorded.

pub mod config;
mod environment;
#[cfg(feature = "otlp")]
mod exporter;
#[cfg(not(feature = "otlp"))]
#[path = "without_otlp.rs"]
mod exporter;
#[cfg(feature = "otlp")]
mod labels;
#[cfg(feature = "otlp")]
mod metrics;
mod outcome;
pub mod record;
mod recorder;
#[cfg(feature = "otlp")]
mod resource;
mod sampler;
#[cfg(feature = "otlp")]
mod semconv;
mod settings;
mod span_ids;
#[cfg(feature = "otlp")]
mod spans;
#[cfg(feature = "otlp")]
mod transport;

pub use config::TelemetryConfig;
pub use config::{Conventions, Mode as TelemetryMode, Protocol};
pub(crate) use exporter::{Exporter, FlushMark};
pub use outcome::{Flags, Outcome, Refusal};
pub use record::{
    AgentRecord, ChunkGaps, InferenceRecord, ModalityTokens, Operation, Record, RequestParams, Server,
    SpendRecord, StreamTimes, TokenUsage, ToolRecord,
};
pub use recorder::{FlushReport, Recorder};
pub use span_ids::{ParentSpan, SpanIds};

use crate::error::Result;
use crate::values::scope::Label;
use crate::values::{Dimension, Unit};

/// The state of one account, as a metric shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetPoint {
    /// The budget's name.
    pub budget: Label,
    /// What it counts.
    pub unit: Unit,
    /// The account's values of the budget's `per`; a missing one is `None`.
    pub per: Vec<(Dimension, Option<Label>)>,
    /// The limit with what was topped up; nano-USD for money.
    pub limit: i64,
    /// What was settled.
    pub spent: i64,
    /// What is on hold.
    pub held: i64,
    /// What expired and still counts.
    pub unconfirmed: i64,
    /// What is left; may be negative.
    pub available: i64,
}

/// Where the background thread reads budgets from, once per collection of metrics.
pub trait BudgetSource: Send + Sync {
    /// At most `max` accounts of current windows. Never waits for anything but the books' own lock.
    fn budget_points(&self, max: usize) -> Vec<BudgetPoint>;
}

/// Reads the configuration and makes the caller's side. No thread, no socket, no queue yet.
///
/// `lookup` reads an environment variable (`|name| std::env::var(name).ok()`); tests supply their own.
///
/// # Errors
/// `config_invalid`, naming the field of `[telemetry]`.
pub fn recorder(config: &TelemetryConfig, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Recorder> {
    Ok(Recorder::new(config.resolve(lookup)?))
}

#[cfg(test)]
#[cfg(feature = "otlp")]
mod tests;
