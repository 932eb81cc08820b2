//! Files over files: the later wins, key by key. An entry is identified by provider and model, its prices by
//! `from`, their variants by `when` (and the variant's own `from`), their length tiers by `input_gt`.

use super::fields::Date;
use super::import::clause::Clause;
use super::matcher::{lower, lower_label};
use super::schema::{File, Model, Modifier, Over, Period, Variant};
use crate::values::Label;
use hashbrown::HashMap;

/// Most models of one catalog.
const MODELS_MAX: usize = 50_000;
/// Most patterns, aliases, periods, variants or length tiers in one place.
const ITEMS_MAX: usize = 256;
/// Most bytes of a name.
const NAME_BYTES_MAX: usize = 256;

type Hasher = foldhash::fast::FixedState;

/// Something that does not hold, and where: the path is built from the inside out.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) path: String,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, path: String::new() }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Inside `key`.
    pub(super) fn at(mut self, key: &str) -> Self {
        if !key.is_empty() {
            let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
            self.path = format!("{}{dot}{}", shown_key(key), self.path);
        }
        self
    }

    /// Inside the element `index` of an array.
    pub(super) fn at_index(mut self, index: usize) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("[{index}]{dot}{}", self.path);
        self
    }
}

/// A key as TOML would write it in a path.
pub(super) fn shown_key(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { key.to_owned() } else { format!("{key:?}") }
}

/// All layers merged.
#[derive(Default)]
pub(super) struct Layers {
    pub(super) providers: Vec<Provider>,
    models: usize,
}

/// One provider of all layers.
#[derive(Default)]
pub(super) struct Provider {
    pub(super) id: String,
    pub(super) names: Vec<String>,
    pub(super) strip_prefixes: Vec<String>,
    pub(super) strip_suffixes: Vec<String>,
    pub(super) date_suffix: bool,
    pub(super) platform: bool,
    pub(super) fallback: Vec<String>,
    pub(super) modifiers: Vec<Modifier>,
    /// In the order of first appearance.
    pub(super) models: Vec<Merged>,
    /// By lower-case id.
    index: HashMap<Label, usize, Hasher>,
    /// The last file that named this provider.
    pub(super) layer: usize,
    /// Names by rule, of files of other tools: each with the lower-case id of its model, in order.
    pub(super) clauses: Vec<(Clause, String)>,
}

/// One model of all layers.
pub(super) struct Merged {
    pub(super) id: Label,
    pub(super) model: Model,
    /// Other names, each with the layer that gave it.
    pub(super) aliases: Vec<(String, usize)>,
    /// The last file that changed this model.
    pub(super) layer: usize,
}

impl Merged {
    /// Takes what an entry is compiled from, without the room that reading it left over; `None` if nothing prices it.
    /// Names and patterns stay.
    pub(super) fn take_priced(&mut self) -> Option<Model> {
        if self.model.prices.is_empty() {
            return None;
        }
        let mut model = std::mem::take(&mut self.model);
        self.model.patterns = std::mem::take(&mut model.patterns);
        model.prices.shrink_to_fit();
        for period in &mut model.prices {
            period.rates.0.shrink_to_fit();
            period.over.shrink_to_fit();
            period.variants.shrink_to_fit();
        }
        Some(model)
    }
}

impl Layers {
    /// Puts a provider's file over what is there.
    pub(super) fn add(&mut self, id: &str, file: File, layer: usize) -> Result<(), Problem> {
        check_provider_id(id)?;
        if let Some(currency) = file.currency.as_deref().filter(|currency| *currency != "USD") {
            return Err(
                Problem::new(format!("{currency:?} is not supported, prices are in USD")).at("currency")
            );
        }
        let at = match self.providers.iter().position(|provider| provider.id == id) {
            Some(at) => at,
            None => {
                self.providers.push(Provider { id: id.to_owned(), ..Provider::default() });
                self.providers.len() - 1
            }
        };
        let Some(provider) = self.providers.get_mut(at) else { return Ok(()) };
        provider.layer = layer;
        let before = provider.models.len();
        provider.put(file, layer)?;
        self.models = self.models.saturating_add(provider.models.len().saturating_sub(before));
        if self.models > MODELS_MAX {
            return Err(Problem::new(format!("more than {MODELS_MAX} models")).at("models"));
        }
        Ok(())
    }
}

