//! OpenAI Chat Completions, Responses, legacy Completions and Embeddings, and the servers that speak them: Azure,
//! xAI, DeepSeek, Mistral, Groq, Perplexity, OpenRouter, Gemini's and Anthropic's compatible endpoints, vLLM, …

use super::figures::Figures;
use super::number::{money, scaled};
use super::reply::{Notes, PARTS_MAX, Part, Reply, Rule, label, list, object};
use super::tokens::{Convention, Media, Place, Tokens, Written, disjoint};
use crate::values::scope::Label;
use crate::values::{AttoUsd, Bucket, Usage};
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
    let found = object(map, "usage").or_else(|| object(object(map, "x_groq")?, "usage"));
    if let Some(usage_map) = found {
        let embeddings = map.get("object").and_then(Value::as_str) == Some("list");
        reply.usage = usage(provider, usage_map, embeddings, &mut notes);
        reply.reported_cost = reported_cost(usage_map);
        reply.set_tier(usage_map.get("service_tier"));
    }
    reply.set_tier(map.get("service_tier"));
    if let Some(usage) = &mut reply.usage {
        count_server_tools(map, usage, &mut notes);
    }
    reply.parts = parts(provider, map, &mut notes);
    if !reply.parts.is_empty() && breakdown(map).is_some() {
        // The breakdown lists every model that was used: its sum is the usage.
        reply.usage = Some(Usage::new());
    }
    if let Some(usage) = reply.usage.take() {
        reply.usage = notes.trust(usage);
    }
    reply.anomalies = notes.anomalies;
    reply
}

/// The token figures of a `usage` object. `None` when it has none, or none that can be trusted.
pub(super) fn usage(
    provider: Option<&str>,
    map: &Map<String, Value>,
    embeddings: bool,
    notes: &mut Notes,
) -> Option<Usage> {
    let perplexity = provider == Some("perplexity")
        || map.contains_key("num_search_queries")
        || map.contains_key("citation_tokens");
    let xai = matches!(provider, Some("x-ai" | "xai")) || map.contains_key("cost_in_usd_ticks");
    let mut figures = Figures::new(Some(map), notes);
    let mut input = figures.any(&["prompt_tokens", "input_tokens"]);
    let mut output = figures.any(&["completion_tokens", "output_tokens"]);
    let total = figures.any(&["total_tokens"]);
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
    if input.is_none() && output.is_none() {
        if !map.is_empty() {
            notes.unreadable(Rule::Unrecognised, || "no prompt, completion or total tokens".to_owned());
        }
        return None;
    }
    let tokens = details(figures, input.unwrap_or(0), output.unwrap_or(0), total);
    let reasoning = if perplexity || xai { Place::Outside } else { Place::Inside };
    let convention = Convention { cache: Place::Inside, reasoning, total_decides: !perplexity };
    let mut usage = disjoint(&tokens, convention, notes);
    let mut extra = Figures::new(Some(map), notes);
    usage.set(Bucket::OutputCitation, extra.get(&["citation_tokens"]));
    usage.set(Bucket::WebSearch, extra.get(&["num_search_queries"]));
    if let Some(milliseconds) = scaled(map.get("prompt_audio_seconds"), 3) {
        usage.set(Bucket::InputAudioMs, milliseconds);
    }
    let mut tools = extra.inside(&["server_side_tool_usage_details"]);
    usage.add(Bucket::WebSearch, tools.get(&["web_search_calls"]));
    usage.add(Bucket::SocialSearch, tools.get(&["x_search_calls"]));
    usage.add(Bucket::FileSearch, tools.get(&["file_search_calls", "document_search_calls"]));
    notes.trust(usage)
}

/// The parts of the totals, in every spelling; the most specific one first.
fn details(mut figures: Figures<'_, '_>, input: u64, output: u64, total: Option<u64>) -> Tokens {
    let mut tokens = Tokens { input, output, total, ..Tokens::default() };
    let mut of_input = figures.inside(INPUT_DETAILS);
    let cached = of_input.any(&["cached_tokens"]);
    let mut written = of_input.any(&["cache_write_tokens", "cache_creation_tokens"]);
    tokens.input_media = Media {
        audio: of_input.get(&["audio_tokens"]),
        image: of_input.get(&["image_tokens"]),
        video: of_input.get(&["video_tokens"]),
    };
    let mut by_kind = of_input.inside(&["cached_tokens_details"]);
    tokens.cached_media = Media {
        audio: by_kind.get(&["audio_tokens"]),
        image: by_kind.get(&["image_tokens"]),
        video: by_kind.get(&["video_tokens"]),
    };
    let mut by_ttl = of_input.inside(&["cache_write_tokens_details"]);
    let split = Written {
        m30: by_ttl.get(&["ttl_30m_tokens"]),
        h12: by_ttl.get(&["ttl_12h_tokens"]),
        ..Written::default()
    };
    const CACHED: &[&str] =
        &["prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens", "cache_read_input_tokens"];
    tokens.cached = cached.unwrap_or_else(|| figures.get(CACHED));
    if written.is_none() {
        written = figures.any(&["cache_creation_input_tokens"]);
    }
    tokens.written = Written::new(written, split, figures.notes);
    let mut of_output = figures.inside(OUTPUT_DETAILS);
    let reasoning = of_output.any(&["reasoning_tokens"]);
    tokens.output_media = Media {
        audio: of_output.get(&["audio_tokens"]),
        image: of_output.get(&["image_tokens"]),
        video: of_output.get(&["video_tokens"]),
    };
    tokens.reasoning = reasoning.unwrap_or_else(|| figures.get(&["reasoning_tokens"]));
    tokens
}

