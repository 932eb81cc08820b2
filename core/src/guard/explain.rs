//! What a usage costs under the rules in force, and why: which entry, which file and line, which period, variant and
//! multiplier. Enough to settle an invoice dispute.

use super::explanation::{ExplainedLine, ExplainedMultiplier, Explanation, Selection};
use super::state::State;
use crate::catalog::{
    By, Cost, ModelEntry, Origins, Place, PriceContext, RateSource, Selected, Spot, StandIn, Via,
};
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::rules::{Priced, Rules};
use crate::values::{Label, Scope, Usage};
use std::borrow::Cow;
use std::sync::Arc;

/// What to price: a usage of a model, for whom and under which circumstances.
#[derive(Clone, Debug, Default)]
pub struct PriceQuery {
    /// The provider, in any of its names; `None` if only one sells a model of this name.
    pub provider: Option<String>,
    /// The model, in any of its names.
    pub model: String,
    /// What was used.
    pub usage: Usage,
    /// When, in which tier, where, …
    pub context: PriceContext,
    /// For whom: `[[prices.overrides]]` may be for some scopes only.
    pub scope: Scope,
}

impl PriceQuery {
    /// A usage of `model` at `provider` (`""`: any provider), in the ordinary tier, for nobody in particular.
    #[must_use]
    pub fn new(provider: &str, model: &str, usage: Usage) -> Self {
        let provider = (!provider.is_empty()).then(|| provider.to_owned());
        Self { provider, model: model.to_owned(), usage, ..Self::default() }
    }
}

/// The exact cost.
pub(super) fn cost(state: &State, query: &PriceQuery) -> Result<Cost> {
    let rules = state.rules.load();
    query.usage.check()?;
    Ok(entry(&rules, query)?.0.cost(&query.usage, &query.context))
}

/// The entry that prices a query, and how it was found.
fn entry<'r>(rules: &'r Rules, query: &PriceQuery) -> Result<(Cow<'r, Arc<ModelEntry>>, Option<Via>)> {
    let (provider, model) = rules.deployment(query.provider.as_deref(), &query.model);
    let shown = || model.chars().take(80).collect::<String>();
    match rules.price(provider, model, query.provider.as_deref(), &query.scope) {
        Priced::By { entry, via } => Ok((entry, via)),
        Priced::Unknown => {
            let message = format!("no price is known for {:?}", shown());
            Err(Error::new(Code::UnknownModel, message).field("model"))
        }
        Priced::Ambiguous(providers) => {
            let message = format!("several providers sell {:?}: {}", shown(), providers.join(", "));
            Err(Error::new(Code::AmbiguousModel, message).field("provider").hint("name the provider"))
        }
    }
}

/// The exact cost, and why.
pub(super) fn explain(state: &State, query: &PriceQuery) -> Result<Explanation> {
    let rules = state.rules.load_full();
    query.usage.check()?;
    let (entry, via) = entry(&rules, query)?;
    let mapped = rules.deployment(query.provider.as_deref(), &query.model);
    let is_mapped = mapped != (query.provider.as_deref(), query.model.as_str());
    let told = Told { state, rules: &rules, origins: origins(state, &rules), entry: &entry };
    let explained = entry.explain(&query.usage, &query.context);
    let found = match (via, entry.stands_in()) {
        (_, Some(stand_in)) => stand_in.as_str(),
        (Some(via), None) => via.as_str(),
        (None, None) => "",
    };
    let mut places = told.origins.model(entry.provider(), entry.model());
    let same_as = entry.same_as().map(Label::from);
    if let Some((provider, model)) = same_as.as_deref().and_then(|name| name.split_once('/')) {
        places.extend(told.origins.model(provider, model));
    }
    if entry.stands_in() == Some(StandIn::FallbackPrice) {
        places.push(told.configuration(None));
    }
    Ok(Explanation {
        asked_provider: query.provider.clone(),
        asked_model: query.model.clone(),
        asked_tier: query.context.tier,
        at: query.context.at,
        deployment: is_mapped.then(|| format!("{}/{}", mapped.0.unwrap_or_default(), mapped.1)),
        provider: Arc::clone(entry.provider()),
        model: Arc::clone(entry.model()),
        found,
        same_as,
        places,
        price_version: Arc::clone(rules.pricing.version()),
        total_input: query.usage.total_input(),
        selection: explained.selected.as_ref().map(|selected| told.selection(selected)),
        lines: explained.selected.iter().flat_map(|selected| told.lines(selected)).collect(),
        cost: explained.cost,
    })
}

