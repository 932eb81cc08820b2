//! OpenAI Responses.

use super::chat::{content_part, output_type, sampling, service_tier};
use super::fields::{Body, any, flag, label, limit, list, object, text};
use super::size::Size;
use super::{Request, tools};
use crate::error::Result;
use crate::values::Bucket;
use serde_json::Value;

pub(super) fn read(map: &Body, request: &mut Request) -> Result<()> {
    let mut size = Size::default();
    size.text_of(any(map, &["instructions"]))?;
    match any(map, &["input"]) {
        Some(Value::Array(items)) => items.iter().try_for_each(|each| item(each, &mut size, request))?,
        other => {
            size.frame();
            size.text_of(other)?;
        }
    }
    // What the server remembers or fills in is not in the request.
    if any(map, &["previous_response_id", "conversation", "prompt"]).is_some() {
        size.unknown();
    }
    size.text_of(object(map, &["text"]).and_then(|text| any(text, &["format"])))?;
    tools::openai(map, limit(map, &["max_tool_calls"])?, &mut size, request)?;
    request.max_output_tokens = limit(map, &["max_output_tokens"])?;
    request.background = flag(map, "background");
    request.media.extend(size.media.iter().copied());
    request.input_tokens = size.input();
    sampling(map, request);
    service_tier(map, request);
    let params = &mut request.params;
    params.reasoning_level = object(map, &["reasoning"]).and_then(|reasoning| label(reasoning, &["effort"]));
    params.previous_response_id = label(map, &["previous_response_id"]);
    let format = object(map, &["text"]).and_then(|text| object(text, &["format"]));
    params.output_type = output_type(format.and_then(|format| text(format, &["type"])));
    params.openai_api = Some("responses");
    Ok(())
}

/// One input item. What names something on the server instead of carrying it has no size.
fn item(value: &Value, size: &mut Size, request: &mut Request) -> Result<()> {
    size.frame();
    let Some(map) = value.as_object() else { return size.text_of(Some(value)) };
    match text(map, &["type"]).unwrap_or("message") {
        "message" => content(any(map, &["content"]), size),
        "function_call_output" | "custom_tool_call_output" => {
            size.text_of(any(map, &["call_id"]))?;
            content(any(map, &["output"]), size)
        }
        "reasoning" => {
            if any(map, &["encrypted_content", "content"]).is_none() {
                size.unknown();
            }
            size.json(value)
        }
        "function_call"
        | "custom_tool_call"
        | "local_shell_call"
        | "local_shell_call_output"
        | "shell_call"
        | "shell_call_output"
        | "apply_patch_call"
        | "apply_patch_call_output"
        | "computer_call"
        | "mcp_call"
        | "mcp_list_tools"
        | "mcp_approval_request"
        | "mcp_approval_response"
        | "program"
        | "program_output"
        | "tool_search_call" => size.json(value),
        "computer_call_output" | "image_generation_call" => {
            size.media(Bucket::InputImage);
            Ok(())
        }
        "additional_tools" | "tool_search_output" => {
            list(map, &["tools"]).iter().try_for_each(|tool| tools::one(tool, 0, size, request))
        }
        _ => {
            size.unknown();
            Ok(())
        }
    }
}

fn content(value: Option<&Value>, size: &mut Size) -> Result<()> {
    match value {
        Some(Value::Array(parts)) => parts.iter().try_for_each(|part| content_part(part, size)),
        other => size.text_of(other),
    }
}
