//! The events of Chat Completions, Responses and Realtime.

use super::events::{Event, index_of};
use super::{StreamReader, session};
use crate::catalog::normalise::reply::{ANOMALIES_MAX, Reply, Rule, label, list, object};
use crate::catalog::normalise::{groq, openai};
use crate::values::Usage;
use serde_json::Value;

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
            self.execute_tools(index, choice);
            self.end_choice(index, choice.get("finish_reason"));
        }
        if list(event, "choices").is_empty() {
            // Mistral's conversations and Cloudflare's own models stream text without choices.
            let text = event.get("content").or_else(|| event.get("response")).and_then(Value::as_str);
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                self.output(text.len());
            }
            self.finished |= event.get("type").and_then(Value::as_str) == Some("conversation.response.done");
        }
        if let Some(usage) = object(event, "usage").or_else(|| groq::usage(event)) {
            let told = || Value::Object(usage.clone());
            if self.saw_output() && openai::is_hollow(usage) {
                // A skeleton of zeros next to output is not the last word, whenever it comes.
                self.whole.entry("usage").or_insert_with(told);
            } else {
                self.whole.insert("usage".to_owned(), told());
                // Before the end it may be a running count or a skeleton of zeros.
                self.complete = self.finished || (list(event, "choices").is_empty() && self.saw_output());
            }
        }
        if let Some(models) = groq::breakdown(event) {
            self.whole.insert("usage_breakdown".to_owned(), Value::from(models.to_vec()));
        }
    }

    /// Keeps the tools that ran on Groq's servers. One is told in several pieces, which have its index.
    fn execute_tools(&mut self, index: usize, choice: &Value) {
        let Some(delta) = choice.get("delta").and_then(Value::as_object) else { return };
        for tool in list(delta, "executed_tools") {
            let place = tool.get("index").and_then(Value::as_u64);
            let Some(kept) = self.choice(index).and_then(|choice| choice.tool(place)) else { return };
            kept.name = label(tool.get("name")).or(kept.name.take());
            kept.kind = label(tool.get("type")).or(kept.kind.take());
        }
    }

    /// An event of Responses.
    pub(super) fn responses(&mut self, event: &Event) {
        let kind = event.get("type").and_then(Value::as_str).unwrap_or("");
        match kind {
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled"
            | "response.done" => {
                self.finished = true;
                self.session.responding = false;
                if let Some(response) = object(event, "response") {
                    let reply = openai::reply(self.provider.as_deref(), response);
                    self.ended(reply, kind == "response.done");
                }
            }
            _ if session::is_of_session(kind) => self.session(kind, event),
            _ if kind.ends_with(".delta") => {
                let Some(Value::String(delta)) = event.get("delta") else { return };
                // What a tool prints is input of the next turn, not output.
                if !kind.contains("_call_output") && !delta.is_empty() {
                    let sound = kind.ends_with("audio.delta");
                    self.output(if sound { 0 } else { delta.len() });
                }
            }
            _ => {
                if kind == "response.created" {
                    // The next one of a session: what was told so far is not the last word.
                    self.session.responding = true;
                    (self.complete, self.finished) = (false, false);
                }
                if let Some(response) = object(event, "response") {
                    self.keep(response, &["id", "model", "service_tier", "object"]);
                }
            }
        }
    }

    /// Keeps the reply that ends a response. In a Realtime session each is a response of its own, billed on top; one
    /// that is told again is the same.
    pub(super) fn ended(&mut self, reply: Reply, session: bool) {
        if let Some(id) = reply.id.as_ref().filter(|_| session)
            && !self.session.end(id)
        {
            return;
        }
        self.complete = reply.usage.is_some() && self.session.is_settled();
        match self.last.as_deref_mut().filter(|_| session) {
            Some(all) => {
                let unknown = is_unknown(all) || is_unknown(&reply);
                let sum = all.usage.get_or_insert_default();
                reply
                    .usage
                    .iter()
                    .flat_map(Usage::iter)
                    .for_each(|(bucket, quantity)| sum.add(bucket, quantity));
                // One that cannot be read leaves nothing to be trusted.
                all.usage = all.usage.and_then(|sum| sum.checked().ok()).filter(|_| !unknown);
                self.complete = all.usage.is_some() && self.session.is_settled();
                all.parts.extend(reply.parts);
                all.anomalies.extend(reply.anomalies);
                all.anomalies.truncate(ANOMALIES_MAX);
            }
            None => self.last = Some(Box::new(reply)),
        }
    }
}

/// A reply whose usage is there and cannot be read.
fn is_unknown(reply: &Reply) -> bool {
    reply.usage.is_none()
        && reply.anomalies.iter().any(|a| matches!(a.rule, Rule::Unreadable | Rule::Unrecognised))
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
