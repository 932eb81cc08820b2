//! One guarded run, from the guard's door to the receiver.

use super::fixtures::{SECOND, shown};
use super::metrics::{points, sum};
use super::receiver::{Manner, Receiver};
use crate::codes::Code;
use crate::engine::Call;
use crate::guard::{EventKind, Guard, ReserveError, RunOptions};
use crate::policy::RunLimits;
use crate::telemetry::ParentSpan;
use crate::values::{Bucket, Dimension, Scope, Usage};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CONFIG: &str = r#"
[telemetry]
metric_attributes = ["tenant"]

[[budgets]]
name = "tenant-day"
per = ["tenant"]
limit = "0.001 USD"
window = "day"
"#;

const PRICES: &str = r#"
catalog = 1
provider = "test"
[models.m]
max_output_tokens = 1000
prices = [{ rates = { input = "1", output = "2" } }]
"#;

fn guard(variables: Vec<(&'static str, String)>) -> Guard {
    let environment =
        move |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone());
    Guard::builder()
        .config_text("test.toml", CONFIG)
        .prices("test-prices.toml", PRICES)
        .environment(Arc::new(environment))
        .build()
        .unwrap()
}

#[test]
fn a_run_with_a_settled_a_denied_and_a_tool_call() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let guard = guard(vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.clone()),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative".into()),
    ]);
    let mut scope = Scope::default();
    scope.set(&Dimension::Tenant, Some("acme")).unwrap();
    scope.set(&Dimension::Agent, Some("researcher")).unwrap();
    let host = ParentSpan { trace_id: 7, span_id: 8, sampled: true, is_remote: false };
    let options = RunOptions { scope: Arc::new(scope), parent: Some(host), ..RunOptions::default() };
    let run = guard.start_run(options).unwrap();
    let call = || Call::new("test", "m").input_tokens(100).max_output_tokens(50);
    let hold = run.reserve(&call()).unwrap();
    let usage = Usage::new().with(Bucket::Input, 90).with(Bucket::Output, 10);
    hold.settle(&usage).unwrap();
    let Err(ReserveError::Denied(denial)) = run.reserve(&call().max_output_tokens(900)) else {
        panic!("1,900,000 nano-USD do not fit into 890,000");
    };
    assert_eq!(denial.code, Code::BudgetExceeded);
    run.reserve(&Call::tool("search")).unwrap().settle(crate::guard::Settlement::AsReserved).unwrap();
    run.end();
    let report = guard.flush(5 * SECOND);
    assert!(report.complete && report.exported == 4 && report.dropped == 0, "{report:?}");

    let spans = receiver.spans();
    let find = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let (agent, calls, tools) =
        (find("invoke_agent researcher"), find("chat m"), find("execute_tool search"));
    assert_eq!((agent.len(), calls.len(), tools.len()), (1, 2, 1));
    assert_eq!(agent[0].parent_span_id, 8_u64.to_be_bytes());
    for span in calls.iter().chain(&tools) {
        assert_eq!((&span.parent_span_id, &span.trace_id), (&agent[0].span_id, &agent[0].trace_id));
    }
    let has = |index: usize, attribute: &str| shown(&calls[index].attributes).contains(&attribute.to_owned());
    assert!(has(0, "spendrail.cost.nano_usd=110000") && has(0, "gen_ai.usage.input_tokens=90"));
    assert!(has(1, "error.type=budget_exceeded") && has(1, "spendrail.budget=tenant-day"));
    assert!(shown(&agent[0].attributes).contains(&"gen_ai.usage.output_tokens=10".to_owned()));

    let acme = |rest: &[&str]| {
        let mut all: Vec<String> = rest.iter().map(|text| (*text).to_owned()).collect();
        all.push("spendrail.tenant=acme".into());
        all.sort();
        all
    };
    assert_eq!((sum(&receiver, "spendrail.cost") * 1e9).round(), 110_000.0);
    let decisions = points(&receiver, "spendrail.decisions");
    let why =
        ["spendrail.budget=tenant-day", "spendrail.decision=denied", "spendrail.denial.code=budget_exceeded"];
    assert!(decisions.contains(&(acme(&why), 1.0)), "{decisions:?}");
    assert!(decisions.contains(&(acme(&["spendrail.decision=allowed"]), 2.0)), "{decisions:?}");
    let spent = points(&receiver, "spendrail.budget.spent");
    assert_eq!(spent, [(acme(&["spendrail.budget=tenant-day", "spendrail.unit=USD"]), 110e-6)]);
}

