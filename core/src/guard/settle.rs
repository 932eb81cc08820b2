//! From what a provider said to what is posted: normalise, price under the pinned rules, post, report.

use super::Receipt;
use super::bill::{Answer, Bill};
use super::events::{Event, EventKind, Events};
use super::hold::Held;
use super::report::{self, Told};
use crate::catalog::normalise::{self, Reply, StreamReader};
use crate::engine::{HoldKey, Quantities, Settled};
use crate::error::Result;
use crate::telemetry::{Flags, Outcome};
use crate::values::{Bucket, Id, NanoUsd, Timestamp, Usage};
use serde_json::Value;
use std::hash::BuildHasher;
use std::sync::Arc;

/// What is added to a stream that we closed: tokens that the provider had made and we had not read.
pub const CANCEL_MARGIN_TOKENS: u64 = 256;

/// What a hold is settled with.
#[derive(Clone, Copy, Debug)]
pub enum Settlement<'a> {
    /// Counted by the caller, in disjoint buckets.
    Usage(&'a Usage),
    /// The provider's own reply, as JSON.
    Reply(&'a Value),
    /// Stated by the caller, in nano-USD.
    Cost(NanoUsd),
    /// As it was reserved: a tool call.
    AsReserved,
}

impl<'a> From<&'a Usage> for Settlement<'a> {
    fn from(usage: &'a Usage) -> Self {
        Self::Usage(usage)
    }
}

impl<'a> From<&'a Value> for Settlement<'a> {
    fn from(reply: &'a Value) -> Self {
        Self::Reply(reply)
    }
}

impl From<NanoUsd> for Settlement<'_> {
    fn from(cost: NanoUsd) -> Self {
        Self::Cost(cost)
    }
}

/// How a reply without a final word ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The stream came to its end.
    Complete,
    /// We closed it.
    Closed,
    /// It broke or timed out.
    Cut,
    /// The handle was lost.
    Lost,
}

/// Reads a complete answer. Nothing is posted yet: on an error the hold is as it was.
pub(super) fn read<'a>(held: &Held, settlement: Settlement<'a>) -> Result<Answer<'a>> {
    Ok(match settlement {
        Settlement::Usage(usage) => Answer::Usage(usage.check()?),
        Settlement::Reply(value) => {
            let provider = held.subject.provider().map(|provider| &**provider);
            Answer::Reply(Box::new(normalise::reply_of(provider, Some(&held.subject.model), value)?))
        }
        Settlement::Cost(cost) => Answer::Cost(cost),
        Settlement::AsReserved => Answer::Cost(NanoUsd(held.estimate.quantities.usd)),
    })
}

/// Settles with a complete answer.
pub(super) fn settle(held: Box<Held>, answer: Answer<'_>, failed: Option<&str>) -> Result<Receipt> {
    let now = held.state.now();
    let bill = Bill::of(&held, answer, now);
    settle_bill(held, bill, now, failed)
}

/// Settles with a bill.
pub(super) fn settle_bill(
    held: Box<Held>,
    bill: Bill,
    now: Timestamp,
    failed: Option<&str>,
) -> Result<Receipt> {
    let estimated = bill.receipt.flags.has(Flags::ESTIMATED);
    let used = bill.quantities(&held);
    let error = failed.or(bill.reply.as_ref().and_then(|reply| reply.error.as_deref()));
    let told = Told::Call(error.map_or(Outcome::Settled, Outcome::failed));
    post(held, bill, now, told, |held, key| {
        held.state.ledger.settle(now, key, &used, digest(&used), estimated)
    })
}

/// Settles with the bill of a call that was made elsewhere.
pub(super) fn settle_elsewhere(held: Box<Held>, bill: Bill, now: Timestamp) -> Result<Receipt> {
    let used = bill.quantities(&held);
    post(held, bill, now, Told::Elsewhere, |held, key| {
        held.state.ledger.settle(now, key, &used, digest(&used), false)
    })
}

