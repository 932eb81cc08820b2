//! A stream, folded into the reply that it would have been.
//!
//! Usage in a stream is cumulative: the last value counts and nothing is ever added up. What arrives before the end
//! is a floor; only the terminal figure is final. A reader keeps no text, only how much of it there was.
//!
//! | events | read by | usage comes |
//! |---|---|---|
//! | Chat Completions and what speaks it; Groq's `x_groq` | `openai` | in the last chunk; before the end it is a running count or a skeleton |
//! | Responses, Realtime (each `response.done` is a response of its own) | `openai` | in the event that ends it |
//! | Realtime: the transcription of the input, at the price of the model that transcribes | `session` | in the event that ends it |
//! | images, transcription, speech | `media` | in the event that ends it |
//! | Anthropic Messages | `anthropic` | in `message_start` and `message_delta`, field by field |
//! | Gemini | `gemini` | in every chunk |
//! | Gemini Live (each turn is billed with all that it read) | `gemini` | at the end of a turn |
//! | Gemini Interactions | `gemini` | in the event that ends it |
//! | Bedrock Converse, Nova | `bedrock` | in `metadata` |
//! | Bedrock InvokeModel of other families | `bedrock` | next to the content, and in the metrics of the last event |
//! | Cohere, both versions | `cohere` | in the event that ends it |
//! | Ollama | `ollama` | in the last object |
//!
//! The shape of an event tells its API; what the caller said counts where a shape tells nothing.

mod anthropic;
mod bedrock;
mod cohere;
mod events;
mod gemini;
mod media;
mod ollama;
mod openai;
mod session;

use super::groq;
use super::reply::{Anomaly, Reply};
use super::shape::{self, Family};
use crate::requests::Api;
use crate::values::scope::{LABEL_BYTES_MAX, Label};
use events::Events;
use serde_json::{Map, Value, json};
use session::Session;
use smallvec::SmallVec;

/// Most choices whose ends are followed.
const CHOICES_MAX: usize = 128;

/// What one event of a stream was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// It carries output: text, reasoning, tool arguments, sound.
    pub output: bool,
    /// It is the first that does.
    pub first_output: bool,
    /// It carries only usage, because `stream_options.include_usage` asked for it: hide it from a caller who did not.
    pub usage_only: bool,
}

/// Follows one stream.
#[derive(Clone, Debug)]
pub struct StreamReader {
    /// The events, as the caller says or, better, as the first of them that is known tells.
    events: Events,
    told: bool,
    provider: Option<Label>,
    /// The requested model, for APIs that do not name the one that serves.
    model: Option<Label>,
    /// The fields of the reply so far, without its content.
    whole: Map<String, Value>,
    /// The choices so far, without their content.
    choices: SmallVec<[Choice; 1]>,
    /// The reply of a Responses stream, which its last event carries whole; of a session, all of them together.
    last: Option<Box<Reply>>,
    /// What a session tells beyond its responses.
    session: Session,
    anomalies: Vec<Anomaly>,
    complete: bool,
    finished: bool,
    output_chunks: u64,
    output_bytes: u64,
}

/// One choice of a stream.
#[derive(Clone, Debug, Default)]
struct Choice {
    started: bool,
    /// Why it ended.
    reason: Option<Value>,
    /// What it was grounded on (Gemini).
    grounding: Option<Value>,
    /// What ran on the server (Groq).
    tools: Vec<Executed>,
}

/// A tool that ran on the server.
#[derive(Clone, Debug, Default)]
struct Executed {
    index: Option<u64>,
    name: Option<Label>,
    kind: Option<Label>,
}

impl Choice {
    /// The tool with an index; a new one if it has none. `None`: there are too many, of which one more than may be is
    /// kept, so that it shows.
    fn tool(&mut self, index: Option<u64>) -> Option<&mut Executed> {
        let known = self.tools.iter().position(|tool| index.is_some() && tool.index == index);
        if known.is_none() {
            if self.tools.len() > groq::TOOLS_MAX {
                return None;
            }
            self.tools.push(Executed { index, ..Executed::default() });
        }
        let at = known.unwrap_or(self.tools.len().saturating_sub(1));
        self.tools.get_mut(at)
    }

    /// The tools as a whole reply has them.
    fn message(&self) -> Option<Value> {
        let tool = |tool: &Executed| json!({ "name": tool.name.as_deref(), "type": tool.kind.as_deref() });
        let tools: Vec<Value> = self.tools.iter().map(tool).collect();
        (!tools.is_empty()).then(|| json!({ "executed_tools": tools }))
    }
}

/// Whether a chunk of OpenAI chat or completions carries nothing but usage.
#[must_use]
pub fn usage_only_chunk(event: &Value) -> bool {
    event.get("usage").is_some_and(Value::is_object)
        && event.get("choices").and_then(Value::as_array).is_some_and(Vec::is_empty)
}

impl StreamReader {
    /// A reader for one stream of `api`, served by `provider` (a catalog id). Without an API the events tell it.
    #[must_use]
    pub fn new(api: impl Into<Option<Api>>, provider: Option<&str>) -> Self {
        Self {
            events: Events::of(api.into()),
            told: false,
            provider: provider.map(Label::from),
            model: None,
            whole: Map::new(),
            choices: SmallVec::new(),
            last: None,
            session: Session::default(),
            anomalies: Vec::new(),
            complete: false,
            finished: false,
            output_chunks: 0,
            output_bytes: 0,
        }
    }

