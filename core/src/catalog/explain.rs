//! How an entry prices a usage: the same selection as [`ModelEntry::cost`], told instead of summed up.

use super::context::{PriceContext, Tier};
use super::cost::{Cost, Item, Line};
use super::entry::ModelEntry;
use super::fields::Date;
use super::period::{Multiplier, Origin, Period};
use super::rates::{Factor, Table};
use super::schema;
use crate::values::{Bucket, Usage};

/// How a usage is priced by one entry.
#[derive(Debug)]
pub(crate) struct Explained<'e> {
    pub(crate) cost: Cost,
    /// What was selected; `None` if nothing is listed for the instant.
    pub(crate) selected: Option<Selected<'e>>,
}

/// What was selected.
#[derive(Debug)]
pub(crate) struct Selected<'e> {
    /// The period in force, as the settings make it.
    pub(crate) period: &'e schema::Period,
    /// When it ends: by itself, or because the next one begins.
    pub(crate) until: Option<Date>,
    /// When the listed period begins, which a change of settings may have cut.
    pub(crate) listed_from: Option<Date>,
    /// The tier that is priced.
    pub(crate) tier: Option<Tier>,
    /// The variant whose rates hold.
    pub(crate) variant: Option<&'e schema::Variant>,
    /// The length of input that is exceeded.
    pub(crate) input_gt: Option<u64>,
    pub(crate) lines: Vec<LineFacts<'e>>,
}

/// One line of a cost.
#[derive(Debug)]
pub(crate) struct LineFacts<'e> {
    pub(crate) line: Line,
    /// What was used; less than the line's quantity where the provider bills a minimum.
    pub(crate) used: u64,
    /// The bucket, and what its rate was looked for under until it was found.
    pub(crate) chain: Vec<Bucket>,
    pub(crate) source: RateSource,
    pub(crate) multipliers: Vec<Multiplied<'e>>,
}

/// Where a rate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RateSource {
    /// The catalog.
    Listed,
    /// The configuration's override at this place.
    Override(u32),
    /// `on_unpriced_bucket`.
    Unlisted,
}

/// A multiplier that applies to a line.
#[derive(Debug)]
pub(crate) struct Multiplied<'e> {
    pub(crate) factor: Factor,
    pub(crate) by: By<'e>,
}

