//! Reads counts by their names out of a provider's usage object.

use super::number::{Count, count, scaled};
use super::reply::{Notes, Rule};
use serde_json::{Map, Value};

/// A usage object and where its oddities are noted.
pub(super) struct Figures<'a, 'n> {
    map: Option<&'a Map<String, Value>>,
    pub(super) notes: &'n mut Notes,
}

impl<'a, 'n> Figures<'a, 'n> {
    pub(super) fn new(map: Option<&'a Map<String, Value>>, notes: &'n mut Notes) -> Self {
        Self { map, notes }
    }

    /// The first of the names that is there and not `null`: several spellings of one figure are never added.
    pub(super) fn any(&mut self, names: &[&str]) -> Option<u64> {
        self.first(names, count)
    }

    /// Like [`Figures::any`]; zero if none is there.
    pub(super) fn get(&mut self, names: &[&str]) -> u64 {
        self.any(names).unwrap_or(0)
    }

    /// A duration in seconds, as milliseconds, rounded up.
    pub(super) fn milliseconds(&mut self, names: &[&str]) -> Option<u64> {
        self.first(names, |value| match value {
            // How some SDKs write a field that is not set.
            Some(Value::Object(unset)) if unset.is_empty() => Count::Absent,
            value => scaled(value, 3),
        })
    }

    fn first(&mut self, names: &[&str], read: impl Fn(Option<&Value>) -> Count) -> Option<u64> {
        let map = self.map?;
        for name in names {
            match read(map.get(*name)) {
                Count::Absent => {}
                Count::Whole(count) => return Some(count),
                Count::Damaged => {
                    let shown = map.get(*name).map(shorten).unwrap_or_default();
                    self.notes.unreadable(Rule::Unreadable, || format!("{name} is {shown}"));
                    return None;
                }
            }
        }
        None
    }

    /// The same reader on an object inside this one, by the first name that is one.
    pub(super) fn inside(&mut self, names: &[&str]) -> Figures<'a, '_> {
        let inner = self.map.and_then(|map| names.iter().find_map(|name| map.get(*name)?.as_object()));
        Figures { map: inner, notes: self.notes }
    }

    /// There is such an object.
    pub(super) const fn is_there(&self) -> bool {
        self.map.is_some()
    }
}

/// A value as a message shows it: short, and without walking what is large.
fn shorten(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("{:?}", text.chars().take(20).collect::<String>()),
        Value::Bool(flag) => flag.to_string(),
        Value::Null => "null".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
