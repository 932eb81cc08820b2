//! Why there is no answer: left behind for the caller to fetch, because throwing from here costs microseconds.

use crate::store;
use napi_derive::napi;
use serde_json::{Value, json};
use spendrail::guard::ReserveError;
use spendrail::{Code, Error, ffi};

/// A denial or a fault.
pub(crate) type Failure = ffi::Failure;

/// Why the last function on this thread had no answer: `{denied: …}` or `{error: …}`.
#[napi(catch_unwind)]
pub fn take_failure() -> String {
    let told = match store::with(|store| store.failure.take()) {
        Some(Failure::Denied(denial)) => json!({ "denied": ffi::denial(&denial) }),
        Some(Failure::Failed(error)) => json!({ "error": ffi::error(&error) }),
        None => json!({ "error": ffi::error(&Error::new(Code::Internal, "nothing failed")) }),
    };
    text(told)
}

/// Every code with its kind and status, so that TypeScript can prove that it maps them all.
#[napi(catch_unwind)]
pub fn codes() -> String {
    let one = |code: &Code| json!({ "code": code.as_str(), "kind": format!("{:?}", code.kind()).to_lowercase(), "http_status": code.http_status() });
    Value::Array(Code::ALL.iter().map(one).collect()).to_string()
}

/// Keeps the reason and answers with "nothing".
pub(crate) fn none<T>(answer: Result<T, impl Into<Failure>>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(why) => {
            let why = why.into();
            store::with(|store| store.failure = Some(why));
            None
        }
    }
}

/// A handle that stands for nothing (any more).
pub(crate) fn gone(what: &str) -> Error {
    Error::new(Code::Closed, format!("the {what} is gone"))
}

/// The store is full of what nobody closed.
pub(crate) fn full(what: &str) -> Error {
    Error::new(Code::Internal, format!("more than 16 million open {what}"))
}

pub(crate) fn denied_or_failed(error: ReserveError) -> Failure {
    error.into()
}

/// JSON whose whole numbers JavaScript can read without loss: those beyond 2⁵³ are written as text.
pub(crate) fn text(mut value: Value) -> String {
    exact(&mut value);
    value.to_string()
}

fn exact(value: &mut Value) {
    const SAFE: u64 = (1 << 53) - 1;
    match value {
        Value::Number(number) => {
            let lossy = number.as_i64().map(i64::unsigned_abs).or(number.as_u64()).is_some_and(|n| n > SAFE);
            if lossy {
                *value = Value::String(number.to_string());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(exact),
        Value::Object(map) => map.values_mut().for_each(exact),
        _ => {}
    }
}

/// Reads the JSON that TypeScript wrote.
pub(crate) fn parse(args: &str) -> Result<Value, Error> {
    serde_json::from_str(args).map_err(|why| {
        Error::new(Code::ArgumentInvalid, format!("the arguments are no JSON: {why}"))
            .hint("a text with half of a surrogate pair is not valid Unicode")
    })
}
