//! The guard: what an application holds in its hands.

mod accounts;
mod admit;
mod bill;
mod builder;
mod carry;
mod endpoint;
mod events;
mod explain;
mod explanation;
mod hold;
mod journal;
mod noted;
mod outlines;
mod parcel;
#[cfg(test)]
mod priced_tests;
mod receipt;
mod record;
mod reload;
mod report;
mod run;
mod settle;
mod simulate;
mod state;
mod stops;
mod subject;
mod token;

pub use accounts::{BalanceQuery, Limit, PAGE_MAX, Page};
pub use admit::{Outcome, Ticket};
pub use builder::{CONFIG_VARIABLE, GuardBuilder, MODE_VARIABLE};
pub use carry::{RUN_HEADER, TRACE_HEADER, run_header};
pub use endpoint::Passage;
pub use events::{Event, EventKind, Subscription};
pub use explain::PriceQuery;
pub use explanation::{ExplainedLine, ExplainedMultiplier, Explanation, Selection};
pub use hold::Hold;
pub use journal::{Entry, Statement, StatementQuery};
pub use receipt::{Facts, Receipt, Reported};
pub use reload::ReloadReport;
pub use run::{Run, RunOptions};
pub use settle::{CANCEL_MARGIN_TOKENS, Settlement};
pub use simulate::{DenialCount, ENTRIES_MAX, Simulation, simulate};

