//! What a call leaves for telemetry.

use super::Receipt;
use super::hold::{Held, Stream};
use super::state::State;
use crate::catalog::normalise::Reply;
use crate::engine::{Call, CallKind, Denial, Quantities};
use crate::telemetry::{
    AgentRecord, Details, Flags, InferenceRecord, ModalityTokens, Outcome, Record, Refusal, RequestParams,
    Server, SpanIds, SpendRecord, Subject, TokenUsage, ToolRecord,
};
use crate::values::{Bucket, Label, NanoUsd, Scope, Timestamp, Usage};
use std::sync::Arc;

/// What a settle is told as.
#[derive(Debug)]
pub(super) enum Told {
    /// A call that ended: a span, its metrics, a decision.
    Call(Outcome),
    /// Spend of a call that was made elsewhere, or long ago: it is counted, and that is all.
    Elsewhere,
}

/// How a call ended.
#[derive(Debug, Default)]
struct Ended<'a> {
    outcome: Outcome,
    flags: Flags,
    usage: Option<&'a Usage>,
    /// What was posted; `None` if nothing was.
    cost: Option<NanoUsd>,
    reply: Option<Box<Reply>>,
}

/// A call was settled, cut or lost.
pub(super) fn settled(
    held: Box<Held>,
    now: Timestamp,
    outcome: Outcome,
    receipt: &Receipt,
    reply: Option<Box<Reply>>,
) {
    let (flags, usage, cost) = (receipt.flags, receipt.usage.as_ref(), Some(receipt.posted));
    ended(held, now, Ended { outcome, flags, usage, cost, reply });
}

/// A call was released.
pub(super) fn released(held: Box<Held>, now: Timestamp, outcome: Outcome) {
    let flags = held.flags;
    ended(held, now, Ended { outcome, flags, ..Ended::default() });
}

/// Spend without a call: made elsewhere, or the exact word after an estimate that was told as a call. Only what is more
/// than what was told before is counted: one call is never counted twice. A correction downwards is on the receipt and
/// in the ledger; counters only rise.
pub(super) fn spent(held: &Held, receipt: &Receipt, before: Option<&Quantities>) {
    let mut cost = receipt.posted;
    let mut usage = receipt.usage.as_ref().map(tokens);
    if let Some(before) = before {
        cost = NanoUsd(cost.0.saturating_sub(before.usd));
        // An estimate by the whole hold told no tokens.
        let whole = Quantities { concurrent: 0, ..held.estimate.quantities };
        if *before != whole {
            usage = usage.map(|usage| beyond(&usage, before));
        }
    }
    if let Some(run) = &held.run {
        run.used(usage.as_ref().map_or((0, 0), |usage| (usage.input, usage.output)), cost);
    }
    if !held.state.recorder.enabled() {
        return;
    }
    held.state.recorder.push(Record::Spend(Box::new(SpendRecord {
        operation: held.operation,
        subject: held.subject.told(),
        tool: held.subject.tool.clone(),
        response_model: receipt.response_model.clone(),
        usage,
        cost: Some(cost),
        flags: receipt.flags,
    })));
}

/// The totals that are more than those of an estimate; their parts were told with it.
fn beyond(usage: &TokenUsage, before: &Quantities) -> TokenUsage {
    let more = |now: u64, before: i64| now.saturating_sub(u64::try_from(before).unwrap_or(0));
    TokenUsage {
        input: more(usage.input, before.input_tokens),
        output: more(usage.output, before.output_tokens),
        ..TokenUsage::default()
    }
}

fn ended(held: Box<Held>, now: Timestamp, ended: Ended<'_>) {
    let Ended { outcome, flags, usage, cost, reply } = ended;
    if let Some(run) = &held.run {
        let tokens = usage.map_or((0, 0), |usage| (usage.total_input(), usage.total_output()));
        run.used(tokens, cost.unwrap_or_default());
    }
    if !held.state.recorder.enabled() {
        return;
    }
    // What the hold knew moves on to the record.
    let Held { state, subject, params, server, span, started, would_deny, stream, operation, .. } = *held;
    let record = match &subject.tool {
        Some(tool) => Record::Tool(Box::new(ToolRecord {
            span,
            started,
            ended: now,
            scope: Arc::clone(&subject.scope),
            tool: Arc::clone(tool),
            call_id: None,
            tool_type: Some("function"),
            cost,
            flags,
            outcome,
            would_deny,
        })),
        None => Record::Inference(InferenceRecord {
            span,
            operation,
            started,
            ended: now,
            subject: subject.told(),
            details: details(stream, reply, params, server, would_deny),
            usage: usage.map(tokens),
            cost,
            flags,
            outcome,
        }),
    };
    state.recorder.push(record);
}

/// A call was denied: a span with `error.type` and a counted decision.
pub(super) fn denied(state: &State, call: &Call, scope: &Arc<Scope>, span: SpanIds, denial: &Denial) {
    if !state.recorder.enabled() {
        return;
    }
    let budget = denial.failures.first().map(|failure| Arc::clone(&failure.balance.budget));
    let outcome = Outcome::Denied(Box::new(Refusal { code: denial.code, budget }));
    let (started, ended) = (denial.denied_at, denial.denied_at);
    let record = match &call.kind {
        CallKind::Tool { name, .. } => Record::Tool(Box::new(ToolRecord {
            span,
            started,
            ended,
            scope: Arc::clone(scope),
            tool: Arc::clone(name),
            call_id: None,
            tool_type: Some("function"),
            cost: None,
            flags: Flags::NONE,
            outcome,
            would_deny: None,
        })),
        CallKind::Model => Record::Inference(InferenceRecord {
            span,
            operation: call.operation,
            started,
            ended,
            subject: Arc::new(Subject {
                scope: Arc::clone(scope),
                provider: call.provider.clone().unwrap_or_else(|| Label::from("unknown")),
                request_model: Some(Arc::clone(&call.model)),
                price_version: None,
            }),
            details: Details {
                stream: call.stream.then(Box::default),
                params: call.params.clone(),
                server: call.server.clone(),
                ..Details::default()
            }
            .boxed(),
            usage: None,
            cost: None,
            flags: Flags::NONE,
            outcome,
        }),
    };
    state.recorder.push(record);
}

