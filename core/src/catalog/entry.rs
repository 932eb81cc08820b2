//! One model's prices, compiled: periods, variants and multipliers in the order in which they are tried.

use super::adjust::{Adjustment, StandIn};
use super::context::PriceContext;
use super::fields::Date;
use super::layers::Problem;
use super::plain::Plain;
use super::rates::{Factor, RateSet, Sheet, quantity};
use super::schema::{self, Mode};
use super::when::When;
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::values::scope::Label;
use crate::values::{Bucket, Timestamp};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::{Arc, OnceLock};

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

/// Prices of one stretch of time.
#[derive(Clone, Debug)]
pub(super) struct Period {
    span: Span,
    pub(super) base: Sheet,
    /// Most specific first; of equal conditions, the one that starts last first. The first that holds wins.
    pub(super) variants: Box<[RateVariant]>,
    pub(super) multipliers: Box<[Multiplier]>,
    /// The worst case of ordinary requests, if it can be prepared; prepared for the first of them.
    pub(super) plain: OnceLock<Option<Box<Plain>>>,
}

/// `[from, to)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    from: Timestamp,
    to: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct RateVariant {
    /// Its place among the period's variants.
    pub(super) at: u16,
    pub(super) when: When,
    pub(super) span: Span,
    pub(super) sheet: Sheet,
}

#[derive(Clone, Debug)]
pub(super) struct Multiplier {
    pub(super) when: When,
    pub(super) span: Span,
    pub(super) factor: Factor,
    /// One bit per rate key that is left alone.
    except: u64,
    pub(super) origin: Origin,
}

/// Where a multiplier comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The provider's modifiers.
    Modifier,
    /// The period's variant at this place.
    Variant(u16),
    /// The configuration's override at this place.
    Override(u32),
    /// `batch_default = "half"`.
    HalfBatch,
}

/// A provider's modifier, compiled once for all its models.
#[derive(Debug)]
pub(super) struct SharedModifier {
    file: schema::Modifier,
    pub(super) compiled: Multiplier,
}

impl Span {
    pub(super) const ALWAYS: Self = Self { from: Timestamp::from_nanos(i64::MIN), to: Timestamp::MAX };

    fn new(from: Option<Date>, to: Option<Date>) -> Self {
        let since_ever = Timestamp::from_nanos(i64::MIN);
        Self { from: from.map_or(since_ever, |date| date.0), to: to.map_or(Timestamp::MAX, |date| date.0) }
    }

    fn is_unbounded(&self) -> bool {
        self.from == Timestamp::from_nanos(i64::MIN) && self.to == Timestamp::MAX
    }

    #[inline]
    pub(super) fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

impl Multiplier {
    fn new(
        when: &schema::When,
        span: Span,
        factor: Factor,
        except: &[Bucket],
        origin: Origin,
    ) -> std::result::Result<Self, Problem> {
        Ok(Self::of(compile_when(when)?, span, factor, except, origin))
    }

    pub(super) fn of(when: When, span: Span, factor: Factor, except: &[Bucket], origin: Origin) -> Self {
        let except = except.iter().fold(0, |mask, key| mask | 1u64 << key.index());
        Self { when, span, factor, except, origin }
    }

    /// Leaves another rate key alone.
    pub(super) fn spare(&mut self, key: Bucket) {
        self.except |= 1u64 << key.index();
    }

    /// Whether it holds or not at any time.
    pub(super) fn is_timeless(&self) -> bool {
        self.span.is_unbounded() && self.when.is_timeless()
    }

    /// Whether it applies to a rate of this key.
    #[inline]
    pub(super) fn covers(&self, key: Bucket) -> bool {
        self.covers_all(1u64 << key.index())
    }

