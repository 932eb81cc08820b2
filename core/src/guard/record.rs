//! Spend that already happened: recorded on every account, never denied.

use super::bill::Bill;
use super::hold::Held;
use super::settle::{self, Settlement};
use super::state::State;
use super::subject::Subject;
use super::{Receipt, admit};
use crate::codes::Code;
use crate::engine::{Call, HoldOutcome, HoldRequest, Pinned, plan};
use crate::error::{Error, Result};
use crate::telemetry::{Flags, SpanIds};
use crate::values::Timestamp;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

/// Records the spend of `call` at `at`. The same id again changes nothing.
pub(super) fn record(
    state: &Arc<State>,
    call: &Call,
    settlement: Settlement<'_>,
    at: Option<Timestamp>,
) -> Result<Receipt> {
    admit::open(state)?;
    state.start();
    call.valid()?;
    let name = call.id.as_ref().ok_or_else(|| {
        Error::new(Code::ArgumentInvalid, "is missing")
            .field("id")
            .hint("an id of the spend makes it safe to record it twice")
    })?;
    let rules = state.rules.load_full();
    let now = state.now();
    let at = at.unwrap_or(now);
    if at > now {
        return Err(Error::new(Code::ArgumentInvalid, format!("{at} is in the future")).field("at"));
    }
    let bounded = call.clone().input_tokens(0).max_output_tokens(0);
    let plan = plan(&bounded, &call.scope, &rules, &[], at)?;
    let mut held = Held {
        state: Arc::clone(state),
        rules: Arc::clone(&rules),
        subject: Arc::new(Subject::of(call, &call.scope, plan.entry.as_deref(), &rules.legend)),
        run: None,
        key: None,
        context: call.context.clone(),
        operation: call.operation,
        params: None,
        server: None,
        span: SpanIds::NONE,
        started: at,
        estimate: crate::engine::Estimate::default(),
        flags: Flags::NONE,
        would_deny: None,
        stream: None,
        lost_attempts: 0,
    };
    let bill = Bill::of(&held, settle::read(&held, settlement)?, now);
    let content = content(call, &bill);
    if let Some((key, Some(pinned))) = state.ledger.known(name, content)? {
        // Told before: the same receipt, whatever the prices are now.
        held.key = Some(key);
        held.rules = Arc::clone(&pinned.rules);
        held.subject = Arc::new(Subject::of(call, &call.scope, pinned.entry.as_ref(), &pinned.rules.legend));
        held.started = pinned.started;
        let answer = settle::read(&held, settlement)?;
        return settle::settle(Box::new(held), answer, None);
    }
    let (entry, estimate) = (held.subject.entry.clone(), held.estimate);
    let pinned = Arc::new(Pinned { rules: Arc::clone(&rules), entry, estimate, started: at });
    let used = bill.quantities(&held);
    let request = HoldRequest {
        id: state.ids.next().0,
        name: Some(name),
        content,
        accounts: plan.accounts(),
        amounts: &used,
        deadline: Timestamp::MAX,
        generation: rules.generation,
        pinned: Some(&pinned),
        force: true,
    };
    let key = match state.ledger.hold(now, &request)? {
        HoldOutcome::Held(key, _) | HoldOutcome::Repeated(key, _) => key,
        HoldOutcome::Denied(_) | HoldOutcome::TooManyAccounts => {
            return Err(Error::new(Code::TooManyAccounts, "no room for another account"));
        }
    };
    settle::settle_elsewhere(Box::new(Held { key: Some(key), ..held }), bill, now)
}

/// A digest of what is recorded, for `id_reused`: the call and what it used, not what that cost. A cost that the
/// caller states is content.
fn content(call: &Call, bill: &Bill) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    match &bill.receipt.usage {
        Some(usage) => usage.iter().for_each(|used| used.hash(&mut hasher)),
        None => bill.receipt.posted.hash(&mut hasher),
    }
    call.content(&call.scope).hash(&mut hasher);
    hasher.finish()
}
