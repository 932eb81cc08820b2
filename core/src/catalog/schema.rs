//! A catalog file as data: one type per object of `pricing/schema/catalog.schema.json`, unknown keys refused.
//!
//! Everything is optional here, because a later file may name only what it changes; `layers` merges, `entry`
//! compiles and checks what must be there in the end.

use super::fields::{Date, Named};
use super::rates::{Factor, RateSet};
use crate::values::Bucket;
use serde::{Deserialize, Serialize};

/// A file: one provider, or `providers` by name. The private fields are for people and for `make prices`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    #[serde(rename = "$schema")]
    schema: Option<String>,
    pub(crate) catalog: Option<u32>,
    generated: Option<Date>,
    pub(crate) providers: Option<Named<File>>,
    pub(crate) provider: Option<String>,
    name: Option<String>,
    pub(crate) aliases: Vec<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) currency: Option<String>,
    usage: Option<String>,
    pub(crate) strip_prefixes: Vec<String>,
    pub(crate) strip_suffixes: Vec<String>,
    pub(crate) date_suffix: Option<bool>,
    pub(crate) platform: Option<bool>,
    pub(crate) fallback: Option<Vec<String>>,
    source: Option<String>,
    checked: Option<Date>,
    license: Option<String>,
    pub(crate) modifiers: Vec<Modifier>,
    pub(crate) models: Named<Model>,
}

/// One model: names, limits, prices by period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Model {
    #[serde(skip_serializing)]
    pub(crate) aliases: Vec<String>,
    #[serde(skip_serializing)]
    pub(crate) patterns: Vec<String>,
    #[serde(skip_serializing)]
    pub(crate) same_as: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_output_tokens: Option<u64>,
    #[serde(skip_serializing)]
    pub(crate) deprecated: Option<Date>,
    pub(crate) prices: Vec<Period>,
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub(crate) minimum: Named<String>,
    #[serde(skip_serializing)]
    pub(crate) replace: bool,
    #[serde(skip_serializing)]
    pub(crate) remove: bool,
    #[serde(skip_serializing)]
    pub(crate) note: Option<String>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Chat completions, messages, generate content.
    #[default]
    Chat,
    /// Only the Responses API.
    Responses,
    /// Plain completions.
    Completion,
    /// Embeddings: no output.
    Embedding,
    /// Reranking.
    Rerank,
    /// Image generation.
    Image,
    /// Speech and transcription.
    Audio,
    /// Video generation.
    Video,
    /// Document reading.
    Ocr,
    /// Live sessions.
    Realtime,
    /// Moderation.
    Moderation,
    /// Search.
    Search,
    /// Anything else.
    Other,
}

/// Prices from one instant on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Period {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Date>,
    pub(crate) rates: RateSet,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) over: Vec<Over>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) variants: Vec<Variant>,
    #[serde(skip_serializing)]
    pub(crate) source: Option<String>,
    #[serde(skip_serializing)]
    pub(crate) checked: Option<Date>,
    #[serde(skip_serializing)]
    pub(crate) note: Option<String>,
}

/// Other rates when the whole input is longer than `input_gt` tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Over {
    pub(crate) input_gt: u64,
    pub(crate) rates: RateSet,
}

/// Other rates, or a multiplier, when something about the request holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Variant {
    pub(crate) when: When,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Date>,
    #[serde(skip_serializing_if = "RateSet::is_empty")]
    pub(crate) rates: RateSet,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) over: Vec<Over>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) multiply: Option<Factor>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) except: Vec<Bucket>,
    #[serde(skip_serializing)]
    pub(crate) note: Option<String>,
}

/// A multiplier of a provider, for the models that `models` matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Modifier {
    pub(crate) when: When,
    pub(crate) multiply: Factor,
    #[serde(default, skip_serializing)]
    pub(crate) models: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) except: Vec<Bucket>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Date>,
    #[serde(default, skip_serializing)]
    pub(crate) note: Option<String>,
}

/// Conditions; all must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct When {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tier: Option<super::Tier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) speed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) geo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thinking: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) search_context: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) search_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resolution: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) utc: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) weekdays: Vec<Weekday>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calendar: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clock: Option<Instant>,
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub(crate) label: Named<String>,
}

/// A day of the week, Monday first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub(crate) enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Which instant a time window tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Instant {
    #[default]
    RequestStart,
    RequestEnd,
}

#[cfg(test)]
mod tests {
    use super::super::fields::hint_for;
    use super::*;

    #[test]
    fn a_typo_gets_the_nearest_key() {
        let refused = serde_json::from_str::<Period>(r#"{"rates": {"cash_read": "1"}}"#).unwrap_err();
        assert_eq!(hint_for(&refused.to_string()).unwrap(), "did you mean `cache_read`?");
        let refused = serde_json::from_str::<Model>(r#"{"aliasses": []}"#).unwrap_err();
        assert_eq!(hint_for(&refused.to_string()).unwrap(), "did you mean `aliases`?");
    }

    #[test]
    fn floats_and_empty_rates_are_refused() {
        for text in [
            r#"{"rates": {"input": 0.5}}"#,
            r#"{"rates": {"input": "5e-1"}}"#,
            r#"{"rates": {}}"#,
            r#"{"rates": {"input": "1", "input": "2"}}"#,
            r#"{"from": "2026-13-01", "rates": {"input": "1"}}"#,
        ] {
            assert!(serde_json::from_str::<Period>(text).is_err(), "{text}");
        }
    }
}
