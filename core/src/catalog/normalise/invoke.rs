//! Amazon Bedrock InvokeModel, for model families without a usage object of their own: Titan, Llama, Mistral, Cohere,
//! image models. The counts stand under the family's names, in the metrics that end a stream, or in the headers that
//! boto3 keeps in `ResponseMetadata`. They exclude the cache, as Converse's do.

use super::figures::Figures;
use super::reply::{Notes, Reply, Rule, label, list, object};
use super::tokens::{Convention, Place, Tokens, Written, disjoint};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

/// Where Bedrock says what a streamed call used, whatever the model.
pub(super) const METRICS: &str = "amazon-bedrock-invocationMetrics";

const CONVENTION: Convention =
    Convention { cache: Place::Outside, reasoning: Place::Inside, total_decides: false };

/// Most results of one call that are read.
const RESULTS_MAX: usize = 128;

/// The reply has counts that this file reads.
pub(super) fn has_counts(map: &Map<String, Value>) -> bool {
    const NAMES: [&str; 4] =
        [METRICS, "inputTextTokenCount", "generation_token_count", "totalOutputTextTokenCount"];
    NAMES.iter().any(|name| map.contains_key(*name))
        || map.contains_key("generation")
        || header(map, "input-token-count").is_some()
}

/// A whole reply.
pub(super) fn reply(map: &Map<String, Value>) -> Reply {
    let mut notes = Notes::default();
    let mut reply = Reply {
        model: label(map.get("model")),
        id: label(map.get("id")).or_else(|| label(map.get("response_id"))),
        usage: usage(map, &mut notes),
        ..Reply::default()
    };
    const REASONS: [&str; 3] = ["stop_reason", "completionReason", "finish_reason"];
    let outcomes = ["results", "outputs", "choices", "generations"];
    let results =
        outcomes.iter().flat_map(|name| list(map, name)).filter_map(Value::as_object).take(RESULTS_MAX);
    for place in std::iter::once(map).chain(results) {
        reply.finish_reasons.extend(REASONS.iter().find_map(|name| label(place.get(*name))));
    }
    let tier = header(map, "service-tier").map(Value::from);
    reply.set_tier(tier.as_ref());
    reply.anomalies = notes.anomalies;
    reply
}

fn usage(map: &Map<String, Value>, notes: &mut Notes) -> Option<Usage> {
    let mut figures = Figures::new(Some(map), notes);
    let mut metrics = figures.inside(&[METRICS]);
    let mut input = metrics.any(&["inputTokenCount"]);
    let mut output = metrics.any(&["outputTokenCount"]);
    let mut cached = metrics.any(&["cacheReadInputTokenCount"]);
    let mut written = metrics.any(&["cacheWriteInputTokenCount"]);
    input = input.or_else(|| figures.any(&["inputTextTokenCount", "prompt_token_count"]));
    output = output.or_else(|| figures.any(&["generation_token_count", "totalOutputTextTokenCount"]));
    if output.is_none() {
        for result in list(map, "results").iter().filter_map(Value::as_object).take(RESULTS_MAX) {
            let tokens = Figures::new(Some(result), notes).get(&["tokenCount"]);
            output = Some(output.unwrap_or(0).saturating_add(tokens));
        }
    }
    for (figure, name) in [
        (&mut input, "input-token-count"),
        (&mut output, "output-token-count"),
        (&mut cached, "cache-read-input-token-count"),
        (&mut written, "cache-write-input-token-count"),
    ] {
        if figure.is_none()
            && let Some(text) = header(map, name)
        {
            *figure = text.parse().ok();
            if figure.is_none() {
                notes.unreadable(Rule::Unreadable, || format!("the header {name} is no count"));
            }
        }
    }
    let tokens = Tokens {
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
        cached: cached.unwrap_or(0),
        written: Written { plain: written.unwrap_or(0), ..Written::default() },
        ..Tokens::default()
    };
    // What was generated has a count.
    if output.is_none() && (input.is_none() || map.contains_key("generation")) {
        notes.unreadable(Rule::Unrecognised, || "no token counts".to_owned());
        return None;
    }
    let mut usage = disjoint(&tokens, CONVENTION, notes);
    let images = list(map, "images").len();
    usage.set(Bucket::OutputImageUnit, u64::try_from(images).unwrap_or(u64::MAX));
    notes.trust(usage)
}

/// A header of Bedrock as boto3 tells it.
fn header<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let headers = object(object(map, "ResponseMetadata")?, "HTTPHeaders")?;
    headers.get(&format!("x-amzn-bedrock-{name}"))?.as_str()
}
