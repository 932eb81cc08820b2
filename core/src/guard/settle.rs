//! From what a provider said to what is posted: normalise, price under the pinned rules, post, report.

use super::events::{Event, EventKind};
use super::hold::Held;
use super::{Receipt, report};
use crate::catalog::normalise::{self, Anomaly, Reply, StreamReader};
use crate::catalog::{Cost, ModelEntry, PriceContext, Resolution};
use crate::engine::{CallKind, Quantities, Settled};
use crate::error::Result;
use crate::rules::{Unpriced, UnpricedWhat};
use crate::telemetry::{Flags, Outcome};
use crate::values::money::OPERATION_MAX;
use crate::values::{AttoUsd, Bucket, Id, NanoUsd, Timestamp, Usage};
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

/// What a settle posts, and what it tells.
#[derive(Debug, Default)]
pub(super) struct Bill {
    pub(super) usage: Option<Usage>,
    pub(super) cost: Cost,
    pub(super) posted: NanoUsd,
    pub(super) flags: Flags,
    pub(super) reply: Reply,
    pub(super) anomalies: Vec<Anomaly>,
    /// Something without a price: the next reserve of the model is denied.
    pub(super) unpriced: Option<Unpriced>,
}

/// Reads and prices a complete answer. Nothing is posted yet: on an error the hold is as it was.
pub(super) fn read(held: &Held, settlement: Settlement<'_>) -> Result<Bill> {
    Ok(match settlement {
        Settlement::Usage(usage) => bill(held, Reply { usage: Some(usage.checked()?), ..Reply::default() }),
        Settlement::Reply(value) => {
            let provider = held.entry.as_ref().map(|entry| &**entry.provider()).or(held.provider.as_deref());
            bill(held, normalise::reply_of(provider, Some(&held.model), value)?)
        }
        Settlement::Cost(cost) => stated(cost),
        Settlement::AsReserved => stated(NanoUsd(held.estimate.quantities.usd)),
    })
}

/// Settles with a complete answer.
pub(super) fn settle(held: Held, bill: Bill, failed: Option<&str>) -> Result<Receipt> {
    let estimated = bill.flags.has(Flags::ESTIMATED);
    let used = quantities(&held, &bill);
    let error = failed.or(bill.reply.error.as_deref());
    let outcome = error.map_or(Outcome::Settled, Outcome::failed);
    post(held, bill, outcome, |held, now, key| {
        held.state.ledger.settle(now, key, &used, digest(&used), estimated)
    })
}

/// Settles a reply that came in pieces, or that never came.
pub(super) fn end(mut held: Held, ending: Ending, failed: Option<&str>) -> Result<Receipt> {
    let reader = held.stream.as_mut().and_then(|stream| stream.reader.take());
    let complete = reader.as_ref().is_some_and(StreamReader::is_complete);
    let counted = reader.as_ref().map_or(0, StreamReader::output_tokens_floor);
    let reply = reader.map(|reader| reader.reply()).unwrap_or_default();
    let outcome = match (failed, ending) {
        (Some(error_type), _) => Outcome::failed(error_type),
        (None, Ending::Lost) => Outcome::Abandoned,
        (None, Ending::Cut) => Outcome::failed("connection_lost"),
        (None, Ending::Complete | Ending::Closed) => Outcome::Settled,
    };
    if complete || (ending == Ending::Complete && reply.usage.is_none()) {
        // Once the last word has come, a connection that breaks is no failure of the call.
        let bill = bill(&held, reply);
        return settle(held, bill, failed.filter(|_| !complete));
    }
    let mut bill = bill(&held, floor(&held, reply, counted, ending == Ending::Closed));
    bill.flags = bill.flags.with(Flags::ESTIMATED);
    let used = quantities(&held, &bill);
    post(held, bill, outcome, |held, now, key| match ending {
        Ending::Complete | Ending::Closed => held.state.ledger.settle(now, key, &used, digest(&used), true),
        Ending::Cut | Ending::Lost => held.state.ledger.abandon(now, key, &used, digest(&used)),
    })
}

