//! Statements and simulations as JSON. An entry is written and read in one shape, so that what a guard has told can be
//! kept as a file (JSON Lines) and played again.

use super::input::{self, needed, read};
use super::output::{balance, scope as scope_json};
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::guard::{ENTRIES_MAX, Entry, Guard, Simulation, StatementQuery, simulate as play};
use crate::policy::tree::Table;
use crate::telemetry::Flags;
use crate::values::{AttoUsd, Bucket, Id, Label, NanoUsd, Timestamp};
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

/// Longest line of a file of entries.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// `{since, until, limit, after, …labels}` → `{entries, next, forgotten}`.
pub(super) fn statement(guard: &Guard, args: &Value) -> Result<Value> {
    let query = read(args, |table| {
        let limit = table.integer("limit", 1..=1_000)?.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let after = table.integer("after", 0..=i64::MAX)?.and_then(|n| u64::try_from(n).ok());
        let (since, until) = (instant(table, "since")?, instant(table, "until")?);
        Ok(StatementQuery { since, until, scope: input::labels_of(table)?, limit, after })
    })?;
    let page = guard.statement(&query)?;
    let entries: Vec<Value> = page.entries.iter().map(entry).collect();
    Ok(json!({ "entries": entries, "next": page.next, "forgotten": page.forgotten }))
}

/// Plays entries against another configuration: `{entries | path, config | file | text, prices}`, the last three as
/// for a guard. A `path` is a file of entries, one a line.
///
/// # Errors
/// Those of building a guard; `argument_invalid`, with the entry and its field; `io`.
pub fn simulate(args: &Value) -> Result<Value> {
    let mut args = args.clone();
    let mut take = |key: &str| args.as_object_mut().and_then(|map| map.remove(key)).filter(|v| !v.is_null());
    let entries = match (take("entries"), take("path")) {
        (Some(Value::Array(entries)), None) => {
            let read_one = |(at, one): (usize, &Value)| {
                read_entry(one).map_err(|error| error.within(&format!("entries[{at}]")))
            };
            entries.iter().enumerate().map(read_one).collect::<Result<Vec<Entry>>>()?
        }
        (None, Some(Value::String(path))) => read_file(&path)?,
        _ => {
            return Err(Error::new(
                Code::ArgumentInvalid,
                "must be a list of entries, or the path of a file",
            )
            .field("entries"));
        }
    };
    let (builder, _) = input::builder(&args)?;
    play(&entries, builder).map(|simulation| simulated(&simulation))
}

fn read_file(path: &str) -> Result<Vec<Entry>> {
    let io = |why: std::io::Error| Error::new(Code::Io, format!("{path}: {why}")).field("path");
    let mut file = BufReader::new(std::fs::File::open(path).map_err(io)?);
    let (mut entries, mut line) = (Vec::new(), Vec::new());
    for at in 1u64.. {
        let wrong = |why: &str| Error::new(Code::ArgumentInvalid, why).field(format!("{path}:{at}"));
        line.clear();
        let bytes = (&mut file).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(io)?;
        if bytes == 0 {
            break;
        }
        if line.last() != Some(&b'\n') && u64::try_from(bytes) == Ok(LINE_BYTES_MAX) {
            return Err(wrong("the line is too long"));
        }
        if entries.len() >= ENTRIES_MAX {
            return Err(wrong(&format!("more than {ENTRIES_MAX} entries")));
        }
        if !line.trim_ascii().is_empty() {
            let value: Value = serde_json::from_slice(&line).map_err(|why| wrong(&why.to_string()))?;
            entries.push(read_entry(&value).map_err(|error| error.within(&format!("{path}:{at}")))?);
        }
    }
    Ok(entries)
}

fn simulated(simulation: &Simulation) -> Value {
    let denial = |one: &crate::guard::DenialCount| {
        json!({
            "code": one.code.as_str(),
            "budget": one.budget.as_deref(),
            "count": one.count,
            "first_at": one.first_at.to_string(),
        })
    };
    json!({
        "calls": simulation.calls,
        "denied": simulation.denied,
        "cost": simulation.cost.to_string(),
        "posted_nano_usd": simulation.posted.0,
        "recorded_nano_usd": simulation.recorded.0,
        "denials": simulation.denials.iter().map(denial).collect::<Vec<_>>(),
        "balances": simulation.balances.iter().map(balance).collect::<Vec<_>>(),
    })
}

