//! Random entries, settings and usages against a slow reference: the contract again, by fractions, from the JSON of a
//! price file, one rule after the other.

use super::{Adjustment, Catalog, Change, ModelEntry, PriceContext, Resolution, Source, StandIn, Tier};
use crate::values::{Bucket, Timestamp, Usage};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fraction(i128, i128);

impl Fraction {
    fn new(up: i128, down: i128) -> Self {
        let (mut a, mut b) = (up, down);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Self(up / a.max(1), down / a.max(1))
    }

    fn parse(text: &str) -> Self {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        Self::new(format!("{whole}{part}").parse().unwrap(), 10i128.pow(part.len().try_into().unwrap()))
    }

    fn times(self, other: Self) -> Self {
        // Across first, so that nothing grows that need not.
        let (a, b) = (Self::new(self.0, other.1), Self::new(other.0, self.1));
        Self(a.0 * b.0, a.1 * b.1)
    }

    /// In 10⁻¹⁸, half-even.
    fn rounded(self) -> i128 {
        let atto = 10i128.pow(18);
        let (whole, rest) = (self.0 / self.1 * atto, self.0 % self.1 * atto);
        let (down, left) = (whole + rest / self.1, rest % self.1);
        down + i128::from(left * 2 > self.1 || (left * 2 == self.1 && down % 2 == 1))
    }
}

const KEYS: [&str; 9] = [
    "input",
    "input_audio",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "output",
    "output_reasoning",
    "web_search",
    "input_audio_second",
];
const CHAINS: [(&str, &str); 5] = [
    ("input_audio", "input"),
    ("cache_read", "input"),
    ("cache_write_1h", "cache_write"),
    ("cache_write", "input"),
    ("output_reasoning", "output"),
];

type Rates = BTreeMap<String, Fraction>;

fn rates_of(table: &Value) -> Rates {
    let rate = |(key, text): (&String, &Value)| (key.clone(), Fraction::parse(text.as_str().unwrap()));
    table.as_object().into_iter().flatten().map(rate).collect()
}

