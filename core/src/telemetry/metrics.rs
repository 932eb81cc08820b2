//! From records to metrics: the conventions' instruments for clients, and our own for cost, decisions and budgets.
//!
//! Every record counts, sampled or not. A metric has at most 2,000 sets of attributes; what comes after them is summed
//! under `otel.metric.overflow`, so totals stay right.

use super::labels::Labels;
use super::outcome::{Flags, Outcome, Refusal};
use super::record::{
    AgentRecord, Details, Gaps, InferenceRecord, ModalityTokens, Operation, Record, Server, SpendRecord,
    Subject, TokenUsage, ToolRecord,
};
use super::recorder::Shared;
use super::semconv::{self, AGENT, CALLS, DURATION, ERROR_TYPE, TOKENS, gen_ai, own};
use super::spans::{decision, error_type, provider, since};
use super::{BudgetPoint, BudgetSource};
use crate::values::Timestamp;
use crate::values::scope::Label;
use crate::values::{NanoUsd, Scope, Unit};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Counter, Histogram, Meter};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// Most accounts that one collection shows.
const BUDGET_POINTS_MAX: usize = 1_000;

/// The instruments.
#[derive(Debug)]
pub(crate) struct Metrics {
    inference_duration: Histogram<f64>,
    first_chunk: Histogram<f64>,
    chunk_gap: Histogram<f64>,
    input: Counter<u64>,
    output: Counter<u64>,
    cache_read: Counter<u64>,
    cache_write: Counter<u64>,
    reasoning: Counter<u64>,
    input_sizes: Histogram<u64>,
    output_sizes: Histogram<u64>,
    operation_duration: Histogram<f64>,
    tool_duration: Histogram<f64>,
    agent_duration: Histogram<f64>,
    agent_inference_calls: Histogram<u64>,
    agent_tool_calls: Histogram<u64>,
    cost: Counter<f64>,
    decisions: Counter<u64>,
    unpriced: Counter<u64>,
    budgets: Arc<Budgets>,
}

/// The budgets as of one collection; five gauges show them.
struct Budgets {
    source: Weak<dyn BudgetSource>,
    points: Mutex<Vec<(BudgetPoint, Vec<KeyValue>)>>,
}

