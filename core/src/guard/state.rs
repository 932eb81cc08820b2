//! What a guard is made of, and its chores on the background thread.

use super::builder::GuardBuilder;
use super::events::{Event, Events};
use super::journal::Journal;
use super::noted::Noted;
use super::outlines::Outlines;
use super::reload::ReloadReport;
use crate::apart::Apart;
use crate::clock::Clock;
use crate::codes::Code;
use crate::engine::{self, BooksLimits};
use crate::error::{Error, Result};
use crate::ledger::{Ledger, MemoryLedger};
use crate::policy::Mode;
use crate::rules::source::Loaded;
use crate::rules::watch::Watch;
use crate::rules::{BudgetNames, Rules};
use crate::runtime::{Jobs, Worker, fork};
use crate::telemetry::{BudgetPoint, BudgetSource, Exporter, Recorder};
use crate::values::Timestamp;
use crate::values::ids::IdMaker;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How often what is older than the retention is forgotten.
const SWEEP: Duration = Duration::from_secs(30);

/// How far the clock runs before its latest instant is written down.
const CLOCK_STEP: i64 = 1_000_000;

/// A guard's parts. One per guard and fork generation. What every call writes (the count of references, the ids, the
/// clock) has cache lines of its own: threads that only read the rest do not wait for each other.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct State {
    pub(super) setup: GuardBuilder,
    pub(super) fork_generation: u64,
    pub(super) rules: ArcSwap<Rules>,
    pub(super) outlines: Outlines,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) ids: Apart<IdMaker>,
    pub(super) recorder: Recorder,
    pub(super) events: Events,
    /// What was settled, if the policy says that it is kept.
    pub(super) journal: Option<Journal>,
    pub(super) noted: Noted,
    /// `SPENDRAIL_MODE`, which wins over the file.
    pub(super) mode: Option<Mode>,
    pub(super) closed: AtomicBool,
    /// The latest instant that was read, give or take [`CLOCK_STEP`].
    latest: Apart<AtomicI64>,
    /// Held while rules are changed; never by a call.
    pub(super) changing: Mutex<Changing>,
    started: AtomicBool,
    worker: Mutex<Option<Arc<Worker>>>,
}

/// What only a change of rules needs.
#[derive(Debug)]
pub(super) struct Changing {
    pub(super) names: BudgetNames,
    /// Of what was loaded last, good or bad: the same bytes are not loaded twice.
    pub(super) digest: u64,
    pub(super) files: Vec<PathBuf>,
}

impl State {
    pub(super) fn new(setup: GuardBuilder) -> Result<Arc<Self>> {
        let mode = setup.mode_from_environment()?;
        let Loaded { policy, catalog, digest, files } = setup.sources.load()?;
        let environment = &setup.sources.environment;
        let recorder = crate::telemetry::recorder(&policy.telemetry, &|name| environment(name))?;
        let limits =
            BooksLimits { max_accounts: policy.ledger.max_accounts, retention: policy.ledger.retention };
        let journal = Journal::new(policy.ledger.journal);
        let mut names = BudgetNames::default();
        let rules = Rules::next(None, catalog, policy, &mut names);
        Ok(Arc::new(Self {
            setup,
            fork_generation: fork::generation(),
            outlines: Outlines::new(rules.generation),
            rules: ArcSwap::from_pointee(rules),
            ledger: Arc::new(MemoryLedger::new(limits)),
            ids: Apart(IdMaker::new()),
            recorder,
            events: Events::default(),
            journal,
            noted: Noted::default(),
            mode,
            closed: AtomicBool::new(false),
            latest: Apart(AtomicI64::new(i64::MIN)),
            changing: Mutex::new(Changing { names, digest, files }),
            started: AtomicBool::new(false),
            worker: Mutex::new(None),
        }))
    }

    /// A forked child's own.
    pub(super) fn after_fork(&self) -> Result<Arc<Self>> {
        if self.rules.load().policy.ledger.require_shared {
            return Err(Error::new(Code::LedgerNotShared, "the memory ledger does not reach over a fork")
                .hint("use a shared ledger, or build the guard after the fork"));
        }
        Self::new(self.setup.clone())
    }

