//! Tools of OpenAI's APIs and compatible servers: functions are text; server-side tools are counted, read pages and
//! files of unknown size, and may bill other models.

use super::fields::{Body, any, label, limit, list, text};
use super::size::Size;
use super::{OtherModel, Request, TOOL_USES_UNSTATED};
use crate::error::Result;
use crate::values::Bucket;
use serde_json::Value;

/// What a provider says to the model about a tool that it defines itself (a shell, a computer, an editor).
pub(super) const PROVIDER_TOOL_TOKENS: u64 = 2048;

/// Reads `tools` (and the older `functions`). `uses`: how often server-side tools can be used together.
pub(super) fn openai(map: &Body, uses: Option<u64>, size: &mut Size, request: &mut Request) -> Result<()> {
    for function in list(map, &["functions"]) {
        size.frame();
        size.json(function)?;
    }
    if let Some(choice) = any(map, &["tool_choice"]) {
        size.text_of(Some(choice))?;
    }
    for tool in list(map, &["tools"]) {
        one(tool, uses.unwrap_or(TOOL_USES_UNSTATED), size, request)?;
    }
    Ok(())
}

/// One tool.
pub(super) fn one(tool: &Value, uses: u64, size: &mut Size, request: &mut Request) -> Result<()> {
    size.frame();
    size.json(tool)?;
    let Some(map) = tool.as_object() else { return Ok(()) };
    match text(map, &["type"]).unwrap_or("function") {
        "function" | "custom" => {}
        "namespace" => {
            for _ in list(map, &["tools"]) {
                size.frame();
            }
        }
        "apply_patch" | "computer" | "computer_use_preview" | "local_shell" => {
            size.tokens(PROVIDER_TOOL_TOKENS)
        }
        "image_generation" => {
            size.unknown();
            request.other_models.push(OtherModel {
                // Its default model changes without notice: without a name there is no price.
                model: label(map, &["model"]).unwrap_or_else(|| "image_generation".into()),
                max_output_tokens: None,
                uses,
                instead: false,
            });
        }
        kind => {
            // Whatever it is, it runs on the server and what it finds goes into the prompt.
            size.unknown();
            if let Some(bucket) = server_tool(kind) {
                let most = limit(map, &["max_uses"])?.unwrap_or(uses);
                // One session is billed however often it is used; a container by its id is paid for already.
                let most = if bucket != Bucket::CodeSession {
                    most
                } else {
                    u64::from(!map.get("container").is_some_and(Value::is_string))
                };
                request.server_tools.add(bucket, most);
            }
        }
    }
    Ok(())
}

/// The counter of a server-side tool, if its calls are billed.
fn server_tool(kind: &str) -> Option<Bucket> {
    // Versions are appended: `web_search_preview_2025_03_11`.
    const KINDS: [(&str, Bucket); 9] = [
        ("web_search", Bucket::WebSearch),
        ("live_search", Bucket::WebSearch),
        ("browser_search", Bucket::WebSearch),
        ("x_search", Bucket::SocialSearch),
        ("file_search", Bucket::FileSearch),
        ("collections_search", Bucket::FileSearch),
        ("code_interpreter", Bucket::CodeSession),
        ("code_execution", Bucket::CodeSession),
        ("shell", Bucket::CodeSession),
    ];
    KINDS.iter().find(|(name, _)| kind.starts_with(name)).map(|(_, bucket)| *bucket)
}
