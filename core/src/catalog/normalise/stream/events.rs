//! Which API an event belongs to, told by its shape, and what the readers of all APIs share.

use super::StreamReader;
use super::session::is_of_session;
use crate::catalog::normalise::invoke::METRICS;
use crate::catalog::normalise::number::{Count, count};
use crate::catalog::normalise::reply::{Notes, Rule, object};
use crate::requests::Api;
use serde_json::{Map, Value};

pub(super) type Event = Map<String, Value>;

/// Most fields of a usage object that are kept; providers have about twenty.
const FIELDS_MAX: usize = 64;

/// The events of one kind of stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Events {
    Chat,
    Responses,
    Media,
    Anthropic,
    Gemini,
    Interactions,
    Converse,
    Invoke,
    Cohere,
    Ollama,
}

impl Events {
    /// What a caller says. It counts until an event tells more.
    pub(super) const fn of(api: Option<Api>) -> Self {
        match api {
            Some(Api::OpenAiResponses) => Self::Responses,
            Some(Api::AnthropicMessages) => Self::Anthropic,
            Some(Api::GeminiGenerate) => Self::Gemini,
            Some(Api::BedrockConverse) => Self::Converse,
            Some(Api::BedrockInvoke) => Self::Invoke,
            Some(Api::CohereChat) => Self::Cohere,
            _ => Self::Chat,
        }
    }

    /// What an event tells by itself.
    pub(super) fn tell(event: &Event) -> Option<Self> {
        let has = |key: &str| event.contains_key(key);
        let any = |keys: &[&str]| keys.iter().any(|key| event.contains_key(*key));
        if event.get("choices").is_some_and(Value::is_array) || has("x_groq") {
            return Some(Self::Chat);
        }
        const GEMINI: [&str; 7] = [
            "candidates",
            "usageMetadata",
            "usage_metadata",
            "promptFeedback",
            "prompt_feedback",
            "serverContent",
            "server_content",
        ];
        if any(&GEMINI) {
            return Some(Self::Gemini);
        }
        let kind = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or("");
        match kind("event_type") {
            "" => {}
            kind if kind.contains('-') => return Some(Self::Cohere),
            _ => return Some(Self::Interactions),
        }
        match kind("type") {
            "message_start"
            | "content_block_start"
            | "content_block_delta"
            | "content_block_stop"
            | "message_delta"
            | "message_stop" => return Some(Self::Anthropic),
            kind if kind.starts_with("response.") || is_of_session(kind) => return Some(Self::Responses),
            "message-start" | "content-start" | "content-delta" | "content-end" | "tool-plan-delta"
            | "tool-call-start" | "tool-call-delta" | "tool-call-end" | "citation-start" | "citation-end"
            | "message-end" => return Some(Self::Cohere),
            kind if ["image_", "trans", "speech."].iter().any(|start| kind.starts_with(start)) => {
                return Some(Self::Media);
            }
            _ => {}
        }
        const CONVERSE: [&str; 6] = [
            "messageStart",
            "contentBlockStart",
            "contentBlockDelta",
            "contentBlockStop",
            "messageStop",
            "metadata",
        ];
        if any(&CONVERSE) {
            return Some(Self::Converse);
        }
        if any(&[METRICS, "generation", "outputText", "outputs", "is_finished"]) {
            return Some(Self::Invoke);
        }
        let ollama = has("done") && (has("message") || has("response") || has("model"));
        ollama.then_some(Self::Ollama)
    }
}

/// The event inside an envelope: Mistral's SDK puts it into `data`, Gemini Code Assist into `response`.
pub(super) fn unwrap(event: &Event) -> &Event {
    let inside =
        object(event, "data").filter(|data| data.contains_key("choices") || data.contains_key("type"));
    let inside =
        inside.or_else(|| object(event, "response").filter(|inner| inner.contains_key("candidates")));
    inside.unwrap_or(event)
}

impl StreamReader {
    pub(super) fn keep_error(&mut self, event: &Event) {
        let error = match event.get("error") {
            Some(error @ (Value::Object(_) | Value::String(_))) => error.clone(),
            _ if event.get("type").and_then(Value::as_str) == Some("error") => {
                let code = event.get("code").filter(|code| code.is_string()).cloned();
                code.map_or(Value::from("error"), |code| {
                    Value::Object([("code".to_owned(), code)].into_iter().collect())
                })
            }
            _ => return,
        };
        self.whole.insert("error".to_owned(), error);
    }

    /// Merges cumulative usage field by field: the last value that is not `null` counts. A counter cannot fall, but
    /// some gateways repeat the fields that they do not know as zeros.
    pub(super) fn merge(&mut self, name: &str, usage: Option<&Event>) {
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

pub(super) fn index_of(choice: &Value) -> Option<usize> {
    usize::try_from(choice.get("index")?.as_u64()?).ok()
}
