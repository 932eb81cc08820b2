//! What a call cost: quantity × rate × multipliers per bucket, rounded half-even once to 10⁻¹⁸ USD.

use super::context::{PriceContext, Tier};
use super::entry::ModelEntry;
use super::period::{Multiplier, Period};
use super::rates::{Factor, Rate, Sheet, Table};
use crate::values::usage::Per;
use crate::values::{AttoUsd, Bucket, Usage};
use smallvec::SmallVec;

/// An exact cost, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The sum of the lines; the largest amount there is if `overflow`.
    pub total: AttoUsd,
    /// One line per bucket that was used and priced, in the order of [`Bucket::ALL`].
    pub lines: SmallVec<[Line; 4]>,
    /// Buckets that were used and have no rate, not even by the fallback chain.
    pub unpriced: SmallVec<[Bucket; 2]>,
    /// The amount does not fit: a quantity or a rate that no real call has.
    pub overflow: bool,
}

/// The cost of one bucket, or what the provider reports for a whole call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What was used.
    pub item: Item,
    /// How much is billed: what was used, or the provider's minimum.
    pub quantity: u64,
    /// The price of [`Item::per`] units; of a reported line nothing is known but its amount.
    pub rate: Rate,
    /// The product of the multipliers that apply.
    pub factor: Factor,
    /// The amount.
    pub amount: AttoUsd,
}

/// What a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// What was used of one bucket.
    Bucket(Bucket),
    /// The whole call, as the provider invoices it.
    Reported,
}

impl Item {
    /// The rate key, or `reported`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Bucket(bucket) => bucket.key(),
            Self::Reported => "reported",
        }
    }

    /// The quantity that one rate buys.
    #[must_use]
    pub const fn per(self) -> i128 {
        match self {
            Self::Bucket(bucket) => bucket.per().quantity(),
            Self::Reported => 1,
        }
    }
}

impl Line {
    /// The price of [`Item::per`] units, in USD as text.
    #[must_use]
    pub fn shown_rate(&self) -> String {
        match self.item {
            Item::Bucket(_) => self.rate.to_string(),
            Item::Reported => self.amount.to_string(),
        }
    }
}

impl Cost {
    /// What a provider reports for a whole call.
    pub(crate) fn reported(total: AttoUsd) -> Self {
        let line =
            Line { item: Item::Reported, quantity: 1, rate: Rate::ZERO, factor: Factor::ONE, amount: total };
        Self { total, lines: SmallVec::from_iter([line]), ..Self::default() }
    }
}

/// Nothing, if the amount does not fit.
const OVERFLOW: AttoUsd = AttoUsd(i128::MAX);

impl ModelEntry {
    /// The exact cost of `usage`. The tier of the context is the one that served the call; `auto` takes the
    /// dearest listed one. A flat fee per request counts once when the usage does not say how often.
    #[must_use]
    pub fn cost(&self, usage: &Usage, context: &PriceContext) -> Cost {
        let mut cost = Cost::default();
        self.write_cost(&mut cost, usage, context);
        cost
    }

    /// [`ModelEntry::cost`], written where it stays: into a cost of nothing.
    pub(crate) fn write_cost(&self, cost: &mut Cost, usage: &Usage, context: &PriceContext) {
        let Some(period) = self.period(context.at) else {
            cost.unpriced = usage.iter().map(|(bucket, _)| bucket).collect();
            return;
        };
        match context.tier {
            None | Some(Tier::Standard) => self.cost_in(cost, period, usage, context, None),
            Some(Tier::Auto) => *cost = self.cost_of_dearest(period, usage, context),
            Some(Tier::Provisioned) => {
                self.cost_in(cost, period, usage, context, context.tier);
                tokens_paid_by_the_hour(cost);
            }
            tier => self.cost_in(cost, period, usage, context, tier),
        }
    }