/// The price files in force, read again.
fn origins(state: &State, rules: &Rules) -> Origins {
    let sources = &state.setup.sources;
    rules.catalog.origins(|layer| match sources.prices.iter().find(|source| *source.name == *layer.name) {
        Some(source) => ("code", Some(source.text.clone())),
        None => ("file", crate::rules::source::text_of(layer.name.as_ref())),
    })
}

/// Everything that facts are told with.
struct Told<'a> {
    state: &'a State,
    rules: &'a Rules,
    origins: Origins,
    entry: &'a ModelEntry,
}

impl Told<'_> {
    /// A place in the configuration.
    fn configuration(&self, line: Option<usize>) -> Place {
        let sources = &self.state.setup.sources;
        let file = sources.file.as_ref().map(|path| path.display().to_string());
        let file = file.or_else(|| sources.text.as_ref().map(|(name, _)| name.clone()));
        Place { layer: "configuration", file: file.filter(|name| !name.is_empty()), line }
    }

    fn of_override(&self, at: u32) -> (String, Place) {
        let found = self.rules.pricing.override_at(at);
        let whose = found.map_or_else(String::new, |rule| rule.matches.describe());
        let line = found.map(|rule| rule.line).filter(|line| *line > 0);
        (format!("prices.overrides[{at}], for {whose}"), self.configuration(line))
    }

    /// Provider and model whose prices these are.
    fn owner(&self) -> (&str, &str) {
        let own = (&**self.entry.provider(), &**self.entry.model());
        self.entry.same_as().and_then(|name| name.split_once('/')).unwrap_or(own)
    }

    fn selection(&self, selected: &Selected<'_>) -> Selection {
        let (provider, model) = self.owner();
        let period = selected.period;
        let spot = Spot { from: selected.listed_from, variant: selected.variant, input_gt: None };
        Selection {
            begins: period.from.map(|date| date.0),
            ends: selected.until.map(|date| date.0),
            period_place: self.origins.period(provider, model, selected.listed_from),
            source: period.source.as_deref().map(Label::from),
            note: period.note.as_deref().map(Label::from),
            tier: selected.tier,
            variant: selected.variant.map(|variant| variant.when.describe()),
            variant_place: selected.variant.and_then(|_| self.origins.variant(provider, model, spot)),
            input_gt: selected.input_gt,
        }
    }

    fn lines(&self, selected: &Selected<'_>) -> Vec<ExplainedLine> {
        let (provider, model) = self.owner();
        let spot =
            Spot { from: selected.listed_from, variant: selected.variant, input_gt: selected.input_gt };
        let line = |line: &crate::catalog::LineFacts<'_>| {
            let key = line.chain.last().copied();
            let (rate_from, place) = match line.source {
                RateSource::Listed => {
                    let found =
                        key.and_then(|key| self.origins.rate(provider, model, spot, (key, line.line.rate)));
                    (String::new(), found)
                }
                RateSource::Override(at) => {
                    let (what, place) = self.of_override(at);
                    (what, Some(place))
                }
                RateSource::Unlisted => {
                    ("prices.on_unpriced_bucket".to_owned(), Some(self.configuration(None)))
                }
            };
            let multiplier = |one: &crate::catalog::Multiplied<'_>| {
                let (by, when, place) = match &one.by {
                    By::Modifier(modifier) => {
                        // It is the provider's that sells, whoever's prices these are.
                        let place = self.origins.modifier(self.entry.provider(), modifier);
                        ("modifier", modifier.when.describe(), place)
                    }
                    By::Variant(variant) => {
                        let place =
                            self.origins.variant(provider, model, Spot { variant: Some(variant), ..spot });
                        ("variant", variant.when.describe(), place)
                    }
                    By::Override(at) => {
                        let (what, place) = self.of_override(*at);
                        ("override", what, Some(place))
                    }
                    By::HalfBatch => {
                        ("batch_default", "tier=batch".to_owned(), Some(self.configuration(None)))
                    }
                };
                ExplainedMultiplier { factor: one.factor, by, when, place }
            };
            ExplainedLine {
                line: line.line,
                used: line.used,
                chain: line.chain.iter().map(|bucket| bucket.key()).collect(),
                rate_from,
                place,
                multipliers: line.multipliers.iter().map(multiplier).collect(),
            }
        };
        selected.lines.iter().map(line).collect()
    }
}
