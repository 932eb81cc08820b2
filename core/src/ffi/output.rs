//! Answers, written as JSON.

use crate::catalog::{FileReport, Listed, Note, PriceReport};
use crate::engine::{Balance, Decision, Denial, Failure};
use crate::error::Error;
use crate::guard::{Event, ReloadReport};
use crate::policy::Enforce;
use crate::telemetry::FlushReport;
use crate::values::{Dimension, Label, Scope, Timestamp};
use serde_json::{Map, Value, json};

fn time(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| Value::String(at.to_string()))
}

fn dimensions(dimensions: &[(Dimension, Option<Label>)]) -> Value {
    let one =
        |(dimension, value): &(Dimension, Option<Label>)| (dimension.to_string(), json!(value.as_deref()));
    Value::Object(dimensions.iter().map(one).collect())
}

/// A scope: only the labels that are there.
#[must_use]
pub fn scope(scope: &Scope) -> Value {
    let plain = ["tenant", "user", "feature", "agent", "run", "session"];
    let mut out = Map::new();
    for key in plain {
        if let Some(value) = Dimension::parse(key).and_then(|dimension| scope.get(&dimension).cloned()) {
            out.insert(key.to_owned(), json!(&*value));
        }
    }
    if !scope.tags.is_empty() {
        let tags: Map<String, Value> = scope.tags.iter().map(|(k, v)| (k.to_string(), json!(&**v))).collect();
        out.insert("tags".to_owned(), Value::Object(tags));
    }
    Value::Object(out)
}

/// A denial.
#[must_use]
pub fn denial(denial: &Denial) -> Value {
    json!({
        "code": denial.code.as_str(),
        "message": denial.to_string(),
        "failures": denial.failures.iter().map(failure).collect::<Vec<_>>(),
        "max_output_tokens": denial.max_output_tokens,
        "retry_at": time(denial.retry_at),
        "retry_after_ms": denial.retry_after_ms(),
        "http_status": denial.code.http_status(),
        "denied_at": denial.denied_at.to_string(),
        "subject": denial.refusal.as_ref().map(|refusal| &*refusal.subject),
        "problem": problem(denial),
    })
}

pub(super) fn failure(failure: &Failure) -> Value {
    let balance = &failure.balance;
    json!({
        "budget": &*balance.budget,
        "scope": dimensions(&balance.scope),
        "unit": balance.unit.as_str(),
        "limit": balance.limit.saturating_add(balance.topped_up),
        "spent": balance.spent,
        "held": balance.held,
        "unconfirmed": balance.unconfirmed,
        "available": balance.available,
        "wanted": failure.wanted,
        "enforce": match failure.enforce {
            Enforce::Hard => "hard",
            Enforce::Soft => "soft",
            Enforce::Observe => "observe",
        },
        "resets_at": time(balance.resets_at),
    })
}

/// A denial as a problem document (RFC 9457): nothing internal, no budget's name, no labels.
#[must_use]
pub fn problem(denial: &Denial) -> Value {
    let status = denial.code.http_status();
    let title = match status {
        402 => "The budget for this request is used up",
        429 => "Too many requests",
        503 => "The service cannot take this request now",
        _ => "This request is not allowed",
    };
    let mut out =
        json!({ "type": "about:blank", "title": title, "status": status, "code": denial.code.as_str() });
    if let Some(map) = out.as_object_mut() {
        if let Some(at) = denial.retry_at {
            map.insert("retry_at".to_owned(), json!(at.to_string()));
        }
        if let Some(tokens) = denial.max_output_tokens {
            map.insert("max_output_tokens".to_owned(), json!(tokens));
        }
    }
    out
}

/// The answer of `check`.
#[must_use]
pub fn decision(decision: &Decision) -> Value {
    json!({
        "allowed": decision.allowed,
        "denial": decision.denial.as_ref().map(denial),
        "worst_case_nano_usd": decision.worst_case_nano_usd,
        "input_tokens": decision.input_tokens,
        "output_tokens": decision.output_tokens,
    })
}