fn key_of(bucket: &str, rates: &Rates) -> Option<String> {
    let mut key = bucket;
    while !rates.contains_key(key) {
        key = CHAINS.iter().find(|(from, _)| *from == key)?.1;
    }
    Some(key.to_owned())
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// What the settings are, as the reference reads them.
#[derive(Clone, Debug)]
struct Settings {
    changes: Vec<Value>,
    unlisted: Value,
    half_batch: bool,
}

/// Lines (bucket, amount) and what has no rate. `day` sorts as text.
fn reference(
    file: &Value,
    settings: &Settings,
    usage: &[(&str, u64)],
    day: &str,
    when: &Value,
) -> (Vec<(String, i128)>, Vec<String>) {
    let model = &file["models"]["m"];
    let begun = list(model, "prices").iter().filter(|p| p["from"].as_str().unwrap_or("") <= day);
    let period = begun.max_by_key(|p| p["from"].as_str().unwrap_or("").to_owned()).unwrap();
    let total: u64 = usage.iter().filter(|(key, _)| KEYS[..5].contains(key)).map(|(_, n)| n).sum();
    let mut rates = rates_of(&period["rates"]);
    for (key, rate) in rates_of(&settings.unlisted) {
        if key_of(&key, &rates).is_none() {
            rates.insert(key, rate);
        }
    }
    let holds =
        |one: &Value| one["when"].as_object().unwrap().iter().all(|(key, wanted)| when[key] == *wanted);
    let mut over = list(period, "over");
    let variants: Vec<&Value> = list(period, "variants").iter().filter(|v| holds(v)).collect();
    if let Some(variant) = variants.iter().find(|v| !v["rates"].is_null()) {
        rates.extend(rates_of(&variant["rates"]));
        over = if variant["over"].is_null() { over } else { list(variant, "over") };
    }
    let passed = over.iter().filter(|tier| total > tier["input_gt"].as_u64().unwrap());
    if let Some(tier) = passed.max_by_key(|tier| tier["input_gt"].as_u64()) {
        rates.extend(rates_of(&tier["rates"]));
    }
    let spared = |one: &Value| list(one, "except").iter().map(|k| k.as_str().unwrap().to_owned()).collect();
    let mut factors: Vec<(Fraction, Vec<String>)> = Vec::new();
    let multiplying = list(file, "modifiers").iter().filter(|m| holds(m));
    for one in multiplying.chain(variants.iter().copied().filter(|v| !v["multiply"].is_null())) {
        factors.push((Fraction::parse(one["multiply"].as_str().unwrap()), spared(one)));
    }
    let mut conditions = list(period, "variants").iter().chain(list(file, "modifiers"));
    let batches = conditions.any(|one| one["when"]["tier"] == "batch");
    if settings.half_batch && when["tier"] == "batch" && !batches {
        factors.push((Fraction(1, 2), vec!["web_search".into(), "input_audio_second".into()]));
    }
    for change in &settings.changes {
        let begun = change["from"].as_str().unwrap_or("") <= day;
        if !begun || change["to"].as_str().is_some_and(|to| to <= day) {
            continue;
        }
        for (key, rate) in rates_of(&change["rates"]) {
            factors.iter_mut().for_each(|(_, spared)| spared.push(key.clone()));
            rates.insert(key, rate);
        }
        if let Some(text) = change["multiply"].as_str() {
            factors.push((Fraction::parse(text), spared(change)));
        }
    }
    let (mut lines, mut unpriced) = (Vec::new(), Vec::new());
    for (bucket, used) in usage {
        let Some(key) = key_of(bucket, &rates) else {
            unpriced.push((*bucket).to_owned());
            continue;
        };
        let least = model["minimum"][bucket].as_str().map_or(0, |s| s.parse::<u64>().unwrap() * 1000);
        let per = match *bucket {
            "web_search" => 1_000,
            "input_audio_second" => 3_600_000,
            _ => 1_000_000,
        };
        let mut amount = Fraction::new(i128::from((*used).max(least)), per).times(rates[&key]);
        for (factor, _) in factors.iter().filter(|(_, spared)| !spared.contains(&key)) {
            amount = amount.times(*factor);
        }
        lines.push(((*bucket).to_owned(), amount.rounded()));
    }
    (lines, unpriced)
}

fn decimal(digits: u32) -> String {
    format!("{}.{:03}", digits / 1000, digits % 1000)
}

fn rates(must: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let some = prop::collection::btree_map(prop::sample::select(&KEYS[..]), 0u32..90_000, 0..6);
    let needed = prop::collection::vec(0u32..90_000, must.len());
    (some, needed).prop_map(move |(some, needed)| {
        let mut map: Map<String, Value> =
            some.into_iter().map(|(key, digits)| (key.to_owned(), decimal(digits).into())).collect();
        map.extend(must.iter().zip(needed).map(|(key, digits)| ((*key).to_owned(), decimal(digits).into())));
        Value::Object(map)
    })
}

fn over() -> impl Strategy<Value = Value> {
    let tiers = prop::collection::btree_map(
        prop::sample::select(&[1_000u64, 5_000, 20_000][..]),
        rates(&["input"]),
        0..3,
    );
    tiers.prop_map(|tiers| {
        tiers.into_iter().map(|(above, rates)| json!({ "input_gt": above, "rates": rates })).collect()
    })
}

fn factor() -> impl Strategy<Value = String> {
    (1u32..400).prop_map(|digits| format!("{}.{:02}", digits / 100, digits % 100))
}

fn except() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(&KEYS[..]), 0..3)
}

/// Tiers replace rates or multiply; the speed multiplies; no two that replace can meet.
fn period(from: Option<&'static str>) -> impl Strategy<Value = Value> {
    let tier = |name: &'static str| {
        let replacing = (rates(&["output"]), over())
            .prop_map(move |(rates, over)| json!({ "when": { "tier": name }, "rates": rates, "over": over }));
        let multiplying = (factor(), except()).prop_map(
            move |(factor, except)| json!({ "when": { "tier": name }, "multiply": factor, "except": except }),
        );
        prop::option::of(prop_oneof![replacing, multiplying])
    };
    let fast = prop::option::of((factor(), except()).prop_map(
        |(factor, except)| json!({ "when": { "speed": "fast" }, "multiply": factor, "except": except }),
    ));
    (rates(&["input", "output"]), over(), tier("batch"), tier("flex"), fast).prop_map(
        move |(rates, over, a, b, c)| {
            let variants: Vec<Value> = [a, b, c]
                .into_iter()
                .flatten()
                .map(|mut variant| {
                    if variant["over"].as_array().is_some_and(Vec::is_empty) {
                        variant.as_object_mut().unwrap().remove("over");
                    }
                    variant
                })
                .collect();
            let mut period = json!({ "rates": rates, "over": over, "variants": variants });
            if let Some(from) = from {
                period["from"] = from.into();
            }
            period
        },
    )
}

