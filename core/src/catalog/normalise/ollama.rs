//! Ollama's own API: counts next to the content. The prompt's count is absent when all of it was in memory.

use super::figures::Figures;
use super::reply::{Notes, Reply, label};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

/// A whole reply, or the last object of a stream.
pub(super) fn reply(map: &Map<String, Value>) -> Reply {
    let mut notes = Notes::default();
    let mut figures = Figures::new(Some(map), &mut notes);
    let (input, output) = (figures.any(&["prompt_eval_count"]), figures.any(&["eval_count"]));
    let usage =
        Usage::new().with(Bucket::Input, input.unwrap_or(0)).with(Bucket::Output, output.unwrap_or(0));
    let told = input.is_some() || output.is_some();
    Reply {
        usage: notes.trust(usage).filter(|_| told),
        model: label(map.get("model")),
        finish_reasons: label(map.get("done_reason")).into_iter().collect(),
        error: map.get("error").filter(|error| error.is_string()).map(|_| "error".into()),
        anomalies: notes.anomalies,
        ..Reply::default()
    }
}