    /// The same reader for a request of `model`, which Bedrock's events do not name.
    #[must_use]
    pub fn for_model(mut self, model: &str) -> Self {
        self.model = Some(Label::from(model));
        self
    }

    /// Takes the next event, as JSON. What it does not know it ignores.
    pub fn feed(&mut self, event: &Value) -> Chunk {
        let Some(map) = event.as_object() else { return Chunk::default() };
        let map = events::unwrap(map);
        let before = self.output_chunks;
        let known = Events::tell(map);
        if let Some(known) = known.filter(|_| !self.told) {
            (self.events, self.told) = (known, true);
        }
        match known.unwrap_or(self.events) {
            Events::Chat => self.chat(map),
            Events::Responses => self.responses(map),
            Events::Media => self.media(map),
            Events::Anthropic => self.anthropic(map),
            Events::Gemini => self.gemini(map),
            Events::Interactions => self.interactions(map),
            Events::Converse => self.converse(map),
            Events::Invoke => self.invoke(map),
            Events::Cohere => self.cohere(map),
            Events::Ollama => self.ollama(map),
        }
        self.keep_error(map);
        let output = self.output_chunks > before;
        Chunk { output, first_output: output && before == 0, usage_only: usage_only_chunk(event) }
    }

    /// The terminal usage has arrived.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// The model has ended every choice, whether or not usage came with it.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Some output has arrived.
    #[must_use]
    pub const fn saw_output(&self) -> bool {
        self.output_chunks > 0
    }

    /// Output tokens that were generated at least, told from what arrived: one per chunk, and one per four bytes.
    #[must_use]
    pub fn output_tokens_floor(&self) -> u64 {
        self.output_chunks.max(self.output_bytes.div_ceil(4))
    }

    /// The reply. Its usage is final if [`StreamReader::is_complete`], else what was reported so far; what it costs is
    /// told by the last word only.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let provider = self.provider.as_deref();
        let read = |family, whole: &Map<String, Value>| {
            super::read(family, provider, self.model.as_deref(), whole).unwrap_or_default()
        };
        let mut reply = match (&self.last, self.events) {
            (Some(last), _) => Reply::clone(last),
            (None, Events::Anthropic) => read(Family::Anthropic, &self.whole),
            (None, Events::Gemini) => read(Family::Gemini, &self.with_choices("candidates", "finishReason")),
            (None, Events::Interactions) => read(Family::Interactions, &self.whole),
            (None, Events::Converse) => read(Family::Converse, &self.whole),
            (None, Events::Invoke) if self.whole.is_empty() => Reply::default(),
            (None, Events::Invoke) => read(Family::Invoke, &self.whole),
            (None, Events::Cohere) => read(Family::Cohere, &self.whole),
            (None, Events::Ollama) => read(Family::Ollama, &self.whole),
            (None, Events::Media) => read(shape::family(provider, &self.whole), &self.whole),
            (None, Events::Chat | Events::Responses) => {
                read(Family::OpenAi, &self.with_choices("choices", "finish_reason"))
            }
        };
        self.session.add_to(&mut reply, self.last.is_some());
        if !self.complete {
            reply.reported_cost = None;
        }
        reply.anomalies.extend_from_slice(&self.anomalies);
        reply
    }

    fn with_choices(&self, list: &str, reason: &str) -> Map<String, Value> {
        let choice = |choice: &Choice| {
            let mut map = Map::new();
            map.extend(choice.reason.clone().map(|value| (reason.to_owned(), value)));
            map.extend(choice.grounding.clone().map(|value| ("groundingMetadata".to_owned(), value)));
            map.extend(choice.message().map(|value| ("message".to_owned(), value)));
            Value::Object(map)
        };
        let mut whole = self.whole.clone();
        whole.insert(list.to_owned(), self.choices.iter().map(choice).collect());
        whole
    }

    /// Some output of `bytes` bytes; sound has none that can be counted.
    fn output(&mut self, bytes: usize) {
        self.output_chunks = self.output_chunks.saturating_add(1);
        self.output_bytes = self.output_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Keeps the first value of each field that names the reply.
    fn keep(&mut self, event: &Map<String, Value>, names: &[&str]) {
        for name in names {
            if !self.whole.contains_key(*name)
                && let Some(Value::String(text)) = event.get(*name)
                && !text.is_empty()
                && text.len() <= LABEL_BYTES_MAX
            {
                self.whole.insert((*name).to_owned(), text.clone().into());
            }
        }
    }

    /// A choice by its index; none beyond [`CHOICES_MAX`].
    fn choice(&mut self, index: usize) -> Option<&mut Choice> {
        if index >= CHOICES_MAX {
            return None;
        }
        if index >= self.choices.len() {
            self.choices.resize_with(index.saturating_add(1), Choice::default);
        }
        let choice = self.choices.get_mut(index)?;
        choice.started = true;
        Some(choice)
    }

    /// Ends a choice if `reason` is one. The stream is finished when every choice that began has ended.
    fn end_choice(&mut self, index: usize, reason: Option<&Value>) {
        let reason = reason.filter(|reason| reason.is_string()).cloned();
        if let Some(choice) = self.choice(index)
            && reason.is_some()
        {
            choice.reason = reason;
            self.finished = self.choices.iter().all(|choice| choice.reason.is_some() || !choice.started);
        }
    }
}

#[cfg(test)]
mod tests;
