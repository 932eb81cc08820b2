//! A guard, and its cold methods by name.

use crate::failure::{full, gone, none, parse, text};
use crate::store;
use napi::bindgen_prelude::{AsyncTask, Env};
use napi::{Result, Task};
use napi_derive::napi;
use serde_json::{Value, json};
use spendrail::clock::Clock;
use spendrail::values::Bucket;
use spendrail::{Error, Guard, ffi};
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static HOOKED: Cell<bool> = const { Cell::new(false) };
}

/// Makes a guard from `{file, text, name, config, prices}`. `clock`: a manual clock or 0. `several`: what this thread
/// is one of several of, if it is.
#[napi(catch_unwind)]
pub fn guard_new(env: Env, args: String, clock: f64, several: Option<String>) -> f64 {
    if !HOOKED.replace(true) {
        // Without the hook a thread that ends would leak its guards, no more.
        let _ = env.add_env_cleanup_hook((), |()| store::clear());
    }
    none(build(&args, clock, several)).unwrap_or(0.0)
}

fn build(args: &str, clock: f64, several: Option<String>) -> std::result::Result<f64, Error> {
    let (mut builder, _) = ffi::builder(&parse(args)?)?;
    if let Some(clock) = store::with(|store| store.clocks.get(clock).cloned()) {
        builder = builder.clock(Clock::Manual(clock));
    }
    if let Some(several) = several {
        builder = builder.one_of_several(&several);
    }
    let guard = builder.build()?;
    store::with(|store| store.guards.insert(guard)).map_err(|_| full("guards"))
}

/// Nobody holds the guard any more.
#[napi(catch_unwind)]
pub fn guard_drop(guard: f64) {
    drop(store::with(|store| store.guards.remove(guard)));
}

/// A method that answers at once: its answer as JSON.
#[napi(catch_unwind)]
pub fn invoke(guard: f64, method: String, args: String) -> Option<String> {
    let answer = find(guard).and_then(|guard| ffi::invoke(&guard, &method, &parse(&args)?));
    none(answer).map(text)
}

/// A method that takes its time, on a thread of Node's pool: `{ok: …}` or `{error: …}`.
#[napi(ts_return_type = "Promise<string>")]
pub fn invoke_later(guard: f64, method: String, args: String) -> AsyncTask<Invoke> {
    AsyncTask::new(Invoke { guard: find(guard), method, args })
}

/// A method on its way through the pool.
pub struct Invoke {
    guard: std::result::Result<Guard, Error>,
    method: String,
    args: String,
}

impl Task for Invoke {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> Result<String> {
        let guard = self.guard.clone();
        Ok(told(guard.and_then(|guard| ffi::invoke(&guard, &self.method, &parse(&self.args)?))))
    }

    fn resolve(&mut self, _: Env, answer: String) -> Result<String> {
        Ok(answer)
    }
}

/// Plays entries against another configuration, on a thread of Node's pool: `{ok: …}` or `{error: …}`.
#[napi(ts_return_type = "Promise<string>")]
pub fn simulate_later(args: String) -> AsyncTask<Simulate> {
    AsyncTask::new(Simulate(args))
}

/// A simulation on its way through the pool.
pub struct Simulate(String);

impl Task for Simulate {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> Result<String> {
        Ok(told(parse(&self.0).and_then(|args| ffi::simulate(&args))))
    }

    fn resolve(&mut self, _: Env, answer: String) -> Result<String> {
        Ok(answer)
    }
}

/// An answer that is not asked for with `take_failure`: another thread gives it.
fn told(answer: std::result::Result<Value, Error>) -> String {
    text(match answer {
        Ok(answer) => json!({ "ok": answer }),
        Err(error) => json!({ "error": ffi::error(&error) }),
    })
}

/// Closes every guard of this thread within `timeout_ms`: the process ends.
#[napi(catch_unwind)]
pub fn close_all(timeout_ms: f64) {
    let guards: Vec<Guard> = store::with(|store| store.guards.iter().cloned().collect());
    let deadline = std::time::Instant::now() + Duration::from_millis(timeout_ms as u64);
    for guard in guards {
        guard.close(deadline.saturating_duration_since(std::time::Instant::now()));
    }
}

/// Whether these are labels of a scope.
#[napi(catch_unwind)]
pub fn check_scope(args: String) -> bool {
    none(parse(&args).and_then(|args| ffi::scope(&args))).is_some()
}

/// Tables that TypeScript needs: the names of the buckets, by number.
#[napi(catch_unwind)]
pub fn tables() -> String {
    let buckets: Vec<Value> = Bucket::ALL.iter().map(|bucket| json!(bucket.key())).collect();
    json!({ "buckets": buckets, "version": env!("CARGO_PKG_VERSION") }).to_string()
}

pub(crate) fn find(guard: f64) -> std::result::Result<Guard, Error> {
    store::with(|store| store.guards.get(guard).cloned()).ok_or_else(|| gone("guard"))
}
