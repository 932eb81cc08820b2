//! The background thread's side: takes records off the queue, counts them, and sends spans and metrics.
//!
//! Everything here is called from one thread and returns at once; what takes time (connecting, sending, waiting for an
//! answer) is a task of that thread's runtime. While a receiver hangs, records are still counted, so metrics stay
//! exact, and spans wait, compact, in a bounded backlog.

use super::labels::Labels;
use super::metrics::Metrics;
use super::record::Record;
use super::recorder::{Recorder, Shared};
use super::resource::{instrumentation_scope, resource};
use super::settings::{Settings, Temporality};
use super::transport::{self, Cause};
use super::{BudgetSource, spans};
use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, SdkMeterProvider};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

/// Exports what a [`Recorder`] was given.
#[derive(Debug)]
pub(crate) struct Exporter {
    shared: Arc<Shared>,
    /// Taken from the queue and not yet looked at. Empty between two steps, but after a panic.
    taken: VecDeque<Record>,
    labels: Labels,
    resource: Resource,
    scope: InstrumentationScope,
    traces: Traces,
    meters: Option<Meters>,
    /// Batches and collections that did not arrive.
    failures: u64,
}

/// The way of the spans.
#[derive(Debug, Default)]
struct Traces {
    exporter: Option<Arc<SpanExporter>>,
    cause: Cause,
    backlog: VecDeque<Record>,
    /// Spans ever put into the backlog, and ever done with, well or not. Both only grow.
    entered: u64,
    left: u64,
    /// Up to here somebody waits.
    wanted: u64,
    due: Option<Instant>,
    flight: Option<Flight>,
}

/// The way of the metrics.
#[derive(Debug)]
struct Meters {
    instruments: Metrics,
    reader: Reader,
    /// Keeps the instruments alive.
    _provider: SdkMeterProvider,
    exporter: Option<Arc<MetricExporter>>,
    cause: Cause,
    started: u64,
    finished: u64,
    wanted: u64,
    due: Instant,
    flight: Option<Flight>,
}

/// One request on its way.
#[derive(Debug)]
struct Flight {
    spans: u64,
    result: oneshot::Receiver<Result<(), String>>,
}

/// What a flush waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlushMark {
    spans: u64,
    metrics: u64,
    losses: u64,
}

/// The SDK wants to own its reader, and so do we.
#[derive(Clone, Debug)]
struct Reader(Arc<ManualReader>);

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }
    fn collect(&self, into: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(into)
    }
    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }
    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }
    fn temporality(&self, kind: InstrumentKind) -> opentelemetry_sdk::metrics::Temporality {
        self.0.temporality(kind)
    }
}

impl Exporter {
    /// The other end of `recorder`, or `None` if nothing is exported. One per process: it carries the process's
    /// `service.instance.id`.
    pub(crate) fn new(recorder: &Recorder, budgets: Weak<dyn BudgetSource>) -> Option<Self> {
        if !recorder.enabled() {
            return None;
        }
        let shared = Arc::clone(recorder.shared());
        let settings = &shared.settings;
        let (resource, scope) = (resource(settings), instrumentation_scope());
        let meters = settings.metrics.is_some().then(|| Meters::new(&shared, &resource, &scope, budgets));
        Some(Self {
            taken: VecDeque::new(),
            labels: Labels::new(settings),
            resource,
            scope,
            traces: Traces::default(),
            meters,
            failures: 0,
            shared,
        })
    }

    /// What wakes the thread that calls [`Exporter::step`].
    pub(crate) fn wake(&self) -> Arc<Notify> {
        self.shared.wake()
    }

    /// Takes what is queued, looks after what is on its way, sends what is due. Must be called inside the runtime.
    pub(crate) fn step(&mut self, now: Instant) {
        self.drain(now);
        self.land();
        self.send_spans(now);
        self.send_metrics(now);
    }