fn check_provider_id(id: &str) -> Result<(), Problem> {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    let starts = id.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if starts && id.len() <= NAME_BYTES_MAX && id.bytes().all(word) {
        return Ok(());
    }
    let shown: String = id.chars().take(60).collect();
    Err(Problem::new(format!("{shown:?} is not a provider's name"))
        .hint("write lower-case letters, digits, \".\", \"_\" and \"-\"")
        .at("provider"))
}

impl Provider {
    fn put(&mut self, file: File, layer: usize) -> Result<(), Problem> {
        add_names(&mut self.names, file.aliases, "aliases")?;
        add_names(&mut self.names, file.hosts, "hosts")?;
        add_names(&mut self.strip_prefixes, file.strip_prefixes, "strip_prefixes")?;
        add_names(&mut self.strip_suffixes, file.strip_suffixes, "strip_suffixes")?;
        if let Some(fallback) = file.fallback {
            self.fallback = fallback;
        }
        self.date_suffix = file.date_suffix.unwrap_or(self.date_suffix);
        self.platform = file.platform.unwrap_or(self.platform);
        for modifier in file.modifiers {
            let same = |m: &&mut Modifier| {
                m.when == modifier.when && m.models == modifier.models && m.from == modifier.from
            };
            match self.modifiers.iter_mut().find(same) {
                Some(known) => *known = modifier,
                None => self.modifiers.push(modifier),
            }
        }
        if self.models.is_empty() {
            self.models.reserve(file.models.0.len());
            self.index.reserve(file.models.0.len());
        }
        // By place: which models this file has named.
        let mut seen = vec![false; self.models.len()];
        for (id, model) in file.models.0 {
            let here = |problem: Problem| problem.at(&id).at("models");
            check_name(&id).map_err(here)?;
            let place = self.index.get(&*lower(&id)).copied();
            match place.map(|at| seen.get_mut(at)) {
                None => seen.push(true),
                Some(Some(seen @ false)) => *seen = true,
                Some(_) => {
                    let twice = Problem::new("is listed twice").hint("names differ by more than upper case");
                    return Err(here(twice));
                }
            }
            let model = tidy(model).map_err(here)?;
            self.put_model(place, &id, model, layer).map_err(here)?;
        }
        Ok(())
    }

    /// `place` is where a model of this name is already.
    fn put_model(
        &mut self,
        place: Option<usize>,
        id: &str,
        mut model: Model,
        layer: usize,
    ) -> Result<(), Problem> {
        let mut aliases = Vec::with_capacity(model.aliases.len());
        for alias in std::mem::take(&mut model.aliases) {
            check_name(&alias).map_err(|problem| problem.at("aliases"))?;
            aliases.push((alias.to_lowercase(), layer));
        }
        match place.and_then(|at| self.models.get_mut(at)) {
            Some(known) if model.replace || model.remove || known.model.remove => {
                *known = Merged { id: id.into(), model, aliases, layer };
            }
            Some(known) => {
                known.layer = layer;
                known.aliases.extend(aliases);
                overlay(&mut known.model, model);
            }
            None => {
                let id = id.into();
                self.index.insert(lower_label(&id), self.models.len());
                self.models.push(Merged { id, model, aliases, layer });
            }
        }
        Ok(())
    }

    /// The merged model of this name, removed ones left out.
    pub(super) fn model(&self, id: &str) -> Option<&Merged> {
        let at = *self.index.get(&*lower(id))?;
        self.models.get(at).filter(|merged| !merged.model.remove)
    }

    /// The same, to be changed.
    pub(super) fn model_mut(&mut self, id: &str) -> Option<&mut Merged> {
        let at = *self.index.get(&*lower(id))?;
        self.models.get_mut(at).filter(|merged| !merged.model.remove)
    }
}

fn add_names(names: &mut Vec<String>, more: Vec<String>, key: &str) -> Result<(), Problem> {
    for name in more {
        check_name(&name).map_err(|problem| problem.at(key))?;
        let name = name.to_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    bounded(names.len(), key)
}

fn check_name(name: &str) -> Result<(), Problem> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Problem::new(format!(
            "a name has 1 to {NAME_BYTES_MAX} bytes, this one has {}",
            name.len()
        )));
    }
    Ok(())
}

fn bounded(count: usize, key: &str) -> Result<(), Problem> {
    if count > ITEMS_MAX {
        return Err(Problem::new(format!("has {count} items, at most {ITEMS_MAX} are allowed")).at(key));
    }
    Ok(())
}