    fn cost_of_dearest(&self, period: &Period, usage: &Usage, context: &PriceContext) -> Cost {
        let of = |tier| {
            let mut cost = Cost::default();
            self.cost_in(&mut cost, period, usage, context, tier);
            cost
        };
        Tier::OF_AUTO.into_iter().map(Some).fold(of(None), |dearest, tier| {
            let cost = of(tier);
            if cost.total > dearest.total { cost } else { dearest }
        })
    }

    fn cost_in(
        &self,
        cost: &mut Cost,
        period: &Period,
        usage: &Usage,
        context: &PriceContext,
        tier: Option<Tier>,
    ) {
        let mut active: SmallVec<[&Multiplier; 4]> = SmallVec::new();
        for multiplier in self.multipliers(period) {
            if multiplier.span.contains(context.at) && multiplier.when.holds(context, tier) {
                active.push(multiplier);
            }
        }
        self.write_lines(cost, period.sheet(context, tier), &active, usage);
    }

    /// A line per bucket.
    #[inline]
    pub(super) fn write_lines(&self, cost: &mut Cost, sheet: &Sheet, active: &[&Multiplier], usage: &Usage) {
        let table = sheet.table(|| usage.total_input());
        for (bucket, quantity) in usage.iter() {
            self.add_line(cost, table, active, bucket, quantity);
        }
        if table.lists(Bucket::Request) && usage.get(Bucket::Request) == 0 && !usage.is_empty() {
            self.add_line(cost, table, active, Bucket::Request, 1);
        }
    }

    #[inline]
    fn add_line(&self, cost: &mut Cost, table: &Table, active: &[&Multiplier], bucket: Bucket, used: u64) {
        let Some(keyed) = table.rate(bucket) else {
            // A model without a fee per request has none; anything else without a rate is not free.
            if bucket != Bucket::Request {
                cost.unpriced.push(bucket);
            }
            return;
        };
        let least =
            self.minimums.iter().find(|(minimum, _)| *minimum == bucket).map_or(0, |(_, least)| *least);
        let quantity = used.max(least);
        let factor = active
            .iter()
            .filter(|multiplier| multiplier.covers(keyed.key))
            .try_fold(Factor::ONE, |product, multiplier| product.checked_mul(multiplier.factor));
        let amount =
            factor.and_then(|factor| amount(quantity, keyed.rate, factor, bucket.per(), Rounding::HalfEven));
        let sum = amount.and_then(|amount| cost.total.checked_add(amount));
        match sum {
            Some(total) if !cost.overflow => cost.total = total,
            _ => (cost.overflow, cost.total) = (true, OVERFLOW),
        }
        cost.lines.push(Line {
            item: Item::Bucket(bucket),
            quantity,
            rate: keyed.rate,
            factor: factor.unwrap_or(Factor::ONE),
            amount: amount.unwrap_or(OVERFLOW),
        });
    }
}

/// Provisioned throughput has no charge per token; what else was used is billed.
#[cold]
fn tokens_paid_by_the_hour(cost: &mut Cost) {
    cost.unpriced.retain(|bucket| !bucket.is_tokens());
    let of_tokens = |line: &&mut Line| matches!(line.item, Item::Bucket(bucket) if bucket.is_tokens());
    for line in cost.lines.iter_mut().filter(of_tokens) {
        (line.rate, line.amount) = (Rate::ZERO, AttoUsd::ZERO);
    }
    let amounts = cost.lines.iter().map(|line| line.amount);
    let total = amounts.into_iter().try_fold(AttoUsd::ZERO, AttoUsd::checked_add);
    (cost.total, cost.overflow) = (total.unwrap_or(OVERFLOW), total.is_none());
}

/// How a line that is not a whole number of 10⁻¹⁸ USD is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// A cost.
    HalfEven,
    /// A bound: up to a whole nano-USD, more than the rounding of all lines of a call together.
    UpToNano,
}

