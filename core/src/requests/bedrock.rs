//! Amazon Bedrock: Converse, which is the same for every model, and InvokeModel, whose body is in the shape of the
//! model's family. A shape is told by its own fields: an ARN does not tell the family.

use super::fields::{self, Body, any, float, label, labels, limit, list, object, text};
use super::size::Size;
use super::tools::PROVIDER_TOOL_TOKENS;
use super::{Request, anthropic, chat, cohere};
use crate::error::Result;
use crate::telemetry::Operation;
use crate::values::Bucket;
use serde_json::{Map, Value};

/// Names of a maximum, in the order of how many families have them.
const MAXIMUM: [&str; 8] = [
    "max_tokens",
    "maxTokens",
    "max_completion_tokens",
    "max_gen_len",
    "max_new_tokens",
    "max_tokens_to_sample",
    "maxTokenCount",
    "max_output_tokens",
];

/// Converse. The caller's SDK has moved the model into the path.
pub(super) fn converse(map: &Body, request: &mut Request) -> Result<()> {
    let mut size = Size::default();
    conversation(map, &mut size)?;
    let none = Map::new();
    let config = object(map, &["inferenceConfig"]).unwrap_or(&none);
    request.max_output_tokens = most(config)?;
    let extra = object(map, &["additionalModelRequestFields"]);
    if let Some(extra) = extra {
        additional(extra, &mut size, request)?;
    }
    // A stored prompt and what is filled into it.
    if any(map, &["promptVariables"]).is_some() {
        size.unknown();
    }
    size.text_of(any(map, &["outputConfig"]))?;
    // Caches are written where a cache point says so.
    request.writes_cache = Some(map.iter().any(anthropic::marks_cache));
    request.tier = object(map, &["serviceTier"]).and_then(|tier| fields::tier(tier, &["type"]));
    let latency = object(map, &["performanceConfig"]).and_then(|config| label(config, &["latency"]));
    request.speed = latency.filter(|latency| &**latency != "standard");
    request.media.extend(size.media.iter().copied());
    request.input_tokens = size.input();
    sampling(config, extra, request);
    Ok(())
}

/// InvokeModel, by the shape of its body.
pub(super) fn invoke(map: &Body, request: &mut Request) -> Result<()> {
    let has = |name: &str| any(map, &[name]).is_some();
    if has("anthropic_version") {
        return anthropic::read(map, request);
    }
    if has("inputText") || has("inputImage") {
        return titan(map, request);
    }
    if has("query") && has("documents") {
        return cohere::rerank(map, request);
    }
    if has("texts") || has("images") || (has("inputs") && has("input_type")) {
        return cohere::embed(map, request);
    }
    if has("message") {
        return cohere::chat(map, request);
    }
    // Nova has Converse's messages and its own names of a maximum.
    if has("inferenceConfig") || has("schemaVersion") || list(map, &["messages"]).iter().any(is_converse) {
        return converse(map, request);
    }
    if has("messages") {
        chat::read(map, request)?;
        request.params.openai_api = None;
        request.max_output_tokens = request.max_output_tokens.max(most(map)?);
        return Ok(());
    }
    prompt(map, request)
}

fn most(map: &Body) -> Result<Option<u64>> {
    // Several names may be there; the largest bounds them all.
    MAXIMUM.iter().try_fold(None, |most: Option<u64>, name| Ok(most.max(limit(map, &[name])?)))
}

/// A message whose content is blocks without a `type`: Converse's, not OpenAI's.
fn is_converse(message: &Value) -> bool {
    let blocks = message.get("content").and_then(Value::as_array);
    blocks.is_some_and(|blocks| blocks.iter().any(|block| block.is_object() && block.get("type").is_none()))
}

fn conversation(map: &Body, size: &mut Size) -> Result<()> {
    match any(map, &["messages"]) {
        Some(Value::Array(messages)) => {
            for message in messages {
                size.frame();
                blocks(message.get("content"), size)?;
            }
        }
        // A stored prompt has its own.
        _ => size.unknown(),
    }
    blocks(any(map, &["system"]), size)?;
    let Some(config) = object(map, &["toolConfig"]) else { return Ok(()) };
    let tools = list(config, &["tools"]);
    if !tools.is_empty() {
        size.tokens(PROVIDER_TOOL_TOKENS);
    }
    for tool in tools {
        size.frame();
        size.json(tool)?;
        // A tool that runs at the provider: what it finds goes into the prompt.
        if tool.get("systemTool").is_some() {
            size.unknown();
        }
    }
    size.text_of(any(config, &["toolChoice"]))
}