    /// The clock, read once per operation. It does not run backwards when the host's clock is put back: a window that
    /// was closed stays closed. Less than [`CLOCK_STEP`] is no more than threads that overtake each other, and not
    /// worth a write that all of them wait for; the ledger has a last look at the order.
    pub(super) fn now(&self) -> Timestamp {
        let (now, latest) = (self.setup.clock.now().nanos(), self.latest.load(Ordering::Relaxed));
        if now.saturating_sub(latest) >= CLOCK_STEP {
            self.latest.fetch_max(now, Ordering::Relaxed);
        }
        Timestamp::from_nanos(now.max(latest))
    }

    /// Puts another snapshot in force. Whoever calls holds `changing`.
    pub(super) fn swap_rules(&self, next: Arc<Rules>) {
        let generation = next.generation;
        self.rules.store(next);
        self.outlines.renew(generation);
    }

    pub(super) fn mode(&self, rules: &Rules) -> Mode {
        self.mode.unwrap_or(rules.policy.mode)
    }

    /// Starts the background thread at the first use, if there is anything for it to do.
    pub(super) fn start(self: &Arc<Self>) {
        if !self.started.load(Ordering::Relaxed) && !self.started.swap(true, Ordering::Relaxed) {
            self.start_worker();
        }
    }

    fn start_worker(self: &Arc<Self>) {
        let files = self.changing.lock().files.clone();
        // A clock that a test moves is swept by the test.
        let manual = matches!(self.setup.clock, Clock::Manual(_));
        if files.is_empty() && !self.recorder.enabled() && manual {
            return;
        }
        let weak: Weak<Self> = Arc::downgrade(self);
        let budgets: Weak<dyn BudgetSource> = weak;
        let exporter = Exporter::new(&self.recorder, budgets);
        let now = Instant::now();
        let watch = (!files.is_empty()).then(|| Watch::start(&files, now));
        let chores = Chores { state: Arc::downgrade(self), watch, swept: now, first: true, manual };
        // Without a thread calls are guarded all the same; telemetry is counted as dropped.
        *self.worker.lock() =
            Worker::spawn(Box::new(chores), self.recorder.clone(), exporter).ok().map(Arc::new);
    }

    pub(super) fn with_worker<T>(&self, ask: impl FnOnce(&Worker) -> T) -> Option<T> {
        // Not under the lock: one caller's long flush must not make another's short one late.
        let worker = self.worker.lock().clone();
        worker.as_deref().map(ask)
    }

    /// Tells listeners what the ledger noticed.
    pub(super) fn pass_on_events(&self) {
        for event in self.ledger.take_events().0 {
            match event {
                engine::Event::Threshold { balance, basis_points } => {
                    self.events.send(&Event::Threshold(balance, basis_points));
                }
            }
        }
    }

    /// Reads everything again if a byte has changed.
    pub(super) fn reload(&self) -> Result<ReloadReport> {
        super::reload::reload(self)
    }
}

impl BudgetSource for State {
    fn budget_points(&self, max: usize) -> Vec<BudgetPoint> {
        let now = self.now();
        let mut points = Vec::new();
        self.ledger.visit(now, &mut |balance| {
            let current = balance.resets_at.is_none_or(|end| now < end);
            if current && !balance.budget.starts_with("run.") {
                points.push(BudgetPoint {
                    budget: balance.budget,
                    unit: balance.unit,
                    per: balance.scope,
                    limit: balance.limit.saturating_add(balance.topped_up),
                    spent: balance.spent,
                    held: balance.held,
                    unconfirmed: balance.unconfirmed,
                    available: balance.available,
                });
            }
            points.len() < max
        });
        points
    }
}

/// What the background thread does for a guard between exports.
struct Chores {
    state: Weak<State>,
    watch: Option<Watch>,
    swept: Instant,
    first: bool,
    manual: bool,
}

impl Jobs for Chores {
    fn tick(&mut self, now: Instant) {
        let Some(state) = self.state.upgrade() else { return };
        if !self.manual {
            state.ledger.expire_due(state.now());
            state.pass_on_events();
        }
        if let Some(watch) = &mut self.watch {
            // What changed between the build and the first call was seen by nobody.
            if watch.due(now) || std::mem::take(&mut self.first) {
                let _ = state.reload();
                watch.follow(&state.changing.lock().files);
            }
        }
        if !self.manual && now.duration_since(self.swept) >= SWEEP {
            self.swept = now;
            state.ledger.sweep(state.now());
        }
    }
}
