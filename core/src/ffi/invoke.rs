//! Every method of a guard that is not on the hot path, by name.

use super::input::{self, needed, read};
use super::output;
use crate::catalog::{PriceContext, Tier};
use crate::codes::Code;
use crate::engine::Denial;
use crate::error::{Error, Result};
use crate::guard::{BalanceQuery, Guard, Limit, PriceQuery, ReserveError, Settlement};
use crate::policy::tree::Table;
use crate::requests::{self, Endpoint};
use crate::values::{Label, Timestamp, Usage};
use serde_json::{Value, json};
use std::time::Duration;

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// The answer is no.
    Denied(Box<Denial>),
    /// A fault.
    Failed(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ReserveError> for Failure {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::Denied(denial) => Self::Denied(denial),
            ReserveError::Failed(error) => Self::Failed(error),
        }
    }
}

/// Calls a method of the guard: `check`, `settle`, `release`, `record`, `record_many`, `cost`, `explain`, `balances`, `top_up`,
/// `set_limit`, `set_limits`, `stop`, `resume`, `stops`, `reload`, `flush`, `close`, `expire_due`, `price_version`,
/// `price_report`, `warnings`, `statement`, `endpoint`, `stats`.
///
/// # Errors
/// Those of the method; `argument_invalid` for a method that does not exist.
pub fn invoke(guard: &Guard, method: &str, args: &Value) -> Result<Value> {
    match method {
        "check" => guard.check(&input::call(args)?).map(|decision| output::decision(&decision)),
        "settle" => settle(guard, args),
        "release" => {
            guard.release(&read(args, |table| needed(table, "token"))?)?;
            Ok(Value::Null)
        }
        "record" => record(guard, args),
        "record_many" => record_many(guard, args),
        "cost" => cost(guard, args),
        "explain" => explain(guard, args),
        "balances" => balances(guard, args),
        "top_up" => top_up(guard, args),
        "set_limit" | "set_limits" => set_limits(guard, args),
        "stop" => {
            let (reason, scope) = read(args, |table| Ok((table.text("reason")?, input::labels_of(table)?)))?;
            let reason = reason.map_or_else(|| "stopped".to_owned(), |(text, _)| text);
            Ok(json!(&*guard.stop(&reason, &scope)?))
        }
        "resume" => {
            guard.resume(&read(args, |table| needed(table, "stop_id"))?)?;
            Ok(Value::Null)
        }
        "stops" => {
            let stop = |stop: &crate::policy::StopRule| json!({ "stop_id": &*stop.id, "reason": &*stop.reason, "match": stop.matches.describe() });
            Ok(Value::Array(guard.stops()?.iter().map(stop).collect()))
        }
        "reload" => guard.reload().map(|report| output::reload_report(&report)),
        "flush" => timeout(args).map(|timeout| output::flush_report(&guard.flush(timeout))),
        "close" => timeout(args).map(|timeout| output::flush_report(&guard.close(timeout))),
        "expire_due" => guard.expire_due().map(|count| json!(count)),
        "price_version" => guard.price_version().map(|version| json!(&*version)),
        "price_report" => guard.price_report().map(|report| output::price_report(&report)),
        "warnings" => guard.warnings().map(|warnings| json!(warnings)),
        "statement" => super::statement::statement(guard, args),
        "endpoint" => endpoint(guard, args),
        "provider" => {
            let name = read(args, |table| needed(table, "name"))?;
            Ok(guard.provider_named(&name)?.map_or(Value::Null, |id| json!(&*id)))
        }
        "stats" => Ok(json!({ "dropped_events": guard.dropped_events()? })),
        other => {
            let shown: String = other.chars().take(40).collect();
            Err(Error::new(Code::ArgumentInvalid, format!("there is no method {shown:?}")))
        }
    }
}

fn timeout(args: &Value) -> Result<Duration> {
    read(args, |table| {
        let millis = table.integer("timeout_ms", 0..=3_600_000)?.unwrap_or(2_000);
        Ok(Duration::from_millis(u64::try_from(millis).unwrap_or(2_000)))
    })
}

/// Takes `usage`, `inclusive`, `reply` and `cost` out of the arguments: what the rest is settled with.
fn split(args: &Value) -> (Value, Value) {
    let mut rest = args.clone();
    let mut with = serde_json::Map::new();
    if let Some(map) = rest.as_object_mut() {
        for key in ["usage", "inclusive", "reply", "cost"] {
            if let Some(value) = map.remove(key) {
                with.insert(key.to_owned(), value);
            }
        }
    }
    (rest, Value::Object(with))
}

fn settle(guard: &Guard, args: &Value) -> Result<Value> {
    let (rest, with) = split(args);
    let token = read(&rest, |table| needed(table, "token"))?;
    let with = input::settle_with(&with)?;
    guard.settle(&token, Settlement::from(&with)).map(|receipt| super::receipt(&receipt))
}

fn record(guard: &Guard, args: &Value) -> Result<Value> {
    let (mut rest, with) = split(args);
    let at = rest.as_object_mut().and_then(|map| map.remove("at"));
    let at = match at.as_ref().filter(|at| !at.is_null()) {
        None => None,
        Some(Value::String(text)) => Some(Timestamp::parse(text).map_err(|e| e.field("at"))?),
        Some(_) => return Err(Error::new(Code::ArgumentInvalid, "is not an instant in RFC 3339").field("at")),
    };
    let with = input::settle_with(&with)?;
    guard.record(&input::call(&rest)?, Settlement::from(&with), at).map(|receipt| super::receipt(&receipt))
}

