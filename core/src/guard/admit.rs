//! From a call to a hold or a denial.

use super::events::{Event, EventKind};
use super::hold::{Held, Hold};
use super::report;
use super::run::RunState;
use super::state::State;
use super::subject::Subject;
use crate::boxed::boxed;
use crate::codes::Code;
use crate::engine::{
    Call, CallKind, Decision, Denial, Failure, HoldKey, HoldOutcome, HoldRequest, Pinned, Plan, Quantities,
    Refusal, RunFrame, estimate_of, plan,
};
use crate::error::{Error, Result};
use crate::policy::{Enforce, Mode};
use crate::rules::Rules;
use crate::telemetry::{self, Flags, SpanIds};
use crate::values::{Id, Scope, Timestamp};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The answer to a reserve.
#[derive(Debug)]
pub enum Outcome {
    /// Admitted: settle it.
    Held(Hold),
    /// Not admitted: nothing was held, nothing may be sent.
    Denied(Box<Denial>),
    /// A shared ledger must be asked. Not with the memory ledger.
    Pending(Ticket),
}

/// What to wait on when a shared ledger must be asked.
#[derive(Debug)]
pub struct Ticket {
    never: std::convert::Infallible,
}

impl Ticket {
    /// Waits for the answer.
    #[must_use]
    pub fn wait(self) -> Outcome {
        match self.never {}
    }
}

/// Reserves a call, in a run or outside of one.
pub(super) fn try_reserve(state: &Arc<State>, call: &Call, run: Option<&Arc<RunState>>) -> Result<Outcome> {
    open(state)?;
    state.start();
    call.valid()?;
    let scope = &*scope_of(call, run);
    let now = state.now();
    let found = state.outlines.find(call, scope, now);
    let loaded;
    let rules = match found.rules() {
        Some(rules) => rules,
        None => {
            loaded = state.rules.load();
            &*loaded
        }
    };
    let mode = state.mode(rules);
    if mode == Mode::Off {
        return Ok(Outcome::Held(unguarded(state, rules, call, run, scope, now)));
    }
    let content = if call.id.is_some() { call.content(scope) } else { 0 };
    if let Some(name) = &call.id
        && let Some((key, Some(pinned))) = state.ledger.known(name, content)?
    {
        // The same call again is the same answer, before anything is asked that may have changed since.
        return Ok(Outcome::Held(again(state, call, run, scope, key, &pinned)));
    }
    let frames: &[RunFrame] = run.map_or(&[], |run| &run.frames);
    let mut plan = Plan::empty();
    plan.fill(call, scope, rules, frames, now, found.outline())?;
    found.keep(call, scope, &plan, rules);
    let force = mode == Mode::Observe;
    let looped = run.and_then(|run| repeats(call, run, &mut plan, force));
    let above = call.parent.or_else(|| run.and_then(|run| run.as_parent()));
    let span = state.recorder.start_span(above.as_ref(), &state.ids);
    if let Some(run) = run {
        run.called(matches!(call.kind, CallKind::Tool { .. }));
    }
    let undo = || {
        if let (Some(run), Some(fingerprint)) = (run, looped) {
            run.repeats.lock().undo(fingerprint);
        }
    };
    if let Some(refusal) = plan.refusal.take_if(|_| !force) {
        undo();
        return Ok(deny(state, call, scope, span, Denial::refused(refusal, now)));
    }
    let id = state.ids.next();
    let pinned = call.id.is_some().then(|| {
        let (entry, estimate) = (plan.entry.as_deref().cloned(), plan.estimate);
        Arc::new(Pinned { rules: Arc::clone(rules), entry, estimate, started: now })
    });
    let request = HoldRequest {
        id: id.0,
        name: call.id.as_ref(),
        content,
        accounts: plan.accounts(),
        amounts: &plan.estimate.quantities,
        deadline: now.saturating_add(rules.policy.ledger.max_call_duration),
        generation: rules.generation,
        pinned: pinned.as_ref(),
        force,
    };
    let (key, failures) = match state.ledger.hold(now, &request) {
        Ok(HoldOutcome::Held(key, failures)) => (Some(key), failures),
        Ok(HoldOutcome::Repeated(key, known)) => {
            undo();
            let pinned =
                known.or(pinned).ok_or_else(|| Error::new(Code::Internal, "a known id without an answer"))?;
            return Ok(Outcome::Held(again(state, call, run, scope, key, &pinned)));
        }
        Ok(HoldOutcome::Denied(failures)) => {
            undo();
            let mut denial = Denial::by_accounts(failures, now);
            denial.max_output_tokens = output_that_fits(call, &plan, &denial, now);
            return Ok(deny(state, call, scope, span, denial));
        }
        Ok(HoldOutcome::TooManyAccounts) => {
            let most = rules.policy.ledger.max_accounts;
            let detail = format!("it keeps {most} accounts at most");
            let refusal = Refusal::new(Code::TooManyAccounts, "the ledger", &detail);
            if !force {
                undo();
                return Ok(deny(state, call, scope, span, Denial::refused(refusal, now)));
            }
            // What only observes lets the call pass, and has no place to count it.
            plan.refusal.get_or_insert(refusal);
            (None, Vec::new())
        }
        Err(error) => {
            undo();
            return Err(error);
        }
    };
    let subject = match found.subject() {
        Some(subject) => Arc::clone(subject),
        None => Arc::new(Subject::of(call, scope, plan.entry.as_deref(), &rules.legend)),
    };
    let held = boxed!(Held {
        state: Arc::clone(state),
        subject,
        run: run.cloned(),
        key,
        context: call.context.clone(),
        operation: call.operation,
        params: call.params.clone(),
        server: call.server.clone(),
        span,
        started: now,
        estimate: plan.estimate,
        flags: Flags::NONE,
        would_deny: would_deny(&plan, &failures, now),
        stream: None,
        lost_attempts: 0,
        rules: Arc::clone(rules),
    });
    Ok(Outcome::Held(Hold::new(held, key.map_or(id, |key| Id(key.id())), false, failures)))
}

