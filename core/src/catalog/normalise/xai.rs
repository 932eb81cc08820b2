//! xAI: OpenAI's shape with reasoning usually next to the completion (the total decides), server-side tools counted in
//! the usage, and the charge in ticks of 10⁻¹⁰ USD. Also the fields of its gRPC API.

use super::figures::Figures;
use super::reply::{Notes, list};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

/// Most tool calls that are listed one by one.
const TOOLS_MAX: usize = 4096;

/// Whether a usage object is xAI's.
pub(super) fn is_own(provider: Option<&str>, usage: &Map<String, Value>) -> bool {
    const NAMES: [&str; 3] = ["cost_in_usd_ticks", "cached_prompt_text_tokens", "num_sources_used"];
    matches!(provider, Some("x-ai" | "xai")) || NAMES.iter().any(|name| usage.contains_key(*name))
}

/// Counts the server-side tools that the usage tells. `true`: it tells, so the items of the output are not counted.
pub(super) fn count_tools(map: &Map<String, Value>, usage: &mut Usage, notes: &mut Notes) -> bool {
    let mut figures = Figures::new(Some(map), notes);
    let sources = figures.get(&["num_sources_used"]);
    let mut calls = figures.inside(&["server_side_tool_usage_details"]);
    if calls.is_there() {
        usage.add(Bucket::WebSearch, calls.get(&["web_search_calls"]));
        usage.add(Bucket::SocialSearch, calls.get(&["x_search_calls"]));
        usage.add(Bucket::CodeSession, calls.get(&["code_interpreter_calls", "code_execution_calls"]));
        // Two tools: the documents of a collection, and the files of a request.
        usage.add(Bucket::FileSearch, calls.get(&["file_search_calls", "collections_search_calls"]));
        usage.add(Bucket::FileSearch, calls.get(&["document_search_calls", "attachment_search_calls"]));
        usage.add(Bucket::OutputImageUnit, calls.get(&["image_generation_calls"]));
        return true;
    }
    let listed = list(map, "server_side_tools_used");
    for tool in listed.iter().take(TOOLS_MAX) {
        if let Some(bucket) = listed_tool(tool) {
            usage.add(bucket, 1);
        }
    }
    if listed.is_empty() {
        // Live search, the older kind, is billed by source.
        usage.add(Bucket::WebSearch, sources);
    }
    !listed.is_empty() || sources > 0
}

/// A tool as protobuf lists it: by name, or by number.
fn listed_tool(tool: &Value) -> Option<Bucket> {
    let name = tool.as_str().map(|name| name.trim_start_matches("SERVER_SIDE_TOOL_"));
    Some(match (name, tool.as_u64()) {
        (Some("WEB_SEARCH"), _) | (_, Some(1)) => Bucket::WebSearch,
        (Some("X_SEARCH"), _) | (_, Some(2)) => Bucket::SocialSearch,
        (Some("CODE_EXECUTION"), _) | (_, Some(3)) => Bucket::CodeSession,
        (Some("COLLECTIONS_SEARCH" | "ATTACHMENT_SEARCH"), _) | (_, Some(6 | 8)) => Bucket::FileSearch,
        (Some("IMAGE_GENERATION"), _) | (_, Some(11)) => Bucket::OutputImageUnit,
        _ => return None,
    })
}