fn record_many(guard: &Guard, args: &Value) -> Result<Value> {
    let records = args.get("records").and_then(Value::as_array);
    let records =
        records.ok_or_else(|| Error::new(Code::ArgumentInvalid, "is not a list").field("records"))?;
    let one = |(at, record_): (usize, &Value)| {
        record(guard, record_).map_err(|e| e.within(&format!("records[{at}]")))
    };
    records.iter().enumerate().map(one).collect::<Result<Vec<_>>>().map(Value::Array)
}

fn cost(guard: &Guard, args: &Value) -> Result<Value> {
    let (rest, usage) = usage_of(args)?;
    guard.cost(&price_query(guard, &rest, usage)?).map(|cost| super::cost(&cost))
}

/// As `cost`, and why.
fn explain(guard: &Guard, args: &Value) -> Result<Value> {
    let (rest, usage) = usage_of(args)?;
    guard.explain(&price_query(guard, &rest, usage)?).map(|told| super::explanation(&told))
}

/// Takes `usage` or `inclusive` out of the arguments.
fn usage_of(args: &Value) -> Result<(Value, Usage)> {
    let (rest, with) = split(args);
    match input::settle_with(&with)? {
        input::Settle::Usage(usage) => Ok((rest, *usage)),
        _ => Err(Error::new(Code::ArgumentInvalid, "is missing").field("usage")),
    }
}

/// What to price: `{provider, model, at, tier, speed, geo, region, …labels}`.
fn price_query(guard: &Guard, args: &Value, usage: Usage) -> Result<PriceQuery> {
    read(args, |table| {
        let model = needed(table, "model")?;
        let mut text = |key| table.text(key).map(|found| found.map(|(text, _)| text));
        let provider = text("provider")?;
        let at = text("at")?.map(|at| Timestamp::parse(&at)).transpose().map_err(|e| e.field("at"))?;
        let tier = text("tier")?.as_deref().map(Tier::parse);
        let (speed, geo) = (text("speed")?.map(Label::from), text("geo")?.map(Label::from));
        let region = text("region")?.map(Label::from);
        let at = at.map_or_else(|| guard.now(), Ok)?;
        let context = PriceContext { at, tier, speed, geo, region, ..PriceContext::default() };
        Ok(PriceQuery { provider, model, usage, context, scope: input::labels_of(table)? })
    })
}

fn balances(guard: &Guard, args: &Value) -> Result<Value> {
    let query = read(args, |table| {
        let budget = table.text("budget")?.map(|(text, _)| Label::from(text));
        let limit = table.integer("limit", 1..=1_000)?.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let after = table.text("after")?.map(|(text, _)| text);
        Ok(BalanceQuery { budget, limit, after, scope: input::labels_of(table)? })
    })?;
    let page = guard.balances(&query)?;
    Ok(json!({ "items": page.items.iter().map(output::balance).collect::<Vec<_>>(), "next": page.next }))
}

fn top_up(guard: &Guard, args: &Value) -> Result<Value> {
    // Everything is read before anything is done: an unknown key must not leave half a command behind.
    let (budget, amount, id, scope) = read(args, |table| {
        let (budget, amount) = (needed(table, "budget")?, input::amount(table, "amount")?);
        Ok((budget, amount, table.text("id")?, input::labels_of(table)?))
    })?;
    let id = id.as_ref().map(|(text, _)| text.as_str());
    let (balance, repeated) = guard.top_up(&budget, amount, id, &scope)?;
    Ok(json!({ "balance": output::balance(&balance), "repeated": repeated }))
}

/// `{budget, amount, …labels}` for one, `{budget, limits: [{amount, timezone, …labels}], replace}` for many.
fn set_limits(guard: &Guard, args: &Value) -> Result<Value> {
    let one_limit = |table: &mut Table| {
        let amount = table.amount("amount")?;
        let timezone = table.text("timezone")?.map(|(text, _)| text);
        Ok::<Limit, Error>(Limit { amount, timezone, scope: input::labels_of(table)? })
    };
    let (budget, limits, replace) = read(args, |table| {
        let budget = needed(table, "budget")?;
        let many = table.take("limits");
        let replace = table.boolean("replace")?.unwrap_or(false);
        let limits = match many {
            None => vec![one_limit(table)?],
            Some(node) => {
                let crate::policy::tree::Value::Array(items) = node.value else {
                    return Err(Error::new(Code::ArgumentInvalid, "is not a list").field("limits"));
                };
                let read_one = |(at, item)| {
                    let mut table = Table::new(item, &format!("limits[{at}]"))?;
                    let limit = one_limit(&mut table)?;
                    table.finish().map(|()| limit)
                };
                items.into_iter().enumerate().map(read_one).collect::<Result<Vec<_>>>()?
            }
        };
        Ok((budget, limits, replace))
    })?;
    let set = guard.set_limits(&budget, &limits, replace);
    set.map(|count| json!(count)).map_err(|e| e.recode(Code::ConfigInvalid, Code::ArgumentInvalid))
}

/// What a request to `path` is: `{endpoint: "guarded" | "free" | "unguarded" | "allowed", api}`.
fn endpoint(guard: &Guard, args: &Value) -> Result<Value> {
    read(args, |table| {
        let (provider, path) = (needed(table, "provider")?, needed(table, "path")?);
        let method = table.text("method")?.map_or_else(|| "POST".to_owned(), |(text, _)| text);
        Ok(match requests::endpoint(&provider, &method, &path) {
            Endpoint::Guarded(api) => json!({ "endpoint": "guarded", "api": api.as_str() }),
            Endpoint::Free => json!({ "endpoint": "free" }),
            Endpoint::Unguarded if guard.allows_endpoint(&path)? => json!({ "endpoint": "allowed" }),
            Endpoint::Unguarded => json!({ "endpoint": "unguarded" }),
        })
    })
}
