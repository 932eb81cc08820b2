//! Records, a worker around them, and ways to read what arrived.

use super::receiver::Receiver;
use crate::runtime::{Jobs, Worker};
use crate::telemetry::*;
use crate::telemetry::{BudgetPoint, BudgetSource, Exporter, Recorder, TelemetryConfig, recorder};
use crate::values::ids::IdMaker;
use crate::values::{Dimension, NanoUsd, Scope, Timestamp};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// No chores.
pub(super) struct Idle;

impl Jobs for Idle {
    fn tick(&mut self, _now: Instant) {}
}

/// No budgets.
pub(super) struct NoBudgets;

impl BudgetSource for NoBudgets {
    fn budget_points(&self, _max: usize) -> Vec<BudgetPoint> {
        Vec::new()
    }
}

/// What a test sets besides the endpoint.
pub(super) struct Rig {
    pub(super) recorder: Recorder,
    pub(super) worker: Worker,
    pub(super) ids: IdMaker,
    /// The exporter holds them weakly.
    _budgets: Arc<dyn BudgetSource>,
}

impl Rig {
    pub(super) fn new(variables: &[(&str, &str)]) -> Self {
        Self::with(&TelemetryConfig::default(), variables, Arc::new(NoBudgets))
    }

    pub(super) fn to(receiver: &Receiver, variables: &[(&str, &str)]) -> Self {
        let mut all = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", receiver.protocol),
        ];
        let path = receiver.certificate.as_ref().map(|path| path.display().to_string());
        all.extend(path.as_deref().map(|path| ("OTEL_EXPORTER_OTLP_CERTIFICATE", path)));
        all.extend(variables);
        Self::new(&all)
    }

    pub(super) fn with(
        config: &TelemetryConfig,
        variables: &[(&str, &str)],
        budgets: Arc<dyn BudgetSource>,
    ) -> Self {
        let lookup = |name: &str| variables.iter().rfind(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let recorder = recorder(config, &lookup).unwrap();
        assert!(recorder.warnings().is_empty(), "{:?}", recorder.warnings());
        let exporter = Exporter::new(&recorder, Arc::downgrade(&budgets));
        let worker = Worker::spawn(Box::new(Idle), recorder.clone(), exporter).unwrap();
        Self { recorder, worker, ids: IdMaker::new(), _budgets: budgets }
    }

    /// Leaves `count` plain calls.
    pub(super) fn calls(&self, count: usize) {
        for _ in 0..count {
            let call = call(self.recorder.start_span(None, &self.ids));
            self.recorder.push(Record::Inference(call));
        }
    }
}

pub(super) fn scope(labels: &[(&str, &str)]) -> Arc<Scope> {
    let mut scope = Scope::default();
    for (dimension, value) in labels {
        scope.set(&Dimension::parse(dimension).unwrap(), Some(value)).unwrap();
    }
    Arc::new(scope)
}

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_795_168_800_000 + millis)
}

/// One settled call of 100 + 10 tokens for 110 nano-USD.
pub(super) fn call(span: SpanIds) -> InferenceRecord {
    InferenceRecord {
        span,
        operation: Operation::Chat,
        started: at(0),
        ended: at(1_500),
        subject: of_model("claude-sonnet-4-6"),
        details: answered().boxed(),
        usage: Some(TokenUsage { input: 100, output: 10, ..TokenUsage::default() }),
        cost: Some(NanoUsd(110)),
        flags: Flags::NONE,
        outcome: Outcome::Settled,
    }
}

/// What the reply to it said.
pub(super) fn answered() -> Details {
    Details {
        response_model: Some("claude-sonnet-4-6".into()),
        finish_reasons: ["stop".into()].into_iter().collect(),
        ..Details::default()
    }
}

/// A call of this model for the tenant `acme`.
pub(super) fn of_model(model: &str) -> Arc<Subject> {
    Arc::new(Subject {
        scope: scope(&[("tenant", "acme")]),
        provider: "anthropic".into(),
        request_model: Some(model.into()),
        price_version: None,
    })
}

/// Attributes as `name=value`, sorted.
pub(super) fn shown(attributes: &[KeyValue]) -> Vec<String> {
    let value = |kv: &KeyValue| match kv.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => format!("{number:?}"),
        Some(Value::BoolValue(yes)) => yes.to_string(),
        Some(Value::ArrayValue(array)) => {
            let texts = array.values.iter().map(|item| match &item.value {
                Some(Value::StringValue(text)) => text.clone(),
                other => panic!("{other:?}"),
            });
            format!("[{}]", texts.collect::<Vec<_>>().join(","))
        }
        other => panic!("{other:?}"),
    };
    let mut all: Vec<String> = attributes.iter().map(|kv| format!("{}={}", kv.key, value(kv))).collect();
    all.sort();
    all
}
