//! What price files brought, and what of them could not be taken over: listed, counted, bounded.

use crate::values::scope::Label;
use std::fmt;

/// Most entries of one list; the rest is counted.
const LISTED_MAX: usize = 100;
/// Most bytes of a name or reason in a list: a file of 16 MB makes no report of 16 MB.
const TEXT_BYTES_MAX: usize = 200;

/// Whose file it is; told by its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Spendrail's own.
    #[default]
    Catalog,
    /// LiteLLM's `model_prices_and_context_window.json`.
    LiteLlm,
    /// genai-prices' `data.json`.
    GenaiPrices,
}

impl Format {
    /// As reports show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::LiteLlm => "litellm",
            Self::GenaiPrices => "genai-prices",
        }
    }
}

/// One thing that a person should know about an entry of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The entry, as the file calls it.
    pub entry: Label,
    /// The field at fault; empty: the whole entry.
    pub field: Label,
    /// What is the matter.
    pub why: Label,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return write!(f, "`{}` {}", self.entry, self.why);
        }
        write!(f, "`{}`: `{}` {}", self.entry, self.field, self.why)
    }
}

/// The first hundred, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<T>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { count: 0, first: Vec::new() }
    }
}

impl<T> Listed<T> {
    pub(crate) fn push(&mut self, item: impl FnOnce() -> T) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < LISTED_MAX {
            self.first.push(item());
        }
    }
}

impl<T> Listed<T> {
    fn append(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        let room = LISTED_MAX.saturating_sub(self.first.len());
        self.first.extend(other.first.into_iter().take(room));
    }
}

impl Listed<Note> {
    pub(in crate::catalog) fn note(&mut self, entry: &str, field: &str, why: &str) {
        self.push(|| Note { entry: short(entry), field: short(field), why: short(why) });
    }
}

fn short(text: &str) -> Label {
    if text.len() <= TEXT_BYTES_MAX {
        return text.into();
    }
    let cut: String = text.chars().take(TEXT_BYTES_MAX / 4).collect();
    format!("{cut}…").into()
}

/// What one file brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Its path.
    pub file: String,
    /// Whose it is.
    pub format: Format,
    /// How many models it has a price for.
    pub models: usize,
    /// What could not be taken over: an entry, or a field of one.
    pub skipped: Listed<Note>,
    /// Prices that are finer than 10⁻¹² USD and were rounded.
    pub rounded: Listed<Note>,
    /// Entries that are held back: the older ones stay.
    pub quarantined: Listed<Note>,
}

impl FileReport {
    /// Adds what was noted about one entry.
    pub(in crate::catalog) fn take_notes(&mut self, other: FileReport) {
        self.skipped.append(other.skipped);
        self.rounded.append(other.rounded);
        self.quarantined.append(other.quarantined);
    }
}

/// What all price files brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceReport {
    /// Each file, in the order in which they apply; the built-in catalog is not listed.
    pub files: Vec<FileReport>,
}

impl PriceReport {
    /// What a person must know at once: entries that are held back.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        const SHOWN: usize = 5;
        let held = self.files.iter().filter(|file| file.quarantined.count > 0);
        let sentence = |file: &FileReport| {
            let shown: Vec<String> =
                file.quarantined.first.iter().take(SHOWN).map(ToString::to_string).collect();
            let rest = file.quarantined.count.saturating_sub(u64::try_from(shown.len()).unwrap_or(u64::MAX));
            let more = if rest == 0 { String::new() } else { format!("; and {rest} more") };
            format!(
                "prices: {} of {} held back, the older prices stay: {}{more}",
                file.quarantined.count,
                file.file,
                shown.join("; ")
            )
        };
        held.map(sentence).collect()
    }

    /// How many entries and fields could not be taken over.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.files.iter().map(|file| file.skipped.count).sum()
    }

    /// How many entries are held back.
    #[must_use]
    pub fn quarantined(&self) -> u64 {
        self.files.iter().map(|file| file.quarantined.count).sum()
    }
}
