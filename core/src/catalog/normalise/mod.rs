//! A provider's own reply, read into disjoint buckets. One file per provider; what they share is how a number is
//! read (`number`) and how totals with parts become buckets (`tokens`).
//!
//! The rules: integers stay integers; of several spellings of one figure the most specific counts; the provider's
//! total decides between two readings; a figure that no reading explains is never clamped but billed at the larger
//! cost, with an [`Anomaly`]; a figure that is not a number makes the whole usage unknown.

mod anthropic;
mod bedrock;
mod figures;
mod gemini;
mod number;
mod openai;
mod reply;
mod stream;
mod tokens;

pub(crate) use reply::tier;
pub use reply::{Anomaly, Part, Reply, Rule};
pub use stream::{Chunk, StreamReader, usage_only_chunk};

use crate::codes::Code;
use crate::error::{Error, Result};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

/// Normalises a reply. The API is told by the reply's shape; `provider` (a catalog id) decides what shapes leave open.
///
/// Also accepted: only the provider's `usage` object, and usage in Spendrail's own buckets
/// (`{"usage": {"input": 90, "output": 10}}`). A reply without usage has `usage: None`.
///
/// # Errors
/// `usage_invalid` if `value` is not an object, or if usage in own buckets has a value that is not a count.
pub fn reply(provider: Option<&str>, value: &Value) -> Result<Reply> {
    reply_of(provider, None, value)
}

/// Like [`reply`], for APIs whose reply does not name the model (Bedrock Converse): `model` is the requested one.
///
/// # Errors
/// As [`reply`].
pub fn reply_of(provider: Option<&str>, model: Option<&str>, value: &Value) -> Result<Reply> {
    let Some(map) = value.as_object() else {
        return Err(Error::new(
            Code::UsageInvalid,
            format!("a reply must be an object, not {}", kind(value)),
        )
        .hint("settle with the provider's reply, its usage object, or a Usage"));
    };
    let map = unwrap(map);
    Ok(match shape(provider, map) {
        Shape::Own(buckets) => Reply { usage: Some(usage(buckets)?), ..Reply::default() },
        Shape::Gemini => gemini::reply(map),
        Shape::Bedrock => bedrock::reply(map, model),
        Shape::Anthropic => anthropic::reply(map),
        Shape::OpenAi => openai::reply(provider, map),
        Shape::BareUsage => {
            let mut whole = Map::new();
            let name = if map.keys().any(|key| key.contains("oken_count") || key.contains("okenCount")) {
                "usageMetadata"
            } else {
                "usage"
            };
            whole.insert(name.to_owned(), Value::Object(map.clone()));
            match shape(provider, &whole) {
                Shape::Gemini => gemini::reply(&whole),
                Shape::Bedrock => bedrock::reply(&whole, model),
                Shape::Anthropic => anthropic::reply(&whole),
                _ => openai::reply(provider, &whole),
            }
        }
    })
}

/// Reads usage in Spendrail's own buckets: `{"input": 90, "cache_read": 10, "output": 10}`.
///
/// # Errors
/// `usage_invalid` for an unknown bucket or a value that is not a count of at most 2^40.
pub fn usage(buckets: &Map<String, Value>) -> Result<Usage> {
    let mut usage = Usage::new();
    for (key, value) in buckets {
        let Some(bucket) = Bucket::from_key(key) else {
            let shown: String = key.chars().take(40).collect();
            return Err(Error::new(Code::UsageInvalid, "is not a bucket").field(shown).hint(
                "buckets are input, cache_read, cache_write, output, output_reasoning, web_search, …",
            ));
        };
        match number::count(Some(value)) {
            number::Count::Whole(quantity) => usage.set(bucket, quantity),
            number::Count::Absent => {}
            number::Count::Damaged => {
                return Err(Error::new(Code::UsageInvalid, "must be a whole number from 0 to 2^40")
                    .field(key.clone()));
            }
        }
    }
    Ok(usage)
}

enum Shape<'a> {
    Own(&'a Map<String, Value>),
    Gemini,
    Bedrock,
    Anthropic,
    OpenAi,
    /// Only the usage object itself.
    BareUsage,
}

fn shape<'a>(provider: Option<&str>, map: &'a Map<String, Value>) -> Shape<'a> {
    let has = |key: &str| map.contains_key(key);
    let gemini = ["usageMetadata", "usage_metadata", "candidates", "promptFeedback", "prompt_feedback"];
    if gemini.iter().any(|key| has(key)) || (provider == Some("google") && has("error")) {
        return Shape::Gemini;
    }
    let Some(usage) = reply::object(map, "usage") else {
        return match map.get("type").and_then(Value::as_str) {
            Some("message" | "error") => Shape::Anthropic,
            _ if is_usage(map) => Shape::BareUsage,
            _ if is_own(map) => Shape::Own(map),
            _ => Shape::OpenAi,
        };
    };
    let in_usage = |key: &str| usage.contains_key(key);
    if in_usage("prompt_tokens") || in_usage("completion_tokens") {
        return Shape::OpenAi;
    }
    if in_usage("inputTokens") || in_usage("outputTokens") {
        return Shape::Bedrock;
    }
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
    if map.get("type").and_then(Value::as_str) == Some("message")
        || (!in_usage("input_tokens_details") && ANTHROPIC.iter().any(|key| in_usage(key)))
        || (provider == Some("anthropic") && !in_usage("total_tokens"))
    {
        return Shape::Anthropic;
    }
    if is_own(usage) { Shape::Own(usage) } else { Shape::OpenAi }
}

fn is_usage(map: &Map<String, Value>) -> bool {
    const NAMES: [&str; 9] = [
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
        "inputTokens",
        "outputTokens",
        "promptTokenCount",
        "prompt_token_count",
        "totalTokenCount",
    ];
    NAMES.iter().any(|name| map.contains_key(*name))
}

/// Usage in our own words: not empty and nothing else in it. No provider uses these names.
fn is_own(map: &Map<String, Value>) -> bool {
    !map.is_empty() && map.keys().all(|key| Bucket::from_key(key).is_some())
}

/// The reply inside an envelope: Cloudflare's `result`, the last event of a Responses stream.
fn unwrap(map: &Map<String, Value>) -> &Map<String, Value> {
    let event = map.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("response."));
    let inner = if event { reply::object(map, "response") } else { reply::object(map, "result") };
    match inner {
        Some(inner) if event || inner.contains_key("usage") => inner,
        _ => map,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
