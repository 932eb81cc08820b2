//! The file as text: entries and their fields, each value as it is written.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// One entry: its fields about prices and limits, as text.
pub(super) struct Entry<'a> {
    pub(super) provider: Option<Cow<'a, str>>,
    pub(super) mode: Cow<'a, str>,
    pub(super) fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// The file's entries, in its order; `None`: not an object.
pub(super) struct File<'a>(pub(super) Vec<(Cow<'a, str>, Option<Entry<'a>>)>);

impl<'de: 'a, 'a> Deserialize<'de> for File<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = File<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of models")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(4096);
                while let Some(Text(key)) = map.next_key()? {
                    let raw: &RawValue = map.next_value()?;
                    entries.push((key, serde_json::from_str(raw.get()).ok()));
                }
                Ok(File(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// A text that is borrowed from the file wherever that is possible.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Entry<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entry =
                    Entry { provider: None, mode: Cow::Borrowed(""), fields: Vec::with_capacity(12) };
                while let Some(Text(key)) = map.next_key()? {
                    match &*key {
                        "source" | "metadata" | "comment" | "supported_endpoints" => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        flag if flag.starts_with("supports_") => drop(map.next_value::<IgnoredAny>()?),
                        _ => {
                            let raw: &RawValue = map.next_value()?;
                            let text = || raw.get().strip_prefix('"')?.strip_suffix('"');
                            match &*key {
                                "litellm_provider" => entry.provider = text().map(Cow::Borrowed),
                                "mode" => entry.mode = Cow::Borrowed(text().unwrap_or_default()),
                                _ => entry.fields.push((key, raw)),
                            }
                        }
                    }
                }
                Ok(entry)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// The fields of an object.
pub(super) struct Fields<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(Text(key)) = map.next_key()? {
                    fields.push((key, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// An object's fields; `None`: it is none.
pub(super) fn table(raw: &RawValue) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    serde_json::from_str::<Fields<'_>>(raw.get()).ok().map(|Fields(fields)| fields)
}
