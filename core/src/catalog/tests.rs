//! The rules of `mod.rs`, told by examples.

use super::*;
use crate::codes::Code;
use crate::values::{Bucket, Timestamp, Usage};
use serde_json::{Value, json};

fn catalog(files: &[Value]) -> Result<Catalog> {
    let sources = files
        .iter()
        .enumerate()
        .map(|(at, file)| Source { name: format!("{at}.json"), text: file.to_string() });
    Catalog::build_only(&sources.collect::<Vec<_>>())
}

fn file(models: Value) -> Value {
    json!({"catalog": 1, "provider": "p", "models": models})
}

fn found(catalog: &Catalog, model: &str) -> Arc<ModelEntry> {
    match catalog.resolve(Some("p"), model) {
        Resolution::Found { entry, .. } => Arc::clone(entry),
        other => panic!("{model}: {other:?}"),
    }
}

fn entry(model: Value) -> Arc<ModelEntry> {
    found(&catalog(&[file(json!({"m": model}))]).unwrap(), "m")
}

fn usage(pairs: &[(Bucket, u64)]) -> Usage {
    pairs.iter().fold(Usage::new(), |usage, (bucket, quantity)| usage.with(*bucket, *quantity))
}

fn at(text: &str) -> PriceContext {
    PriceContext { at: Timestamp::parse(text).unwrap(), ..Default::default() }
}

/// Worked cases from bug reports and invoices; `not` lists the wrong answers that others gave.
#[test]
fn cost_cases() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("testdata/cost_cases.json")).unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let catalog = catalog(&[case["catalog"].clone()]).unwrap();
        let Resolution::Found { entry, .. } = catalog.resolve(None, "m") else { panic!("{case}") };
        let mut context = at(case["context"]["at"].as_str().unwrap_or("2026-11-20T12:00:00Z"));
        context.tier = case["context"]["tier"].as_str().map(Tier::parse);
        context.geo = case["context"]["geo"].as_str().map(Into::into);
        context.media = case["usage"].get("input_audio").is_some();
        let mut used = Usage::new();
        for (key, quantity) in case["usage"].as_object().unwrap() {
            used.set(Bucket::from_key(key).unwrap(), quantity.as_u64().unwrap());
        }
        let cost = entry.cost(&used, &context);
        assert_eq!(cost.total.to_string(), case["total"].as_str().unwrap(), "{}", case["name"]);
        assert!(cost.unpriced.is_empty() && !cost.overflow);
        let sum = cost.lines.iter().map(|line| line.amount.0).sum::<i128>();
        assert_eq!(sum, cost.total.0);
        // What the call was held for covers what it cost, and the entry prices alike in another process.
        let bound =
            entry.worst_case(used.total_input(), used.total_output(), &counters(&used), &context).unwrap();
        assert!(bound >= cost.total, "{}: {bound} < {}", case["name"], cost.total);
        assert_eq!(ModelEntry::from_json(&entry.to_json()).unwrap().cost(&used, &context), cost);
    }
}

fn counters(used: &Usage) -> Usage {
    used.iter()
        .filter(|(bucket, _)| !bucket.is_tokens())
        .fold(Usage::new(), |sum, (bucket, n)| sum.with(bucket, n))
}

#[test]
fn a_later_file_wins_key_by_key() {
    let base = file(json!({"m": {"aliases": ["n"], "max_output_tokens": 100, "prices": [
        {"rates": {"input": "1", "cache_read": "0.1", "output": "2"},
         "variants": [{"when": {"tier": "batch"}, "rates": {"input": "0.5"}}]},
        {"from": "2026-01-01", "rates": {"input": "3", "output": "4"}}]}}));
    let over = file(json!({"m": {"prices": [{"rates": {"input": "10"},
        "variants": [{"when": {"tier": "batch"}, "rates": {"output": "20"}}]}]}}));
    let catalog = catalog(&[base, over]).unwrap();
    let merged = found(&catalog, "n");
    assert_eq!(merged.max_output_tokens(), Some(100));
    let mega = |bucket| usage(&[(bucket, 1_000_000)]);
    let total = |bucket, context: &PriceContext| merged.cost(&mega(bucket), context).total.to_string();
    let (old, new) = (at("2025-01-01"), at("2026-01-01"));
    let batch = PriceContext { tier: Some(Tier::Batch), ..old.clone() };
    assert_eq!((total(Bucket::Input, &old), total(Bucket::CacheRead, &old)), ("10".into(), "0.1".into()));
    assert_eq!((total(Bucket::Input, &batch), total(Bucket::Output, &batch)), ("0.5".into(), "20".into()));
    assert_eq!(total(Bucket::Input, &new), "3");
}

