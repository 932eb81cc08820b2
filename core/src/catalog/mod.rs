//! The price catalog: what every model costs, at which time, under which conditions.
//!
//! # The files
//! A catalog file is TOML (for people) or JSON (for machines) of one shape, `pricing/schema/catalog.schema.json`:
//! a provider, its names, its `modifiers`, and `models`. A model has names, limits and `prices`, a list of
//! periods; a period has `rates`, other rates `over` a length of input, and `variants` for tiers, regions, times
//! of day. Rates are decimals **as text**; the key fixes the unit ([`Bucket::per`](crate::values::Bucket::per)).
//!
//! ```toml
//! catalog = 1
//! provider = "example"
//! [models."m-1"]
//! max_output_tokens = 8192
//! [[models."m-1".prices]]
//! rates = { input = "3", cache_read = "0.3", output = "15" }
//! [[models."m-1".prices]]                       # from this day on (UTC)
//! from  = "2027-01-01"
//! rates = { input = "2", cache_read = "0.2", output = "10" }
//! over  = [{ input_gt = 200000, rates = { input = "4", cache_read = "0.4", output = "15" } }]
//! [[models."m-1".prices.variants]]
//! when  = { tier = "batch" }
//! multiply = "0.5"
//! ```
//!
//! # The rules
//! 1. **Layers.** Built-in, then files in order; the later wins, key by key, by (provider, model, `from`, `when`).
//!    `replace = true` drops what was there, `remove = true` hides it. Names and patterns add up.
//! 2. **Names.** Exact id, alias, date suffix, anchored globs (longest literal prefix), one fallback provider,
//!    else unknown. An entry without rates is unknown. Without a provider a name must be sold by one provider only,
//!    those apart that are a `platform`, which sells what others make.
//! 3. **Period.** The last whose `from` has come; `to` is exclusive.
//! 4. **Variant.** Of the variants with rates whose conditions all hold, the one with most conditions replaces the
//!    rates it names; a tie is an error at load.
//! 5. **Length.** The highest `over` that the whole input (cache reads and writes included) exceeds replaces the
//!    rates it names, for all tokens. A variant's own `over` replaces the period's.
//! 6. **Fallback.** `cache_write_<ttl>` → `cache_write` → `input`; `cache_read_<kind>` → `cache_read` → `input`;
//!    `input_<kind>` → `input`; `output_<kind>` → `output`. A counter without a rate is *unpriced*, never free;
//!    only a fee per `request` that is not listed does not exist.
//! 7. **Multipliers.** Every modifier and every variant with `multiply` that holds, except for the keys in `except`.
//! 8. **Minimum.** A bucket that is used is billed at least `minimum`.
//! 9. **Rounding.** Each line half-even, once, to 10⁻¹⁸ USD; the total is the exact sum.
//! 10. **Settings.** What an operator agreed (`[[prices.overrides]]`) comes last, global ones before scoped ones, each
//!     seeing what the one before left: rates are final for the keys that they name, a multiplier multiplies the rest.
//!     It makes an entry of its own, which travels with the hold.

mod adjust;
mod bundled;
mod carried;
mod compile;
mod context;
mod cost;
mod document;
mod entry;
mod explain;
mod fields;
mod glob;
mod import;
mod layers;
mod matcher;
pub mod normalise;
mod origins;
mod parse;
mod period;
mod plain;
#[cfg(test)]
mod properties;
mod quarantine;
mod rates;
mod schema;
#[cfg(test)]
mod tests;
mod when;
mod worst;

pub use adjust::StandIn;
pub(crate) use adjust::{Adjustment, Change};
pub use context::{PriceContext, Tier};
pub use cost::{Cost, Item, Line};
pub use entry::ModelEntry;
pub(crate) use explain::{By, LineFacts, Multiplied, RateSource, Selected};
pub(crate) use fields::Date;
pub use import::report::{FileReport, Format, Listed, Note, PriceReport};
pub use matcher::{Resolution, Via};
pub use origins::Place;
pub(crate) use origins::{Layer, Origins, Spot};
pub use quarantine::Quarantine;
pub(crate) use rates::{DECIMAL_HINT, RateSet};
pub use rates::{Factor, Rate};
pub use schema::Mode;
pub use worst::Unpriced;

use crate::error::Result;
use crate::values::scope::Label;
use std::sync::{Arc, OnceLock};

/// A file of the catalog, already read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path, for messages; the ending `.json` means JSON, everything else TOML.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// All prices, merged and compiled. Immutable: a reload builds another one.
#[derive(Debug)]
pub struct Catalog {
    entries: Vec<Arc<ModelEntry>>,
    matcher: matcher::Matcher,
    version: Label,
    report: PriceReport,
    /// The files that it was built of.
    layers: Box<[Layer]>,
}

/// How a catalog is built.
#[derive(Clone, Copy, Debug, Default)]
pub struct Building<'a> {
    /// Whether the catalog that Spendrail ships is the lowest layer.
    pub builtin: bool,
    /// When entries of other tools' files are held back; `None`: never.
    pub quarantine: Option<&'a Quarantine>,
    /// The catalog in force, whose entries stay where new ones are held back.
    pub running: Option<&'a Catalog>,
}

impl Catalog {
    /// The catalog that Spendrail ships; compiled at the first call.
    #[must_use]
    pub fn builtin() -> Arc<Catalog> {
        static BUILTIN: OnceLock<Arc<Catalog>> = OnceLock::new();
        // A test builds it, so the fallback is never taken; an empty catalog would deny every call.
        Arc::clone(BUILTIN.get_or_init(|| Arc::new(Self::build(&[]).unwrap_or_else(|_| Self::empty()))))
    }

