//! From a record to a span, attribute by attribute in the order of the conventions.

use super::labels::Labels;
use super::outcome::{Flags, Outcome, Refusal};
use super::record::{
    AgentRecord, Details, InferenceRecord, Operation, Record, RequestParams, TokenUsage, ToolRecord,
};
use super::semconv::{self, ABANDONED, CUT, ERROR_TYPE, gen_ai, int, own};
use super::span_ids::SpanIds;
use crate::values::Timestamp;
use crate::values::scope::Label;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::borrow::Cow;

/// The span of a record, or `None` if it has none or was not sampled.
pub(crate) fn span(record: &Record, labels: &Labels, scope: &InstrumentationScope) -> Option<SpanData> {
    let ids = ids(record).filter(|ids| ids.sampled && ids.is_some())?;
    let mut attributes = Vec::with_capacity(32);
    let (kind, name, started, ended, outcome) = match record {
        Record::Inference(call) => {
            inference(call, labels, &mut attributes);
            let name = named(call.operation.as_str(), call.subject.request_model.as_ref());
            (SpanKind::Client, name, call.started, call.ended, &call.outcome)
        }
        Record::Agent(run) => {
            agent(run, labels, &mut attributes);
            let name = named(gen_ai::INVOKE_AGENT, run.scope.agent.as_ref());
            (SpanKind::Internal, name, run.started, run.ended, &run.outcome)
        }
        Record::Tool(call) => {
            tool(call, labels, &mut attributes);
            let name = named(gen_ai::EXECUTE_TOOL, Some(&call.tool));
            (SpanKind::Internal, name, call.started, call.ended, &call.outcome)
        }
        Record::Spend(_) => return None,
    };
    let status = match error_type(outcome) {
        // The code is in `error.type`; a provider's message may quote the prompt.
        Some(_) => Status::error(""),
        None => Status::Unset,
    };
    Some(SpanData {
        span_context: SpanContext::new(
            TraceId::from(ids.trace_id),
            SpanId::from(ids.span_id),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: SpanId::from(ids.parent_span_id),
        parent_span_is_remote: ids.parent_is_remote,
        span_kind: kind,
        name,
        start_time: semconv::time(started),
        end_time: semconv::time(ended.max(started)),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: scope.clone(),
    })
}

/// The ids of a record that has a span.
pub(crate) fn ids(record: &Record) -> Option<&SpanIds> {
    match record {
        Record::Inference(call) => Some(&call.span),
        Record::Agent(run) => Some(&run.span),
        Record::Tool(call) => Some(&call.span),
        Record::Spend(_) => None,
    }
}

/// `error.type`: the same value on the span and on its metrics; `None` = no error.
pub(crate) fn error_type(outcome: &Outcome) -> Option<Value> {
    match outcome {
        Outcome::Settled | Outcome::Released => None,
        Outcome::Abandoned => Some(ABANDONED.into()),
        Outcome::Denied(refusal) => Some(refusal.code.as_str().into()),
        Outcome::Failed(error_type) => Some(Label::clone(error_type).into()),
    }
}

/// `allowed`, `would_deny` or `denied`, and why.
pub(crate) fn decision<'a>(
    outcome: &'a Outcome,
    would_deny: Option<&'a Refusal>,
) -> (&'static str, Option<&'a Refusal>) {
    match (outcome, would_deny) {
        (Outcome::Denied(refusal), _) => ("denied", Some(refusal)),
        (_, Some(refusal)) => ("would_deny", Some(refusal)),
        (_, None) => ("allowed", None),
    }
}

