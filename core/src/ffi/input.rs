//! Arguments, read from JSON: every key is known, every type is checked, every size is bounded.

use super::foreign::foreign;
use crate::catalog::normalise;
use crate::catalog::{PriceContext, Tier};
use crate::clock::{Clock, ManualClock};
use crate::codes::Code;
use crate::engine::Call;
use crate::error::{Error, Result};
use crate::guard::{GuardBuilder, RunOptions, Settlement, run_header};
use crate::policy::RunLimits;
use crate::policy::tree::{Node, Table};
use crate::requests::{self, Api};
use crate::telemetry::{ParentSpan, Server};
use crate::values::{Amount, Bucket, Dimension, Label, NanoUsd, Scope, Timestamp, Usage};
use serde_json::Value;
use std::hash::BuildHasher;
use std::sync::Arc;

const LABELS: [&str; 6] = ["tenant", "user", "feature", "agent", "run", "session"];

/// A table of arguments; its errors are `argument_invalid`.
pub(super) fn read<T>(args: &Value, body: impl FnOnce(&mut Table) -> Result<T>) -> Result<T> {
    let all = || {
        let mut table = Table::new(Node::from_json(args)?, "")?;
        let read = body(&mut table)?;
        table.finish()?;
        Ok(read)
    };
    all().map_err(|e: Error| e.recode(Code::ConfigInvalid, Code::ArgumentInvalid))
}

/// A guard's builder: `file`, `text` with `name`, `config`, `prices` (`[{name, text}]`), `manual_clock`.
///
/// # Errors
/// `argument_invalid`.
pub fn builder(args: &Value) -> Result<(GuardBuilder, Option<ManualClock>)> {
    let mut builder = GuardBuilder::default();
    // The configuration itself is read by the builder, with its own errors.
    let mut rest = args.clone();
    if let Some(config) = rest.as_object_mut().and_then(|map| map.remove("config")).filter(|v| !v.is_null()) {
        builder = builder.config_values(config);
    }
    let clock = read(&rest, |table| {
        if let Some((file, _)) = table.text("file")? {
            builder = builder.clone().config_file(file);
        }
        if let Some((text, _)) = table.text("text")? {
            let name = table.text("name")?.map_or_else(|| "<text>".to_owned(), |(name, _)| name);
            builder = builder.clone().config_text(&name, &text);
        }
        for mut price in table.tables("prices")? {
            let name = price.text("name")?.map_or_else(|| "<prices>".to_owned(), |(name, _)| name);
            let text = price.text("text")?.map_or_else(String::new, |(text, _)| text);
            price.finish()?;
            builder = builder.clone().prices(&name, &text);
        }
        table.text("manual_clock")?.map(|(at, _)| Timestamp::parse(&at).map(ManualClock::new)).transpose()
    })?;
    if let Some(clock) = &clock {
        builder = builder.clock(Clock::Manual(clock.clone()));
    }
    Ok((builder, clock))
}

/// Labels: `tenant`, `user`, `feature`, `agent`, `run`, `session`, `tags`.
///
/// # Errors
/// `label_invalid`, `argument_invalid`.
pub fn scope(args: &Value) -> Result<Scope> {
    read(args, labels)
}

fn labels(table: &mut Table) -> Result<Scope> {
    let mut scope = Scope::default();
    for key in LABELS {
        if let (Some((value, _)), Some(dimension)) = (table.text(key)?, Dimension::parse(key)) {
            scope.set(&dimension, Some(&value))?;
        }
    }
    for (key, node) in table.table("tags")?.into_entries() {
        let value = crate::policy::tree::text(&node, &format!("tags.{key}"))?;
        let dimension = Dimension::parse(&format!("tag.{key}"))
            .ok_or_else(|| Error::new(Code::LabelInvalid, "is not a tag's key").field("tags"))?;
        scope.set(&dimension, Some(value))?;
    }
    Ok(scope)
}