    /// When [`Exporter::step`] has something to do even if nothing wakes it.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let traces = self.traces.due.filter(|_| self.traces.flight.is_none());
        let metrics = self.meters.as_ref().filter(|meters| meters.flight.is_none()).map(|meters| meters.due);
        [traces, metrics].into_iter().flatten().min()
    }

    /// Wants everything that has been recorded until now to be sent soon.
    pub(crate) fn mark(&mut self, now: Instant) -> FlushMark {
        let losses = self.losses();
        self.drain(now);
        self.traces.wanted = self.traces.entered;
        let metrics = self.meters.as_mut().map_or(0, |meters| {
            meters.wanted = meters.started.saturating_add(1);
            meters.wanted
        });
        FlushMark { spans: self.traces.entered, metrics, losses }
    }

    /// `None`: not yet. `Some(true)`: all has arrived. `Some(false)`: something was lost meanwhile.
    pub(crate) fn reached(&self, mark: FlushMark) -> Option<bool> {
        let metrics = self.meters.as_ref().map_or(0, |meters| meters.finished);
        let done = self.traces.left >= mark.spans && metrics >= mark.metrics;
        done.then(|| self.losses() == mark.losses)
    }

    /// After a panic in the middle of a step: what was half done is given up, so that nobody waits for it.
    pub(crate) fn recover(&mut self) {
        self.failures = self.failures.saturating_add(1);
        if self.traces.flight.is_none() {
            let waiting = u64::try_from(self.traces.backlog.len()).unwrap_or(0);
            let lost = self.traces.entered.saturating_sub(self.traces.left).saturating_sub(waiting);
            self.traces.left = self.traces.left.saturating_add(lost);
            self.shared.failed(lost, "spans: the exporter panicked".to_owned());
        }
        if let Some(meters) = self.meters.as_mut().filter(|meters| meters.flight.is_none()) {
            meters.finished = meters.started;
        }
    }

    /// Counts what is still here as lost: the thread ends.
    pub(crate) fn abandon(&mut self) {
        self.drain(Instant::now());
        let lost = self.traces.entered.saturating_sub(self.traces.left);
        self.shared.drop_spans(lost);
        self.traces.left = self.traces.entered;
        self.traces.backlog.clear();
    }

    fn losses(&self) -> u64 {
        self.failures
            .saturating_add(self.shared.dropped_spans())
            .saturating_add(self.shared.dropped_records())
    }

    /// What is queued now and nothing later, so that callers who never stop cannot keep the thread here.
    fn drain(&mut self, now: Instant) {
        let settings = &self.shared.settings;
        self.shared.take(&mut self.taken);
        while let Some(record) = self.taken.pop_front() {
            if let Some(meters) = &self.meters {
                meters.instruments.record(&record, &self.labels);
            }
            let sampled = spans::ids(&record).is_some_and(|ids| ids.sampled && ids.is_some());
            if !sampled || settings.traces.is_none() {
                continue;
            }
            if self.traces.backlog.len() >= settings.queue_max {
                self.shared.drop_spans(1);
                continue;
            }
            self.traces.backlog.push_back(record);
            self.traces.entered = self.traces.entered.saturating_add(1);
            self.traces.due.get_or_insert(now + settings.batch_delay);
        }
    }

    /// Takes in the results of what was on its way.
    fn land(&mut self) {
        if let Some((spans, result)) = landed(&mut self.traces.flight) {
            self.traces.left = self.traces.left.saturating_add(spans);
            match result {
                Ok(()) => self.shared.exported(spans),
                Err(why) => {
                    self.failures = self.failures.saturating_add(1);
                    self.shared.failed(spans, reason("spans", why, &self.traces.cause));
                }
            }
        }
        let Some(meters) = &mut self.meters else { return };
        if let Some((_, result)) = landed(&mut meters.flight) {
            meters.finished = meters.finished.saturating_add(1);
            match result {
                Ok(()) => self.shared.exported(0),
                Err(why) => {
                    self.failures = self.failures.saturating_add(1);
                    self.shared.failed(0, reason("metrics", why, &meters.cause));
                }
            }
        }
    }

    fn send_spans(&mut self, now: Instant) {
        let Some(endpoint) = &self.shared.settings.traces else { return };
        let traces = &mut self.traces;
        let full = traces.backlog.len() >= self.shared.settings.batch_max;
        let due = traces.due.is_some_and(|due| due <= now) || traces.wanted > traces.left;
        if traces.flight.is_some() || traces.backlog.is_empty() || !(full || due) {
            return;
        }
        let count = traces.backlog.len().min(self.shared.settings.batch_max);
        let records = traces.backlog.drain(..count);
        let batch: Vec<SpanData> =
            records.filter_map(|record| spans::span(&record, &self.labels, &self.scope)).collect();
        traces.due = (!traces.backlog.is_empty()).then(|| now + self.shared.settings.batch_delay);
        let (spans, timeout) = (u64::try_from(count).unwrap_or(0), patience(endpoint.timeout));
        let exporter = match &traces.exporter {
            Some(exporter) => Ok(Arc::clone(exporter)),
            None => transport::spans(endpoint, &self.resource, &traces.cause).map(Arc::new),
        };
        traces.flight = Some(match exporter {
            Ok(exporter) => {
                traces.exporter = Some(Arc::clone(&exporter));
                let work = async move { exporter.export(batch).await };
                Flight::start(spans, timeout, self.shared.wake(), work)
            }
            Err(why) => Flight::grounded(spans, why.to_string(), &self.shared.wake()),
        });
    }

    fn send_metrics(&mut self, now: Instant) {
        let (Some(endpoint), Some(meters)) = (&self.shared.settings.metrics, &mut self.meters) else {
            return;
        };
        if meters.flight.is_some() || !(meters.due <= now || meters.wanted > meters.started) {
            return;
        }
        meters.due = now + self.shared.settings.metric_interval;
        meters.started = meters.started.saturating_add(1);
        meters.instruments.read_budgets(&self.labels);
        let mut collected = ResourceMetrics::default();
        let timeout = patience(endpoint.timeout);
        let exporter = match &meters.exporter {
            Some(exporter) => Ok(Arc::clone(exporter)),
            None => {
                let temporality = temporality(&self.shared.settings);
                transport::metrics(endpoint, temporality, &meters.cause).map(Arc::new)
            }
        };
        let ready = exporter.and_then(|exporter| {
            meters.reader.collect(&mut collected)?;
            Ok(exporter)
        });
        meters.flight = Some(match ready {
            Ok(exporter) => {
                meters.exporter = Some(Arc::clone(&exporter));
                let work = async move { exporter.export(&collected).await };
                Flight::start(0, timeout, self.shared.wake(), work)
            }
            Err(why) => Flight::grounded(0, why.to_string(), &self.shared.wake()),
        });
    }
}