fn file() -> impl Strategy<Value = Value> {
    let when = prop_oneof![Just(json!({ "geo": "us" })), Just(json!({ "tier": "batch" }))];
    let modifier = prop::option::of((when, factor(), except()));
    (period(None), prop::option::of(period(Some("2026-06-01"))), modifier, prop::option::of(1u32..20))
        .prop_map(|(first, second, modifier, least)| {
            let modifiers: Vec<Value> = modifier
                .into_iter()
                .map(|(when, factor, except)| json!({ "when": when, "multiply": factor, "except": except }))
                .collect();
            let prices: Vec<Value> = std::iter::once(first).chain(second).collect();
            let minimum: Map<String, Value> =
                least.into_iter().map(|n| ("input_audio_second".to_owned(), n.to_string().into())).collect();
            json!({ "catalog": 1, "provider": "p", "modifiers": modifiers,
                "models": { "m": { "prices": prices, "minimum": minimum } } })
        })
}

fn settings() -> impl Strategy<Value = Settings> {
    let day = prop::option::of(prop::sample::select(&["2026-03-01", "2026-06-01", "2026-09-01"][..]));
    let change = (
        day,
        any::<bool>(),
        prop_oneof![
            rates(&["output"]).prop_map(|rates| json!({ "rates": rates })),
            (factor(), except()).prop_map(|(factor, except)| json!({ "multiply": factor, "except": except })),
        ],
    )
        .prop_map(|(day, ends, mut change)| {
            if let Some(day) = day {
                change[if ends { "to" } else { "from" }] = day.into();
            }
            change
        });
    let unlisted =
        prop::option::of(rates(&["web_search"])).prop_map(|rates| rates.unwrap_or_else(|| json!({})));
    (prop::collection::vec(change, 0..4), unlisted, any::<bool>())
        .prop_map(|(changes, unlisted, half_batch)| Settings { changes, unlisted, half_batch })
}

fn adjustment(settings: &Settings) -> Adjustment {
    let change = |(at, change): (u32, &Value)| {
        let mut own: Change = serde_json::from_value(change.clone()).unwrap();
        own.at = at;
        own
    };
    let changes = (0u32..).zip(&settings.changes).map(change).collect();
    let unlisted = settings.unlisted.as_object().filter(|map| !map.is_empty());
    Adjustment {
        changes,
        unlisted: unlisted
            .map_or_else(Default::default, |map| serde_json::from_value(Value::Object(map.clone())).unwrap()),
        half_batch: settings.half_batch,
        ..Adjustment::default()
    }
}

fn entry_of(file: &Value, settings: &Settings) -> Option<ModelEntry> {
    let source = Source { name: "p.json".into(), text: file.to_string() };
    // A tie of variants that the generator made is refused at load; there is nothing to price then.
    let catalog = Catalog::build_only(&[source]).ok()?;
    let Resolution::Found { entry, .. } = catalog.resolve(Some("p"), "m") else { panic!("no m") };
    Some(entry.adjust(adjustment(settings)).expect("few decimals"))
}

