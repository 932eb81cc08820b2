//! A receipt, and what was reserved for it, as JSON. A binding writes one per call, so the text is written without
//! building a tree first.

use super::output::failure;
use crate::catalog::normalise::Anomaly;
use crate::catalog::{Cost, Factor, Line};
use crate::guard::{Hold, Receipt, Reported};
use crate::values::Usage;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::fmt::Display;

/// A receipt.
#[must_use]
pub fn receipt(receipt: &Receipt) -> Value {
    value(&ReceiptJson::new(receipt, None))
}

/// The same as text; with `hold`, what was reserved is told under that key.
#[must_use]
pub fn receipt_text(receipt: &Receipt, hold: Option<&HoldFacts>) -> String {
    serde_json::to_string(&ReceiptJson::new(receipt, hold)).unwrap_or_default()
}

/// A hold, right after it was made.
#[must_use]
pub fn hold(hold: &Hold) -> Value {
    value(&HoldFacts::of(hold))
}

/// A cost, line by line.
#[must_use]
pub fn cost(cost: &Cost) -> Value {
    value(&CostJson::new(cost))
}

fn value(answer: &impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap_or_default()
}

/// What a hold reserved. It can be told after the hold is closed.
#[derive(Debug, Serialize)]
pub struct HoldFacts {
    id: Shown<crate::values::Id>,
    held_nano_usd: i64,
    input_tokens: u64,
    output_tokens: u64,
    repeated: bool,
    would_deny: bool,
    failures: Vec<Value>,
}

impl HoldFacts {
    /// Of an open hold.
    #[must_use]
    pub fn of(hold: &Hold) -> Self {
        let (input_tokens, output_tokens) = hold.reserved_tokens();
        Self {
            id: Shown(hold.id()),
            held_nano_usd: hold.reserved().0,
            input_tokens,
            output_tokens,
            repeated: hold.is_repeated(),
            would_deny: hold.would_deny(),
            failures: hold.failures().iter().map(failure).collect(),
        }
    }
}

#[derive(Serialize)]
struct ReceiptJson<'a> {
    id: Shown<crate::values::Id>,
    provider: Option<&'a str>,
    model: &'a str,
    response_model: Option<&'a str>,
    usage: Option<Buckets<'a>>,
    cost: Shown<crate::values::AttoUsd>,
    lines: Lines<'a>,
    posted_nano_usd: i64,
    reserved_nano_usd: i64,
    price_version: &'a str,
    flags: Vec<&'static str>,
    anomalies: Vec<AnomalyJson<'a>>,
    remaining: Left<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reported_cost: Option<Shown<crate::values::AttoUsd>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    computed_cost: Option<Shown<crate::values::AttoUsd>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    computed: Option<CostJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<&'a HoldFacts>,
}

impl<'a> ReceiptJson<'a> {
    fn new(receipt: &'a Receipt, hold: Option<&'a HoldFacts>) -> Self {
        let reported = receipt.reported.as_deref();
        let computed = reported.and_then(|reported: &Reported| reported.computed.as_ref());
        Self {
            id: Shown(receipt.id),
            provider: receipt.provider().map(|provider| &**provider),
            model: receipt.model(),
            response_model: receipt.response_model.as_deref(),
            usage: receipt.usage.as_ref().map(Buckets),
            cost: Shown(receipt.total()),
            lines: Lines(&receipt.cost),
            posted_nano_usd: receipt.posted.0,
            reserved_nano_usd: receipt.reserved.0,
            price_version: receipt.price_version(),
            flags: receipt.flag_names(),
            anomalies: receipt.anomalies.iter().map(AnomalyJson::new).collect(),
            remaining: Left(receipt),
            reported_cost: reported.map(|reported| Shown(reported.cost)),
            computed_cost: computed.map(|computed| Shown(computed.total)),
            computed: computed.map(CostJson::new),
            hold,
        }
    }
}

#[derive(Serialize)]
struct CostJson<'a> {
    cost: Shown<crate::values::AttoUsd>,
    posted_nano_usd: i64,
    lines: Lines<'a>,
    unpriced: Vec<&'static str>,
    overflow: bool,
}

impl<'a> CostJson<'a> {
    fn new(cost: &'a Cost) -> Self {
        Self {
            cost: Shown(cost.total),
            posted_nano_usd: cost.total.posted().0,
            lines: Lines(cost),
            unpriced: cost.unpriced.iter().map(|bucket| bucket.key()).collect(),
            overflow: cost.overflow,
        }
    }
}

#[derive(Serialize)]
struct LineJson<'a> {
    bucket: &'static str,
    quantity: u64,
    rate: String,
    per: i64,
    factor: Shown<&'a Factor>,
    amount: Shown<crate::values::AttoUsd>,
}

fn line(line: &Line) -> LineJson<'_> {
    LineJson {
        bucket: line.item.key(),
        quantity: line.quantity,
        rate: line.shown_rate(),
        per: i64::try_from(line.item.per()).unwrap_or(i64::MAX),
        factor: Shown(&line.factor),
        amount: Shown(line.amount),
    }
}

#[derive(Serialize)]
struct AnomalyJson<'a> {
    rule: &'static str,
    detail: &'a str,
}

impl<'a> AnomalyJson<'a> {
    fn new(anomaly: &'a Anomaly) -> Self {
        Self { rule: anomaly.rule.as_str(), detail: &anomaly.detail }
    }
}

#[derive(Serialize)]
struct RemainingJson<'a> {
    budget: &'a str,
    unit: &'static str,
    available: i64,
}

/// Written as people write it.
#[derive(Debug)]
struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

struct Buckets<'a>(&'a Usage);

impl Serialize for Buckets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(bucket, quantity)| (bucket.key(), quantity)))
    }
}

struct Lines<'a>(&'a Cost);

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.lines.iter().map(line))
    }
}

struct Left<'a>(&'a Receipt);

impl Serialize for Left<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.remaining().map(|(budget, unit, available)| RemainingJson {
            budget,
            unit: unit.as_str(),
            available,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Call;
    use crate::guard::Guard;
    use crate::values::Bucket;

    #[test]
    fn the_text_says_what_the_tree_says() {
        let config = "[[budgets]]\nname = \"b\\\"1\"\nlimit = \"1 USD\"\nwindow = \"day\"";
        let guard = Guard::builder().config_text("t", config).build().unwrap();
        let call = Call::new("anthropic", "claude-sonnet-4-6").input_tokens(1_200).max_output_tokens(500);
        let open = guard.reserve(&call).unwrap();
        let (facts, told) = (HoldFacts::of(&open), hold(&open));
        let usage = Usage::new().with(Bucket::Input, 1_180).with(Bucket::CacheRead, 3);
        let done = open.settle(&usage).unwrap();
        let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        assert_eq!(read(receipt_text(&done, None)), receipt(&done));
        let both = read(receipt_text(&done, Some(&facts)));
        assert_eq!((&both["hold"], &both["lines"]), (&told, &receipt(&done)["lines"]));
        assert_eq!(both["remaining"][0]["budget"], "b\"1");
        assert_eq!(both["cost"], done.total().to_string());
    }
}
