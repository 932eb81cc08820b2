//! Fifty callers at $0.10 on $1.00: exactly ten pass, however they come.

use serde_json::json;
use spendrail::Call;
use spendrail::Guard;
use spendrail::guard::{Hold, ReserveError};
use spendrail::values::NanoUsd;
use std::future::Future;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};

const CALLERS: usize = 50;

/// One call costs exactly $0.10 at most: a million output tokens at $0.10 per million.
fn guard() -> Guard {
    let prices = json!({ "catalog": 1, "provider": "test", "models": { "m": { "max_output_tokens": 1_000_000,
        "prices": [{ "rates": { "input": "0", "output": "0.1" } }] } } });
    let budgets = json!([
        { "name": "all", "limit": "1 USD", "window": "lifetime" },
        { "name": "tenant", "per": ["tenant"], "limit": "5 USD", "window": "day" },
        { "name": "in-flight", "limit": "1000 concurrent" },
    ]);
    Guard::builder()
        .config_values(json!({ "prices": { "builtin": false }, "budgets": budgets }))
        .prices("test", &prices.to_string())
        .build()
        .unwrap()
}

fn call() -> Call {
    Call::new("test", "m").tenant("acme").input_tokens(1_000)
}

fn assert_ten(guard: &Guard, outcomes: Vec<Result<Hold, ReserveError>>) {
    let (held, denied): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((held.len(), denied.len()), (10, 40));
    for outcome in denied {
        let Err(ReserveError::Denied(denial)) = outcome else { panic!("a fault instead of a denial") };
        assert_eq!(denial.failures.len(), 1, "{denial}");
        assert_eq!(denial.failures[0].balance.available, 0);
    }
    for hold in held {
        assert_eq!(hold.unwrap().settle(NanoUsd(100_000_000)).unwrap().posted, NanoUsd(100_000_000));
    }
    let page = guard.balances(&spendrail::guard::BalanceQuery::default()).unwrap();
    for balance in page.items {
        let spent = if &*balance.budget == "in-flight" { 0 } else { 1_000_000_000 };
        assert_eq!((balance.spent, balance.held), (spent, 0), "{}", balance.budget);
    }
}

#[test]
fn by_threads() {
    for _ in 0..20 {
        let guard = guard();
        let start = Barrier::new(CALLERS);
        let outcomes = std::thread::scope(|scope| {
            let one = || {
                start.wait();
                guard.reserve(&call())
            };
            let threads: Vec<_> = (0..CALLERS).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_ten(&guard, outcomes);
    }
}

#[test]
fn by_tasks() {
    let guard = guard();
    let outcomes = (0..CALLERS)
        .map(|_| {
            let call = call();
            let mut future = pin!(guard.reserve_async(&call));
            // With the memory ledger a reserve never waits: the first poll answers, under any executor.
            match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => panic!("the memory ledger waited"),
            }
        })
        .collect();
    assert_ten(&guard, outcomes);
}

#[test]
fn a_lost_hold_is_not_free_and_not_stuck() {
    let guard = guard();
    drop(guard.reserve(&call()).unwrap());
    let balance = &guard.balances(&Default::default()).unwrap().items[0];
    // 5 % of the limit may be freed, the rest is unconfirmed and counts: nobody knows whether the call was made.
    assert_eq!((balance.spent, balance.held, balance.unconfirmed), (0, 0, 50_000_000));
}
