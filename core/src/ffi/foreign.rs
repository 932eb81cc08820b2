//! JSON that a provider or an SDK wrote: what those who read it put up with is no reason to lose its figures.

use serde_json::Value;
use std::borrow::Cow;

/// Reads it. A byte order mark is skipped, and half of a surrogate pair (an emoji that was cut in two) is read as the
/// replacement character.
///
/// # Errors
/// Why it is no JSON.
pub fn foreign(text: &str) -> Result<Value, serde_json::Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text).or_else(|error| match mended(text) {
        Cow::Owned(mended) => serde_json::from_str(&mended),
        Cow::Borrowed(_) => Err(error),
    })
}

/// The text with `\\ufffd` for every half of a surrogate pair; borrowed if it has none.
fn mended(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    let mut kept = text;
    while let Some(at) = rest.find('\\') {
        let here = rest.get(at..).unwrap_or_default();
        let step = match (unit(here), unit(here.get(6..).unwrap_or_default())) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                let before = kept.len().saturating_sub(here.len());
                out.push_str(kept.get(..before).unwrap_or_default());
                out.push_str("\\ufffd");
                kept = here.get(6..).unwrap_or_default();
                6
            }
            (Some(_), _) => 6,
            // An escape of one character, which may be another backslash.
            (None, _) => here.char_indices().nth(2).map_or(here.len(), |(next, _)| next),
        };
        rest = here.get(step..).unwrap_or_default();
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(kept);
    Cow::Owned(out)
}

/// The code unit of an escape `\\uXXXX` at the beginning.
fn unit(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_sdks_put_up_with_is_read() {
        let cases = [
            ("\u{feff}{\"a\": 1}", json!({"a": 1})),
            (r#"["\ud83d"]"#, json!(["\u{fffd}"])),
            (r#"["x\ude00y", "\uD83D\uDE00\ud83d"]"#, json!(["x\u{fffd}y", "\u{1f600}\u{fffd}"])),
            (r#"["\\ud83d", "\ud83d\\", "\ud83d\n"]"#, json!(["\\ud83d", "\u{fffd}\\", "\u{fffd}\n"])),
            (r#"["\ud83d\ud83d\ude00"]"#, json!(["\u{fffd}\u{1f600}"])),
        ];
        for (text, read) in cases {
            assert_eq!(foreign(text).unwrap(), read, "{text}");
        }
        for bad in
            ["", "{", "\\", r#"["\ud83d"#, r#"["\ud83"]"#, r#"["\u"]"#, r#"["\ü"]"#, "\u{feff}\u{feff}1"]
        {
            assert!(foreign(bad).is_err(), "{bad}");
        }
    }
}
