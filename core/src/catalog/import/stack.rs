//! A file of another tool put over the layers below it: key by key, and so that nothing the reader of the file cannot
//! mend makes the catalog fail. What would collide is left out and said.

use super::draft::tie;
use super::{Foreign, Imported, Seller};
use crate::catalog::entry::ModelEntry;
use crate::catalog::glob::Glob;
use crate::catalog::import::report::FileReport;
use crate::catalog::layers::{Layers, Problem, Provider, overlay};
use crate::catalog::period::SharedModifier;
use crate::catalog::quarantine::Quarantine;
use crate::catalog::schema::{File, Model, Period, Variant};
use crate::catalog::{Catalog, when};
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

type Hasher = foldhash::fast::FixedState;

const NAME_BYTES_MAX: usize = 256;
/// Fewer than the layers allow: what is there already counts too.
const ALIASES_MAX: usize = 128;
const VARIANTS_MAX: usize = 128;

/// The catalog in force, by provider and lower-case model.
#[derive(Default)]
pub(in crate::catalog) struct Running<'c>(HashMap<(&'c str, String), &'c Arc<ModelEntry>, Hasher>);

impl<'c> Running<'c> {
    pub(in crate::catalog) fn new(catalog: Option<&'c Catalog>) -> Self {
        let entries = catalog.into_iter().flat_map(Catalog::entries);
        Self(entries.map(|entry| ((&**entry.provider(), entry.model().to_lowercase()), entry)).collect())
    }

    fn get(&self, provider: &str, model: &str) -> Option<&'c ModelEntry> {
        self.0.get(&(provider, model.to_lowercase())).map(|entry| &***entry)
    }
}

/// Puts files of other tools over layers.
pub(in crate::catalog) struct Stack<'c> {
    pub(in crate::catalog) quarantine: Option<&'c Quarantine>,
    pub(in crate::catalog) running: Running<'c>,
    /// The entries that are kept although the file says otherwise: part of what identifies the prices.
    pub(in crate::catalog) kept: String,
}

impl Stack<'_> {
    /// Puts a file over the layers. The error is about the whole file: too many models.
    pub(in crate::catalog) fn put(
        &mut self,
        layers: &mut Layers,
        foreign: Foreign,
        layer: usize,
    ) -> Result<FileReport, (String, Problem)> {
        let Foreign { models, sellers, mut report } = foreign;
        let mut files = Files::default();
        for seller in sellers {
            files.seller(layers, seller, &mut report);
        }
        for imported in models {
            self.model(layers, imported, &mut files, &mut report);
        }
        let taken: HashSet<String, Hasher> = files.0.iter().map(|file| file.id.clone()).collect();
        for mut part in files.0 {
            part.file.models.0.retain(|(id, _)| !id.is_empty());
            report.models = report.models.saturating_add(part.file.models.0.len());
            part.fallback
                .retain(|id| taken.contains(id) || layers.providers.iter().any(|known| known.id == *id));
            if !part.fallback.is_empty() {
                let below = layers.providers.iter().find(|known| known.id == part.id);
                let mut all = below.map(|known| known.fallback.clone()).unwrap_or_default();
                all.extend(part.fallback.into_iter().filter(|id| *id != part.id));
                all.dedup();
                part.file.fallback = Some(all);
            }
            layers.add(&part.id, part.file, layer).map_err(|problem| (part.id.clone(), problem))?;
            if let Some(provider) = layers.providers.iter_mut().find(|known| known.id == part.id) {
                provider.clauses.extend(part.clauses);
            }
        }
        Ok(report)
    }

    fn model(&mut self, layers: &mut Layers, imported: Imported, files: &mut Files, report: &mut FileReport) {
        let Some(place) = files.place(layers, &imported.provider) else {
            return report.skipped.note(&imported.entry, "", "is of a provider without a usable name");
        };
        let Some(part) = files.0.get_mut(place) else { return };
        let below = layers.providers.iter_mut().find(|known| known.id == part.id);
        let id = match &below {
            Some(provider) => known_id(provider, &imported.id),
            None => imported.id.clone(),
        };
        if id.is_empty() || id.len() > NAME_BYTES_MAX {
            return report.skipped.note(&imported.entry, "", "has a name that is too long");
        }
        if !part.ids.insert(id.to_lowercase()) {
            return report.skipped.note(&imported.entry, "", "is listed twice");
        }
        let known = below.as_deref().and_then(|provider| provider.model(&id)).map(|merged| &merged.model);
        let running = self.running.get(&part.id, &id);
        let old = running.map(ModelEntry::file).or(known);
        let periods = old.map(|model| model.prices.as_slice()).unwrap_or_default();
        let fault = self.quarantine.and_then(|quarantine| {
            let impossible =
                imported.faults.first().map(|fault| (String::new(), format!("cannot be: {fault}")));
            impossible
                .or_else(|| quarantine.fault(&imported.model, periods).map(|fault| (fault.field, fault.why)))
        });
        if let Some((field, why)) = fault {
            report.quarantined.note(&imported.entry, &field, &why);
            self.kept.push_str(&format!("{}/{id}\n", part.id));
            if let Some(entry) = running {
                self.kept.push_str(&entry.to_json());
                let mut kept = entry.file().clone();
                kept.same_as = None;
                match below.and_then(|provider| provider.model_mut(&id)) {
                    Some(merged) => merged.model = kept,
                    None => part.file.models.0.push((id, kept)),
                }
            }
            return;
        }
        for fault in &imported.faults {
            report.skipped.note(&imported.entry, "", fault);
        }
        let mut model = imported.model;
        if model.prices.iter().any(|period| period.rates.is_empty()) {
            return report.skipped.note(&imported.entry, "", "has no price that the catalog can hold");
        }
        if let Some(provider) = below {
            if !imported.dated {
                for_every_period(&mut model, provider.model(&id).map(|merged| &merged.model));
            }
            let saved = provider.model(&id).map(|merged| merged.model.clone());
            fit(&mut model, provider, &id, &imported.entry, report);
            if let Err(why) = compiles(provider, &id, &model) {
                // Nobody who loads the file can mend it, so what is below stays as it was.
                if let (Some(merged), Some(saved)) = (provider.model_mut(&id), saved) {
                    merged.model = saved;
                }
                return report.skipped.note(
                    &imported.entry,
                    "",
                    &format!("does not fit the layers below: {why}"),
                );
            }
        }
        model.aliases = part.free_names(std::mem::take(&mut model.aliases), &id, &imported.entry, report);
        if let Some(clause) = imported.clause {
            part.clauses.push((clause, id.to_lowercase()));
        }
        part.file.models.0.push((id, model));
    }
}

