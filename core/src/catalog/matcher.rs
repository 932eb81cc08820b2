//! A name to an entry, always the same way: exact id, alias, date suffix, anchored globs, one fallback provider.
//! Never a substring, never the closest.

use super::entry::ModelEntry;
use super::glob::Glob;
use super::import::clause::Clause;
use crate::values::scope::Label;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;

type Hasher = foldhash::fast::FixedState;

/// What a name means.
#[derive(Clone, Debug)]
pub enum Resolution<'a> {
    /// One entry.
    Found {
        /// The entry.
        entry: &'a Arc<ModelEntry>,
        /// How it was found.
        via: Via,
    },
    /// No entry with a price.
    Unknown,
    /// Several providers sell it and none was named: these.
    Ambiguous(SmallVec<[Label; 4]>),
}

/// How a name led to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// The id itself, a documented prefix or suffix removed.
    Exact,
    /// Another name that the catalog lists.
    Alias,
    /// The id with a date: `-2026-08-21`, `-20260821`, `@20260821`.
    DateSuffix,
    /// A pattern of the catalog.
    Pattern,
    /// From a provider that this one falls back on.
    Inherited,
}

impl Via {
    /// The word for messages and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Via::Exact => "exact",
            Via::Alias => "alias",
            Via::DateSuffix => "date_suffix",
            Via::Pattern => "pattern",
            Via::Inherited => "inherited",
        }
    }
}

/// The names of one provider.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) id: Label,
    /// Lower-case ids and aliases.
    pub(super) exact: HashMap<Label, (usize, Via), Hasher>,
    /// Longest literal prefix first.
    pub(super) patterns: Vec<(Glob, usize)>,
    /// Rules of files of other tools, in their order.
    pub(super) clauses: Vec<(Clause, usize)>,
    pub(super) strip_prefixes: Vec<String>,
    pub(super) strip_suffixes: Vec<String>,
    pub(super) date_suffix: bool,
    /// It sells what others make: a model that is asked for without a provider is not its, if a maker sells it.
    pub(super) platform: bool,
    /// Places of other providers.
    pub(super) fallback: Vec<usize>,
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    providers: Vec<Names>,
    /// Ids, aliases and hosts of providers.
    by_name: HashMap<Box<str>, usize, Hasher>,
    /// Ids and aliases of models of all providers.
    anywhere: HashMap<Label, Seller, Hasher>,
}

/// Who sells a model of this name: the only maker, else the only platform; else several do.
#[derive(Clone, Copy, Debug)]
struct Seller {
    only: Option<usize>,
    platform: bool,
}

impl Seller {
    fn add(&mut self, other: Self) {
        match (self.platform, other.platform) {
            (true, false) => *self = other,
            (false, true) => {}
            _ => self.only = None,
        }
    }
}

impl Names {
    pub(super) fn insert(&mut self, name: Label, entry: usize, via: Via) {
        self.exact.insert(name, (entry, via));
    }

    pub(super) fn entry_of(&self, name: &str) -> Option<(usize, Via)> {
        self.exact.get(name).copied()
    }

    /// Adds a pattern; `Err` is the entry that has one of the same precedence.
    pub(super) fn insert_pattern(&mut self, pattern: &str, entry: usize) -> Result<(), usize> {
        let glob = Glob::new(&pattern.to_lowercase());
        let tie = self.patterns.iter().find(|(known, of)| known.prefix() == glob.prefix() && *of != entry);
        if let Some((_, other)) = tie {
            return Err(*other);
        }
        let at = self.patterns.partition_point(|(known, _)| known.prefix().len() >= glob.prefix().len());
        self.patterns.insert(at, (glob, entry));
        Ok(())
    }

