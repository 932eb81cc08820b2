//! Amazon Bedrock Converse, and Amazon Nova's own shape, which is the same: input excludes the cache, except for OpenAI's
//! models in a stream.

use super::figures::Figures;
use super::reply::{Notes, Reply, Rule, label, list, object};
use super::tokens::{Convention, Place, Tokens, Written, disjoint};
use crate::values::Usage;
use crate::values::scope::Label;
use serde_json::{Map, Value};

/// A whole reply, or the `metadata` event of a stream. Converse does not name the model: `model` is the requested one.
pub(super) fn reply(map: &Map<String, Value>, model: Option<&str>) -> Reply {
    let mut notes = Notes::default();
    let router = object(map, "trace").and_then(|trace| object(trace, "promptRouter"));
    let mut reply = Reply {
        model: router.and_then(|router| label(router.get("invokedModelId"))),
        finish_reasons: label(map.get("stopReason")).into_iter().collect(),
        error: EXCEPTIONS.iter().find(|name| map.contains_key(**name)).map(|name| Label::from(*name)),
        ..Reply::default()
    };
    reply.set_tier(object(map, "serviceTier").and_then(|tier| tier.get("type")));
    let latency = object(map, "performanceConfig").and_then(|config| label(config.get("latency")));
    reply.speed = latency.filter(|latency| &**latency != "standard");
    if let Some(usage) = object(map, "usage") {
        // Only a whole reply brings its message.
        let streamed = !map.contains_key("output");
        reply.usage = read_usage(usage, model.filter(|_| streamed), &mut notes);
    }
    reply.anomalies = notes.anomalies;
    reply
}

/// How a stream says that it broke.
pub(super) const EXCEPTIONS: [&str; 5] = [
    "internalServerException",
    "modelStreamErrorException",
    "serviceUnavailableException",
    "throttlingException",
    "validationException",
];

/// `streamed_by`: the model of a stream.
fn read_usage(map: &Map<String, Value>, streamed_by: Option<&str>, notes: &mut Notes) -> Option<Usage> {
    let mut figures = Figures::new(Some(map), notes);
    let mut tokens = Tokens {
        input: figures.get(&["inputTokens"]),
        output: figures.get(&["outputTokens"]),
        cached: figures.get(&["cacheReadInputTokens", "cacheReadInputTokenCount"]),
        total: figures.any(&["totalTokens"]),
        ..Tokens::default()
    };
    let written = figures.any(&["cacheWriteInputTokens", "cacheWriteInputTokenCount"]);
    let mut split = Written::default();
    for entry in list(map, "cacheDetails").iter().filter_map(Value::as_object) {
        let count = Figures::new(Some(entry), notes).get(&["inputTokens"]);
        let slot = match entry.get("ttl").and_then(Value::as_str) {
            Some("5m") => &mut split.m5,
            Some("30m") => &mut split.m30,
            Some("1h") => &mut split.h1,
            Some("12h") => &mut split.h12,
            _ => &mut split.plain,
        };
        *slot = slot.saturating_add(count);
    }
    tokens.written = Written::new(written, split, notes);
    let cache = tokens.cached.saturating_add(tokens.written.sum());
    // OpenAI's models report an input that includes the cache, and then a total that counts it twice.
    let openai = streamed_by.is_some_and(|model| model.contains("openai."));
    let convention = if openai && cache > 0 && tokens.input >= cache {
        notes.add(Rule::CacheInsideInput, || format!("cache {cache}, input {}", tokens.input));
        Convention { cache: Place::Inside, reasoning: Place::Inside, total_decides: false }
    } else {
        Convention { cache: Place::Outside, reasoning: Place::Inside, total_decides: true }
    };
    let usage = disjoint(&tokens, convention, notes);
    notes.trust(usage)
}
