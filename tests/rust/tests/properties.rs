//! What holds whatever is done: never above the limit except by over-run, children sum to their parent, no counter is
//! negative, the same history is the same answers.

use proptest::prelude::*;
use serde_json::{Value, json};
use spendrail::engine::{Balance, Call};
use spendrail::ffi;
use spendrail::guard::{BalanceQuery, Guard, Hold};
use spendrail::values::{Bucket, Scope, Usage};
use std::collections::HashMap;

const TENANTS: [&str; 3] = ["a", "b", "c"];
const USERS: [&str; 2] = ["u", "v"];

/// One thing that happens. Numbers choose among what is open.
#[derive(Clone, Debug)]
enum Step {
    Reserve {
        tenant: usize,
        user: usize,
        input: u64,
        output: u64,
        id: Option<u8>,
    },
    /// `more`: tokens beyond the hold.
    Settle {
        which: usize,
        share: u64,
        more: u64,
    },
    Release {
        which: usize,
    },
    Lose {
        which: usize,
    },
    Pass {
        millis: i64,
    },
    Limit {
        tenant: usize,
        nano: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let reserve = (0..3usize, 0..2usize, 0..400u64, 0..400u64, prop::option::weighted(0.2, 0..6u8));
    prop_oneof![
        6 => reserve.prop_map(|(tenant, user, input, output, id)| Step::Reserve { tenant, user, input, output, id }),
        4 => (any::<usize>(), 0..=100u64, prop_oneof![4 => Just(0u64), 1 => 1..500u64])
            .prop_map(|(which, share, more)| Step::Settle { which, share, more }),
        1 => any::<usize>().prop_map(|which| Step::Release { which }),
        1 => any::<usize>().prop_map(|which| Step::Lose { which }),
        3 => prop_oneof![1..5_000i64, Just(60_000), Just(3_600_000), Just(86_400_000), -5_000..0i64]
            .prop_map(|millis| Step::Pass { millis }),
        1 => (0..3usize, 0..3_000_000u64).prop_map(|(tenant, nano)| Step::Limit { tenant, nano }),
    ]
}

/// A strict guard: what expires stays unconfirmed. `all` is the parent of the tenants, the tenants of the users.
struct World {
    guard: Guard,
    clock: spendrail::clock::ManualClock,
    holds: Vec<(Hold, u64, u64)>,
    /// Tokens beyond the hold, in nano-USD, summed over everything.
    over_run: i64,
    answers: Vec<Value>,
}

impl World {
    fn new(release_cap: &str) -> Self {
        let budget = |name: &str, per: &[&str], limit: &str, window: &str| json!({ "name": name, "per": per, "limit": limit, "window": window, "release_cap": release_cap });
        let config = json!({
            "budgets": [
                budget("all", &[], "0.004 USD", "lifetime"),
                budget("tenant", &["tenant"], "0.002 USD", "lifetime"),
                budget("user", &["tenant", "user"], "0.0015 USD", "lifetime"),
                budget("tokens", &["tenant"], "5000 tokens", "lifetime"),
                budget("hourly", &["tenant"], "0.001 USD", "hour"),
                { "name": "at-once", "limit": "5 concurrent" },
            ],
            "ledger": { "max_call_duration": "60s" },
            "prices": { "builtin": false },
        });
        let prices = json!({ "catalog": 1, "provider": "test", "models": {
            "m": { "max_output_tokens": 1000, "prices": [{ "rates": { "input": "1", "output": "2" } }] } } });
        let args = json!({
            "config": config,
            "prices": [{ "name": "test.json", "text": prices.to_string() }],
            "manual_clock": "2026-10-24T20:00:00Z",
        });
        let (builder, clock) = ffi::builder(&args).expect("a builder");
        let guard = builder.build().expect("a guard");
        Self { guard, clock: clock.expect("a clock"), holds: Vec::new(), over_run: 0, answers: Vec::new() }
    }

    fn take(&mut self, which: usize) -> Option<(Hold, u64, u64)> {
        (!self.holds.is_empty()).then(|| self.holds.swap_remove(which % self.holds.len()))
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Reserve { tenant, user, input, output, id } => {
                let mut call = Call::new("test", "m").tenant(TENANTS[*tenant]).user(USERS[*user]);
                call = call.input_tokens(*input).max_output_tokens(*output);
                if let Some(id) = id {
                    call = call.id(&id.to_string());
                }
                match self.guard.reserve(&call) {
                    Ok(hold) => {
                        self.answers.push(json!([hold.reserved().0, hold.is_repeated()]));
                        if !hold.is_repeated() {
                            self.holds.push((hold, *input, *output));
                        }
                    }
                    Err(why) => self.answers.push(json!(why.to_string())),
                }
            }
            Step::Settle { which, share, more } => {
                let Some((hold, input, output)) = self.take(*which) else { return };
                let used = |tokens: u64| tokens * share / 100;
                let usage =
                    Usage::new().with(Bucket::Input, used(input)).with(Bucket::Output, used(output) + more);
                let reserved = hold.reserved().0;
                let receipt = hold.settle(&usage).expect("a settle is never refused");
                self.over_run += (receipt.posted.0 - reserved).max(0);
                self.answers.push(json!([receipt.posted.0, receipt.flag_names()]));
            }
            Step::Release { which } => {
                if let Some((mut hold, _, _)) = self.take(*which) {
                    hold.release(None).expect("a release");
                }
            }
            Step::Lose { which } => drop(self.take(*which)),
            Step::Pass { millis } => {
                self.clock.advance(*millis);
                self.answers.push(json!(self.guard.expire_due().expect("an answer")));
            }
            Step::Limit { tenant, nano } => {
                let args = json!({
                    "budget": "tenant",
                    "tenant": TENANTS[*tenant],
                    "amount": format!("0.{nano:09} USD"),
                });
                ffi::invoke(&self.guard, "set_limit", &args).expect("a limit");
            }
        }
    }

