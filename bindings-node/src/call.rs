//! From a call to a hold: by arguments on the fast path, by JSON for everything unusual, by a provider's request.
#![allow(clippy::too_many_arguments, reason = "an object would cost more than the rest of the call")]

use crate::failure::{Failure, full, gone, none, parse, text};
use crate::guard::find;
use crate::text::Text;
use crate::{hold, store};
use napi::bindgen_prelude::{Env, JsValue, Object};
use napi_derive::napi;
use spendrail::engine::Decision;
use spendrail::guard::{Outcome, Passage, Run};
use spendrail::requests::{self, Api};
use spendrail::telemetry::ParentSpan;
use spendrail::values::{Dimension, Scope};
use spendrail::{Call, Code, Error, Guard, ffi};
use std::sync::Arc;

/// What many calls have in common: who asks which model for whom, and in which run. It is kept for the latest few
/// thousand under a handle, because an application repeats itself and every text on its way costs as much as a step of
/// the engine. The labels are complete: those around the call are among them. Returns the handle, or 0.
#[napi(catch_unwind)]
pub fn form(
    run: f64,
    provider: Option<Text>,
    model: Text,
    tenant: Option<Text>,
    user: Option<Text>,
    feature: Option<Text>,
    agent: Option<Text>,
    session: Option<Text>,
) -> f64 {
    let make = || -> Result<Call, Error> {
        let provider = provider.as_ref().map_or(Ok(""), |text| text.get("provider"))?;
        let call = Call::new(provider, model.get("model")?);
        let mut scope = Scope::default();
        let labels = [
            (Dimension::Tenant, "tenant", &tenant),
            (Dimension::User, "user", &user),
            (Dimension::Feature, "feature", &feature),
            (Dimension::Agent, "agent", &agent),
            (Dimension::Session, "session", &session),
        ];
        for (dimension, field, value) in labels {
            if let Some(value) = value {
                scope.set(&dimension, Some(value.get(field)?))?;
            }
        }
        if run > 0.0 {
            scope.run.clone_from(&find_run(run)?.scope().run);
        }
        Ok(call.whole_scope(Arc::new(scope)))
    };
    none(make()).map_or(0.0, |call| store::with(|store| store.forms.insert(call)))
}

/// A call of this form. Token counts below zero are absent. `parent`: trace id and span id in hex and `1` if it is
/// sampled, joined by `-`. Returns the hold, 0, or -1 if the form is not kept any longer.
pub(crate) fn reserve(
    guard: f64,
    run: f64,
    form: f64,
    input: f64,
    output: f64,
    parent: Option<&Text>,
) -> f64 {
    let Some(mut call) = store::with(|store| store.forms.get(form).cloned()) else { return -1.0 };
    if input >= 0.0 {
        call = call.input_tokens(input as u64);
    }
    if output >= 0.0 {
        call = call.max_output_tokens(output as u64);
    }
    let hold = || {
        if let Some(parent) = parent {
            call = call.parent(read_parent(parent.get("parent")?)?);
        }
        admit(&Place::of(guard, run)?, &call)
    };
    none(hold()).unwrap_or(0.0)
}

/// A call as JSON and its labels as JSON, read by the core. `kept`: what keeps the hold.
#[napi(catch_unwind)]
pub fn reserve_json(env: Env, guard: f64, run: f64, args: String, labels: String, kept: Object) -> f64 {
    keep(env, kept, held(guard, run, || read(&args, &labels)))
}

/// A provider's request: `args`, `labels` and `kept` as above, the API's name, the path and the body as JSON.
#[napi(catch_unwind)]
pub fn reserve_request(
    env: Env,
    guard: f64,
    run: f64,
    args: String,
    labels: String,
    api: String,
    path: String,
    body: String,
    kept: Object,
) -> f64 {
    let call = || {
        let (call, scope) = read(&args, &labels)?;
        Ok((call.request(read_request(&api, &path, &body)?), scope))
    };
    keep(env, kept, held(guard, run, call))
}

/// Would the call be admitted now? The answer as JSON.
#[napi(catch_unwind)]
pub fn check(guard: f64, run: f64, args: String, labels: String) -> Option<String> {
    let ask = || -> Result<Decision, Error> {
        let place = Place::of(guard, run)?;
        let call = place.call(read(&args, &labels)?);
        match place {
            Place::Run(run) => run.check(&call),
            Place::Guard(guard) => guard.check(&call),
        }
    };
    none(ask()).map(|decision| text(ffi::decision(&decision)))
}

