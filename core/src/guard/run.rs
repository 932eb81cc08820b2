//! An agent run: a scope with limits of its own, shared by all its child runs, and an `invoke_agent` span.

use super::admit::{self, Outcome};
use super::hold::Hold;
use super::state::State;
use super::{Guard, ReserveError, reserve_error};
use crate::codes::Code;
use crate::engine::{AccountKeys, Balance, Call, Decision, Denial, ParentSpan, Plan, Refusal, RunFrame};
use crate::error::{Error, Result};
use crate::loops::Repeats;
use crate::policy::{Enforce, Facts, LEGS_PER_CALL_MAX, Mode, RunLimits, RunRule};
use crate::rules::Rules;
use crate::runtime::fork;
use crate::telemetry::{self, AgentRecord, Record, SpanIds};
use crate::values::{Dimension, Label, NanoUsd, Scope, Timestamp};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// What a run is started with.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The run's id; generated if absent.
    pub id: Option<Label>,
    /// Labels; `agent` is the agent's name. `run` is ignored.
    pub scope: Arc<Scope>,
    /// The caller's limits; the policy's `[[run_limits]]` can only be tightened by them.
    pub limits: RunLimits,
    /// The span that the run's span is made under.
    pub parent: Option<ParentSpan>,
}

/// A run. Cloning it is cheap; all clones are the same run. It ends with [`Run::end`], or when the last clone is
/// dropped.
///
/// A forked child goes on with the runs that it inherits as with those of [`Guard::resume_run`]: the same limits and
/// labels, on the accounts of the child's own ledger, and their end is the parent's to tell.
#[derive(Clone, Debug)]
pub struct Run {
    pub(super) state: Arc<RunState>,
}

/// A run's parts.
#[derive(Debug)]
pub(crate) struct RunState {
    guard: Guard,
    pub(super) state: Arc<State>,
    /// What a forked child goes on with.
    child: OnceLock<Arc<RunState>>,
    pub(super) id: Label,
    pub(super) scope: Arc<Scope>,
    /// This run first, then every run above.
    pub(super) frames: Arc<[RunFrame]>,
    pub(super) span: SpanIds,
    started: Timestamp,
    above: Option<Arc<RunState>>,
    /// Shared with all runs of the same root.
    pub(super) repeats: Arc<Mutex<Repeats>>,
    ended: AtomicBool,
    inference_calls: AtomicU32,
    tool_calls: AtomicU32,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
    /// Settled in this process, child runs included, in nano-USD.
    spent: AtomicI64,
    /// It was started elsewhere, and ends there.
    resumed: bool,
    /// Why an enforcing mode would have refused it.
    would_deny: Option<telemetry::Refusal>,
}

impl Run {
    pub(super) fn start(
        guard: &Guard,
        options: RunOptions,
        parent: Option<&Arc<RunState>>,
    ) -> Result<Self, ReserveError> {
        let state = guard.state().map_err(ReserveError::Failed)?;
        admit::open(state).map_err(ReserveError::Failed)?;
        state.start();
        let now = state.now();
        let rules = state.rules.load();
        let base = parent
            .map_or_else(|| Arc::clone(&options.scope), |run| Arc::new(options.scope.inside(&run.scope)));
        let id = options.id.unwrap_or_else(|| state.ids.next().to_string().into());
        let mut scope = Scope::clone(&base);
        scope.set(&Dimension::Run, Some(&id)).map_err(ReserveError::Failed)?;
        if parent.is_some_and(|run| run.frames.iter().any(|frame| frame.id == id)) {
            // Its accounts would be those of the run above, and every call would count on them twice.
            let error =
                Error::new(Code::IdReused, format!("a run above this one has the id {id:?}")).field("id");
            return Err(ReserveError::Failed(error.hint("give every run an id of its own")));
        }
        let rule = rule_of(&rules, &scope);
        let enforce = rule.map_or(Enforce::Hard, |rule| rule.enforce);
        let limits = rule.map_or(options.limits, |rule| rule.limits.tightened_by(&options.limits));
        let mut frames = vec![RunFrame { id: Arc::clone(&id), limits, enforce, started: now }];
        frames.extend(parent.iter().flat_map(|run| run.frames.iter().cloned()));
        let scope = Arc::new(scope);
        let enforced = state.mode(&rules) == Mode::Enforce;
        let above = parent.and_then(|run| run.as_parent()).or(options.parent);
        let span = state.recorder.start_span(above.as_ref(), &state.ids);
        let refusal = refused(&frames, parent.map(|run| &**run));
        let would_deny =
            refusal.as_ref().map(|refusal| telemetry::Refusal { code: refusal.code, budget: None });
        if let Some(refusal) = refusal.filter(|_| enforced) {
            return Err(ReserveError::Denied(admit::deny_run(
                state,
                scope,
                span,
                Denial::refused(refusal, now),
            )));
        }
        if frames.len().saturating_mul(4) > LEGS_PER_CALL_MAX {
            let message = format!(
                "a run {} levels deep could need more than {LEGS_PER_CALL_MAX} accounts",
                frames.len()
            );
            return Err(ReserveError::Failed(Error::new(Code::TooManyLegs, message).hint("nest fewer runs")));
        }
        let mut run = RunState::new(guard, state, scope, frames, span, now);
        run.would_deny = would_deny;
        run.above = parent.cloned();
        if let Some(parent) = parent {
            run.repeats = Arc::clone(&parent.repeats);
        }
        Ok(Self { state: Arc::new(run) })
    }

