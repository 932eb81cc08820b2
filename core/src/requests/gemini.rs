//! Gemini and Vertex `generateContent`. Keys in camel case or snake case.

use super::fields::{self, Body, any, float, label, labels, limit, list, object, text};
use super::size::Size;
use super::{Request, TOOL_USES_UNSTATED};
use crate::error::Result;
use crate::values::Bucket;
use serde_json::{Map, Value};

pub(super) fn read(map: &Body, request: &mut Request) -> Result<()> {
    let mut size = Size::default();
    match any(map, &["contents"]) {
        Some(Value::Array(contents)) => contents.iter().try_for_each(|each| content(each, &mut size))?,
        Some(other) => content(other, &mut size)?,
        None => size.unknown(),
    }
    if let Some(system) = any(map, &["systemInstruction", "system_instruction"]) {
        content(system, &mut size)?;
    }
    if any(map, &["cachedContent", "cached_content"]).is_some() {
        size.unknown();
    }
    for entry in list(map, &["tools"]) {
        tool(entry, &mut size, request)?;
    }
    let none = Map::new();
    let config = object(map, &["generationConfig", "generation_config"]).unwrap_or(&none);
    size.text_of(any(
        config,
        &["responseSchema", "response_schema", "responseJsonSchema", "response_json_schema"],
    ))?;
    request.max_output_tokens = limit(config, &["maxOutputTokens", "max_output_tokens"])?;
    request.choices = fields::choices(config, &["candidateCount", "candidate_count"])?;
    modalities(config, request);
    const TIER: [&str; 2] = ["serviceTier", "service_tier"];
    request.tier = fields::tier(map, &TIER).or_else(|| fields::tier(config, &TIER));
    // Explicit caches are billed while they exist, implicit ones not at all.
    request.writes_cache = Some(false);
    request.media.extend(size.media.iter().copied());
    request.input_tokens = size.input();
    sampling(config, request);
    Ok(())
}

/// One content, a list of requests (`batchEmbedContents`), or Vertex's `instances`.
pub(super) fn embed(map: &Body, request: &mut Request) -> Result<()> {
    let mut size = Size::default();
    let one = |entry: &Body, size: &mut Size| match any(entry, &["content"]) {
        // Vertex's older models embed bare text.
        Some(Value::String(text)) => {
            size.frame();
            size.text(text);
            size.text_of(any(entry, &["title"]))
        }
        Some(inside) => {
            size.text_of(any(entry, &["title"]))?;
            content(inside, size)
        }
        None => {
            size.unknown();
            Ok(())
        }
    };
    let entries = list(map, &["requests", "instances"]);
    for entry in entries.iter().filter_map(Value::as_object) {
        one(entry, &mut size)?;
    }
    let dimensions = ["outputDimensionality", "output_dimensionality"];
    if entries.is_empty() {
        one(map, &mut size)?;
    }
    let config = object(map, &["embedContentConfig", "embed_content_config", "parameters"])
        .or_else(|| entries.first()?.as_object())
        .unwrap_or(map);
    request.params.dimensions = limit(config, &dimensions)?;
    request.max_output_tokens = Some(0);
    request.writes_cache = Some(false);
    request.media.extend(size.media.iter().copied());
    request.input_tokens = size.input();
    Ok(())
}

fn sampling(config: &Body, request: &mut Request) {
    let params = &mut request.params;
    params.temperature = float(config, &["temperature"]);
    params.top_p = float(config, &["topP", "top_p"]);
    params.top_k = any(config, &["topK", "top_k"]).and_then(Value::as_u64);
    params.frequency_penalty = float(config, &["frequencyPenalty", "frequency_penalty"]);
    params.presence_penalty = float(config, &["presencePenalty", "presence_penalty"]);
    params.seed = any(config, &["seed"]).and_then(Value::as_i64);
    params.stop_sequences = labels(config, &["stopSequences", "stop_sequences"]);
    let thinking = object(config, &["thinkingConfig", "thinking_config"]);
    params.reasoning_level = thinking.and_then(|map| label(map, &["thinkingLevel", "thinking_level"]));
    match text(config, &["responseMimeType", "response_mime_type"]) {
        Some("application/json") => params.output_type = Some("json".into()),
        Some("text/plain") => params.output_type = Some("text".into()),
        _ => {}
    }
}

fn modalities(config: &Body, request: &mut Request) {
    for modality in
        list(config, &["responseModalities", "response_modalities"]).iter().filter_map(Value::as_str)
    {
        if modality.eq_ignore_ascii_case("audio") {
            request.reaches(Bucket::OutputAudio);
            request.params.output_type = Some("speech".into());
        } else if modality.eq_ignore_ascii_case("image") {
            request.reaches(Bucket::OutputImage);
            request.params.output_type = Some("image".into());
        }
    }
}

fn content(value: &Value, size: &mut Size) -> Result<()> {
    size.frame();
    let Some(map) = value.as_object() else { return size.text_of(Some(value)) };
    list(map, &["parts"]).iter().try_for_each(|each| part(each, size))
}

fn part(value: &Value, size: &mut Size) -> Result<()> {
    let Some(map) = value.as_object() else { return size.text_of(Some(value)) };
    let media = object(map, &["inlineData", "inline_data", "fileData", "file_data"]);
    if let Some(media) = media {
        size.media_type(text(media, &["mimeType", "mime_type"]).unwrap_or(""));
        return Ok(());
    }
    let called = any(
        map,
        &[
            "functionCall",
            "function_call",
            "executableCode",
            "executable_code",
            "codeExecutionResult",
            "code_execution_result",
        ],
    );
    let answered = object(map, &["functionResponse", "function_response"]);
    match (any(map, &["text"]), called, answered) {
        (Some(text), _, _) => size.text_of(Some(text))?,
        (None, Some(call), _) => size.json(call)?,
        (None, None, Some(answer)) => {
            size.text_of(any(answer, &["name"]))?;
            size.text_of(any(answer, &["response"]))?;
            list(answer, &["parts"]).iter().try_for_each(|each| part(each, size))?;
        }
        (None, None, None) => size.unknown(),
    }
    size.text_of(any(map, &["thoughtSignature", "thought_signature"]))
}

fn tool(value: &Value, size: &mut Size, request: &mut Request) -> Result<()> {
    size.json(value)?;
    let Some(map) = value.as_object() else { return Ok(()) };
    for (key, inside) in map.iter().filter(|(_, inside)| !inside.is_null()) {
        match key.as_str() {
            "functionDeclarations" | "function_declarations" => {
                inside.as_array().into_iter().flatten().for_each(|_| size.frame());
            }
            // Billed per query, or once per prompt by older models.
            "googleSearch"
            | "google_search"
            | "googleSearchRetrieval"
            | "google_search_retrieval"
            | "enterpriseWebSearch"
            | "enterprise_web_search" => {
                size.unknown();
                request.server_tools.add(Bucket::WebSearch, TOOL_USES_UNSTATED);
            }
            "googleMaps" | "google_maps" => {
                size.unknown();
                request.server_tools.add(Bucket::MapsGrounding, 1);
            }
            _ => size.unknown(),
        }
    }
    Ok(())
}
