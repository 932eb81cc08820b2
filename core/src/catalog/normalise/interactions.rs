//! Gemini Interactions: the algebra of `generateContent` under other names.

use super::figures::Figures;
use super::gemini::{CONVENTION, media, per_prompt};
use super::reply::{Notes, Reply, Rule, label, list, object};
use super::tokens::{Tokens, disjoint};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

/// A whole interaction.
pub(super) fn reply(map: &Map<String, Value>) -> Reply {
    let mut notes = Notes::default();
    let status = map.get("status").and_then(Value::as_str);
    let mut reply = Reply {
        model: label(map.get("model")),
        id: label(map.get("id")),
        finish_reasons: label(map.get("status")).into_iter().collect(),
        error: object(map, "error").map(|error| label(error.get("code")).unwrap_or_else(|| "error".into())),
        pending: matches!(status, Some("queued" | "in_progress")),
        ..Reply::default()
    };
    reply.set_tier(map.get("service_tier"));
    if let Some(told) = object(map, "usage") {
        reply.usage = usage(told, &mut notes);
        if let Some(usage) = &mut reply.usage {
            count_grounding(told, reply.model.as_deref(), usage, &mut notes);
        }
    }
    if let Some(usage) = reply.usage.take() {
        reply.usage = notes.trust(usage);
    }
    reply.anomalies = notes.anomalies;
    reply
}

fn usage(map: &Map<String, Value>, notes: &mut Notes) -> Option<Usage> {
    let mut figures = Figures::new(Some(map), notes);
    let input = figures.any(&["total_input_tokens"]);
    let output = figures.any(&["total_output_tokens"]);
    let mut tokens = Tokens {
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
        cached: figures.get(&["total_cached_tokens"]),
        reasoning: figures.get(&["total_thought_tokens", "total_reasoning_tokens"]),
        tool_input: figures.get(&["total_tool_use_tokens"]),
        total: figures.any(&["total_tokens"]),
        ..Tokens::default()
    };
    if input.is_none() && output.is_none() && tokens.total.is_none() {
        notes.unreadable(Rule::Unrecognised, || "no input, output or total tokens".to_owned());
        return None;
    }
    tokens.input_media = media(list(map, "input_tokens_by_modality"), notes);
    tokens.cached_media = media(list(map, "cached_tokens_by_modality"), notes);
    tokens.output_media = media(list(map, "output_tokens_by_modality"), notes);
    Some(disjoint(&tokens, CONVENTION, notes))
}

fn count_grounding(map: &Map<String, Value>, model: Option<&str>, usage: &mut Usage, notes: &mut Notes) {
    for entry in list(map, "grounding_tool_count").iter().filter_map(Value::as_object) {
        let count = Figures::new(Some(entry), notes).get(&["count"]);
        match entry.get("type").and_then(Value::as_str) {
            Some("google_search") if per_prompt(model) => usage.set(Bucket::WebSearch, count.min(1)),
            Some("google_search") => usage.add(Bucket::WebSearch, count),
            Some("google_maps") => usage.add(Bucket::MapsGrounding, count.min(1)),
            Some("retrieval") => usage.add(Bucket::FileSearch, count),
            _ => {}
        }
    }
}