    /// The run's id.
    #[must_use]
    pub fn id(&self) -> &Label {
        &self.state.id
    }

    /// The run's labels, its id among them.
    #[must_use]
    pub fn scope(&self) -> &Arc<Scope> {
        &self.state.scope
    }

    /// The run's span, for the host's own spans to be made under.
    #[must_use]
    pub fn span(&self) -> SpanIds {
        self.state.span
    }

    /// A run of a sub-agent: what it uses counts on this run too.
    ///
    /// # Errors
    /// `run_limit_exceeded` (depth), `run_closed`; `label_invalid`, `too_many_legs`; `id_reused` for the id of a run
    /// above.
    pub fn child(&self, options: RunOptions) -> Result<Run, ReserveError> {
        let run = self.state.here().map_err(ReserveError::Failed)?;
        Run::start(&run.guard, options, Some(run))
    }

    /// Reserves a call of this run; see [`crate::guard::Guard::try_reserve`].
    ///
    /// # Errors
    /// As [`crate::guard::Guard::try_reserve`].
    pub fn try_reserve(&self, call: &Call) -> Result<Outcome> {
        let run = self.state.here()?;
        admit::try_reserve(&run.state, call, Some(run))
    }

    /// Whether a call of this run would be admitted now; see [`crate::guard::Guard::check`].
    ///
    /// # Errors
    /// As [`crate::guard::Guard::try_reserve`].
    pub fn check(&self, call: &Call) -> Result<Decision> {
        let run = self.state.here()?;
        admit::check(&run.state, call, Some(run))
    }

    /// Reserves a call of this run.
    ///
    /// # Errors
    /// [`ReserveError::Denied`] or [`ReserveError::Failed`].
    pub fn reserve(&self, call: &Call) -> Result<Hold, ReserveError> {
        reserve_error(self.try_reserve(call))
    }

    /// What the run and its child runs have spent in this process, in nano-USD.
    #[must_use]
    pub fn spent(&self) -> NanoUsd {
        // Where no call can be made, nothing is spent.
        self.state.here().map_or(NanoUsd(0), |run| NanoUsd(run.spent.load(Ordering::Relaxed)))
    }

    /// What the run may still spend, in nano-USD: the least of its own and its parents' limits on cost, with what is
    /// on hold taken off. `None` without such a limit.
    #[must_use]
    pub fn remaining(&self) -> Option<NanoUsd> {
        let balances = self.balances_of(&self.state.frames);
        let money = balances.iter().filter(|balance| &*balance.budget == "run.cost");
        money.map(|balance| NanoUsd(balance.available)).min()
    }

    /// The accounts of the run's own limits: calls, tool calls, tokens, cost, as far as there are limits.
    #[must_use]
    pub fn balances(&self) -> Vec<Balance> {
        self.balances_of(self.state.frames.get(..1).unwrap_or(&[]))
    }

    fn balances_of(&self, frames: &[RunFrame]) -> Vec<Balance> {
        let Ok(run) = self.state.here() else { return Vec::new() };
        let (rules, now) = (run.state.rules.load(), run.state.now());
        let mut plan = Plan::empty();
        plan.add_runs(&rules, frames);
        run.state.ledger.expire_due(now);
        let look =
            |leg| run.state.ledger.balance(now, plan.key(leg)).unwrap_or_else(|| plan.untouched(leg, now));
        plan.legs.iter().map(look).collect()
    }

