//! What the events of each API mean.

use super::StreamReader;
use crate::catalog::normalise::number::{Count, count};
use crate::catalog::normalise::openai;
use crate::catalog::normalise::reply::{Notes, Rule, list, object};
use serde_json::{Map, Value};

type Event = Map<String, Value>;

/// Most fields of a usage object that are kept; providers have about twenty.
const FIELDS_MAX: usize = 64;

impl StreamReader {
    /// A chunk of Chat Completions or of the older completions.
    pub(super) fn chat(&mut self, event: &Event) {
        self.keep(event, &["id", "model", "system_fingerprint", "object"]);
        // The tier that counts is the served one, which later chunks know better.
        if let Some(tier @ Value::String(_)) = event.get("service_tier") {
            self.whole.insert("service_tier".to_owned(), tier.clone());
        }
        for (place, choice) in list(event, "choices").iter().enumerate() {
            let index = index_of(choice).unwrap_or(place);
            if let Some(bytes) = chat_output(choice) {
                self.output(bytes);
            }
            self.end_choice(index, choice.get("finish_reason"));
        }
        let usage = object(event, "usage").or_else(|| object(object(event, "x_groq")?, "usage"));
        if let Some(usage) = usage {
            self.whole.insert("usage".to_owned(), Value::Object(usage.clone()));
            // Before the end it may be a running count or a skeleton of zeros.
            self.complete = self.finished || (list(event, "choices").is_empty() && self.saw_output());
        }
        if let Some(breakdown @ Value::Object(_)) = event.get("usage_breakdown") {
            self.whole.insert("usage_breakdown".to_owned(), breakdown.clone());
        }
        self.keep_error(event);
    }

    /// An event of Responses.
    pub(super) fn responses(&mut self, event: &Event) {
        let kind = event.get("type").and_then(Value::as_str).unwrap_or("");
        match kind {
            "error" => {
                let code = event.get("code").filter(|code| code.is_string()).cloned();
                self.whole.insert(
                    "error".to_owned(),
                    code.map_or(Value::from("error"), |code| {
                        Value::Object([("code".to_owned(), code)].into_iter().collect())
                    }),
                );
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                self.finished = true;
                if let Some(response) = object(event, "response") {
                    let reply = openai::reply(self.provider.as_deref(), response);
                    self.complete = reply.usage.is_some();
                    self.last = Some(Box::new(reply));
                }
            }
            _ if kind.ends_with(".delta") => {
                let Some(Value::String(delta)) = event.get("delta") else { return };
                // What a tool prints is input of the next turn, not output.
                if !kind.contains("_call_output") && !delta.is_empty() {
                    let sound = kind.ends_with("audio.delta");
                    self.output(if sound { 0 } else { delta.len() });
                }
            }
            _ => {
                if let Some(response) = object(event, "response") {
                    self.keep(response, &["id", "model", "service_tier", "object"]);
                }
            }
        }
    }

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

    /// A chunk of Gemini: a whole reply with a part of the content.
    pub(super) fn gemini(&mut self, event: &Event) {
        self.keep(event, &["responseId", "response_id", "modelVersion", "model_version"]);
        for (place, candidate) in list(event, "candidates").iter().enumerate() {
            let Some(candidate) = candidate.as_object() else { continue };
            let index =
                candidate.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
            let index = index.unwrap_or(place);
            let parts = object(candidate, "content").map_or(&[][..], |content| list(content, "parts"));
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
        let usage = either(event, "usageMetadata", "usage_metadata").and_then(Value::as_object);
        self.merge("usageMetadata", usage);
        if usage.is_some() {
            self.complete = self.finished;
        }
        self.keep_error(event);
    }

    fn keep_error(&mut self, event: &Event) {
        if let Some(error @ (Value::Object(_) | Value::String(_))) = event.get("error") {
            self.whole.insert("error".to_owned(), error.clone());
        }
    }

    /// Merges cumulative usage field by field: the last value that is not `null` counts. A counter cannot fall, but
    /// some gateways repeat the fields that they do not know as zeros.
    fn merge(&mut self, name: &str, usage: Option<&Event>) {
        let Some(usage) = usage else { return };
        let Value::Object(merged) = self.whole.entry(name).or_insert_with(|| Value::Object(Map::new()))
        else {
            return;
        };
        let mut notes = Notes::default();
        for (key, value) in usage.iter().filter(|(_, value)| !value.is_null()) {
            if let (Count::Whole(before), Count::Whole(now)) = (count(merged.get(key)), count(Some(value)))
                && now < before
            {
                notes.add(Rule::CounterFell, || format!("{key} from {before} to {now}"));
                if now == 0 {
                    continue;
                }
            }
            if merged.len() < FIELDS_MAX || merged.contains_key(key) {
                merged.insert(key.clone(), value.clone());
            }
        }
        if self.anomalies.is_empty() {
            self.anomalies = notes.anomalies;
        }
    }
}

fn either<'a>(map: &'a Event, camel: &str, snake: &str) -> Option<&'a Value> {
    map.get(camel).or_else(|| map.get(snake))
}

fn index_of(choice: &Value) -> Option<usize> {
    usize::try_from(choice.get("index")?.as_u64()?).ok()
}

/// The bytes of output in one choice of a chunk; `None` if there is no output.
fn chat_output(choice: &Value) -> Option<usize> {
    const TEXTS: [&str; 4] = ["content", "reasoning_content", "reasoning", "refusal"];
    let mut bytes: usize = choice.get("text").and_then(Value::as_str).map_or(0, str::len);
    let mut sound = false;
    if let Some(delta) = choice.get("delta").and_then(Value::as_object) {
        let mut add = |text: Option<&Value>| {
            bytes = bytes.saturating_add(text.and_then(Value::as_str).map_or(0, str::len));
        };
        TEXTS.iter().for_each(|name| add(delta.get(*name)));
        let calls = list(delta, "tool_calls").iter().map(|call| call.get("function"));
        for function in calls.chain([delta.get("function_call")]).flatten() {
            add(function.get("name"));
            add(function.get("arguments"));
        }
        if let Some(audio) = object(delta, "audio") {
            add(audio.get("transcript"));
            sound = audio.get("data").is_some_and(Value::is_string);
        }
    }
    (bytes > 0 || sound).then_some(bytes)
}