impl std::fmt::Debug for Budgets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budgets").field("points", &self.points).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Makes the instruments on `meter`.
    pub(crate) fn new(meter: &Meter, budgets: Weak<dyn BudgetSource>, shared: &Arc<Shared>) -> Self {
        let seconds = |name: &'static str, buckets: &[f64]| {
            meter.f64_histogram(name).with_unit("s").with_boundaries(buckets.to_vec()).build()
        };
        let sizes = |name: &'static str, unit: &'static str, buckets: &[f64]| {
            meter.u64_histogram(name).with_unit(unit).with_boundaries(buckets.to_vec()).build()
        };
        let tokens = |name: &'static str| meter.u64_counter(name).with_unit("{token}").build();
        let budgets = Arc::new(Budgets { source: budgets, points: Mutex::default() });
        budget_gauges(meter, &budgets);
        dropped(meter, shared);
        Self {
            inference_duration: seconds("gen_ai.client.inference.duration", &DURATION),
            first_chunk: seconds("gen_ai.client.inference.time_to_first_chunk", &DURATION),
            chunk_gap: seconds("gen_ai.client.inference.time_per_output_chunk", &DURATION),
            input: tokens("gen_ai.client.inference.usage.input_tokens"),
            output: tokens("gen_ai.client.inference.usage.output_tokens"),
            cache_read: tokens("gen_ai.client.inference.usage.cache_read.input_tokens"),
            cache_write: tokens("gen_ai.client.inference.usage.cache_write.input_tokens"),
            reasoning: tokens("gen_ai.client.inference.usage.reasoning.output_tokens"),
            input_sizes: sizes("gen_ai.client.inference.operation.input_tokens", "{token}", &TOKENS),
            output_sizes: sizes("gen_ai.client.inference.operation.output_tokens", "{token}", &TOKENS),
            operation_duration: seconds("gen_ai.client.operation.duration", &DURATION),
            tool_duration: seconds("gen_ai.execute_tool.duration", &DURATION),
            agent_duration: seconds("gen_ai.invoke_agent.duration", &AGENT),
            agent_inference_calls: sizes("gen_ai.invoke_agent.inference_calls", "{inference_call}", &CALLS),
            agent_tool_calls: sizes("gen_ai.invoke_agent.tool_calls", "{tool_call}", &CALLS),
            cost: meter
                .f64_counter("spendrail.cost")
                .with_unit("{USD}")
                .with_description("What was posted to the budgets.")
                .build(),
            decisions: meter
                .u64_counter("spendrail.decisions")
                .with_unit("{decision}")
                .with_description("Calls and tool calls by what the guard decided, and runs that it refused.")
                .build(),
            unpriced: meter
                .u64_counter("spendrail.unpriced")
                .with_unit("{call}")
                .with_description("Calls that were billed for something that has no price, by what that was.")
                .build(),
            budgets,
        }
    }

    /// Counts one record.
    pub(crate) fn record(&self, record: &Record, labels: &Labels) {
        match record {
            Record::Inference(call) => self.inference(call, labels),
            Record::Agent(run) => self.agent(run, labels),
            Record::Tool(call) => self.tool(call, labels),
            Record::Spend(spend) => self.spend(spend, labels),
        }
    }

    /// Asks for the state of the budgets; call it before each collection.
    pub(crate) fn read_budgets(&self, labels: &Labels) {
        let points = self.budgets.source.upgrade().map(|source| source.budget_points(BUDGET_POINTS_MAX));
        let with_attributes = points.unwrap_or_default().into_iter().take(BUDGET_POINTS_MAX).map(|point| {
            let mut attributes = vec![
                KeyValue::new(own::BUDGET, point.budget.clone()),
                KeyValue::new(own::UNIT, point.unit.as_str()),
            ];
            for (dimension, value) in &point.per {
                labels.push(dimension, value.as_ref(), &mut attributes);
            }
            (point, attributes)
        });
        *self.budgets.points.lock() = with_attributes.collect();
    }

    fn inference(&self, call: &InferenceRecord, labels: &Labels) {
        let Subject { scope, provider, request_model, .. } = &*call.subject;
        let none = Details::default();
        let details = call.details.as_deref().unwrap_or(&none);
        let model = Model {
            operation: call.operation,
            provider,
            request: request_model.as_ref(),
            response: details.response_model.as_ref(),
            server: details.server.as_deref(),
        };
        let mut common = model.attributes();
        labels.metric(scope, &mut common);
        let failure = error_type(&call.outcome).map(|kind| KeyValue::new(ERROR_TYPE, kind));
        let with_error: Vec<KeyValue> = common.iter().cloned().chain(failure).collect();
        let duration = since(call.started, call.ended);
        if call.operation == Operation::Embeddings {
            self.operation_duration.record(duration, &with_error);
        } else {
            self.inference_duration.record(duration, &with_error);
            self.stream(call.started, details, &common);
            // A denied call used nothing, because it was not made.
            if !matches!(call.outcome, Outcome::Denied(_)) {
                let none = TokenUsage::default();
                let usage = call.usage.as_ref().unwrap_or(&none);
                self.tokens(usage, &common);
                self.input_sizes.record(usage.input, &with_error);
                self.output_sizes.record(usage.output, &with_error);
            }
        }
        self.cost(call.cost, call.operation.as_str(), Some(&model), scope, labels);
        self.without_price(call.flags, &model);
        self.decision(&call.outcome, details.would_deny.as_deref(), scope, labels);
    }

    fn stream(&self, started: Timestamp, details: &Details, common: &[KeyValue]) {
        let Some(stream) = &details.stream else { return };
        if let Some(first) = stream.first_chunk {
            self.first_chunk.record(since(started, first), common);
        }
        for Gaps { count, sum_ns } in stream.gaps.buckets() {
            // The instrument takes single values only: the bucket's mean, as often as it was met, leaves the bucket
            // counts exact and the sum nearly so.
            let mean = sum_ns.checked_div(u64::from(count)).unwrap_or(0);
            let mean = semconv::seconds(semconv::int(mean));
            for _ in 0..count.min(GAPS_MAX) {
                self.chunk_gap.record(mean, common);
            }
        }
    }

    fn tokens(&self, usage: &TokenUsage, common: &[KeyValue]) {
        let none = ModalityTokens::default();
        let by = usage.modalities.as_deref().unwrap_or(&none);
        // Zero is recorded too where nothing came back: the series exist and stand still.
        split(&self.input, usage.input, [by.input_text, by.input_image, by.input_audio], true, common);
        split(&self.output, usage.output, [by.output_text, by.output_image, by.output_audio], true, common);
        let cached = [by.cache_read_text, by.cache_read_image, by.cache_read_audio];
        split(&self.cache_read, usage.cache_read, cached, false, common);
        split(&self.cache_write, usage.cache_write, [0; 3], false, common);
        split(&self.reasoning, usage.reasoning, [0; 3], false, common);
    }

    fn agent(&self, run: &AgentRecord, labels: &Labels) {
        let refused = matches!(run.outcome, Outcome::Denied(_));
        // Every call of a run is a decision of its own; a run is one only where it is refused.
        if refused || run.would_deny.is_some() {
            self.decision(&run.outcome, run.would_deny.as_deref(), &run.scope, labels);
        }
        let mut attributes = Vec::with_capacity(8);
        attributes.extend(run.scope.agent.clone().map(|agent| KeyValue::new(gen_ai::AGENT_NAME, agent)));
        labels.metric(&run.scope, &mut attributes);
        if !refused {
            self.agent_inference_calls.record(u64::from(run.inference_calls), &attributes);
            self.agent_tool_calls.record(u64::from(run.tool_calls), &attributes);
        }
        attributes.extend(error_type(&run.outcome).map(|kind| KeyValue::new(ERROR_TYPE, kind)));
        self.agent_duration.record(since(run.started, run.ended), &attributes);
    }

    fn tool(&self, call: &ToolRecord, labels: &Labels) {
        let mut attributes = vec![KeyValue::new(gen_ai::TOOL_NAME, call.tool.clone())];
        attributes.extend(call.tool_type.map(|kind| KeyValue::new(gen_ai::TOOL_TYPE, kind)));
        attributes.extend(call.scope.agent.clone().map(|agent| KeyValue::new(gen_ai::AGENT_NAME, agent)));
        labels.metric(&call.scope, &mut attributes);
        attributes.extend(error_type(&call.outcome).map(|kind| KeyValue::new(ERROR_TYPE, kind)));
        self.tool_duration.record(since(call.started, call.ended), &attributes);
        self.cost(call.cost, gen_ai::EXECUTE_TOOL, None, &call.scope, labels);
        self.decision(&call.outcome, call.would_deny.as_deref(), &call.scope, labels);
    }

    fn spend(&self, spend: &SpendRecord, labels: &Labels) {
        let Subject { scope, provider, request_model, .. } = &*spend.subject;
        if spend.tool.is_some() {
            return self.cost(spend.cost, gen_ai::EXECUTE_TOOL, None, scope, labels);
        }
        let model = Model {
            operation: spend.operation,
            provider,
            request: request_model.as_ref(),
            response: spend.response_model.as_ref(),
            server: None,
        };
        if let Some(usage) = spend.usage.as_ref().filter(|_| spend.operation != Operation::Embeddings) {
            let mut common = model.attributes();
            labels.metric(scope, &mut common);
            self.tokens(usage, &common);
        }
        self.cost(spend.cost, spend.operation.as_str(), Some(&model), scope, labels);
        self.without_price(spend.flags, &model);
    }

    fn cost(
        &self,
        cost: Option<NanoUsd>,
        operation: &'static str,
        model: Option<&Model<'_>>,
        scope: &Scope,
        labels: &Labels,
    ) {
        let Some(cost) = cost.filter(|cost| cost.0 > 0) else { return };
        let mut attributes = match model {
            Some(model) => Model { server: None, ..*model }.attributes(),
            None => vec![KeyValue::new(gen_ai::OPERATION, operation)],
        };
        labels.metric(scope, &mut attributes);
        self.cost.add(semconv::usd(cost.0), &attributes);
    }

    fn without_price(&self, flags: Flags, model: &Model<'_>) {
        for (flag, reason) in [
            (Flags::UNKNOWN_MODEL, "unknown_model"),
            (Flags::UNPRICED, "unpriced_bucket"),
            (Flags::FALLBACK_PRICE, "fallback_price"),
        ] {
            if flags.has(flag) {
                let mut attributes = Model { server: None, ..*model }.attributes();
                attributes.push(KeyValue::new(own::REASON, reason));
                self.unpriced.add(1, &attributes);
            }
        }
    }

    fn decision(&self, outcome: &Outcome, would_deny: Option<&Refusal>, scope: &Scope, labels: &Labels) {
        let (decision, refusal) = decision(outcome, would_deny);
        let mut attributes = vec![KeyValue::new(own::DECISION, decision)];
        if let Some(refusal) = refusal {
            attributes.push(KeyValue::new(own::DENIAL_CODE, refusal.code.as_str()));
            attributes.extend(refusal.budget.clone().map(|budget| KeyValue::new(own::BUDGET, budget)));
        }
        labels.metric(scope, &mut attributes);
        self.decisions.add(1, &attributes);
    }
}

