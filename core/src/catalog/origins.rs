//! Which file says a price, and on which line. Nothing is remembered for it: whoever asks gives the texts again, and
//! they are read again.

use super::fields::Date;
use super::layers::{Layers, shown_key};
use super::rates::Rate;
use super::schema::{File, Model, Modifier, Period};
use super::{Source, import, parse};
use crate::values::{Bucket, Label};

/// A file of the catalog, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Its name.
    pub(crate) name: Label,
    /// Of its text: another text is another file.
    pub(crate) digest: u64,
    /// It came with Spendrail.
    pub(crate) builtin: bool,
}

/// Where something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `built-in`, `file`, `code` or `configuration`.
    pub layer: &'static str,
    /// The file, if it has a name.
    pub file: Option<String>,
    /// The line (from 1), if the text could be read again and has lines.
    pub line: Option<usize>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.layer)?;
        if let Some(file) = &self.file {
            write!(f, " {file}")?;
        }
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// The files of a catalog, read again.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    /// The lowest first.
    files: Vec<Read>,
}

#[derive(Debug)]
struct Read {
    layer: &'static str,
    name: String,
    /// `None`: its text is not what was loaded any more.
    text: Option<(Source, Content)>,
}

/// What a file says.
enum Content {
    /// One of ours: as it stands, so that its places are those of the text.
    Own(Vec<(String, File)>),
    /// Another tool's.
    Foreign(Layers),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Own(_) => "Own",
            Self::Foreign(_) => "Foreign",
        })
    }
}

impl Content {
    fn read(source: &Source, builtin: bool) -> Option<Self> {
        if let Some(foreign) = (!builtin).then(|| import::read(source).ok().flatten()).flatten() {
            let mut layers = Layers::default();
            let mut stack =
                import::Stack { quarantine: None, running: import::Running::new(None), kept: String::new() };
            stack.put(&mut layers, foreign, 0).ok()?;
            return Some(Self::Foreign(layers));
        }
        parse::parse(source).ok().map(Self::Own)
    }

    fn find(&self, provider: &str, model: &str) -> Option<(&str, &Model)> {
        match self {
            Self::Own(files) => {
                let (_, file) = files.iter().find(|(id, _)| id == provider)?;
                let same = |(id, _): &&(String, Model)| id.eq_ignore_ascii_case(model);
                file.models.0.iter().find(same).map(|(id, model)| (id.as_str(), model))
            }
            Self::Foreign(layers) => {
                let provider = layers.providers.iter().find(|known| known.id == provider)?;
                provider.model(model).map(|merged| (&*merged.id, &merged.model))
            }
        }
    }
}

impl Content {
    fn modifiers(&self, provider: &str) -> Option<&[Modifier]> {
        match self {
            Self::Own(files) => files.iter().find(|(id, _)| id == provider).map(|(_, file)| &*file.modifiers),
            Self::Foreign(_) => None,
        }
    }
}

/// Where to look inside a model.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spot<'a> {
    pub(crate) from: Option<Date>,
    pub(crate) variant: Option<&'a super::schema::Variant>,
    pub(crate) input_gt: Option<u64>,
}

impl Origins {
    /// Adds the next file. `text` is its text, if that is still the one that was loaded.
    pub(crate) fn add(&mut self, layer: &'static str, name: &str, text: Option<String>) {
        let read = text.and_then(|text| {
            let source = Source { name: name.to_owned(), text };
            let content = Content::read(&source, layer == BUILTIN)?;
            Some((source, content))
        });
        self.files.push(Read { layer, name: name.to_owned(), text: read });
    }

    /// Every file that says something about a model, the lowest first.
    pub(crate) fn model(&self, provider: &str, model: &str) -> Vec<Place> {
        let says = |read: &Read| {
            read.find(provider, model)?;
            Some(read.place(provider, model, ""))
        };
        self.files.iter().filter_map(says).collect()
    }

    /// The last file that says something about a period.
    pub(crate) fn period(&self, provider: &str, model: &str, from: Option<Date>) -> Option<Place> {
        self.files.iter().rev().find_map(|read| {
            let (_, found) = read.find(provider, model)?;
            let at = found.prices.iter().position(|period| period.from == from)?;
            Some(read.place(provider, model, &format!(".prices[{at}]")))
        })
    }

    /// The last file that says something about a variant.
    pub(crate) fn variant(&self, provider: &str, model: &str, spot: Spot<'_>) -> Option<Place> {
        self.files.iter().rev().find_map(|read| {
            let (at, period) = read.period(provider, model, spot.from)?;
            let variant = variant_at(period, spot.variant?)?;
            Some(read.place(provider, model, &format!(".prices[{at}].variants[{variant}]")))
        })
    }

    /// The last file that says a modifier of a provider.
    pub(crate) fn modifier(&self, provider: &str, like: &Modifier) -> Option<Place> {
        self.files.iter().rev().find_map(|read| {
            let at = read.text.as_ref()?.1.modifiers(provider)?.iter().position(|known| known == like)?;
            Some(read.place_of(provider, &format!("modifiers[{at}]"), None))
        })
    }