/// What multiplies.
#[derive(Debug)]
pub(crate) enum By<'e> {
    /// A modifier of the provider.
    Modifier(&'e schema::Modifier),
    /// A variant of the period.
    Variant(&'e schema::Variant),
    /// The configuration's override at this place.
    Override(u32),
    /// `batch_default = "half"`.
    HalfBatch,
}

impl ModelEntry {
    /// How a usage is priced.
    pub(crate) fn explain(&self, usage: &Usage, context: &PriceContext) -> Explained<'_> {
        let cost = self.cost(usage, context);
        let selected = self.select(usage, context, &cost);
        Explained { cost, selected }
    }

    fn select(&self, usage: &Usage, context: &PriceContext, cost: &Cost) -> Option<Selected<'_>> {
        let index = self.period_index(context.at)?;
        let (period, file) = (self.periods.get(index)?, self.file_periods().get(index)?);
        let tier = self.priced_tier(usage, context, cost);
        let variant = period.variant(context, tier);
        let sheet = variant.map_or(&period.base, |variant| &variant.sheet);
        let table = sheet.table(|| usage.total_input());
        let active = |m: &&Multiplier| m.span.contains(context.at) && m.when.holds(context, tier);
        let active: Vec<&Multiplier> = self.multipliers(period).filter(active).collect();
        let explained = |line: &Line| self.explain_line(*line, usage, context, file, table, &active);
        Some(Selected {
            period: file,
            until: file.to.or_else(|| self.file_periods().get(index.checked_add(1)?)?.from),
            listed_from: self.listed_from(file.from),
            tier,
            variant: variant.and_then(|variant| file.variants.get(usize::from(variant.at))),
            input_gt: sheet.passed(usage.total_input()),
            lines: cost.lines.iter().filter_map(explained).collect(),
        })
    }

    /// Of the listed periods the last that begins where this one does, or before.
    fn listed_from(&self, from: Option<Date>) -> Option<Date> {
        self.file().prices.iter().rev().map(|period| period.from).find(|listed| *listed <= from).flatten()
    }

    /// The tier that [`ModelEntry::cost`] takes: for `auto` the dearest.
    fn priced_tier(&self, usage: &Usage, context: &PriceContext, cost: &Cost) -> Option<Tier> {
        match context.tier {
            None | Some(Tier::Standard) => None,
            Some(Tier::Auto) => Tier::OF_AUTO.into_iter().find(|tier| {
                let standard = self.cost(usage, &PriceContext { tier: None, ..context.clone() });
                let with = self.cost(usage, &PriceContext { tier: Some(*tier), ..context.clone() });
                standard.total != cost.total && with.total == cost.total
            }),
            tier => tier,
        }
    }

    fn explain_line<'e>(
        &'e self,
        line: Line,
        usage: &Usage,
        context: &PriceContext,
        period: &'e schema::Period,
        table: &Table,
        active: &[&Multiplier],
    ) -> Option<LineFacts<'e>> {
        let Item::Bucket(bucket) = line.item else { return None };
        let key = table.rate(bucket)?.key;
        let mut chain = vec![bucket];
        while let Some(next) = chain.last().filter(|last| **last != key).and_then(|last| last.fallback()) {
            chain.push(next);
        }
        let applies = active.iter().filter(|multiplier| multiplier.covers(key));
        Some(LineFacts {
            line,
            used: usage.get(bucket),
            chain,
            source: self.rate_source(key, context),
            multipliers: applies.filter_map(|multiplier| self.multiplied(multiplier, period)).collect(),
        })
    }

    fn rate_source(&self, key: Bucket, context: &PriceContext) -> RateSource {
        let Some(adjustment) = self.adjustment() else { return RateSource::Listed };
        let names = |change: &&super::Change| {
            let begun = change.from.is_none_or(|from| from.0 <= context.at);
            let open = change.to.is_none_or(|to| context.at < to.0);
            begun && open && change.rates.get(key).is_some()
        };
        if let Some(change) = adjustment.changes.iter().rev().find(names) {
            return RateSource::Override(change.at);
        }
        let listed = self.file().prices.iter().any(|period| period.names(key));
        if !listed && adjustment.unlisted.get(key).is_some() {
            return RateSource::Unlisted;
        }
        RateSource::Listed
    }

    fn multiplied<'e>(
        &'e self,
        multiplier: &Multiplier,
        period: &'e schema::Period,
    ) -> Option<Multiplied<'e>> {
        let by = match multiplier.origin {
            Origin::Modifier => {
                let same = |shared: &&std::sync::Arc<super::period::SharedModifier>| {
                    shared.compiled.when.same(&multiplier.when) && shared.compiled.factor == multiplier.factor
                };
                By::Modifier(self.shared_modifiers().iter().find(same)?.file())
            }
            Origin::Variant(at) => By::Variant(period.variants.get(usize::from(at))?),
            Origin::Override(at) => By::Override(at),
            Origin::HalfBatch => By::HalfBatch,
        };
        Some(Multiplied { factor: multiplier.factor, by })
    }
}

impl Period {
    /// The most specific variant that holds.
    #[inline]
    pub(super) fn variant(
        &self,
        context: &PriceContext,
        tier: Option<Tier>,
    ) -> Option<&super::period::RateVariant> {
        let holds =
            |v: &&super::period::RateVariant| v.when.holds(context, tier) && v.span.contains(context.at);
        self.variants.iter().find(holds)
    }
}

impl schema::Period {
    /// Whether any of its tables names a rate for this key.
    fn names(&self, key: Bucket) -> bool {
        let own = std::iter::once(&self.rates).chain(self.over.iter().map(|over| &over.rates));
        let of_variants = self
            .variants
            .iter()
            .flat_map(|v| std::iter::once(&v.rates).chain(v.over.iter().map(|o| &o.rates)));
        own.chain(of_variants).any(|rates| rates.get(key).is_some())
    }
}

impl schema::When {
    /// For people: `tier=batch, geo=us`.
    pub(crate) fn describe(&self) -> String {
        use serde_json::Value;
        fn shown(value: &Value) -> String {
            match value {
                Value::String(text) => text.clone(),
                Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join("|"),
                Value::Object(map) => map
                    .iter()
                    .map(|(key, value)| format!("{key}:{}", shown(value)))
                    .collect::<Vec<_>>()
                    .join("+"),
                other => other.to_string(),
            }
        }
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map
                .iter()
                .map(|(key, value)| format!("{key}={}", shown(value)))
                .collect::<Vec<_>>()
                .join(", "),
            _ => String::new(),
        }
    }
}
