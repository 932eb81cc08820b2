//! Rates and multipliers as integers, and the dense table from which a call is priced.

use crate::values::{Bucket, Decimal};
use std::fmt;

/// The price of [`crate::values::usage::Per`] units, in 10⁻¹² USD. At most 9 integer and 12 fraction digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(i128);

impl Rate {
    /// Free.
    pub const ZERO: Self = Self(0);
    /// Most integer digits of a rate.
    pub const WHOLE_DIGITS_MAX: usize = 9;
    /// Most fraction digits of a rate.
    pub const FRACTION_DIGITS_MAX: usize = 12;
    /// One USD.
    const PICO_USD: i128 = 1_000_000_000_000;

    /// Reads what the schema calls a decimal. `None`: it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = digits_of(text)?;
        // Either part fits into 64 bits, which is a fifth of the work of 128.
        let missing = u32::try_from(Self::FRACTION_DIGITS_MAX.checked_sub(fraction.len())?).ok()?;
        let below = number(fraction).checked_mul(10u64.checked_pow(missing)?)?;
        Some(Self(i128::from(number(whole)) * Self::PICO_USD + i128::from(below)))
    }

    /// In 10⁻¹² USD.
    #[must_use]
    pub const fn pico_usd(self) -> i128 {
        self.0
    }

    /// From 10⁻¹² USD. `None`: it is no rate.
    pub(crate) fn from_pico_usd(pico: i128) -> Option<Self> {
        let bound = 10i128.checked_pow(21)?;
        (0..bound).contains(&pico).then_some(Self(pico))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::values::write_scaled(f, self.0, 12)
    }
}

/// The digits before and after the point, if `text` is a plain decimal within the schema's bounds.
fn digits_of(text: &str) -> Option<(&str, &str)> {
    // Byte by byte: of a dozen of them, that is less than a search costs to begin with.
    let point = text.bytes().position(|byte| byte == b'.');
    let (whole, fraction) =
        point.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?))).unwrap_or((text, ""));
    let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let canonical = whole == "0" || !whole.starts_with('0');
    let ok = !whole.is_empty()
        && whole.len() <= Rate::WHOLE_DIGITS_MAX
        && fraction.len() <= Rate::FRACTION_DIGITS_MAX
        && canonical
        && plain(whole)
        && plain(fraction)
        && (text.len() == whole.len() || !fraction.is_empty());
    ok.then_some((whole, fraction))
}

/// At most 12 digits.
fn number(digits: &str) -> u64 {
    digits.bytes().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// An exact multiplier, or a product of several: `digits × 10^-scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Factor {
    digits: i128,
    scale: u32,
}

impl Factor {
    /// Changes nothing.
    pub const ONE: Self = Self { digits: 1, scale: 0 };
    /// Most decimals that the multipliers of one model may have together.
    pub(crate) const SCALE_MAX: u32 = 18;

    /// Reads what the schema calls a decimal. `None`: it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = digits_of(text)?;
        let fraction = fraction.trim_end_matches('0');
        let mut digits: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            digits = digits * 10 + i128::from(byte - b'0');
        }
        Some(Self { digits, scale: u32::try_from(fraction.len()).ok()? })
    }

    /// How many decimals it has.
    pub(crate) const fn scale(self) -> u32 {
        self.scale
    }

    /// Above one: it makes things dearer.
    pub(crate) fn is_above_one(self) -> bool {
        10i128.checked_pow(self.scale).is_some_and(|one| self.digits > one)
    }

    /// Numerator and denominator.
    pub(crate) fn ratio(self) -> Option<(i128, i128)> {
        Some((self.digits, 10i128.checked_pow(self.scale)?))
    }

    /// The product, if it fits.
    #[must_use]
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        let scale = self.scale.checked_add(other.scale).filter(|scale| *scale <= Self::SCALE_MAX)?;
        Some(Self { digits: self.digits.checked_mul(other.digits)?, scale })
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::values::write_scaled(f, self.digits, self.scale)
    }
}

/// The rates that a file names, by bucket, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RateSet(pub(crate) Vec<(Bucket, Rate)>);

impl RateSet {
    pub(crate) fn get(&self, bucket: Bucket) -> Option<Rate> {
        self.0.iter().find(|(key, _)| *key == bucket).map(|(_, rate)| *rate)
    }

