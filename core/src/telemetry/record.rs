//! What a caller leaves behind: one compact record per call, agent run or tool call. Spans, metrics and protobuf are
//! made from it later, on the background thread.

use super::outcome::{Flags, Outcome, Refusal};
use super::span_ids::SpanIds;
use crate::values::scope::Label;
use crate::values::{NanoUsd, Scope, Timestamp};
use smallvec::SmallVec;
use std::sync::Arc;

/// `gen_ai.operation.name` of a model call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Chat: OpenAI chat and Responses, Anthropic Messages.
    #[default]
    Chat,
    /// The older text completions.
    TextCompletion,
    /// Gemini's `generateContent`.
    GenerateContent,
    /// Embeddings.
    Embeddings,
    /// Documents put in order by a model. The conventions have no word for it; one of one's own is allowed.
    Rerank,
}

impl Operation {
    /// The conventions' name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::GenerateContent => "generate_content",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
        }
    }
}

/// One model call.
#[derive(Clone, Debug)]
pub struct InferenceRecord {
    /// Its span.
    pub span: SpanIds,
    /// What kind of call.
    pub operation: Operation,
    /// When it was asked for.
    pub started: Timestamp,
    /// When the reply was complete, failed or was cancelled.
    pub ended: Timestamp,
    /// Who asked whom for what.
    pub subject: Arc<Subject>,
    /// What the request and the reply said besides; `None` if that is nothing.
    pub details: Option<Box<Details>>,
    /// The tokens, or `None` if the provider did not say.
    pub usage: Option<TokenUsage>,
    /// What was posted to the budgets; `None` if nothing was.
    pub cost: Option<NanoUsd>,
    /// What is remarkable.
    pub flags: Flags,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a guard's caller who only states tokens leaves out. In a box of its own: a record crosses from one core to
/// another, and every cache line of it is paid for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The times of a streamed reply; `None` = not streamed.
    pub stream: Option<Box<StreamTimes>>,
    /// The model that served.
    pub response_model: Option<Label>,
    /// The provider's id of the reply.
    pub response_id: Option<Label>,
    /// One per choice.
    pub finish_reasons: SmallVec<[Label; 1]>,
    /// What else the request and the reply said.
    pub params: Option<Box<RequestParams>>,
    /// The host that was addressed.
    pub server: Option<Arc<Server>>,
    /// Why it would have been refused, had the budget or the mode enforced.
    pub would_deny: Option<Box<Refusal>>,
}

impl Details {
    /// Boxed, unless they say nothing.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        let Self { stream, response_model, response_id, finish_reasons, params, server, would_deny } = &self;
        let nothing = stream.is_none()
            && (response_model.is_none() && response_id.is_none() && finish_reasons.is_empty())
            && (params.is_none() && server.is_none() && would_deny.is_none());
        (!nothing).then(|| Box::new(self))
    }
}

/// What many calls have in common: the records of one application name the same few scopes and models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Who and what for.
    pub scope: Arc<Scope>,
    /// The provider, as the catalog calls it.
    pub provider: Label,
    /// The model that was asked for, exactly as written.
    pub request_model: Option<Label>,
    /// The version of the price catalog that it was priced by.
    pub price_version: Option<Label>,
}

/// Tokens of one call, with subsets included in the totals (the conventions' way, not the buckets').
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// All input, cached included.
    pub input: u64,
    /// Of the input: read from a cache.
    pub cache_read: u64,
    /// Of the input: written to a cache.
    pub cache_write: u64,
    /// All output, reasoning included.
    pub output: u64,
    /// Of the output: reasoning.
    pub reasoning: u64,
    /// The tokens that the provider reported by modality.
    pub modalities: Option<Box<ModalityTokens>>,
}