/// The charge that the provider states: xAI's ticks, Perplexity's and OpenRouter's cost. With the caller's own key
/// (BYOK) OpenRouter's cost leaves out what the upstream provider charges.
pub(super) fn reported_cost(usage: &Map<String, Value>) -> Option<AttoUsd> {
    if let Some(cost) = money(usage.get("cost_in_usd_ticks"), 10) {
        return Some(cost);
    }
    match usage.get("cost")? {
        Value::Object(cost) => money(cost.get("total_cost"), 0),
        cost => {
            let cost = money(Some(cost), 0)?;
            if usage.get("is_byok") != Some(&Value::Bool(true)) {
                return Some(cost);
            }
            cost.checked_add(money(object(usage, "cost_details")?.get("upstream_inference_cost"), 0)?)
        }
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

/// Server-side tools that are billed per call, counted in the output where no counter is reported.
fn count_server_tools(map: &Map<String, Value>, usage: &mut Usage, notes: &mut Notes) {
    let mut searches = 0u64;
    let mut containers: SmallVec<[&str; 2]> = SmallVec::new();
    for item in list(map, "output") {
        match item.get("type").and_then(Value::as_str) {
            Some("web_search_call") => {
                // Opening a page and searching in it are free.
                let action = item.get("action").and_then(|action| action.get("type")).and_then(Value::as_str);
                if matches!(action, None | Some("search")) {
                    searches = searches.saturating_add(1);
                }
            }
            Some("file_search_call") => usage.add(Bucket::FileSearch, 1),
            Some("code_interpreter_call") => {
                let id = item.get("container_id").and_then(Value::as_str).unwrap_or("");
                if !containers.contains(&id) {
                    containers.push(id);
                    usage.add(Bucket::CodeSession, 1);
                }
            }
            _ => {}
        }
    }
    let mut reported = Figures::new(object(map, "tool_usage"), notes);
    let reported = reported.inside(&["web_search"]).any(&["num_requests"]);
    usage.add(Bucket::WebSearch, reported.unwrap_or(searches));
}

/// What other models used: Groq's compound systems, and the image model behind the image tool.
fn parts(provider: Option<&str>, map: &Map<String, Value>, notes: &mut Notes) -> Vec<Part> {
    let mut parts = Vec::new();
    for entry in breakdown(map).unwrap_or_default() {
        let usage = entry.get("usage").and_then(Value::as_object);
        let usage = usage.and_then(|map| self::usage(provider, map, false, notes));
        if let (Some(model), Some(usage)) = (label(entry.get("model")), usage) {
            parts.push(Part { model, usage });
        }
    }
    if let Some(images) = object(map, "tool_usage").and_then(|tools| object(tools, "image_gen"))
        && let Some(usage) = image_usage(images, notes).filter(|usage| !usage.is_empty())
    {
        let tool = list(map, "tools")
            .iter()
            .find(|tool| tool.get("type").and_then(Value::as_str) == Some("image_generation"));
        // Without its name the image model has no price, which is said rather than guessed.
        let model =
            tool.and_then(|tool| label(tool.get("model"))).unwrap_or_else(|| "image_generation".into());
        parts.push(Part { model, usage });
    }
    if parts.len() > PARTS_MAX {
        notes.unreadable(Rule::TooManyModels, || format!("{} models", parts.len()));
        parts.clear();
    }
    parts
}

fn breakdown(map: &Map<String, Value>) -> Option<&[Value]> {
    let breakdown = map.get("usage_breakdown").or_else(|| object(map, "x_groq")?.get("usage_breakdown"))?;
    let models = breakdown.get("models").unwrap_or(breakdown).as_array()?;
    (!models.is_empty()).then_some(models.as_slice())
}

fn image_usage(map: &Map<String, Value>, notes: &mut Notes) -> Option<Usage> {
    let mut figures = Figures::new(Some(map), notes);
    let (input, output) = (figures.get(&["input_tokens"]), figures.get(&["output_tokens"]));
    let cached = figures.get(&["cached_tokens"]);
    let mut image = |name: &str, key: &str| figures.inside(&[name]).any(&[key]);
    let input_image = image("input_tokens_details", "image_tokens").unwrap_or(0);
    let cached_image = image("cached_tokens_details", "cached_image_tokens").unwrap_or(0);
    // Without details the output of an image model is image.
    let output_image = image("output_tokens_details", "image_tokens").unwrap_or(output);
    let of = |image| Media { image, ..Media::default() };
    let tokens = Tokens {
        input,
        output,
        cached,
        input_media: of(input_image),
        cached_media: of(cached_image),
        output_media: of(output_image),
        ..Tokens::default()
    };
    let convention = Convention { cache: Place::Inside, reasoning: Place::Inside, total_decides: false };
    let usage = disjoint(&tokens, convention, notes);
    notes.trust(usage)
}