    /// Ends the run: its span closes. Calls that come late still count; no child run can be started.
    pub fn end(&self) {
        self.state.end(None);
    }

    /// Ends the run with a failure; `error_type` is its low-cardinality name.
    pub fn fail(&self, error_type: &str) {
        self.state.end(Some(error_type));
    }
}

impl RunState {
    /// This process's part of the run. Nothing that was inherited over a fork is locked or written here.
    fn here(self: &Arc<Self>) -> Result<&Arc<Self>> {
        let mut at = self;
        while at.state.fork_generation != fork::generation() {
            at = match at.child.get() {
                Some(child) => child,
                None => {
                    let run = Self::resumed(&at.guard, Arc::clone(&at.scope), at.frames.to_vec(), at.span)?;
                    at.child.get_or_init(|| Arc::new(run))
                }
            };
        }
        Ok(at)
    }

    /// Without a run above; `frames` begins with its own.
    fn new(
        guard: &Guard,
        state: &Arc<State>,
        scope: Arc<Scope>,
        frames: Vec<RunFrame>,
        span: SpanIds,
        started: Timestamp,
    ) -> Self {
        Self {
            guard: guard.clone(),
            state: Arc::clone(state),
            child: OnceLock::new(),
            id: frames.first().map_or_else(|| Label::from(""), |own| Arc::clone(&own.id)),
            scope,
            frames: frames.into(),
            span,
            started,
            above: None,
            repeats: Arc::default(),
            ended: AtomicBool::new(false),
            inference_calls: AtomicU32::new(0),
            tool_calls: AtomicU32::new(0),
            input_tokens: AtomicU64::new(0),
            output_tokens: AtomicU64::new(0),
            spent: AtomicI64::new(0),
            resumed: false,
            would_deny: None,
        }
    }

    /// A run that was started elsewhere. This process's own limits can only tighten it: a header is not proof of
    /// anything.
    ///
    /// # Errors
    /// `ledger_not_shared`.
    pub(super) fn resumed(
        guard: &Guard,
        scope: Arc<Scope>,
        mut frames: Vec<RunFrame>,
        span: SpanIds,
    ) -> Result<Self> {
        let state = guard.state()?;
        let rules = state.rules.load();
        if let (Some(rule), Some(own)) = (rule_of(&rules, &scope), frames.first_mut()) {
            own.limits = rule.limits.tightened_by(&own.limits);
            own.enforce = own.enforce.stricter(rule.enforce);
        }
        let started = frames.first().map_or_else(|| state.now(), |own| own.started);
        let mut run = Self::new(guard, state, scope, frames, span, started);
        run.resumed = true;
        Ok(run)
    }

    /// The run's span as the parent of others.
    pub(super) fn as_parent(&self) -> Option<ParentSpan> {
        self.span.as_parent().map(|parent| ParentSpan { is_remote: self.resumed, ..parent })
    }

    /// A call of this run was admitted or denied.
    pub(super) fn called(&self, tool: bool) {
        let counter = if tool { &self.tool_calls } else { &self.inference_calls };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A call of this run was settled: its input and output tokens, and what was posted.
    pub(super) fn used(&self, (input, output): (u64, u64), posted: NanoUsd) {
        self.input_tokens.fetch_add(input, Ordering::Relaxed);
        self.output_tokens.fetch_add(output, Ordering::Relaxed);
        let mut run = Some(self);
        while let Some(at) = run {
            at.spent.fetch_add(posted.0, Ordering::Relaxed);
            run = at.above.as_deref();
        }
    }

    fn end(&self, failed: Option<&str>) {
        let elsewhere = self.resumed || self.state.fork_generation != fork::generation();
        if self.ended.swap(true, Ordering::Relaxed) || elsewhere {
            return;
        }
        let now = self.state.now();
        let rules = self.state.rules.load();
        let mut keys = AccountKeys::default();
        if let Some(own) = self.frames.first() {
            let places: Vec<_> =
                rules.run_rules(own.enforce).iter().map(|rule| keys.push_run(rule.id, own)).collect();
            let places: Vec<&[u8]> = places.iter().map(|place| keys.get(place)).collect();
            self.state.ledger.close_accounts(now, &places);
        }
        if !self.state.recorder.enabled() {
            return;
        }
        self.state.recorder.push(Record::Agent(Box::new(AgentRecord {
            span: self.span,
            started: self.started,
            ended: now,
            scope: Arc::clone(&self.scope),
            inference_calls: self.inference_calls.load(Ordering::Relaxed),
            tool_calls: self.tool_calls.load(Ordering::Relaxed),
            input_tokens: self.input_tokens.load(Ordering::Relaxed),
            output_tokens: self.output_tokens.load(Ordering::Relaxed),
            would_deny: self.would_deny.clone().map(Box::new),
            outcome: failed.map_or(telemetry::Outcome::Settled, telemetry::Outcome::failed),
        })));
    }
}

impl Drop for RunState {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// The first rule of the policy that matches.
fn rule_of<'r>(rules: &'r Rules, scope: &Scope) -> Option<&'r RunRule> {
    let facts = Facts { scope, provider: None, model: None, tool: None };
    rules.policy.run_limits.iter().find(|rule| rule.matches.matches(&facts))
}