/// Gives the hold back.
pub(super) fn release(held: Held, failed: Option<&str>) -> Result<()> {
    let now = held.state.now();
    if let Some(key) = held.key {
        held.state.ledger.release(now, key)?;
    }
    let outcome = failed.map_or(Outcome::Released, Outcome::failed);
    report::ended(&held, now, &Bill::default(), None, outcome);
    Ok(())
}

/// Input as the provider counted it, else as it was reserved; output as far as it was seen.
fn floor(held: &Held, mut reply: Reply, counted: u64, closed_by_us: bool) -> Reply {
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
    reply.usage = Some(usage);
    reply
}

/// A cost that the caller states needs no price.
fn stated(cost: NanoUsd) -> Bill {
    let total = AttoUsd::from(cost);
    capped(Bill { cost: Cost { total, ..Cost::default() }, posted: cost, ..Bill::default() })
}

/// Prices a reply under the rules that the call was reserved with.
fn bill(held: &Held, mut reply: Reply) -> Bill {
    let anomalies = std::mem::take(&mut reply.anomalies);
    let reserved = NanoUsd(held.estimate.quantities.usd);
    let Some(usage) = reply.usage else {
        // A complete reply that does not say what it used: the whole hold.
        let flags = Flags::NO_USAGE.with(Flags::ESTIMATED);
        let cost = Cost { total: AttoUsd::from(reserved), ..Cost::default() };
        return Bill { cost, posted: reserved, flags, reply, anomalies, ..Bill::default() };
    };
    let (served, known) = served_by(held, reply.model.as_deref());
    let context = context(held, &reply);
    let mut flags = if known { Flags::NONE } else { Flags::UNKNOWN_MODEL };
    let mut without_price = reply.model.clone().filter(|_| !known).map(UnpricedWhat::ServedBy);
    let mut cost = served.as_ref().map(|entry| entry.cost(&usage, &context)).unwrap_or_default();
    for part in &reply.parts {
        match served_by(held, Some(&part.model)) {
            (Some(entry), true) => add(&mut cost, entry.cost(&part.usage, &context)),
            _ => {
                flags = flags.with(Flags::UNKNOWN_MODEL);
                without_price.get_or_insert_with(|| UnpricedWhat::ServedBy(Arc::clone(&part.model)));
            }
        }
    }
    if let Some(bucket) = cost.unpriced.first() {
        flags = flags.with(Flags::UNPRICED);
        without_price.get_or_insert(UnpricedWhat::Bucket(*bucket));
    }
    // It is the model that was asked for whose next call could be billed like this one.
    let unpriced = without_price.zip(held.entry.as_ref()).map(|(what, asked)| Unpriced {
        provider: Arc::clone(asked.provider()),
        model: Arc::clone(asked.model()),
        what,
    });
    let mut posted = cost.total.posted();
    if flags.has(Flags::UNPRICED) || flags.has(Flags::UNKNOWN_MODEL) {
        // Unknown is not free: not less than what was thought to be the worst case.
        posted = posted.max(reserved);
    }
    let usage = reply.combined_usage();
    capped(Bill { usage, cost, posted, flags, reply, anomalies, unpriced })
}

fn add(sum: &mut Cost, part: Cost) {
    match sum.total.checked_add(part.total) {
        Some(total) => sum.total = total,
        None => sum.overflow = true,
    }
    sum.lines.extend(part.lines);
    sum.unpriced.extend(part.unpriced);
    sum.overflow |= part.overflow;
}

fn capped(mut bill: Bill) -> Bill {
    if bill.posted.0 > OPERATION_MAX || bill.cost.overflow {
        bill.posted = NanoUsd(OPERATION_MAX);
        bill.flags = bill.flags.with(Flags::CAPPED);
    }
    bill
}

/// The price entry of the model that served, under the pinned rules; `false` if it is not known (then the entry of
/// the requested model is taken).
fn served_by(held: &Held, served: Option<&str>) -> (Option<Arc<ModelEntry>>, bool) {
    let pinned = held.entry.as_ref();
    let Some(served) = served.filter(|served| *served != &*held.model) else {
        return (pinned.cloned(), pinned.is_some());
    };
    let provider = pinned.map(|entry| &**entry.provider()).or(held.provider.as_deref());
    if pinned.is_some_and(|entry| &**entry.model() == served) {
        return (pinned.cloned(), true);
    }
    match held.rules.catalog.resolve(provider, served) {
        // The same model under another name keeps the entry that travelled with the hold.
        Resolution::Found { entry, .. } => match pinned {
            Some(pinned) if pinned.model() == entry.model() && pinned.provider() == entry.provider() => {
                (Some(Arc::clone(pinned)), true)
            }
            _ => (Some(Arc::clone(entry)), true),
        },
        Resolution::Unknown | Resolution::Ambiguous(_) => (pinned.cloned(), false),
    }
}

