//! Server-side tools of Responses that are billed per call: the provider's own counter, else the items of the output.

use super::figures::Figures;
use super::reply::{Notes, list, object};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};
use smallvec::SmallVec;

/// Most containers of one reply that are told apart; each further call counts as one more.
const CONTAINERS_MAX: usize = 64;

/// Counts the calls of a reply.
pub(super) fn count(map: &Map<String, Value>, usage: &mut Usage, notes: &mut Notes) {
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
            Some("x_search_call") => usage.add(Bucket::SocialSearch, 1),
            Some("file_search_call") => usage.add(Bucket::FileSearch, 1),
            Some("code_interpreter_call") => {
                let id = item.get("container_id").and_then(Value::as_str).unwrap_or("");
                if !containers.contains(&id) {
                    if containers.len() < CONTAINERS_MAX {
                        containers.push(id);
                    }
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