fn refused(frames: &[RunFrame], parent: Option<&RunState>) -> Option<Refusal> {
    let own = frames.first()?;
    if parent.is_some_and(|run| run.ended.load(Ordering::Relaxed)) {
        return Some(Refusal::new(Code::RunClosed, &parent?.id, ""));
    }
    let deep = |(above, frame): (usize, &RunFrame)| {
        let depth = above.saturating_add(1);
        let most = frame.limits.max_depth.filter(|_| frame.enforce == Enforce::Hard)?;
        (usize::try_from(most).unwrap_or(usize::MAX) < depth).then_some((depth, most))
    };
    let (depth, most) = frames.iter().enumerate().find_map(deep)?;
    Some(Refusal::new(Code::RunLimitExceeded, &own.id, &format!("{depth} runs deep, {most} allowed")))
}

#[cfg(test)]
mod tests {
    use crate::Call;
    use crate::clock::{Clock, ManualClock};
    use crate::guard::{BalanceQuery, Guard, RunOptions};
    use crate::values::{Bucket, Timestamp, Usage};

    const PRICES: &str =
        "catalog = 1\nprovider = \"p\"\n[[models.m.prices]]\nrates = { input = \"1\", output = \"2\" }";
    const CONFIG: &str = "[ledger]\nmax_accounts = 3\n[[budgets]]\nname = \"b\"\nmatch = { feature = \"x\" }\n\
                          limit = \"1 USD\"\nwindow = \"lifetime\"";

    /// A full ledger forgets idle runs to make room, and the call that needs the room may be of such a run.
    #[test]
    fn a_call_whose_own_idle_run_is_forgotten_writes_on_no_other_account() {
        let clock = ManualClock::new(Timestamp::parse("2026-11-20T10:00:00Z").unwrap());
        let builder = Guard::builder().config_text("t", CONFIG).prices("p.toml", PRICES);
        let guard = builder.clock(Clock::Manual(clock.clone())).build().unwrap();
        let limits = crate::policy::RunLimits { max_calls: Some(5), ..Default::default() };
        let start = || guard.start_run(RunOptions { limits, ..Default::default() }).unwrap();
        let runs = [start(), start(), start()];
        let call = || Call::new("p", "m").input_tokens(100).max_output_tokens(0);
        let used = Usage::new().with(Bucket::Input, 100);
        for run in &runs {
            run.reserve(&call()).unwrap().settle(&used).unwrap();
        }
        clock.advance(10 * 24 * 3_600_000);
        let hold = runs[1].reserve(&call().feature("x")).unwrap();
        let held =
            |balance: &crate::engine::Balance| (balance.budget.to_string(), balance.held, balance.spent);
        let all = guard.balances(&BalanceQuery::default()).unwrap();
        assert_eq!(all.items.iter().map(held).collect::<Vec<_>>(), [("b".to_owned(), 100_000, 0)]);
        assert_eq!(runs[1].balances().iter().map(held).collect::<Vec<_>>(), [("run.calls".to_owned(), 1, 0)]);
        hold.settle(&used).unwrap();
        let all = guard.balances(&BalanceQuery::default()).unwrap();
        assert_eq!(all.items.iter().map(held).collect::<Vec<_>>(), [("b".to_owned(), 0, 100_000)]);
    }
}