/// Who sells models of its own. Everybody else in the files of other tools sells what these make.
const MAKERS: [&str; 13] = [
    "ai21",
    "anthropic",
    "cohere",
    "deepseek",
    "google",
    "jina_ai",
    "minimax",
    "mistral",
    "moonshotai",
    "openai",
    "voyage",
    "x-ai",
    "z-ai",
];

/// The files of the providers, being made.
#[derive(Default)]
struct Files(Vec<Part>);

#[derive(Default)]
struct Part {
    id: String,
    file: File,
    fallback: Vec<String>,
    clauses: Vec<(super::clause::Clause, String)>,
    ids: HashSet<String, Hasher>,
    names: HashMap<String, String, Hasher>,
}

impl Files {
    /// The place of a provider; one that the layers know by another name is that one.
    fn place(&mut self, layers: &Layers, id: &str) -> Option<usize> {
        let id = id.to_lowercase();
        let listed = layers.providers.iter().any(|known| known.id == id);
        let known = layers.providers.iter().find(|known| !listed && known.names.contains(&id));
        let id = known.map_or(id, |known| known.id.clone());
        if let Some(at) = self.0.iter().position(|part| part.id == id) {
            return Some(at);
        }
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
        let starts = id.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !starts || id.len() > NAME_BYTES_MAX || !id.bytes().all(word) {
            return None;
        }
        // What a lower layer says of a provider stays; of a new one other tools do not say whether it makes models.
        let is_new = !layers.providers.iter().any(|known| known.id == id);
        let mut part = Part { id, ..Part::default() };
        part.file.platform = is_new.then(|| !MAKERS.contains(&part.id.as_str()));
        self.0.push(part);
        Some(self.0.len() - 1)
    }

    fn seller(&mut self, layers: &Layers, seller: Seller, report: &mut FileReport) {
        let Some(at) = self.place(layers, &seller.id) else { return };
        for alias in seller.aliases {
            let own = self.0.get(at).map(|part| part.id.clone()).unwrap_or_default();
            let by_layers = layers
                .providers
                .iter()
                .any(|known| known.id != own && (known.id == alias || known.names.contains(&alias)));
            let by_file = self
                .0
                .iter()
                .any(|part| part.id != own && (part.id == alias || part.file.aliases.contains(&alias)));
            if by_layers || by_file {
                report.skipped.note(
                    &seller.id,
                    "",
                    &format!("is not known as `{alias}`, which is another provider"),
                );
            } else if let Some(part) = self.0.get_mut(at) {
                part.file.aliases.push(alias);
            }
        }
        if let Some(part) = self.0.get_mut(at) {
            part.fallback.extend(seller.fallback);
        }
    }
}

impl Part {
    /// The aliases that no other model of this file has: there, the first wins.
    fn free_names(
        &mut self,
        aliases: Vec<String>,
        id: &str,
        entry: &str,
        report: &mut FileReport,
    ) -> Vec<String> {
        let mut free: Vec<String> = Vec::new();
        for alias in aliases {
            if alias.is_empty() || alias.len() > NAME_BYTES_MAX || free.len() >= ALIASES_MAX {
                report.skipped.note(
                    entry,
                    "",
                    &format!("is not known as {alias:?}: too long, or one too many"),
                );
                continue;
            }
            let lower = alias.to_lowercase();
            match self.names.get(&lower) {
                Some(owner) if owner != id => {
                    report.skipped.note(entry, "", &format!("is not known as {alias:?}, which is `{owner}`"));
                }
                Some(_) => {}
                None => {
                    self.names.insert(lower, id.to_owned());
                    free.push(alias);
                }
            }
        }
        free
    }
}

