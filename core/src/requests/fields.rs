//! Reads the fields of a request that are the same in several APIs.

use super::CHOICES_MAX;
use crate::catalog::{Tier, normalise};
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::values::scope::{LABEL_BYTES_MAX, Label};
use serde_json::{Map, Value};

pub(super) type Body = Map<String, Value>;

/// The first of the spellings that is there and not `null`.
pub(super) fn any<'a>(map: &'a Body, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| map.get(*name).filter(|value| !value.is_null()))
}

pub(super) fn object<'a>(map: &'a Body, names: &[&str]) -> Option<&'a Body> {
    any(map, names)?.as_object()
}

pub(super) fn list<'a>(map: &'a Body, names: &[&str]) -> &'a [Value] {
    any(map, names).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn text<'a>(map: &'a Body, names: &[&str]) -> Option<&'a str> {
    any(map, names)?.as_str()
}

/// Text as a label; too long a text is none.
pub(super) fn label(map: &Body, names: &[&str]) -> Option<Label> {
    text(map, names).and_then(to_label)
}

pub(super) fn to_label(text: &str) -> Option<Label> {
    (!text.is_empty() && text.len() <= LABEL_BYTES_MAX).then(|| text.into())
}

pub(super) fn flag(map: &Body, name: &str) -> bool {
    map.get(name) == Some(&Value::Bool(true))
}

pub(super) fn float(map: &Body, names: &[&str]) -> Option<f64> {
    any(map, names)?.as_f64()
}

/// `"stop"` as text or as a list of texts.
pub(super) fn labels(map: &Body, names: &[&str]) -> Vec<Label> {
    const LABELS_MAX: usize = 16;
    match any(map, names) {
        Some(Value::String(text)) => to_label(text).into_iter().collect(),
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).filter_map(to_label).take(LABELS_MAX).collect()
        }
        _ => Vec::new(),
    }
}

/// A limit in tokens or uses. Some servers write "no limit" as a negative number: that is none.
///
/// # Errors
/// `argument_invalid` if it is there and not a whole number.
pub(super) fn limit(map: &Body, names: &[&str]) -> Result<Option<u64>> {
    let Some(value) = any(map, names) else { return Ok(None) };
    if let Some(count) = value.as_u64() {
        return Ok(Some(count));
    }
    if value.as_i64().is_some_and(|count| count < 0) {
        return Ok(None);
    }
    // JavaScript and Python write 1000.0 or 1e3 for 1000 now and then.
    let float = value.as_f64().filter(|count| count.fract() == 0.0 && (0.0..=9e15).contains(count));
    match float.map(|count| format!("{count:.0}")).and_then(|text| text.parse().ok()) {
        Some(count) => Ok(Some(count)),
        None => Err(invalid(names, "must be a whole number")),
    }
}

/// The number of choices; at least 1.
///
/// # Errors
/// `argument_invalid` if it is not a whole number or above [`CHOICES_MAX`].
pub(super) fn choices(map: &Body, names: &[&str]) -> Result<u64> {
    let choices = limit(map, names)?.unwrap_or(1).max(1);
    if choices > CHOICES_MAX {
        return Err(invalid(names, "asks for too many choices"));
    }
    Ok(choices)
}

fn invalid(names: &[&str], why: &str) -> Error {
    let error = Error::new(Code::ArgumentInvalid, why.to_owned());
    match names.first() {
        Some(name) => error.field(*name),
        None => error,
    }
}

/// The service tier that is asked for.
pub(super) fn tier(map: &Body, names: &[&str]) -> Option<Tier> {
    match text(map, names)? {
        "auto" => Some(Tier::Auto),
        word => normalise::tier(word),
    }
}
