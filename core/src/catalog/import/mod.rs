//! Price files of other tools, read as they are: told by their content, mapped to the shape of our own, put over what
//! is there. What cannot be expressed is listed in the report, never dropped in silence, and never a reason to refuse
//! the rest.

pub(in crate::catalog) mod clause;
mod draft;
mod genai_keys;
mod genai_prices;
mod hours;
mod litellm;
mod number;
pub(crate) mod report;
mod stack;
#[cfg(test)]
mod tests;

pub(super) use stack::{Running, Stack};

use super::Source;
use super::schema::Model;
use crate::error::{Error, Result};
use clause::Clause;
use report::{FileReport, Format};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::fmt;

/// A model of another tool's file, in our words.
#[derive(Debug, Default)]
struct Imported {
    /// Our provider's id.
    provider: String,
    /// What the file calls the entry.
    entry: String,
    /// What the model is called at that provider.
    id: String,
    model: Model,
    /// Other names that mean it, tried in the order of the file.
    clause: Option<Clause>,
    /// What is impossible about it: such an entry is held back.
    faults: Vec<String>,
    /// Its prices have start dates. Without them it says what holds at any time.
    dated: bool,
}

/// A provider of another tool's file.
#[derive(Debug, Default)]
struct Seller {
    id: String,
    aliases: Vec<String>,
    fallback: Vec<String>,
}

/// A file of another tool.
#[derive(Debug)]
pub(super) struct Foreign {
    models: Vec<Imported>,
    sellers: Vec<Seller>,
    report: FileReport,
}

/// Reads a file of another tool; `None` if it is one of ours.
pub(super) fn read(source: &Source) -> Result<Option<Foreign>> {
    let format = format_of(&source.text);
    let mut report = FileReport { file: source.name.clone(), format, ..FileReport::default() };
    let read = match format {
        Format::Catalog => return Ok(None),
        Format::LiteLlm => litellm::read(&source.text, &mut report).map(|models| {
            let ids: BTreeSet<&String> = models.iter().map(|model| &model.provider).collect();
            let sellers = ids.into_iter().map(|id| Seller {
                id: id.clone(),
                aliases: litellm::aliases(id),
                ..Seller::default()
            });
            let sellers = sellers.collect();
            (models, sellers)
        }),
        Format::GenaiPrices => genai_prices::read(&source.text, &mut report),
    };
    let (models, sellers) = read.map_err(|error| super::parse::json_error(source, &error))?;
    if models.is_empty() {
        let message = format!("looks like a file of {} and has no model with a price", format.as_str());
        return Err(Error::new(crate::codes::Code::PricesInvalid, message)
            .at(&source.name, None)
            .hint("fetch the file again, or take it out of `prices.files`"));
    }
    Ok(Some(Foreign { models, sellers, report }))
}

/// Whose file it is, by what is in it.
pub(super) fn format_of(text: &str) -> Format {
    match text.trim_start().as_bytes().first() {
        Some(b'[')
            if text.trim_start_matches(['[', ' ', '\t', '\r', '\n']).starts_with('{')
                && is_json_array(text) =>
        {
            Format::GenaiPrices
        }
        Some(b'{') => {
            let mut told = None;
            let _ = serde_json::Deserializer::from_str(text).deserialize_map(Look(&mut told));
            told.unwrap_or(Format::Catalog)
        }
        _ => Format::Catalog,
    }
}

/// `[{"id": …` and not TOML's `[[table]]`.
fn is_json_array(text: &str) -> bool {
    text.trim_start().strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with('{'))
}

/// Looks at the entries of a file until one tells whose it is.
struct Look<'t>(&'t mut Option<Format>);

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            *self.0 = match key.as_str() {
                "catalog" | "provider" => Some(Format::Catalog),
                "sample_spec" => Some(Format::LiteLlm),
                _ => {
                    let raw: &RawValue = map.next_value()?;
                    told_by(&key, raw)
                }
            };
            if self.0.is_some() {
                // There is no other way out of a map than an error.
                return Err(A::Error::custom("told"));
            }
        }
        Ok(())
    }
}

fn told_by(key: &str, raw: &RawValue) -> Option<Format> {
    #[derive(Deserialize)]
    struct Entry {
        litellm_provider: serde::de::IgnoredAny,
    }
    match (key, raw.get().as_bytes().first()) {
        ("providers", Some(b'[')) => Some(Format::GenaiPrices),
        ("providers", Some(b'{')) => Some(Format::Catalog),
        (_, Some(b'{')) => {
            let entry = serde_json::from_str::<Entry>(raw.get()).ok()?;
            let _ = entry.litellm_provider;
            Some(Format::LiteLlm)
        }
        _ => None,
    }
}
