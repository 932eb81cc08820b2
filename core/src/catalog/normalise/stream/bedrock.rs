//! The events of Bedrock: Converse (Nova's own are the same), and InvokeModel of the families without events of their own.

use super::StreamReader;
use super::events::Event;
use crate::catalog::normalise::bedrock::EXCEPTIONS;
use crate::catalog::normalise::invoke::METRICS;
use crate::catalog::normalise::reply::{list, object};
use serde_json::Value;

impl StreamReader {
    /// An event of ConverseStream.
    pub(super) fn converse(&mut self, event: &Event) {
        if let Some(tool) = object(event, "contentBlockStart")
            .and_then(|block| object(block, "start"))
            .and_then(|start| object(start, "toolUse"))
        {
            self.output(tool.get("name").and_then(Value::as_str).map_or(0, str::len));
        }
        if let Some(delta) = object(event, "contentBlockDelta").and_then(|block| object(block, "delta")) {
            let reasoning = object(delta, "reasoningContent").and_then(|reasoning| reasoning.get("text"));
            let input = object(delta, "toolUse").and_then(|tool| tool.get("input"));
            let text = delta.get("text").or(reasoning).or(input).and_then(Value::as_str);
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                self.output(text.len());
            }
        }
        if let Some(stop) = object(event, "messageStop") {
            self.finished = true;
            self.keep(stop, &["stopReason"]);
        }
        if let Some(metadata) = object(event, "metadata") {
            for name in ["usage", "serviceTier", "performanceConfig", "trace"] {
                if let Some(value) = object(metadata, name) {
                    self.whole.insert(name.to_owned(), Value::Object(value.clone()));
                }
            }
            self.complete = object(metadata, "usage").is_some();
        }
        for name in EXCEPTIONS {
            if event.contains_key(name) {
                self.whole.insert(name.to_owned(), Value::Null);
            }
        }
    }

    /// A chunk of InvokeModelWithResponseStream, in the shape of the model's family.
    pub(super) fn invoke(&mut self, event: &Event) {
        const COUNTS: [&str; 4] = [
            "prompt_token_count",
            "generation_token_count",
            "inputTextTokenCount",
            "totalOutputTextTokenCount",
        ];
        const TEXTS: [&str; 3] = ["generation", "outputText", "text"];
        const REASONS: [&str; 3] = ["stop_reason", "completionReason", "finish_reason"];
        let outputs =
            list(event, "outputs").iter().chain(list(event, "generations")).filter_map(Value::as_object);
        for place in std::iter::once(event).chain(outputs) {
            let text = TEXTS.iter().find_map(|name| place.get(*name)?.as_str());
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                self.output(text.len());
            }
            self.keep(place, &REASONS);
            self.finished |= REASONS.iter().any(|name| place.get(*name).is_some_and(Value::is_string));
        }
        // Cumulative: the last value that is there counts.
        for name in COUNTS {
            if let Some(count) = event.get(name).filter(|count| !count.is_null()) {
                self.whole.insert(name.to_owned(), count.clone());
            }
        }
        if let Some(metrics) = object(event, METRICS) {
            self.whole.insert(METRICS.to_owned(), Value::Object(metrics.clone()));
            self.finished = true;
        }
        self.complete =
            self.finished && COUNTS.iter().chain([&METRICS]).any(|name| self.whole.contains_key(*name));
    }
}