    /// The last file that names a rate as it is in force: for the length, else in the variant, else in the period.
    pub(crate) fn rate(
        &self,
        provider: &str,
        model: &str,
        spot: Spot<'_>,
        (key, rate): (Bucket, Rate),
    ) -> Option<Place> {
        let of_variant = spot.variant.is_some().then_some(spot);
        let looks: [Option<Spot<'_>>; 4] = [
            of_variant.filter(|spot| spot.input_gt.is_some()),
            of_variant.map(|spot| Spot { input_gt: None, ..spot }),
            spot.input_gt.map(|_| Spot { variant: None, ..spot }),
            Some(Spot { from: spot.from, ..Spot::default() }),
        ];
        // The length's own rate hides the variant's, the variant's the period's; of one kind the last file's counts.
        let order = match of_variant {
            Some(own) if own.variant.is_some_and(|variant| variant.over.is_empty()) => [2, 1, 3, 0],
            _ => [0, 1, 2, 3],
        };
        order.into_iter().filter_map(|at: usize| *looks.get(at)?).find_map(|spot| {
            self.files.iter().rev().find_map(|read| {
                let path = read.rate_path(provider, model, spot, (key, rate))?;
                Some(read.place(provider, model, &path))
            })
        })
    }
}

fn variant_at(period: &Period, like: &super::schema::Variant) -> Option<usize> {
    period.variants.iter().position(|known| known.when == like.when && known.from == like.from)
}

impl Read {
    fn find(&self, provider: &str, model: &str) -> Option<(&str, &Model)> {
        self.text.as_ref()?.1.find(provider, model)
    }

    fn period(&self, provider: &str, model: &str, from: Option<Date>) -> Option<(usize, &Period)> {
        let (_, found) = self.find(provider, model)?;
        found.prices.iter().enumerate().find(|(_, period)| period.from == from)
    }

    fn rate_path(
        &self,
        provider: &str,
        model: &str,
        spot: Spot<'_>,
        (key, rate): (Bucket, Rate),
    ) -> Option<String> {
        let (at, period) = self.period(provider, model, spot.from)?;
        let (mut path, mut rates, mut over) = (format!(".prices[{at}]"), &period.rates, &period.over);
        if let Some(like) = spot.variant {
            let place = variant_at(period, like)?;
            let variant = period.variants.get(place)?;
            path = format!("{path}.variants[{place}]");
            (rates, over) = (&variant.rates, &variant.over);
        }
        if let Some(input_gt) = spot.input_gt {
            let place = over.iter().position(|tier| tier.input_gt == input_gt)?;
            path = format!("{path}.over[{place}]");
            rates = &over.get(place)?.rates;
        }
        rates.get(key).filter(|known| *known == rate).map(|_| format!("{path}.rates.{}", key.key()))
    }

    /// `inside` is a path inside the model.
    fn place(&self, provider: &str, model: &str, inside: &str) -> Place {
        let id = self.find(provider, model).map_or(model, |(id, _)| id);
        self.place_of(provider, &format!("models.{}{inside}", shown_key(id)), Some((id, inside)))
    }

    /// `path` is a path inside the provider, `of_model` the model and the path inside it.
    fn place_of(&self, provider: &str, path: &str, of_model: Option<(&str, &str)>) -> Place {
        if self.layer == BUILTIN {
            // It is compiled from one file per provider, with a table of lines.
            let line = builtin_line(provider, path, of_model);
            return Place { layer: self.layer, file: Some(format!("{provider}.toml")), line };
        }
        let line = self.text.as_ref().and_then(|(source, content)| match (content, of_model) {
            (Content::Own(_), _) => parse::line(source, provider, path),
            (Content::Foreign(_), Some((id, _))) => {
                let names = [id.to_owned(), format!("{provider}/{id}")];
                names.iter().find_map(|name| key_line(source, name))
            }
            (Content::Foreign(_), None) => None,
        });
        Place { layer: self.layer, file: Some(self.name.clone()).filter(|name| !name.is_empty()), line }
    }
}

/// The layer that came with Spendrail.
pub(super) const BUILTIN: &str = "built-in";

/// By the table of lines: of a modifier, of an entry, of one of its periods, or of what stands inside a period.
fn builtin_line(provider: &str, path: &str, of_model: Option<(&str, &str)>) -> Option<usize> {
    let table: serde_json::Value = serde_json::from_str(spendrail_pricing::LINES).ok()?;
    let told = table.get(provider)?;
    let number = |value: Option<&serde_json::Value>| {
        value.and_then(serde_json::Value::as_u64).and_then(|line| usize::try_from(line).ok())
    };
    let Some((model, inside)) = of_model else {
        return number(told.get("modifiers")?.get(index(path, "modifiers")?));
    };
    let entry = told.get("models")?.get(model)?;
    let Some(period) = index(inside, ".prices").and_then(|at| entry.get(at.checked_add(1)?)) else {
        return number(entry.get(0));
    };
    let place = match index(inside, ".variants") {
        // Everything of a variant stands on its line.
        Some(variant) => variant.checked_add(3)?,
        None if inside.contains(".over[") => 2,
        None if inside.contains(".rates.") => 1,
        None => 0,
    };
    number(period.get(place)).filter(|line| *line > 0).or_else(|| number(period.get(0)))
}

/// The number in `name[number]` of a path.
fn index(path: &str, name: &str) -> Option<usize> {
    let (_, rest) = path.split_once(name)?;
    rest.strip_prefix('[')?.split_once(']')?.0.parse().ok()
}

/// The line of a key of somebody else's file.
fn key_line(source: &Source, key: &str) -> Option<usize> {
    let spellings =
        [format!("{key:?}:"), format!("{key:?} :"), format!("\"id\": {key:?}"), format!("\"id\":{key:?}")];
    let at = spellings.iter().find_map(|text| source.text.find(text.as_str()))?;
    Some(source.text.get(..at)?.matches('\n').count() + 1)
}

/// Of a text.
pub(super) fn digest(text: &str) -> u64 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::default().hash_one(text)
}
