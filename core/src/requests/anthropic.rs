//! Anthropic Messages.

use super::fields::{self, Body, any, float, label, labels, limit, list, object, text};
use super::size::Size;
use super::tools::PROVIDER_TOOL_TOKENS;
use super::{OtherModel, Request, TOOL_USES_UNSTATED};
use crate::error::Result;
use crate::values::Bucket;
use serde_json::Value;

/// What the provider tells the model about using tools, once per request that has some.
const TOOL_PROMPT_TOKENS: u64 = 1024;
/// A set of tools in one entry (`computer_toolset_20260801` has about twenty).
const TOOLSET_TOKENS: u64 = 8192;

pub(super) fn read(map: &Body, request: &mut Request) -> Result<()> {
    let mut size = Size::default();
    content(any(map, &["system"]), &mut size)?;
    for message in list(map, &["messages"]) {
        size.frame();
        content(message.get("content"), &mut size)?;
    }
    size.text_of(object(map, &["output_config"]).and_then(|config| any(config, &["format"])))?;
    size.text_of(any(map, &["compaction"]))?;
    // State on the server, files in a container, tools and results of other servers: not in the request.
    let continues = object(map, &["thread"]).is_some_and(|thread| text(thread, &["type"]) != Some("create"));
    if continues || any(map, &["container"]).is_some() || !list(map, &["mcp_servers"]).is_empty() {
        size.unknown();
    }
    let tools = list(map, &["tools"]);
    if !tools.is_empty() {
        size.tokens(TOOL_PROMPT_TOKENS);
        tools.iter().try_for_each(|each| tool(each, &mut size, request))?;
    }
    // Anthropic caches only what is marked; what a thread has marked earlier is not in the request.
    request.writes_cache =
        if any(map, &["thread"]).is_some() { None } else { Some(map.iter().any(marks_cache)) };
    max_output(map, request)?;
    fallbacks(map, request)?;
    request.media.extend(size.media.iter().copied());
    request.input_tokens = size.input();
    request.speed = label(map, &["speed"]).filter(|speed| &**speed != "standard");
    request.geo = label(map, &["inference_geo"]).filter(|geo| &**geo != "global");
    request.tier = fields::tier(map, &["service_tier"]);
    let params = &mut request.params;
    params.temperature = float(map, &["temperature"]);
    params.top_p = float(map, &["top_p"]);
    params.top_k = any(map, &["top_k"]).and_then(Value::as_u64);
    params.stop_sequences = labels(map, &["stop_sequences"]);
    let config = object(map, &["output_config"]);
    params.reasoning_level = config.and_then(|config| label(config, &["effort"]));
    params.output_type = config.and_then(|config| object(config, &["format"])).map(|_| "json".into());
    Ok(())
}

/// Whether a field is a cache marker or has one inside. The depth is bounded: the fingerprint was taken before.
pub(super) fn marks_cache((key, value): (&String, &Value)) -> bool {
    match value {
        Value::Null => false,
        _ if matches!(key.as_str(), "cache_control" | "caching" | "cachePoint") => true,
        Value::Object(map) => map.iter().any(marks_cache),
        Value::Array(list) => list.iter().any(|item| marks_cache((key, item))),
        _ => false,
    }
}

/// Thinking is inside `max_tokens`, unless its own budget is larger (interleaved thinking).
fn max_output(map: &Body, request: &mut Request) -> Result<()> {
    let stated = limit(map, &["max_tokens"])?;
    request.params.max_tokens = stated;
    let budget = match object(map, &["thinking"]) {
        Some(thinking) => limit(thinking, &["budget_tokens"])?.unwrap_or(0),
        None => 0,
    };
    request.max_output_tokens =
        stated.map(|stated| if budget > stated { stated.saturating_add(budget) } else { stated });
    Ok(())
}

/// Models that serve when the requested one declines.
fn fallbacks(map: &Body, request: &mut Request) -> Result<()> {
    match any(map, &["fallbacks"]) {
        Some(Value::Array(entries)) => {
            for entry in entries.iter().filter_map(Value::as_object) {
                let model = label(entry, &["model"]).unwrap_or_else(|| "fallback".into());
                let max_output_tokens = limit(entry, &["max_tokens"])?;
                request.other_models.push(OtherModel { model, max_output_tokens, uses: 1, instead: true });
            }
        }
        // The server chooses: a model without a name has no price.
        Some(_) => request.other_models.push(OtherModel {
            model: "fallback".into(),
            max_output_tokens: None,
            uses: 1,
            instead: true,
        }),
        None => {}
    }
    Ok(())
}

