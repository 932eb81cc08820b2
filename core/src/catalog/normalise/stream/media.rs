//! The events of images that are made, of transcriptions and of speech.

use super::StreamReader;
use super::events::Event;
use crate::catalog::normalise::reply::object;
use serde_json::{Value, json};

impl StreamReader {
    /// One event.
    pub(super) fn media(&mut self, event: &Event) {
        let kind = event.get("type").and_then(Value::as_str).unwrap_or("");
        let text = event.get("delta").and_then(Value::as_str).filter(|_| kind.starts_with("trans"));
        if let Some(text) = text.or_else(|| event.get("text")?.as_str()).filter(|_| kind.ends_with(".delta"))
        {
            self.output(text.len());
        } else if kind.ends_with(".delta") || kind.ends_with(".partial_image") {
            self.output(0);
        }
        self.keep(event, &["model"]);
        if !kind.ends_with(".done") && !kind.ends_with(".completed") {
            return;
        }
        self.keep(event, &["type", "size", "quality"]);
        self.finished = true;
        if let Some(usage) = object(event, "usage") {
            let mut usage = usage.clone();
            if kind.starts_with("speech.") {
                // What is spoken is audio, which its usage does not say.
                let spoken = usage.get("output_tokens").cloned().unwrap_or_default();
                usage.insert("output_tokens_details".to_owned(), json!({ "audio_tokens": spoken }));
            }
            self.whole.insert("usage".to_owned(), Value::Object(usage));
            self.complete = true;
        }
    }
}
