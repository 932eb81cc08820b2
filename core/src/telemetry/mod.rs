//! What the outside world sees: OpenTelemetry spans and metrics, made from compact records on the background thread
//! and exported over OTLP.
//!
//! The caller's side is [`Recorder`]: ids and the sampler's answer when a span begins, one [`Record`] pushed into a
//! bounded lock-free queue when it ends. Nothing else happens on a caller's thread, nothing there ever waits, and
//! content is never recorded. The other side is the exporter on the background thread: queue → `metrics` at once,
//! and a bounded backlog → `spans` in batches → `transport`.
//!
//! # What is exported
//!
//! | span | kind | when |
//! |---|---|---|
//! | `chat MODEL`, `text_completion MODEL`, `generate_content MODEL`, `embeddings MODEL` | client | every model call, denied ones too |
//! | `invoke_agent AGENT` | internal | every run |
//! | `execute_tool TOOL` | internal | every guarded tool call |
//!
//! Names follow the GenAI conventions of October 2026; ours start with `spendrail.` (`semconv` has them all).
//! `error.type` is the code of a denial, the provider's error code or the exception's name as the caller gave it,
//! `connection_lost` for a reply that broke off, `abandoned` for a call whose owner is gone; there is none on success.
//! The posted cost is on model call spans only, exact in `spendrail.cost.nano_usd` and as a double in
//! `spendrail.cost.usd`: back ends add what they find on parents to what they find on children.
//!
//! Metrics: the conventions' set for clients, and `spendrail.cost` (USD), `spendrail.decisions`,
//! `spendrail.budget.{limit,spent,held,unconfirmed,available}` (in the unit that the attribute `spendrail.unit` names)
//! and `spendrail.telemetry.dropped`. A denied call has a duration and a decision, but no usage.
//!
//! # Variables
//!
//! Obeyed: `OTEL_SDK_DISABLED`, `OTEL_{TRACES,METRICS}_EXPORTER` (`otlp`, `none`), `OTEL_SERVICE_NAME`,
//! `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER(_ARG)`, `OTEL_BSP_{MAX_QUEUE_SIZE,MAX_EXPORT_BATCH_SIZE,SCHEDULE_DELAY}`,
//! `OTEL_METRIC_EXPORT_INTERVAL`, and for OTLP, generally or by signal, `…_ENDPOINT`, `…_PROTOCOL` (`http/protobuf`,
//! `grpc`), `…_HEADERS`, `…_TIMEOUT`, `…_COMPRESSION` (`gzip`, `none`), `…_CERTIFICATE`, `…_INSECURE`, and
//! `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`. What cannot be obeyed is ignored with a warning
//! ([`Recorder::warnings`]). Client certificates and HTTP proxies are not supported.

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
mod queue;
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
    AgentRecord, ChunkGaps, Details, InferenceRecord, ModalityTokens, Operation, Record, RequestParams,
    Server, SpendRecord, StreamTimes, Subject, TokenUsage, ToolRecord,
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
