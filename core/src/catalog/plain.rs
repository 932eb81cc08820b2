//! Ordinary calls, prepared for the first one: no tier, speed, region or media, no server-side tools, and prices that
//! do not depend on the time of day. For the worst case a rate and a factor per length of input are prepared, so that
//! two multiplications are left to do; for the cost, which rates are in force, and that nothing multiplies them.

use super::context::PriceContext;
use super::cost::{Cost, Rounding, amount};
use super::entry::ModelEntry;
use super::period::Period;
use super::rates::{Factor, Rate, Sheet};
use super::worst::{Bound, CACHE_WRITE, INPUT, OUTPUT};
use crate::values::{AttoUsd, Bucket, Timestamp, Usage};

/// What a period says of ordinary calls.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    /// `None` where the worst case of an ordinary request needs a closer look.
    worst: Option<Worst>,
    /// `None` where something multiplies the rates.
    rates: Option<Rates>,
}

/// The worst case.
#[derive(Clone, Debug)]
struct Worst {
    /// By what the input can be: with cache writes, without.
    writing: Steps,
    reading: Steps,
}

/// Which rates are in force.
#[derive(Clone, Copy, Debug)]
enum Rates {
    Base,
    /// Those of the variant at this place.
    Variant(usize),
}

/// By length of input, ascending: each step from which input on, and the dearest input and output token.
type Steps = Box<[(u64, Dearest, Dearest)]>;

/// The dearest that one token can be.
#[derive(Clone, Copy, Debug)]
struct Dearest {
    rate: Rate,
    factor: Factor,
}

impl Dearest {
    #[inline]
    fn of(self, tokens: u64, bucket: Bucket) -> Option<AttoUsd> {
        amount(tokens, self.rate, self.factor, bucket.per(), Rounding::UpToNano)
    }
}

impl Plain {
    /// `None` where the time matters.
    pub(super) fn of(entry: &ModelEntry, period: &Period) -> Option<Self> {
        let timeless = entry.multipliers(period).all(|multiplier| multiplier.is_timeless())
            && period.variants.iter().all(|variant| variant.is_timeless());
        timeless.then(|| Self { worst: Worst::of(entry, period), rates: Rates::of(entry, period) })
    }
}

/// A context that states nothing; the instant does not matter.
fn nothing() -> PriceContext {
    PriceContext { at: Timestamp::from_nanos(0), ..PriceContext::default() }
}

impl Rates {
    fn of(entry: &ModelEntry, period: &Period) -> Option<Self> {
        let context = nothing();
        let multiplied = entry.multipliers(period).any(|multiplier| multiplier.when.holds(&context, None));
        let variant = period.variants.iter().position(|variant| variant.when.holds(&context, None));
        (!multiplied).then(|| variant.map_or(Self::Base, Self::Variant))
    }

    #[inline]
    fn sheet(self, period: &Period) -> Option<&Sheet> {
        match self {
            Self::Base => Some(&period.base),
            Self::Variant(at) => period.variants.get(at).map(|variant| &variant.sheet),
        }
    }
}

impl Worst {
    fn of(entry: &ModelEntry, period: &Period) -> Option<Self> {
        Some(Self {
            writing: steps(entry, period, INPUT | CACHE_WRITE)?,
            reading: steps(entry, period, INPUT)?,
        })
    }
}

fn steps(entry: &ModelEntry, period: &Period, input: u64) -> Option<Steps> {
    let context = nothing();
    let mut from: Vec<u64> = period.thresholds().map(super::rates::reachable_from).collect();
    from.push(0);
    from.sort_unstable();
    from.dedup();
    let step = |from: u64| {
        let bound = Bound::new(entry, period, from, &context);
        let dearest = |bucket, kinds| {
            let (rate, factor) = bound.dearest(bucket, kinds)?;
            Some(Dearest { rate, factor })
        };
        // A fee per request, or an output without a rate: not ordinary.
        (!bound.lists(Bucket::Request)).then_some(())?;
        Some((from, dearest(Bucket::Input, input)?, dearest(Bucket::Output, OUTPUT)?))
    };
    from.into_iter().map(step).collect()
}

impl ModelEntry {
    /// [`ModelEntry::worst_case`] of an ordinary request; `None` where that must look closer.
    #[inline]
    pub(crate) fn plain_worst_case(
        &self,
        input_tokens: u64,
        output_tokens: u64,
        writes_cache: bool,
        at: Timestamp,
    ) -> Option<AttoUsd> {
        let worst = self.plain(self.period(at)?)?.worst.as_ref()?;
        let steps = if writes_cache { &worst.writing } else { &worst.reading };
        let (_, input, output) = steps.iter().rev().find(|(from, ..)| input_tokens >= *from)?;
        input.of(input_tokens, Bucket::Input)?.checked_add(output.of(output_tokens, Bucket::Output)?)
    }

    /// [`ModelEntry::write_cost`] of an ordinary call that began at `at`; `None`, and nothing is written, where that
    /// must look closer.
    #[inline]
    pub(crate) fn write_plain_cost(&self, cost: &mut Cost, usage: &Usage, at: Timestamp) -> Option<()> {
        let period = self.period(at)?;
        let sheet = self.plain(period)?.rates?.sheet(period)?;
        self.write_lines(cost, sheet, &[], usage);
        Some(())
    }

    #[inline]
    fn plain<'a>(&'a self, period: &'a Period) -> Option<&'a Plain> {
        period.plain.get_or_init(|| Plain::of(self, period).map(Box::new)).as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    /// Every shipped model, at lengths around every threshold.
    #[test]
    fn what_is_prepared_is_the_worst_case() {
        let (catalog, none, mut prepared) = (Catalog::builtin(), Usage::new(), 0);
        let at = Timestamp::parse("2026-11-20T10:00:00Z").unwrap();
        for entry in catalog.entries() {
            let thresholds = entry.period(at).into_iter().flat_map(Period::thresholds);
            let around = thresholds.flat_map(|above| [above * 9 / 10, above * 9 / 10 + 1, above, above + 1]);
            for (input, writes) in
                around.chain([0, 1, 999_999]).flat_map(|n| [(n, None), (n, Some(false)), (n, Some(true))])
            {
                let Some(plain) = entry.plain_worst_case(input, 77, writes != Some(false), at) else {
                    continue;
                };
                let context = PriceContext { at, writes_cache: writes, ..PriceContext::default() };
                assert_eq!(entry.worst_case(input, 77, &none, &context), Ok(plain), "{}", entry.model());
                prepared += 1;
            }
        }
        assert!(prepared > 500, "{prepared} cases");
    }

    /// Every shipped model, with every kind of thing that can be used.
    #[test]
    fn what_is_prepared_is_the_cost() {
        let (catalog, mut prepared) = (Catalog::builtin(), 0);
        let at = Timestamp::parse("2026-11-20T10:00:00Z").unwrap();
        let context = PriceContext { at, ended_at: Some(at), ..PriceContext::default() };
        for entry in catalog.entries() {
            for (nth, bucket) in Bucket::ALL.iter().enumerate() {
                let long = if nth % 2 == 0 { 300_000 } else { 7 };
                let usage = Usage::new().with(Bucket::Input, long).with(Bucket::Output, 11).with(*bucket, 3);
                let mut plain = Cost::default();
                let Some(()) = entry.write_plain_cost(&mut plain, &usage, at) else { continue };
                assert_eq!(entry.cost(&usage, &context), plain, "{} {}", entry.model(), bucket.key());
                prepared += 1;
            }
        }
        assert!(prepared > 10_000, "{prepared} cases");
    }
}
