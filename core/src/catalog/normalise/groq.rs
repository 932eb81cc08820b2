//! Groq: OpenAI's shape; streams tell usage in `x_groq`, compound systems tell it model by model, and the tools that
//! ran on the server stand in the message.

use super::reply::{Notes, Rule, list, object};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

/// Most executed tools of one choice; a reply with more is damaged.
pub(super) const TOOLS_MAX: usize = 1024;

/// The usage that the last chunk of a stream carries. A plain reply has cache statistics there, which are no usage.
pub(super) fn usage(map: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let usage = object(object(map, "x_groq")?, "usage")?;
    ["prompt_tokens", "completion_tokens"].iter().any(|name| usage.contains_key(*name)).then_some(usage)
}

/// Usage by model, of a compound system: its sum is the usage of the reply, each at its own price.
pub(super) fn breakdown(map: &Map<String, Value>) -> Option<&[Value]> {
    let breakdown = map.get("usage_breakdown").or_else(|| object(map, "x_groq")?.get("usage_breakdown"))?;
    let models = breakdown.get("models").unwrap_or(breakdown).as_array()?;
    (!models.is_empty()).then_some(models.as_slice())
}

/// Counts the tools that ran on the server.
pub(super) fn count_tools(map: &Map<String, Value>, usage: &mut Usage, notes: &mut Notes) {
    for choice in list(map, "choices").iter().filter_map(Value::as_object) {
        let message = object(choice, "message").or_else(|| object(choice, "delta"));
        let executed = message.map_or(&[][..], |message| list(message, "executed_tools"));
        if executed.len() > TOOLS_MAX {
            notes.unreadable(Rule::Unreadable, || format!("{} executed tools", executed.len()));
            return;
        }
        for bucket in executed.iter().filter_map(|tool| billed(tool, notes)) {
            usage.add(bucket, 1);
        }
    }
}

/// What one run of a tool is billed as. Its name tells more than its type: `browser_search` searches and opens pages.
fn billed(tool: &Value, notes: &mut Notes) -> Option<Bucket> {
    let word = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or("");
    let (name, kind) = (word("name"), word("type"));
    [name, kind].into_iter().find_map(known).unwrap_or_else(|| {
        let shown: String =
            [name, kind].iter().find(|word| !word.is_empty()).unwrap_or(&"").chars().take(40).collect();
        notes.add(Rule::UnknownTool, || format!("an executed tool {shown:?}"));
        // Not known to be free: the dearest of them.
        Some(Bucket::CodeSession)
    })
}

/// The tools of Groq's price list. `Some(None)`: not billed by Groq.
fn known(word: &str) -> Option<Option<Bucket>> {
    Some(match word {
        "search" | "web_search" | "browser_search" | "browser.search" => Some(Bucket::WebSearch),
        "visit" | "visit_website" | "open" | "browser.open" => Some(Bucket::WebFetch),
        // Both by the hour of a sandbox, how long is not told: each run is a session.
        "python" | "code_interpreter" | "code_execution" | "browser_automation" => Some(Bucket::CodeSession),
        // Within a page that was opened; with the caller's own key; on the caller's own server.
        "find" | "browser.find" | "wolfram" | "wolfram_alpha" | "mcp" => None,
        _ => return None,
    })
}
