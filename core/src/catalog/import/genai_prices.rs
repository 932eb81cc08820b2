//! genai-prices' `data.json`: providers with models, each with a match clause, prices (one set, or a list of which the
//! last that is in force wins) and, in the newer files, variants per request. All versions are read: the array of
//! providers of versions 1 and 2, and the object with `units` and `providers`.

use super::clause::Clause;
use super::draft::{CONDITIONS_MAX, PERIODS_MAX, Sheet, both, settle};
use super::genai_keys::bucket;
use super::number::{self, NoPrice, Unit};
use super::report::FileReport;
use super::{Imported, Seller, draft, hours, litellm};
use crate::catalog::fields::Date;
use crate::catalog::rates::RateSet;
use crate::catalog::schema::{Model, Period, Variant, When};
use crate::values::Bucket;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Provider<'a> {
    id: String,
    #[serde(default)]
    fallback_model_providers: Option<Vec<String>>,
    #[serde(default, borrow)]
    models: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    id: String,
    #[serde(default, borrow, rename = "match")]
    clause: Option<&'a RawValue>,
    #[serde(default, borrow)]
    context_window: Option<&'a RawValue>,
    #[serde(default, borrow)]
    prices: Option<&'a RawValue>,
    #[serde(default, borrow)]
    price_variants: Option<Vec<VariantOf<'a>>>,
}

#[derive(Deserialize)]
struct VariantOf<'a> {
    when: BTreeMap<String, String>,
    #[serde(borrow)]
    prices: Rates<'a>,
    #[serde(default)]
    constraint: Option<Constraint>,
}

#[derive(Deserialize)]
struct Conditional<'a> {
    #[serde(borrow)]
    prices: Rates<'a>,
    #[serde(default)]
    constraint: Option<Constraint>,
}

type Rates<'a> = BTreeMap<String, &'a RawValue>;

#[derive(Clone, Deserialize)]
struct Constraint {
    #[serde(default)]
    start_date: Option<Date>,
    #[serde(default)]
    start_time: Option<String>,
    #[serde(default)]
    end_time: Option<String>,
}

/// Reads the file. What cannot be taken over is in the report.
pub(super) fn read(text: &str, report: &mut FileReport) -> serde_json::Result<(Vec<Imported>, Vec<Seller>)> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        providers: Vec<&'a RawValue>,
    }
    let providers: Vec<&RawValue> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text)?
    } else {
        serde_json::from_str::<Wrapped<'_>>(text)?.providers
    };
    let (mut models, mut sellers) = (Vec::new(), Vec::new());
    for raw in providers {
        let provider: Provider<'_> = match serde_json::from_str(raw.get()) {
            Ok(provider) => provider,
            Err(why) => {
                report.skipped.note("(a provider)", "", &without_line(&why));
                continue;
            }
        };
        let ours = provider_of(&provider.id);
        let fallback = provider.fallback_model_providers.unwrap_or_default();
        let fallback = fallback.iter().map(|id| provider_of(id).to_owned()).collect();
        sellers.push(Seller { id: ours.to_owned(), aliases: Vec::new(), fallback });
        for raw in provider.models {
            models.extend(entry(&provider.id, ours, raw, report));
        }
    }
    Ok((models, sellers))
}

/// Our provider for one of theirs: the names agree, but for two.
fn provider_of(theirs: &str) -> &str {
    match theirs {
        "zai" => "z-ai",
        other => other,
    }
}

fn entry(theirs: &str, ours: &str, raw: &RawValue, report: &mut FileReport) -> Option<Imported> {
    let entry: Entry<'_> = match serde_json::from_str(raw.get()) {
        Ok(entry) => entry,
        Err(why) => {
            report.skipped.note(theirs, "models", &without_line(&why));
            return None;
        }
    };
    let name = format!("{theirs}/{}", entry.id);
    let mut reader = Reader { entry: &name, faults: Vec::new(), report };
    let prices = reader.prices(&entry)?;
    let faults = reader.faults;
    let mut aliases = Vec::new();
    let clause =
        entry.clause.and_then(|raw| Clause::read(raw, &mut |why| report.skipped.note(&name, "match", why)));
    let clause = clause.and_then(|clause| clause.take_names(&mut aliases));
    let max_input_tokens = entry.context_window.and_then(|raw| number::whole(raw.get()));
    let dated = prices.iter().any(|period| period.from.is_some());
    aliases.retain(|alias| !alias.eq_ignore_ascii_case(&entry.id));
    Some(Imported {
        provider: ours.to_owned(),
        entry: name,
        id: entry.id,
        model: Model { aliases, max_input_tokens, prices, ..Model::default() },
        clause,
        faults,
        dated,
    })
}

struct Reader<'r> {
    entry: &'r str,
    faults: Vec<String>,
    report: &'r mut FileReport,
}

