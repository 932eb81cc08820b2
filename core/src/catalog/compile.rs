//! Merged layers to a catalog: every entry compiled, every name in the index.

use super::entry::ModelEntry;
use super::glob::Glob;
use super::layers::{Layers, Merged, Problem, Provider};
use super::matcher::{Names, Via, lower, lower_label};
use super::period::SharedModifier;
use super::{Catalog, Layer, Source, parse, schema};
use crate::error::{Error, Result};
use crate::values::scope::Label;
use hashbrown::HashMap;
use std::sync::Arc;

/// Most patterns of one provider: each is tried on a name that is not listed.
const PATTERNS_MAX: usize = 4_096;

/// Compiles all layers. `files` are the layers' sources, for messages and the version.
pub(super) fn compile(mut layers: Layers, files: &[&Source]) -> Result<Catalog> {
    let layer = |file: &&Source| Layer {
        name: file.name.as_str().into(),
        digest: super::origins::digest(&file.text),
        builtin: false,
    };
    let layers_read = files.iter().map(layer).collect();
    let mut catalog = Catalog { version: version(files), layers: layers_read, ..Catalog::empty() };
    let fault = |provider: &str, layer: usize, problem: Problem| match files.get(layer) {
        Some(source) => parse::problem_in(source, provider, problem),
        None => Error::new(crate::codes::Code::PricesInvalid, problem.message),
    };
    share_prices(&mut layers).map_err(|(provider, layer, problem)| fault(&provider, layer, problem))?;
    for provider in &mut layers.providers {
        let modifiers =
            compile_modifiers(provider).map_err(|problem| fault(&provider.id, provider.layer, problem))?;
        let mut names = names_of(provider);
        names.exact.reserve(provider.models.len());
        catalog.entries.reserve(provider.models.len());
        for merged in provider.models.iter_mut().filter(|merged| !merged.model.remove) {
            let Some(model) = merged.take_priced() else { continue };
            let place = catalog.entries.len();
            let name = lower_label(&merged.id);
            let entry = compile_entry(&names.id, Arc::clone(&merged.id), &name, model, &modifiers)
                .map_err(|problem| fault(&provider.id, merged.layer, problem.at(&merged.id).at("models")))?;
            catalog.entries.push(Arc::new(entry));
            names.insert(name, place, Via::Exact);
        }
        let here = |(layer, problem): (usize, Problem)| fault(&provider.id, layer, problem);
        index_aliases(&mut names, provider).map_err(here)?;
        index_patterns(&mut names, provider).map_err(here)?;
        catalog.matcher.add(names, &provider.names).map_err(|(name, other)| {
            let problem = Problem::new(format!("{name:?} is a name of provider {other:?} too"));
            fault(&provider.id, provider.layer, problem.at("aliases"))
        })?;
    }
    for (place, provider) in layers.providers.iter().enumerate() {
        let known = |id: &String| {
            let unknown = || Problem::new(format!("{id:?} is not a provider of the catalog")).at("fallback");
            catalog.matcher.provider(id).ok_or_else(|| fault(&provider.id, provider.layer, unknown()))
        };
        let fallback = provider.fallback.iter().map(known).collect::<Result<Vec<usize>>>()?;
        catalog.matcher.set_fallback(place, fallback);
    }
    Ok(catalog)
}

fn names_of(provider: &Provider) -> Names {
    Names {
        id: provider.id.as_str().into(),
        strip_prefixes: provider.strip_prefixes.clone(),
        strip_suffixes: provider.strip_suffixes.clone(),
        date_suffix: provider.date_suffix,
        platform: provider.platform,
        ..Names::default()
    }
}

type Modifiers = Vec<(Vec<Glob>, Arc<SharedModifier>)>;

fn compile_modifiers(provider: &Provider) -> std::result::Result<Modifiers, Problem> {
    let compiled = provider.modifiers.iter().enumerate().map(|(index, file)| {
        let shared = SharedModifier::new(file).map_err(|problem| problem.at_index(index).at("modifiers"))?;
        let models = file.models.iter().map(|glob| Glob::new(&glob.to_lowercase())).collect();
        Ok((models, Arc::new(shared)))
    });
    compiled.collect()
}

/// `name` is the id in lower case.
fn compile_entry(
    provider: &Label,
    id: Label,
    name: &str,
    model: schema::Model,
    modifiers: &Modifiers,
) -> std::result::Result<ModelEntry, Problem> {
    let applies = |globs: &[Glob]| globs.is_empty() || globs.iter().any(|glob| glob.matches(name));
    let mine = modifiers.iter().filter(|(globs, _)| applies(globs)).map(|(_, shared)| Arc::clone(shared));
    ModelEntry::compile(Arc::clone(provider), id, model, mine.collect())
}