    /// Takes over what `later` names, key by key.
    pub(crate) fn overlay(&mut self, later: &RateSet) {
        for (bucket, rate) in &later.0 {
            self.set(*bucket, *rate);
        }
    }

    /// The rate of a bucket is this one.
    pub(crate) fn set(&mut self, bucket: Bucket, rate: Rate) {
        match self.0.iter_mut().find(|(key, _)| *key == bucket) {
            Some(slot) => slot.1 = rate,
            None => self.0.push((bucket, rate)),
        }
    }
}

/// The rate that prices a bucket, and the key it was found under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyed {
    pub(crate) key: Bucket,
    pub(crate) rate: Rate,
}

const NO_RATE: u8 = u8::MAX;

/// One rate or none for every bucket, fallback chains resolved: pricing a bucket is two loads.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    places: [u8; Bucket::COUNT],
    rates: Box<[Keyed]>,
}

impl Table {
    pub(crate) fn new(set: &RateSet) -> Self {
        let rates: Box<[Keyed]> = set.0.iter().map(|(key, rate)| Keyed { key: *key, rate: *rate }).collect();
        let mut places = [NO_RATE; Bucket::COUNT];
        let place = |places: &[u8; Bucket::COUNT], bucket: Bucket| {
            places.get(bucket.index()).copied().unwrap_or(NO_RATE)
        };
        for (at, keyed) in rates.iter().enumerate() {
            if let (Some(slot), Ok(at)) = (places.get_mut(keyed.key.index()), u8::try_from(at)) {
                *slot = at;
            }
        }
        // `FALLBACK` lists targets before those who fall back on them, so one pass resolves whole chains.
        for (bucket, target) in FALLBACK {
            if place(&places, *bucket) == NO_RATE {
                let found = place(&places, *target);
                if let Some(slot) = places.get_mut(bucket.index()) {
                    *slot = found;
                }
            }
        }
        Self { places, rates }
    }

    /// The rate of a bucket by its fallback chain.
    #[inline]
    pub(crate) fn rate(&self, bucket: Bucket) -> Option<Keyed> {
        let place = self.places.get(bucket.index())?;
        self.rates.get(usize::from(*place)).copied()
    }

    /// The rates that the file itself names, of the keys in a bit mask.
    pub(crate) fn listed(&self, keys: u64) -> impl Iterator<Item = Keyed> {
        self.rates.iter().filter(move |keyed| keys & (1 << keyed.key.index()) != 0).copied()
    }

    /// Whether the file itself names a rate for this bucket.
    pub(crate) fn lists(&self, bucket: Bucket) -> bool {
        self.rate(bucket).is_some_and(|keyed| keyed.key == bucket)
    }
}

/// Where a bucket without a rate of its own takes one from: what a cache cannot discount is billed as input, what
/// has no price of its own kind is billed as text. Counters (searches, pages, …) have no fallback.
const FALLBACK: &[(Bucket, Bucket)] = &[
    (Bucket::InputAudio, Bucket::Input),
    (Bucket::InputImage, Bucket::Input),
    (Bucket::InputVideo, Bucket::Input),
    (Bucket::InputTool, Bucket::Input),
    (Bucket::CacheRead, Bucket::Input),
    (Bucket::CacheReadAudio, Bucket::CacheRead),
    (Bucket::CacheReadImage, Bucket::CacheRead),
    (Bucket::CacheReadVideo, Bucket::CacheRead),
    (Bucket::CacheWrite, Bucket::Input),
    (Bucket::CacheWrite5m, Bucket::CacheWrite),
    (Bucket::CacheWrite30m, Bucket::CacheWrite),
    (Bucket::CacheWrite1h, Bucket::CacheWrite),
    (Bucket::CacheWrite12h, Bucket::CacheWrite),
    (Bucket::CacheWriteAudio, Bucket::CacheWrite),
    (Bucket::OutputReasoning, Bucket::Output),
    (Bucket::OutputAudio, Bucket::Output),
    (Bucket::OutputImage, Bucket::Output),
    (Bucket::OutputVideo, Bucket::Output),
    (Bucket::OutputCitation, Bucket::Output),
];

impl Bucket {
    /// Where it takes a rate from, if it has none of its own.
    pub(crate) fn fallback(self) -> Option<Self> {
        FALLBACK.iter().find(|(bucket, _)| *bucket == self).map(|(_, target)| *target)
    }
}

