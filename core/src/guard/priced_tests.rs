//! What stories cannot tell of prices: events, warnings, who sells what a provider inherits, metrics.

use super::{EventKind, Guard, Receipt};
use crate::Call;
use crate::catalog::normalise::Rule;
use crate::values::{Bucket, Usage};
use serde_json::{Value, json};
use std::time::Duration;

const MAKER: &str =
    "catalog = 1\nprovider = \"maker\"\n[[models.m.prices]]\nrates = { input = \"3\", output = \"15\" }";
const GATEWAY: &str = "catalog = 1\nprovider = \"openrouter\"\naliases = [\"or\"]\nfallback = [\"maker\"]";

fn guard(prices: &str) -> Guard {
    let config = format!("[prices]\nbuiltin = false\n{prices}");
    let builder = Guard::builder().config_text("spendrail.toml", &config);
    builder.prices("maker.toml", MAKER).prices("gateway.toml", GATEWAY).build().unwrap()
}

fn reply(cost: &Value) -> Value {
    json!({ "object": "chat.completion", "model": "m", "choices": [],
        "usage": { "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "cost": cost } })
}

fn settle(guard: &Guard, provider: &str, reply: &Value) -> Receipt {
    let call = Call::new(provider, "m").input_tokens(1_000).max_output_tokens(100);
    guard.reserve(&call).unwrap().settle(reply).unwrap()
}

#[test]
fn who_sells_a_call_is_who_was_asked() {
    let guard = guard("");
    // The gateway inherits the maker's prices, and its own figure counts; in any of its names.
    for provider in ["openrouter", "or"] {
        let receipt = settle(&guard, provider, &reply(&json!(0.002)));
        assert_eq!(
            (receipt.total().to_string(), receipt.flag_names()),
            ("0.002".to_owned(), vec!["reported"])
        );
        let reported = receipt.reported.as_ref().unwrap();
        assert_eq!(reported.computed.as_ref().unwrap().total.to_string(), "0.0045");
    }
    // The same entry sold by its maker: the figure is only told. Also by a token.
    let told = settle(&guard, "maker", &reply(&json!(0.002)));
    assert_eq!((told.total().to_string(), told.flag_names().len()), ("0.0045".to_owned(), 0));
    let call = Call::new("or", "m").input_tokens(1_000).max_output_tokens(100);
    let token = guard.reserve(&call).unwrap().detach().unwrap();
    let receipt = guard.settle(&token, &reply(&json!(0.002))).unwrap();
    assert_eq!(receipt.flag_names(), ["reported"]);
}

#[test]
fn settings_are_those_of_the_seller() {
    let guard = guard(
        "deployments = { \"or/prod\" = \"maker/m\" }\nproviders.or.on_unpriced_bucket = { price = { page = \"2\" } }\n\
         [[prices.overrides]]\nprovider = \"or\"\nmodel = \"m\"\nmultiply = \"0.5\"\nexcept = [\"page\"]",
    );
    let used = Usage::new().with(Bucket::Input, 1_000).with(Bucket::Page, 1);
    let cost = |provider: &str, model: &str| {
        let cost = guard.cost(&super::PriceQuery::new(provider, model, used)).unwrap();
        (cost.total.to_string(), cost.unpriced.len())
    };
    // Inherited or mapped to the maker's prices: the invoice is the gateway's all the same.
    assert_eq!(cost("openrouter", "m"), ("0.0035".to_owned(), 0));
    assert_eq!(cost("or", "prod"), ("0.0035".to_owned(), 0));
    assert_eq!(cost("maker", "m"), ("0.003".to_owned(), 1));
    let call = Call::new("or", "prod").input_tokens(1_000).max_output_tokens(0);
    let receipt = guard.reserve(&call).unwrap().settle(&used).unwrap();
    assert_eq!((receipt.posted.0, receipt.reserved.0), (3_500_000, 1_500_000));
}

#[test]
fn a_difference_is_an_event() {
    let guard = guard("");
    let events = guard.subscribe(&[EventKind::CostDiffers]).unwrap();
    // 0.0045 by the catalog: 1 % of the invoice is still alike, a little more is not.
    for (cost, differs) in [(0.0045, false), (0.00446, false), (0.00445, true), (0.0, true), (0.009, true)] {
        let receipt = settle(&guard, "openrouter", &reply(&json!(cost)));
        assert_eq!(receipt.reported.as_ref().unwrap().differs, differs, "{cost}");
        let told = events.next(Duration::from_millis(if differs { 2_000 } else { 0 })).unwrap();
        assert_eq!(told.is_some(), differs, "{cost}");
    }
    // A guess that differs is no news.
    let guessed = guard_with_guess();
    let events = guessed.subscribe(&[EventKind::CostDiffers]).unwrap();
    let call = Call::new("openrouter", "new").input_tokens(1_000).max_output_tokens(100);
    let mut answer = reply(&json!(0.5));
    answer["model"] = "new".into();
    let receipt = guessed.reserve(&call).unwrap().settle(&answer).unwrap();
    assert_eq!(receipt.flag_names(), ["reported"]);
    assert!(events.next(Duration::ZERO).unwrap().is_none());
}

fn guard_with_guess() -> Guard {
    guard("on_unknown_model = { price = { input = \"1\", output = \"1\" } }")
}

#[test]
fn a_figure_that_cannot_be_is_an_anomaly() {
    let guard = guard("");
    for cost in [json!(-0.01), json!(5_000_000)] {
        let receipt = settle(&guard, "openrouter", &reply(&cost));
        assert_eq!(receipt.total().to_string(), "0.0045");
        assert!(receipt.reported.is_none() && receipt.flag_names().is_empty());
        assert_eq!(receipt.anomalies.iter().map(|one| one.rule).collect::<Vec<_>>(), [Rule::ReportedCost]);
    }
}

#[test]
fn what_costs_nothing_is_warned_of_once() {
    let guard = guard("on_unknown_model = \"zero_with_warning\"\non_unpriced_bucket = \"zero_with_warning\"");
    assert_eq!(guard.warnings().unwrap(), Vec::<String>::new());
    for _ in 0..3 {
        let call = Call::new("maker", "new").input_tokens(10).max_output_tokens(10);
        guard.reserve(&call).unwrap().settle(&Usage::new().with(Bucket::Input, 5)).unwrap();
        let call = Call::new("maker", "m").input_tokens(10).max_output_tokens(10);
        guard.reserve(&call).unwrap().settle(&Usage::new().with(Bucket::Page, 1)).unwrap();
    }
    assert_eq!(
        guard.warnings().unwrap(),
        [
            "unknown_model: no price is known for `new` of `maker`, which was posted as 0",
            "unpriced_bucket: `m` of `maker` has no rate for `page`, which was posted as 0",
        ]
    );
}

#[test]
fn an_override_for_nobody_is_warned_of() {
    let guard = guard("[[prices.overrides]]\nprovider = \"makr\"\nmultiply = \"0.5\"");
    let expected = "prices.overrides[0]: the provider `makr` is in no catalog, so it matches nothing";
    assert_eq!(guard.warnings().unwrap(), [expected]);
}

#[test]
fn agreed_prices_have_a_version_of_their_own() {
    let (plain, agreed) = (guard(""), guard("[[prices.overrides]]\nmultiply = \"0.5\""));
    let (plain, agreed) = (plain.price_version().unwrap(), agreed.price_version().unwrap());
    assert!(agreed.starts_with(&*plain) && agreed.len() > plain.len(), "{plain} {agreed}");
}

#[test]
fn many_tenants_have_many_prices() {
    // More than are kept: each is made again and none is mistaken for another.
    let rules: String = (1..=1_500)
        .map(|n| format!("[[prices.overrides]]\nmatch = {{ tenant = \"t{n}\" }}\nmultiply = \"0.{n:04}\"\n"))
        .collect();
    let guard = guard(&rules);
    for n in (1..=1_500).chain(1..=1_500).step_by(7) {
        let mut query = super::PriceQuery::new("maker", "m", Usage::new().with(Bucket::Output, 1_000_000));
        query.scope.tenant = Some(format!("t{n}").into());
        let expected = crate::values::AttoUsd(i128::from(n) * 15 * 10i128.pow(14));
        assert_eq!(guard.cost(&query).unwrap().total, expected);
    }
}
