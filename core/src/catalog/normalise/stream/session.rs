//! A Realtime session: several responses, and next to them the transcription of what was said, which is billed by the
//! model that transcribes. In a session that only transcribes that is the model of the call.

use super::StreamReader;
use super::events::Event;
use crate::catalog::normalise::reply::{ANOMALIES_MAX, Anomaly, PARTS_MAX, Part, Reply, Rule, label, object};
use crate::catalog::normalise::{read, shape};
use crate::values::Usage;
use crate::values::scope::Label;
use serde_json::{Map, Value};

/// Most responses and transcriptions of one session that are told apart.
pub(super) const ENDS_MAX: usize = 1024;

/// How a transcription's events begin.
const TRANSCRIPTION: &str = "conversation.item.input_audio_transcription.";

/// What a session has told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// The model that transcribes.
    transcriber: Option<Label>,
    /// It only transcribes.
    only_transcribes: bool,
    /// What was transcribed, by model.
    transcribed: Vec<(Option<Label>, Usage)>,
    anomalies: Vec<Anomaly>,
    /// A transcription whose usage cannot be read: nothing can be trusted.
    unreadable: bool,
    /// Something has begun that has not ended.
    pub(super) responding: bool,
    transcribing: bool,
    /// The responses and the transcriptions that have ended.
    ends: Vec<Label>,
}

/// Whether an event is of a session and of no response.
pub(super) fn is_of_session(kind: &str) -> bool {
    ["session.", "transcription_session.", TRANSCRIPTION].iter().any(|start| kind.starts_with(start))
}

impl Session {
    /// Notes an end. `false`: it was told before.
    pub(super) fn end(&mut self, id: &str) -> bool {
        if self.ends.iter().any(|known| &**known == id) {
            return false;
        }
        if self.ends.len() < ENDS_MAX {
            self.ends.push(id.into());
        }
        true
    }

    /// Everything that began has ended, and can be read.
    pub(super) const fn is_settled(&self) -> bool {
        !self.responding && !self.transcribing && !self.unreadable
    }

    /// Which model transcribes, as the session is set up; in the words of three versions of the API.
    fn set_up(&mut self, kind: &str, session: &Map<String, Value>) {
        let only = session.get("type").and_then(Value::as_str) == Some("transcription");
        self.only_transcribes |= only || kind.starts_with("transcription_session.");
        let input = object(session, "audio").and_then(|audio| object(audio, "input"));
        let told = input
            .and_then(|input| object(input, "transcription"))
            .or_else(|| object(session, "input_audio_transcription"));
        if let Some(model) = told.and_then(|told| label(told.get("model"))) {
            self.transcriber = Some(model);
        }
    }

    fn add(&mut self, reply: Reply) {
        self.anomalies.extend(reply.anomalies);
        self.anomalies.truncate(ANOMALIES_MAX);
        let Some(usage) = reply.usage else {
            return self.damaged(Rule::Unrecognised, "a transcription without usage");
        };
        let known = self.transcribed.iter_mut().find(|(model, _)| *model == self.transcriber);
        if let Some((_, sum)) = known {
            usage.iter().for_each(|(bucket, quantity)| sum.add(bucket, quantity));
        } else if self.transcribed.len() < PARTS_MAX {
            self.transcribed.push((self.transcriber.clone(), usage));
        } else {
            self.damaged(Rule::TooManyModels, "models that transcribe");
        }
    }

    fn damaged(&mut self, rule: Rule, detail: &str) {
        self.unreadable = true;
        if self.anomalies.is_empty() {
            self.anomalies.push(Anomaly { rule, detail: detail.to_owned() });
        }
    }

    /// Adds what was transcribed to the responses.
    pub(super) fn add_to(&self, reply: &mut Reply, responded: bool) {
        reply.anomalies.extend_from_slice(&self.anomalies);
        reply.anomalies.truncate(ANOMALIES_MAX);
        // A response that does not tell its usage leaves nothing to be added to.
        if self.unreadable || (responded && reply.usage.is_none() && !self.transcribed.is_empty()) {
            reply.usage = None;
            reply.parts.clear();
            return;
        }
        // Where nothing tells of a conversation, the model of the call transcribes.
        let own = self.only_transcribes || (self.transcriber.is_none() && !responded);
        for (model, used) in &self.transcribed {
            let usage = reply.usage.get_or_insert_default();
            if own {
                used.iter().for_each(|(bucket, quantity)| usage.add(bucket, quantity));
                reply.model = reply.model.take().or_else(|| model.clone());
            } else {
                // Without its name it has no price, which is said rather than guessed.
                let model = model.clone().unwrap_or_else(|| "input_audio_transcription".into());
                reply.parts.push(Part { model, usage: *used });
            }
        }
        reply.usage = reply.usage.take().and_then(|usage| usage.checked().ok());
    }
}

impl StreamReader {
    /// An event of the session that is of no response.
    pub(super) fn session(&mut self, kind: &str, event: &Event) {
        if let Some(session) = object(event, "session") {
            self.session.set_up(kind, session);
        }
        match kind.strip_prefix(TRANSCRIPTION) {
            Some("delta") => {
                self.session.transcribing = true;
                self.complete = false;
                let text = event.get("delta").and_then(Value::as_str).unwrap_or("");
                if !text.is_empty() {
                    self.output(text.len());
                }
            }
            Some("failed") => {
                self.session.transcribing = false;
                self.transcription_ended();
            }
            Some("completed") => {
                self.session.transcribing = false;
                let place = event.get("content_index").and_then(Value::as_u64).unwrap_or(0);
                let item = event.get("item_id").and_then(Value::as_str);
                if item.is_none_or(|item| self.session.end(&format!("{item}/{place}"))) {
                    let usage =
                        object(event, "usage").cloned().map(|usage| ("usage".to_owned(), usage.into()));
                    let whole: Map<String, Value> = usage.into_iter().collect();
                    let family = shape::family(self.provider.as_deref(), &whole);
                    let reply = read(family, self.provider.as_deref(), None, &whole);
                    self.session.add(reply.unwrap_or_default());
                }
                self.transcription_ended();
            }
            _ => {}
        }
    }

    /// The last word, unless a response is under way or one that has ended cannot be read.
    fn transcription_ended(&mut self) {
        let responses = self.last.as_ref().is_none_or(|last| last.usage.is_some());
        self.complete = self.session.is_settled() && responses;
        self.finished |= self.complete;
    }
}
