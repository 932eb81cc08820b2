//! OpenAI Chat Completions and compatible servers.

use super::fields::{self, Body, any, float, label, labels, limit, list, object, text};
use super::size::Size;
use super::{OtherModel, Request, tools};
use crate::error::Result;
use crate::values::Bucket;
use serde_json::Value;

pub(super) fn read(map: &Body, request: &mut Request) -> Result<()> {
    let mut size = Size::default();
    messages(map, &mut size)?;
    tools::openai(map, None, &mut size, request)?;
    size.text_of(any(map, &["response_format"]))?;
    searches(map, &mut size, request)?;
    request.choices = fields::choices(map, &["n"])?;
    max_output(map, request)?;
    modalities(map, request);
    // OpenRouter tries these one after the other.
    for model in list(map, &["models"]).iter().filter_map(Value::as_str).filter_map(fields::to_label) {
        request.other_models.push(OtherModel { model, max_output_tokens: None, uses: 1, instead: true });
    }
    request.include_usage = include_usage(map);
    request.media.extend(size.media.iter().copied());
    request.input_tokens = size.input();
    sampling(map, request);
    service_tier(map, request);
    request.params.openai_api = Some("chat_completions");
    Ok(())
}

/// Both spellings may be there; the server takes either, so the larger one bounds it. Predicted tokens that are
/// rejected are billed as output on top.
fn max_output(map: &Body, request: &mut Request) -> Result<()> {
    let stated = limit(map, &["max_completion_tokens"])?.max(limit(map, &["max_tokens"])?);
    request.params.max_tokens = stated;
    request.max_output_tokens = stated;
    if let (Some(prediction), Some(stated)) = (object(map, &["prediction"]), stated) {
        let mut predicted = Size::default();
        predicted.text_of(any(prediction, &["content"]))?;
        if let super::InputSize::Bound(tokens) = predicted.input() {
            request.max_output_tokens = Some(stated.saturating_add(tokens));
        }
    }
    Ok(())
}

fn messages(map: &Body, size: &mut Size) -> Result<()> {
    match any(map, &["messages"]) {
        Some(Value::Array(messages)) => messages.iter().try_for_each(|message| one_message(message, size)),
        other => {
            size.unknown();
            size.text_of(other)
        }
    }
}

fn one_message(message: &Value, size: &mut Size) -> Result<()> {
    size.frame();
    let Some(message) = message.as_object() else { return size.json(message) };
    for (key, value) in message {
        match (key.as_str(), value) {
            ("role" | "type", _) | (_, Value::Null) => {}
            ("content", Value::Array(parts)) => parts.iter().try_for_each(|part| content_part(part, size))?,
            // An earlier reply in sound, by its id.
            ("audio", _) => size.media(Bucket::InputAudio),
            (_, value) => size.text_of(Some(value))?,
        }
    }
    Ok(())
}

/// One part of a message's content; shared with Responses, whose parts have other names.
pub(super) fn content_part(part: &Value, size: &mut Size) -> Result<()> {
    let Some(map) = part.as_object() else { return size.text_of(Some(part)) };
    match text(map, &["type"]) {
        Some("text" | "input_text" | "output_text" | "summary_text" | "reasoning_text") => {
            size.text_of(any(map, &["text"]))?;
        }
        Some("refusal") => size.text_of(any(map, &["refusal"]))?,
        Some("image_url" | "input_image" | "computer_screenshot" | "file" | "input_file") => {
            size.media(Bucket::InputImage);
        }
        Some("input_audio" | "audio_url") => size.media(Bucket::InputAudio),
        Some("video_url" | "input_video") => size.media(Bucket::InputVideo),
        _ => size.unknown(),
    }
    Ok(())
}

/// Searching that is not declared as a tool: OpenAI's search models, xAI, OpenRouter.
fn searches(map: &Body, size: &mut Size, request: &mut Request) -> Result<()> {
    let mut uses = 0u64;
    if any(map, &["web_search_options"]).is_some()
        || text(map, &["model"]).is_some_and(|m| m.ends_with(":online"))
    {
        uses = 1;
    }
    if let Some(search) =
        object(map, &["search_parameters"]).filter(|search| text(search, &["mode"]) != Some("off"))
    {
        const RESULTS_UNSTATED: u64 = 20;
        uses = uses.saturating_add(limit(search, &["max_search_results"])?.unwrap_or(RESULTS_UNSTATED));
    }
    for plugin in list(map, &["plugins"]).iter().filter_map(Value::as_object) {
        uses = uses.saturating_add(u64::from(text(plugin, &["id"]) == Some("web")));
        size.unknown();
    }
    if uses > 0 {
        size.unknown();
        request.server_tools.add(Bucket::WebSearch, uses);
    }
    Ok(())
}

fn modalities(map: &Body, request: &mut Request) {
    for modality in list(map, &["modalities"]).iter().filter_map(Value::as_str) {
        match modality {
            "audio" => {
                request.reaches(Bucket::OutputAudio);
                request.params.output_type = Some("speech".into());
            }
            "image" => {
                request.reaches(Bucket::OutputImage);
                request.params.output_type = Some("image".into());
            }
            _ => {}
        }
    }
}

/// What the caller decided about usage in the stream.
pub(super) fn include_usage(map: &Body) -> Option<bool> {
    any(object(map, &["stream_options"])?, &["include_usage"])?.as_bool()
}

/// Sampling parameters, for telemetry.
pub(super) fn sampling(map: &Body, request: &mut Request) {
    let params = &mut request.params;
    params.temperature = float(map, &["temperature"]);
    params.top_p = float(map, &["top_p"]);
    params.top_k = any(map, &["top_k"]).and_then(Value::as_u64);
    params.frequency_penalty = float(map, &["frequency_penalty"]);
    params.presence_penalty = float(map, &["presence_penalty"]);
    params.seed = any(map, &["seed", "random_seed"]).and_then(Value::as_i64);
    params.stop_sequences = labels(map, &["stop", "stop_sequences"]);
    params.reasoning_level = label(map, &["reasoning_effort"]);
    if let Some(format) = object(map, &["response_format"]) {
        params.output_type = output_type(text(format, &["type"]));
    }
}

/// `gen_ai.output.type` of a response format.
pub(super) fn output_type(format: Option<&str>) -> Option<crate::values::scope::Label> {
    match format? {
        "json_object" | "json_schema" => Some("json".into()),
        "text" => Some("text".into()),
        _ => None,
    }
}

/// The tier that is asked for, for the price and for telemetry.
pub(super) fn service_tier(map: &Body, request: &mut Request) {
    request.tier = fields::tier(map, &["service_tier"]);
    request.params.openai_request_tier = label(map, &["service_tier"]);
}
