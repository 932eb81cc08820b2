//! An entry as an operator's settings make it: overrides applied last, rates for what the entry does not list, half of
//! a missing batch price. What comes out is an entry like any other: pricing, worst case and token see no difference.
//!
//! Changes are applied in order, and each sees what the one before left. Rates of a change are final: they stand for the
//! keys that they name whatever the length, the tier or the region, and no multiplier that came before touches them. A
//! multiplier of a change multiplies everything but its `except`.

use super::context::Tier;
use super::fields::Date;
use super::layers::Problem;
use super::period::{Multiplier, Origin, Period, SharedModifier, Span};
use super::rates::{Factor, RateSet, Table};
use super::schema;
use super::when::When;
use crate::values::Bucket;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One change of prices, in force from `from` until before `to`: `rates`, or `multiply` but for `except`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Change {
    /// Its place among the overrides of the configuration.
    pub(crate) at: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Date>,
    #[serde(skip_serializing_if = "RateSet::is_empty")]
    pub(crate) rates: RateSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) multiply: Option<Factor>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) except: Vec<Bucket>,
}

/// Everything that settings change about one entry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Adjustment {
    /// Global ones first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) changes: Vec<Change>,
    /// Rates for buckets that have none, not even by the fallback chain.
    #[serde(skip_serializing_if = "RateSet::is_empty")]
    pub(crate) unlisted: RateSet,
    /// What has no rate after all that costs nothing, with a warning.
    pub(crate) forgiving: bool,
    /// A batch price that is not listed is half of the standard one.
    pub(crate) half_batch: bool,
    /// The entry stands for a model that is in no catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stand_in: Option<StandIn>,
}

/// What stands for a model that is in no catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StandIn {
    /// The price of `on_unknown_model`.
    FallbackPrice,
    /// Nothing: what it uses is posted as zero.
    ZeroWithWarning,
}

impl StandIn {
    /// The word for messages, flags and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FallbackPrice => "fallback_price",
            Self::ZeroWithWarning => "zero_with_warning",
        }
    }
}

impl Adjustment {
    /// The periods of a file, cut where a change begins or ends, each with the rates that hold in it.
    pub(super) fn periods(&self, file: &[schema::Period]) -> Vec<schema::Period> {
        let mut edges: Vec<Date> = self.changes.iter().flat_map(|c| [c.from, c.to]).flatten().collect();
        edges.sort_unstable();
        edges.dedup();
        let mut out = Vec::with_capacity(file.len());
        for (index, period) in file.iter().enumerate() {
            let end = period.to.or_else(|| file.get(index + 1)?.from);
            let inside = edges.iter().copied().filter(|edge| {
                period.from.is_none_or(|from| from < *edge) && end.is_none_or(|end| *edge < end)
            });
            let mut from = period.from;
            for edge in inside.map(Some).chain([end]) {
                out.push(self.in_force(schema::Period { from, to: edge, ..period.clone() }));
                from = edge;
            }
        }
        out
    }

    /// The changes that hold in a period; none begins or ends inside.
    fn active(&self, from: Option<Date>) -> impl DoubleEndedIterator<Item = &Change> {
        let holds = move |change: &&Change| {
            let begun = change.from.is_none_or(|start| from.is_some_and(|from| start <= from));
            begun && change.to.is_none_or(|end| from.is_none_or(|from| from < end))
        };
        self.changes.iter().filter(holds)
    }

    /// A period with what is unlisted below its rates and what was agreed over all of them.
    fn in_force(&self, mut period: schema::Period) -> schema::Period {
        let table = Table::new(&period.rates);
        let missing = self.unlisted.0.iter().filter(|(bucket, _)| table.rate(*bucket).is_none());
        period.rates.0.extend(missing.copied());
        let agreed: Vec<&RateSet> = self.active(period.from).map(|change| &change.rates).collect();
        for rates in agreed.into_iter().filter(|rates| !rates.is_empty()) {
            let sets = std::iter::once(&mut period.rates).chain(period.over.iter_mut().map(|o| &mut o.rates));
            sets.for_each(|set| set.overlay(rates));
            let replacing = |v: &&mut schema::Variant| !(v.rates.is_empty() && v.over.is_empty());
            for variant in period.variants.iter_mut().filter(replacing) {
                variant.rates.overlay(rates);
                variant.over.iter_mut().for_each(|over| over.rates.overlay(rates));
            }
        }
        period
    }

    /// The multipliers of one such period: the provider's and its own spare what was agreed, then come the changes'.
    pub(super) fn multipliers(
        &self,
        period: &schema::Period,
        own: &[Multiplier],
        shared: &[Arc<SharedModifier>],
    ) -> Result<Box<[Multiplier]>, Problem> {
        let mut all: Vec<Multiplier> =
            shared.iter().map(|modifier| &modifier.compiled).chain(own).cloned().collect();
        let of_period = period.variants.iter().map(|variant| &variant.when);
        let mut conditions = of_period.chain(shared.iter().map(|modifier| &modifier.file().when));
        if self.half_batch && !conditions.any(|when| when.tier == Some(Tier::Batch)) {
            // Fees are not what batches are cheaper by.
            let fees: Vec<Bucket> = Bucket::ALL.iter().copied().filter(|b| !b.is_tokens()).collect();
            let half = Factor::parse("0.5").ok_or_else(|| Problem::new("0.5 is no factor"))?;
            all.push(Multiplier::of(When::batch(), Span::ALWAYS, half, &fees, Origin::HalfBatch));
        }
        for change in self.active(period.from) {
            for (key, _) in &change.rates.0 {
                all.iter_mut().for_each(|multiplier| multiplier.spare(*key));
            }
            if let Some(factor) = change.multiply {
                let origin = Origin::Override(change.at);
                all.push(Multiplier::of(When::ALWAYS, Span::ALWAYS, factor, &change.except, origin));
            }
        }
        Ok(all.into())
    }
}

impl Period {
    /// Replaces the multipliers of a period by those of an adjusted one.
    pub(super) fn adjust(
        &mut self,
        adjustment: &Adjustment,
        file: &schema::Period,
        shared: &[Arc<SharedModifier>],
    ) -> Result<(), Problem> {
        self.multipliers = adjustment.multipliers(file, &self.multipliers, shared)?;
        super::period::check_scale(&self.multipliers, &[])
    }
}