/// Gives every model that says `same_as` the prices of the other one.
fn share_prices(layers: &mut Layers) -> std::result::Result<(), (String, usize, Problem)> {
    let mut shared = Vec::new();
    for (at, provider) in layers.providers.iter().enumerate() {
        for (nth, merged) in provider.models.iter().enumerate() {
            let Some(other) = merged.model.same_as.as_ref().filter(|_| !merged.model.remove) else {
                continue;
            };
            let model = with_prices_of(layers, at, merged, other).map_err(|problem| {
                (provider.id.clone(), merged.layer, problem.at(&merged.id).at("models"))
            })?;
            shared.push((at, nth, model));
        }
    }
    for (at, nth, model) in shared {
        if let Some(merged) = layers.providers.get_mut(at).and_then(|provider| provider.models.get_mut(nth)) {
            merged.model = model;
        }
    }
    Ok(())
}

/// The model with the prices of `other`, and what else it does not say itself.
fn with_prices_of(
    layers: &Layers,
    at: usize,
    merged: &Merged,
    other: &str,
) -> std::result::Result<schema::Model, Problem> {
    let mut model = merged.model.clone();
    if !model.prices.is_empty() {
        return Err(Problem::new("has prices too; a model has its own or another's").at("same_as"));
    }
    let wrong = |why: &str| Problem::new(format!("{other:?} {why}")).at("same_as");
    let (provider, id) = other
        .split_once('/')
        .ok_or_else(|| wrong("is not \"provider/model\"").hint("for example \"openai/gpt-4o\""))?;
    let seller = layers.providers.iter().find(|known| known.id == provider);
    let target =
        seller.or(layers.providers.get(at).filter(|own| own.id == provider)).and_then(|p| p.model(id));
    let target = target.ok_or_else(|| wrong("is not in the catalog"))?;
    if target.model.same_as.is_some() {
        return Err(wrong("has no prices of its own").hint("name the model that has them"));
    }
    model.prices.clone_from(&target.model.prices);
    model.max_input_tokens = model.max_input_tokens.or(target.model.max_input_tokens);
    model.max_output_tokens = model.max_output_tokens.or(target.model.max_output_tokens);
    model.mode = model.mode.or(target.model.mode);
    if model.minimum.is_empty() {
        model.minimum.clone_from(&target.model.minimum);
    }
    Ok(model)
}

fn index_aliases(names: &mut Names, provider: &Provider) -> std::result::Result<(), (usize, Problem)> {
    let mut given: HashMap<&str, (usize, &str), foldhash::fast::FixedState> = HashMap::default();
    let named = |merged: &&Merged| !merged.model.remove && !merged.aliases.is_empty();
    for merged in provider.models.iter().filter(named) {
        let Some((place, _)) = names.entry_of(&lower(&merged.id)) else { continue };
        for (alias, layer) in &merged.aliases {
            // An id is never another model's alias: a later file may list a model under what was an alias.
            if matches!(names.entry_of(alias), Some((_, Via::Exact))) {
                continue;
            }
            match given.get(alias.as_str()) {
                Some((earlier, owner)) if earlier == layer && *owner != &*merged.id => {
                    let problem = Problem::new(format!("{alias:?} is an alias of {owner:?} too"));
                    return Err((*layer, problem.at("aliases").at(&merged.id).at("models")));
                }
                Some((earlier, _)) if earlier > layer => {}
                _ => {
                    names.insert(alias.as_str().into(), place, Via::Alias);
                    given.insert(alias, (*layer, &*merged.id));
                }
            }
        }
    }
    Ok(())
}

fn index_patterns(names: &mut Names, provider: &Provider) -> std::result::Result<(), (usize, Problem)> {
    let matched = |merged: &&Merged| !merged.model.remove && !merged.model.patterns.is_empty();
    for merged in provider.models.iter().filter(matched) {
        let Some((place, _)) = names.entry_of(&lower(&merged.id)) else { continue };
        for pattern in &merged.model.patterns {
            if names.patterns.len() >= PATTERNS_MAX {
                let problem = Problem::new(format!("the provider has more than {PATTERNS_MAX} patterns"));
                return Err((merged.layer, problem.at("patterns").at(&merged.id).at("models")));
            }
            names.insert_pattern(pattern, place).map_err(|_| {
                let problem =
                    Problem::new(format!("{pattern:?} has the literal prefix of another model's pattern"))
                        .hint("the longer literal prefix wins, so make one longer");
                (merged.layer, problem.at("patterns").at(&merged.id).at("models"))
            })?;
        }
    }
    for (clause, id) in &provider.clauses {
        if let Some((place, _)) = names.entry_of(id) {
            names.clauses.push((clause.clone(), place));
        }
    }
    Ok(())
}

/// Twelve hex digits of a hash that is the same on every machine and in every version.
fn version(files: &[&Source]) -> Label {
    const PRIME: u64 = 0x0000_0100_0000_01B3;
    let mut hash: u64 = 0xCBF2_9CE4_8422_2325;
    let mut eat = |word: u64| {
        hash = (hash ^ word).wrapping_mul(PRIME);
        hash ^= hash >> 32;
    };
    for file in files {
        eat(u64::try_from(file.text.len()).unwrap_or(u64::MAX));
        let (words, rest) = file.text.as_bytes().as_chunks();
        words.iter().for_each(|word| eat(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut word = [0u8; 8];
            word.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
            eat(u64::from_le_bytes(word));
        }
    }
    format!("{:012x}", hash >> 16).into()
}