/// The hold of a call that was answered before, as it was answered.
fn again(
    state: &Arc<State>,
    call: &Call,
    run: Option<&Arc<RunState>>,
    scope: &Arc<Scope>,
    key: HoldKey,
    pinned: &Pinned,
) -> Hold {
    let above = call.parent.or_else(|| run.and_then(|run| run.as_parent()));
    let held = Held {
        state: Arc::clone(state),
        rules: Arc::clone(&pinned.rules),
        subject: Arc::new(Subject::of(call, scope, pinned.entry.as_ref(), &pinned.rules.legend)),
        run: run.cloned(),
        key: Some(key),
        context: call.context.clone(),
        operation: call.operation,
        params: call.params.clone(),
        server: call.server.clone(),
        span: state.recorder.start_span(above.as_ref(), &state.ids),
        started: pinned.started,
        estimate: pinned.estimate,
        flags: Flags::NONE,
        would_deny: None,
        stream: None,
        lost_attempts: 0,
    };
    Hold::new(Box::new(held), Id(key.id()), true, Vec::new())
}

/// Why an enforcing mode, or an enforcing budget, would have denied.
fn would_deny(plan: &Plan<'_>, failures: &[Failure], now: Timestamp) -> Option<Box<telemetry::Refusal>> {
    if let Some(refusal) = &plan.refusal {
        return Some(Box::new(telemetry::Refusal { code: refusal.code, budget: None }));
    }
    let failure = failures.iter().find(|failure| failure.enforce != Enforce::Soft)?;
    let code = Denial::by_accounts(vec![Failure { enforce: Enforce::Hard, ..failure.clone() }], now).code;
    Some(Box::new(telemetry::Refusal { code, budget: Some(Arc::clone(&failure.balance.budget)) }))
}

/// Whether a call would be admitted now. Nothing is held, counted or reported.
pub(super) fn check(state: &Arc<State>, call: &Call, run: Option<&Arc<RunState>>) -> Result<Decision> {
    open(state)?;
    call.valid()?;
    let rules = state.rules.load();
    let now = state.now();
    let scope = scope_of(call, run);
    let frames: &[RunFrame] = run.map_or(&[], |run| &run.frames);
    let mut plan = plan(call, &scope, &rules, frames, now)?;
    state.ledger.expire_due(now);
    let denial = match plan.refusal.take() {
        Some(refusal) => Some(Denial::refused(refusal, now)),
        None => {
            let failures = failures(state, &plan, now);
            let hard = failures.iter().any(|failure| failure.enforce == Enforce::Hard);
            hard.then(|| {
                let mut denial = Denial::by_accounts(failures, now);
                denial.max_output_tokens = output_that_fits(call, &plan, &denial, now);
                denial
            })
        }
    };
    Ok(Decision {
        allowed: denial.is_none() || state.mode(&rules) != Mode::Enforce,
        denial,
        worst_case_nano_usd: plan.estimate.quantities.usd,
        input_tokens: plan.estimate.input_tokens,
        output_tokens: plan.estimate.output_tokens,
    })
}

fn failures(state: &State, plan: &Plan<'_>, now: Timestamp) -> Vec<Failure> {
    let fits = |leg| {
        let balance = state.ledger.balance(now, plan.key(leg)).unwrap_or_else(|| plan.untouched(leg, now));
        let wanted = plan.estimate.quantities.of(leg.rule.unit);
        (wanted != 0 && wanted > balance.available).then(|| Failure {
            balance,
            wanted,
            enforce: leg.rule.enforce,
        })
    };
    plan.legs.iter().filter_map(fits).collect()
}

/// The guard is open and the call belongs to this process.
pub(super) fn open(state: &State) -> Result<()> {
    if state.closed.load(Ordering::Relaxed) {
        return Err(Error::new(Code::Closed, "the guard is closed"));
    }
    Ok(())
}

