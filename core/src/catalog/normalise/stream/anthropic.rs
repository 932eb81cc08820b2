//! The events of Anthropic Messages.

use super::StreamReader;
use super::events::Event;
use crate::catalog::normalise::invoke::METRICS;
use crate::catalog::normalise::number::{Count, count};
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
                    // Without it the seed's single token would be the last word.
                    let told = object(event, "usage").and_then(|usage| usage.get("output_tokens"));
                    let output = match count(told) {
                        Count::Absent => false,
                        Count::Whole(0) => !self.saw_output(),
                        Count::Whole(_) | Count::Damaged => true,
                    };
                    self.complete = output && self.knows_input();
                }
            }
            "message_stop" => {
                self.finished = true;
                self.fill_in(object(event, METRICS));
            }
            "error" => self.keep_error(event),
            _ => {}
        }
    }

    /// The event that tells the input may be lost, or say nothing of it.
    fn knows_input(&self) -> bool {
        let usage = object(&self.whole, "usage");
        count(usage.and_then(|usage| usage.get("input_tokens"))) != Count::Absent
    }

    /// On Bedrock only the metrics of the last event tell the cache: they fill in what the usage leaves out.
    fn fill_in(&mut self, metrics: Option<&Event>) {
        const NAMES: [(&str, &str); 4] = [
            ("inputTokenCount", "input_tokens"),
            ("outputTokenCount", "output_tokens"),
            ("cacheReadInputTokenCount", "cache_read_input_tokens"),
            ("cacheWriteInputTokenCount", "cache_creation_input_tokens"),
        ];
        let Some(metrics) = metrics else { return };
        let usage = self.whole.entry("usage").or_insert_with(|| Value::Object(Event::new()));
        let Some(usage) = usage.as_object_mut() else { return };
        for (theirs, ours) in NAMES {
            let is_told = matches!(count(usage.get(ours)), Count::Whole(1..) | Count::Damaged);
            if let Some(figure) = metrics.get(theirs).filter(|_| !is_told) {
                usage.insert(ours.to_owned(), figure.clone());
            }
        }
        self.complete = true;
    }
}