fn usage_of(used: &BTreeMap<usize, u64>) -> (Usage, Vec<(&'static str, u64)>) {
    let pairs: Vec<_> = used.iter().map(|(at, n)| (KEYS[*at], *n)).collect();
    let usage = pairs.iter().fold(Usage::new(), |u, (key, n)| u.with(Bucket::from_key(key).unwrap(), *n));
    (usage, pairs)
}

fn context(day: &str, tier: Option<&str>, fast: bool, us: bool) -> (PriceContext, Value) {
    let context = PriceContext {
        at: Timestamp::parse(day).unwrap(),
        tier: tier.map(Tier::parse),
        speed: fast.then(|| "fast".into()),
        geo: us.then(|| "us".into()),
        ..PriceContext::default()
    };
    (context, json!({ "tier": tier, "speed": fast.then_some("fast"), "geo": us.then_some("us") }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// To the last digit, line by line; the same after a journey to another process, and as explained.
    #[test]
    fn every_line_is_that_of_the_reference(
        file in file(), settings in settings(),
        used in prop::collection::btree_map(0usize..9, 1u64..40_000, 0..9),
        day in prop::sample::select(&["2026-01-15", "2026-04-15", "2026-07-15", "2026-10-15"][..]),
        tier in prop::option::of(prop::sample::select(&["batch", "flex"][..])),
        fast in any::<bool>(), us in any::<bool>(),
    ) {
        let Some(entry) = entry_of(&file, &settings) else { return Ok(()) };
        let (usage, pairs) = usage_of(&used);
        let (context, when) = context(day, tier, fast, us);
        let (lines, unpriced) = reference(&file, &settings, &pairs, day, &when);
        let cost = entry.cost(&usage, &context);
        let mut own: Vec<_> = cost.lines.iter().map(|line| (line.item.key().to_owned(), line.amount.0)).collect();
        let mut lines = lines;
        own.sort();
        lines.sort();
        prop_assert_eq!(&own, &lines);
        prop_assert_eq!(cost.total.0, lines.iter().map(|(_, amount)| amount).sum::<i128>());
        prop_assert_eq!(cost.unpriced.iter().map(|b| b.key().to_owned()).collect::<std::collections::BTreeSet<_>>(), unpriced.into_iter().collect());
        let carried = ModelEntry::from_json(&entry.to_json()).unwrap();
        prop_assert_eq!(&carried.cost(&usage, &context), &cost);
        let explained = entry.explain(&usage, &context);
        let selected = explained.selected.unwrap();
        prop_assert_eq!(selected.lines.iter().map(|line| line.line).collect::<Vec<_>>(), cost.lines.to_vec());
        for line in &selected.lines {
            let product = line.multipliers.iter().try_fold(super::Factor::ONE, |all, one| all.checked_mul(one.factor));
            prop_assert_eq!(product.unwrap().ratio().map(|(a, b)| Fraction::new(a, b)), line.line.factor.ratio().map(|(a, b)| Fraction::new(a, b)));
        }
    }

    /// No usage within the bounds of a call costs more than its worst case, whatever was agreed.
    #[test]
    fn the_worst_case_of_an_adjusted_entry_is_one(
        file in file(), settings in settings(), input in 1u64..30_000, output in 1u64..10_000,
        shares in prop::collection::vec(0u64..=100, 6), searches in 0u64..5,
        day in prop::sample::select(&["2026-01-15", "2026-07-15", "2026-10-15"][..]),
        tier in prop::option::of(prop::sample::select(&["batch", "flex"][..])), us in any::<bool>(),
    ) {
        let Some(entry) = entry_of(&file, &settings) else { return Ok(()) };
        let (context, _) = context(day, tier, false, us);
        let extra = Usage::new().with(Bucket::WebSearch, searches);
        let Ok(most) = entry.worst_case(input, output, &extra, &context) else { return Ok(()) };
        let mut left = input;
        let mut usage = extra;
        for (bucket, share) in [Bucket::CacheRead, Bucket::CacheWrite, Bucket::CacheWrite1h].into_iter().zip(&shares) {
            let part = left * share / 100;
            usage.set(bucket, part);
            left -= part;
        }
        usage.set(Bucket::Input, left);
        let reasoning = output * shares[5] / 100;
        usage.set(Bucket::OutputReasoning, reasoning);
        usage.set(Bucket::Output, output - reasoning);
        let cost = entry.cost(&usage, &context);
        prop_assert!(cost.total <= most, "{:?} > {:?}", cost, most);
    }

    /// Without lengths and minimums a bill of two calls is the two bills.
    #[test]
    fn linear_prices_add_up(
        input in 0u32..90_000, output in 0u32..90_000, cached in 0u32..90_000,
        a in prop::collection::vec(0u64..1 << 30, 3), b in prop::collection::vec(0u64..1 << 30, 3),
    ) {
        let file = json!({ "catalog": 1, "provider": "p", "models": { "m": { "prices": [{ "rates": {
            "input": decimal(input), "cache_read": decimal(cached), "output": decimal(output) } }] } } });
        let none = Settings { changes: Vec::new(), unlisted: json!({}), half_batch: false };
        let entry = entry_of(&file, &none).unwrap();
        let (context, _) = context("2026-01-15", None, false, false);
        let usage = |n: &[u64]| {
            Usage::new().with(Bucket::Input, n[0]).with(Bucket::CacheRead, n[1]).with(Bucket::Output, n[2])
        };
        let both: Vec<u64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        let cost = |n: &[u64]| entry.cost(&usage(n), &context).total.0;
        prop_assert_eq!(cost(&a) + cost(&b), cost(&both));
    }
}

#[test]
fn what_stands_in_costs_what_it_says() {
    let zero =
        Adjustment { forgiving: true, stand_in: Some(StandIn::ZeroWithWarning), ..Adjustment::default() };
    let entry = ModelEntry::stand_in("p".into(), "m".into(), None, zero).unwrap();
    let usage = Usage::new().with(Bucket::Input, 1_000).with(Bucket::Page, 1);
    let context = PriceContext::default();
    let cost = entry.cost(&usage, &context);
    assert_eq!((cost.total.0, cost.unpriced.len(), cost.lines.len()), (0, 2, 0));
    assert_eq!(entry.worst_case(1_000, 5, &usage, &context).map(|most| most.0), Ok(0));
    let carried = ModelEntry::from_json(&entry.to_json()).unwrap();
    assert_eq!((carried.stands_in(), carried.forgives()), (Some(StandIn::ZeroWithWarning), true));
}
