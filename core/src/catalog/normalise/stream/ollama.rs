//! The objects of an Ollama stream.

use super::StreamReader;
use super::events::Event;
use crate::catalog::normalise::reply::object;
use serde_json::Value;

impl StreamReader {
    /// One object: a piece, or the last one with the counts.
    pub(super) fn ollama(&mut self, event: &Event) {
        self.keep(event, &["model", "done_reason"]);
        let text = |map: &Event, name: &str| map.get(name).and_then(Value::as_str).map_or(0, str::len);
        let message = object(event, "message");
        let said =
            message.map_or(0, |message| text(message, "content").saturating_add(text(message, "thinking")));
        let bytes = said.saturating_add(text(event, "response")).saturating_add(text(event, "thinking"));
        if bytes > 0 {
            self.output(bytes);
        }
        if event.get("done") == Some(&Value::Bool(true)) {
            self.finished = true;
            for name in ["prompt_eval_count", "eval_count"] {
                if let Some(count) = event.get(name).filter(|count| !count.is_null()) {
                    self.whole.insert(name.to_owned(), count.clone());
                }
            }
            self.complete = self.whole.contains_key("eval_count");
        }
    }
}
