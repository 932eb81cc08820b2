//! Holds back prices of other tools' files that are more likely a slip than a price: a unit mistaken by a thousand, a
//! cache read dearer than the input it saves. The entry that was in force stays, and reports say so.

use super::Tier;
use super::rates::{Rate, RateSet};
use super::schema::{Model, Over, Period, When};
use crate::values::{Bucket, Decimal};

/// When a third-party entry is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    ratio: (i128, i128),
    ceiling_pico_usd: i128,
}

impl Default for Quarantine {
    /// A price that moved more than 3×, or above 1,000 USD per million tokens.
    fn default() -> Self {
        Self { ratio: (3, 1), ceiling_pico_usd: 1_000_000_000_000_000 }
    }
}

/// What is the matter with an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) field: String,
    pub(super) why: String,
}

impl Quarantine {
    /// With these bounds. `None`: the ratio is not above 1, or the ceiling is not above 0.
    #[must_use]
    pub fn new(ratio: Decimal, ceiling_nano_usd: i64) -> Option<Self> {
        let (numerator, denominator) = ratio.ratio()?;
        let fits = numerator > denominator && numerator < 1_000_000_000_000 && ceiling_nano_usd > 0;
        let ceiling_pico_usd = i128::from(ceiling_nano_usd).checked_mul(1000)?;
        fits.then_some(Self { ratio: (numerator, denominator), ceiling_pico_usd })
    }

    /// Why a model is held back, if it is. `known` are the periods of the same model in force.
    pub(super) fn fault(&self, model: &Model, known: &[Period]) -> Option<Fault> {
        let one = |period: &Period| self.implausible(period).or_else(|| self.moved(period, known));
        model.prices.iter().find_map(one)
    }

    fn implausible(&self, period: &Period) -> Option<Fault> {
        let base = sheets("", &period.rates, &period.over, &period.rates);
        let mut all = base.clone();
        for variant in &period.variants {
            let mut whole = period.rates.clone();
            whole.overlay(&variant.rates);
            all.extend(sheets(&shown(&variant.when), &whole, &variant.over, &whole));
        }
        for (place, rates) in &all {
            for (bucket, rate) in rates.0.iter().filter(|(bucket, _)| bucket.is_tokens()) {
                if rate.pico_usd() > self.ceiling_pico_usd {
                    let why = format!("is {rate} USD per million, above {}", pico(self.ceiling_pico_usd));
                    return Some(fault(place, *bucket, why));
                }
            }
            for bucket in [Bucket::CacheRead, Bucket::CacheReadAudio, Bucket::CacheReadImage] {
                let fresh = match bucket {
                    Bucket::CacheReadAudio => Bucket::InputAudio,
                    Bucket::CacheReadImage => Bucket::InputImage,
                    _ => Bucket::Input,
                };
                let fresh = rates.get(fresh).or_else(|| rates.get(Bucket::Input));
                if let (Some(cached), Some(fresh)) = (rates.get(bucket), fresh)
                    && cached > fresh
                {
                    return Some(fault(place, bucket, format!("is {cached}, above its input {fresh}")));
                }
            }
        }
        let batch = When { tier: Some(Tier::Batch), ..When::default() };
        for variant in period.variants.iter().filter(|variant| variant.when == batch) {
            for (bucket, rate) in &variant.rates.0 {
                if let Some(standard) = period.rates.get(*bucket).filter(|standard| rate > standard) {
                    return Some(fault(
                        "batch",
                        *bucket,
                        format!("is {rate}, above the standard {standard}"),
                    ));
                }
            }
        }
        not_ascending(&base)
    }

    fn moved(&self, period: &Period, known: &[Period]) -> Option<Fault> {
        if known.is_empty() {
            return None;
        }
        let unlike = |place: &str, rates: &RateSet, of: &dyn Fn(&Period) -> Option<RateSet>| {
            rates.0.iter().find_map(|(bucket, rate)| {
                let mut before = known.iter().filter_map(|period| of(period)?.get(*bucket)).peekable();
                let nearest = *before.peek()?;
                let moved = before.all(|old| self.is_moved(old, *rate));
                moved.then(|| fault(place, *bucket, format!("went from {nearest} to {rate}")))
            })
        };
        unlike("", &period.rates, &|old| Some(old.rates.clone()))
            .or_else(|| {
                period.over.iter().find_map(|tier| {
                    unlike(&format!("over {}", tier.input_gt), &tier.rates, &|old| {
                        Some(old.over.iter().find(|old| old.input_gt == tier.input_gt)?.rates.clone())
                    })
                })
            })
            .or_else(|| {
                period.variants.iter().find_map(|variant| {
                    unlike(&shown(&variant.when), &variant.rates, &|old| {
                        Some(old.variants.iter().find(|old| old.when == variant.when)?.rates.clone())
                    })
                })
            })
    }

