//! Which family of APIs a reply belongs to. The shape decides; the provider only where two families share one.

use super::reply::{list, object};
use super::{invoke, transcription};
use crate::values::Bucket;
use serde_json::{Map, Value};

/// A family of APIs whose replies are of one shape, and the file that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Usage in our own buckets.
    Own,
    /// Gemini and Vertex `generateContent`, Live, embeddings.
    Gemini,
    /// Gemini Interactions.
    Interactions,
    /// Bedrock Converse, and Nova's own shape, which is the same.
    Converse,
    /// Bedrock InvokeModel of Titan, Llama, Mistral, Cohere: counts under the model family's names or in the metrics.
    Invoke,
    /// Anthropic Messages.
    Anthropic,
    /// Cohere: billed units.
    Cohere,
    /// Ollama's own API.
    Ollama,
    /// Images: tokens, or images one by one.
    Images,
    /// Transcription by duration.
    Transcription,
    /// Mistral's document reading: pages.
    Ocr,
    /// Everything of OpenAI's shape.
    OpenAi,
}

/// Names of Gemini's replies that no other API has.
const GEMINI: [&str; 5] =
    ["usageMetadata", "usage_metadata", "candidates", "promptFeedback", "prompt_feedback"];

/// Names in a usage object that only Anthropic has.
const ANTHROPIC: [&str; 8] = [
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "server_tool_use",
    "inference_geo",
    "speed",
    "iterations",
    "fallback_credit",
];

/// The family of a reply.
pub(super) fn family(provider: Option<&str>, map: &Map<String, Value>) -> Family {
    let google = matches!(provider, Some("google" | "vertex"));
    if GEMINI.iter().any(|key| map.contains_key(*key))
        || (google
            && ["error", "predictions", "embedding", "embeddings"].iter().any(|key| map.contains_key(*key)))
    {
        return Family::Gemini;
    }
    match object(map, "usage") {
        Some(usage) => of_usage(provider, map, usage),
        None => without_usage(map),
    }
}

fn of_usage(provider: Option<&str>, map: &Map<String, Value>, usage: &Map<String, Value>) -> Family {
    let has = |key: &str| usage.contains_key(key);
    if has("prompt_tokens") || has("completion_tokens") {
        return Family::OpenAi;
    }
    if has("total_input_tokens") || has("total_output_tokens") {
        return Family::Interactions;
    }
    if has("inputTokens") || has("outputTokens") {
        return Family::Converse;
    }
    if has("billed_units") || object(usage, "tokens").is_some() {
        return Family::Cohere;
    }
    if transcription::is_duration(usage) {
        return Family::Transcription;
    }
    if is_images(map) {
        return Family::Images;
    }
    let message = map.get("type").and_then(Value::as_str) == Some("message");
    let anthropic = || !has("input_tokens_details") && ANTHROPIC.iter().any(|key| has(key));
    if message || anthropic() || (provider == Some("anthropic") && !has("total_tokens")) {
        return Family::Anthropic;
    }
    if is_own(usage) { Family::Own } else { Family::OpenAi }
}

fn without_usage(map: &Map<String, Value>) -> Family {
    let has = |key: &str| map.contains_key(key);
    let billed = object(map, "meta")
        .is_some_and(|meta| meta.contains_key("billed_units") || meta.contains_key("tokens"));
    if billed {
        return Family::Cohere;
    }
    if has("prompt_eval_count") || has("eval_count") {
        return Family::Ollama;
    }
    if object(map, "usage_info").is_some_and(|usage| usage.contains_key("pages_processed")) {
        return Family::Ocr;
    }
    // Before the families whose replies on Bedrock carry no usage of their own.
    if invoke::has_counts(map) {
        return Family::Invoke;
    }
    match map.get("type").and_then(Value::as_str) {
        Some("message" | "error") => return Family::Anthropic,
        _ if has("stopReason") => return Family::Converse,
        _ => {}
    }
    if is_own(map) {
        return Family::Own;
    }
    if is_images(map) {
        return Family::Images;
    }
    if transcription::is_verbose(map) { Family::Transcription } else { Family::OpenAi }
}

/// Only the usage object itself: the key under which a whole reply would carry it.
pub(super) fn bare_usage(map: &Map<String, Value>) -> Option<&'static str> {
    const USAGE: [&str; 11] = [
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "inputTokens",
        "outputTokens",
        "total_input_tokens",
        "total_output_tokens",
        "billed_units",
        "duration_seconds",
    ];
    const METADATA: [&str; 5] = [
        "promptTokenCount",
        "prompt_token_count",
        "totalTokenCount",
        "total_token_count",
        "responseTokenCount",
    ];
    if map.contains_key("usage") || map.contains_key("usageMetadata") || map.contains_key("usage_metadata") {
        return None;
    }
    if invoke::has_counts(map) {
        return None;
    }
    if METADATA.iter().any(|name| map.contains_key(*name)) {
        return Some("usageMetadata");
    }
    let duration = map.get("type").and_then(Value::as_str) == Some("duration");
    (duration || USAGE.iter().any(|name| map.contains_key(*name))).then_some("usage")
}

/// Usage in our own words: not empty and nothing else in it. No provider uses these names.
fn is_own(map: &Map<String, Value>) -> bool {
    !map.is_empty() && map.keys().all(|key| Bucket::from_key(key).is_some())
}

/// Made images: OpenAI's `data`, Bedrock's `images`, the last event of a stream of them.
fn is_images(map: &Map<String, Value>) -> bool {
    let is_image =
        |entry: &Value| ["b64_json", "url"].iter().any(|key| entry.get(*key).is_some_and(Value::is_string));
    let event = map.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("image_"));
    event
        || list(map, "data").first().is_some_and(is_image)
        || list(map, "images").first().is_some_and(Value::is_string)
}

/// The reply inside an envelope: Cloudflare's `result`, an event of Responses or Interactions, the `data` of Mistral's
/// stream, the `response` of a background completion or of Gemini Code Assist.
pub(super) fn unwrap(map: &Map<String, Value>) -> &Map<String, Value> {
    let kind = map.get("type").and_then(Value::as_str).unwrap_or("");
    if kind.starts_with("response.")
        && let Some(response) = object(map, "response")
    {
        return response;
    }
    if map.contains_key("usage") {
        return map;
    }
    let carries = |inner: &&Map<String, Value>| {
        ["usage", "choices", "candidates"].iter().any(|key| inner.contains_key(*key))
    };
    ["result", "response", "interaction", "data"]
        .iter()
        .find_map(|key| object(map, key).filter(carries))
        .unwrap_or(map)
}

/// The reply inside one line of a batch's output: OpenAI's and Mistral's, Anthropic's, Gemini's, Bedrock's. That it was
/// a batch is told by the line only, the reply inside calls its tier the default.
pub(super) fn batched(map: &Map<String, Value>) -> Option<&Map<String, Value>> {
    if map.contains_key("custom_id") {
        let body = object(map, "response").and_then(|response| object(response, "body"));
        return body.or_else(|| object(object(map, "result")?, "message"));
    }
    if map.contains_key("recordId") {
        return object(map, "modelOutput");
    }
    // Code Assist puts a single reply into a `response` too, without what names a line.
    let is_line = ["key", "request", "metadata"].iter().any(|name| map.contains_key(*name));
    object(map, "response").filter(|inner| is_line && inner.contains_key("candidates"))
}
