//! A provider's own reply, read into disjoint buckets. One file per provider family; what they share is how a number is
//! read (`number`, `figures`) and how totals with parts become buckets (`tokens`).
//!
//! The rules: integers stay integers; of several spellings of one figure the most specific counts; the provider's
//! total decides between two readings; a figure that no reading explains is never clamped but billed at the larger
//! cost, with an [`Anomaly`]; a figure that is not a number makes the whole usage unknown. The family is told by the
//! reply's shape (`shape`), the provider's id decides only what shapes leave open, so that a compatible server that
//! nobody has heard of is read as well.
//!
//! | API | read by | input | reasoning | total decides |
//! |---|---|---|---|---|
//! | OpenAI and Azure: Chat, Responses, Realtime, Completions, Embeddings, transcription by token | `openai` | includes the cache | inside | yes |
//! | Realtime's transcription of the input: by token or by duration, at the price of the model that transcribes | `openai`, `transcription`, `stream` | includes the cache | | yes |
//! | their hosted tools | `tools` | | | |
//! | images, the image tool, vectors | `images` | includes the cache | | no |
//! | transcription by duration | `transcription` | | | |
//! | Anthropic Messages, also on Vertex, Azure, Bedrock; iterations; a fallback credit, whose amount is not told: writes count in full | `anthropic` | excludes the cache | inside | no total |
//! | Gemini and Vertex `generateContent`, Live, embeddings; traffic type | `gemini` | includes the cache | outside | yes |
//! | Gemini Interactions | `interactions` | includes the cache | outside | yes |
//! | Bedrock Converse, Nova | `bedrock` | excludes the cache; OpenAI's models in a stream include it | inside | yes |
//! | Bedrock InvokeModel: Titan, Llama, Mistral, Cohere, the metrics of streams | `invoke` | excludes the cache | inside | no total |
//! | xAI Chat, Responses, gRPC | `openai`, `xai` | includes the cache | as the total says, else outside | yes |
//! | Perplexity | `openai`, `perplexity` | | outside | no: it leaves reasoning out |
//! | Mistral: chat, conversations, audio, documents | `openai`, `mistral` | includes the cache | inside | not with audio, which is billed by time |
//! | Cohere | `cohere` | as billed; cached tokens are information | inside | no |
//! | Groq: streams, compound systems, tools that ran on the server | `openai`, `groq` | includes the cache | inside | yes |
//! | DeepSeek, Moonshot, Fireworks, Together, Cerebras, Z.AI, vLLM, Databricks, Cloudflare; Gemini's and Anthropic's compatible endpoints; OpenRouter | `openai` | includes the cache | inside; what a total has more is reasoning | yes |
//! | what a provider says it charges: xAI, OpenRouter, Perplexity | `reported` | | | |
//! | Ollama | `ollama` | as told | inside | no total |
//!
//! Sources: the vendors' SDKs (openai 3.57, anthropic 2.13, google-genai 3.6, botocore 1.44, mistralai 3.7, cohere 7.3,
//! groq 1.7, xai-sdk 1.21, perplexityai 0.46), real replies, and the threads that `tests/vectors/costs.json` cites.

mod anthropic;
mod bedrock;
mod cohere;
mod figures;
mod gemini;
mod groq;
mod images;
mod interactions;
mod invoke;
mod mistral;
mod number;
mod ollama;
mod openai;
mod perplexity;
mod reply;
mod reported;
mod shape;
mod stream;
mod tokens;
mod tools;
mod transcription;
mod xai;

pub(crate) use reply::tier;
pub use reply::{Anomaly, Part, Reply, Rule};
pub use stream::{Chunk, StreamReader, usage_only_chunk};

use crate::catalog::Tier;
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};
use shape::Family;

/// Normalises a reply. The API is told by the reply's shape; `provider` (a catalog id) decides what shapes leave open.
///
/// Also accepted: one line of a batch's output, only the provider's `usage` object, and usage in Spendrail's own buckets
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
    if let Some(inside) = shape::batched(map) {
        let mut reply = read_any(provider, model, inside)?;
        (reply.tier, reply.service_tier) = (Some(Tier::Batch), Some("batch".into()));
        return Ok(reply);
    }
    read_any(provider, model, shape::unwrap(map))
}

fn read_any(provider: Option<&str>, model: Option<&str>, map: &Map<String, Value>) -> Result<Reply> {
    let Some(name) = shape::bare_usage(map) else {
        return read(shape::family(provider, map), provider, model, map);
    };
    let mut whole = Map::new();
    whole.insert(name.to_owned(), Value::Object(map.clone()));
    read(shape::family(provider, &whole), provider, model, &whole)
}

/// Reads a reply of a known family.
fn read(
    family: Family,
    provider: Option<&str>,
    model: Option<&str>,
    map: &Map<String, Value>,
) -> Result<Reply> {
    Ok(match family {
        Family::Own => {
            let buckets = reply::object(map, "usage").unwrap_or(map);
            Reply { usage: Some(usage(buckets)?), ..Reply::default() }
        }
        Family::Gemini => gemini::reply(map),
        Family::Interactions => interactions::reply(map),
        Family::Converse => bedrock::reply(map, model),
        Family::Invoke => invoke::reply(map),
        Family::Anthropic => anthropic::reply(map),
        Family::Cohere => cohere::reply(map),
        Family::Ollama => ollama::reply(map),
        Family::Images => images::reply(provider, map),
        Family::Transcription => transcription::reply(map),
        Family::Ocr => mistral::ocr(map),
        Family::OpenAi => openai::reply(provider, map),
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
