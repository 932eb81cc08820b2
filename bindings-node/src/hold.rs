//! What becomes of a hold. Settling answers how it went (0, [`KEPT`], [`READ_NOW`]); the receipt stays here until it is
//! read, because writing its text costs more than the settle, and most are never read.
use crate::failure::{none, parse, text};
use crate::store::{self, Place};
use napi::sys;
use napi_derive::napi;
use serde_json::{Value, json};
use spendrail::ffi::HoldFacts;
use spendrail::guard::{Hold, Receipt, Settlement};
use spendrail::requests::Api;
use spendrail::telemetry::SpanIds;
use spendrail::values::{Bucket, Usage};
use spendrail::{Code, Error, ffi};
use std::ffi::c_void;
use std::ptr::null_mut;

/// Settled; the receipt is kept under the hold's handle.
const KEPT: u32 = 1;
/// Settled; more receipts are kept than should be, so this one is to be read at once.
const READ_NOW: u32 = 2;
/// How many unread receipts may wait (about a kilobyte each). JavaScript frees what it lost only when it has time, and
/// a loop that never waits for anything gives it none.
const RECEIPTS_MAX: usize = 1 << 15;

/// What was reserved, as JSON; `null` for a hold that is closed.
#[napi(catch_unwind)]
pub fn hold_facts(hold: f64) -> Option<String> {
    store::with(|store| store.hold(hold).map(|hold| text(ffi::hold(hold))))
}

/// Its span: trace id, span id and whether it is sampled, joined by `-`; `null` where no spans are made.
#[napi(catch_unwind)]
pub fn hold_span(hold: f64) -> Option<String> {
    store::with(|store| store.hold(hold).map(|hold| hold.span())).and_then(span)
}

pub(crate) fn span(ids: SpanIds) -> Option<String> {
    let sampled = u8::from(ids.sampled);
    (ids.span_id != 0).then(|| format!("{:032x}-{:016x}-{sampled}", ids.trace_id, ids.span_id))
}