/// A background response: settled by its pending reply, which says nothing, then by its final one.
#[test]
fn an_estimate_and_the_exact_word_after_it_are_one_call() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let guard = guard(vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.clone()),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative".into()),
    ]);
    let call = || Call::new("test", "m").tenant("acme").input_tokens(100).max_output_tokens(50);
    let used = Usage::new().with(Bucket::Input, 90).with(Bucket::Output, 10);
    let token = guard.reserve(&call()).unwrap().detach().unwrap();
    let pending = serde_json::json!({"object": "response", "status": "queued", "model": "m"});
    assert_eq!(guard.settle(&token, &pending).unwrap().posted.0, 200_000);
    // Less than the estimate: told by the receipt, and counters only rise.
    assert_eq!(guard.settle(&token, &used).unwrap().posted.0, 110_000);
    assert!(guard.settle(&token, &used).unwrap().repeated);
    // A stream that broke was told at its floor; what it really cost is told beyond that.
    let mut cut = guard.reserve(&call().id("again")).unwrap();
    assert_eq!(cut.cut(None).unwrap().posted.0, 100_000);
    assert_eq!(guard.reserve(&call().id("again")).unwrap().settle(&used).unwrap().posted.0, 110_000);
    // Spend of another place is no call of this one.
    let elsewhere = Call::new("test", "m").tenant("acme").id("elsewhere");
    guard.record(&elsewhere, &used, None).unwrap();
    let report = guard.flush(5 * SECOND);
    assert!(report.complete && report.dropped == 0, "{report:?}");

    let calls = receiver.spans().iter().filter(|span| span.name == "chat m").count();
    assert_eq!((calls, sum(&receiver, "spendrail.decisions")), (2, 2.0));
    let nano = (sum(&receiver, "spendrail.cost") * 1e9).round();
    assert_eq!(nano, 200_000.0 + (100_000.0 + 10_000.0) + 110_000.0);
    // 90 and 10 of the final reply; 100 of the broken stream, then 10 out; 90 and 10.
    assert_eq!(sum(&receiver, "gen_ai.client.inference.usage.input_tokens"), 90.0 + 100.0 + 90.0);
    assert_eq!(sum(&receiver, "gen_ai.client.inference.usage.output_tokens"), 10.0 + 10.0 + 10.0);
}

#[test]
fn a_run_that_is_refused_is_a_span_and_a_decision() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let guard = guard(vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.clone()),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative".into()),
    ]);
    let events = guard.subscribe(&[EventKind::Denied, EventKind::Loop]).unwrap();
    let limits = RunLimits { max_depth: Some(1), ..RunLimits::default() };
    let run = guard.start_run(RunOptions { limits, ..RunOptions::default() }).unwrap();
    let Err(ReserveError::Denied(denial)) = run.child(RunOptions::default()) else { panic!("too deep") };
    assert_eq!(denial.code, Code::RunLimitExceeded);
    let told = || events.next(Duration::ZERO).unwrap().map(|event| event.kind());
    assert_eq!([told(), told(), told()], [Some(EventKind::Denied), Some(EventKind::Loop), None]);
    run.end();
    assert!(guard.flush(5 * SECOND).complete);
    let spans = receiver.spans();
    assert_eq!(spans.len(), 2);
    assert!(shown(&spans[0].attributes).contains(&"error.type=run_limit_exceeded".to_owned()));
    assert_eq!(spans[0].parent_span_id, spans[1].span_id);
    let why = ["spendrail.decision=denied", "spendrail.denial.code=run_limit_exceeded"];
    assert_eq!(points(&receiver, "spendrail.decisions"), [(why.map(str::to_owned).to_vec(), 1.0)]);
}

#[test]
fn a_long_flush_does_not_make_a_close_late() {
    let receiver = Receiver::http(&[Manner::Never]);
    let guard = guard(vec![("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.clone())]);
    let call = Call::new("test", "m").input_tokens(1).max_output_tokens(1);
    guard.reserve(&call.tenant("acme")).unwrap().settle(&Usage::new().with(Bucket::Input, 1)).unwrap();
    std::thread::scope(|threads| {
        let flush = threads.spawn(|| guard.flush(30 * SECOND));
        std::thread::sleep(Duration::from_millis(100));
        let start = Instant::now();
        let report = guard.close(Duration::from_millis(200));
        assert!(start.elapsed() < Duration::from_millis(700), "{:?}", start.elapsed());
        assert!(!report.complete && report.dropped == 1, "{report:?}");
        assert!(!flush.join().unwrap().complete);
        assert!(start.elapsed() < Duration::from_secs(5));
    });
}
