//! The events of Anthropic Messages.

use super::StreamReader;
use super::events::Event;
use crate::catalog::normalise::reply::object;
use serde_json::Value;

impl StreamReader {
    /// An event of Anthropic Messages.
    pub(super) fn anthropic(&mut self, event: &Event) {
        match event.get("type").and_then(Value::as_str).unwrap_or("") {
            "message_start" => {
                let Some(message) = object(event, "message") else { return };
                self.whole.insert("type".to_owned(), "message".into());
                self.keep(message, &["id", "model"]);
                self.merge("usage", object(message, "usage"));
            }
            "content_block_start" => {
                // A tool's name is output; an empty text block is none yet.
                let block = object(event, "content_block");
                let named = block.and_then(|block| block.get("name")).and_then(Value::as_str);
                let text = block.and_then(|block| block.get("text").or_else(|| block.get("thinking")));
                match named.or_else(|| text.and_then(Value::as_str)).map_or(0, str::len) {
                    0 => {}
                    bytes => self.output(bytes),
                }
            }
            "content_block_delta" => {
                const TEXTS: [&str; 4] = ["text", "thinking", "partial_json", "content"];
                let Some(delta) = object(event, "delta") else { return };
                let text = TEXTS.iter().find_map(|name| delta.get(*name)?.as_str());
                if let Some(text) = text.filter(|text| !text.is_empty()) {
                    self.output(text.len());
                }
            }
            "message_delta" => {
                self.merge("usage", object(event, "usage"));
                let reason = object(event, "delta").and_then(|delta| delta.get("stop_reason"));
                if let Some(reason @ Value::String(_)) = reason {
                    self.whole.insert("stop_reason".to_owned(), reason.clone());
                    self.finished = true;
                    self.complete = object(event, "usage").is_some();
                }
            }
            "message_stop" => self.finished = true,
            "error" => self.keep_error(event),
            _ => {}
        }
    }
}