    /// `name` is lower case.
    fn find(&self, name: &str) -> Option<(usize, Via)> {
        if let Some(found) = self.exact.get(name) {
            return Some(*found);
        }
        let bare = self.stripped(name);
        if bare != name
            && let Some(found) = self.exact.get(bare)
        {
            return Some(*found);
        }
        if let Some(found) = self.dated(bare) {
            return Some((found, Via::DateSuffix));
        }
        let pattern = self.patterns.iter().find(|(glob, _)| glob.matches(bare)).map(|(_, entry)| *entry);
        let clause = || self.clauses.iter().find(|(clause, _)| clause.matches(name)).map(|(_, entry)| *entry);
        pattern.or_else(clause).map(|entry| (entry, Via::Pattern))
    }

    /// Without the prefixes and suffixes that the provider's file lists and without the wrappers of cloud APIs.
    fn stripped<'n>(&self, name: &'n str) -> &'n str {
        let mut bare = name;
        if bare.starts_with("arn:") {
            bare = bare.rsplit('/').next().unwrap_or(bare);
        }
        if let Some((_, tail)) = bare.rsplit_once("/models/") {
            bare = tail;
        }
        bare = bare.strip_prefix("models/").unwrap_or(bare);
        for prefix in &self.strip_prefixes {
            bare = bare.strip_prefix(prefix.as_str()).unwrap_or(bare);
        }
        for suffix in &self.strip_suffixes {
            bare = bare.strip_suffix(suffix.as_str()).unwrap_or(bare);
        }
        bare
    }

    /// The same model and date in another spelling, else the model without its date.
    fn dated(&self, name: &str) -> Option<usize> {
        let (base, [year, month, day]) = self.date_suffix.then(|| split_date(name)).flatten()?;
        for spelling in [format!("{base}-{year}-{month}-{day}"), format!("{base}-{year}{month}{day}")] {
            if let Some((entry, _)) = self.exact.get(spelling.as_str()) {
                return Some(*entry);
            }
        }
        self.exact.get(base).map(|(entry, _)| *entry)
    }
}

/// `id-2026-08-21`, `id-20260821` or `id@20260821`: the id and the date's digits.
fn split_date(name: &str) -> Option<(&str, [&str; 3])> {
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let dashed = || {
        let (base, date) = name.split_at_checked(name.len().checked_sub(11)?)?;
        let mut parts = date.strip_prefix('-')?.split('-');
        Some((base, [parts.next()?, parts.next()?, parts.next()?]))
    };
    let compact = || {
        let (base, date) = name.split_at_checked(name.len().checked_sub(9)?)?;
        let date = date.strip_prefix(['-', '@'])?;
        Some((base, [date.get(..4)?, date.get(4..6)?, date.get(6..)?]))
    };
    let plausible = |(base, [year, month, day]): &(&str, [&str; 3])| {
        !base.is_empty()
            && [*year, *month, *day].into_iter().all(digits)
            && (year.len(), month.len(), day.len()) == (4, 2, 2)
            && year.starts_with("20")
            && ("01"..="12").contains(month)
            && ("01"..="31").contains(day)
    };
    dashed().filter(plausible).or_else(|| compact().filter(plausible))
}

/// Lower case, without a copy if it is already.
pub(super) fn lower(name: &str) -> Cow<'_, str> {
    // Of every byte, without a way out: that is a handful of vector instructions.
    let plain = name.bytes().fold(true, |plain, byte| plain & byte.is_ascii() & !byte.is_ascii_uppercase());
    if plain { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) }
}

/// The same of a name that is kept.
pub(super) fn lower_label(name: &Label) -> Label {
    match lower(name) {
        Cow::Borrowed(_) => Arc::clone(name),
        Cow::Owned(name) => name.into(),
    }
}

impl Matcher {
    /// Adds a provider; `Err` is a name that an earlier one has, and whose it is.
    pub(super) fn add(&mut self, names: Names, known_as: &[String]) -> Result<(), (String, Label)> {
        let place = self.providers.len();
        for name in known_as.iter().map(String::as_str).chain(std::iter::once(&*names.id)) {
            match self.by_name.insert(name.into(), place).and_then(|other| self.providers.get(other)) {
                Some(other) => return Err((name.to_owned(), Arc::clone(&other.id))),
                None => continue,
            }
        }
        self.anywhere.reserve(names.exact.len());
        for model in names.exact.keys() {
            let seller = Seller { only: Some(place), platform: names.platform };
            self.anywhere.entry(Arc::clone(model)).and_modify(|known| known.add(seller)).or_insert(seller);
        }
        self.providers.push(names);
        Ok(())
    }

