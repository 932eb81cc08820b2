//! One model's prices, compiled: periods, variants and multipliers in the order in which they are tried.

use super::adjust::{Adjustment, StandIn};
use super::layers::Problem;
use super::period::{Multiplier, Period, SharedModifier};
use super::rates::{RateSet, quantity};
use super::schema::{self, Mode};
use crate::values::scope::Label;
use crate::values::{Bucket, Timestamp};
use smallvec::SmallVec;
use std::sync::Arc;

/// A model with its prices and limits, ready to price calls. Immutable; shared by an `Arc`.
#[derive(Clone, Debug)]
pub struct ModelEntry {
    provider: Label,
    model: Label,
    file: schema::Model,
    /// Ascending by start.
    pub(super) periods: Box<[Period]>,
    pub(super) modifiers: Box<[Arc<SharedModifier>]>,
    /// The least that a request is billed, by bucket.
    pub(super) minimums: SmallVec<[(Bucket, u64); 1]>,
    /// What settings changed about it.
    adjusted: Option<Box<Adjusted>>,
}

/// What an adjusted entry was made of. The provider's modifiers are among the multipliers of its periods.
#[derive(Clone, Debug)]
struct Adjusted {
    adjustment: Adjustment,
    modifiers: Box<[Arc<SharedModifier>]>,
    /// The periods as they are in force: cut where a change begins or ends.
    periods: Vec<schema::Period>,
}

impl ModelEntry {
    /// Compiles a merged entry; `modifiers` are those of its provider that match it.
    pub(super) fn compile(
        provider: Label,
        model: Label,
        file: schema::Model,
        modifiers: Box<[Arc<SharedModifier>]>,
    ) -> std::result::Result<Self, Problem> {
        Self::compile_adjusted(provider, model, file, modifiers, None)
    }

    pub(super) fn compile_adjusted(
        provider: Label,
        model: Label,
        file: schema::Model,
        modifiers: Box<[Arc<SharedModifier>]>,
        adjustment: Option<Adjustment>,
    ) -> std::result::Result<Self, Problem> {
        let mut minimums = SmallVec::new();
        for (key, text) in &file.minimum.0 {
            let bucket = Bucket::from_key(key)
                .ok_or_else(|| Problem::new(format!("`{key}` is not a rate key")).at("minimum"))?;
            let least = quantity(bucket, text).ok_or_else(|| {
                Problem::new(format!("{text:?} is not a quantity of `{key}`")).at(key).at("minimum")
            })?;
            minimums.push((bucket, least));
        }
        let in_force = adjustment.as_ref().map(|adjustment| adjustment.periods(&file.prices));
        let prices = in_force.as_ref().unwrap_or(&file.prices);
        let mut periods = Vec::with_capacity(prices.len());
        for (index, period) in prices.iter().enumerate() {
            let here = |problem: Problem| problem.at_index(index).at("prices");
            let next = prices.get(index + 1).and_then(|next| next.from);
            let mut compiled = Period::compile(period, next, &modifiers).map_err(here)?;
            if let Some(adjustment) = &adjustment {
                compiled.adjust(adjustment, period, &modifiers).map_err(here)?;
            }
            periods.push(compiled);
        }
        let (modifiers, adjusted) = match adjustment {
            None => (modifiers, None),
            Some(adjustment) => {
                let periods = in_force.unwrap_or_default();
                (Box::default(), Some(Box::new(Adjusted { adjustment, modifiers, periods })))
            }
        };
        let periods = periods.into();
        let entry = Self { provider, model, file, periods, modifiers, minimums, adjusted };
        Ok(entry)
    }

    /// The provider's name in the catalog.
    #[must_use]
    pub fn provider(&self) -> &Label {
        &self.provider
    }

    /// The model's name in the catalog.
    #[must_use]
    pub fn model(&self) -> &Label {
        &self.model
    }

    /// The context size, if listed.
    #[must_use]
    pub fn max_input_tokens(&self) -> Option<u64> {
        self.file.max_input_tokens
    }

