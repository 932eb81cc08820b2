//! Cohere: chat, embed and rerank. Version 2 has messages; version 1 has a `message`, a history and documents.

use super::chat::sampling;
use super::fields::{Body, any, label, labels, limit, list, object, text};
use super::size::Size;
use super::{Request, TOOL_USES_UNSTATED};
use crate::error::Result;
use crate::telemetry::Operation;
use crate::values::Bucket;
use serde_json::Value;

pub(super) fn chat(map: &Body, request: &mut Request) -> Result<()> {
    let mut size = Size::default();
    for message in list(map, &["messages", "chat_history"]) {
        one_message(message, &mut size)?;
    }
    if let Some(message) = any(map, &["message"]) {
        size.frame();
        size.text_of(Some(message))?;
    }
    size.text_of(any(map, &["preamble"]))?;
    size.text_of(any(map, &["response_format"]))?;
    // Without a schema or a history there is only what the server remembers.
    if any(map, &["conversation_id"]).is_some() || any(map, &["messages", "message"]).is_none() {
        size.unknown();
    }
    for part in ["documents", "tool_results"].iter().flat_map(|name| list(map, &[name])) {
        size.frame();
        size.text_of(Some(part))?;
    }
    let tools = list(map, &["tools"]);
    for tool in tools {
        size.frame();
        size.json(tool)?;
    }
    // What a tool's schema becomes in the prompt is more than its text.
    if !tools.is_empty() {
        size.tokens(super::tools::PROVIDER_TOOL_TOKENS);
    }
    let connectors = list(map, &["connectors"]);
    if !connectors.is_empty() {
        size.unknown();
        request.server_tools.add(Bucket::WebSearch, TOOL_USES_UNSTATED);
    }
    request.max_output_tokens = limit(map, &["max_tokens"])?;
    request.writes_cache = Some(false);
    request.media.extend(size.media.iter().copied());
    request.input_tokens = size.input();
    sampling(map, request);
    let params = &mut request.params;
    params.top_p = super::fields::float(map, &["p"]).or(params.top_p);
    params.top_k = any(map, &["k"]).and_then(Value::as_u64).or(params.top_k);
    if params.stop_sequences.is_empty() {
        params.stop_sequences = labels(map, &["stop_sequences"]);
    }
    let thinking = object(map, &["thinking"]);
    params.reasoning_level = thinking.and_then(|thinking| label(thinking, &["type"]));
    Ok(())
}

fn one_message(message: &Value, size: &mut Size) -> Result<()> {
    size.frame();
    let Some(message) = message.as_object() else { return size.text_of(Some(message)) };
    for (key, value) in message {
        match (key.as_str(), value) {
            ("role", _) | (_, Value::Null) => {}
            ("content", Value::Array(parts)) => parts.iter().try_for_each(|each| part(each, size))?,
            (_, value) => size.text_of(Some(value))?,
        }
    }
    Ok(())
}

fn part(value: &Value, size: &mut Size) -> Result<()> {
    let Some(map) = value.as_object() else { return size.text_of(Some(value)) };
    match text(map, &["type"]) {
        Some("text" | "thinking" | "document") => size.json(value)?,
        Some("image_url" | "image") => size.media(Bucket::InputImage),
        _ => size.unknown(),
    }
    Ok(())
}

/// `texts`, `images` or `inputs`, which mix both.
pub(super) fn embed(map: &Body, request: &mut Request) -> Result<()> {
    let mut size = Size::default();
    request.operation = Operation::Embeddings;
    for input in list(map, &["texts"]) {
        size.frame();
        size.text_of(Some(input))?;
    }
    if !list(map, &["images"]).is_empty() {
        size.media(Bucket::InputImage);
    }
    for content in list(map, &["inputs"]).iter().filter_map(Value::as_object) {
        size.frame();
        list(content, &["content"]).iter().try_for_each(|each| part(each, &mut size))?;
    }
    request.max_output_tokens = Some(0);
    request.writes_cache = Some(false);
    request.media.extend(size.media.iter().copied());
    request.input_tokens = size.input();
    let types = labels(map, &["embedding_types"]);
    request.params.encoding_format = types.first().cloned();
    request.params.dimensions = limit(map, &["output_dimension"])?;
    Ok(())
}

/// Billed by search unit: one query with up to 100 documents, where a long document counts once per piece of about 500
/// tokens, its copy of the query included.
pub(super) fn rerank(map: &Body, request: &mut Request) -> Result<()> {
    const DOCUMENTS_PER_UNIT: u64 = 100;
    const TOKENS_PER_PIECE: u64 = 500;
    const QUERY_TOKENS_MAX: u64 = TOKENS_PER_PIECE / 2;
    const TOKENS_PER_DOCUMENT: u64 = 4096;
    request.operation = Operation::Rerank;
    let bytes = |value: Option<&Value>| {
        let mut size = Size::default();
        size.text_of(value)?;
        Ok::<u64, crate::error::Error>(match size.input() {
            super::InputSize::Bound(tokens) => tokens,
            super::InputSize::Context => TOKENS_PER_DOCUMENT,
        })
    };
    let query = bytes(any(map, &["query"]))?.min(QUERY_TOKENS_MAX);
    let most = limit(map, &["max_tokens_per_doc"])?.unwrap_or(TOKENS_PER_DOCUMENT);
    let room = TOKENS_PER_PIECE.saturating_sub(query).max(1);
    let chunks_max = limit(map, &["max_chunks_per_doc"])?.unwrap_or(u64::MAX);
    let mut pieces = 0u64;
    for document in list(map, &["documents"]) {
        let tokens = bytes(Some(document))?.min(most);
        pieces = pieces.saturating_add(tokens.div_ceil(room).min(chunks_max).max(1));
    }
    request.server_tools.add(Bucket::RerankSearch, pieces.div_ceil(DOCUMENTS_PER_UNIT).max(1));
    // Its tokens are not billed.
    request.input_tokens = super::InputSize::Bound(0);
    request.max_output_tokens = Some(0);
    request.writes_cache = Some(false);
    Ok(())
}