fn named(operation: &'static str, object: Option<&Label>) -> Cow<'static, str> {
    object.map_or(Cow::Borrowed(operation), |object| Cow::Owned(format!("{operation} {object}")))
}

fn inference(call: &InferenceRecord, labels: &Labels, into: &mut Vec<KeyValue>) {
    let embeddings = call.operation == Operation::Embeddings;
    let none = Details::default();
    let details = call.details.as_deref().unwrap_or(&none);
    let address = details.server.as_ref().map(|server| &*server.address);
    into.push(KeyValue::new(gen_ai::OPERATION, call.operation.as_str()));
    into.push(KeyValue::new(gen_ai::PROVIDER, provider(&call.subject.provider, address)));
    text(gen_ai::REQUEST_MODEL, call.subject.request_model.as_ref(), into);
    if let Some(server) = &details.server {
        into.push(KeyValue::new(semconv::SERVER_ADDRESS, server.address.clone()));
        into.push(KeyValue::new(semconv::SERVER_PORT, i64::from(server.port)));
    }
    error(&call.outcome, into);
    text(gen_ai::RESPONSE_MODEL, details.response_model.as_ref(), into);
    if let Some(params) = &details.params {
        if embeddings { embedding_params(params, into) } else { request_params(params, into) }
    }
    if !embeddings {
        text(gen_ai::RESPONSE_ID, details.response_id.as_ref(), into);
        finish(&call.outcome, details, into);
        stream(call.started, details, into);
    }
    if let Some(usage) = &call.usage {
        tokens(usage, embeddings, into);
    }
    if let Some(cost) = call.cost {
        into.push(KeyValue::new(own::COST_NANO_USD, cost.0));
        into.push(KeyValue::new(own::COST_USD, semconv::usd(cost.0)));
    }
    text(own::PRICE_VERSION, call.subject.price_version.as_ref(), into);
    verdict(&call.outcome, details.would_deny.as_deref(), call.flags, into);
    labels.span(&call.subject.scope, into);
}

/// The attribute's value, without a copy where the name is the catalog's own.
pub(crate) fn provider(name: &Label, address: Option<&str>) -> Value {
    let known = semconv::provider(name, address);
    if *known == **name { name.clone().into() } else { known.to_owned().into() }
}

fn request_params(params: &RequestParams, into: &mut Vec<KeyValue>) {
    number(gen_ai::REQUEST_MAX_TOKENS, params.max_tokens, into);
    double(gen_ai::REQUEST_TEMPERATURE, params.temperature, into);
    double(gen_ai::REQUEST_TOP_P, params.top_p, into);
    number(gen_ai::REQUEST_TOP_K, params.top_k, into);
    double(gen_ai::REQUEST_FREQUENCY_PENALTY, params.frequency_penalty, into);
    double(gen_ai::REQUEST_PRESENCE_PENALTY, params.presence_penalty, into);
    into.extend(params.seed.map(|seed| KeyValue::new(gen_ai::REQUEST_SEED, seed)));
    number(gen_ai::REQUEST_CHOICES, params.choices.filter(|choices| *choices != 1), into);
    if !params.stop_sequences.is_empty() {
        into.push(KeyValue::new(gen_ai::REQUEST_STOP, texts(params.stop_sequences.iter().cloned())));
    }
    text(gen_ai::REQUEST_REASONING, params.reasoning_level.as_ref(), into);
    text(gen_ai::REQUEST_PREVIOUS, params.previous_response_id.as_ref(), into);
    text(gen_ai::OUTPUT_TYPE, params.output_type.as_ref(), into);
    into.extend(params.openai_api.map(|api| KeyValue::new(semconv::OPENAI_API, api)));
    let asked = params.openai_request_tier.as_ref().filter(|tier| &***tier != "auto");
    text(semconv::OPENAI_REQUEST_TIER, asked, into);
    text(semconv::OPENAI_RESPONSE_TIER, params.openai_response_tier.as_ref(), into);
    text(semconv::OPENAI_FINGERPRINT, params.openai_system_fingerprint.as_ref(), into);
}

fn embedding_params(params: &RequestParams, into: &mut Vec<KeyValue>) {
    number(gen_ai::EMBEDDING_DIMENSIONS, params.dimensions, into);
    if let Some(format) = &params.encoding_format {
        into.push(KeyValue::new(gen_ai::REQUEST_ENCODINGS, texts([format.clone()])));
    }
}

fn finish(outcome: &Outcome, details: &Details, into: &mut Vec<KeyValue>) {
    let sent = !matches!(outcome, Outcome::Denied(_) | Outcome::Released);
    if !details.finish_reasons.is_empty() {
        into.push(KeyValue::new(gen_ai::FINISH_REASONS, texts(details.finish_reasons.iter().cloned())));
    } else if details.stream.is_some() && sent {
        into.push(KeyValue::new(gen_ai::FINISH_REASONS, texts([CUT])));
    }
}

fn stream(started: Timestamp, details: &Details, into: &mut Vec<KeyValue>) {
    let Some(stream) = &details.stream else { return };
    into.push(KeyValue::new(gen_ai::REQUEST_STREAM, true));
    if let Some(first) = stream.first_chunk {
        into.push(KeyValue::new(gen_ai::TIME_TO_FIRST_CHUNK, since(started, first)));
    }
}

/// Totals always, parts where they apply.
fn tokens(usage: &TokenUsage, embeddings: bool, into: &mut Vec<KeyValue>) {
    number(gen_ai::INPUT_TOKENS, Some(usage.input), into);
    if embeddings {
        return;
    }
    number(gen_ai::OUTPUT_TOKENS, Some(usage.output), into);
    let mut parts = vec![
        (gen_ai::CACHE_READ, usage.cache_read),
        (gen_ai::CACHE_WRITE, usage.cache_write),
        (gen_ai::REASONING, usage.reasoning),
    ];
    if let Some(by) = &usage.modalities {
        parts.extend([
            (gen_ai::TEXT_INPUT, by.input_text),
            (gen_ai::IMAGE_INPUT, by.input_image),
            (gen_ai::AUDIO_INPUT, by.input_audio),
            (gen_ai::TEXT_CACHE_READ, by.cache_read_text),
            (gen_ai::IMAGE_CACHE_READ, by.cache_read_image),
            (gen_ai::AUDIO_CACHE_READ, by.cache_read_audio),
            (gen_ai::TEXT_OUTPUT, by.output_text),
            (gen_ai::IMAGE_OUTPUT, by.output_image),
            (gen_ai::AUDIO_OUTPUT, by.output_audio),
        ]);
    }
    for (name, tokens) in parts {
        number(name, Some(tokens).filter(|tokens| *tokens > 0), into);
    }
}

fn agent(run: &AgentRecord, labels: &Labels, into: &mut Vec<KeyValue>) {
    into.push(KeyValue::new(gen_ai::OPERATION, gen_ai::INVOKE_AGENT));
    error(&run.outcome, into);
    text(gen_ai::AGENT_NAME, run.scope.agent.as_ref(), into);
    // No cost here: back ends add a parent's cost to its children's.
    number(gen_ai::INPUT_TOKENS, Some(run.input_tokens).filter(|tokens| *tokens > 0), into);
    number(gen_ai::OUTPUT_TOKENS, Some(run.output_tokens).filter(|tokens| *tokens > 0), into);
    verdict(&run.outcome, run.would_deny.as_deref(), Flags::NONE, into);
    labels.span(&run.scope, into);
}

fn tool(call: &ToolRecord, labels: &Labels, into: &mut Vec<KeyValue>) {
    into.push(KeyValue::new(gen_ai::OPERATION, gen_ai::EXECUTE_TOOL));
    into.push(KeyValue::new(gen_ai::TOOL_NAME, call.tool.clone()));
    error(&call.outcome, into);
    text(gen_ai::AGENT_NAME, call.scope.agent.as_ref(), into);
    into.extend(call.tool_type.map(|kind| KeyValue::new(gen_ai::TOOL_TYPE, kind)));
    text(gen_ai::TOOL_CALL_ID, call.call_id.as_ref(), into);
    verdict(&call.outcome, call.would_deny.as_deref(), call.flags, into);
    labels.span(&call.scope, into);
}

fn verdict(outcome: &Outcome, would_deny: Option<&Refusal>, flags: Flags, into: &mut Vec<KeyValue>) {
    let (decision, refusal) = decision(outcome, would_deny);
    into.push(KeyValue::new(own::DECISION, decision));
    if let Some(refusal) = refusal {
        into.push(KeyValue::new(own::DENIAL_CODE, refusal.code.as_str()));
        text(own::BUDGET, refusal.budget.as_ref(), into);
    }
    let outcome = match outcome {
        Outcome::Settled => "settled",
        Outcome::Released => "released",
        Outcome::Abandoned => "abandoned",
        Outcome::Denied(_) => "denied",
        Outcome::Failed(_) => "failed",
    };
    into.push(KeyValue::new(own::OUTCOME, outcome));
    if !flags.is_empty() {
        into.push(KeyValue::new(own::FLAGS, texts(flags.names())));
    }
}

fn error(outcome: &Outcome, into: &mut Vec<KeyValue>) {
    into.extend(error_type(outcome).map(|kind| KeyValue::new(ERROR_TYPE, kind)));
}

/// Seconds from `start` to `end`.
pub(crate) fn since(start: Timestamp, end: Timestamp) -> f64 {
    semconv::seconds(end.nanos().saturating_sub(start.nanos()))
}

fn text(name: &'static str, value: Option<&Label>, into: &mut Vec<KeyValue>) {
    into.extend(value.map(|value| KeyValue::new(name, value.clone())));
}

fn number(name: &'static str, value: Option<u64>, into: &mut Vec<KeyValue>) {
    into.extend(value.map(|value| KeyValue::new(name, int(value))));
}

/// A double; one that is not finite was never sent to a provider and is left out.
fn double(name: &'static str, value: Option<f64>, into: &mut Vec<KeyValue>) {
    into.extend(value.filter(|value| value.is_finite()).map(|value| KeyValue::new(name, value)));
}

fn texts<T: Into<StringValue>>(values: impl IntoIterator<Item = T>) -> Value {
    Value::Array(Array::String(values.into_iter().map(Into::into).collect()))
}