/// Settles with buckets, each a number of [`crate::guard::tables`] and a quantity; below zero is absent.
pub(crate) fn settle_usage(hold: f64, buckets: &[(f64, f64)]) -> u32 {
    let mut usage = Usage::new();
    for &(bucket, quantity) in buckets {
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
pub fn settle(hold: f64, with: String, error_type: Option<String>) -> u32 {
    let Some(with) = none(parse(&with).and_then(|with| ffi::settle_with(&with))) else { return 0 };
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
pub fn settle_reply(hold: f64, reply: String, error_type: Option<String>) -> u32 {
    let reply = ffi::foreign(&reply)
        .map_err(|why| Error::new(Code::UsageInvalid, format!("the reply is no JSON: {why}")).field("reply"));
    let Some(reply) = none(reply) else { return 0 };
    end(hold, |hold| hold.try_settle(Settlement::Reply(&reply), error_type.as_deref()))
}

/// The reply comes in pieces. `api`: how they are to be read.
#[napi(catch_unwind)]
pub fn stream(hold: f64, api: Option<String>) {
    let api = api.as_deref().and_then(Api::parse);
    store::with(|store| store.hold(hold).map(|hold| hold.stream(api)));
}

/// One piece, as JSON. `true`: it says nothing but the usage.
#[napi(catch_unwind)]
pub fn chunk(hold: f64, event: String) -> bool {
    let Ok(event) = ffi::foreign(&event) else { return false };
    store::with(|store| store.hold(hold).is_some_and(|hold| hold.chunk(&event)))
}

/// The last word on the usage has arrived.
#[napi(catch_unwind)]
pub fn is_complete(hold: f64) -> bool {
    store::with(|store| store.hold(hold).is_some_and(|hold| hold.is_complete()))
}

/// The stream has ended.
#[napi(catch_unwind)]
pub fn finish(hold: f64) -> u32 {
    end(hold, Hold::finish)
}

/// We closed the stream.
#[napi(catch_unwind)]
pub fn close(hold: f64) -> u32 {
    end(hold, Hold::close)
}

/// The connection broke, or time ran out.
#[napi(catch_unwind)]
pub fn cut(hold: f64, error_type: Option<String>) -> u32 {
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

/// An attempt was sent and nobody answered it; the call is sent again.
#[napi(catch_unwind)]
pub fn lost_attempt(hold: f64) -> bool {
    none(open(hold, |hold| {
        hold.lost_attempt();
        Ok(())
    }))
    .is_some()
}

/// The receipt of a settled hold, as JSON; it is not kept any longer.
#[napi(catch_unwind)]
pub fn receipt_text(hold: f64) -> Option<String> {
    store::with(|store| match store.holds.get(hold) {
        Some(Place::Settled(receipt, held)) => {
            let text = ffi::receipt_text(receipt, Some(held));
            store.let_go(hold);
            Some(text)
        }
        _ => None,
    })
}

/// What a settled hold posted, in nano-USD, as long as its receipt is not read.
#[napi(catch_unwind)]
pub fn receipt_posted(hold: f64) -> Option<f64> {
    store::with(|store| match store.holds.get(hold) {
        // One operation is at most 2^52.
        Some(Place::Settled(receipt, _)) => Some(receipt.posted.0 as f64),
        _ => None,
    })
}

/// The hold, and then its receipt, is here for as long as the object `kept` lives. Returns the hold, or 0 if it cannot be
/// watched. (A `FinalizationRegistry` would do the same, but what it watches outlives every minor collection: a receipt
/// that nobody reads would stay for minutes.)
#[expect(unsafe_code, reason = "Node-API is C; napi offers finalizers for its own values only")]
pub(crate) fn keep(env: sys::napi_env, kept: sys::napi_value, hold: f64) -> f64 {
    const { assert!(usize::BITS >= 64, "a pointer must be wide enough for a handle") };
    let handle = std::ptr::without_provenance_mut(hold as usize);
    // SAFETY: `kept` is a value of `env`; the data is a number in a pointer's clothes, nothing is read through it.
    let status = unsafe { sys::napi_add_finalizer(env, kept, handle, Some(let_go), null_mut(), null_mut()) };
    if status == sys::Status::napi_ok {
        return hold;
    }
    abandon(hold);
    none(Err::<f64, _>(Error::new(Code::Internal, "the hold cannot be watched"))).unwrap_or(0.0)
}

/// Called by Node-API when the object of [`keep`] was collected, outside of the collection.
extern "C" fn let_go(_: sys::napi_env, handle: *mut c_void, _: *mut c_void) {
    // A panic must not reach C.
    let _ = std::panic::catch_unwind(|| abandon(handle.addr() as f64));
}

/// Nobody holds it any more, nor its receipt. Nothing happens if both are gone already.
#[napi(catch_unwind)]
pub fn abandon(hold: f64) {
    drop(store::with(|store| store.let_go(hold)));
}

fn end(handle: f64, how: impl FnOnce(&mut Hold) -> Result<Receipt, Error>) -> u32 {
    let ended = open(handle, |hold| {
        // What was reserved stays to be read after the hold is closed.
        let held = HoldFacts::of(hold);
        Ok((how(hold)?, held))
    });
    let Some((receipt, held)) = none(ended) else { return 0 };
    let kept = store::with(|store| store.settle(handle, receipt, held));
    if kept > RECEIPTS_MAX { READ_NOW } else { KEPT }
}

/// Works on an open hold and closes it. It stays open if that fails.
fn take<T>(handle: f64, how: impl FnOnce(&mut Hold) -> Result<T, Error>) -> Option<T> {
    let answer = open(handle, how);
    if answer.is_ok() {
        abandon(handle);
    }
    none(answer)
}

/// Works on an open hold: an answer that cannot be read leaves it open.
fn open<T>(handle: f64, how: impl FnOnce(&mut Hold) -> Result<T, Error>) -> Result<T, Error> {
    let closed = || Error::new(Code::HoldClosed, "the hold is closed already");
    store::with(|store| store.hold(handle).ok_or_else(closed).and_then(how))
}