    /// Further than the ratio, up or down. From zero everything is a first price; to zero is a move.
    fn is_moved(&self, old: Rate, new: Rate) -> bool {
        let (times, of) = self.ratio;
        let further = |a: Rate, b: Rate| {
            a.pico_usd().checked_mul(of).zip(b.pico_usd().checked_mul(times)).is_none_or(|(a, b)| a > b)
        };
        old.pico_usd() != 0 && (further(new, old) || further(old, new))
    }
}

/// The rates themselves and, over them, those of every length.
fn sheets(place: &str, rates: &RateSet, over: &[Over], base: &RateSet) -> Vec<(String, RateSet)> {
    let mut all = vec![(place.to_owned(), rates.clone())];
    for tier in over {
        let mut whole = base.clone();
        whole.overlay(&tier.rates);
        let dot = if place.is_empty() { "" } else { " " };
        all.push((format!("{place}{dot}over {}", tier.input_gt), whole));
    }
    all
}

fn not_ascending(base: &[(String, RateSet)]) -> Option<Fault> {
    let pairs = base.iter().zip(base.iter().skip(1));
    pairs
        .filter_map(|((_, short), (place, long))| {
            let tokens = long.0.iter().filter(|(bucket, _)| bucket.is_tokens());
            tokens.clone().find_map(|(bucket, rate)| {
                let shorter = short.get(*bucket).filter(|shorter| rate < shorter)?;
                Some(fault(place, *bucket, format!("is {rate}, below the {shorter} of a shorter input")))
            })
        })
        .next()
}

fn shown(when: &When) -> String {
    when.tier.map_or_else(|| serde_json::to_string(when).unwrap_or_default(), |tier| tier.as_str().to_owned())
}

fn pico(amount: i128) -> String {
    Rate::from_pico_usd(amount).map_or_else(|| "the ceiling".to_owned(), |rate| format!("{rate} USD"))
}

fn fault(place: &str, bucket: Bucket, why: String) -> Fault {
    let dot = if place.is_empty() { "" } else { " " };
    Fault { field: format!("{place}{dot}{}", bucket.key()), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(json: &str) -> Model {
        serde_json::from_str(&format!(r#"{{"prices": [{json}]}}"#)).unwrap()
    }

    fn told(new: &str, old: Option<&str>) -> Option<(String, String)> {
        let old = old.map(|old| model(old).prices).unwrap_or_default();
        Quarantine::default().fault(&model(new), &old).map(|fault| (fault.field, fault.why))
    }

    #[test]
    fn slips_are_told() {
        for (new, field) in [
            (r#"{"rates": {"input": "1000.1"}}"#, "input"),
            (r#"{"rates": {"input": "1", "cache_read": "1.1"}}"#, "cache_read"),
            (
                r#"{"rates": {"input": "1"}, "over": [{"input_gt": 5, "rates": {"input": "0.9"}}]}"#,
                "over 5 input",
            ),
            (
                r#"{"rates": {"input": "1"}, "variants": [{"when": {"tier": "batch"}, "rates": {"input": "1.5"}}]}"#,
                "batch input",
            ),
            (
                r#"{"rates": {"input": "1"}, "variants": [{"when": {"tier": "flex"}, "rates": {"cache_read": "1.5"}}]}"#,
                "flex cache_read",
            ),
        ] {
            assert_eq!(told(new, None).map(|(field, _)| field).as_deref(), Some(field), "{new}");
        }
        assert_eq!(
            told(r#"{"rates": {"input": "1000", "cache_read": "1000", "web_search": "5000"}}"#, None),
            None
        );
    }

    #[test]
    fn moves_are_told_both_ways() {
        let old = Some(r#"{"rates": {"input": "1", "output": "0"}}"#);
        assert_eq!(told(r#"{"rates": {"input": "3", "output": "900"}}"#, old), None);
        assert_eq!(
            told(r#"{"rates": {"input": "3.000000000001"}}"#, old).unwrap().1,
            "went from 1 to 3.000000000001"
        );
        assert!(told(r#"{"rates": {"input": "0.333"}}"#, old).is_some());
        assert!(told(r#"{"rates": {"input": "0"}}"#, old).is_some());
        assert_eq!(told(r#"{"rates": {"custom_1": "7"}}"#, old), None);
    }
}
