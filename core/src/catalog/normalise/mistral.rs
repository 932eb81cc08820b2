//! Mistral: OpenAI's shape with audio by the second, connectors of conversations, and documents by the page.

use super::figures::Figures;
use super::reply::{Notes, Reply, label, object};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

/// Audio of the prompt, in milliseconds. Its tokens are in the total and in no part of it: the time is billed.
pub(super) fn audio_ms(figures: &mut Figures<'_, '_>) -> Option<u64> {
    figures.milliseconds(&["prompt_audio_seconds"]).filter(|milliseconds| *milliseconds > 0)
}

/// Counts the calls of a conversation's connectors.
pub(super) fn count_connectors(figures: &mut Figures<'_, '_>, usage: &mut Usage) {
    let mut connectors = figures.inside(&["connectors"]);
    usage.add(Bucket::WebSearch, connectors.get(&["web_search", "web_search_premium"]));
    usage.add(Bucket::CodeSession, connectors.get(&["code_interpreter"]));
    usage.add(Bucket::OutputImageUnit, connectors.get(&["image_generation"]));
    usage.add(Bucket::FileSearch, connectors.get(&["document_library"]));
}

/// A document that was read.
pub(super) fn ocr(map: &Map<String, Value>) -> Reply {
    let mut notes = Notes::default();
    let pages = Figures::new(object(map, "usage_info"), &mut notes).get(&["pages_processed"]);
    let annotated = map.get("document_annotation").is_some_and(|annotation| !annotation.is_null());
    let bucket = if annotated { Bucket::PageAnnotated } else { Bucket::Page };
    let usage = notes.trust(Usage::new().with(bucket, pages));
    Reply { usage, model: label(map.get("model")), anomalies: notes.anomalies, ..Reply::default() }
}
