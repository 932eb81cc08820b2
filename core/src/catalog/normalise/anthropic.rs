//! Anthropic Messages, also on Vertex, Azure and Bedrock InvokeModel: input excludes the cache.

use super::figures::Figures;
use super::number::{Count, count};
use super::reply::{Notes, PARTS_MAX, Part, Reply, Rule, label, list, object};
use super::tokens::{Convention, Place, Tokens, Written, disjoint};
use crate::values::scope::Label;
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};
use smallvec::SmallVec;

const CONVENTION: Convention =
    Convention { cache: Place::Outside, reasoning: Place::Inside, total_decides: false };

const WRITES: [Bucket; 3] = [Bucket::CacheWrite, Bucket::CacheWrite5m, Bucket::CacheWrite1h];

/// A whole reply: a message, or an error.
pub(super) fn reply(map: &Map<String, Value>) -> Reply {
    let mut notes = Notes::default();
    let mut reply = Reply {
        model: label(map.get("model")),
        id: label(map.get("id")),
        finish_reasons: label(map.get("stop_reason")).into_iter().collect(),
        error: object(map, "error").map(|error| label(error.get("type")).unwrap_or_else(|| "error".into())),
        ..Reply::default()
    };
    if let Some(usage) = object(map, "usage") {
        read_usage(usage, &mut reply, &mut notes);
        if reply.usage.is_some() && is_partial(map, usage) {
            (reply.usage, reply.parts) = (None, Vec::new());
            notes.add(Rule::Unrecognised, || "no input tokens, or none of what it says".to_owned());
        }
    }
    reply.anomalies = notes.anomalies;
    reply
}

/// Whether a whole message leaves out its input, or the tokens of what it says. (What a stream told has no content.)
fn is_partial(message: &Map<String, Value>, usage: &Map<String, Value>) -> bool {
    if !message.contains_key("content") {
        return false;
    }
    let is_absent = |name| count(usage.get(name)) == Count::Absent;
    is_absent("output_tokens") || is_absent("input_tokens")
}

/// A `usage` object: the buckets, the parts of other models, and what selects the price.
pub(super) fn read_usage(map: &Map<String, Value>, reply: &mut Reply, notes: &mut Notes) {
    reply.set_tier(map.get("service_tier"));
    reply.speed = label(map.get("speed")).filter(|speed| &**speed != "standard");
    reply.geo = label(map.get("inference_geo")).filter(|geo| !matches!(&**geo, "global" | "not_available"));
    let Some(mut usage) = message(map, notes) else { return };
    let iterations = list(map, "iterations");
    if !iterations.is_empty() {
        usage = add_iterations(iterations, usage, reply, notes);
    }
    let mut figures = Figures::new(Some(map), notes);
    let mut tools = figures.inside(&["server_tool_use"]);
    usage.set(Bucket::WebSearch, tools.get(&["web_search_requests"]));
    usage.set(Bucket::WebFetch, tools.get(&["web_fetch_requests"]));
    note_credit(map, &usage, notes);
    reply.usage = notes.trust(usage);
    if reply.usage.is_none() {
        reply.parts.clear();
    }
}

/// A credit that was redeemed after a refusal moves writes to the price of reads: those of what was cached at the model
/// that refused, and nobody says how many. What is certain is the price of writes.
fn note_credit(map: &Map<String, Value>, usage: &Usage, notes: &mut Notes) {
    let status = object(map, "fallback_credit").and_then(|credit| object(credit, "status"));
    let redeemed = status.and_then(|status| status.get("type")).and_then(Value::as_str) == Some("redeemed");
    let written = WRITES.into_iter().fold(0u64, |sum, bucket| sum.saturating_add(usage.get(bucket)));
    if redeemed && written > 0 {
        notes.add(Rule::FallbackCredit, || format!("of {written} written tokens some are billed as read"));
    }
}

/// The token figures of one usage object or of one iteration. `None` when it has none.
fn message(map: &Map<String, Value>, notes: &mut Notes) -> Option<Usage> {
    let mut figures = Figures::new(Some(map), notes);
    let input = figures.any(&["input_tokens"]);
    let output = figures.any(&["output_tokens"]);
    let written = figures.any(&["cache_creation_input_tokens"]);
    let mut tokens = Tokens {
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
        cached: figures.get(&["cache_read_input_tokens"]),
        reasoning: figures.inside(&["output_tokens_details"]).get(&["thinking_tokens"]),
        ..Tokens::default()
    };
    let mut by_ttl = figures.inside(&["cache_creation"]);
    let split = Written {
        m5: by_ttl.get(&["ephemeral_5m_input_tokens"]),
        h1: by_ttl.get(&["ephemeral_1h_input_tokens"]),
        ..Written::default()
    };
    tokens.written = Written::new(written, split, notes);
    if input.is_none() && output.is_none() && tokens.cached == 0 && tokens.written.sum() == 0 {
        if !map.is_empty() {
            notes.unreadable(Rule::Unrecognised, || "no input or output tokens".to_owned());
        }
        return None;
    }
    Some(disjoint(&tokens, CONVENTION, notes))
}

/// One entry of the iterations.
struct Iteration<'a> {
    kind: &'a str,
    model: Option<Label>,
    used: Usage,
}

