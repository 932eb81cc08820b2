//! What a call leaves for telemetry.

use super::hold::Held;
use super::state::State;
use crate::catalog::normalise::Reply;
use crate::engine::{Call, CallKind, Denial};
use crate::telemetry::{
    Flags, InferenceRecord, ModalityTokens, Outcome, Record, Refusal, RequestParams, SpanIds, Subject,
    TokenUsage, ToolRecord,
};
use crate::values::{Bucket, Label, NanoUsd, Scope, Timestamp, Usage};
use smallvec::SmallVec;
use std::sync::Arc;

/// How a call ended.
#[derive(Debug, Default)]
pub(super) struct Ended<'a> {
    pub(super) outcome: Outcome,
    pub(super) flags: Flags,
    pub(super) usage: Option<&'a Usage>,
    /// What was posted; `None` if nothing was.
    pub(super) cost: Option<NanoUsd>,
    pub(super) reply: Option<Box<Reply>>,
}

/// A call has ended: settled, released, cut or lost.
pub(super) fn ended(held: Box<Held>, now: Timestamp, ended: Ended<'_>) {
    let Ended { outcome, flags, usage, cost, reply } = ended;
    if let Some(run) = &held.run {
        run.used(usage, cost.unwrap_or_default());
    }
    if !held.state.recorder.enabled() {
        return;
    }
    // What the hold knew moves on to the record.
    let Held { state, subject, params, server, span, started, would_deny, stream, operation, .. } = *held;
    let params = with_reply(params, reply.as_deref());
    let (response_model, response_id, finish_reasons) =
        reply.map(|reply| (reply.model, reply.id, reply.finish_reasons)).unwrap_or_default();
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
        None => Record::Inference(Box::new(InferenceRecord {
            span,
            operation,
            started,
            ended: now,
            stream: stream.map(|stream| Box::new(stream.times)),
            subject: subject.told(),
            response_model,
            response_id,
            finish_reasons,
            params,
            server,
            usage: usage.map(tokens),
            cost,
            flags,
            outcome,
            would_deny,
        })),
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
        CallKind::Model => Record::Inference(Box::new(InferenceRecord {
            span,
            operation: call.operation,
            started,
            ended,
            stream: call.stream.then(Box::default),
            subject: Arc::new(Subject {
                scope: Arc::clone(scope),
                provider: call.provider.clone().unwrap_or_else(|| Label::from("unknown")),
                request_model: Some(Arc::clone(&call.model)),
                price_version: None,
            }),
            response_model: None,
            response_id: None,
            finish_reasons: SmallVec::new(),
            params: call.params.clone(),
            server: call.server.clone(),
            usage: None,
            cost: None,
            flags: Flags::NONE,
            outcome,
            would_deny: None,
        })),
    };
    state.recorder.push(record);
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
