//! OpenAI Chat Completions, Responses, Realtime, legacy Completions, Embeddings, transcription by token, and the servers
//! that speak them: Azure, xAI, DeepSeek, Mistral, Groq, Perplexity, Moonshot, Fireworks, Together, Cerebras, Z.AI,
//! Databricks, OpenRouter, Cloudflare, Gemini's and Anthropic's compatible endpoints, vLLM, … Totals include their parts,
//! unless the total says otherwise.

use super::figures::Figures;
use super::number::{Count, count};
use super::reply::{Notes, PARTS_MAX, Part, Reply, Rule, label, list, object};
use super::tokens::{Convention, Media, Place, Tokens, Written, disjoint};
use super::{groq, images, mistral, perplexity, reported, tools, xai};
use crate::values::scope::Label;
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};
use smallvec::SmallVec;

const INPUT_DETAILS: &[&str] = &["prompt_tokens_details", "input_tokens_details", "input_token_details"];
const OUTPUT_DETAILS: &[&str] =
    &["completion_tokens_details", "output_tokens_details", "output_token_details"];

/// A whole reply.
pub(super) fn reply(provider: Option<&str>, map: &Map<String, Value>) -> Reply {
    let mut notes = Notes::default();
    let mut reply = Reply {
        model: label(map.get("model")),
        id: label(map.get("id")),
        finish_reasons: finish_reasons(map),
        system_fingerprint: label(map.get("system_fingerprint")),
        error: error(map),
        pending: matches!(map.get("status").and_then(Value::as_str), Some("queued" | "in_progress")),
        ..Reply::default()
    };
    let told = object(map, "usage").or_else(|| groq::usage(map));
    if let Some(told) = told {
        let embeddings = map.get("object").and_then(Value::as_str) == Some("list");
        reply.usage = usage(provider, told, embeddings, &mut notes);
        if is_hollow(told) && list(map, "choices").iter().any(made_output) {
            notes.unreadable(Rule::Unrecognised, || "output, and no tokens of it".to_owned());
        }
        reply.reported_cost = reported::cost(told);
        perplexity::read_context(told, &mut reply);
        reply.set_tier(told.get("service_tier"));
    }
    reply.set_tier(map.get("service_tier"));
    if let (Some(usage), Some(told)) = (&mut reply.usage, told)
        && !xai::count_tools(told, usage, &mut notes)
    {
        tools::count(map, usage, &mut notes);
    }
    reply.parts = parts(provider, map, &mut notes);
    if !reply.parts.is_empty() && groq::breakdown(map).is_some() {
        // The breakdown lists every model that was used: its sum is the usage.
        reply.usage = Some(Usage::new());
    }
    if let Some(usage) = &mut reply.usage {
        groq::count_tools(map, usage, &mut notes);
    }
    if let Some(usage) = reply.usage.take() {
        reply.usage = notes.trust(usage);
    }
    reply.anomalies = notes.anomalies;
    reply
}

/// Whether a `usage` object says nothing of the output: it leaves it out, or is a skeleton of zeros.
pub(super) fn is_hollow(usage: &Map<String, Value>) -> bool {
    use Count::{Absent, Whole};
    let told =
        |names: [&str; 2]| count(names.iter().find_map(|name| usage.get(*name).filter(|n| !n.is_null())));
    let (input, output) =
        (told(["prompt_tokens", "input_tokens"]), told(["completion_tokens", "output_tokens"]));
    matches!(
        (input, output, count(usage.get("total_tokens"))),
        (Absent | Whole(_), Absent, Absent) | (Absent | Whole(0), Absent | Whole(0), Absent | Whole(0))
    )
}

/// Whether a choice says anything: text or parts of it, reasoning, a refusal, audio, calls of tools.
fn made_output(choice: &Value) -> bool {
    let says = |value: &Value| match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(parts) => !parts.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    };
    let message = choice.get("message").and_then(Value::as_object);
    choice.get("text").is_some_and(says)
        || message.is_some_and(|message| message.iter().any(|(name, value)| name != "role" && says(value)))
}