    /// The built-in catalog with files over it, in order.
    ///
    /// # Errors
    /// `prices_invalid` with file, line, key path and hint.
    pub fn build(files: &[Source]) -> Result<Catalog> {
        let quarantine = Quarantine::default();
        Self::load(files, &Building { builtin: true, quarantine: Some(&quarantine), running: None })
    }

    /// Only these files, in order.
    ///
    /// # Errors
    /// `prices_invalid` with file, line, key path and hint.
    ///
    /// ```
    /// use spendrail::catalog::{Catalog, PriceContext, Resolution, Source};
    /// use spendrail::values::{Bucket, Usage};
    /// let text = r#"{"catalog": 1, "provider": "p", "models":
    ///     {"m": {"prices": [{"rates": {"input": "3", "output": "15"}}]}}}"#;
    /// let catalog = Catalog::build_only(&[Source { name: "p.json".into(), text: text.into() }])?;
    /// let Resolution::Found { entry, .. } = catalog.resolve(None, "m") else { unreachable!() };
    /// let usage = Usage::new().with(Bucket::Input, 23).with(Bucket::Output, 10);
    /// assert_eq!(entry.cost(&usage, &PriceContext::default()).total.to_string(), "0.000219");
    /// # Ok::<(), spendrail::Error>(())
    /// ```
    pub fn build_only(files: &[Source]) -> Result<Catalog> {
        let quarantine = Quarantine::default();
        Self::load(files, &Building { builtin: false, quarantine: Some(&quarantine), running: None })
    }

    /// Files in order, ours and those of other tools ([`Format`]), told by their content. What of those cannot be
    /// taken over is in [`Catalog::report`].
    ///
    /// # Errors
    /// `prices_invalid` with file, line, key path and hint.
    pub fn load(files: &[Source], how: &Building<'_>) -> Result<Catalog> {
        let shipped = if how.builtin { bundled::sources() } else { Vec::new() };
        let own = shipped.len();
        let mut sources: Vec<&Source> = shipped.iter().chain(files).collect();
        let mut layers = layers::Layers::default();
        let mut report = PriceReport::default();
        let running = import::Running::new(how.running);
        let mut stack = import::Stack { quarantine: how.quarantine, running, kept: String::new() };
        for (layer, source) in sources.iter().copied().enumerate() {
            parse::check_size(source)?;
            if layer >= own
                && let Some(foreign) = import::read(source)?
            {
                let put = stack.put(&mut layers, foreign, layer);
                report.files.push(put.map_err(|(id, problem)| parse::problem_in(source, &id, problem))?);
                continue;
            }
            let mut models = 0usize;
            for (id, provider) in parse::parse(source)? {
                models = models.saturating_add(provider.models.0.len());
                layers
                    .add(&id, provider, layer)
                    .map_err(|problem| parse::problem_in(source, &id, problem))?;
            }
            if layer >= own {
                report.files.push(FileReport { file: source.name.clone(), models, ..FileReport::default() });
            }
        }
        // What was kept of the catalog before is part of what identifies these prices.
        let kept = Source { name: "held back".to_owned(), text: std::mem::take(&mut stack.kept) };
        if !kept.text.is_empty() {
            sources.push(&kept);
        }
        let mut catalog = compile::compile(layers, &sources)?;
        catalog.report = report;
        catalog.layers.iter_mut().take(own).for_each(|layer| layer.builtin = true);
        Ok(catalog)
    }

    /// Nothing: every model is unknown.
    fn empty() -> Self {
        Self {
            entries: Vec::new(),
            matcher: matcher::Matcher::default(),
            version: "000000000000".into(),
            report: PriceReport::default(),
            layers: Box::default(),
        }
    }

    /// The files that it was built of, read again: `text` gives the text of a file by name, if it can. A text that is
    /// another one than was loaded says nothing about where a price in force stands.
    pub(crate) fn origins(&self, text: impl Fn(&Layer) -> (&'static str, Option<String>)) -> Origins {
        let bundled = bundled::sources();
        let mut origins = Origins::default();
        for layer in &self.layers {
            let shipped = bundled.iter().find(|source| layer.builtin && *source.name == *layer.name);
            let (kind, text) = match shipped {
                Some(source) => (origins::BUILTIN, Some(source.text.clone())),
                None => text(layer),
            };
            origins.add(kind, &layer.name, text.filter(|text| origins::digest(text) == layer.digest));
        }
        origins
    }

    /// What identifies the content: 12 hex digits, equal for equal texts in equal order.
    #[must_use]
    pub fn version(&self) -> &Label {
        &self.version
    }

    /// The entry of a model. Does not allocate for a listed name in lower case.
    #[must_use]
    pub fn resolve(&self, provider: Option<&str>, model: &str) -> Resolution<'_> {
        match self.matcher.find(provider, model) {
            matcher::Found::One(place, via) => match self.entries.get(place) {
                Some(entry) => Resolution::Found { entry, via },
                None => Resolution::Unknown,
            },
            matcher::Found::None => Resolution::Unknown,
            matcher::Found::Several(providers) => Resolution::Ambiguous(providers),
        }
    }

    /// The id of a provider, in any of its names.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<Label> {
        self.matcher.provider_id(name)
    }

    /// What the price files brought, and what of them could not be taken over.
    #[must_use]
    pub fn report(&self) -> &PriceReport {
        &self.report
    }

    /// How many models have a price.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// No model has a price.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every entry, provider by provider.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<ModelEntry>> {
        self.entries.iter()
    }
}
