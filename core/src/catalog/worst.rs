//! What a call can cost at most, before it is made.

use super::context::PriceContext;
use super::cost::{Rounding, amount};
use super::entry::ModelEntry;
use super::period::{Multiplier, Period};
use super::rates::{Factor, Keyed, Rate, Sheet, Table};
use super::when::Holds;
use crate::values::{AttoUsd, Bucket, Usage};
use smallvec::SmallVec;

/// A call can be billed for something that has no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpriced {
    /// What has no rate.
    pub bucket: Bucket,
}

impl std::fmt::Display for Unpriced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no rate for `{}`", self.bucket.key())
    }
}

/// What an input token can turn out to be, whatever the request says.
pub(super) const INPUT: u64 = Bucket::mask(&[Bucket::Input, Bucket::InputTool, Bucket::CacheRead]);
/// What it can be if the request may write to a cache.
pub(super) const CACHE_WRITE: u64 = Bucket::mask(&[
    Bucket::CacheWrite,
    Bucket::CacheWrite5m,
    Bucket::CacheWrite30m,
    Bucket::CacheWrite1h,
    Bucket::CacheWrite12h,
]);
/// What it can be if the request carries media.
const MEDIA: u64 = Bucket::mask(&[
    Bucket::InputAudio,
    Bucket::InputImage,
    Bucket::InputVideo,
    Bucket::CacheReadAudio,
    Bucket::CacheReadImage,
    Bucket::CacheReadVideo,
    Bucket::CacheWriteAudio,
]);
/// What an output token can turn out to be.
pub(super) const OUTPUT: u64 = Bucket::mask(&[
    Bucket::Output,
    Bucket::OutputReasoning,
    Bucket::OutputCitation,
    Bucket::OutputAudio,
    Bucket::OutputImage,
    Bucket::OutputVideo,
]);

/// Every rate key that a token can be priced by, fallbacks included.
const TOKENS: u64 = INPUT | CACHE_WRITE | MEDIA | OUTPUT;

impl ModelEntry {
    /// The most that a call with at most these tokens can cost: each token at the dearest rate it can reach
    /// (cache writes, reasoning, longer input, service tier `auto`, time of day within the next hour), times the
    /// multipliers. `extra` is what the request declares besides: server-side tools, or tokens of a known kind.
    /// An amount that does not fit is the largest there is, which no budget admits.
    ///
    /// # Errors
    /// [`Unpriced`], if a reachable table has no rate for something with a quantity.
    pub fn worst_case(
        &self,
        input_tokens: u64,
        output_tokens: u64,
        extra: &Usage,
        context: &PriceContext,
    ) -> Result<AttoUsd, Unpriced> {
        let Some(period) = self.period(context.at) else {
            return if self.forgives() { Ok(AttoUsd::ZERO) } else { Err(Unpriced { bucket: Bucket::Input }) };
        };
        let bound = Bound::new(self, period, input_tokens.saturating_add(extra.total_input()), context);
        let cache_write = if context.writes_cache == Some(false) { 0 } else { CACHE_WRITE };
        let media = if context.media { MEDIA } else { 0 };
        let input = bound.cost(input_tokens, Bucket::Input, INPUT | cache_write | media)?;
        let mut total = input.saturating_sum(bound.cost(output_tokens, Bucket::Output, OUTPUT)?);
        for (bucket, used) in extra.iter().filter(|(bucket, _)| *bucket != Bucket::Request) {
            let least = self.minimums.iter().find(|(minimum, _)| *minimum == bucket).map_or(0, |(_, n)| *n);
            total = total.saturating_sum(bound.cost(used.max(least), bucket, 0)?);
        }
        // Whoever lists a fee per request bills it at least once.
        if bound.lists(Bucket::Request) {
            let times = extra.get(Bucket::Request).max(1);
            total = total.saturating_sum(bound.request_fee(times));
        }
        Ok(total)
    }
}