#[test]
fn replace_and_remove() {
    let base = file(json!({"m": {"prices": [{"rates": {"input": "1", "output": "2"}}]},
                           "x": {"prices": [{"rates": {"input": "1"}}]}}));
    let over =
        file(json!({"m": {"replace": true, "prices": [{"rates": {"input": "5"}}]}, "x": {"remove": true}}));
    let catalog = catalog(&[base, over]).unwrap();
    assert_eq!(catalog.len(), 1);
    assert!(matches!(catalog.resolve(Some("p"), "x"), Resolution::Unknown));
    let cost = found(&catalog, "m").cost(&usage(&[(Bucket::Output, 1)]), &at("2026-01-01"));
    assert_eq!((cost.unpriced.as_slice(), cost.total.0), ([Bucket::Output].as_slice(), 0));
}

#[test]
fn names_resolve_the_same_way_every_time() {
    let prices = json!([{"rates": {"input": "1"}}]);
    let file = json!({"catalog": 1, "provider": "p", "aliases": ["pp"], "hosts": ["api.p.com"], "date_suffix": true,
        "strip_prefixes": ["p/"], "strip_suffixes": [":free"], "fallback": ["q"], "models": {
        "gpt-5": {"prices": prices, "aliases": ["gpt-5-latest"]}, "gpt-5-mini": {"prices": prices},
        "gpt-5.2-2025-12-11": {"prices": prices}, "gpt-5.2": {"prices": prices},
        "ft": {"prices": prices, "patterns": ["ft:gpt-5:**"]}, "ftm": {"prices": prices, "patterns": ["ft:gpt-5:mini-**"]},
        "Qwen/Qwen3": {"same_as": "p/gpt-5"}, "nothing": {"note": "no prices"}}});
    let other = json!({"catalog": 1, "provider": "q", "models": {"gpt-5": {"prices": prices}, "solo": {"prices": prices}}});
    let catalog = catalog(&[file, other]).unwrap();
    for (provider, model, expected) in [
        (Some("p"), "gpt-5", Some(("gpt-5", Via::Exact))),
        (Some("api.p.com"), "GPT-5", Some(("gpt-5", Via::Exact))),
        (Some("PP"), "p/gpt-5:free", Some(("gpt-5", Via::Exact))),
        (Some("p"), "models/gpt-5", Some(("gpt-5", Via::Exact))),
        (Some("p"), "arn:aws:bedrock:us-east-1::foundation-model/gpt-5", Some(("gpt-5", Via::Exact))),
        (Some("p"), "gpt-5-latest", Some(("gpt-5", Via::Alias))),
        (Some("p"), "gpt-5-2025-08-07", Some(("gpt-5", Via::DateSuffix))),
        (Some("p"), "gpt-5@20250807", Some(("gpt-5", Via::DateSuffix))),
        (Some("p"), "gpt-5.2-20251211", Some(("gpt-5.2-2025-12-11", Via::DateSuffix))),
        (Some("p"), "ft:gpt-5:org/a:1", Some(("ft", Via::Pattern))),
        (Some("p"), "ft:gpt-5:mini-2", Some(("ftm", Via::Pattern))),
        (Some("p"), "qwen/qwen3", Some(("Qwen/Qwen3", Via::Exact))),
        (Some("p"), "solo", Some(("solo", Via::Inherited))),
        (None, "gpt-5-mini", Some(("gpt-5-mini", Via::Exact))),
        (None, "solo", Some(("solo", Via::Exact))),
        (None, "p/gpt-5", Some(("gpt-5", Via::Exact))),
        (Some("p"), "gpt-5-turbo", None),
        (Some("p"), "my-gpt-5", None),
        (Some("p"), "nothing", None),
        (Some("r"), "gpt-5", None),
        (Some("q"), "gpt-5-2025-08-07", None),
    ] {
        let answer = match catalog.resolve(provider, model) {
            Resolution::Found { entry, via } => Some((entry.model().to_string(), via)),
            Resolution::Unknown => None,
            Resolution::Ambiguous(_) => panic!("{model} is ambiguous"),
        };
        assert_eq!(answer, expected.map(|(id, via)| (id.to_owned(), via)), "{provider:?} {model}");
    }
    match catalog.resolve(None, "gpt-5") {
        Resolution::Ambiguous(several) => {
            assert_eq!(several.iter().map(|p| &**p).collect::<Vec<_>>(), ["p", "q"])
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_most_specific_variant_wins_and_multipliers_stack() {
    let mega = usage(&[(Bucket::Input, 1_000_000), (Bucket::WebSearch, 1_000)]);
    let priced = entry(json!({"prices": [{"rates": {"input": "100", "web_search": "10"}, "variants": [
        {"when": {"tier": "flex"}, "rates": {"input": "50"}},
        {"when": {"speed": "fast"}, "rates": {"input": "200"}},
        {"when": {"speed": "fast", "tier": "flex"}, "rates": {"input": "150"}},
        {"when": {"geo": "us"}, "multiply": "1.1", "except": ["web_search"]},
        {"when": {"region": "us-*"}, "multiply": "1.5"}]}]}));
    let context = |tier, speed: Option<&str>, geo: Option<&str>, region: Option<&str>| PriceContext {
        tier,
        speed: speed.map(Into::into),
        geo: geo.map(Into::into),
        region: region.map(Into::into),
        ..at("2026-01-01")
    };
    for (context, total) in [
        (context(None, None, None, None), "110"),
        (context(Some(Tier::Standard), None, None, None), "110"),
        (context(Some(Tier::Flex), None, None, None), "60"),
        (context(Some(Tier::Flex), Some("fast"), None, None), "160"),
        (context(None, None, Some("us"), None), "120"),
        (context(None, None, Some("us"), Some("us-east-1")), "180"),
    ] {
        assert_eq!(priced.cost(&mega, &context).total.to_string(), total, "{context:?}");
    }
    // A tie that nothing settles is refused.
    let tie = file(json!({"m": {"prices": [{"rates": {"input": "1"}, "variants": [
        {"when": {"tier": "flex"}, "rates": {"input": "2"}}, {"when": {"speed": "fast"}, "rates": {"input": "3"}}]}]}}));
    let error = catalog(&[tie]).unwrap_err();
    assert_eq!(
        (error.code(), error.field_name()),
        (Code::PricesInvalid, Some("models.m.prices[0].variants[0]"))
    );
}

#[test]
fn the_worst_case_is_the_dearest_that_can_be_reached() {
    let priced = entry(
        json!({"prices": [{"rates": {"input": "1", "cache_write": "2", "output": "5", "output_reasoning": "6", "web_search": "10"},
        "over": [{"input_gt": 200_000, "rates": {"input": "3", "output": "7"}}],
        "variants": [{"when": {"tier": "priority"}, "rates": {"output": "20"}}, {"when": {"tier": "batch"}, "multiply": "0.5"},
            {"when": {"search_type": "preview"}, "multiply": "3", "except": ["input", "cache_write", "output", "output_reasoning"]}]}]}),
    );
    let worst = |input, output, extra: &Usage, tier, writes_cache| {
        let context = PriceContext { tier, writes_cache, ..at("2026-01-01") };
        priced.worst_case(input, output, extra, &context).map(|bound| bound.to_string())
    };
    let none = Usage::new();
    assert_eq!(worst(100_000, 0, &none, None, None).unwrap(), "0.2");
    assert_eq!(worst(100_000, 0, &none, None, Some(false)).unwrap(), "0.1");
    assert_eq!(worst(0, 1_000_000, &none, None, None).unwrap(), "6");
    assert_eq!(worst(0, 1_000_000, &none, Some(Tier::Auto), None).unwrap(), "20");
    assert_eq!(worst(0, 1_000_000, &none, Some(Tier::Batch), None).unwrap(), "3");
    // From 90 % of the threshold on, the long tier can be reached.
    assert_eq!(worst(180_000, 0, &none, None, Some(false)).unwrap(), "0.18");
    assert_eq!(worst(180_001, 0, &none, None, Some(false)).unwrap(), "0.540003");
    assert_eq!(worst(0, 0, &usage(&[(Bucket::WebSearch, 3)]), None, None).unwrap(), "0.09");
    assert_eq!(
        worst(0, 0, &usage(&[(Bucket::CodeSession, 1)]), None, None).unwrap_err().bucket,
        Bucket::CodeSession
    );
    assert_eq!(worst(u64::MAX, u64::MAX, &none, None, None).unwrap(), "184467440737095.51615");
}

#[test]
fn amounts_that_do_not_fit_are_said() {
    let dear = entry(json!({"prices": [{"rates": {"custom_1": "999999999.999999999999", "input": "1"}}]}));
    let cost = dear.cost(&usage(&[(Bucket::Custom1, u64::MAX), (Bucket::Input, 1)]), &at("2026-01-01"));
    assert!(cost.overflow && cost.total.0 == i128::MAX && cost.lines.len() == 2);
    let bound = dear.worst_case(1, 0, &usage(&[(Bucket::Custom1, u64::MAX)]), &at("2026-01-01")).unwrap();
    assert_eq!(bound.0, i128::MAX);
}

#[test]
fn a_fee_per_request_counts_once() {
    let priced = entry(json!({"prices": [{"rates": {"input": "1", "output": "1", "request": "5"}}]}));
    let context = at("2026-01-01");
    assert_eq!(priced.cost(&usage(&[(Bucket::Input, 1_000)]), &context).total.to_string(), "0.006");
    assert_eq!(priced.cost(&Usage::new(), &context).total.to_string(), "0");
    assert_eq!(priced.worst_case(1_000, 0, &Usage::new(), &context).unwrap().to_string(), "0.006");
    let free = entry(json!({"prices": [{"rates": {"input": "1"}}]}));
    assert!(free.cost(&usage(&[(Bucket::Request, 1)]), &context).unpriced.is_empty());
}

#[test]
fn broken_files_say_what_is_wrong() {
    let ok = json!([{"rates": {"input": "1"}}]);
    for (file, path) in [
        (
            file(json!({"m": {"prices": [{"rates": {"input": "1"}}, {"rates": {"input": "2"}}]}})),
            "models.m.prices[1]",
        ),
        (
            file(
                json!({"m": {"prices": [{"from": "2026-02-01", "to": "2026-01-01", "rates": {"input": "1"}}]}}),
            ),
            "models.m.prices[0].to",
        ),
        (
            file(json!({"m": {"prices": [{"variants": [{"when": {"tier": "batch"}, "multiply": "0.5"}]}]}})),
            "models.m.prices[0]",
        ),
        (
            file(
                json!({"m": {"prices": [{"rates": {"input": "1"}, "variants": [{"when": {}, "multiply": "2"}]}]}}),
            ),
            "models.m.prices[0].variants[0].when",
        ),
        (
            file(
                json!({"m": {"prices": [{"rates": {"input": "1"}, "variants": [{"when": {"utc": ["6-7"]}, "multiply": "2"}]}]}}),
            ),
            "models.m.prices[0].variants[0].when.utc",
        ),
        (file(json!({"m": {"same_as": "p/none"}})), "models.m.same_as"),
        (file(json!({"m": {"prices": ok, "minimum": {"page": "0.5"}}})), "models.m.minimum.page"),
        (
            file(json!({"a": {"prices": ok, "aliases": ["x"]}, "b": {"prices": ok, "aliases": ["X"]}})),
            "models.b.aliases",
        ),
        (
            file(json!({"a": {"prices": ok, "patterns": ["x-*"]}, "b": {"prices": ok, "patterns": ["x-?"]}})),
            "models.b.patterns",
        ),
        (json!({"catalog": 1, "provider": "P x", "models": {}}), "provider"),
        (json!({"catalog": 1, "provider": "p", "currency": "EUR", "models": {}}), "currency"),
        (
            json!({"catalog": 1, "providers": {"a.b": {"models": {"m": {"same_as": "x"}}}}}),
            "providers.\"a.b\".models.m.same_as",
        ),
        (json!({"catalog": 1, "provider": "p", "fallback": ["nobody"], "models": {}}), "fallback"),
        (
            json!({"catalog": 1, "providers": {"a": {"aliases": ["x"], "models": {}}, "x": {"models": {}}}}),
            "providers.x.aliases",
        ),
        (json!({"catalog": 1, "providers": {"a": {"providers": {}}}}), "providers.a.providers"),
        (json!({"catalog": 2, "provider": "p", "models": {}}), "catalog"),
        (
            json!({"catalog": 1, "providers": {"a": {"models": {"m": {"prices": [{"rates": {"input": "1"}, "over": [{"input_gt": -1, "rates": {"input": "2"}}]}]}}}}}),
            "providers.a.models.m.prices[0].over[0].input_gt",
        ),
    ] {
        let error = catalog(std::slice::from_ref(&file)).unwrap_err();
        assert_eq!((error.code(), error.file()), (Code::PricesInvalid, Some("0.json")), "{file}");
        assert_eq!(error.field_name(), Some(path), "{error}");
    }
}

/// What is shipped compiles, and a few prices of it as the providers' pages show them.
#[test]
fn the_built_in_catalog() {
    let catalog = Catalog::builtin();
    assert!(catalog.len() > 80 && catalog.version().len() == 12);
    assert_eq!(Catalog::build(&[]).unwrap().version(), catalog.version());
    let mega = usage(&[(Bucket::Input, 200_000), (Bucket::CacheRead, 100_000), (Bucket::Output, 1_000)]);
    let price =
        |provider: &str, model: &str, context: &PriceContext| match catalog.resolve(Some(provider), model) {
            Resolution::Found { entry, .. } => entry.cost(&mega, context).total.to_string(),
            other => panic!("{provider} {model}: {other:?}"),
        };
    let today = at("2026-11-20");
    let batch = PriceContext { tier: Some(Tier::Batch), ..today.clone() };
    let us = PriceContext { geo: Some("us".into()), ..today.clone() };
    for (provider, model, context, total) in [
        ("anthropic", "claude-sonnet-4-6", &today, "0.645"),
        ("anthropic", "claude-sonnet-4-6", &at("2026-01-01"), "1.2825"),
        ("anthropic", "claude-sonnet-4-6", &us, "0.7095"),
        ("anthropic", "claude-sonnet-4-5-20250929", &us, "0.645"),
        ("anthropic", "claude-haiku-5-5", &today, "0.1075"),
        ("openai", "gpt-6-astra", &batch, "2.1375"),
        ("openai", "gpt-4o-2024-08-06", &batch, "0.38"),
        ("openai", "o4-mini-2025-04-16", &today, "0.2519"),
        ("google", "gemini-3.8-flash", &today, "0.16125"),
        ("google", "models/gemini-flash-latest", &at("2027-01-01"), "0.3225"),
        ("google", "gemini-3.8-flash-cyber", &today, "0.3225"),
    ] {
        assert_eq!(price(provider, model, context), total, "{model} {context:?}");
    }
    for (provider, model) in
        [("openai", "gpt-5.4-turbo"), ("google", "gemini-3.8"), ("anthropic", "claude_4_5_haiku")]
    {
        assert!(matches!(catalog.resolve(Some(provider), model), Resolution::Unknown), "{model}");
    }
}

/// The promise behind every hold: whatever a call turns out to use, within what was stated, it costs no more.
mod bound {
    use super::*;
    use proptest::prelude::*;

    const INPUT: &[&str] =
        &["input", "input_audio", "cache_read", "cache_read_audio", "cache_write", "cache_write_1h"];
    const OUTPUT: &[&str] = &["output", "output_reasoning", "output_image"];

    fn rates() -> impl Strategy<Value = Value> {
        let rate = || {
            (0u32..2_000, 0usize..7).prop_map(|(digits, scale)| {
                let text = format!("{digits:07}");
                let (whole, fraction) = text.split_at(7 - scale);
                let whole = whole.trim_start_matches('0');
                format!(
                    "{}{}{fraction}",
                    if whole.is_empty() { "0" } else { whole },
                    if scale == 0 { "" } else { "." }
                )
            })
        };
        let keys = [INPUT, OUTPUT].concat();
        let some = proptest::collection::vec(proptest::option::of(rate()), keys.len());
        (rate(), rate(), some).prop_map(move |(input, output, some)| {
            let mut rates = json!({"input": input, "output": output});
            for (key, rate) in keys.iter().zip(some) {
                if let Some(rate) = rate {
                    rates[key] = json!(rate);
                }
            }
            rates
        })
    }

    prop_compose! {
        fn model()(base in rates(), long in rates(), flex in rates(), fast in rates(), above in 0u64..3_000,
                   factor in 1u32..40, own_over in any::<bool>()) -> Value {
            let over = json!([{"input_gt": above, "rates": long}]);
            let mut priority = json!({"when": {"tier": "priority"}, "rates": fast});
            if own_over {
                priority["over"] = json!([{"input_gt": above / 2, "rates": flex}]);
            }
            json!({"prices": [{"rates": base, "over": over, "variants": [
                {"when": {"tier": "flex"}, "rates": flex}, priority,
                {"when": {"utc": ["12:00-13:00"], "tier": "flex"}, "rates": fast},
                {"when": {"thinking": true}, "multiply": format!("{}.{}", factor / 10, factor % 10), "except": ["cache_read"]}]}]})
        }
    }

    proptest! {
        #[test]
        fn no_call_costs_more_than_its_worst_case(
            model in model(),
            used in proptest::collection::vec(0u64..2_000, INPUT.len() + OUTPUT.len()),
            asked in prop_oneof![Just(None), Just(Some(Tier::Auto)), Just(Some(Tier::Flex)), Just(Some(Tier::Priority))],
            served in prop_oneof![Just(None), Just(Some(Tier::Flex)), Just(Some(Tier::Priority))],
            minute in 0i64..1440, thinking in proptest::option::of(any::<bool>()), slack in 0u64..3,
        ) {
            let priced = entry(model);
            let mut usage = Usage::new();
            for (key, quantity) in [INPUT, OUTPUT].concat().iter().zip(used) {
                usage.set(Bucket::from_key(key).unwrap(), quantity);
            }
            let at = Timestamp::parse("2026-11-20").unwrap().saturating_add_millis(minute * 60_000);
            let before = PriceContext { at, tier: asked, media: true, ..Default::default() };
            let (input, output) = (usage.total_input() + slack, usage.total_output() + slack);
            let bound = priced.worst_case(input, output, &Usage::new(), &before).unwrap();
            let tier = if asked == Some(Tier::Auto) { served } else { asked };
            let after = PriceContext { tier, thinking, ended_at: Some(at.saturating_add_millis(3_600_000)), ..before };
            let cost = priced.cost(&usage, &after);
            prop_assert!(cost.total <= bound, "{} > {bound}", cost.total);
            prop_assert_eq!(ModelEntry::from_json(&priced.to_json()).unwrap().cost(&usage, &after), cost);
        }
    }
}