/// A call: `provider`, `model`, `input_tokens`, `max_output_tokens`, `choices`, `id`, labels, `tier`, `speed`, `geo`,
/// `region`, `fingerprint`, `server_tools` (`{web_search: 3}`), `server` (`{address, port}`), `parent` (`{trace_id,
/// span_id, sampled}`), `request` (`{api, path, body}`); for a tool `tool`, `cost` and `arguments` (any JSON, hashed to
/// find repeats).
///
/// # Errors
/// `argument_invalid`, `label_invalid`, `amount_invalid`; what is left is told by `reserve`.
pub fn call(args: &Value) -> Result<Call> {
    // A provider's request and a tool's arguments are not ours to read.
    let mut rest = args.clone();
    let mut foreign = |key| rest.as_object_mut().and_then(|map| map.remove(key)).filter(|v| !v.is_null());
    let (request, arguments) = (foreign("request"), foreign("arguments"));
    let call = read(&rest, |table| read_call(table, request.as_ref()))?;
    match arguments {
        Some(arguments) => {
            let tool = rest.get("tool").cloned().unwrap_or_default();
            let both = requests::fingerprint(&Value::Array(vec![tool, arguments]));
            Ok(call.fingerprint(both.map_err(|e| e.field("arguments"))?))
        }
        None => Ok(call),
    }
}

fn read_call(table: &mut Table, request: Option<&Value>) -> Result<Call> {
    let text = |table: &mut Table, key| table.text(key).map(|found| found.map(|(text, _)| text));
    let provider = text(table, "provider")?;
    let model = text(table, "model")?;
    let cost = table.amount("cost")?;
    let mut call = match text(table, "tool")? {
        Some(tool) => Call::tool(&tool),
        None if model.is_none() && request.is_none() => {
            return Err(Error::new(Code::ArgumentInvalid, "is missing").field("model"));
        }
        None => Call::new(&provider.unwrap_or_default(), model.as_deref().unwrap_or("-")),
    };
    if let Some(cost) = cost {
        call = call.cost(&cost.to_string());
    }
    call = call.scope(Arc::new(labels(table)?));
    if let Some(id) = text(table, "id")? {
        call = call.id(&id);
    }
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    if let Some(tokens) = table.integer("input_tokens", 0..=i64::MAX)? {
        call = call.input_tokens(count(tokens));
    }
    if let Some(tokens) = table.integer("max_output_tokens", 0..=i64::MAX)? {
        call = call.max_output_tokens(count(tokens));
    }
    if let Some(choices) = table.integer("choices", 1..=65_536)? {
        call = call.choices(count(choices));
    }
    if let Some(context) = price_context(table)? {
        call = call.price_context(context);
    }
    if let Some(tools) = table.take("server_tools") {
        call = call.server_tools(server_tools(tools)?);
    }
    if let Some(fingerprint) = text(table, "fingerprint")? {
        call = call.fingerprint(foldhash::fast::FixedState::default().hash_one(&fingerprint));
    }
    if let Some(parent) = table.take("parent") {
        call = call.parent(span(parent)?);
    }
    if let Some(server) = table.take("server") {
        call = call.server(read_server(server)?);
    }
    match request {
        Some(request) => read_request(call, request),
        None => Ok(call),
    }
}

/// At most so many of each: `{web_search: 3}`.
fn server_tools(node: Node) -> Result<Usage> {
    let mut most = Usage::new();
    for (key, node) in Table::new(node, "server_tools")?.into_entries() {
        let at = format!("server_tools.{key}");
        let bucket = Bucket::from_key(&key)
            .ok_or_else(|| Error::new(Code::ArgumentInvalid, "is not something that is billed").field(&at))?;
        let crate::policy::tree::Value::Integer(count) = node.value else {
            return Err(Error::new(Code::ArgumentInvalid, "is not a whole number").field(&at));
        };
        let count =
            u64::try_from(count).map_err(|_| Error::new(Code::ArgumentInvalid, "is negative").field(&at))?;
        most.set(bucket, count);
    }
    Ok(most)
}

fn price_context(table: &mut Table) -> Result<Option<PriceContext>> {
    let mut label = |key| table.text(key).map(|found| found.map(|(text, _)| Label::from(text)));
    let (tier, speed, geo, region) = (label("tier")?, label("speed")?, label("geo")?, label("region")?);
    if tier.is_none() && speed.is_none() && geo.is_none() && region.is_none() {
        return Ok(None);
    }
    let tier = tier.as_deref().map(Tier::parse);
    Ok(Some(PriceContext { tier, speed, geo, region, ..PriceContext::default() }))
}