/// Most gaps of one bucket of one stream that are recorded one by one.
const GAPS_MAX: u32 = 10_000;

/// The attributes that the conventions give to every metric of a model call.
#[derive(Clone, Copy)]
struct Model<'a> {
    operation: Operation,
    provider: &'a Label,
    request: Option<&'a Label>,
    response: Option<&'a Label>,
    server: Option<&'a Server>,
}

impl Model<'_> {
    fn attributes(&self) -> Vec<KeyValue> {
        let address = self.server.map(|server| &*server.address);
        let mut into = Vec::with_capacity(12);
        into.push(KeyValue::new(gen_ai::OPERATION, self.operation.as_str()));
        into.push(KeyValue::new(gen_ai::PROVIDER, provider(self.provider, address)));
        into.extend(self.request.map(|model| KeyValue::new(gen_ai::REQUEST_MODEL, model.clone())));
        into.extend(self.response.map(|model| KeyValue::new(gen_ai::RESPONSE_MODEL, model.clone())));
        if let Some(server) = self.server {
            into.push(KeyValue::new(semconv::SERVER_ADDRESS, server.address.clone()));
            into.push(KeyValue::new(semconv::SERVER_PORT, i64::from(server.port)));
        }
        into
    }
}

/// Adds `total` by modality; what was not reported by modality is `unknown`.
fn split(counter: &Counter<u64>, total: u64, parts: [u64; 3], zero: bool, common: &[KeyValue]) {
    let mut left = total;
    let mut attributes = common.to_vec();
    let mut add = |modality: &'static str, tokens: u64| {
        attributes.truncate(common.len());
        attributes.push(KeyValue::new(gen_ai::TOKEN_MODALITY, modality));
        counter.add(tokens, &attributes);
    };
    for (modality, tokens) in ["text", "image", "audio"].into_iter().zip(parts) {
        // Parts never exceed the total, even if a reply says so.
        let tokens = tokens.min(left);
        left = left.saturating_sub(tokens);
        if tokens > 0 {
            add(modality, tokens);
        }
    }
    if left > 0 || (zero && total == 0) {
        add("unknown", left);
    }
}

