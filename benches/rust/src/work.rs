//! The pieces of work that are measured, each under a stable name.

use crate::fixtures::{
    MODEL, REPLY, Random, TENANTS, Telemetry, call, guard, guard_with, litellm_file, price_list, reserve,
    scope, settle, tenant, usage,
};
use crate::harness::{Prepared, Work};
use spendrail::catalog::{Catalog, ModelEntry, PriceContext, Resolution, Tier};
use spendrail::guard::{Guard, Outcome};
use spendrail::telemetry::{self, InferenceRecord, Operation, Record, TelemetryConfig};
use spendrail::values::ids::IdMaker;
use spendrail::values::{NanoUsd, Timestamp};
use spendrail::{Call, Usage};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Everything, in the order of the table.
pub fn all() -> Vec<Work> {
    let work = |name, prepare| Work { name, prepare, cold: false };
    let also_cold = |name, prepare| Work { name, prepare, cold: true };
    vec![
        also_cold("anchor", || anchor(false)),
        work("anchor_random", || anchor(true)),
        work("pair_1", || pair(guard(1, Telemetry::Off))),
        also_cold("pair_4", || pair(guard(4, Telemetry::Off))),
        also_cold("pair_4_telemetry", || pair(guard(4, Telemetry::On))),
        work("pair_4_telemetry_busy", || pair(guard(4, Telemetry::On)).after(EXPORTER_WAKES)),
        work("pair_4_built", pair_with_building_the_call),
        work("pair_4_random", || pair_random(Telemetry::Off)),
        work("pair_4_random_telemetry", || pair_random(Telemetry::On)),
        work("pair_4_reply", pair_with_reply),
        work("reserve_release", reserve_release),
        also_cold("denial", || denial(Telemetry::Off)),
        work("denial_telemetry", || denial(Telemetry::On)),
        also_cold("price", || price(usage(), PriceContext { at: now(), ..PriceContext::default() })),
        work("price_tier", price_with_tier_and_modifier),
        work("worst_case", worst_case),
        work("resolve", resolve),
        work("push", push),
        work("load_3500_json", || load(false)),
        work("load_3500_toml", || load(true)),
        work("load_builtin", load_builtin),
        work("load_litellm", load_litellm),
    ]
}

/// Anchor A: what a guard of any kind cannot do without, a lookup of the caller and two counters.
fn anchor(random: bool) -> Prepared {
    let keys: Vec<String> = (0..TENANTS).map(tenant).collect();
    let numbers = keys.iter().enumerate().map(|(nth, key)| (key.clone().into_boxed_str(), nth));
    let index: hashbrown::HashMap<Box<str>, usize, foldhash::fast::FixedState> = numbers.collect();
    let counters: Vec<[AtomicI64; 2]> = (0..TENANTS).map(|_| Default::default()).collect();
    let mut dice = Random::new();
    Prepared::new(move || {
        let nth = if random { dice.below(TENANTS) } else { 7 };
        let at = index[black_box(keys[nth].as_str())];
        counters[at][0].fetch_add(1, Ordering::Relaxed);
        counters[at][1].fetch_add(1, Ordering::Relaxed);
    })
}

fn pair(guard: Guard) -> Prepared {
    let (call, usage) = (call(&scope("acme")), usage());
    let worker = guard.clone();
    let once = move || settle(reserve(&guard, black_box(&call)), &usage);
    Prepared::new(once).resting(move || catch_up(&worker))
}

/// So many records wake the exporter before its time: it is at work on the other core when the batch begins.
const EXPORTER_WAKES: u32 = 600;

/// Lets the background thread send what it has; a measurement that dropped records would flatter.
fn catch_up(guard: &Guard) {
    let report = guard.flush(Duration::from_secs(10));
    assert!(report.dropped == 0 && report.failed == 0, "telemetry was lost: {report:?}");
}

fn pair_with_building_the_call() -> Prepared {
    let (guard, scope, usage) = (guard(4, Telemetry::Off), scope("acme"), usage());
    Prepared::new(move || {
        let call = call(black_box(&scope));
        settle(reserve(&guard, &call), &usage);
    })
}

fn pair_random(telemetry: Telemetry) -> Prepared {
    let guard = guard(4, telemetry);
    let calls: Vec<Call> = (0..TENANTS).map(|nth| call(&scope(&tenant(nth)))).collect();
    let (usage, worker, mut dice) = (usage(), guard.clone(), Random::new());
    for (nth, call) in calls.iter().enumerate() {
        settle(reserve(&guard, call), &usage);
        if nth % 1_000 == 0 {
            catch_up(&guard);
        }
    }
    catch_up(&guard);
    let once = move || {
        let call = &calls[dice.below(TENANTS)];
        settle(reserve(&guard, call), &usage);
    };
    Prepared::new(once).resting(move || catch_up(&worker))
}

fn pair_with_reply() -> Prepared {
    let (guard, call) = (guard(4, Telemetry::Off), call(&scope("acme")));
    let reply: serde_json::Value = serde_json::from_str(REPLY).expect("JSON");
    Prepared::new(move || {
        settle(reserve(&guard, &call), black_box(&reply));
    })
}

fn reserve_release() -> Prepared {
    let (guard, call) = (guard(4, Telemetry::Off), call(&scope("acme")));
    Prepared::new(move || {
        let mut hold = reserve(&guard, black_box(&call));
        hold.release(None).expect("it releases");
    })
}

