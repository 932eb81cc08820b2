//! A model of another tool's file, being put together: rates, length tiers, variants; and the variants that are
//! needed so that no request meets two of equal rank.

use crate::catalog::rates::{Factor, Rate, RateSet};
use crate::catalog::schema::{Over, Variant, When};
use crate::catalog::when;
use crate::values::Bucket;
use std::collections::BTreeMap;

/// Most conditions under which an entry has prices, most lengths, most periods: what is more is left out.
pub(super) const CONDITIONS_MAX: usize = 64;
pub(super) const LENGTHS_MAX: usize = 64;
pub(super) const PERIODS_MAX: usize = 64;
/// Most variants of one period that are made to settle ties.
const SETTLED_MAX: usize = 64;

/// Rates by length.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sheet {
    pub(super) rates: RateSet,
    /// By `input_gt`.
    pub(super) over: BTreeMap<u64, RateSet>,
}

impl Sheet {
    /// Whether there is room for one more length.
    pub(super) fn has_room(&self, over: Option<u64>) -> bool {
        over.is_none_or(|over| self.over.contains_key(&over) || self.over.len() < LENGTHS_MAX)
    }

    pub(super) fn set(&mut self, over: Option<u64>, bucket: Bucket, rate: Rate) {
        let set = match over {
            Some(threshold) => self.over.entry(threshold).or_default(),
            None => &mut self.rates,
        };
        set.set(bucket, rate);
    }

    /// Every length tier names what `from` names for the same length: a tier of a variant replaces it.
    pub(super) fn complete_over(&mut self, from: &Sheet) {
        for (threshold, rates) in &mut self.over {
            let Some(wider) = from.over.get(threshold) else { continue };
            let mut all = wider.clone();
            all.overlay(rates);
            *rates = all;
        }
    }

    pub(super) fn into_over(self) -> (RateSet, Vec<Over>) {
        let over = self.over.into_iter().map(|(input_gt, rates)| Over { input_gt, rates }).collect();
        (self.rates, over)
    }
}

/// A variant with rates.
pub(super) fn variant(when: When, sheet: Sheet) -> Variant {
    let (rates, over) = sheet.into_over();
    Variant { when, rates, over, ..Variant::default() }
}

/// A variant that multiplies.
pub(super) fn multiplier(when: When, factor: Factor, except: Vec<Bucket>) -> Variant {
    Variant { when, multiply: Some(factor), except, ..Variant::default() }
}

fn has_rates(variant: &Variant) -> bool {
    !(variant.rates.is_empty() && variant.over.is_empty())
}

/// The conditions of both; where both name one, `second` wins.
pub(super) fn both(first: &When, second: &When) -> When {
    let text = |a: &Option<String>, b: &Option<String>| b.clone().or_else(|| a.clone());
    let timed = |w: &When| !(w.utc.is_empty() && w.weekdays.is_empty());
    let time = if timed(second) { second } else { first };
    let mut label = first.label.clone();
    label.0.retain(|(key, _)| !second.label.0.iter().any(|(other, _)| other == key));
    label.0.extend(second.label.0.iter().cloned());
    When {
        tier: second.tier.or(first.tier),
        speed: text(&first.speed, &second.speed),
        geo: text(&first.geo, &second.geo),
        region: text(&first.region, &second.region),
        route: text(&first.route, &second.route),
        endpoint: text(&first.endpoint, &second.endpoint),
        thinking: second.thinking.or(first.thinking),
        search_context: text(&first.search_context, &second.search_context),
        search_type: text(&first.search_type, &second.search_type),
        size: text(&first.size, &second.size),
        quality: text(&first.quality, &second.quality),
        resolution: text(&first.resolution, &second.resolution),
        utc: time.utc.clone(),
        weekdays: time.weekdays.clone(),
        calendar: time.calendar.clone(),
        clock: time.clock,
        label,
    }
}

/// Adds, for every two variants that one request can meet and neither of which wins, the one with the conditions of
/// both: the later one's rates over the earlier one's. What cannot be settled is taken out and returned.
pub(super) fn settle(variants: &mut Vec<Variant>) -> Vec<When> {
    for _ in 0..SETTLED_MAX {
        let Some((first, second)) = tie(variants) else { return Vec::new() };
        let (Some(one), Some(other)) = (variants.get(first), variants.get(second)) else { break };
        let mut rates = one.rates.clone();
        rates.overlay(&other.rates);
        let over = if other.over.is_empty() { one.over.clone() } else { other.over.clone() };
        let union = Variant { when: both(&one.when, &other.when), rates, over, ..Variant::default() };
        if variants.iter().any(|known| known.when == union.when) {
            // Two values of one dimension, `eu` and `!global`: nothing is more specific than both.
            break;
        }
        variants.push(union);
    }
    let mut lost = Vec::new();
    while let Some((_, second)) = tie(variants) {
        lost.push(variants.remove(second).when);
    }
    lost
}

/// The first two variants with rates that tie and that no third one settles.
pub(super) fn tie(variants: &[Variant]) -> Option<(usize, usize)> {
    // Almost every model has nothing but tiers, which exclude each other.
    let plain = |variant: &&Variant| has_rates(variant) && variant.when != only_tier(&variant.when);
    variants.iter().find(plain)?;
    let compiled: Vec<(usize, when::When)> = variants
        .iter()
        .enumerate()
        .filter(|(_, variant)| has_rates(variant))
        .filter_map(|(at, variant)| Some((at, when::When::new(&variant.when).ok()?)))
        .collect();
    for (at, (index, one)) in compiled.iter().enumerate() {
        for (other_index, other) in compiled.iter().skip(at + 1) {
            let tie = one.specificity() == other.specificity() && !one.same(other) && one.compatible(other);
            let settled = || compiled.iter().any(|(_, third)| third.same(&one.union(other)));
            if tie && !settled() {
                return Some((*index, *other_index));
            }
        }
    }
    None
}

fn only_tier(when: &When) -> When {
    When { tier: when.tier, ..When::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(when: &str, input: &str) -> Variant {
        let mut sheet = Sheet::default();
        sheet.set(None, Bucket::Input, Rate::parse(input).unwrap());
        variant(serde_json::from_str(when).unwrap(), sheet)
    }

    #[test]
    fn ties_are_settled_by_the_conditions_of_both() {
        let mut variants = vec![
            with(r#"{"tier": "batch"}"#, "1"),
            with(r#"{"tier": "flex"}"#, "2"),
            with(r#"{"geo": "eu"}"#, "3"),
        ];
        assert!(settle(&mut variants).is_empty());
        assert_eq!(variants.len(), 5);
        let union = &variants[3];
        assert_eq!((union.when.geo.as_deref(), union.rates.0[0].1), (Some("eu"), Rate::parse("3").unwrap()));
        assert_eq!(tie(&variants), None);
    }

    #[test]
    fn what_cannot_be_settled_is_named() {
        let keys = ["speed", "geo", "region", "route", "endpoint", "size", "quality", "resolution"];
        let mut variants: Vec<Variant> =
            keys.iter().map(|key| with(&format!(r#"{{"{key}": "x"}}"#), "1")).collect();
        let lost = settle(&mut variants);
        assert!(!lost.is_empty() && tie(&variants).is_none(), "{} lost", lost.len());
    }
}
