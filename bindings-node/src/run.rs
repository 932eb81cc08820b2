//! Agent runs.

use crate::failure::{Failure, denied_or_failed, full, gone, none, parse, text};
use crate::guard::find;
use crate::hold::span;
use crate::store;
use napi_derive::napi;
use serde_json::{Value, json};
use spendrail::ffi;
use spendrail::guard::Run;
use spendrail::values::NanoUsd;

/// Starts a run, or with `above` a child run of that one. Returns its handle, or 0.
#[napi(catch_unwind)]
pub fn run_start(guard: f64, above: f64, args: String) -> f64 {
    none(start(guard, above, &args)).unwrap_or(0.0)
}

fn start(guard: f64, above: f64, args: &str) -> Result<f64, Failure> {
    let options = ffi::run_options(&parse(args)?)?;
    let run = if above > 0.0 {
        let above: Option<Run> = store::with(|store| store.runs.get(above).cloned());
        above.ok_or_else(|| gone("run"))?.child(options)
    } else {
        find(guard)?.start_run(options)
    };
    let run = run.map_err(denied_or_failed)?;
    store::with(|store| store.runs.insert(run)).map_err(|_| Failure::Failed(full("runs")))
}

/// A run that was started elsewhere: its token, or the headers that carry it, as JSON. Returns its handle, or 0.
#[napi(catch_unwind)]
pub fn run_resume(guard: f64, carried: String) -> f64 {
    none(resume(guard, &carried)).unwrap_or(0.0)
}

fn resume(guard: f64, carried: &str) -> Result<f64, Failure> {
    let run = find(guard)?.resume_run(&ffi::run_token(&parse(carried)?)?)?;
    store::with(|store| store.runs.insert(run)).map_err(|_| Failure::Failed(full("runs")))
}

/// The headers that carry it, as a JSON object.
#[napi(catch_unwind)]
pub fn run_headers(run: f64) -> Option<String> {
    let run = store::with(|store| store.runs.get(run).cloned());
    let headers = none(run.ok_or_else(|| gone("run")).and_then(|run| run.headers()))?;
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value)));
    Some(text(Value::Object(headers.collect())))
}

/// `{id, scope, span}`: what does not change.
#[napi(catch_unwind)]
pub fn run_facts(run: f64) -> Option<String> {
    let facts = |run: &mut Run| json!({ "id": &**run.id(), "scope": ffi::scope_json(run.scope()), "span": span(run.span()) });
    store::with(|store| store.runs.get(run).map(facts)).map(text)
}

/// `{spent, spent_nano_usd, remaining, remaining_nano_usd, balances}`: what changes.
#[napi(catch_unwind)]
pub fn run_state(run: f64) -> Option<String> {
    let run = store::with(|store| store.runs.get(run).cloned())?;
    let (spent, remaining) = (run.spent(), run.remaining());
    let shown = |amount: NanoUsd| amount.to_string();
    let balances: Vec<Value> = run.balances().iter().map(ffi::balance).collect();
    Some(text(json!({
        "spent": shown(spent),
        "spent_nano_usd": spent.0,
        "remaining": remaining.map(shown),
        "remaining_nano_usd": remaining.map(|left| left.0),
        "balances": balances,
    })))
}

/// Ends a run; `error_type`: it failed.
#[napi(catch_unwind)]
pub fn run_end(run: f64, error_type: Option<String>) {
    let run = store::with(|store| store.runs.get(run).cloned());
    match (run, error_type) {
        (Some(run), Some(error_type)) => run.fail(&error_type),
        (Some(run), None) => run.end(),
        (None, _) => {}
    }
}

/// Nobody holds it any more: it ends.
#[napi(catch_unwind)]
pub fn run_drop(run: f64) {
    drop(store::with(|store| store.runs.remove(run)));
}
