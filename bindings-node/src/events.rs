//! Events, brought to the main loop. A listener does not keep the process alive.

use crate::failure::{none, text};
use crate::guard::find;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use spendrail::guard::EventKind;
use spendrail::{Code, Error, ffi};

/// How many events may wait for the main loop; more are dropped.
const WAITING_MAX: usize = 1024;

/// Calls `listener` with every event of this kind, as JSON.
#[napi]
pub fn subscribe(guard: f64, kind: String, listener: Function<String, ()>) -> napi::Result<bool> {
    let listener =
        listener.build_threadsafe_function().weak::<true>().max_queue_size::<WAITING_MAX>().build()?;
    let call = move |event: spendrail::guard::Event| {
        listener.call(text(ffi::event(&event)), ThreadsafeFunctionCallMode::NonBlocking);
    };
    let subscribed = find(guard).and_then(|guard| {
        let kind = EventKind::parse(&kind).ok_or_else(|| {
            let names: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
            Error::new(Code::ArgumentInvalid, "there is no such event").field("event").hint(names.join(", "))
        })?;
        guard.on(&[kind], call)
    });
    Ok(none(subscribed).is_some())
}
