//! Gemini and Vertex `generateContent`, Live and embeddings: the prompt includes the cache, candidates exclude thoughts.

use super::figures::Figures;
use super::reply::{Notes, Reply, Rule, label, list, object};
use super::tokens::{Convention, Media, Place, Tokens, disjoint};
use crate::values::scope::Label;
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

/// What Gemini documents, whatever the names.
pub(super) const CONVENTION: Convention =
    Convention { cache: Place::Inside, reasoning: Place::Outside, total_decides: true };

/// A whole reply; keys in camel case (the API, JavaScript) or snake case (Python's `model_dump`).
pub(super) fn reply(map: &Map<String, Value>) -> Reply {
    let mut notes = Notes::default();
    let mut reply = Reply {
        model: either(map, "modelVersion", "model_version").and_then(|value| label(Some(value))),
        id: either(map, "responseId", "response_id").and_then(|value| label(Some(value))),
        error: object(map, "error").map(|error| label(error.get("status")).unwrap_or_else(|| "error".into())),
        ..Reply::default()
    };
    for candidate in list(map, "candidates").iter().filter_map(Value::as_object).take(128) {
        reply.finish_reasons.extend(either(candidate, "finishReason", "finish_reason").and_then(reason));
    }
    let feedback = either(map, "promptFeedback", "prompt_feedback").and_then(Value::as_object);
    if let Some(blocked) =
        feedback.and_then(|map| either(map, "blockReason", "block_reason")).and_then(reason)
    {
        reply.finish_reasons.push(blocked);
    }
    if let Some(usage) = either(map, "usageMetadata", "usage_metadata").and_then(Value::as_object) {
        read_usage(usage, &mut reply, &mut notes);
    } else {
        reply.usage = embeddings(map, &mut notes);
    }
    if let Some(usage) = &mut reply.usage {
        count_grounding(map, reply.model.as_deref(), usage);
    }
    reply.anomalies = notes.anomalies;
    reply
}

/// The reason of an end, in the provider's words; the unspecified one says nothing.
fn reason(value: &Value) -> Option<Label> {
    label(Some(value)).filter(|text| !text.ends_with("_UNSPECIFIED"))
}

/// A `usageMetadata` object: the buckets and the tier.
pub(super) fn read_usage(map: &Map<String, Value>, reply: &mut Reply, notes: &mut Notes) {
    let traffic = either(map, "trafficType", "traffic_type");
    reply.set_tier(traffic.or_else(|| either(map, "serviceTier", "service_tier")));
    reply.usage = usage(map, notes);
}

fn usage(map: &Map<String, Value>, notes: &mut Notes) -> Option<Usage> {
    let mut figures = Figures::new(Some(map), notes);
    let input = figures.any(&["promptTokenCount", "prompt_token_count"]);
    let output = figures.any(&[
        "candidatesTokenCount",
        "candidates_token_count",
        "responseTokenCount",
        "response_token_count",
    ]);
    let mut tokens = Tokens {
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
        cached: figures.get(&["cachedContentTokenCount", "cached_content_token_count"]),
        reasoning: figures.get(&["thoughtsTokenCount", "thoughts_token_count"]),
        tool_input: figures.get(&["toolUsePromptTokenCount", "tool_use_prompt_token_count"]),
        total: figures.any(&["totalTokenCount", "total_token_count"]),
        ..Tokens::default()
    };
    if input.is_none() && output.is_none() && tokens.total.is_none() {
        if !map.is_empty() {
            notes.unreadable(Rule::Unrecognised, || "no prompt, candidates or total token count".to_owned());
        }
        return None;
    }
    let listed =
        |camel, snake| either(map, camel, snake).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    tokens.input_media = media(listed("promptTokensDetails", "prompt_tokens_details"), notes);
    tokens.cached_media = media(listed("cacheTokensDetails", "cache_tokens_details"), notes);
    tokens.output_media = match listed("candidatesTokensDetails", "candidates_tokens_details") {
        [] => media(listed("responseTokensDetails", "response_tokens_details"), notes),
        listed => media(listed, notes),
    };
    let usage = disjoint(&tokens, CONVENTION, notes);
    notes.trust(usage)
}

/// A list of counts by modality. What it leaves out is text; documents are priced as images.
pub(super) fn media(entries: &[Value], notes: &mut Notes) -> Media {
    let mut media = Media::default();
    for entry in entries.iter().filter_map(Value::as_object) {
        let tokens = Figures::new(Some(entry), notes).get(&["tokenCount", "token_count", "tokens"]);
        let slot = match entry.get("modality").and_then(Value::as_str).unwrap_or("") {
            "AUDIO" | "audio" => &mut media.audio,
            "IMAGE" | "DOCUMENT" | "image" | "document" => &mut media.image,
            "VIDEO" | "video" => &mut media.video,
            _ => continue,
        };
        *slot = slot.saturating_add(tokens);
    }
    media
}

/// The input of an embedding: Vertex tells it per text, the Gemini API not at all.
fn embeddings(map: &Map<String, Value>, notes: &mut Notes) -> Option<Usage> {
    let mut input = None;
    for prediction in
        list(map, "predictions").iter().chain(list(map, "embeddings")).filter_map(Value::as_object)
    {
        let statistics = object(prediction, "embeddings").unwrap_or(prediction);
        let tokens =
            Figures::new(object(statistics, "statistics"), notes).any(&["token_count", "tokenCount"]);
        input = tokens.map(|tokens| tokens.saturating_add(input.unwrap_or(0))).or(input);
    }
    let usage = Usage::new().with(Bucket::Input, input?);
    notes.trust(usage)
}

/// Grounding is billed per grounded prompt up to Gemini 2 and per query from Gemini 3 on.
pub(super) fn per_prompt(model: Option<&str>) -> bool {
    let version = model.and_then(|model| model.strip_prefix("gemini-"));
    version.is_some_and(|version| version.starts_with(['1', '2']))
}

fn count_grounding(map: &Map<String, Value>, model: Option<&str>, usage: &mut Usage) {
    let per_prompt = per_prompt(model);
    for candidate in list(map, "candidates").iter().filter_map(Value::as_object) {
        let grounding =
            either(candidate, "groundingMetadata", "grounding_metadata").and_then(Value::as_object);
        let Some(grounding) = grounding else { continue };
        let queries = either(grounding, "webSearchQueries", "web_search_queries").and_then(Value::as_array);
        let queries = queries.map_or(0, Vec::len);
        let billed = if per_prompt { queries.min(1) } else { queries };
        usage.add(Bucket::WebSearch, u64::try_from(billed).unwrap_or(u64::MAX));
        let chunks = either(grounding, "groundingChunks", "grounding_chunks").and_then(Value::as_array);
        if chunks
            .is_some_and(|chunks| chunks.iter().any(|chunk| chunk.get("maps").is_some_and(Value::is_object)))
        {
            usage.add(Bucket::MapsGrounding, 1);
        }
    }
}

/// The first of two spellings that is there.
pub(super) fn either<'a>(map: &'a Map<String, Value>, camel: &str, snake: &str) -> Option<&'a Value> {
    map.get(camel).or_else(|| map.get(snake))
}