fn read_request(call: Call, request: &Value) -> Result<Call> {
    let field = |key: &str| request.get(key).and_then(Value::as_str);
    let api = field("api").and_then(Api::parse).ok_or_else(|| {
        Error::new(Code::ArgumentInvalid, "is not an API that Spendrail knows").field("request.api")
    })?;
    let body = request.get("body").unwrap_or(&Value::Null);
    let read = match body {
        Value::String(text) => {
            let body = foreign(text)
                .map_err(|e| Error::new(Code::ArgumentInvalid, e.to_string()).field("request.body"))?;
            requests::read_at(api, field("path").unwrap_or(""), &body)
        }
        body => requests::read_at(api, field("path").unwrap_or(""), body),
    };
    Ok(call.request(read.map_err(|e| e.within("request.body"))?))
}

fn read_server(node: Node) -> Result<Server> {
    let mut table = Table::new(node, "server")?;
    let address = table.text("address")?.map_or_else(|| Label::from(""), |(text, _)| text.into());
    let port = table.integer("port", 0..=65_535)?.and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    table.finish()?;
    Ok(Server { address, port })
}

/// A parent span: `trace_id` and `span_id` in hex, `sampled`, `is_remote`.
///
/// # Errors
/// `argument_invalid`.
pub fn parent_span(args: &Value) -> Result<ParentSpan> {
    Node::from_json(args).and_then(span).map_err(|e| e.recode(Code::ConfigInvalid, Code::ArgumentInvalid))
}

fn span(node: Node) -> Result<ParentSpan> {
    let mut table = Table::new(node, "parent")?;
    let bad =
        |key: &str| Error::new(Code::ArgumentInvalid, "is not an id in hex").field(format!("parent.{key}"));
    let mut text = |key| table.text(key).map(|found| found.map(|(text, _)| text).unwrap_or_default());
    let trace_id = u128::from_str_radix(&text("trace_id")?, 16).map_err(|_| bad("trace_id"))?;
    let span_id = u64::from_str_radix(&text("span_id")?, 16).map_err(|_| bad("span_id"))?;
    let sampled = table.boolean("sampled")?.unwrap_or(true);
    let is_remote = table.boolean("is_remote")?.unwrap_or(false);
    table.finish()?;
    Ok(ParentSpan { trace_id, span_id, sampled, is_remote })
}

/// A run: labels, `id`, `max_calls`, `max_tool_calls`, `max_tokens`, `max_cost`, `max_depth`, `max_duration`,
/// `max_repeats`, `parent`.
///
/// # Errors
/// `argument_invalid`, `label_invalid`, `amount_invalid`.
pub fn run_options(args: &Value) -> Result<RunOptions> {
    read(args, |table| {
        let scope = Arc::new(labels(table)?);
        let id =
            table.text("id")?.map(|(id, _)| crate::values::scope::label(&id, &Dimension::Run)).transpose()?;
        let limits = RunLimits::read(table)?;
        let parent = table.take("parent").map(span).transpose()?;
        Ok(RunOptions { id, scope, limits, parent })
    })
}

/// The token of a run: text, or the headers of a request that carry one, as an object (a value may be a list) or as a
/// list of pairs.
///
/// # Errors
/// `token_invalid` without a run; `argument_invalid` for anything else.
pub fn run_token(carried: &Value) -> Result<String> {
    let no_header = || Error::new(Code::ArgumentInvalid, "are not headers: names with text").field("headers");
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(several) => several.first().and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    let mut headers: Vec<(String, String)> = Vec::new();
    match carried {
        Value::String(token) => return Ok(token.clone()),
        Value::Object(map) => {
            headers.extend(map.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))));
        }
        Value::Array(pairs) => {
            for pair in pairs {
                let Some([Value::String(name), value]) = pair.as_array().map(Vec::as_slice) else {
                    return Err(no_header());
                };
                headers.extend(text(value).map(|value| (name.clone(), value)));
            }
        }
        _ => return Err(no_header()),
    }
    run_header(headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))).map(str::to_owned)
}