/// One account.
#[must_use]
pub fn balance(balance: &Balance) -> Value {
    json!({
        "budget": &*balance.budget,
        "unit": balance.unit.as_str(),
        "scope": dimensions(&balance.scope),
        "limit": balance.limit,
        "topped_up": balance.topped_up,
        "spent": balance.spent,
        "held": balance.held,
        "escrowed": 0,
        "unconfirmed": balance.unconfirmed,
        "available": balance.available,
        "window_start": time(balance.window_start),
        "resets_at": time(balance.resets_at),
        "as_of": balance.as_of.to_string(),
    })
}

/// An error.
#[must_use]
pub fn error(error: &Error) -> Value {
    json!({
        "code": error.code().as_str(),
        "message": error.to_string(),
        "field": error.field_name(),
        "hint": error.hint_text(),
        "file": error.file(),
        "line": error.line(),
    })
}

/// What a reload did.
#[must_use]
pub fn reload_report(report: &ReloadReport) -> Value {
    let names = |labels: &[Label]| labels.iter().map(|label| label.to_string()).collect::<Vec<_>>();
    json!({
        "changed": report.changed,
        "generation": report.generation,
        "price_version": &*report.price_version,
        "prices_changed": report.prices_changed,
        "models_added": listed(&report.models_added, |name| json!(&**name)),
        "models_removed": listed(&report.models_removed, |name| json!(&**name)),
        "models_repriced": listed(&report.models_repriced, |name| json!(&**name)),
        "prices": price_report(&report.prices),
        "added": names(&report.added),
        "removed": names(&report.removed),
        "warnings": report.warnings,
    })
}

/// How many there are, and the first hundred.
fn listed<T>(listed: &Listed<T>, show: impl Fn(&T) -> Value) -> Value {
    json!({ "count": listed.count, "first": listed.first.iter().map(show).collect::<Vec<_>>() })
}

/// What the price files brought.
#[must_use]
pub fn price_report(report: &PriceReport) -> Value {
    let note = |note: &Note| json!({ "entry": &*note.entry, "field": &*note.field, "why": &*note.why });
    let file = |file: &FileReport| {
        json!({
            "file": file.file,
            "format": file.format.as_str(),
            "models": file.models,
            "skipped": listed(&file.skipped, note),
            "rounded": listed(&file.rounded, note),
            "quarantined": listed(&file.quarantined, note),
        })
    };
    json!({ "files": report.files.iter().map(file).collect::<Vec<_>>() })
}

/// What a flush delivered.
#[must_use]
pub fn flush_report(report: &FlushReport) -> Value {
    json!({
        "complete": report.complete,
        "exported": report.exported,
        "dropped": report.dropped,
        "failed": report.failed,
        "last_error": report.last_error,
    })
}

/// An event, with its kind under `event`.
#[must_use]
pub fn event(event: &Event) -> Value {
    let kind = event.kind().as_str();
    match event {
        Event::Settled(receipt) | Event::OverRun(receipt) | Event::CostDiffers(receipt) => {
            json!({ "event": kind, "receipt": super::receipt(receipt) })
        }
        Event::Denied(denied, scope_) | Event::Loop(denied, scope_) => {
            json!({ "event": kind, "denial": denial(denied), "scope": scope(scope_) })
        }
        Event::Threshold(account, basis_points) => {
            json!({ "event": kind, "balance": balance(account), "basis_points": basis_points })
        }
        Event::Stopped(id, reason, active) => {
            json!({ "event": kind, "stop_id": &**id, "reason": &**reason, "active": active })
        }
        Event::Reloaded(report) => json!({ "event": kind, "report": reload_report(report) }),
        Event::ReloadFailed(failed) => json!({ "event": kind, "error": error(failed) }),
    }
}