/// Tokens by modality, as far as the provider reported them; 0 = not reported. What is left of a total is of unknown
/// modality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModalityTokens {
    /// Of the input: text.
    pub input_text: u64,
    /// Of the input: image.
    pub input_image: u64,
    /// Of the input: audio.
    pub input_audio: u64,
    /// Of what was read from a cache: text.
    pub cache_read_text: u64,
    /// Of what was read from a cache: image.
    pub cache_read_image: u64,
    /// Of what was read from a cache: audio.
    pub cache_read_audio: u64,
    /// Of the output: text.
    pub output_text: u64,
    /// Of the output: image.
    pub output_image: u64,
    /// Of the output: audio.
    pub output_audio: u64,
}

/// The host that a client talks to; shared by the records of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Host name or address.
    pub address: Label,
    /// Port.
    pub port: u16,
}

/// When a streamed reply came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamTimes {
    /// The first chunk; `None` if none came.
    pub first_chunk: Option<Timestamp>,
    /// The gaps between chunks.
    pub gaps: ChunkGaps,
}

impl StreamTimes {
    /// A chunk came at `now`; `previous` is when the one before it came.
    pub fn chunk(&mut self, previous: Option<Timestamp>, now: Timestamp) {
        match previous {
            None => self.first_chunk = Some(now),
            Some(previous) => self.gaps.add(now.nanos().saturating_sub(previous.nanos())),
        }
    }
}

/// The gaps between the chunks of one stream, as a histogram over the conventions' buckets: 200 bytes for any number
/// of chunks, exact in counts, sum, least and largest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkGaps {
    buckets: [Gaps; DURATION_BOUNDS_MS.len() + 1],
}

/// One bucket of [`ChunkGaps`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gaps {
    pub(crate) count: u32,
    pub(crate) sum_ns: u64,
}

/// The upper bounds of the conventions' duration buckets (0.01 s doubling to 81.92 s), in milliseconds.
pub(crate) const DURATION_BOUNDS_MS: [u64; 14] =
    [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_120, 10_240, 20_480, 40_960, 81_920];

impl ChunkGaps {
    /// Adds one gap in nanoseconds; negative (a clock that went back) counts as zero.
    pub fn add(&mut self, gap_ns: i64) {
        let gap_ns = u64::try_from(gap_ns).unwrap_or(0);
        let at = DURATION_BOUNDS_MS.iter().position(|bound| gap_ns <= bound.saturating_mul(1_000_000));
        if let Some(slot) = self.buckets.get_mut(at.unwrap_or(DURATION_BOUNDS_MS.len())) {
            slot.count = slot.count.saturating_add(1);
            slot.sum_ns = slot.sum_ns.saturating_add(gap_ns);
        }
    }

    /// How many gaps there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|slot| u64::from(slot.count)).sum()
    }

    #[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "only the exporter reads them"))]
    pub(crate) fn buckets(&self) -> impl Iterator<Item = Gaps> + '_ {
        self.buckets.iter().copied().filter(|slot| slot.count > 0)
    }
}

/// What a request asked for and a reply said beyond model and tokens. Never content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestParams {
    /// `gen_ai.request.max_tokens`
    pub max_tokens: Option<u64>,
    /// `gen_ai.request.temperature`
    pub temperature: Option<f64>,
    /// `gen_ai.request.top_p`
    pub top_p: Option<f64>,
    /// `gen_ai.request.top_k`
    pub top_k: Option<u64>,
    /// `gen_ai.request.frequency_penalty`
    pub frequency_penalty: Option<f64>,
    /// `gen_ai.request.presence_penalty`
    pub presence_penalty: Option<f64>,
    /// `gen_ai.request.seed`
    pub seed: Option<i64>,
    /// `gen_ai.request.choice.count`; left out of the span where it is 1
    pub choices: Option<u64>,
    /// `gen_ai.request.stop_sequences`
    pub stop_sequences: Vec<Label>,
    /// `gen_ai.request.reasoning.level`
    pub reasoning_level: Option<Label>,
    /// `gen_ai.request.previous_response.id`
    pub previous_response_id: Option<Label>,
    /// `gen_ai.output.type`: `text`, `json`, `image` or `speech`
    pub output_type: Option<Label>,
    /// `gen_ai.request.encoding_formats` of embeddings
    pub encoding_format: Option<Label>,
    /// `gen_ai.embeddings.dimension.count`
    pub dimensions: Option<u64>,
    /// `openai.api.type`: `chat_completions` or `responses`
    pub openai_api: Option<&'static str>,
    /// `openai.request.service_tier`; left out of the span where it is `auto`
    pub openai_request_tier: Option<Label>,
    /// `openai.response.service_tier`
    pub openai_response_tier: Option<Label>,
    /// `openai.response.system_fingerprint`
    pub openai_system_fingerprint: Option<Label>,
}