    /// Whether it applies to every key of a bit mask.
    #[inline]
    pub(super) fn covers_all(&self, keys: u64) -> bool {
        self.except & keys == 0
    }
}

impl RateVariant {
    /// Whether it holds or not at any time.
    pub(super) fn is_timeless(&self) -> bool {
        self.span.is_unbounded() && self.when.is_timeless()
    }
}

impl SharedModifier {
    pub(super) fn new(file: &schema::Modifier) -> std::result::Result<Self, Problem> {
        let span = Span::new(file.from, None);
        let compiled = Multiplier::new(&file.when, span, file.multiply, &file.except, Origin::Modifier)?;
        Ok(Self { file: file.clone(), compiled })
    }

    /// As the file has it.
    pub(super) fn file(&self) -> &schema::Modifier {
        &self.file
    }
}

fn compile_when(when: &schema::When) -> std::result::Result<When, Problem> {
    When::new(when).map_err(|(key, why)| Problem::new(why).at(key).at("when"))
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

    fn compile_adjusted(
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
        let modifiers = self.modifiers.iter().map(|shared| &shared.file);
        self.file.prices == other.file.prices
            && self.file.minimum == other.file.minimum
            && modifiers.eq(other.modifiers.iter().map(|shared| &shared.file))
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

    /// The entry as JSON: everything that pricing needs, so that another process prices alike.
    #[must_use]
    pub fn to_json(&self) -> String {
        let modifiers = self.shared_modifiers().iter().map(|shared| &shared.file).collect();
        let carried = Carried {
            adjustment: self.adjustment().map(std::borrow::Cow::Borrowed),
            provider: self.provider.to_string(),
            model: self.model.to_string(),
            file: std::borrow::Cow::Borrowed(&self.file),
            modifiers: Modifiers::Borrowed(modifiers),
        };
        serde_json::to_string(&carried).unwrap_or_default()
    }

    /// Reads what [`ModelEntry::to_json`] wrote.
    ///
    /// # Errors
    /// `token_invalid`.
    pub fn from_json(text: &str) -> Result<Self> {
        let damaged = |why: String| Error::new(Code::TokenInvalid, format!("not a price entry: {why}"));
        let carried: Carried<'_> = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let modifiers = match carried.modifiers {
            Modifiers::Owned(files) => {
                files.iter().map(|file| SharedModifier::new(file).map(Arc::new)).collect()
            }
            Modifiers::Borrowed(_) => Ok(Box::default()),
        };
        let compiled = modifiers.and_then(|modifiers| {
            let (provider, model) = (carried.provider.into(), carried.model.into());
            let adjustment = carried.adjustment.map(std::borrow::Cow::into_owned);
            Self::compile_adjusted(provider, model, carried.file.into_owned(), modifiers, adjustment)
        });
        compiled.map_err(|problem| damaged(problem.message))
    }
}

/// A [`ModelEntry`] on its way to another process.
#[derive(Serialize, Deserialize)]
struct Carried<'a> {
    provider: String,
    model: String,
    #[serde(flatten)]
    file: std::borrow::Cow<'a, schema::Model>,
    #[serde(default)]
    modifiers: Modifiers<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    adjustment: Option<std::borrow::Cow<'a, Adjustment>>,
}

/// Borrowed to write, owned when read.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Modifiers<'a> {
    #[serde(skip_deserializing)]
    Borrowed(Vec<&'a schema::Modifier>),
    Owned(Vec<schema::Modifier>),
}

impl Default for Modifiers<'_> {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