/// The tables and multipliers that a call can reach.
pub(super) struct Bound<'a> {
    tables: SmallVec<[&'a Table; 8]>,
    multipliers: SmallVec<[&'a Multiplier; 4]>,
    /// What has no rate costs nothing.
    forgiving: bool,
}

impl<'a> Bound<'a> {
    pub(super) fn new(
        entry: &'a ModelEntry,
        period: &'a Period,
        total_input: u64,
        context: &PriceContext,
    ) -> Self {
        let mut tables = SmallVec::new();
        for sheet in reachable_sheets(period, context) {
            tables.extend(sheet.reachable(total_input));
        }
        let applies = |multiplier: &&Multiplier| {
            multiplier.span.contains(context.at)
                && match multiplier.when.reachable(context) {
                    Holds::Yes => true,
                    Holds::Maybe => multiplier.factor.is_above_one(),
                    Holds::No => false,
                }
        };
        let multipliers = entry.multipliers(period).filter(applies).collect();
        Self { tables, multipliers, forgiving: entry.forgives() }
    }

    /// The most that `quantity` can cost, each unit being a `bucket` or one of the rate keys `kinds`.
    fn cost(&self, quantity: u64, bucket: Bucket, kinds: u64) -> Result<AttoUsd, Unpriced> {
        if quantity == 0 {
            return Ok(AttoUsd::ZERO);
        }
        // Where every multiplier applies to all of them, the dearest rate makes the dearest amount.
        let keys = TOKENS | 1 << bucket.index();
        let alike = self.multipliers.iter().all(|multiplier| multiplier.covers_all(keys));
        let mut most = AttoUsd::ZERO;
        let mut dearest: Option<Keyed> = None;
        for table in &self.tables {
            // What a unit is unless something makes it more.
            let plain = table.rate(bucket);
            if plain.is_none() && !self.forgiving {
                return Err(Unpriced { bucket });
            }
            for keyed in plain.into_iter().chain(table.listed(kinds)) {
                if !alike {
                    most = most.max(self.amount(quantity, keyed, bucket));
                } else if dearest.is_none_or(|so_far| so_far.rate < keyed.rate) {
                    dearest = Some(keyed);
                }
            }
        }
        Ok(dearest.map_or(most, |keyed| self.amount(quantity, keyed, bucket)))
    }

    /// The rate and the factor that make a unit dearest, if that is the same for any quantity: every multiplier
    /// applies to all kinds, and every table has a rate.
    pub(super) fn dearest(&self, bucket: Bucket, kinds: u64) -> Option<(Rate, Factor)> {
        let alike = self.multipliers.iter().all(|multiplier| multiplier.covers_all(TOKENS));
        alike.then_some(())?;
        let mut dearest: Option<Rate> = None;
        for table in &self.tables {
            let plain = table.rate(bucket)?;
            let rates = std::iter::once(plain).chain(table.listed(kinds)).map(|keyed| keyed.rate);
            dearest = rates.max().max(dearest);
        }
        let factors = self.multipliers.iter().map(|multiplier| multiplier.factor);
        Some((dearest?, factors.into_iter().try_fold(Factor::ONE, Factor::checked_mul)?))
    }

    /// Whether any table names a rate for this bucket.
    pub(super) fn lists(&self, bucket: Bucket) -> bool {
        self.tables.iter().any(|table| table.lists(bucket))
    }

    fn request_fee(&self, times: u64) -> AttoUsd {
        let fees = self.tables.iter().filter_map(|table| table.rate(Bucket::Request));
        fees.map(|keyed| self.amount(times, keyed, Bucket::Request)).max().unwrap_or_default()
    }

    fn amount(&self, quantity: u64, keyed: Keyed, bucket: Bucket) -> AttoUsd {
        let covering = self.multipliers.iter().filter(|multiplier| multiplier.covers(keyed.key));
        let factor = covering.copied().try_fold(Factor::ONE, |product, m| product.checked_mul(m.factor));
        let amount = factor.and_then(|f| amount(quantity, keyed.rate, f, bucket.per(), Rounding::UpToNano));
        amount.unwrap_or(AttoUsd(i128::MAX))
    }
}

/// Every set of rates that can price the call: variants that may hold, up to the first that surely does.
fn reachable_sheets<'a>(period: &'a Period, context: &PriceContext) -> SmallVec<[&'a Sheet; 4]> {
    let mut sheets = SmallVec::new();
    for variant in period.variants.iter().filter(|variant| variant.span.contains(context.at)) {
        match variant.when.reachable(context) {
            Holds::No => {}
            Holds::Maybe => sheets.push(&variant.sheet),
            Holds::Yes => {
                sheets.push(&variant.sheet);
                return sheets;
            }
        }
    }
    sheets.push(&period.base);
    sheets
}

trait SaturatingSum {
    fn saturating_sum(self, other: Self) -> Self;
}

impl SaturatingSum for AttoUsd {
    fn saturating_sum(self, other: Self) -> Self {
        AttoUsd(self.0.saturating_add(other.0))
    }
}
