//! Transcription by duration: seconds, as text or as a number, to milliseconds. By tokens it is of OpenAI's shape.

use super::figures::Figures;
use super::reply::{Notes, Reply, label, object};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

/// A usage object that tells a duration.
pub(super) fn is_duration(usage: &Map<String, Value>) -> bool {
    let is = usage.get("type").and_then(Value::as_str) == Some("duration");
    is || (!usage.contains_key("input_tokens")
        && (usage.contains_key("seconds") || usage.contains_key("duration_seconds")))
}

/// A verbose transcription, which tells the duration and no usage (Groq, older OpenAI models).
pub(super) fn is_verbose(map: &Map<String, Value>) -> bool {
    map.contains_key("duration") && (map.contains_key("text") || map.contains_key("segments"))
}

/// A whole reply.
pub(super) fn reply(map: &Map<String, Value>) -> Reply {
    let mut notes = Notes::default();
    let heard = match object(map, "usage") {
        Some(usage) => Figures::new(Some(usage), &mut notes).milliseconds(&["seconds", "duration_seconds"]),
        None => Figures::new(Some(map), &mut notes).milliseconds(&["duration"]),
    };
    let usage = heard.and_then(|heard| notes.trust(Usage::new().with(Bucket::InputAudioMs, heard)));
    Reply { usage, model: label(map.get("model")), anomalies: notes.anomalies, ..Reply::default() }
}
