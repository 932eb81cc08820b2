//! Two threads on one guard, as a share of what one thread does alone.

use crate::fixtures::{Telemetry, call, guard, reserve, scope, settle, usage};
use spendrail::guard::Guard;
use std::sync::Barrier;
use std::time::Instant;

const PAIRS: u32 = 20_000;
const ROUNDS: usize = 15;

pub fn report() {
    let guard = guard(4, Telemetry::Off);
    for (name, tenants) in
        [("threads_same_tenant", ["acme", "acme"]), ("threads_two_tenants", ["acme", "other"])]
    {
        let rounds: Vec<(f64, f64)> =
            (0..ROUNDS).map(|_| (rate(&guard, &tenants[..1]), rate(&guard, &tenants))).collect();
        // The best round of each: what a neighbour takes away is not the guard's doing.
        let best = |rates: Vec<f64>| rates.into_iter().fold(0.0, f64::max);
        let alone = best(rounds.iter().map(|(alone, _)| *alone).collect());
        let both = best(rounds.iter().map(|(_, both)| *both).collect());
        let line = serde_json::json!({
            "name": name, "unit": "x", "value": (both / alone * 100.0).round() / 100.0,
            "pairs_per_second": both.round(), "alone_per_second": alone.round(),
        });
        println!("{line}");
    }
}

/// Pairs per second of all threads together, one thread per tenant.
fn rate(guard: &Guard, tenants: &[&str]) -> f64 {
    let barrier = Barrier::new(tenants.len());
    let body = |tenant: &str| {
        let (call, usage) = (call(&scope(tenant)), usage());
        barrier.wait();
        let started = Instant::now();
        for _ in 0..PAIRS {
            settle(reserve(guard, &call), &usage);
        }
        started.elapsed().as_secs_f64()
    };
    let seconds: Vec<f64> = std::thread::scope(|threads| {
        let handles: Vec<_> = tenants.iter().map(|tenant| threads.spawn(|| body(tenant))).collect();
        handles.into_iter().map(|handle| handle.join().expect("no panic")).collect()
    });
    let slowest = seconds.iter().copied().fold(0.0, f64::max);
    f64::from(PAIRS) * tenants.len() as f64 / slowest
}
