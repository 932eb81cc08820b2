//! LiteLLM's `model_prices_and_context_window.json`: an object of entries, a price per token as a float, and the
//! conditions in the names of fields and entries.
//!
//! What it does not say is not made up: a tier without a price of its own costs what the standard tier costs, a cache
//! read without a price what input costs (rule 6 of the catalog).

mod entry;
mod fields;
mod json;
mod names;

pub(super) use names::aliases;

use super::Imported;
use super::draft::{CONDITIONS_MAX, Sheet, both, multiplier, settle, variant};
use super::report::FileReport;
use crate::catalog::Tier;
use crate::catalog::fields::Named;
use crate::catalog::schema::{self, Period, Variant, When};
use crate::values::Bucket;
use entry::{Draft, Reader};
use fields::Meanings;
use hashbrown::HashMap;
use json::{Entry, File};

/// Entries that hold no price of a model.
const META: [&str; 2] = ["sample_spec", "fallback_generalizations"];

/// Reads the file. Entries that cannot be taken over are in the report.
pub(super) fn read(text: &str, report: &mut FileReport) -> serde_json::Result<Vec<Imported>> {
    let File(entries) = serde_json::from_str(text)?;
    let (mut found, mut meanings) = (Found::default(), Meanings::default());
    for (key, entry) in &entries {
        if META.contains(&key.as_ref()) {
            continue;
        }
        match entry {
            Some(entry) => found.entry(key, entry, &mut meanings, report),
            None => report.skipped.note(key, "", "is not an object"),
        }
    }
    Ok(found.finish(report))
}

/// An entry under our name.
struct Model {
    name: names::Name,
    key: String,
    rank: (usize, bool),
    draft: Draft,
}

/// All entries so far, by our names.
#[derive(Default)]
struct Found {
    models: Vec<Model>,
    /// By provider and lower-case model.
    index: HashMap<(String, String), usize, foldhash::fast::FixedState>,
}

impl Found {
    fn entry<'f>(
        &mut self,
        key: &str,
        entry: &'f Entry<'_>,
        meanings: &mut Meanings<'f>,
        report: &mut FileReport,
    ) {
        let Some(theirs) = entry.provider.as_deref() else {
            return report.skipped.note(key, "litellm_provider", "is missing");
        };
        let mut own = FileReport::default();
        let mut reader = Reader { entry: key, draft: Draft::default(), report: &mut own };
        reader.entry(entry, theirs, meanings);
        let draft = reader.draft;
        if !draft.is_priced() && draft.negative.is_empty() {
            let fields: Vec<&str> = own.skipped.first.iter().map(|note| &*note.field).collect();
            let why = match fields.as_slice() {
                [] => "has no price".to_owned(),
                fields => format!("has no price that the catalog can hold, only {}", fields.join(", ")),
            };
            return report.skipped.note(key, "", &why);
        }
        report.take_notes(own);
        let name = names::name(key, theirs);
        let place = (name.provider.clone(), name.model.to_lowercase());
        let own = Model { name, key: key.to_owned(), rank: names::rank(key, theirs), draft };
        let Some(known) = self.index.get(&place).and_then(|at| self.models.get_mut(*at)) else {
            self.index.insert(place, self.models.len());
            return self.models.push(own);
        };
        let other = if own.rank < known.rank { std::mem::replace(known, own) } else { own };
        if other.draft.base != known.draft.base || other.draft.variants != known.draft.variants {
            let why = format!("is `{}` once more, at another price", known.key);
            report.skipped.note(&other.key, "", &why);
        }
    }

    fn finish(mut self, report: &mut FileReport) -> Vec<Imported> {
        // Prices under a condition go to their model, if that has a price without.
        let mut scoped: HashMap<usize, Vec<(When, usize)>, foldhash::fast::FixedState> = HashMap::default();
        for (at, Model { name, .. }) in self.models.iter_mut().enumerate() {
            let Some((of, when)) = name.of.take() else { continue };
            if let Some(base) = self.index.get(&(name.provider.clone(), of.to_lowercase())) {
                scoped.entry(*base).or_default().push((when, at));
            }
        }
        let mut models = Vec::with_capacity(self.models.len());
        for (at, Model { name, key, draft, .. }) in self.models.iter().enumerate() {
            let others = scoped.get(&at).map(Vec::as_slice).unwrap_or_default();
            if others.len() > CONDITIONS_MAX {
                report.skipped.note(key, "", "has prices in more zones or sizes than are read");
            }
            let others = others.iter().take(CONDITIONS_MAX);
            let others = others.filter_map(|(when, at)| Some((when, &self.models.get(*at)?.draft)));
            let model = model(key, draft, others, report);
            models.push(Imported {
                provider: name.provider.clone(),
                entry: key.clone(),
                id: name.model.clone(),
                model,
                faults: draft.negative.clone(),
                ..Imported::default()
            });
        }
        models
    }
}

fn model<'d>(
    key: &str,
    draft: &Draft,
    scoped: impl Iterator<Item = (&'d When, &'d Draft)>,
    report: &mut FileReport,
) -> schema::Model {
    let mut variants: Vec<Variant> = Vec::new();
    let mut add = |when: When, mut sheet: Sheet| {
        if variants.len() >= CONDITIONS_MAX {
            return report.skipped.note(key, "", "has prices under more conditions than are read");
        }
        sheet.complete_over(&draft.base);
        variants.push(variant(when, sheet));
    };
    // Hours last: they win over tiers.
    let is_timed = |when: &When| !(when.utc.is_empty() && when.weekdays.is_empty());
    let (timed, others): (Vec<_>, Vec<_>) = draft.variants.iter().partition(|(when, _)| is_timed(when));
    for (when, sheet) in others.into_iter().chain(timed) {
        add(when.clone(), sheet.clone());
    }
    for (zone, other) in scoped {
        add(zone.clone(), other.base.clone());
        for (when, sheet) in &other.variants {
            add(both(when, zone), sheet.clone());
        }
    }
    for lost in settle(&mut variants) {
        let shown = serde_json::to_string(&lost).unwrap_or_default();
        report.skipped.note(key, "", &format!("has a price under {shown} that another price ties with"));
    }
    let extras: Vec<Bucket> =
        draft.base.rates.0.iter().map(|(key, _)| *key).filter(|key| !key.is_tokens()).collect();
    let factors = draft.factors.iter().filter(|(when, _)| !variants.iter().any(|v| v.when == *when));
    let multipliers: Vec<Variant> =
        factors.map(|(when, factor)| multiplier(when.clone(), *factor, extras.clone())).collect();
    variants.extend(multipliers);
    let (rates, over) = draft.base.clone().into_over();
    schema::Model {
        mode: draft.mode,
        max_input_tokens: draft.max_input,
        max_output_tokens: draft.max_output.or(draft.either),
        deprecated: draft.deprecated,
        prices: vec![Period { rates, over, variants, ..Period::default() }],
        minimum: Named::default(),
        ..schema::Model::default()
    }
}

/// The tier of a word in these files.
pub(super) fn tier(word: &str) -> Option<Tier> {
    match Tier::parse(word) {
        Tier::Auto | Tier::Standard => None,
        tier => Some(tier),
    }
}