/// The id of a model in the layers, the prefixes of its provider left out where that finds one.
fn known_id(provider: &Provider, id: &str) -> String {
    if provider.model(id).is_some() {
        return id.to_owned();
    }
    let lower = id.to_lowercase();
    let bare = provider.strip_prefixes.iter().find_map(|prefix| lower.strip_prefix(prefix.as_str()));
    match bare.filter(|bare| provider.model(bare).is_some()) {
        Some(bare) => bare.to_owned(),
        None => id.to_owned(),
    }
}

/// A price without a date holds at any time, so it goes over every period of the layers below.
fn for_every_period(model: &mut Model, below: Option<&Model>) {
    let Some(own) = model.prices.first().filter(|_| model.prices.len() == 1).cloned() else { return };
    let Some(below) =
        below.filter(|below| below.prices.len() > 1 || below.prices.iter().any(|p| p.from.is_some()))
    else {
        return;
    };
    model.prices = below.prices.iter().map(|period| Period { from: period.from, ..own.clone() }).collect();
}

/// Takes out of a model what cannot stand beside what the layers say of it.
fn fit(model: &mut Model, provider: &mut Provider, id: &str, entry: &str, report: &mut FileReport) {
    let lower = id.to_lowercase();
    let covering: Vec<when::When> = provider
        .modifiers
        .iter()
        .filter(|modifier| {
            let globs = &modifier.models;
            globs.is_empty() || globs.iter().any(|glob| Glob::new(&glob.to_lowercase()).matches(&lower))
        })
        .filter_map(|modifier| when::When::new(&modifier.when).ok())
        .collect();
    let below = provider.model_mut(id).map(|merged| &mut merged.model);
    let mut periods = below.map(|model| &mut model.prices);
    for period in &mut model.prices {
        period.variants.retain(|variant| {
            let Ok(when) = when::When::new(&variant.when) else { return false };
            // A price that says what the EU costs, times a modifier that says the same, would count it twice.
            let twice = covering.iter().any(|modifier| when.implies(modifier));
            if twice {
                report.skipped.note(entry, &shown(variant), "is what a modifier of the layers below says");
            }
            !twice
        });
        let below =
            periods.as_deref_mut().and_then(|all| all.iter_mut().find(|known| known.from == period.from));
        let Some(below) = below else { continue };
        untie(period, below, entry, report);
        for known in &mut below.variants {
            // The later says it in the other way: by rates, or by a multiplier.
            if let Some(own) = period.variants.iter().find(|own| own.when == known.when) {
                if own.multiply.is_none() {
                    (known.multiply, known.except) = (None, Vec::new());
                } else {
                    (known.rates, known.over) = Default::default();
                }
            }
        }
        below.variants.retain(|known| {
            known.multiply.is_some()
                || !known.rates.is_empty()
                || !known.over.is_empty()
                || period.variants.iter().any(|own| own.when == known.when)
        });
    }
}

/// Whether the model, put over what is below it, is an entry.
fn compiles(provider: &Provider, id: &str, model: &Model) -> Result<(), String> {
    let Some(below) = provider.model(id) else { return Ok(()) };
    let mut merged = below.model.clone();
    overlay(&mut merged, model.clone());
    if merged.prices.is_empty() {
        return Ok(());
    }
    merged.same_as = None;
    let compiled = provider.modifiers.iter().map(|modifier| SharedModifier::new(modifier).map(Arc::new));
    let modifiers = compiled.collect::<Result<Vec<_>, Problem>>().map_err(|problem| problem.message)?;
    let entry = ModelEntry::compile(provider.id.as_str().into(), id.into(), merged, modifiers.into());
    entry.map(drop).map_err(|problem| problem.message)
}

/// Leaves out variants that tie with one of the layers below, and those that are too many.
fn untie(period: &mut Period, below: &Period, entry: &str, report: &mut FileReport) {
    loop {
        let mut all: Vec<Variant> = below.variants.clone();
        let first_own = all.len();
        all.extend(period.variants.iter().cloned());
        // The same conditions are one variant, whose keys add up.
        let Some((_, second)) = tie(&all) else { break };
        let Some(own) = second.checked_sub(first_own).filter(|own| *own < period.variants.len()) else {
            break;
        };
        let lost = period.variants.remove(own);
        report.skipped.note(entry, &shown(&lost), "ties with a price of the layers below");
    }
    while period.variants.len() > VARIANTS_MAX {
        if let Some(lost) = period.variants.pop() {
            report.skipped.note(entry, &shown(&lost), "is one price under a condition too many");
        }
    }
}

fn shown(variant: &Variant) -> String {
    serde_json::to_string(&variant.when).unwrap_or_default()
}