/// Bills each iteration once. The top level stands for the `message` entries: their sum, or the output of all with the
/// input of the first. Compactions come on top at the same model, advisors at their own. When a fallback served, the
/// `message` entries of the other models are attempts that were declined and are not billed.
fn add_iterations(listed: &[Value], top: Usage, reply: &mut Reply, notes: &mut Notes) -> Usage {
    let mut entries: SmallVec<[Iteration<'_>; 8]> = SmallVec::new();
    for entry in listed {
        let Some(map) = entry.as_object() else { continue };
        let (kind, model) = (map.get("type").and_then(Value::as_str).unwrap_or(""), label(map.get("model")));
        let told = object(map, "usage").unwrap_or(map);
        if ["input_tokens", "output_tokens"].iter().any(|name| told.contains_key(*name)) {
            entries.extend(message(told, notes).map(|used| Iteration { kind, model, used }));
        } else if kind != "message" {
            notes
                .add(Rule::Iterations, || format!("an entry of the kind {:?} without tokens", shorten(kind)));
        }
    }
    let fallback = entries.iter().rev().find(|entry| entry.kind == "fallback_message");
    let served = fallback.and_then(|entry| entry.model.clone());
    let mut usage = match &served {
        Some(served) => of_fallback(&entries, served, top, notes),
        None => of_messages(&entries, top, notes),
    };
    let mut parts = Vec::new();
    for entry in &entries {
        match (entry.kind, &entry.model) {
            ("message", _) | ("fallback_message", Some(_)) => {}
            ("advisor_message", Some(model)) => add_part(&mut parts, model, &entry.used),
            ("compaction", _) => add(&mut usage, &entry.used),
            (other, _) => {
                // Not known to be inside the top level: billed on top.
                notes.add(Rule::Iterations, || format!("an entry of the kind {:?}", shorten(other)));
                add(&mut usage, &entry.used);
            }
        }
    }
    if let Some(served) = served.filter(|served| reply.model.as_ref().is_some_and(|model| model != served)) {
        // A stream names the model that began.
        add_part(&mut parts, &served, &std::mem::take(&mut usage));
    }
    if parts.len() > PARTS_MAX {
        notes.unreadable(Rule::TooManyModels, || format!("{} models", parts.len()));
    }
    reply.parts = parts;
    usage
}

fn sum<'a>(entries: impl IntoIterator<Item = &'a Iteration<'a>>) -> Usage {
    let mut sum = Usage::new();
    entries.into_iter().for_each(|entry| add(&mut sum, &entry.used));
    sum
}

/// The turns of one model.
fn of_messages(entries: &[Iteration<'_>], top: Usage, notes: &mut Notes) -> Usage {
    let messages = || entries.iter().filter(|entry| entry.kind == "message");
    let Some(first) = messages().next() else { return top };
    let all = sum(messages());
    if all.total_tokens() == top.total_tokens() {
        // The same, and the top level tells more of it.
        return top;
    }
    if all.total_output() == top.total_output() && first.used.total_input() == top.total_input() {
        return all;
    }
    larger(all, top, notes)
}

/// The turns of the fallback that served, whatever the top level stands for.
fn of_fallback(entries: &[Iteration<'_>], served: &Label, top: Usage, notes: &mut Notes) -> Usage {
    let is_message = |entry: &&Iteration<'_>| entry.kind == "message";
    let is_turn = |entry: &&Iteration<'_>| {
        entry.kind == "fallback_message" || (entry.kind == "message" && entry.model.as_ref() == Some(served))
    };
    let turns = sum(entries.iter().filter(is_turn));
    if turns.total_tokens() == top.total_tokens() {
        return top;
    }
    let messages = sum(entries.iter().filter(is_message));
    let fallbacks = sum(entries.iter().filter(|entry| entry.kind == "fallback_message"));
    // A turn or a declined attempt: nobody says.
    let unnamed = sum(entries.iter().filter(|entry| entry.kind == "message" && entry.model.is_none()));
    let mut billed = turns;
    add(&mut billed, &unnamed);
    let everything = messages.total_tokens().saturating_add(fallbacks.total_tokens());
    let explained = [billed.total_tokens(), messages.total_tokens(), everything];
    if explained.contains(&top.total_tokens()) { billed } else { larger(billed, top, notes) }
}

/// Two figures that do not fit: the larger one is billed.
fn larger(iterations: Usage, top: Usage, notes: &mut Notes) -> Usage {
    let (sum, total) = (iterations.total_tokens(), top.total_tokens());
    notes.add(Rule::Iterations, || format!("iterations {sum}, top level {total}"));
    if sum > total { iterations } else { top }
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

fn add(usage: &mut Usage, more: &Usage) {
    for (bucket, quantity) in more.iter() {
        usage.add(bucket, quantity);
    }
}

fn add_part(parts: &mut Vec<Part>, model: &Label, used: &Usage) {
    if let Some(part) = parts.iter_mut().find(|part| part.model == *model) {
        add(&mut part.usage, used);
    } else if parts.len() <= PARTS_MAX {
        // One more than may be is kept, to see that there are too many.
        parts.push(Part { model: model.clone(), usage: *used });
    }
}
