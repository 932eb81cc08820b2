//! Prices of one stretch of time, compiled: tables, variants and multipliers in the order in which they are tried.

use super::context::PriceContext;
use super::fields::Date;
use super::layers::Problem;
use super::plain::Plain;
use super::rates::{Factor, RateSet, Sheet};
use super::schema;
use super::when::When;
use crate::values::{Bucket, Timestamp};
use std::sync::{Arc, OnceLock};

/// Prices of one stretch of time.
#[derive(Clone, Debug)]
pub(super) struct Period {
    pub(super) span: Span,
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
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
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

impl Period {
    pub(super) fn compile(
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