    /// The most that one choice can put out, if listed.
    #[must_use]
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.file.max_output_tokens
    }

    /// What the model is for.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.file.mode.unwrap_or_default()
    }

    /// When the provider retires it, if listed.
    #[must_use]
    pub fn deprecated(&self) -> Option<Timestamp> {
        self.file.deprecated.map(|date| date.0)
    }

    /// The same entry as settings make it; `None` if its multipliers would not be exact.
    pub(crate) fn adjust(&self, adjustment: Adjustment) -> Option<Self> {
        let (provider, model) = (Arc::clone(&self.provider), Arc::clone(&self.model));
        let modifiers = self.shared_modifiers().into();
        Self::compile_adjusted(provider, model, self.file.clone(), modifiers, Some(adjustment)).ok()
    }

    /// What stands for a model that is in no catalog.
    pub(crate) fn stand_in(
        provider: Label,
        model: Label,
        price: Option<&RateSet>,
        adjustment: Adjustment,
    ) -> Option<Self> {
        let period = |rates: &RateSet| schema::Period { rates: rates.clone(), ..Default::default() };
        let file = schema::Model { prices: price.map(period).into_iter().collect(), ..Default::default() };
        Self::compile_adjusted(provider, model, file, Box::default(), Some(adjustment)).ok()
    }

    /// What settings changed about it.
    pub(crate) fn adjustment(&self) -> Option<&Adjustment> {
        self.adjusted.as_ref().map(|adjusted| &adjusted.adjustment)
    }

    /// Set, if the model is in no catalog and something stands for it.
    #[must_use]
    pub fn stands_in(&self) -> Option<StandIn> {
        self.adjustment()?.stand_in
    }

    /// What has no rate costs nothing, with a warning.
    #[must_use]
    pub fn forgives(&self) -> bool {
        self.adjustment().is_some_and(|adjustment| adjustment.forgiving)
    }

    /// The model whose prices these are, as `provider/model`, if they are another's.
    pub(crate) fn same_as(&self) -> Option<&str> {
        self.file.same_as.as_deref()
    }

    /// The file's own words.
    pub(super) fn file(&self) -> &schema::Model {
        &self.file
    }

    /// The periods as they are in force, in the order of the compiled ones.
    pub(super) fn file_periods(&self) -> &[schema::Period] {
        self.adjusted.as_ref().map_or(&self.file.prices, |adjusted| &adjusted.periods)
    }

    /// The provider's modifiers that are for this model.
    pub(super) fn shared_modifiers(&self) -> &[Arc<SharedModifier>] {
        self.adjusted.as_ref().map_or(&self.modifiers, |adjusted| &adjusted.modifiers)
    }

    /// The decimals of all multipliers that one call can meet.
    pub(crate) fn scale(&self) -> u32 {
        let of = |period: &Period| self.multipliers(period).map(|m| m.factor.scale()).sum();
        self.periods.iter().map(of).max().unwrap_or(0)
    }

    /// Whether both price every call alike.
    pub(crate) fn prices_like(&self, other: &Self) -> bool {
        let modifiers = self.modifiers.iter().map(|shared| shared.file());
        self.file.prices == other.file.prices
            && self.file.minimum == other.file.minimum
            && modifiers.eq(other.modifiers.iter().map(|shared| shared.file()))
    }

    /// Whether any price is listed for this instant.
    #[must_use]
    pub fn is_priced_at(&self, at: Timestamp) -> bool {
        self.period(at).is_some()
    }

    /// The prices in force: the last period that has begun.
    #[inline]
    pub(super) fn period(&self, at: Timestamp) -> Option<&Period> {
        let begun = self.periods.iter().rev().find(|period| period.span.from <= at);
        begun.filter(|period| at < period.span.to)
    }

    /// The same by place.
    pub(super) fn period_index(&self, at: Timestamp) -> Option<usize> {
        let index = self.periods.iter().rposition(|period| period.span.from <= at)?;
        self.periods.get(index).filter(|period| at < period.span.to).map(|_| index)
    }

    /// The multipliers of the provider and of a period.
    #[inline]
    pub(super) fn multipliers<'a>(&'a self, period: &'a Period) -> impl Iterator<Item = &'a Multiplier> {
        self.modifiers.iter().map(|shared| &shared.compiled).chain(period.multipliers.iter())
    }
}