impl Meters {
    fn new(
        shared: &Arc<Shared>,
        resource: &Resource,
        scope: &InstrumentationScope,
        budgets: Weak<dyn BudgetSource>,
    ) -> Self {
        let settings = &shared.settings;
        let reader = ManualReader::builder().with_temporality(temporality(settings)).build();
        let reader = Reader(Arc::new(reader));
        let provider =
            SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader.clone()).build();
        let meter = provider.meter_with_scope(scope.clone());
        Self {
            instruments: Metrics::new(&meter, budgets, shared),
            reader,
            _provider: provider,
            exporter: None,
            cause: Cause::default(),
            started: 0,
            finished: 0,
            wanted: 0,
            due: Instant::now() + settings.metric_interval,
            flight: None,
        }
    }
}

impl Flight {
    /// Sends, and wakes the thread when there is a result. A panic in the exporter is a result, too.
    fn start(
        spans: u64,
        timeout: Duration,
        wake: Arc<Notify>,
        work: impl Future<Output = OTelSdkResult> + Send + 'static,
    ) -> Self {
        let (send, result) = oneshot::channel();
        let work = tokio::spawn(async move {
            match tokio::time::timeout(timeout, work).await {
                Ok(done) => done.map_err(|why| why.to_string()),
                Err(_) => Err(format!("no end after {} ms", timeout.as_millis())),
            }
        });
        tokio::spawn(async move {
            let result = work.await.unwrap_or_else(|_| Err("the exporter panicked".to_owned()));
            let _ = send.send(result);
            wake.notify_one();
        });
        Self { spans, result }
    }

    /// Could not be sent at all.
    fn grounded(spans: u64, why: String, wake: &Notify) -> Self {
        let (send, result) = oneshot::channel();
        let _ = send.send(Err(why));
        wake.notify_one();
        Self { spans, result }
    }
}

/// The result of a request that has one; the request is then gone.
fn landed(flight: &mut Option<Flight>) -> Option<(u64, Result<(), String>)> {
    let result = match flight.as_mut()?.result.try_recv() {
        Ok(result) => result,
        Err(oneshot::error::TryRecvError::Empty) => return None,
        Err(oneshot::error::TryRecvError::Closed) => Err("the exporter was lost".to_owned()),
    };
    flight.take().map(|flight| (flight.spans, result))
}

/// The transport knows more than "network error".
fn reason(what: &str, why: String, cause: &Cause) -> String {
    let cause = cause.lock().take().map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!("{what}: {why}{cause}")
}

/// The exporter keeps its own time, retries included; this is for one that does not.
fn patience(timeout: Duration) -> Duration {
    timeout.saturating_add(Duration::from_secs(2))
}

fn temporality(settings: &Settings) -> opentelemetry_sdk::metrics::Temporality {
    match settings.temporality {
        Temporality::Cumulative => opentelemetry_sdk::metrics::Temporality::Cumulative,
        Temporality::Delta => opentelemetry_sdk::metrics::Temporality::Delta,
        Temporality::LowMemory => opentelemetry_sdk::metrics::Temporality::LowMemory,
    }
}