fn blocks(value: Option<&Value>, size: &mut Size) -> Result<()> {
    match value {
        Some(Value::Array(blocks)) => blocks.iter().try_for_each(|each| block(each, size)),
        other => size.text_of(other),
    }
}

fn block(value: &Value, size: &mut Size) -> Result<()> {
    let Some(map) = value.as_object() else { return size.text_of(Some(value)) };
    for (kind, inside) in map {
        match kind.as_str() {
            "text" => size.text_of(Some(inside))?,
            // Documents are read as images.
            "image" | "document" => size.media(Bucket::InputImage),
            "video" => size.media(Bucket::InputVideo),
            "audio" => size.media(Bucket::InputAudio),
            "toolResult" => {
                size.frame();
                blocks(inside.get("content"), size)?;
            }
            "json" | "toolUse" | "searchResult" | "reasoningContent" | "citationsContent" => {
                size.json(inside)?
            }
            "guardContent" => match inside.get("text") {
                Some(text) => size.json(text)?,
                None => size.media(Bucket::InputImage),
            },
            "cachePoint" | "type" | "role" => {}
            _ => size.unknown(),
        }
    }
    Ok(())
}

/// What a family wants besides: thinking of its own budget, tools of its own making, another maximum.
fn additional(extra: &Body, size: &mut Size, request: &mut Request) -> Result<()> {
    for (_, value) in extra {
        size.json(value)?;
    }
    for _ in list(extra, &["tools"]) {
        size.tokens(PROVIDER_TOOL_TOKENS);
    }
    let stated = request.max_output_tokens.max(most(extra)?);
    let thinking = object(extra, &["thinking", "reasoning_config"]);
    let budget =
        thinking.map(|thinking| limit(thinking, &["budget_tokens"])).transpose()?.flatten().unwrap_or(0);
    request.max_output_tokens =
        stated.map(|stated| if budget > stated { stated.saturating_add(budget) } else { stated });
    Ok(())
}

fn sampling(config: &Body, extra: Option<&Body>, request: &mut Request) {
    let params = &mut request.params;
    params.temperature = float(config, &["temperature"]);
    params.top_p = float(config, &["topP", "top_p"]);
    params.top_k =
        any(config, &["topK", "top_k"]).or_else(|| any(extra?, &["top_k", "topK"])).and_then(Value::as_u64);
    params.stop_sequences = labels(config, &["stopSequences", "stop_sequences"]);
}

/// Titan: a text to continue, or a text or image to embed.
fn titan(map: &Body, request: &mut Request) -> Result<()> {
    let mut size = Size::default();
    size.frame();
    size.text_of(any(map, &["inputText"]))?;
    if any(map, &["inputImage"]).is_some() {
        size.media(Bucket::InputImage);
    }
    let embeds = ["dimensions", "normalize", "embeddingTypes", "embeddingConfig", "inputImage"];
    if any(map, &embeds).is_some() || request.model.as_deref().is_some_and(|model| model.contains("embed")) {
        request.operation = Operation::Embeddings;
        request.max_output_tokens = Some(0);
        request.params.dimensions = limit(map, &["dimensions"])?;
    } else if let Some(config) = object(map, &["textGenerationConfig"]) {
        request.max_output_tokens = most(config)?;
        sampling(config, None, request);
    }
    request.writes_cache = Some(false);
    request.media.extend(size.media.iter().copied());
    request.input_tokens = size.input();
    Ok(())
}

/// A bare prompt: Llama, Mistral, DeepSeek, AI21, the older Cohere. A body that is none of these has no bound but the
/// model's context; a model that makes pictures has no rate for tokens and is denied.
fn prompt(map: &Body, request: &mut Request) -> Result<()> {
    let mut size = Size::default();
    size.frame();
    match text(map, &["prompt"]) {
        Some(prompt) => size.text(prompt),
        None => size.unknown(),
    }
    if !list(map, &["images"]).is_empty() {
        size.media(Bucket::InputImage);
    }
    request.operation = Operation::TextCompletion;
    request.choices = fields::choices(map, &["num_generations", "numResults", "n"])?;
    request.max_output_tokens = most(map)?;
    request.writes_cache = Some(false);
    request.media.extend(size.media.iter().copied());
    request.input_tokens = size.input();
    sampling(map, None, request);
    Ok(())
}