fn read(args: &str, labels: &str) -> Result<(Call, Scope), Error> {
    Ok((ffi::call(&parse(args)?)?, ffi::scope(&parse(labels)?)?))
}

/// What becomes of a request that a wrapped client is about to send: the name of its API if it must be reserved, `""` if
/// it may pass as it is.
#[napi(catch_unwind)]
pub fn passage(
    guard: f64,
    run: f64,
    args: String,
    labels: String,
    method: String,
    path: String,
) -> Option<String> {
    let look = || -> Result<Passage, Failure> {
        let call = Place::of(guard, run)?.call(read(&args, &labels)?);
        Ok(find(guard)?.passage(&call, &method, &path)?)
    };
    Some(match none(look())? {
        Passage::Guarded(api) => api.as_str().to_owned(),
        Passage::Free | Passage::Unguarded => String::new(),
    })
}

/// Whether to ask the provider for the usage of this streamed reply: the caller did not decide.
#[napi(catch_unwind)]
pub fn request_wants_usage(api: String, path: String, body: String) -> bool {
    read_request(&api, &path, &body).is_ok_and(|request| request.wants_usage_chunk())
}

fn read_request(api: &str, path: &str, body: &str) -> Result<requests::Request, Error> {
    let api = Api::parse(api)
        .ok_or_else(|| Error::new(Code::ArgumentInvalid, "is not a known API").field("api"))?;
    let body = ffi::foreign(body)
        .map_err(|why| Error::new(Code::ArgumentInvalid, why.to_string()).field("request.body"))?;
    requests::read_at(api, path, &body).map_err(|error| error.within("request.body"))
}

fn read_parent(text: &str) -> Result<ParentSpan, Error> {
    let bad = || Error::new(Code::ArgumentInvalid, "is not a span").field("parent");
    let mut parts = text.split('-');
    let (trace, span) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    Ok(ParentSpan {
        trace_id: u128::from_str_radix(trace, 16).map_err(|_| bad())?,
        span_id: u64::from_str_radix(span, 16).map_err(|_| bad())?,
        sampled: parts.next() == Some("1"),
        is_remote: false,
    })
}

/// Where a call is made: in a run, or outside of one (its handle is 0 then).
enum Place {
    Run(Run),
    Guard(Guard),
}

impl Place {
    fn of(guard: f64, run: f64) -> Result<Self, Error> {
        if run > 0.0 {
            return find_run(run).map(Self::Run);
        }
        find(guard).map(Self::Guard)
    }

    /// The labels are complete; only the run itself is known here.
    fn call(&self, (call, mut scope): (Call, Scope)) -> Call {
        if let Self::Run(run) = self {
            scope.run.clone_from(&run.scope().run);
        }
        call.whole_scope(Arc::new(scope))
    }
}

fn find_run(run: f64) -> Result<Run, Error> {
    store::with(|store| store.runs.get(run).cloned()).ok_or_else(|| gone("run"))
}

fn held(guard: f64, run: f64, call: impl FnOnce() -> Result<(Call, Scope), Error>) -> Result<f64, Failure> {
    let place = Place::of(guard, run)?;
    admit(&place, &place.call(call()?))
}

fn keep(env: Env, kept: Object, held: Result<f64, Failure>) -> f64 {
    none(held).map_or(0.0, |hold| hold::keep(env.raw(), kept.raw(), hold))
}

fn admit(place: &Place, call: &Call) -> Result<f64, Failure> {
    insert(match place {
        Place::Run(run) => run.try_reserve(call)?,
        Place::Guard(guard) => guard.try_reserve(call)?,
    })
}

fn insert(outcome: Outcome) -> Result<f64, Failure> {
    match outcome {
        Outcome::Held(hold) => store::with(|store| store.holds.insert(store::Place::Open(hold)))
            .map_err(|_| Failure::Failed(full("holds"))),
        Outcome::Denied(denial) => Err(Failure::Denied(denial)),
        // Only a shared ledger answers later; there is none yet.
        Outcome::Pending(ticket) => insert(ticket.wait()),
    }
}