    fn balances(&self, budget: &str) -> Vec<Balance> {
        let query = BalanceQuery {
            budget: Some(budget.into()),
            scope: Scope::default(),
            limit: 1000,
            ..BalanceQuery::default()
        };
        self.guard.balances(&query).expect("balances").items
    }
}

fn sums(balances: &[Balance], by: usize) -> HashMap<String, [i64; 3]> {
    let mut sums: HashMap<String, [i64; 3]> = HashMap::new();
    for one in balances {
        let key =
            one.scope.iter().take(by).map(|(_, value)| value.as_deref().unwrap_or("-").to_owned()).collect();
        let sum = sums.entry(key).or_default();
        for (slot, value) in sum.iter_mut().zip([one.spent, one.held, one.unconfirmed]) {
            *slot += value;
        }
    }
    sums.retain(|_, sum| *sum != [0; 3]);
    sums
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_above_the_limit_except_by_over_run(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new("0");
        for step in &steps {
            world.play(step);
            for one in world.balances("all").iter().chain(&world.balances("user")) {
                prop_assert!(
                    one.spent + one.held + one.unconfirmed <= one.limit + world.over_run,
                    "{step:?}: {one:?}, over-run {}", world.over_run
                );
            }
            let at_once = world.balances("at-once");
            prop_assert!(at_once.iter().all(|one| one.held <= one.limit && one.spent == 0), "{at_once:?}");
        }
    }

    #[test]
    fn children_sum_to_their_parent(steps in prop::collection::vec(step(), 1..60), cap in prop::sample::select(vec!["0", "5%", "100%"])) {
        let mut world = World::new(cap);
        for step in &steps {
            world.play(step);
        }
        // What expiry frees is bounded per account: only without a cap do the unconfirmed parts sum up too.
        let strict = cap == "0";
        let trim = |mut sums: HashMap<String, [i64; 3]>| {
            for sum in sums.values_mut() {
                sum[2] *= i64::from(strict);
            }
            sums.retain(|_, sum| *sum != [0; 3]);
            sums
        };
        let (all, tenants, users) = (world.balances("all"), world.balances("tenant"), world.balances("user"));
        prop_assert_eq!(trim(sums(&tenants, 0)), trim(sums(&all, 0)));
        prop_assert_eq!(trim(sums(&users, 1)), trim(sums(&tenants, 1)));
    }

    #[test]
    fn no_counter_is_negative_and_the_sum_is_the_balance(steps in prop::collection::vec(step(), 1..60), cap in prop::sample::select(vec!["0", "5%", "100%"])) {
        let mut world = World::new(cap);
        for step in &steps {
            world.play(step);
            for budget in ["all", "tenant", "user", "tokens", "hourly", "at-once"] {
                for one in world.balances(budget) {
                    prop_assert!(one.spent >= 0 && one.held >= 0 && one.unconfirmed >= 0 && one.topped_up >= 0, "{one:?}");
                    let sum = one.limit + one.topped_up - one.spent - one.held - one.unconfirmed;
                    prop_assert_eq!(one.available, sum, "{:?}", one);
                }
            }
        }
        // Nothing is left on hold once every owner is gone.
        world.holds.clear();
        for budget in ["all", "tenant", "user", "tokens", "hourly", "at-once"] {
            prop_assert!(world.balances(budget).iter().all(|one| one.held == 0));
        }
    }

    #[test]
    fn the_same_history_is_the_same_answers(steps in prop::collection::vec(step(), 1..60)) {
        let (mut one, mut other) = (World::new("5%"), World::new("5%"));
        for step in &steps {
            one.play(step);
            other.play(step);
        }
        prop_assert_eq!(&one.answers, &other.answers);
        let shown = |world: &World| -> Vec<Value> {
            ["all", "tenant", "user", "tokens", "hourly"].iter().flat_map(|b| world.balances(b)).map(|b| ffi::balance(&b)).collect()
        };
        prop_assert_eq!(shown(&one), shown(&other));
    }
}