/// What a hold is settled with, owned.
#[derive(Debug)]
pub enum Settle {
    /// Buckets counted by the caller.
    Usage(Box<Usage>),
    /// A provider's reply.
    Reply(Value),
    /// Nano-USD.
    Cost(NanoUsd),
    /// As reserved.
    AsReserved,
}

impl<'a> From<&'a Settle> for Settlement<'a> {
    fn from(settle: &'a Settle) -> Self {
        match settle {
            Settle::Usage(usage) => Settlement::Usage(usage),
            Settle::Reply(reply) => Settlement::Reply(reply),
            Settle::Cost(cost) => Settlement::Cost(*cost),
            Settle::AsReserved => Settlement::AsReserved,
        }
    }
}

/// `{usage: {bucket: n}}`, `{inclusive: {input, output, …parts}}`, `{reply: …}` (an object,
/// or its JSON text) or `{cost: "0.01 USD"}`.
///
/// # Errors
/// `argument_invalid`, `usage_invalid`, `amount_invalid`.
pub fn settle_with(args: &Value) -> Result<Settle> {
    let bad = |why: &str| Error::new(Code::ArgumentInvalid, why.to_owned());
    let map = args.as_object().ok_or_else(|| bad("a settle needs usage, reply or cost"))?;
    let given: Vec<(&String, &Value)> = map.iter().filter(|(_, value)| !value.is_null()).collect();
    match given.as_slice() {
        [] => Ok(Settle::AsReserved),
        [(key, value)] => match key.as_str() {
            "usage" => match value.as_object() {
                Some(buckets) => Ok(Settle::Usage(Box::new(normalise::usage(buckets)?.checked()?))),
                None => Err(bad("is not an object of buckets").field("usage")),
            },
            "inclusive" => inclusive(value),
            "reply" => match value {
                Value::String(text) => foreign(text).map(Settle::Reply).map_err(|e| {
                    Error::new(Code::UsageInvalid, format!("the reply is no JSON: {e}")).field("reply")
                }),
                reply => Ok(Settle::Reply((*reply).clone())),
            },
            "cost" => {
                let text = value.as_str().ok_or_else(|| {
                    Error::new(Code::AmountInvalid, "is not a text with a unit")
                        .field("cost")
                        .hint("write for example \"0.50 USD\"; a float is no money")
                })?;
                Amount::parse_usd(text).map(|nano| Settle::Cost(NanoUsd(nano))).map_err(|e| e.field("cost"))
            }
            _ => Err(bad("is an unknown key").field(key.as_str()).hint("usage, inclusive, reply or cost")),
        },
        _ => Err(bad("give one of usage, inclusive, reply and cost")),
    }
}

/// Totals with the parts that they include, by rate key; `reasoning` is short for `output_reasoning`.
fn inclusive(value: &Value) -> Result<Settle> {
    let mut parts = value.clone();
    let map = parts.as_object_mut().ok_or_else(|| {
        Error::new(Code::ArgumentInvalid, "is not an object of totals and parts").field("inclusive")
    })?;
    map.retain(|_, value| !value.is_null());
    if let Some(reasoning) = map.remove("reasoning") {
        map.insert(Bucket::OutputReasoning.key().to_owned(), reasoning);
    }
    let mut parts = normalise::usage(map)?;
    let (input, output) = (parts.get(Bucket::Input), parts.get(Bucket::Output));
    parts.set(Bucket::Input, 0);
    parts.set(Bucket::Output, 0);
    Ok(Settle::Usage(Box::new(Usage::from_totals(input, output, &parts)?)))
}

/// An amount of any unit.
pub(super) fn amount(table: &mut Table, key: &'static str) -> Result<Amount> {
    let path = table.key(key);
    table.amount(key)?.ok_or_else(|| Error::new(Code::AmountInvalid, "is missing").field(path))
}

/// A needed text.
pub(super) fn needed(table: &mut Table, key: &'static str) -> Result<String> {
    let path = table.key(key);
    let found = table.text(key)?.map(|(text, _)| text);
    found.ok_or_else(|| Error::new(Code::ArgumentInvalid, "is missing").field(path))
}

/// The labels of a table of arguments.
pub(super) fn labels_of(table: &mut Table) -> Result<Scope> {
    labels(table)
}
