//! The chunks of Gemini, and the events of its Interactions.

use super::StreamReader;
use super::events::Event;
use crate::catalog::normalise::gemini::{self, either};
use crate::catalog::normalise::reply::{list, object};
use serde_json::Value;

impl StreamReader {
    /// A chunk of Gemini: a whole reply with a part of the content.
    pub(super) fn gemini(&mut self, event: &Event) {
        let usage = either(event, "usageMetadata", "usage_metadata").and_then(Value::as_object);
        let responded = usage.and_then(|usage| either(usage, "responseTokenCount", "response_token_count"));
        let content = either(event, "serverContent", "server_content").and_then(Value::as_object);
        if content.is_some() || responded.is_some_and(|tokens| !tokens.is_null()) {
            self.live(content, usage);
            return;
        }
        for (place, candidate) in list(event, "candidates").iter().enumerate() {
            let Some(candidate) = candidate.as_object() else { continue };
            let index =
                candidate.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
            let index = index.unwrap_or(place);
            let parts = object(candidate, "content").map_or(&[][..], |content| list(content, "parts"));
            self.gemini_parts(parts);
            let grounding = either(candidate, "groundingMetadata", "grounding_metadata").cloned();
            if let Some(choice) = self.choice(index)
                && grounding.is_some()
            {
                choice.grounding = grounding;
            }
            self.end_choice(index, either(candidate, "finishReason", "finish_reason"));
        }
        if let Some(feedback @ Value::Object(_)) = either(event, "promptFeedback", "prompt_feedback") {
            self.whole.insert("promptFeedback".to_owned(), feedback.clone());
            // A blocked prompt has no candidates to wait for.
            self.finished = self.finished || self.choices.is_empty();
        }
        self.merge("usageMetadata", usage);
        if usage.is_some() {
            self.complete = self.finished;
        }
    }

    fn gemini_parts(&mut self, parts: &[Value]) {
        for part in parts {
            if let Some(text) = part.get("text").and_then(Value::as_str).filter(|text| !text.is_empty()) {
                self.output(text.len());
            } else if ["functionCall", "function_call", "inlineData", "inline_data", "executableCode"]
                .iter()
                .any(|name| part.get(*name).is_some_and(Value::is_object))
            {
                self.output(0);
            }
        }
    }

    /// A message of a Live session. The usage of a turn is its own, with the whole context that it read: it is billed on
    /// top of the turns before.
    fn live(&mut self, content: Option<&Event>, usage: Option<&Event>) {
        let turn = content.and_then(|content| either(content, "modelTurn", "model_turn"));
        if let Some(turn) = turn.and_then(Value::as_object) {
            (self.complete, self.finished) = (false, false);
            self.gemini_parts(list(turn, "parts"));
        }
        if let Some(usage) = usage {
            self.finished = true;
            let whole = Event::from_iter([("usageMetadata".to_owned(), Value::Object(usage.clone()))]);
            self.ended(gemini::reply(&whole), true);
        }
    }

    /// An event of Interactions.
    pub(super) fn interactions(&mut self, event: &Event) {
        let kind =
            event.get("event_type").or_else(|| event.get("type")).and_then(Value::as_str).unwrap_or("");
        if let Some(delta) = object(event, "delta") {
            const TEXTS: [&str; 3] = ["text", "arguments", "thought"];
            match TEXTS.iter().find_map(|name| delta.get(*name)?.as_str()) {
                Some("") => {}
                Some(text) => self.output(text.len()),
                // Sound, images and calls have no text that can be counted.
                None if delta.contains_key("data") || delta.contains_key("name") => self.output(0),
                None => {}
            }
        }
        let Some(interaction) = object(event, "interaction") else { return };
        self.keep(interaction, &["id", "model", "service_tier"]);
        let status = interaction.get("status").and_then(Value::as_str);
        if kind == "interaction.created" || matches!(status, Some("queued" | "in_progress")) {
            return;
        }
        // Completed, cancelled, or it wants an answer to a call.
        self.finished = true;
        for name in ["status", "usage", "service_tier"] {
            if let Some(value) = interaction.get(name).filter(|value| !value.is_null()) {
                self.whole.insert(name.to_owned(), value.clone());
            }
        }
        self.complete = object(interaction, "usage").is_some();
    }
}