/// The tables of one set of rates by length of the input: a cliff, the highest threshold passed prices all tokens.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    base: Table,
    /// Ascending by threshold.
    over: Box<[(u64, Table)]>,
}

impl Sheet {
    /// `over` in ascending order of thresholds; each replaces the rates that it names.
    pub(crate) fn new(rates: &RateSet, over: &[(u64, &RateSet)]) -> Self {
        let tables = over.iter().map(|(above, named)| {
            let mut set = rates.clone();
            set.overlay(named);
            (*above, Table::new(&set))
        });
        Self { base: Table::new(rates), over: tables.collect() }
    }

    /// The table for this many input tokens, cache reads and writes included.
    #[inline]
    pub(crate) fn table(&self, total_input: impl FnOnce() -> u64) -> &Table {
        if self.over.is_empty() {
            return &self.base;
        }
        let total = total_input();
        self.over.iter().rev().find(|(above, _)| total > *above).map_or(&self.base, |(_, table)| table)
    }

    /// The threshold that so many input tokens exceed, if there is one.
    pub(crate) fn passed(&self, total_input: u64) -> Option<u64> {
        self.over.iter().rev().map(|(above, _)| *above).find(|above| total_input > *above)
    }

    /// Every table that up to `bound` input tokens can reach; a threshold counts as reachable from 90 % of it on,
    /// because providers add tokens of their own.
    pub(crate) fn reachable(&self, bound: u64) -> impl Iterator<Item = &Table> {
        std::iter::once(&self.base).chain(
            self.over
                .iter()
                .filter(move |(above, _)| bound >= reachable_from(*above))
                .map(|(_, table)| table),
        )
    }

    /// The lengths at which the rates change.
    pub(crate) fn thresholds(&self) -> impl Iterator<Item = u64> {
        self.over.iter().map(|(above, _)| *above)
    }
}

/// The shortest input that may turn out longer than `above`: the first whole number beyond 90 % of it.
pub(crate) fn reachable_from(above: u64) -> u64 {
    let tenths = u128::from(above) * 9;
    u64::try_from(tenths / 10 + 1).unwrap_or(u64::MAX)
}

/// What a decimal of the schema looks like, for error messages.
pub(crate) const DECIMAL_HINT: &str =
    "write a decimal as text with at most 9 integer and 12 fraction digits, for example \"0.075\"";

/// A decimal as people may write it in a quantity (`minimum`), in units of the bucket.
pub(crate) fn quantity(bucket: Bucket, text: &str) -> Option<u64> {
    let scale = if matches!(bucket.per(), crate::values::usage::Per::Hours) { 3 } else { 0 };
    digits_of(text)?;
    u64::try_from(Decimal::parse(text).ok()?.at_scale(scale)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_bounded() {
        assert_eq!(Rate::parse("0.003625").unwrap().pico_usd(), 3_625_000_000);
        assert_eq!(Rate::parse("999999999.999999999999").unwrap().to_string(), "999999999.999999999999");
        for bad in ["", ".5", "5.", "01", "1e3", "-1", "1,5", "1000000000", "0.0000000000001", "NaN", " 1"] {
            assert_eq!(Rate::parse(bad), None, "{bad}");
        }
        let factor = Factor::parse("1.10").unwrap().checked_mul(Factor::parse("0.5").unwrap()).unwrap();
        assert_eq!(factor.to_string(), "0.55");
        assert_eq!(quantity(Bucket::InputAudioMs, "10"), Some(10_000));
        assert_eq!(quantity(Bucket::Page, "0.5"), None);
    }

    #[test]
    fn chains_end_at_input_and_output() {
        let set = RateSet(vec![
            (Bucket::Input, Rate::parse("1").unwrap()),
            (Bucket::CacheWrite, Rate::parse("2").unwrap()),
        ]);
        let table = Table::new(&set);
        let key = |bucket| table.rate(bucket).map(|keyed| keyed.key);
        assert_eq!(key(Bucket::CacheWrite1h), Some(Bucket::CacheWrite));
        assert_eq!(key(Bucket::CacheReadAudio), Some(Bucket::Input));
        assert_eq!(key(Bucket::OutputReasoning), None);
        assert_eq!(key(Bucket::WebSearch), None);
    }
}