impl Period {
    fn compile(
        file: &schema::Period,
        next: Option<Date>,
        modifiers: &[Arc<SharedModifier>],
    ) -> std::result::Result<Self, Problem> {
        if file.rates.is_empty() {
            return Err(
                Problem::new("has no rates").hint("a period needs `rates`; for a free model write \"0\"")
            );
        }
        let (mut variants, mut multipliers) = (Vec::new(), Vec::new());
        for (index, variant) in file.variants.iter().enumerate() {
            let here = |problem: Problem| problem.at_index(index).at("variants");
            if variant.rates.is_empty() && variant.over.is_empty() && variant.multiply.is_none() {
                return Err(here(Problem::new("changes nothing").hint("add `rates` or `multiply`")));
            }
            let span = Span::new(variant.from, variant.to);
            if let Some(factor) = variant.multiply {
                let origin = Origin::Variant(place(index));
                let multiplier = Multiplier::new(&variant.when, span, factor, &variant.except, origin);
                multipliers.push(multiplier.map_err(here)?);
            }
            if !(variant.rates.is_empty() && variant.over.is_empty()) {
                let when = compile_when(&variant.when).map_err(here)?;
                variants.push((
                    index,
                    RateVariant { at: place(index), when, span, sheet: variant_sheet(file, variant) },
                ));
            }
        }
        check_ties(&variants)?;
        check_scale(&multipliers, modifiers)?;
        let mut variants: Vec<RateVariant> = variants.into_iter().map(|(_, variant)| variant).collect();
        variants.sort_by(|a, b| {
            b.when.specificity().cmp(&a.when.specificity()).then(b.span.from.cmp(&a.span.from))
        });
        Ok(Self {
            span: Span::new(file.from, file.to.or(next)),
            base: Sheet::new(&file.rates, &thresholds(&file.over)),
            variants: variants.into(),
            multipliers: multipliers.into(),
            plain: OnceLock::new(),
        })
    }

    /// The lengths of input at which any of its rates change.
    pub(super) fn thresholds(&self) -> impl Iterator<Item = u64> {
        let sheets = self.variants.iter().map(|variant| &variant.sheet);
        sheets.chain(std::iter::once(&self.base)).flat_map(Sheet::thresholds)
    }

    /// The rates for a context: those of the most specific variant that holds, else the base.
    #[inline]
    pub(super) fn sheet(&self, context: &PriceContext, tier: Option<super::Tier>) -> &Sheet {
        self.variant(context, tier).map_or(&self.base, |variant| &variant.sheet)
    }
}

fn place(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

/// The base rates with what the variant names put over them. Length tiers: the variant's own, if it has any.
fn variant_sheet(period: &schema::Period, variant: &schema::Variant) -> Sheet {
    let mut rates = period.rates.clone();
    rates.overlay(&variant.rates);
    Sheet::new(&rates, &thresholds(if variant.over.is_empty() { &period.over } else { &variant.over }))
}

fn thresholds(over: &[schema::Over]) -> Vec<(u64, &RateSet)> {
    over.iter().map(|tier| (tier.input_gt, &tier.rates)).collect()
}

/// Two rate variants with equally many conditions that one request can meet have no winner, unless a third has the
/// conditions of both.
fn check_ties(variants: &[(usize, RateVariant)]) -> std::result::Result<(), Problem> {
    for (at, (index, one)) in variants.iter().enumerate() {
        for (_, other) in variants.iter().skip(at + 1) {
            let tie = one.when.specificity() == other.when.specificity()
                && !one.when.same(&other.when)
                && one.when.compatible(&other.when);
            let settled = || variants.iter().any(|(_, third)| third.when.same(&one.when.union(&other.when)));
            if tie && !settled() {
                return Err(Problem::new(
                    "one request can meet this variant and another with as many conditions",
                )
                .hint("add a variant with the conditions of both, or write one of them as `multiply`")
                .at_index(*index)
                .at("variants"));
            }
        }
    }
    Ok(())
}

/// The product of all multipliers must stay exact.
pub(super) fn check_scale(
    own: &[Multiplier],
    shared: &[Arc<SharedModifier>],
) -> std::result::Result<(), Problem> {
    let all = own.iter().chain(shared.iter().map(|modifier| &modifier.compiled));
    let scale: u32 = all.map(|multiplier| multiplier.factor.scale()).sum();
    if scale > Factor::SCALE_MAX {
        let message = format!(
            "the multipliers together have {scale} decimals, at most {} are exact",
            Factor::SCALE_MAX
        );
        return Err(Problem::new(message).at("variants"));
    }
    Ok(())
}
