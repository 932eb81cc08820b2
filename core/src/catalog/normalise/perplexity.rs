//! Perplexity Sonar: OpenAI's shape with reasoning next to the completion and outside of the total, citations and
//! searches of its own, and a request fee by the size of the search.

use super::figures::Figures;
use super::reply::{Notes, Reply, label};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

/// Whether a usage object is Perplexity's.
pub(super) fn is_own(provider: Option<&str>, usage: &Map<String, Value>) -> bool {
    const NAMES: [&str; 4] =
        ["num_search_queries", "citation_tokens", "search_context_size", "tool_calls_details"];
    provider == Some("perplexity") || NAMES.iter().any(|name| usage.contains_key(*name))
}

/// Adds what only Perplexity counts.
pub(super) fn count(map: &Map<String, Value>, usage: &mut Usage, notes: &mut Notes) {
    let mut figures = Figures::new(Some(map), notes);
    usage.set(Bucket::OutputCitation, figures.get(&["citation_tokens"]));
    let searches = figures.any(&["num_search_queries"]);
    let mut tools = figures.inside(&["tool_calls_details"]);
    let invoked = tools.inside(&["web_search", "search_web"]).get(&["invocation"]);
    usage.set(Bucket::WebSearch, searches.unwrap_or(invoked));
    usage.set(Bucket::WebFetch, tools.inside(&["fetch_url"]).get(&["invocation"]));
}

/// Takes what the request fee depends on.
pub(super) fn read_context(map: &Map<String, Value>, reply: &mut Reply) {
    reply.search_context = label(map.get("search_context_size"));
    reply.search_type = label(map.get("search_type"));
}
