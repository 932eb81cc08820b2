//! How many tokens a request can have at most, told from its bytes.
//!
//! No tokenizer makes a token of less than one byte, so the UTF-8 bytes of all text that is sent are a bound; what a
//! provider puts around messages and tools is covered by a constant for each. What is not in the request (a file by
//! its id, an earlier response, pages that a server-side tool reads) or is not text (an image) has no such bound:
//! then it is the model's context size.

use super::fingerprint::too_deep;
use super::{DEPTH_MAX, InputSize};
use crate::error::Result;
use crate::values::Bucket;
use serde_json::Value;
use smallvec::SmallVec;

/// Tokens that a message or a tool may cost beyond its text.
pub const FRAME_TOKENS: u64 = 32;

/// Adds a request up.
#[derive(Debug, Default)]
pub(super) struct Size {
    tokens: u64,
    unknown: bool,
    /// Kinds of media that are in the request.
    pub(super) media: SmallVec<[Bucket; 2]>,
}

impl Size {
    /// What was found.
    pub(super) fn input(&self) -> InputSize {
        if self.unknown { InputSize::Context } else { InputSize::Bound(self.tokens) }
    }

    /// `count` tokens that need no text: token ids, what the provider adds.
    pub(super) fn tokens(&mut self, count: u64) {
        self.tokens = self.tokens.saturating_add(count);
    }

    /// A message or a tool.
    pub(super) fn frame(&mut self) {
        self.tokens(FRAME_TOKENS);
    }

    /// Text as it is.
    pub(super) fn text(&mut self, text: &str) {
        self.tokens(u64::try_from(text.len()).unwrap_or(u64::MAX));
    }

    /// Text if it is text, nothing if it is missing, else as JSON.
    pub(super) fn text_of(&mut self, value: Option<&Value>) -> Result<()> {
        match value {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(text)) => {
                self.text(text);
                Ok(())
            }
            Some(other) => self.json(other),
        }
    }

    /// The length of the compact JSON, keys included: how tools, schemas and arguments are shown to a model.
    ///
    /// # Errors
    /// `argument_invalid` if it is nested deeper than 128 levels.
    pub(super) fn json(&mut self, value: &Value) -> Result<()> {
        let length = json_length(value, DEPTH_MAX)?;
        self.tokens(length);
        Ok(())
    }

    /// Something whose size the request does not tell.
    pub(super) fn unknown(&mut self) {
        self.unknown = true;
    }

    /// Media: of unknown size, and priced as `bucket` where the catalog has such a rate.
    pub(super) fn media(&mut self, bucket: Bucket) {
        self.unknown = true;
        if !self.media.contains(&bucket) {
            self.media.push(bucket);
        }
    }

    /// Media by MIME type; documents are read as images.
    pub(super) fn media_type(&mut self, mime: &str) {
        let bucket = match mime.split('/').next() {
            Some("audio") => Bucket::InputAudio,
            Some("video") => Bucket::InputVideo,
            Some("text") => return self.unknown(),
            _ => Bucket::InputImage,
        };
        self.media(bucket);
    }
}

fn json_length(value: &Value, depth: usize) -> Result<u64> {
    let Some(depth) = depth.checked_sub(1) else { return Err(too_deep()) };
    let mut length: u64 = 2;
    match value {
        // No JSON number of serde_json is longer, no literal either.
        Value::Null | Value::Bool(_) | Value::Number(_) => return Ok(24),
        Value::String(text) => return Ok(length.saturating_add(escaped_length(text))),
        Value::Array(list) => {
            for item in list {
                length = length.saturating_add(json_length(item, depth)?).saturating_add(1);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                length = length.saturating_add(escaped_length(key)).saturating_add(json_length(item, depth)?);
                length = length.saturating_add(4);
            }
        }
    }
    Ok(length)
}

/// The bytes of a JSON string: quotes, backslashes and line ends take two, other control characters six.
fn escaped_length(text: &str) -> u64 {
    let extra = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1u64,
        0..=0x1f => 5,
        _ => 0,
    };
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    text.bytes().fold(length, |sum, byte| sum.saturating_add(extra(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    proptest! {
        #[test]
        fn json_is_never_longer_than_the_bound(text in "\\PC*|[\\x00-\\x1f\"\\\\]*", key in "\\PC{0,9}", n in any::<f64>()) {
            let value = json!({key: [text, n, null, true, {"a": []}]});
            let bound = json_length(&value, DEPTH_MAX).unwrap();
            prop_assert!(usize::try_from(bound).unwrap() >= serde_json::to_string(&value).unwrap().len());
        }
    }

    #[test]
    fn depth_is_bounded() {
        let mut deep = (0..100_000).fold(json!(1), |inner, _| Value::Array(vec![inner]));
        assert!(Size::default().json(&deep).is_err());
        while let Value::Array(mut list) = deep {
            deep = list.pop().unwrap_or_default();
        }
    }
}