use crate::catalog::{Cost, PriceReport};
use crate::codes::Code;
use crate::engine::{Balance, Call, Decision, Denial};
use crate::error::{Error, Result};
use crate::policy::StopRule;
use crate::runtime::fork;
use crate::telemetry::FlushReport;
use crate::values::{Amount, Label, NanoUsd, Scope, Timestamp};
use state::State;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Why there is no hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReserveError {
    /// The answer is no.
    Denied(Box<Denial>),
    /// There is no answer.
    Failed(Error),
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => denial.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReserveError {}

/// Guards the spending of one application. Cloning it is cheap; all clones are the same guard.
///
/// ```
/// use spendrail::guard::{Guard, ReserveError};
/// use spendrail::engine::Call;
/// use spendrail::values::{Bucket, Usage};
///
/// let guard = Guard::builder()
///     .config_text("example", "[[budgets]]\nname = \"tenant-day\"\nper = [\"tenant\"]\nlimit = \"0.01 USD\"\nwindow = \"day\"")
///     .build()?;
/// let call = Call::new("anthropic", "claude-sonnet-4-6").tenant("acme").input_tokens(1_200).max_output_tokens(500);
///
/// let hold = match guard.reserve(&call) {
///     Ok(hold) => hold,
///     Err(ReserveError::Denied(denial)) => { println!("{denial}"); return Ok(()) }
///     Err(ReserveError::Failed(error)) => return Err(error),
/// };
/// // … the call is made …
/// let receipt = hold.settle(&Usage::new().with(Bucket::Input, 1_180).with(Bucket::Output, 120))?;
/// println!("{} USD", receipt.total());
/// # Ok::<(), spendrail::Error>(())
/// ```
#[derive(Clone)]
pub struct Guard {
    first: Arc<Generation>,
}

/// A guard's state in one process, and the one that a forked child makes for itself.
struct Generation {
    state: Arc<State>,
    child: OnceLock<Box<Generation>>,
}

impl Drop for Generation {
    fn drop(&mut self) {
        // What a child inherited may hold locks that nobody will ever open: it is leaked.
        if self.state.fork_generation != fork::generation() {
            std::mem::forget(Arc::clone(&self.state));
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl Guard {
    /// Makes a guard.
    pub fn builder() -> GuardBuilder {
        GuardBuilder::default()
    }

    fn from_state(state: Arc<State>) -> Self {
        Self { first: Arc::new(Generation { state, child: OnceLock::new() }) }
    }

    /// This process's state; a forked child builds its own. Nothing is counted and nothing is locked here.
    fn state(&self) -> Result<&Arc<State>> {
        let mut at = &*self.first;
        while at.state.fork_generation != fork::generation() {
            at = match at.child.get() {
                Some(child) => child,
                None => {
                    let state = at.state.after_fork()?;
                    at.child.get_or_init(|| Box::new(Generation { state, child: OnceLock::new() }))
                }
            };
        }
        Ok(&at.state)
    }

    /// Reserves the worst case of a call on every account that applies, or on none.
    ///
    /// # Errors
    /// Faults only (`label_invalid`, `id_reused`, `too_many_legs`, `closed`, …); a denial is an [`Outcome`].
    pub fn try_reserve(&self, call: &Call) -> Result<Outcome> {
        admit::try_reserve(self.state()?, call, None)
    }

    /// Reserves a call and waits where a shared ledger must be asked.
    ///
    /// # Errors
    /// [`ReserveError::Denied`] or [`ReserveError::Failed`].
    pub fn reserve(&self, call: &Call) -> Result<Hold, ReserveError> {
        reserve_error(self.try_reserve(call))
    }

    /// The same, free of any executor. With the memory ledger it is ready at once.
    ///
    /// # Errors
    /// As [`Guard::reserve`].
    #[expect(clippy::unused_async, reason = "a shared ledger is awaited here")]
    pub async fn reserve_async(&self, call: &Call) -> Result<Hold, ReserveError> {
        self.reserve(call)
    }

    /// Would the call be admitted now? Nothing is held.
    ///
    /// # Errors
    /// As [`Guard::try_reserve`].
    pub fn check(&self, call: &Call) -> Result<Decision> {
        admit::check(self.state()?, call, None)
    }

    /// Settles a detached hold by its token.
    ///
    /// # Errors
    /// `token_invalid`, `id_reused`, `usage_invalid`.
    pub fn settle<'a>(&self, token: &str, settlement: impl Into<Settlement<'a>>) -> Result<Receipt> {
        token::settle(self.state()?, token, settlement.into())
    }

    /// Releases a detached hold by its token, because nothing was billed.
    ///
    /// # Errors
    /// `token_invalid`, `hold_closed`.
    pub fn release(&self, token: &str) -> Result<()> {
        token::release(self.state()?, token)
    }

    /// Records spend that already happened, at `at` (now if `None`). Never denied; the call must have an id.
    ///
    /// # Errors
    /// `argument_invalid`, `id_reused`, `usage_invalid`.
    pub fn record<'a>(
        &self,
        call: &Call,
        settlement: impl Into<Settlement<'a>>,
        at: Option<Timestamp>,
    ) -> Result<Receipt> {
        record::record(self.state()?, call, settlement.into(), at)
    }

    /// The exact cost of a usage, line by line, under the prices in force.
    ///
    /// # Errors
    /// `unknown_model`, `ambiguous_model`, `usage_invalid`.
    pub fn cost(&self, query: &PriceQuery) -> Result<Cost> {
        explain::cost(self.state()?, query)
    }

    /// The same, and why: which entry, which file and line, which period, variant and multiplier. The price files are
    /// read again for it.
    ///
    /// # Errors
    /// As [`Guard::cost`].
    ///
    /// ```
    /// use spendrail::guard::{Guard, PriceQuery};
    /// use spendrail::values::{Bucket, Usage};
    /// let guard = Guard::builder().config_text("example", "mode = \"enforce\"").build()?;
    /// let used = Usage::new().with(Bucket::Input, 1_200).with(Bucket::Output, 100);
    /// let mut query = PriceQuery::new("anthropic", "claude-sonnet-4-6", used);
    /// query.context.at = guard.now()?;
    /// println!("{}", guard.explain(&query)?);
    /// # Ok::<(), spendrail::Error>(())
    /// ```
    pub fn explain(&self, query: &PriceQuery) -> Result<Explanation> {
        explain::explain(self.state()?, query)
    }

    /// The balances of accounts in their current windows.
    ///
    /// # Errors
    /// `budget_unknown`.
    pub fn balances(&self, query: &BalanceQuery) -> Result<Page> {
        accounts::balances(self.state()?, query)
    }

    /// Adds to an account, in this window only; `true` = this id was known and nothing changed.
    ///
    /// # Errors
    /// `budget_unknown`, `amount_invalid`, `amount_too_large`, `id_reused`.
    pub fn top_up(
        &self,
        budget: &str,
        amount: Amount,
        id: Option<&str>,
        scope: &Scope,
    ) -> Result<(Balance, bool)> {
        accounts::top_up(self.state()?, budget, amount, id, scope)
    }

    /// Sets the limit of one account until it is cleared (`None`); wins over the file.
    ///
    /// # Errors
    /// As [`Guard::set_limits`].
    pub fn set_limit(&self, budget: &str, amount: Option<Amount>, scope: &Scope) -> Result<()> {
        let limit = Limit { amount, timezone: None, scope: scope.clone() };
        accounts::set_limits(self.state()?, budget, &[limit], false).map(drop)
    }

    /// Sets the limits of many accounts, all or none. `replace`: clears what was set before for this budget.
    ///
    /// # Errors
    /// `budget_unknown`, `amount_invalid`, `config_invalid` (time zone).
    pub fn set_limits(&self, budget: &str, limits: &[Limit], replace: bool) -> Result<usize> {
        accounts::set_limits(self.state()?, budget, limits, replace)
    }

    /// Stops everything with these labels until [`Guard::resume`].
    ///
    /// # Errors
    /// `argument_invalid`.
    pub fn stop(&self, reason: &str, scope: &Scope) -> Result<Label> {
        stops::stop(self.state()?, reason, scope)
    }

    /// Lifts a stop.
    ///
    /// # Errors
    /// `stop_unknown`.
    pub fn resume(&self, stop_id: &str) -> Result<()> {
        stops::resume(self.state()?, stop_id)
    }

    /// The stops in force, those of the file first.
    ///
    /// # Errors
    /// `closed`, `ledger_not_shared`.
    pub fn stops(&self) -> Result<Vec<StopRule>> {
        Ok(self.state()?.rules.load().stops.to_vec())
    }

    /// What was spent, call by call, in the order in which it was settled. An estimate that was replaced by an exact
    /// settle is listed once, as replaced. As many entries are kept as `[ledger] journal` says.
    ///
    /// # Errors
    /// `config_invalid` if none are kept; `closed`, `ledger_not_shared`.
    ///
    /// ```
    /// use spendrail::guard::{Guard, StatementQuery};
    /// use spendrail::{Call, Usage};
    /// use spendrail::values::Bucket;
    /// let guard = Guard::builder().config_text("t", "[ledger]\njournal = 10_000").build()?;
    /// let call = Call::new("openai", "gpt-4o").tenant("acme").input_tokens(1_200).max_output_tokens(500);
    /// guard.reserve(&call).expect("there is no budget").settle(&Usage::new().with(Bucket::Input, 1_000))?;
    /// let statement = guard.statement(&StatementQuery::default())?;
    /// assert_eq!(statement.entries[0].cost.to_string(), "0.0025");
    /// # Ok::<(), spendrail::Error>(())
    /// ```
    pub fn statement(&self, query: &StatementQuery) -> Result<Statement> {
        journal::statement(self.state()?.journal.as_ref(), query)
    }

    /// Starts an agent run.
    ///
    /// # Errors
    /// [`ReserveError::Denied`] or [`ReserveError::Failed`].
    pub fn start_run(&self, options: RunOptions) -> Result<Run, ReserveError> {
        Run::start(self, options, None)
    }

    /// Goes on with a run that another process has started: calls in it count on the same accounts, as far as the
    /// ledger reaches, and their spans are made under the run's. The limits travel with the run; this guard's own
    /// `[[run_limits]]` can only tighten them. Its end is not the run's end.
    ///
    /// The token is checked for damage, not for forgery: take it from a service that you trust.
    ///
    /// # Errors
    /// `token_invalid`, `closed`, `ledger_not_shared`.
    ///
    /// ```
    /// use spendrail::guard::{Guard, RunOptions, run_header};
    /// let guard = Guard::builder().config_text("t", "mode = \"enforce\"").build()?;
    /// let run = guard.start_run(RunOptions::default()).map_err(|_| "no run").unwrap();
    /// let headers = run.headers()?;                                // sent along with a request …
    /// let sent = headers.iter().map(|(name, value)| (*name, value.as_str()));
    /// let here = guard.resume_run(run_header(sent)?)?;             // … and read by the service that it goes to
    /// assert_eq!(here.id(), run.id());
    /// # Ok::<(), spendrail::Error>(())
    /// ```
    pub fn resume_run(&self, token: &str) -> Result<Run> {
        carry::resume(self, token)
    }

    /// Reads configuration and prices again, now.
    ///
    /// # Errors
    /// As [`GuardBuilder::build`]; the last good rules stay in force.
    pub fn reload(&self) -> Result<ReloadReport> {
        self.state()?.reload()
    }

    /// Listens to events of these kinds, on a thread of the listener's own.
    ///
    /// # Errors
    /// `ledger_not_shared`.
    pub fn subscribe(&self, kinds: &[EventKind]) -> Result<Subscription> {
        let state = self.state()?;
        state.start();
        Ok(state.events.subscribe(kinds))
    }

    /// Calls `listener` for every event of these kinds, on one thread of its own.
    ///
    /// # Errors
    /// `io` if there is no thread to be had.
    pub fn on(&self, kinds: &[EventKind], mut listener: impl FnMut(Event) + Send + 'static) -> Result<()> {
        let subscription = self.subscribe(kinds)?;
        let body = move || {
            while let Ok(event) = subscription.next(Duration::from_secs(3600)) {
                event.into_iter().for_each(&mut listener);
            }
        };
        let thread = std::thread::Builder::new().name("spendrail-events".into()).spawn(body);
        thread.map(drop).map_err(|e| Error::new(Code::Io, e.to_string()))
    }

    /// Expires what is due; the background thread does this by itself. Returns how many holds expired.
    ///
    /// # Errors
    /// `ledger_not_shared`.
    pub fn expire_due(&self) -> Result<usize> {
        let state = self.state()?;
        let expired = state.ledger.expire_due(state.now());
        state.pass_on_events();
        Ok(expired)
    }

    /// Where the guard's clock stands.
    ///
    /// # Errors
    /// `ledger_not_shared`.
    pub fn now(&self) -> Result<Timestamp> {
        Ok(self.state()?.now())
    }

    /// The version of the prices in force.
    ///
    /// # Errors
    /// `ledger_not_shared`.
    pub fn price_version(&self) -> Result<Label> {
        Ok(Arc::clone(self.state()?.rules.load().pricing.version()))
    }

    /// What the price files in force brought: what was skipped, rounded and held back of those of other tools.
    ///
    /// # Errors
    /// `ledger_not_shared`.
    pub fn price_report(&self) -> Result<PriceReport> {
        Ok(self.state()?.rules.load().catalog.report().clone())
    }

    /// What a person should know about the configuration in force, although it is no error.
    ///
    /// # Errors
    /// `ledger_not_shared`.
    pub fn warnings(&self) -> Result<Vec<String>> {
        let state = self.state()?;
        let rules = state.rules.load();
        let warnings = rules.policy.warnings.iter().chain(state.recorder.warnings()).cloned();
        let of_prices = rules.pricing.warnings().iter().cloned().chain(state.noted.sentences());
        let held_back = rules.catalog.report().warnings();
        Ok(warnings.chain(of_prices).chain(state.setup.warning()).chain(held_back).collect())
    }

    /// Exports what was recorded so far; returns at `timeout` at the latest.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> FlushReport {
        let Ok(state) = self.state() else { return FlushReport::default() };
        let report = state.with_worker(|worker| worker.flush(timeout));
        report.unwrap_or_else(|| state.recorder.report(state.recorder.dropped() == 0))
    }

    /// The same, then ends the background thread. Later calls fail with `closed`; open holds can still be settled.
    pub fn close(&self, timeout: Duration) -> FlushReport {
        let Ok(state) = self.state() else { return FlushReport::default() };
        state.closed.store(true, Ordering::Relaxed);
        let report = state.with_worker(|worker| worker.close(timeout));
        report.unwrap_or_else(|| state.recorder.report(state.recorder.dropped() == 0))
    }

    /// Whether a path may pass although Spendrail does not know what it costs (`[endpoints] allow`).
    ///
    /// # Errors
    /// `ledger_not_shared`.
    pub fn allows_endpoint(&self, path: &str) -> Result<bool> {
        let state = self.state()?;
        let rules = state.rules.load();
        Ok(rules.policy.endpoints.iter().any(|rule| crate::policy::glob(&rule.path, path)))
    }

    /// Events that listeners were too slow for.
    ///
    /// # Errors
    /// `ledger_not_shared`.
    pub fn dropped_events(&self) -> Result<u64> {
        Ok(self.state()?.events.dropped())
    }

    /// Whether calls leave spans and metrics: only then a parent span is of use.
    ///
    /// # Errors
    /// `ledger_not_shared`.
    pub fn is_traced(&self) -> Result<bool> {
        Ok(self.state()?.recorder.enabled())
    }

    /// What a token reserved.
    ///
    /// # Errors
    /// `token_invalid`.
    pub fn reserved_by(&self, token: &str) -> Result<NanoUsd> {
        token::reserved(token)
    }
}

fn reserve_error(outcome: Result<Outcome>) -> Result<Hold, ReserveError> {
    match outcome.map_err(ReserveError::Failed)? {
        Outcome::Held(hold) => Ok(hold),
        Outcome::Denied(denial) => Err(ReserveError::Denied(denial)),
        Outcome::Pending(ticket) => reserve_error(Ok(ticket.wait())),
    }
}
