//! An entry on its way to another process, as JSON: what comes out prices alike.

use super::adjust::Adjustment;
use super::entry::ModelEntry;
use super::period::SharedModifier;
use super::schema;
use crate::codes::Code;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

impl ModelEntry {
    /// The entry as JSON: everything that pricing needs, so that another process prices alike.
    #[must_use]
    pub fn to_json(&self) -> String {
        let modifiers = self.shared_modifiers().iter().map(|shared| shared.file()).collect();
        let carried = Carried {
            adjustment: self.adjustment().map(std::borrow::Cow::Borrowed),
            provider: self.provider().to_string(),
            model: self.model().to_string(),
            file: std::borrow::Cow::Borrowed(self.file()),
            modifiers: Modifiers::Borrowed(modifiers),
        };
        serde_json::to_string(&carried).unwrap_or_default()
    }

    /// Reads what [`ModelEntry::to_json`] wrote.
    ///
    /// # Errors
    /// `token_invalid`.
    pub fn from_json(text: &str) -> Result<Self> {
        let damaged = |why: String| Error::new(Code::TokenInvalid, format!("not a price entry: {why}"));
        let carried: Carried<'_> = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let modifiers = match carried.modifiers {
            Modifiers::Owned(files) => {
                files.iter().map(|file| SharedModifier::new(file).map(Arc::new)).collect()
            }
            Modifiers::Borrowed(_) => Ok(Box::default()),
        };
        let compiled = modifiers.and_then(|modifiers| {
            let (provider, model) = (carried.provider.into(), carried.model.into());
            let adjustment = carried.adjustment.map(std::borrow::Cow::into_owned);
            Self::compile_adjusted(provider, model, carried.file.into_owned(), modifiers, adjustment)
        });
        compiled.map_err(|problem| damaged(problem.message))
    }
}

/// A [`ModelEntry`] on its way to another process.
#[derive(Serialize, Deserialize)]
struct Carried<'a> {
    provider: String,
    model: String,
    #[serde(flatten)]
    file: std::borrow::Cow<'a, schema::Model>,
    #[serde(default)]
    modifiers: Modifiers<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    adjustment: Option<std::borrow::Cow<'a, Adjustment>>,
}

/// Borrowed to write, owned when read.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Modifiers<'a> {
    #[serde(skip_deserializing)]
    Borrowed(Vec<&'a schema::Modifier>),
    Owned(Vec<schema::Modifier>),
}

impl Default for Modifiers<'_> {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}
