//! What a usage costs under the rules in force.

use super::state::State;
use crate::catalog::{Cost, ModelEntry, PriceContext};
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::rules::{Priced, Rules};
use crate::values::{Scope, Usage};
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
    Ok(entry(&rules, query)?.cost(&query.usage, &query.context))
}

/// The entry that prices a query.
fn entry<'r>(rules: &'r Rules, query: &PriceQuery) -> Result<Cow<'r, Arc<ModelEntry>>> {
    let (provider, model) = rules.deployment(query.provider.as_deref(), &query.model);
    let shown = || model.chars().take(80).collect::<String>();
    match rules.price(provider, model, None, &query.scope) {
        Priced::By { entry, .. } => Ok(entry),
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