/// A run was not started: a span with `error.type` and a counted decision, too.
pub(super) fn run_denied(state: &State, scope: Arc<Scope>, span: SpanIds, denial: &Denial) {
    if !state.recorder.enabled() {
        return;
    }
    state.recorder.push(Record::Agent(Box::new(AgentRecord {
        span,
        started: denial.denied_at,
        ended: denial.denied_at,
        scope,
        inference_calls: 0,
        tool_calls: 0,
        input_tokens: 0,
        output_tokens: 0,
        would_deny: None,
        outcome: Outcome::Denied(Box::new(Refusal { code: denial.code, budget: None })),
    })));
}

/// What the request and the reply said besides the tokens.
#[inline]
fn details(
    stream: Option<Box<Stream>>,
    reply: Option<Box<Reply>>,
    params: Option<Box<RequestParams>>,
    server: Option<Arc<Server>>,
    would_deny: Option<Box<Refusal>>,
) -> Option<Box<Details>> {
    let nothing = stream.is_none() && reply.is_none() && params.is_none();
    if nothing && server.is_none() && would_deny.is_none() {
        return None;
    }
    let params = with_reply(params, reply.as_deref());
    let (response_model, response_id, finish_reasons) =
        reply.map(|reply| (reply.model, reply.id, reply.finish_reasons)).unwrap_or_default();
    let stream = stream.map(|stream| Box::new(stream.times));
    Details { stream, response_model, response_id, finish_reasons, params, server, would_deny }.boxed()
}

/// What the request asked for, and what the reply said about it.
fn with_reply(params: Option<Box<RequestParams>>, reply: Option<&Reply>) -> Option<Box<RequestParams>> {
    let said = |reply: &&Reply| reply.service_tier.is_some() || reply.system_fingerprint.is_some();
    let Some(reply) = reply.filter(said) else { return params };
    let mut params = params.unwrap_or_default();
    if params.openai_api.is_some() {
        params.openai_response_tier.clone_from(&reply.service_tier);
        params.openai_system_fingerprint.clone_from(&reply.system_fingerprint);
    }
    Some(params)
}

const CACHE_READ: u64 = Bucket::mask(&[
    Bucket::CacheRead,
    Bucket::CacheReadAudio,
    Bucket::CacheReadImage,
    Bucket::CacheReadVideo,
]);
const CACHE_WRITE: u64 = Bucket::mask(&[
    Bucket::CacheWrite,
    Bucket::CacheWrite5m,
    Bucket::CacheWrite30m,
    Bucket::CacheWrite1h,
    Bucket::CacheWrite12h,
    Bucket::CacheWriteAudio,
]);
const INPUT_IMAGE: u64 = Bucket::mask(&[Bucket::InputImage, Bucket::CacheReadImage]);
const INPUT_AUDIO: u64 = Bucket::mask(&[Bucket::InputAudio, Bucket::CacheReadAudio, Bucket::CacheWriteAudio]);
const OUTPUT_MEDIA: u64 = Bucket::mask(&[Bucket::OutputImage, Bucket::OutputAudio]);

/// The conventions' totals, which include their parts.
pub(super) fn tokens(usage: &Usage) -> TokenUsage {
    TokenUsage {
        input: usage.total_input(),
        cache_read: usage.sum(CACHE_READ),
        cache_write: usage.sum(CACHE_WRITE),
        output: usage.total_output(),
        reasoning: usage.get(Bucket::OutputReasoning),
        modalities: modalities(usage),
    }
}

/// The tokens that a provider reported as image or audio. The rest may be text or unknown: providers do not say.
fn modalities(usage: &Usage) -> Option<Box<ModalityTokens>> {
    if usage.sum(INPUT_IMAGE | INPUT_AUDIO | OUTPUT_MEDIA) == 0 {
        return None;
    }
    Some(Box::new(ModalityTokens {
        input_image: usage.sum(INPUT_IMAGE),
        input_audio: usage.sum(INPUT_AUDIO),
        cache_read_image: usage.get(Bucket::CacheReadImage),
        cache_read_audio: usage.get(Bucket::CacheReadAudio),
        output_image: usage.get(Bucket::OutputImage),
        output_audio: usage.get(Bucket::OutputAudio),
        ..ModalityTokens::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_include_their_parts_and_text_is_not_guessed() {
        let plain = Usage::inclusive(100, 40, 20, 30, 10).unwrap();
        let expected = TokenUsage {
            input: 100,
            cache_read: 40,
            cache_write: 20,
            output: 30,
            reasoning: 10,
            modalities: None,
        };
        assert_eq!(tokens(&plain), expected);
        let audio =
            plain.with(Bucket::InputAudio, 5).with(Bucket::CacheReadAudio, 2).with(Bucket::OutputImage, 7);
        let parts = tokens(&audio).modalities.unwrap();
        assert_eq!(
            (parts.input_audio, parts.cache_read_audio, parts.output_image, parts.input_text),
            (7, 2, 7, 0)
        );
    }
}