/// One agent run, from start to end.
#[derive(Clone, Debug)]
pub struct AgentRecord {
    /// Its span.
    pub span: SpanIds,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Who and what for; `agent` is its name, `run` its id.
    pub scope: Arc<Scope>,
    /// Its own model calls, failed ones included, those of its child runs not.
    pub inference_calls: u32,
    /// Its own tool calls.
    pub tool_calls: u32,
    /// All input tokens of its own calls.
    pub input_tokens: u64,
    /// All output tokens of its own calls.
    pub output_tokens: u64,
    /// Why it would have been refused, had the mode enforced.
    pub would_deny: Option<Box<Refusal>>,
    /// How it ended.
    pub outcome: Outcome,
}

/// One client-side tool call.
#[derive(Clone, Debug)]
pub struct ToolRecord {
    /// Its span.
    pub span: SpanIds,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Who and what for.
    pub scope: Arc<Scope>,
    /// The tool's name.
    pub tool: Label,
    /// The model's id of this tool call.
    pub call_id: Option<Label>,
    /// `gen_ai.tool.type`: `function`, `extension` or `datastore`.
    pub tool_type: Option<&'static str>,
    /// What was posted for it: a metric only, never on the span.
    pub cost: Option<NanoUsd>,
    /// What is remarkable.
    pub flags: Flags,
    /// Why it would have been refused, had the budget or the mode enforced.
    pub would_deny: Option<Box<Refusal>>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Spend that happened elsewhere or after its span had ended: counted, without a span.
#[derive(Clone, Debug)]
pub struct SpendRecord {
    /// What kind of call.
    pub operation: Operation,
    /// Who asked whom for what.
    pub subject: Arc<Subject>,
    /// The tool, if it is spend of a client-side tool.
    pub tool: Option<Label>,
    /// The model that served.
    pub response_model: Option<Label>,
    /// The tokens, if they are known.
    pub usage: Option<TokenUsage>,
    /// What was posted; may be negative (a correction), then it is not counted.
    pub cost: Option<NanoUsd>,
    /// What is remarkable.
    pub flags: Flags,
}

/// What goes through the queue. Nearly all are model calls, and these are not boxed: a box would be freed by another
/// thread, and the caller would never meet its memory again while it is warm.
#[derive(Clone, Debug)]
pub enum Record {
    /// A model call.
    Inference(InferenceRecord),
    /// An agent run.
    Agent(Box<AgentRecord>),
    /// A tool call.
    Tool(Box<ToolRecord>),
    /// Spend without a span.
    Spend(Box<SpendRecord>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Record>() <= 176, "{}", size_of::<Record>());
    }

    #[test]
    fn gaps_fall_into_the_conventions_buckets() {
        let mut gaps = ChunkGaps::default();
        for gap in [-5, 0, 10_000_000, 10_000_001, i64::MAX] {
            gaps.add(gap);
        }
        let counts: Vec<u32> = gaps.buckets().map(|slot| slot.count).collect();
        assert_eq!((counts, gaps.count()), (vec![3, 1, 1], 5));
    }
}
