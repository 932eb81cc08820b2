//! The worst case of an ordinary request, prepared for the first one: no tier, speed, region or media, no
//! server-side tools, and prices that do not depend on the time of day. What is prepared is a rate and a factor per
//! length of input; what is left to do for a call is two multiplications.

use super::context::PriceContext;
use super::cost::{Rounding, amount};
use super::entry::ModelEntry;
use super::period::Period;
use super::rates::{Factor, Rate};
use super::worst::{Bound, CACHE_WRITE, INPUT, OUTPUT};
use crate::values::{AttoUsd, Bucket, Timestamp};

/// The worst case of a period for ordinary requests.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    /// By what the input can be: with cache writes, without.
    writing: Steps,
    reading: Steps,
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
    /// `None` where an ordinary request needs a closer look.
    pub(super) fn of(entry: &ModelEntry, period: &Period) -> Option<Self> {
        let timeless = entry.multipliers(period).all(|multiplier| multiplier.is_timeless())
            && period.variants.iter().all(|variant| variant.is_timeless());
        timeless.then_some(())?;
        Some(Self {
            writing: steps(entry, period, INPUT | CACHE_WRITE)?,
            reading: steps(entry, period, INPUT)?,
        })
    }
}

fn steps(entry: &ModelEntry, period: &Period, input: u64) -> Option<Steps> {
    let context = PriceContext { at: Timestamp::from_nanos(0), ..PriceContext::default() };
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
        let period = self.period(at)?;
        let plain = period.plain.get_or_init(|| Plain::of(self, period).map(Box::new)).as_ref()?;
        let steps = if writes_cache { &plain.writing } else { &plain.reading };
        let (_, input, output) = steps.iter().rev().find(|(from, ..)| input_tokens >= *from)?;
        input.of(input_tokens, Bucket::Input)?.checked_add(output.of(output_tokens, Bucket::Output)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::values::Usage;

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
}