fn budget_gauges(meter: &Meter, budgets: &Arc<Budgets>) {
    type Pick = fn(&BudgetPoint) -> i64;
    let gauges: [(&'static str, Pick); 5] = [
        ("spendrail.budget.limit", |point| point.limit),
        ("spendrail.budget.spent", |point| point.spent),
        ("spendrail.budget.held", |point| point.held),
        ("spendrail.budget.unconfirmed", |point| point.unconfirmed),
        ("spendrail.budget.available", |point| point.available),
    ];
    for (name, value) in gauges {
        let budgets = Arc::clone(budgets);
        // No unit: the attribute `spendrail.unit` says what is counted; money is in USD.
        let observe = move |gauge: &dyn AsyncInstrument<f64>| {
            for (point, attributes) in budgets.points.lock().iter() {
                let value = value(point);
                let value = if point.unit == Unit::Usd { semconv::usd(value) } else { semconv::count(value) };
                gauge.observe(value, attributes);
            }
        };
        meter.f64_observable_gauge(name).with_callback(observe).build();
    }
}

/// What telemetry itself lost, by reason.
fn dropped(meter: &Meter, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    let observe = move |counter: &dyn AsyncInstrument<u64>| {
        let totals = [
            ("queue_full", shared.dropped_records()),
            ("backlog_full", shared.dropped_spans()),
            ("export_failed", shared.failed_spans()),
        ];
        for (reason, total) in totals {
            counter.observe(total, &[KeyValue::new(own::REASON, reason)]);
        }
    };
    meter
        .u64_observable_counter("spendrail.telemetry.dropped")
        .with_unit("{record}")
        .with_callback(observe)
        .build();
}
