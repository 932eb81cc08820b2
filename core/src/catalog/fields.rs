//! Single values of a catalog file, how they are read and written: decimals, dates, rate keys, tables of rates, named
//! entries. A refused one says what was wanted.

use super::Tier;
use super::rates::{DECIMAL_HINT, Factor, Rate, RateSet};
use crate::hint::nearest;
use crate::values::{Bucket, Timestamp};
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;
use std::marker::PhantomData;

/// Most entries that room is made for before they are there.
const ENTRIES_EXPECTED_MAX: usize = 4_096;

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
                // A hint is no more than that: a text must not make room for what it does not have.
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0).min(ENTRIES_EXPECTED_MAX));
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
from_text!(Tier, "a tier of the schema", Tier::from_schema);

impl Date {
    pub(crate) fn parse(text: &str) -> Option<Self> {
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
                // Collected on the stack, so that what is kept has the room that it needs and no more.
                let mut set: SmallVec<[(Bucket, Rate); 8]> = SmallVec::new();
                while let Some((bucket, rate)) = map.next_entry::<Bucket, Rate>()? {
                    if set.iter().any(|(known, _)| *known == bucket) {
                        return Err(A::Error::custom(format_args!("`{}` is named twice", bucket.key())));
                    }
                    set.push((bucket, rate));
                }
                if set.is_empty() {
                    return Err(A::Error::custom("no rate; an entry without rates is an unknown model"));
                }
                Ok(RateSet(set.to_vec()))
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