/// Settles a reply that came in pieces, or that never came.
pub(super) fn end(mut held: Box<Held>, ending: Ending, failed: Option<&str>) -> Result<Receipt> {
    let now = held.state.now();
    let reader = held.stream.as_mut().and_then(|stream| stream.reader.take());
    let complete = reader.as_ref().is_some_and(StreamReader::is_complete);
    let counted = reader.as_ref().map_or(0, StreamReader::output_tokens_floor);
    let mut reply: Box<Reply> = reader.map(|reader| reader.reply()).unwrap_or_default().into();
    let outcome = match (failed, ending) {
        (Some(error_type), _) => Outcome::failed(error_type),
        (None, Ending::Lost) => Outcome::Abandoned,
        (None, Ending::Cut) => Outcome::failed("connection_lost"),
        (None, Ending::Complete | Ending::Closed) => Outcome::Settled,
    };
    if complete || (ending == Ending::Complete && reply.usage.is_none()) {
        // Once the last word has come, a connection that breaks is no failure of the call.
        let bill = Bill::of(&held, Answer::Reply(reply), now);
        return settle_bill(held, bill, now, failed.filter(|_| !complete));
    }
    reply.usage = Some(floor(&held, &reply, counted, ending == Ending::Closed));
    // What a provider reports before the last word is no invoice.
    reply.reported_cost = None;
    let mut bill = Bill::of(&held, Answer::Reply(reply), now);
    bill.flag(Flags::ESTIMATED);
    let used = bill.quantities(&held);
    post(held, bill, now, Told::Call(outcome), |held, key| match ending {
        Ending::Complete | Ending::Closed => held.state.ledger.settle(now, key, &used, digest(&used), true),
        Ending::Cut | Ending::Lost => held.state.ledger.abandon(now, key, &used, digest(&used)),
    })
}

/// Gives the hold back.
pub(super) fn release(held: Box<Held>, failed: Option<&str>) -> Result<()> {
    let now = held.state.now();
    if let Some(key) = held.key {
        held.state.ledger.release(now, key)?;
    }
    report::released(held, now, failed.map_or(Outcome::Released, Outcome::failed));
    Ok(())
}

/// Input as the provider counted it, else as it was reserved; output as far as it was seen.
fn floor(held: &Held, reply: &Reply, counted: u64, closed_by_us: bool) -> Usage {
    let mut usage = reply.usage.unwrap_or_default();
    if usage.total_input() == 0 {
        usage.set(Bucket::Input, held.estimate.input_tokens);
    }
    let seen = usage.total_output();
    let mut output = seen.max(counted);
    if closed_by_us {
        let most = held.estimate.output_tokens.max(output);
        output = output.saturating_add(CANCEL_MARGIN_TOKENS).min(most);
    }
    usage.add(Bucket::Output, output.saturating_sub(seen));
    usage
}

/// Of what is posted: the same settle again is a repetition, another one is refused.
pub(super) fn digest(used: &Quantities) -> u64 {
    foldhash::fast::FixedState::default().hash_one(used) | 1
}

/// Posts to the ledger, then tells everybody. What fails here changes no amount.
fn post(
    held: Box<Held>,
    mut bill: Bill,
    now: Timestamp,
    told: Told,
    write: impl FnOnce(&Held, HoldKey) -> Result<Settled>,
) -> Result<Receipt> {
    let unpriced = bill.unpriced(&held);
    let Bill { mut receipt, reply, forgiven, .. } = bill;
    let mut replaced = None;
    if let Some(key) = held.key {
        let mut done = write(&held, key)?;
        replaced = done.replaced.take();
        receipt.posted_as(Id(key.id()), done);
    }
    if let Some(unpriced) = unpriced {
        super::stops::deny_unpriced(&held.state, unpriced);
    }
    if let Some(what) = forgiven {
        held.state.noted.zero(&receipt, &what);
    }
    if receipt.flags.has(Flags::CAPPED) {
        super::stops::stop_after_cap(&held.state, &held.subject.scope);
    }
    held.state.pass_on_events();
    if !receipt.repeated {
        send(&held.state.events, &receipt);
        // In mode `off` nothing was held, so there is nothing to state.
        if let (Some(journal), Some(_)) = (&held.state.journal, held.key) {
            journal.add(&held, &receipt, now);
        }
        match (told, replaced) {
            (Told::Call(outcome), None) => report::settled(held, now, outcome, &receipt, reply),
            (_, replaced) => report::spent(&held, &receipt, replaced.as_deref()),
        }
    }
    Ok(receipt)
}

fn send(events: &Events, receipt: &Receipt) {
    let over_run = receipt.flags.has(Flags::OVER_RUN) && events.wants(EventKind::OverRun);
    let differs = receipt.reported.as_ref().is_some_and(|reported| reported.differs)
        && events.wants(EventKind::CostDiffers);
    if !over_run && !differs && !events.wants(EventKind::Settled) {
        return;
    }
    let shared = Arc::new(receipt.clone());
    events.send(&Event::Settled(Arc::clone(&shared)));
    if over_run {
        events.send(&Event::OverRun(Arc::clone(&shared)));
    }
    if differs {
        events.send(&Event::CostDiffers(shared));
    }
}