/// Checks what one file says of a model, and puts periods and length tiers in order.
fn tidy(mut model: Model) -> Result<Model, Problem> {
    bounded(model.aliases.len(), "aliases")?;
    bounded(model.patterns.len(), "patterns")?;
    bounded(model.prices.len(), "prices")?;
    for (index, period) in model.prices.iter_mut().enumerate() {
        tidy_period(period).map_err(|problem| problem.at_index(index).at("prices"))?;
    }
    if let Some(at) = repeated(&model.prices, |a, b| a.from == b.from) {
        let hint = "give each period its own `from`; one may have none, which means since ever";
        return Err(Problem::new("begins when another one begins").hint(hint).at_index(at).at("prices"));
    }
    model.prices.sort_by_key(|period| period.from);
    Ok(model)
}

fn tidy_period(period: &mut Period) -> Result<(), Problem> {
    bounded(period.variants.len(), "variants")?;
    tidy_over(&mut period.over)?;
    check_span(period.from, period.to)?;
    for (index, variant) in period.variants.iter_mut().enumerate() {
        let tidied = tidy_over(&mut variant.over).and_then(|()| check_span(variant.from, variant.to));
        tidied.map_err(|problem| problem.at_index(index).at("variants"))?;
    }
    if let Some(at) = repeated(&period.variants, |a, b| a.when == b.when && a.from == b.from) {
        return Err(Problem::new("has the conditions of another one").at_index(at).at("variants"));
    }
    Ok(())
}

fn check_span(from: Option<Date>, to: Option<Date>) -> Result<(), Problem> {
    match (from, to) {
        (Some(from), Some(to)) if to <= from => Err(Problem::new("ends before it begins").at("to")),
        _ => Ok(()),
    }
}

fn tidy_over(over: &mut [Over]) -> Result<(), Problem> {
    bounded(over.len(), "over")?;
    over.sort_by_key(|tier| tier.input_gt);
    match repeated(over, |a, b| a.input_gt == b.input_gt) {
        Some(at) => Err(Problem::new("has the threshold of another one").at_index(at).at("over")),
        None => Ok(()),
    }
}

/// The index of the first element that is like an earlier one.
fn repeated<T>(items: &[T], alike: impl Fn(&T, &T) -> bool) -> Option<usize> {
    items.iter().enumerate().position(|(at, item)| items.iter().take(at).any(|earlier| alike(earlier, item)))
}

/// Puts `later` over `model`, key by key.
pub(super) fn overlay(model: &mut Model, later: Model) {
    let take = |slot: &mut Option<u64>, later: Option<u64>| *slot = later.or(*slot);
    take(&mut model.max_input_tokens, later.max_input_tokens);
    take(&mut model.max_output_tokens, later.max_output_tokens);
    model.mode = later.mode.or(model.mode);
    model.deprecated = later.deprecated.or(model.deprecated);
    for pattern in later.patterns {
        if !model.patterns.contains(&pattern) {
            model.patterns.push(pattern);
        }
    }
    // Prices of its own and prices of another model exclude each other: the later file decides.
    if !later.prices.is_empty() {
        model.same_as = None;
    } else if later.same_as.is_some() {
        model.same_as = later.same_as;
        model.prices.clear();
    }
    for (key, least) in later.minimum.0 {
        match model.minimum.0.iter_mut().find(|(known, _)| *known == key) {
            Some(slot) => slot.1 = least,
            None => model.minimum.0.push((key, least)),
        }
    }
    for period in later.prices {
        match model.prices.iter_mut().find(|known| known.from == period.from) {
            Some(known) => overlay_period(known, period),
            None => model.prices.push(period),
        }
    }
    model.prices.sort_by_key(|period| period.from);
}

fn overlay_period(period: &mut Period, later: Period) {
    period.to = later.to.or(period.to);
    period.rates.overlay(&later.rates);
    overlay_over(&mut period.over, later.over);
    for variant in later.variants {
        let same = |known: &&mut Variant| known.when == variant.when && known.from == variant.from;
        match period.variants.iter_mut().find(same) {
            Some(known) => {
                known.to = variant.to.or(known.to);
                known.rates.overlay(&variant.rates);
                overlay_over(&mut known.over, variant.over);
                if variant.multiply.is_some() {
                    (known.multiply, known.except) = (variant.multiply, variant.except);
                }
            }
            None => period.variants.push(variant),
        }
    }
}

fn overlay_over(over: &mut Vec<Over>, later: Vec<Over>) {
    for tier in later {
        match over.iter_mut().find(|known| known.input_gt == tier.input_gt) {
            Some(known) => known.rates.overlay(&tier.rates),
            None => over.push(tier),
        }
    }
    over.sort_by_key(|tier| tier.input_gt);
}
