//! Anthropic Messages, also on Vertex, Azure and Bedrock InvokeModel: input excludes the cache.

use super::figures::Figures;
use super::reply::{Notes, PARTS_MAX, Part, Reply, Rule, label, list, object};
use super::tokens::{Convention, Place, Tokens, Written, disjoint};
use crate::values::scope::Label;
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

const CONVENTION: Convention =
    Convention { cache: Place::Outside, reasoning: Place::Inside, total_decides: false };

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
    }
    reply.anomalies = notes.anomalies;
    reply
}

/// A `usage` object: the buckets, the parts of other models, and what selects the price.
pub(super) fn read_usage(map: &Map<String, Value>, reply: &mut Reply, notes: &mut Notes) {
    reply.set_tier(map.get("service_tier"));
    reply.speed = label(map.get("speed")).filter(|speed| &**speed != "standard");
    reply.geo = label(map.get("inference_geo")).filter(|geo| !matches!(&**geo, "global" | "not_available"));
    let Some(mut usage) = message(map, notes) else { return };
    let iterations = list(map, "iterations");
    if !iterations.is_empty() {
        add_iterations(iterations, &mut usage, &mut reply.parts, notes);
    }
    let mut figures = Figures::new(Some(map), notes);
    let mut tools = figures.inside(&["server_tool_use"]);
    usage.set(Bucket::WebSearch, tools.get(&["web_search_requests"]));
    usage.set(Bucket::WebFetch, tools.get(&["web_fetch_requests"]));
    reply.usage = notes.trust(usage);
    if reply.usage.is_none() {
        reply.parts.clear();
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

/// The top level is the sum of the `message` entries. Compactions come on top at the same model; advisors and the
/// fallback that served come on top at their own. When a fallback served, the `message` entries of the other models
/// are attempts that were declined and are not billed; its own ones are its earlier turns.
fn add_iterations(iterations: &[Value], usage: &mut Usage, parts: &mut Vec<Part>, notes: &mut Notes) {
    let served = iterations.iter().rev().find(|entry| kind(entry) == "fallback_message");
    let served = served.and_then(|entry| label(entry.get("model")));
    let (mut messages, mut unnamed, mut compactions) = (Usage::new(), Usage::new(), Usage::new());
    let (mut on_top, mut turns) = (Vec::new(), Vec::new());
    for entry in iterations {
        let Some(used) = entry.as_object().and_then(|map| message(map, notes)) else { continue };
        match (kind(entry), label(entry.get("model"))) {
            ("message", model) => {
                add(&mut messages, &used);
                match model {
                    None => add(&mut unnamed, &used),
                    Some(model) if Some(&model) == served.as_ref() => add_part(&mut turns, model, &used),
                    Some(_) => {}
                }
            }
            ("advisor_message" | "fallback_message", Some(model)) => add_part(&mut on_top, model, &used),
            ("compaction", _) => add(&mut compactions, &used),
            (other, _) => {
                // Not known to be inside the top level: billed on top.
                notes.add(Rule::Iterations, || format!("an entry of the kind {:?}", shorten(other)));
                add(&mut compactions, &used);
            }
        }
    }
    if messages.total_tokens() != usage.total_tokens() {
        // Not the documented sum: the top level stands, nothing is taken off it.
        let (sum, top) = (messages.total_tokens(), usage.total_tokens());
        notes.add(Rule::Iterations, || format!("messages {sum}, top level {top}"));
    } else if served.is_some() {
        *usage = unnamed;
        turns.iter().for_each(|part| add_part(&mut on_top, part.model.clone(), &part.usage));
    }
    if on_top.len() > PARTS_MAX {
        notes.unreadable(Rule::TooManyModels, || format!("{} models", on_top.len()));
    }
    parts.append(&mut on_top);
    add(usage, &compactions);
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

fn kind(entry: &Value) -> &str {
    entry.get("type").and_then(Value::as_str).unwrap_or("")
}

fn add(usage: &mut Usage, more: &Usage) {
    for (bucket, quantity) in more.iter() {
        usage.add(bucket, quantity);
    }
}

fn add_part(parts: &mut Vec<Part>, model: Label, used: &Usage) {
    if let Some(part) = parts.iter_mut().find(|part| part.model == model) {
        add(&mut part.usage, used);
    } else if parts.len() <= PARTS_MAX {
        // One more than may be is kept, to see that there are too many.
        parts.push(Part { model, usage: *used });
    }
}
