//! The events of Cohere's chat, both versions.

use super::StreamReader;
use super::events::Event;
use crate::catalog::normalise::reply::object;
use serde_json::Value;

impl StreamReader {
    /// An event of either version.
    pub(super) fn cohere(&mut self, event: &Event) {
        self.keep(event, &["id", "generation_id"]);
        let text = |map: &Event, name: &str| map.get(name).and_then(Value::as_str).map_or(0, str::len);
        let delta = object(event, "delta");
        if let Some(message) = delta.and_then(|delta| object(delta, "message")) {
            let content = object(message, "content")
                .map_or(0, |content| text(content, "text").saturating_add(text(content, "thinking")));
            let function = object(message, "tool_calls").and_then(|call| object(call, "function"));
            let call = function
                .map_or(0, |function| text(function, "name").saturating_add(text(function, "arguments")));
            let bytes = content.saturating_add(call).saturating_add(text(message, "tool_plan"));
            if bytes > 0 {
                self.output(bytes);
            }
        }
        let first_version = event.contains_key("event_type");
        if first_version && text(event, "text") > 0 {
            self.output(text(event, "text"));
        }
        let end = match event.get("type").or_else(|| event.get("event_type")).and_then(Value::as_str) {
            Some("message-end") => delta,
            Some("stream-end") => object(event, "response"),
            _ => return,
        };
        self.finished = true;
        for map in [Some(event), end].into_iter().flatten() {
            self.keep(map, &["finish_reason", "id", "generation_id"]);
            if let Some(usage) = object(map, "usage").or_else(|| object(map, "meta")) {
                self.whole.insert("usage".to_owned(), Value::Object(usage.clone()));
                self.complete = true;
            }
        }
    }
}
