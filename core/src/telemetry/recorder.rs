//! The caller's side: begin a span, leave a record.

use super::queue::Queue;
use super::record::Record;
use super::settings::Settings;
use super::span_ids::{ParentSpan, SpanIds};
use crate::values::ids::IdMaker;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// Hands records to the background thread. Cheap to clone; never blocks, never fails.
#[derive(Clone, Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
}

/// What the recorder and the exporter have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    spans: bool,
    /// Falls for good when the exporter ends.
    enabled: AtomicBool,
    queue: Queue,
    /// Records lost because the queue was full.
    dropped_records: AtomicU64,
    /// Spans lost because the receiver was too slow or dead for too long.
    dropped_spans: AtomicU64,
    /// Spans that the receiver has taken.
    exported_spans: AtomicU64,
    /// Spans in batches that the receiver refused or did not answer.
    failed_spans: AtomicU64,
    /// Why an export failed last.
    last_error: Mutex<Option<String>>,
}

/// What became of what was recorded. The counts are totals since the guard was made (or the process forked).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// All that was recorded before the flush has been delivered.
    pub complete: bool,
    /// Spans that the receiver has taken.
    pub exported: u64,
    /// Records and spans that a full queue dropped.
    pub dropped: u64,
    /// Spans in batches that the receiver refused or did not answer in time.
    pub failed: u64,
    /// Why an export failed last; cleared by a success.
    pub last_error: Option<String>,
}

impl Recorder {
    pub(crate) fn new(settings: Settings) -> Self {
        let otlp = cfg!(feature = "otlp");
        let spans = otlp && settings.traces.is_some();
        let enabled = spans || (otlp && settings.metrics.is_some());
        Self {
            shared: Arc::new(Shared {
                queue: Queue::new(settings.queue_max),
                settings,
                spans,
                enabled: AtomicBool::new(enabled),
                dropped_records: AtomicU64::new(0),
                dropped_spans: AtomicU64::new(0),
                exported_spans: AtomicU64::new(0),
                failed_spans: AtomicU64::new(0),
                last_error: Mutex::new(None),
            }),
        }
    }

    /// A recorder that keeps nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::new(Settings::default())
    }

    /// Records go somewhere. If not, do not make any.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.shared.enabled.load(Ordering::Relaxed)
    }

    /// Begins a span under `parent`, or a new trace. [`SpanIds::NONE`] where no spans are exported.
    #[must_use]
    pub fn start_span(&self, parent: Option<&ParentSpan>, ids: &IdMaker) -> SpanIds {
        if !self.shared.spans || !self.enabled() {
            return SpanIds::NONE;
        }
        self.shared.settings.sampler.start(parent, ids)
    }

    /// Leaves a record. If the queue is full this record is dropped and counted.
    #[inline]
    pub fn push(&self, record: Record) {
        if self.enabled() {
            self.shared.push(record);
        }
    }

    /// Records and spans lost so far: the queue was full, or the receiver was dead for too long.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped_records().saturating_add(self.shared.dropped_spans())
    }

    /// Takes no more records.
    pub(crate) fn stop(&self) {
        self.shared.enabled.store(false, Ordering::Relaxed);
    }

    /// The totals so far.
    pub(crate) fn report(&self, complete: bool) -> FlushReport {
        FlushReport {
            complete,
            exported: self.shared.exported_spans.load(Ordering::Relaxed),
            dropped: self.dropped(),
            failed: self.shared.failed_spans.load(Ordering::Relaxed),
            last_error: self.shared.last_error.lock().clone(),
        }
    }

    /// The `OTEL_*` variables that could not be obeyed, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.shared.settings.warnings
    }

    #[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "there is no exporter"))]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Shared {
    #[inline]
    fn push(&self, record: Record) {
        if !self.queue.push(record) {
            self.dropped_records.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn dropped_records(&self) -> u64 {
        self.dropped_records.load(Ordering::Relaxed)
    }

    pub(crate) fn dropped_spans(&self) -> u64 {
        self.dropped_spans.load(Ordering::Relaxed)
    }
}

#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "there is no exporter"))]
impl Shared {
    /// Moves what is queued to the end of `taken`.
    pub(crate) fn take(&self, taken: &mut VecDeque<Record>) {
        self.queue.take(taken);
    }

    /// What wakes the background thread.
    pub(crate) fn wake(&self) -> Arc<Notify> {
        self.queue.wake()
    }

    pub(crate) fn drop_spans(&self, count: u64) {
        self.dropped_spans.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn exported(&self, spans: u64) {
        self.exported_spans.fetch_add(spans, Ordering::Relaxed);
        *self.last_error.lock() = None;
    }

    pub(crate) fn failed_spans(&self) -> u64 {
        self.failed_spans.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self, spans: u64, why: String) {
        self.failed_spans.fetch_add(spans, Ordering::Relaxed);
        *self.last_error.lock() = Some(why);
    }
}