/// One entry.
fn entry(entry: &Entry) -> Value {
    let usage = entry.usage.as_ref().map(|buckets| {
        let one = |(bucket, quantity): &(Bucket, u64)| (bucket.key().to_owned(), json!(quantity));
        Value::Object(buckets.iter().map(one).collect::<Map<String, Value>>())
    });
    json!({
        "id": entry.id.to_string(),
        "started_at": entry.started_at.to_string(),
        "settled_at": entry.settled_at.to_string(),
        "provider": entry.provider.as_deref(),
        "model": &*entry.model,
        "is_tool": entry.is_tool,
        "scope": scope_json(&entry.scope),
        "usage": usage,
        "cost": entry.cost.to_string(),
        "posted_nano_usd": entry.posted.0,
        "reserved_nano_usd": entry.reserved.0,
        "input_tokens": entry.input_tokens,
        "output_tokens": entry.output_tokens,
        "flags": entry.flags.names().collect::<Vec<_>>(),
        "price_version": &*entry.price_version,
    })
}

/// Reads what [`entry`] wrote. Keys that a simulation needs must be there.
fn read_entry(value: &Value) -> Result<Entry> {
    let mut value = value.clone();
    let mut take = |key: &str| value.as_object_mut().and_then(|map| map.remove(key)).filter(|v| !v.is_null());
    let usage = take("usage").map(|usage| read_usage(&usage)).transpose()?;
    let scope = take("scope").map_or_else(|| Ok(Arc::default()), |scope| input::scope(&scope).map(Arc::new));
    drop(take("flags"));
    let scope = scope.map_err(|error| error.within("scope"))?;
    read(&value, |table| {
        let instant_of = |table: &mut Table, key: &'static str| {
            instant(table, key)?.ok_or_else(|| Error::new(Code::ArgumentInvalid, "is missing").field(key))
        };
        let text = |table: &mut Table, key| Ok::<_, Error>(table.text(key)?.map(|(text, _)| text));
        let most = i64::try_from(crate::values::usage::QUANTITY_MAX).unwrap_or(i64::MAX);
        let count = |table: &mut Table, key| {
            let count = table.integer(key, 0..=most)?.and_then(|count| u64::try_from(count).ok());
            Ok::<u64, Error>(count.unwrap_or(0))
        };
        let nano = |table: &mut Table, key| {
            let most = crate::values::money::OPERATION_MAX;
            Ok::<_, Error>(NanoUsd(table.integer(key, -most..=most)?.unwrap_or(0)))
        };
        let cost = text(table, "cost")?.map(|cost| AttoUsd::parse(&cost)).transpose();
        Ok(Entry {
            id: text(table, "id")?.and_then(|id| u128::from_str_radix(&id, 16).ok()).map_or(Id(0), Id),
            started_at: instant_of(table, "started_at")?,
            settled_at: instant_of(table, "settled_at")?,
            provider: text(table, "provider")?.map(Label::from),
            model: needed(table, "model")?.into(),
            is_tool: table.boolean("is_tool")?.unwrap_or(false),
            scope: Arc::clone(&scope),
            usage: usage.clone(),
            cost: cost.map_err(|error| error.field("cost"))?.unwrap_or_default(),
            posted: nano(table, "posted_nano_usd")?,
            reserved: nano(table, "reserved_nano_usd")?,
            input_tokens: count(table, "input_tokens")?,
            output_tokens: count(table, "output_tokens")?,
            flags: Flags::NONE,
            price_version: text(table, "price_version")?.unwrap_or_default().into(),
        })
    })
}

fn read_usage(usage: &Value) -> Result<smallvec::SmallVec<[(Bucket, u64); 4]>> {
    let buckets = usage.as_object();
    let buckets = buckets.ok_or_else(|| Error::new(Code::UsageInvalid, "is not an object").field("usage"))?;
    Ok(crate::catalog::normalise::usage(buckets)?.checked()?.iter().collect())
}

fn instant(table: &mut Table, key: &'static str) -> Result<Option<Timestamp>> {
    let text = table.text(key)?.map(|(text, _)| text);
    text.map(|text| Timestamp::parse(&text)).transpose().map_err(|error| error.field(key))
}
