//! The clock of tests.

use crate::failure::none;
use crate::store;
use napi_derive::napi;
use spendrail::clock::ManualClock;
use spendrail::values::Timestamp;

/// A clock that stands at `at` (RFC 3339); 0 if that is no instant.
#[napi(catch_unwind)]
pub fn clock_new(at: String) -> f64 {
    let clock = none(Timestamp::parse(&at).map(ManualClock::new));
    clock.and_then(|clock| store::with(|store| store.clocks.insert(clock).ok())).unwrap_or(0.0)
}

/// Puts it at `to`.
#[napi(catch_unwind)]
pub fn clock_set(clock: f64, to: String) -> bool {
    let to = none(Timestamp::parse(&to));
    to.is_some_and(|to| with(clock, |clock| clock.set(to)).is_some())
}

/// Moves it.
#[napi(catch_unwind)]
pub fn clock_advance(clock: f64, millis: f64) {
    with(clock, |clock| clock.advance(millis as i64));
}

/// Where it stands, in RFC 3339.
#[napi(catch_unwind)]
pub fn clock_now(clock: f64) -> Option<String> {
    with(clock, |clock| clock.now().to_string())
}

/// Nobody holds it any more.
#[napi(catch_unwind)]
pub fn clock_drop(clock: f64) {
    store::with(|store| store.clocks.remove(clock));
}

fn with<T>(clock: f64, body: impl FnOnce(&ManualClock) -> T) -> Option<T> {
    store::with(|store| store.clocks.get(clock).map(|clock| body(clock)))
}