/// `quantity × rate × factor`. `None`: it does not fit.
#[inline]
pub(super) fn amount(
    quantity: u64,
    rate: Rate,
    factor: Factor,
    per: Per,
    rounding: Rounding,
) -> Option<AttoUsd> {
    let exact = product(quantity, rate)?;
    if factor == Factor::ONE && matches!(per, Per::Tokens | Per::Millions) {
        return Some(AttoUsd(exact));
    }
    scaled(exact, factor, per, rounding)
}

/// An amount that is not in whole units, or that something multiplies.
#[inline(never)]
fn scaled(exact: i128, factor: Factor, per: Per, rounding: Rounding) -> Option<AttoUsd> {
    // 10⁻¹² USD per `per` units = 10⁶ × 10⁻¹⁸ USD / `per`.
    let (up, down): (i128, i128) = match per {
        Per::Tokens | Per::Millions => (1, 1),
        Per::Thousands => (1_000, 1),
        Per::Ones => (1_000_000, 1),
        Per::Billions => (1, 1_000),
        Per::Hours => (5, 18),
    };
    let (factor_up, factor_down) = factor.ratio()?;
    let numerator = exact.checked_mul(up)?.checked_mul(factor_up)?;
    let denominator = down.checked_mul(factor_down)?;
    divide(numerator, denominator, rounding).map(AttoUsd)
}

#[inline]
fn product(quantity: u64, rate: Rate) -> Option<i128> {
    match u64::try_from(rate.pico_usd()) {
        // Usual, and one machine multiplication.
        Ok(pico) => i128::try_from(u128::from(quantity).checked_mul(u128::from(pico))?).ok(),
        Err(_) => i128::from(quantity).checked_mul(rate.pico_usd()),
    }
}

/// Neither argument is negative.
#[inline]
fn divide(numerator: i128, denominator: i128, rounding: Rounding) -> Option<i128> {
    if denominator == 1 {
        return Some(numerator);
    }
    let (quotient, rest) = match (u64::try_from(numerator), u64::try_from(denominator)) {
        // Usual, and several times faster than 128 bits.
        (Ok(n), Ok(d)) => (i128::from(n.checked_div(d)?), i128::from(n.checked_rem(d)?)),
        _ => (numerator.checked_div(denominator)?, numerator.checked_rem(denominator)?),
    };
    match rounding {
        _ if rest == 0 => Some(quotient),
        Rounding::HalfEven => {
            let (above, below) = (rest, denominator.checked_sub(rest)?);
            let up = above > below || (above == below && quotient & 1 == 1);
            Some(if up { quotient.checked_add(1)? } else { quotient })
        }
        Rounding::UpToNano => {
            let nano = 1_000_000_000;
            quotient.checked_div(nano)?.checked_add(1)?.checked_mul(nano)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_round_half_even_and_bounds_round_up() {
        let (tiny, one) = (Rate::parse("0.000000000001").unwrap(), Factor::ONE);
        let hours = |quantity, rounding| amount(quantity, tiny, one, Per::Hours, rounding).unwrap().0;
        // 9 ms at 10⁻¹² USD an hour are 2.5 × 10⁻¹⁸ USD, 27 ms are 7.5.
        assert_eq!((hours(9, Rounding::HalfEven), hours(27, Rounding::HalfEven)), (2, 8));
        assert_eq!(hours(18, Rounding::HalfEven), 5);
        assert_eq!((hours(9, Rounding::UpToNano), hours(18, Rounding::UpToNano)), (1_000_000_000, 5));
    }

    #[test]
    fn units_are_those_of_the_schema() {
        let five = Rate::parse("5").unwrap();
        for (per, quantity) in [
            (Per::Tokens, 1_000_000),
            (Per::Millions, 1_000_000),
            (Per::Thousands, 1_000),
            (Per::Ones, 1),
            (Per::Billions, 1_000_000_000),
            (Per::Hours, 3_600_000),
        ] {
            assert_eq!(i128::from(quantity), per.quantity());
            let amount = amount(quantity, five, Factor::ONE, per, Rounding::HalfEven).unwrap();
            assert_eq!(amount.to_string(), "5", "{per:?}");
        }
    }
}
