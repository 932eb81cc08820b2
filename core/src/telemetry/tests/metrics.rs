//! Metrics as a receiver sees them: names, units, buckets, attributes, values.

use super::fixtures::*;
use super::receiver::{Manner, Receiver};
use crate::codes::Code;
use crate::telemetry::TelemetryConfig;
use crate::telemetry::*;
use crate::values::{Dimension, NanoUsd};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric};
use std::sync::Arc;

/// A metric of the last export.
pub(super) fn metric(receiver: &Receiver, name: &str) -> Option<Metric> {
    let received = receiver.received.lock();
    let scopes = received.metrics.last()?.resource_metrics[0].scope_metrics.clone();
    scopes.into_iter().flat_map(|scope| scope.metrics).find(|metric| metric.name == name)
}

/// The points of a counter or gauge: attributes and value.
pub(super) fn points(receiver: &Receiver, name: &str) -> Vec<(Vec<String>, f64)> {
    let points = match metric(receiver, name).and_then(|metric| metric.data) {
        Some(Data::Sum(sum)) => sum.data_points,
        Some(Data::Gauge(gauge)) => gauge.data_points,
        None => Vec::new(),
        Some(other) => panic!("{other:?}"),
    };
    let value = |value: Option<Value>| match value {
        Some(Value::AsDouble(number)) => number,
        Some(Value::AsInt(number)) => f64::from(u32::try_from(number).unwrap()),
        None => panic!("a point without a value"),
    };
    let mut all: Vec<_> = points.into_iter().map(|p| (shown(&p.attributes), value(p.value))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

pub(super) fn sum(receiver: &Receiver, name: &str) -> f64 {
    points(receiver, name).iter().map(|(_, value)| value).sum()
}

fn histogram(receiver: &Receiver, name: &str) -> Vec<HistogramDataPoint> {
    match metric(receiver, name).and_then(|metric| metric.data) {
        Some(Data::Histogram(histogram)) => histogram.data_points,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn the_conventions_metrics_for_model_calls() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let config = TelemetryConfig { metric_attributes: vec![Dimension::Tenant], ..TelemetryConfig::default() };
    let url = receiver.url.as_str();
    let rig = Rig::with(&config, &[("OTEL_EXPORTER_OTLP_ENDPOINT", url)], Arc::new(NoBudgets));
    let mut stream = StreamTimes::default();
    let times = [at(250), at(260), at(270), at(600)];
    stream.chunk(None, times[0]);
    times.windows(2).for_each(|pair| stream.chunk(Some(pair[0]), pair[1]));
    let modalities = ModalityTokens { input_text: 60, input_image: 30, ..ModalityTokens::default() };
    let streamed = InferenceRecord {
        details: Details {
            stream: Some(Box::new(stream)),
            server: Some(Arc::new(Server { address: "api.anthropic.com".into(), port: 443 })),
            ..answered()
        }
        .boxed(),
        usage: Some(TokenUsage {
            modalities: Some(Box::new(modalities)),
            input: 100,
            cache_read: 40,
            output: 10,
            ..TokenUsage::default()
        }),
        ..call(SpanIds::NONE)
    };
    let failed = InferenceRecord {
        outcome: Outcome::failed("overloaded_error"),
        details: Details { response_model: None, ..answered() }.boxed(),
        usage: None,
        cost: None,
        ..call(SpanIds::NONE)
    };
    rig.recorder.push(Record::Inference(streamed));
    rig.recorder.push(Record::Inference(failed));
    assert!(rig.worker.flush(5 * SECOND).complete);

    let model = [
        "gen_ai.operation.name=chat",
        "gen_ai.provider.name=anthropic",
        "gen_ai.request.model=claude-sonnet-4-6",
    ];
    let served = [
        &model[..],
        &[
            "gen_ai.response.model=claude-sonnet-4-6",
            "server.address=api.anthropic.com",
            "server.port=443",
            "spendrail.tenant=acme",
        ],
    ]
    .concat();
    let with = |modality: &str| {
        let mut all = served.clone();
        let modality = format!("gen_ai.token.modality={modality}");
        all.insert(4, &modality);
        all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()
    };
    let duration = metric(&receiver, "gen_ai.client.inference.duration").unwrap();
    assert_eq!(duration.unit, "s");
    let durations = histogram(&receiver, "gen_ai.client.inference.duration");
    assert_eq!(
        durations[0].explicit_bounds,
        [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
    );
    let shapes: Vec<_> = durations.iter().map(|point| (shown(&point.attributes), point.sum)).collect();
    assert!(
        shapes.contains(&(served.iter().map(|text| (*text).to_owned()).collect(), Some(1.5))),
        "{shapes:?}"
    );
    assert!(shapes.iter().any(|(attributes, _)| attributes[0] == "error.type=overloaded_error"));

    let first = &histogram(&receiver, "gen_ai.client.inference.time_to_first_chunk")[0];
    assert_eq!((first.count, first.sum), (1, Some(0.25)));
    let gaps = &histogram(&receiver, "gen_ai.client.inference.time_per_output_chunk")[0];
    assert_eq!((gaps.count, gaps.bucket_counts[0], gaps.bucket_counts[6]), (3, 2, 1));
    assert!((gaps.sum.unwrap() - 0.35).abs() < 1e-9);

    let input = points(&receiver, "gen_ai.client.inference.usage.input_tokens");
    for (modality, tokens) in [("text", 60.0), ("image", 30.0), ("unknown", 10.0)] {
        assert!(input.contains(&(with(modality), tokens)), "{modality}: {input:#?}");
    }
    // The failed call counts as zero tokens of unknown modality.
    assert_eq!(input.iter().map(|(_, tokens)| tokens).collect::<Vec<_>>().len(), 4);
    assert_eq!(sum(&receiver, "gen_ai.client.inference.usage.output_tokens"), 10.0);
    assert_eq!(sum(&receiver, "gen_ai.client.inference.usage.cache_read.input_tokens"), 40.0);
    assert_eq!(metric(&receiver, "gen_ai.client.inference.usage.cache_write.input_tokens"), None);
    let sizes = histogram(&receiver, "gen_ai.client.inference.operation.input_tokens");
    assert_eq!(sizes.iter().map(|point| point.count).sum::<u64>(), 2);
    assert_eq!((sizes[0].explicit_bounds.len(), sizes[0].explicit_bounds[13]), (14, 67_108_864.0));
}

#[test]
fn cost_and_decisions_are_counted_once_each() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let rig = Rig::to(&receiver, &[]);
    rig.calls(3);
    let refusal = Refusal { code: Code::BudgetExceeded, budget: Some("tenant-day".into()) };
    let denied = InferenceRecord {
        outcome: Outcome::Denied(Box::new(refusal)),
        usage: None,
        cost: None,
        ..call(SpanIds::NONE)
    };
    let spend = SpendRecord {
        operation: Operation::Chat,
        subject: of_model("claude-haiku-4-5"),
        tool: None,
        response_model: None,
        usage: None,
        cost: Some(NanoUsd(1_000_000_000)),
        flags: Flags::NONE,
    };
    let tool = ToolRecord {
        span: SpanIds::NONE,
        started: at(0),
        ended: at(100),
        scope: scope(&[("agent", "a")]),
        tool: "search".into(),
        call_id: None,
        tool_type: None,
        cost: Some(NanoUsd(500)),
        flags: Flags::NONE,
        would_deny: None,
        outcome: Outcome::Settled,
    };
    let agent = AgentRecord {
        span: SpanIds::NONE,
        started: at(0),
        ended: at(400),
        scope: scope(&[("agent", "a")]),
        inference_calls: 5,
        tool_calls: 1,
        input_tokens: 0,
        output_tokens: 0,
        would_deny: None,
        outcome: Outcome::Settled,
    };
    rig.recorder.push(Record::Inference(denied));
    rig.recorder.push(Record::Spend(Box::new(spend)));
    rig.recorder.push(Record::Tool(Box::new(tool)));
    rig.recorder.push(Record::Agent(Box::new(agent)));
    assert!(rig.worker.flush(5 * SECOND).complete);

    assert_eq!(metric(&receiver, "spendrail.cost").unwrap().unit, "{USD}");
    let nano = (sum(&receiver, "spendrail.cost") * 1e9).round();
    assert_eq!(nano, 3.0 * 110.0 + 1e9 + 500.0);
    let denied =
        ["spendrail.budget=tenant-day", "spendrail.decision=denied", "spendrail.denial.code=budget_exceeded"];
    let decisions = points(&receiver, "spendrail.decisions");
    let expected =
        [(denied.map(str::to_owned).to_vec(), 1.0), (vec!["spendrail.decision=allowed".to_owned()], 4.0)];
    assert_eq!(decisions, expected);
    // The denied call took no time and no tokens: a duration with its error, no size.
    let sizes = histogram(&receiver, "gen_ai.client.inference.operation.input_tokens");
    assert_eq!(sizes.iter().map(|point| point.count).sum::<u64>(), 3);
    let tools = &histogram(&receiver, "gen_ai.execute_tool.duration")[0];
    assert_eq!(
        (shown(&tools.attributes), tools.sum),
        (vec!["gen_ai.agent.name=a".into(), "gen_ai.tool.name=search".into()], Some(0.1))
    );
    let calls = &histogram(&receiver, "gen_ai.invoke_agent.inference_calls")[0];
    assert_eq!(
        (calls.explicit_bounds.as_slice(), calls.sum),
        (&[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0][..], Some(5.0))
    );
    assert_eq!(histogram(&receiver, "gen_ai.invoke_agent.duration")[0].explicit_bounds.len(), 13);
}

#[test]
fn delta_reports_only_what_is_new() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let rig = Rig::to(&receiver, &[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")]);
    for (calls, reported) in [(2, 2.0), (3, 3.0)] {
        rig.calls(calls);
        assert!(rig.worker.flush(5 * SECOND).complete);
        assert_eq!(sum(&receiver, "spendrail.decisions"), reported);
    }
}

#[test]
fn the_number_of_series_is_bounded_and_the_total_stays_right() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let rig = Rig::to(&receiver, &[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_BSP_MAX_QUEUE_SIZE", "4096")]);
    for number in 0..3_000 {
        let subject = of_model(&format!("model-{number}"));
        rig.recorder.push(Record::Inference(InferenceRecord { subject, ..call(SpanIds::NONE) }));
    }
    assert!(rig.worker.flush(5 * SECOND).complete);
    let costs = points(&receiver, "spendrail.cost");
    assert_eq!(costs.len(), 2_001);
    assert!(costs.iter().any(|(attributes, _)| attributes == &["otel.metric.overflow=true"]));
    assert_eq!((sum(&receiver, "spendrail.cost") * 1e9).round(), 330_000.0);
}

#[test]
fn what_has_no_price_is_counted_by_what_it_was() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let rig = Rig::to(&receiver, &[]);
    rig.calls(2);
    for flags in
        [Flags::UNKNOWN_MODEL, Flags::UNPRICED, Flags::UNPRICED.with(Flags::LATE), Flags::FALLBACK_PRICE]
    {
        let flagged = InferenceRecord { flags, ..call(SpanIds::NONE) };
        rig.recorder.push(Record::Inference(flagged));
    }
    assert!(rig.worker.flush(5 * SECOND).complete);
    let counted: Vec<(String, f64)> = points(&receiver, "spendrail.unpriced")
        .into_iter()
        .map(|(attributes, n)| {
            let reason = attributes.iter().find_map(|one| one.strip_prefix("spendrail.reason=")).unwrap();
            (reason.to_owned(), n)
        })
        .collect();
    let expected = [("fallback_price", 1.0), ("unknown_model", 1.0), ("unpriced_bucket", 2.0)];
    let mut counted: Vec<(&str, f64)> = counted.iter().map(|(reason, n)| (reason.as_str(), *n)).collect();
    counted.sort_by(|a, b| a.0.cmp(b.0));
    assert_eq!(counted, expected);
}