/// A budget that is spent, and a caller that does not give up.
fn denial(telemetry: Telemetry) -> Prepared {
    let config = "[[budgets]]\nname = \"tenant-day\"\nper = [\"tenant\"]\nlimit = \"0.001 USD\"\nwindow = \"day\"\n\
                  [[budgets]]\nname = \"company-month\"\nlimit = \"900000000 USD\"\nwindow = \"month\"\n";
    let (guard, call) = (guard_with(config, telemetry), call(&scope("acme")));
    let worker = guard.clone();
    let once = move || {
        let outcome = guard.try_reserve(black_box(&call)).expect("an answer");
        assert!(matches!(black_box(outcome), Outcome::Denied(_)));
    };
    Prepared::new(once).resting(move || catch_up(&worker))
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-20T10:00:00Z").expect("an instant")
}

fn entry(catalog: &Catalog, provider: &str, model: &str) -> Arc<ModelEntry> {
    match catalog.resolve(Some(provider), model) {
        Resolution::Found { entry, .. } => Arc::clone(entry),
        other => panic!("{model}: {other:?}"),
    }
}

fn price(usage: Usage, context: PriceContext) -> Prepared {
    let entry = entry(&Catalog::builtin(), "anthropic", MODEL);
    Prepared::new(move || drop(black_box(entry.cost(black_box(&usage), black_box(&context)))))
}

/// A long-context rate, a tier of its own and a modifier for all models of the provider.
fn price_with_tier_and_modifier() -> Prepared {
    let text = r#"{"catalog": 1, "provider": "p", "modifiers": [{"when": {"geo": "us"}, "multiply": "1.1"}],
        "models": {"m": {"prices": [{"rates": {"input": "3", "cache_read": "0.3", "output": "15"},
        "over": [{"input_gt": 1000, "rates": {"input": "6", "cache_read": "0.6", "output": "22.5"}}],
        "variants": [{"when": {"tier": "flex"}, "rates": {"input": "1.5", "output": "7.5"}},
        {"when": {"tier": "batch"}, "multiply": "0.5"}]}]}}}"#;
    let source = spendrail::catalog::Source { name: "p.json".into(), text: text.into() };
    let entry = entry(&Catalog::build_only(&[source]).expect("a catalog"), "p", "m");
    let context = PriceContext {
        at: now(),
        tier: Some(Tier::Batch),
        geo: Some("us".into()),
        ..PriceContext::default()
    };
    let usage = usage();
    Prepared::new(move || drop(black_box(entry.cost(black_box(&usage), black_box(&context)))))
}

fn worst_case() -> Prepared {
    let entry = entry(&Catalog::builtin(), "anthropic", MODEL);
    let (none, context) = (Usage::new(), PriceContext { at: now(), ..PriceContext::default() });
    Prepared::new(move || {
        black_box(entry.worst_case(black_box(1_200), 500, &none, black_box(&context)).expect("priced"));
    })
}

fn resolve() -> Prepared {
    let catalog = Catalog::builtin();
    Prepared::new(move || {
        black_box(catalog.resolve(black_box(Some("anthropic")), black_box(MODEL)));
    })
}

/// Making a record and leaving it; nobody takes it, and a queue that is full is made anew between batches.
fn push() -> Prepared {
    let environment = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://127.0.0.1:9".to_owned()),
        _ => None,
    };
    let fresh = move || telemetry::recorder(&TelemetryConfig::default(), &environment).expect("a recorder");
    let recorder = std::rc::Rc::new(std::cell::RefCell::new(fresh()));
    let (ids, shared) = (IdMaker::new(), std::rc::Rc::clone(&recorder));
    let subject = Arc::new(telemetry::Subject {
        scope: scope("acme"),
        provider: "anthropic".into(),
        request_model: Some(MODEL.into()),
        price_version: None,
    });
    let once = move || {
        let recorder = recorder.borrow();
        recorder.push(Record::Inference(InferenceRecord {
            span: recorder.start_span(None, &ids),
            operation: Operation::Chat,
            started: Timestamp::from_nanos(1),
            ended: Timestamp::from_nanos(2),
            subject: Arc::clone(&subject),
            details: None,
            usage: None,
            cost: Some(NanoUsd(1)),
            flags: telemetry::Flags::NONE,
            outcome: telemetry::Outcome::Settled,
        }));
    };
    Prepared::new(once).resting(move || *shared.borrow_mut() = fresh())
}

fn load(toml: bool) -> Prepared {
    let files = [price_list(3_500, toml)];
    Prepared::new(move || {
        let catalog = Catalog::build_only(black_box(&files)).expect("a catalog");
        assert_eq!(black_box(catalog).len(), 3_500);
    })
}

/// litellm's own file where `SPENDRAIL_LITELLM` names it, else one of its shape and size.
fn load_litellm() -> Prepared {
    let text = match std::env::var("SPENDRAIL_LITELLM") {
        Ok(path) => std::fs::read_to_string(path).expect("litellm's price file"),
        Err(_) => litellm_file(4_500),
    };
    let files = [spendrail::catalog::Source { name: "litellm.json".into(), text }];
    Prepared::new(move || {
        let catalog = Catalog::build_only(black_box(&files)).expect("a catalog");
        assert!(black_box(catalog).len() > 1_000);
    })
}

fn load_builtin() -> Prepared {
    Prepared::new(|| drop(black_box(Catalog::build(&[]).expect("the shipped catalog"))))
}