/// What selects the rates: the served tier beats the one that was asked for.
fn context(held: &Held, reply: &Reply) -> PriceContext {
    let asked = held.context.as_deref();
    PriceContext {
        at: held.started,
        ended_at: Some(held.state.now()),
        tier: reply.tier.or_else(|| asked.and_then(|context| context.tier)),
        speed: reply.speed.clone().or_else(|| asked.and_then(|context| context.speed.clone())),
        geo: reply.geo.clone().or_else(|| asked.and_then(|context| context.geo.clone())),
        ..asked.cloned().unwrap_or_default()
    }
}

pub(super) fn quantities(held: &Held, bill: &Bill) -> Quantities {
    let reserved = held.estimate.quantities;
    match (&held.kind, &bill.usage) {
        (CallKind::Tool { .. }, _) => {
            Quantities { usd: bill.posted.0, tool_calls: 1, ..Quantities::default() }
        }
        (CallKind::Model, Some(usage)) => Quantities::answered(bill.posted, usage),
        (CallKind::Model, None) if bill.flags.has(Flags::NO_USAGE) => {
            Quantities { concurrent: 0, ..reserved }
        }
        (CallKind::Model, None) => Quantities { usd: bill.posted.0, requests: 1, ..Quantities::default() },
    }
}

/// Of what is posted: the same settle again is a repetition, another one is refused.
pub(super) fn digest(used: &Quantities) -> u64 {
    foldhash::fast::FixedState::default().hash_one(used) | 1
}

/// Posts to the ledger, then tells everybody. What fails here changes no amount.
fn post(
    held: Held,
    bill: Bill,
    outcome: Outcome,
    write: impl FnOnce(&Held, Timestamp, crate::engine::HoldKey) -> Result<Settled>,
) -> Result<Receipt> {
    let now = held.state.now();
    let done = match held.key {
        Some(key) => write(&held, now, key)?,
        None => Settled::default(),
    };
    let mut flags = bill.flags.with(held.flags);
    for (set, flag) in [(done.late, Flags::LATE), (done.over_run, Flags::OVER_RUN)] {
        if set {
            flags = flags.with(flag);
        }
    }
    let id = Id(held.key.map_or(0, |key| key.id()));
    if !done.repeated {
        report::ended(&held, now, &bill, Some(flags), outcome);
    }
    if let Some(unpriced) = bill.unpriced.clone() {
        super::stops::deny_unpriced(&held.state, unpriced);
    }
    if bill.flags.has(Flags::CAPPED) {
        super::stops::stop_after_cap(&held.state, &held.scope);
    }
    let receipt = Receipt {
        id,
        provider: held
            .entry
            .as_ref()
            .map(|entry| Arc::clone(entry.provider()))
            .or_else(|| held.provider.clone()),
        model: held.entry.as_ref().map(|entry| entry.model()).or(held.tool()).unwrap_or(&held.model).clone(),
        response_model: bill.reply.model,
        usage: bill.usage,
        cost: bill.cost,
        posted: bill.posted,
        reserved: NanoUsd(held.estimate.quantities.usd),
        price_version: Arc::clone(held.rules.catalog.version()),
        flags,
        repeated: done.repeated,
        anomalies: bill.anomalies,
        remaining: done.remaining,
    };
    held.state.pass_on_events();
    let wanted = |kind| held.state.events.wants(kind);
    if !done.repeated && (wanted(EventKind::Settled) || (done.over_run && wanted(EventKind::OverRun))) {
        let shared = Arc::new(receipt.clone());
        held.state.events.send(&Event::Settled(Arc::clone(&shared)));
        if done.over_run {
            held.state.events.send(&Event::OverRun(shared));
        }
    }
    Ok(receipt)
}