/// The call's own labels, inside those of its run.
fn scope_of<'a>(call: &'a Call, run: Option<&'a Arc<RunState>>) -> Cow<'a, Arc<Scope>> {
    match run {
        None => Cow::Borrowed(&call.scope),
        Some(run) if call.scope_is_whole && call.scope.run == run.scope.run => Cow::Borrowed(&call.scope),
        Some(run) if *call.scope == Scope::default() => Cow::Borrowed(&run.scope),
        Some(run) => {
            let mut scope = call.scope.inside(&run.scope);
            scope.run.clone_from(&run.scope.run);
            Cow::Owned(Arc::new(scope))
        }
    }
}

/// Remembers the request's fingerprint, and refuses what repeats itself. Returns what was remembered.
/// What only observes lets every call pass, so every call is remembered.
fn repeats(call: &Call, run: &RunState, plan: &mut Plan<'_>, observe: bool) -> Option<u64> {
    let fingerprint = call.fingerprint?;
    let bound = |frame: &RunFrame| frame.limits.max_repeats.filter(|_| frame.enforce == Enforce::Hard);
    // Remembered without a bound too: a child run may have one.
    let most = run.frames.iter().filter_map(bound).min().unwrap_or(u32::MAX);
    if plan.refusal.is_some() && !observe {
        return None;
    }
    let mut repeats = run.repeats.lock();
    if repeats.admit(fingerprint, most) {
        return Some(fingerprint);
    }
    let detail = format!("the same request was made {most} times before");
    plan.refusal.get_or_insert_with(|| Refusal::new(Code::LoopDetected, &run.id, &detail));
    (observe && repeats.admit(fingerprint, u32::MAX)).then_some(fingerprint)
}

/// Reports a denial: to telemetry and to whoever listens.
pub(super) fn deny(state: &State, call: &Call, scope: &Arc<Scope>, span: SpanIds, denial: Denial) -> Outcome {
    report::denied(state, call, scope, span, &denial);
    tell(state, scope, &denial);
    Outcome::Denied(Box::new(denial))
}

/// The same for a run that is not started.
pub(super) fn deny_run(state: &State, scope: Arc<Scope>, span: SpanIds, denial: Denial) -> Box<Denial> {
    tell(state, &scope, &denial);
    report::run_denied(state, scope, span, &denial);
    Box::new(denial)
}

fn tell(state: &State, scope: &Arc<Scope>, denial: &Denial) {
    let wants = |kind| state.events.wants(kind);
    if !wants(EventKind::Denied) && !wants(EventKind::Loop) {
        return;
    }
    let shared = Arc::new(denial.clone());
    state.events.send(&Event::Denied(Arc::clone(&shared), Arc::clone(scope)));
    if matches!(denial.code, Code::RunLimitExceeded | Code::LoopDetected) {
        state.events.send(&Event::Loop(shared, Arc::clone(scope)));
    }
}

/// The most output tokens with which the call would fit on every hard account. Only money and tokens can be helped.
fn output_that_fits(call: &Call, plan: &Plan<'_>, denial: &Denial, now: Timestamp) -> Option<u64> {
    let choices = call.choices.max(1);
    let whole = plan.estimate.output_tokens.checked_div(choices)?;
    let fits = |output: u64| {
        let all = output.saturating_mul(choices);
        let Ok(wanted) = estimate_of(
            call,
            plan.entry.as_deref().map(|entry| &**entry),
            plan.estimate.input_tokens,
            all,
            now,
        ) else {
            return false;
        };
        let enough = |failure: &Failure| {
            failure.enforce != Enforce::Hard || wanted.of(failure.balance.unit) <= failure.balance.available
        };
        denial.failures.iter().all(enough)
    };
    let (mut low, mut high) = (0u64, whole);
    if high == 0 || !fits(1) {
        return None;
    }
    while low.saturating_add(1) < high {
        let middle = low.saturating_add(high.saturating_sub(low) / 2);
        if fits(middle) { low = middle } else { high = middle }
    }
    Some(low)
}

/// Mode `off`: the call passes, nothing is computed.
fn unguarded(
    state: &Arc<State>,
    rules: &Arc<Rules>,
    call: &Call,
    run: Option<&Arc<RunState>>,
    scope: &Arc<Scope>,
    now: Timestamp,
) -> Hold {
    let held = Held {
        state: Arc::clone(state),
        rules: Arc::clone(rules),
        subject: Arc::new(Subject::of(call, scope, None, &rules.legend)),
        run: run.cloned(),
        key: None,
        context: None,
        operation: call.operation,
        params: call.params.clone(),
        server: call.server.clone(),
        span: SpanIds::NONE,
        started: now,
        estimate: crate::engine::Estimate { quantities: Quantities::default(), ..Default::default() },
        flags: Flags::NONE,
        would_deny: None,
        stream: None,
        lost_attempts: 0,
    };
    Hold::new(Box::new(held), state.ids.next(), false, Vec::new())
}
