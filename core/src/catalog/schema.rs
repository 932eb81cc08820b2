//! A catalog file as data: one type per object of `pricing/schema/catalog.schema.json`, unknown keys refused.
//!
//! Everything is optional here, because a later file may name only what it changes; `layers` merges, `entry`
//! compiles and checks what must be there in the end.

use super::rates::{DECIMAL_HINT, Factor, Rate, RateSet};
use crate::values::{Bucket, Timestamp};
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;

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

/// A UTC date or instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date(pub(crate) Timestamp);

/// Entries in the order of the file; keys may repeat in JSON, which `layers` refuses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named<T>(pub(crate) Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Named<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl RateSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Named<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Named(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Reads a value from text with `read`; the error shows the text and `wanted`.
struct Text<T> {
    wanted: &'static str,
    read: fn(&str) -> Option<T>,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            E::custom(format_args!("{shown:?} is not {}", self.wanted))
        })
    }
}

macro_rules! from_text {
    ($type:ty, $wanted:expr, $read:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text { wanted: $wanted, read: $read })
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

from_text!(Rate, "a decimal in quotes", Rate::parse);
from_text!(Factor, "a decimal in quotes", Factor::parse);
from_text!(Date, "a UTC date in quotes, for example \"2026-08-21\"", Date::parse);
from_text!(super::Tier, "a tier of the schema", super::Tier::from_schema);

impl Date {
    fn parse(text: &str) -> Option<Self> {
        let shape = match text.len() {
            10 => text.to_owned(),
            17 if text.ends_with('Z') => format!("{}:00Z", text.strip_suffix('Z')?),
            20 if text.ends_with('Z') => text.to_owned(),
            _ => return None,
        };
        Timestamp::parse(&shape).ok().map(Self)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;
        impl Visitor<'_> for Key {
            type Value = Bucket;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate key")
            }
            fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Bucket, E> {
                Bucket::from_key(key).ok_or_else(|| E::unknown_field(key, &BUCKET_KEYS))
            }
        }
        deserializer.deserialize_identifier(Key)
    }
}

impl Serialize for Bucket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

/// Every rate key, for hints.
static BUCKET_KEYS: [&str; Bucket::COUNT] = {
    let mut keys = [""; Bucket::COUNT];
    let mut at = 0;
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    while at < Bucket::COUNT {
        keys[at] = Bucket::ALL[at].key();
        at += 1;
    }
    keys
};

impl<'de> Deserialize<'de> for RateSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rates;
        impl<'de> Visitor<'de> for Rates {
            type Value = RateSet;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of rates")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RateSet, A::Error> {
                let mut set = RateSet(Vec::with_capacity(8));
                while let Some((bucket, rate)) = map.next_entry::<Bucket, Rate>()? {
                    if set.get(bucket).is_some() {
                        return Err(A::Error::custom(format_args!("`{}` is named twice", bucket.key())));
                    }
                    set.0.push((bucket, rate));
                }
                if set.is_empty() {
                    return Err(A::Error::custom("no rate; an entry without rates is an unknown model"));
                }
                Ok(set)
            }
        }
        deserializer.deserialize_map(Rates)
    }
}

impl Serialize for RateSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (bucket, rate) in &self.0 {
            map.serialize_entry(bucket, rate)?;
        }
        map.end()
    }
}

/// The hint that goes with a refused value, if the message is about one.
pub(crate) fn hint_for(message: &str) -> Option<String> {
    if message.contains("a decimal in quotes") {
        return Some(DECIMAL_HINT.to_owned());
    }
    let rest =
        message.strip_prefix("unknown field `").or_else(|| message.strip_prefix("unknown variant `"))?;
    let (wrong, rest) = rest.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).filter(|key| !key.starts_with('$')).collect();
    nearest(wrong, &known).map(|key| format!("did you mean `{key}`?"))
}

/// The known key that is closest to `wrong`, if one is close.
fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let best = known.iter().map(|key| (distance(wrong, key), *key)).min()?;
    let tolerance = wrong.chars().count().max(3) / 2;
    (best.0 <= tolerance).then_some(best.1)
}

/// Edits between two short words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (to, slot) in b.iter().zip(row.iter_mut().skip(1)) {
            let above = *slot;
            *slot = if from == *to { diagonal } else { 1 + diagonal.min(above).min(left) };
            (diagonal, left) = (above, *slot);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_gets_the_nearest_key() {
        let refused = serde_json::from_str::<Period>(r#"{"rates": {"cash_read": "1"}}"#).unwrap_err();
        assert_eq!(hint_for(&refused.to_string()).unwrap(), "did you mean `cache_read`?");
        let refused = serde_json::from_str::<Model>(r#"{"aliasses": []}"#).unwrap_err();
        assert_eq!(hint_for(&refused.to_string()).unwrap(), "did you mean `aliases`?");
        assert_eq!(distance("kitten", "sitting"), 3);
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
