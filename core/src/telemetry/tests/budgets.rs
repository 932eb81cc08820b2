//! Budgets as gauges.

use super::fixtures::*;
use super::metrics::{metric, points};
use super::receiver::{Manner, Receiver};
use crate::telemetry::{BudgetPoint, BudgetSource, TelemetryConfig};
use crate::values::{Dimension, Unit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Panics when it is first asked.
#[derive(Default)]
struct Moody(AtomicU64);

impl BudgetSource for Moody {
    fn budget_points(&self, max: usize) -> Vec<BudgetPoint> {
        assert_ne!(self.0.fetch_add(1, Ordering::Relaxed), 0, "not now");
        assert!(max > 0);
        let point = |unit, per| BudgetPoint {
            budget: "tenant-day".into(),
            unit,
            per,
            limit: 50_000_000_000,
            spent: 1_500_000_000,
            held: 500_000_000,
            unconfirmed: 0,
            available: 48_000_000_000,
        };
        let per = vec![(Dimension::Tenant, Some("acme".into())), (Dimension::User, Some("u".into()))];
        vec![point(Unit::Usd, per), point(Unit::Tokens, vec![(Dimension::Tenant, None)])]
    }
}

#[test]
fn budgets_are_gauges_and_a_panic_in_reading_them_is_survived() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let config = TelemetryConfig { hash: vec![Dimension::User], ..TelemetryConfig::default() };
    let url = receiver.url.as_str();
    let rig = Rig::with(&config, &[("OTEL_EXPORTER_OTLP_ENDPOINT", url)], Arc::new(Moody::default()));
    rig.calls(1);
    let report = rig.worker.flush(5 * SECOND);
    assert!(!report.complete, "{report:?}");
    let report = rig.worker.flush(5 * SECOND);
    assert!(report.complete && report.exported == 1, "{report:?}");

    for (name, usd, tokens) in [
        ("spendrail.budget.limit", 50.0, 5e10),
        ("spendrail.budget.spent", 1.5, 1.5e9),
        ("spendrail.budget.held", 0.5, 5e8),
        ("spendrail.budget.unconfirmed", 0.0, 0.0),
        ("spendrail.budget.available", 48.0, 4.8e10),
    ] {
        assert_eq!(metric(&receiver, name).unwrap().unit, "");
        let points = points(&receiver, name);
        let [(money, value), (counts, count)] = points.as_slice() else { panic!("{points:?}") };
        assert_eq!(
            money[..3],
            ["spendrail.budget=tenant-day", "spendrail.tenant=acme", "spendrail.unit=USD"]
        );
        assert!(money[3].starts_with("user.hash=") && money[3].len() == 42);
        assert_eq!(counts[..], ["spendrail.budget=tenant-day", "spendrail.unit=tokens"]);
        assert_eq!((*value, *count), (usd, tokens), "{name}");
    }
}