/// One element of a model's list of prices.
struct Step {
    from: Option<Date>,
    /// Windows of the day, if it holds only there.
    utc: Vec<String>,
    sheet: Sheet,
}

impl Reader<'_> {
    fn skip(&mut self, field: &str, why: &str) {
        self.report.skipped.note(self.entry, field, why);
    }

    /// The periods of a model; `None` if nothing prices it.
    fn prices(&mut self, entry: &Entry<'_>) -> Option<Vec<Period>> {
        let raw = entry.prices.filter(|raw| raw.get() != "null");
        let Some(raw) = raw else {
            self.skip("", "has no price");
            return None;
        };
        let list: Vec<Conditional<'_>> = match raw.get().starts_with('[') {
            true => serde_json::from_str(raw.get()),
            false => {
                serde_json::from_str(raw.get()).map(|prices| vec![Conditional { prices, constraint: None }])
            }
        }
        .map_err(|why| self.skip("prices", &without_line(&why)))
        .ok()?;
        let variant_count = entry.price_variants.as_ref().map_or(0, Vec::len);
        if list.len() > PERIODS_MAX || variant_count > CONDITIONS_MAX {
            self.skip("prices", "has more prices than are read");
            return None;
        }
        let mut steps = Vec::with_capacity(list.len());
        for conditional in &list {
            let (from, utc) = self.constraint("prices", conditional.constraint.as_ref())?;
            let sheet = self.sheet("prices", &conditional.prices);
            steps.push(Step { from, utc, sheet });
        }
        let mut variants = Vec::new();
        for variant in entry.price_variants.iter().flatten() {
            let Some((from, utc)) = self.constraint("price_variants", variant.constraint.as_ref()) else {
                continue;
            };
            if !utc.is_empty() {
                self.skip("price_variants", "has a variant by the hour");
                continue;
            }
            if variant.prices.is_empty() {
                continue;
            }
            if let Some(when) = self.when(&variant.when) {
                variants.push((when, from, self.sheet("price_variants", &variant.prices)));
            }
        }
        let periods = self.periods(&steps, &variants);
        if periods.is_empty() && self.faults.is_empty() {
            self.skip("", "has no price");
        }
        (!periods.is_empty()).then_some(periods)
    }

    fn constraint(
        &mut self,
        field: &str,
        constraint: Option<&Constraint>,
    ) -> Option<(Option<Date>, Vec<String>)> {
        let Some(constraint) = constraint else { return Some((None, Vec::new())) };
        let clock = |text: &Option<String>| hours::minute(text.as_deref()?);
        match (clock(&constraint.start_time), clock(&constraint.end_time)) {
            (Some(start), Some(end)) if start != end => {
                Some((constraint.start_date, hours::window(start, end)))
            }
            _ if constraint.start_date.is_some() && constraint.start_time.is_none() => {
                Some((constraint.start_date, Vec::new()))
            }
            _ => {
                self.skip(field, "holds under a condition that the catalog does not have");
                None
            }
        }
    }

    fn when(&mut self, conditions: &BTreeMap<String, String>) -> Option<When> {
        let mut when = When::default();
        for (key, value) in conditions {
            match (key.as_str(), litellm::tier(value)) {
                ("processing" | "service_tier", Some(tier)) => when.tier = Some(tier),
                ("speed", _) => when.speed = Some(value.clone()),
                ("route", _) => when.route = Some(value.clone()),
                ("search_type", _) => when.search_type = Some(value.clone()),
                ("region", _) => when.region = Some(value.clone()),
                ("geo" | "inference_geo", _) => when.geo = Some(value.clone()),
                _ => {
                    self.skip(
                        "price_variants",
                        &format!("has a price when `{key}` is {value:?}, which no request says"),
                    );
                    return None;
                }
            }
        }
        (when != When::default()).then_some(when)
    }

    fn sheet(&mut self, place: &str, prices: &Rates<'_>) -> Sheet {
        #[derive(Deserialize)]
        struct Tiered<'a> {
            #[serde(borrow)]
            base: &'a RawValue,
            #[serde(borrow)]
            tiers: Vec<Tier<'a>>,
        }
        #[derive(Deserialize)]
        struct Tier<'a> {
            #[serde(borrow)]
            start: &'a RawValue,
            #[serde(borrow)]
            price: &'a RawValue,
        }
        let mut sheet = Sheet::default();
        for (key, raw) in prices {
            let Some((bucket, unit)) = bucket(key) else {
                if raw.get() != "null" {
                    self.skip(&format!("{place}.{key}"), "is a price that has no place in the catalog");
                }
                continue;
            };
            if !raw.get().starts_with('{') {
                self.put(&mut sheet, key, raw, None, bucket, unit);
                continue;
            }
            let Ok(tiered) = serde_json::from_str::<Tiered<'_>>(raw.get()) else {
                self.skip(&format!("{place}.{key}"), "is not a price by length");
                continue;
            };
            self.put(&mut sheet, key, tiered.base, None, bucket, unit);
            let mut last = None;
            for tier in tiered.tiers {
                let start = number::whole(tier.start.get());
                if start.is_none() || start <= last {
                    self.faults.push(format!("{key}: tiers are not ascending"));
                }
                last = start;
                self.put(&mut sheet, key, tier.price, start, bucket, unit);
            }
        }
        // A key without a tier of its own costs the same at every length.
        let base = sheet.rates.clone();
        let mut longest = base;
        for rates in sheet.over.values_mut() {
            let mut all = longest.clone();
            all.overlay(rates);
            longest.clone_from(&all);
            *rates = all;
        }
        sheet
    }

    fn put(
        &mut self,
        sheet: &mut Sheet,
        key: &str,
        raw: &RawValue,
        over: Option<u64>,
        bucket: Bucket,
        unit: Unit,
    ) {
        match number::price(raw.get(), unit) {
            Ok(_) if !sheet.has_room(over) => self.skip(key, "is one length too many"),
            Ok(price) => {
                if price.rounded {
                    self.report.rounded.note(self.entry, key, "is finer than 10⁻¹² USD and was rounded");
                }
                sheet.set(over, bucket, price.rate);
            }
            Err(NoPrice::NotANumber) if raw.get() == "null" => {}
            Err(NoPrice::Negative) => self.faults.push(format!("{key} is negative")),
            Err(why) => self.skip(key, why.as_str()),
        }
    }

    /// Periods by start date. Of the list, the last element in force wins: one with hours is a variant of every period
    /// that begins before it in the list.
    fn periods(&mut self, steps: &[Step], variants: &[(When, Option<Date>, Sheet)]) -> Vec<Period> {
        let mut starts: Vec<Option<Date>> =
            steps.iter().filter(|step| step.utc.is_empty()).map(|step| step.from).collect();
        starts.extend(variants.iter().map(|(_, from, _)| *from));
        starts.push(None);
        starts.sort();
        starts.dedup();
        let begun = |from: Option<Date>, at: Option<Date>| from.is_none() || from <= at;
        let mut periods: Vec<Period> = Vec::new();
        for start in starts {
            let winner = steps.iter().rposition(|step| step.utc.is_empty() && begun(step.from, start));
            let Some((place, base)) = winner.and_then(|at| Some((at, &steps.get(at)?.sheet))) else {
                continue;
            };
            if base.rates.is_empty() {
                continue;
            }
            let mut all: Vec<Variant> = Vec::new();
            let active: Vec<_> = variants.iter().filter(|(_, from, _)| begun(*from, start)).collect();
            for (at, (when, _, sheet)) in active.iter().enumerate() {
                match active.iter().take(at).find(|(earlier, ..)| earlier == when) {
                    // The first that names a key wins.
                    Some(_) => {
                        if let Some(known) = all.iter_mut().find(|variant| variant.when == *when) {
                            let mut rates = sheet.rates.clone();
                            rates.overlay(&known.rates);
                            known.rates = rates;
                        }
                    }
                    None => all.push(over_base(when.clone(), base, sheet)),
                }
            }
            for step in
                steps.iter().skip(place + 1).filter(|step| !step.utc.is_empty() && begun(step.from, start))
            {
                let when = When { utc: step.utc.clone(), ..When::default() };
                for other in all.iter().filter(|other| other.when.tier.is_some()).cloned().collect::<Vec<_>>()
                {
                    let (rates, over) = (other.rates, other.over);
                    all.push(Variant { when: both(&other.when, &when), rates, over, ..Variant::default() });
                }
                all.push(over_base(when, base, &step.sheet));
            }
            for lost in settle(&mut all) {
                let shown = serde_json::to_string(&lost).unwrap_or_default();
                self.skip(
                    "price_variants",
                    &format!("has a price under {shown} that another price ties with"),
                );
            }
            let (rates, over) = base.clone().into_over();
            let period = Period { from: start, rates, over, variants: all, ..Period::default() };
            let same = periods.last().is_some_and(|last| {
                last.rates == period.rates && last.over == period.over && last.variants == period.variants
            });
            if !same {
                periods.push(period);
            }
        }
        periods
    }
}

/// What a variant changes, at every length: a flat price replaces a price by length.
fn over_base(when: When, base: &Sheet, sheet: &Sheet) -> Variant {
    let mut whole = Sheet { rates: sheet.rates.clone(), over: BTreeMap::new() };
    let lengths: std::collections::BTreeSet<u64> =
        base.over.keys().chain(sheet.over.keys()).copied().collect();
    for length in lengths {
        let at = |sheet: &Sheet| -> RateSet {
            let reached = sheet.over.range(..=length).next_back().map(|(_, rates)| rates);
            reached.unwrap_or(&sheet.rates).clone()
        };
        let mut rates = at(base);
        rates.overlay(&at(sheet));
        whole.over.insert(length, rates);
    }
    draft::variant(when, whole)
}

fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
}
