//! Cohere, both versions: what is billed stands apart from what was read, so there is nothing to reconcile. Cached
//! tokens are told for information and are not billed on top.

use super::figures::Figures;
use super::reply::{Notes, Reply, Rule, label, object};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

/// A whole reply: chat, embeddings, rerank, classification.
pub(super) fn reply(map: &Map<String, Value>) -> Reply {
    let mut notes = Notes::default();
    let mut reply = Reply {
        model: label(map.get("model")),
        id: label(map.get("id")).or_else(|| label(map.get("generation_id"))),
        finish_reasons: label(map.get("finish_reason")).into_iter().collect(),
        ..Reply::default()
    };
    if let Some(told) = object(map, "usage").or_else(|| object(map, "meta")) {
        reply.usage = units(told, &mut notes);
    }
    reply.anomalies = notes.anomalies;
    reply
}

fn units(told: &Map<String, Value>, notes: &mut Notes) -> Option<Usage> {
    let mut usage = Usage::new();
    let is_count = |map: &&Map<String, Value>| map.values().any(|value| !value.is_null());
    if let Some(billed) = object(told, "billed_units").filter(is_count) {
        let mut billed = Figures::new(Some(billed), notes);
        // The text of an embedding is told apart from its images where both were sent.
        usage.set(Bucket::Input, billed.get(&["text_tokens", "input_tokens"]));
        usage.set(Bucket::Output, billed.get(&["output_tokens"]));
        let image_tokens = billed.any(&["image_tokens"]);
        usage.set(Bucket::InputImage, image_tokens.unwrap_or(0));
        let images = billed.get(&["images"]);
        if image_tokens.is_none() {
            usage.set(Bucket::InputImageUnit, images);
        }
        usage.set(Bucket::RerankSearch, billed.get(&["search_units"]));
        usage.set(Bucket::Classification, billed.get(&["classifications"]));
        usage.set(Bucket::Page, billed.get(&["pages"]));
    } else if let Some(tokens) = object(told, "tokens").filter(is_count) {
        let mut tokens = Figures::new(Some(tokens), notes);
        usage.set(Bucket::Input, tokens.get(&["input_tokens"]));
        usage.set(Bucket::Output, tokens.get(&["output_tokens"]));
    } else {
        notes.unreadable(Rule::Unrecognised, || "no billed units and no tokens".to_owned());
        return None;
    }
    notes.trust(usage)
}
