//! What becomes of a hold.
#![allow(clippy::too_many_arguments, reason = "an object would cost more than the rest of the call")]

use crate::failure::{none, parse, text};
use crate::store;
use napi_derive::napi;
use serde_json::{Value, json};
use spendrail::ffi::HoldFacts;
use spendrail::guard::{Hold, Receipt, Settlement};
use spendrail::requests::Api;
use spendrail::telemetry::SpanIds;
use spendrail::values::{Bucket, Usage};
use spendrail::{Code, Error, ffi};

/// What was reserved, as JSON; `null` for a hold that is closed.
#[napi(catch_unwind)]
pub fn hold_facts(hold: f64) -> Option<String> {
    store::with(|store| store.holds.get(hold).map(|hold| text(ffi::hold(hold))))
}

/// Its span: trace id, span id and whether it is sampled, joined by `-`; `null` where no spans are made.
#[napi(catch_unwind)]
pub fn hold_span(hold: f64) -> Option<String> {
    store::with(|store| store.holds.get(hold).map(|hold| hold.span())).and_then(span)
}

pub(crate) fn span(ids: SpanIds) -> Option<String> {
    let sampled = u8::from(ids.sampled);
    (ids.span_id != 0).then(|| format!("{:032x}-{:016x}-{sampled}", ids.trace_id, ids.span_id))
}

/// Settles with up to four buckets, each a number of [`crate::guard::tables`] and a quantity; below zero is absent.
/// Returns the receipt.
#[napi(catch_unwind)]
pub fn settle_usage(
    hold: f64,
    bucket_1: f64,
    quantity_1: f64,
    bucket_2: f64,
    quantity_2: f64,
    bucket_3: f64,
    quantity_3: f64,
    bucket_4: f64,
    quantity_4: f64,
) -> Option<String> {
    let mut usage = Usage::new();
    for (bucket, quantity) in
        [(bucket_1, quantity_1), (bucket_2, quantity_2), (bucket_3, quantity_3), (bucket_4, quantity_4)]
    {
        if bucket >= 0.0
            && let Some(bucket) = Bucket::ALL.get(bucket as usize)
        {
            usage.add(*bucket, quantity as u64);
        }
    }
    end(hold, |hold| hold.try_settle(Settlement::Usage(&usage), None))
}

/// Settles with what the JSON says: `{usage}`, `{inclusive}`, `{reply}`, `{cost}`, or nothing: as reserved.
#[napi(catch_unwind)]
pub fn settle(hold: f64, with: String, error_type: Option<String>) -> Option<String> {
    let with = none(parse(&with).and_then(|with| ffi::settle_with(&with)))?;
    end(hold, |hold| hold.try_settle(Settlement::from(&with), error_type.as_deref()))
}

/// The usage that `{usage}` or `{inclusive}` says, as the core reads it.
#[napi(catch_unwind)]
pub fn usage(with: String) -> Option<String> {
    let read = |with: String| match ffi::settle_with(&parse(&with)?)? {
        ffi::Settle::Usage(usage) => Ok(usage),
        _ => Err(Error::new(Code::ArgumentInvalid, "is missing").field("usage")),
    };
    let usage = none(read(with))?;
    let buckets = usage.iter().map(|(bucket, quantity)| (bucket.key().to_owned(), json!(quantity)));
    Some(Value::Object(buckets.collect()).to_string())
}

/// Settles with a provider's reply as JSON.
#[napi(catch_unwind)]
pub fn settle_reply(hold: f64, reply: String, error_type: Option<String>) -> Option<String> {
    let reply: Value = none(serde_json::from_str(&reply).map_err(|why| {
        Error::new(Code::UsageInvalid, format!("the reply is no JSON: {why}")).field("reply")
    }))?;
    end(hold, |hold| hold.try_settle(Settlement::Reply(&reply), error_type.as_deref()))
}

/// The reply comes in pieces. `api`: how they are to be read.
#[napi(catch_unwind)]
pub fn stream(hold: f64, api: Option<String>) {
    let api = api.as_deref().and_then(Api::parse);
    store::with(|store| store.holds.get(hold).map(|hold| hold.stream(api)));
}

/// One piece, as JSON. `true`: it says nothing but the usage.
#[napi(catch_unwind)]
pub fn chunk(hold: f64, event: String) -> bool {
    let Ok(event) = serde_json::from_str::<Value>(&event) else { return false };
    store::with(|store| store.holds.get(hold).is_some_and(|hold| hold.chunk(&event)))
}

/// The last word on the usage has arrived.
#[napi(catch_unwind)]
pub fn is_complete(hold: f64) -> bool {
    store::with(|store| store.holds.get(hold).is_some_and(|hold| hold.is_complete()))
}

/// The stream has ended.
#[napi(catch_unwind)]
pub fn finish(hold: f64) -> Option<String> {
    end(hold, Hold::finish)
}

/// We closed the stream.
#[napi(catch_unwind)]
pub fn close(hold: f64) -> Option<String> {
    end(hold, Hold::close)
}

/// The connection broke, or time ran out.
#[napi(catch_unwind)]
pub fn cut(hold: f64, error_type: Option<String>) -> Option<String> {
    end(hold, |hold| hold.cut(error_type.as_deref()))
}

/// Nothing was billed.
#[napi(catch_unwind)]
pub fn release(hold: f64, error_type: Option<String>) -> bool {
    take(hold, |hold| hold.release(error_type.as_deref())).is_some()
}

/// The token that takes the hold's place.
#[napi(catch_unwind)]
pub fn detach(hold: f64) -> Option<String> {
    take(hold, Hold::detach)
}

/// Nobody holds it any more. Nothing happens if it was closed before.
#[napi(catch_unwind)]
pub fn abandon(hold: f64) {
    drop(store::with(|store| store.holds.remove(hold)));
}

fn end(handle: f64, how: impl FnOnce(&mut Hold) -> Result<Receipt, Error>) -> Option<String> {
    take(handle, |hold| {
        // What was reserved stays to be read after the hold is closed.
        let held = HoldFacts::of(hold);
        Ok(ffi::receipt_text(&how(hold)?, Some(&held)))
    })
}

/// Works on an open hold. It stays open if that fails: an answer that cannot be read.
fn take<T>(handle: f64, how: impl FnOnce(&mut Hold) -> Result<T, Error>) -> Option<T> {
    let closed = || Error::new(Code::HoldClosed, "the hold is closed already");
    let answer = store::with(|store| store.holds.get(handle).ok_or_else(closed).and_then(how));
    if answer.is_ok() {
        abandon(handle);
    }
    none(answer)
}