/// The token figures of a `usage` object. `None` when it has none, or none that can be trusted.
pub(super) fn usage(
    provider: Option<&str>,
    map: &Map<String, Value>,
    embeddings: bool,
    notes: &mut Notes,
) -> Option<Usage> {
    let mut figures = Figures::new(Some(map), notes);
    let mut input = figures.any(&["prompt_tokens", "input_tokens"]);
    let mut output = figures.any(&["completion_tokens", "output_tokens"]);
    let total = figures.any(&["total_tokens"]);
    let audio_ms = mistral::audio_ms(&mut figures);
    if figures.notes.unreadable {
        return None;
    }
    if let (None, None, Some(total)) = (input, output, total) {
        if embeddings {
            input = Some(total);
        } else {
            output = Some(total);
            figures.notes.add(Rule::OnlyTotal, || format!("total {total}"));
        }
    }
    if input.is_none() && output.is_none() && audio_ms.is_none() {
        if !map.is_empty() {
            notes.unreadable(Rule::Unrecognised, || "no prompt, completion or total tokens".to_owned());
        }
        return None;
    }
    if input.is_none() && total.is_none() && audio_ms.is_none() {
        notes.unreadable(Rule::Unrecognised, || "no prompt or total tokens".to_owned());
        return None;
    }
    let tokens = details(figures, input.unwrap_or(0), output.unwrap_or(0), total);
    let perplexity = perplexity::is_own(provider, map);
    let additive = perplexity || xai::is_own(provider, map);
    let convention = Convention {
        cache: Place::Inside,
        reasoning: if additive { Place::Outside } else { Place::Inside },
        // Perplexity's total leaves reasoning out; Mistral's has the tokens of audio that is billed by time.
        total_decides: !perplexity && audio_ms.is_none(),
    };
    let mut usage = disjoint(&tokens, convention, notes);
    usage.set(Bucket::InputAudioMs, audio_ms.unwrap_or(0));
    mistral::count_connectors(&mut Figures::new(Some(map), notes), &mut usage);
    if perplexity {
        perplexity::count(map, &mut usage, notes);
    }
    notes.trust(usage)
}

/// The parts of the totals, in every spelling; the most specific one first.
fn details(mut figures: Figures<'_, '_>, input: u64, output: u64, total: Option<u64>) -> Tokens {
    let mut tokens = Tokens { input, output, total, ..Tokens::default() };
    let mut of_input = figures.inside(INPUT_DETAILS);
    let cached = of_input.any(&["cached_tokens", "cache_read_input_tokens"]);
    let mut written =
        of_input.any(&["cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens"]);
    tokens.input_media = media(&mut of_input);
    tokens.cached_media = media(&mut of_input.inside(&["cached_tokens_details"]));
    let mut by_ttl = of_input.inside(&["cache_write_tokens_details"]);
    let split = Written {
        m30: by_ttl.get(&["ttl_30m_tokens"]),
        h12: by_ttl.get(&["ttl_12h_tokens"]),
        ..Written::default()
    };
    const CACHED: &[&str] = &[
        "prompt_cache_hit_tokens",
        "num_cached_tokens",
        "cached_tokens",
        "cache_read_input_tokens",
        "cached_prompt_text_tokens",
    ];
    tokens.cached = cached.unwrap_or_else(|| figures.get(CACHED));
    if written.is_none() {
        written = figures.any(&["cache_creation_input_tokens"]);
    }
    tokens.written = Written::new(written, split, figures.notes);
    if tokens.input_media.image == 0 {
        tokens.input_media.image = figures.get(&["prompt_image_tokens"]);
    }
    tokens.tool_input = figures.get(&["connector_tokens"]);
    let mut of_output = figures.inside(OUTPUT_DETAILS);
    let reasoning = of_output.any(&["reasoning_tokens"]);
    tokens.output_media = media(&mut of_output);
    tokens.reasoning = reasoning.unwrap_or_else(|| figures.get(&["reasoning_tokens"]));
    tokens
}

fn media(figures: &mut Figures<'_, '_>) -> Media {
    Media {
        audio: figures.get(&["audio_tokens"]),
        image: figures.get(&["image_tokens"]),
        video: figures.get(&["video_tokens"]),
    }
}

fn finish_reasons(map: &Map<String, Value>) -> SmallVec<[Label; 1]> {
    const REASONS_MAX: usize = 128;
    let choices = list(map, "choices");
    if !choices.is_empty() {
        return choices
            .iter()
            .take(REASONS_MAX)
            .filter_map(|choice| label(choice.get("finish_reason")))
            .collect();
    }
    let incomplete = object(map, "incomplete_details").and_then(|details| label(details.get("reason")));
    incomplete.or_else(|| label(map.get("status"))).into_iter().collect()
}

fn error(map: &Map<String, Value>) -> Option<Label> {
    match map.get("error")? {
        Value::Object(error) => Some(
            label(error.get("code")).or_else(|| label(error.get("type"))).unwrap_or_else(|| "error".into()),
        ),
        Value::String(_) => Some("error".into()),
        _ => None,
    }
}

/// What other models used: Groq's compound systems, and the image model behind the image tool.
fn parts(provider: Option<&str>, map: &Map<String, Value>, notes: &mut Notes) -> Vec<Part> {
    let mut parts = Vec::new();
    for entry in groq::breakdown(map).unwrap_or_default() {
        let told = entry.get("usage").and_then(Value::as_object);
        let used = told.and_then(|told| usage(provider, told, false, notes));
        match (label(entry.get("model")), used) {
            (Some(model), Some(usage)) => parts.push(Part { model, usage }),
            _ => notes.unreadable(Rule::Unreadable, || {
                "a part of the breakdown has no model or no usage".to_owned()
            }),
        }
    }
    parts.extend(images::of_tool(map, notes));
    if parts.len() > PARTS_MAX {
        notes.unreadable(Rule::TooManyModels, || format!("{} models", parts.len()));
        parts.clear();
    }
    parts
}