fn content(value: Option<&Value>, size: &mut Size) -> Result<()> {
    match value {
        Some(Value::Array(blocks)) => blocks.iter().try_for_each(|each| block(each, size, 0)),
        other => size.text_of(other),
    }
}

/// One block; `depth` counts documents and results inside each other.
fn block(value: &Value, size: &mut Size, depth: u32) -> Result<()> {
    const NESTING_MAX: u32 = 8;
    let Some(map) = value.as_object() else { return size.text_of(Some(value)) };
    let depth = depth.saturating_add(1);
    if depth > NESTING_MAX {
        size.unknown();
        return Ok(());
    }
    match text(map, &["type"]).unwrap_or("") {
        "text" => size.text_of(any(map, &["text"])),
        "image" => {
            size.media(Bucket::InputImage);
            Ok(())
        }
        "document" => {
            size.text_of(any(map, &["title"]))?;
            size.text_of(any(map, &["context"]))?;
            document(any(map, &["source"]).and_then(Value::as_object), size, depth)
        }
        "tool_result" | "mcp_tool_result" => {
            size.text_of(any(map, &["tool_use_id"]))?;
            match any(map, &["content"]) {
                Some(Value::Array(blocks)) => blocks.iter().try_for_each(|each| block(each, size, depth)),
                other => size.text_of(other),
            }
        }
        "thinking"
        | "redacted_thinking"
        | "tool_use"
        | "server_tool_use"
        | "mcp_tool_use"
        | "search_result"
        | "web_search_tool_result"
        | "code_execution_tool_result"
        | "bash_code_execution_tool_result"
        | "text_editor_code_execution_tool_result"
        | "advisor_tool_result"
        | "fallback" => size.json(value),
        // Fetched pages and documents, files in a container, tools by reference, compacted context, what is new.
        _ => {
            size.unknown();
            Ok(())
        }
    }
}

fn document(source: Option<&Body>, size: &mut Size, depth: u32) -> Result<()> {
    let Some(source) = source else { return Ok(()) };
    match text(source, &["type"]) {
        Some("text") => size.text_of(any(source, &["data"])),
        Some("content") => match any(source, &["content"]) {
            Some(Value::Array(blocks)) => blocks.iter().try_for_each(|each| block(each, size, depth)),
            other => size.text_of(other),
        },
        // PDF pages are read as text and as images.
        _ => {
            size.media(Bucket::InputImage);
            Ok(())
        }
    }
}

fn tool(value: &Value, size: &mut Size, request: &mut Request) -> Result<()> {
    size.frame();
    size.json(value)?;
    let Some(map) = value.as_object() else { return Ok(()) };
    let uses = limit(map, &["max_uses"])?.unwrap_or(TOOL_USES_UNSTATED);
    match text(map, &["type"]).unwrap_or("custom") {
        "custom" => {}
        kind if kind.starts_with("web_search_") => {
            size.unknown();
            request.server_tools.add(Bucket::WebSearch, uses);
        }
        kind if kind.starts_with("web_fetch_") => {
            size.unknown();
            request.server_tools.add(Bucket::WebFetch, uses);
        }
        kind if kind.starts_with("advisor_") => {
            size.unknown();
            request.other_models.push(OtherModel {
                model: label(map, &["model"]).unwrap_or_else(|| "advisor".into()),
                max_output_tokens: limit(map, &["max_tokens"])?,
                uses,
                instead: false,
            });
        }
        kind if kind.starts_with("code_execution_")
            || kind == "mcp_toolset"
            || kind.starts_with("tool_search_") =>
        {
            size.unknown();
        }
        kind if kind.contains("_toolset_") => size.tokens(TOOLSET_TOKENS),
        kind if ["bash_", "text_editor_", "computer_", "memory_"]
            .iter()
            .any(|name| kind.starts_with(name)) =>
        {
            size.tokens(PROVIDER_TOOL_TOKENS);
        }
        _ => size.unknown(),
    }
    Ok(())
}