    /// Sets the providers that `place` falls back on.
    pub(super) fn set_fallback(&mut self, place: usize, fallback: Vec<usize>) {
        if let Some(names) = self.providers.get_mut(place) {
            names.fallback = fallback;
        }
    }

    /// The place of a provider by id, alias or host.
    pub(super) fn provider(&self, name: &str) -> Option<usize> {
        self.by_name.get(lower(name).as_ref()).copied()
    }

    /// The id of a provider by id, alias or host.
    pub(super) fn provider_id(&self, name: &str) -> Option<Label> {
        self.provider(name).and_then(|place| self.providers.get(place)).map(|names| Arc::clone(&names.id))
    }

    /// The entry of a model, and how it was found.
    pub(super) fn find(&self, provider: Option<&str>, model: &str) -> Found {
        let model = lower(model);
        match provider {
            Some(provider) => match self.provider(provider).and_then(|place| self.find_at(place, &model)) {
                Some((entry, via)) => Found::One(entry, via),
                None => Found::None,
            },
            None => self.find_anywhere(&model),
        }
    }

    fn find_at(&self, place: usize, model: &str) -> Option<(usize, Via)> {
        let names = self.providers.get(place)?;
        names.find(model).or_else(|| {
            let others = names.fallback.iter().filter_map(|other| self.providers.get(*other));
            others.filter_map(|other| other.find(model)).map(|(entry, _)| (entry, Via::Inherited)).next()
        })
    }

    fn find_anywhere(&self, model: &str) -> Found {
        if let Some(Seller { only: Some(only), .. }) = self.anywhere.get(model) {
            let found = self.providers.get(*only).and_then(|names| names.exact.get(model));
            return found.map_or(Found::None, |(entry, via)| Found::One(*entry, *via));
        }
        // Names as they stand count before names that a rule explains, makers before platforms.
        type Look<'l> = &'l dyn Fn(&Names) -> Option<(usize, Via)>;
        let sellers = |look: Look<'_>, platform: bool| -> Vec<(Label, (usize, Via))> {
            let asked = self.providers.iter().filter(|names| names.platform == platform);
            asked.filter_map(|names| Some((Arc::clone(&names.id), look(names)?))).collect()
        };
        let exact: Look<'_> = &|names| names.exact.get(model).copied();
        let explained: Look<'_> = &|names| names.find(model);
        let rounds = [(exact, false), (exact, true), (explained, false), (explained, true)];
        let found = rounds.into_iter().map(|(look, platform)| sellers(look, platform));
        match found.into_iter().find(|found| !found.is_empty()).unwrap_or_default().as_slice() {
            [] => Found::None,
            [(_, (entry, via))] => Found::One(*entry, *via),
            several => Found::Several(several.iter().map(|(id, _)| Arc::clone(id)).collect()),
        }
    }
}

/// [`Resolution`] by place.
pub(super) enum Found {
    One(usize, Via),
    None,
    Several(SmallVec<[Label; 4]>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_dates() {
        assert_eq!(split_date("gpt-5.2-20251211"), Some(("gpt-5.2", ["2025", "12", "11"])));
        assert_eq!(split_date("claude@20250929"), Some(("claude", ["2025", "09", "29"])));
        assert_eq!(split_date("o3-2025-04-16"), Some(("o3", ["2025", "04", "16"])));
        for name in ["gpt-4-0613", "x-20251311", "x-99999999", "-2025-01-01", "m-2025-1-1", "é-2025"] {
            assert_eq!(split_date(name), None, "{name}");
        }
    }
}
