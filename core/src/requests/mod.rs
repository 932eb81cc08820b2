//! What a request to a provider says: which endpoint it is, and how much it can cost at most. The wrappers of each
//! language pass the path and the JSON body; what follows from them is decided here.

mod anthropic;
mod bedrock;
mod chat;
mod cohere;
mod endpoint;
mod fields;
mod fingerprint;
mod free;
mod gemini;
mod legacy;
mod path;
mod responses;
mod size;
mod tools;

pub use crate::telemetry::{Operation, RequestParams};
pub use endpoint::{Endpoint, endpoint};
pub use fingerprint::fingerprint;
pub use path::{model_of_path, path_streams};
pub use size::FRAME_TOKENS;

use crate::catalog::Tier;
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::values::scope::Label;
use crate::values::{Bucket, Usage};
use serde_json::Value;
use smallvec::SmallVec;

/// How deep a body may be nested.
pub const DEPTH_MAX: usize = 128;
/// Most choices of one request.
pub const CHOICES_MAX: u64 = 1 << 16;
/// How often a server-side tool is used at most where the request does not say.
pub const TOOL_USES_UNSTATED: u64 = 10;

/// An API whose requests and replies are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Api {
    /// OpenAI Chat Completions and compatible servers.
    OpenAiChat,
    /// OpenAI Responses.
    OpenAiResponses,
    /// OpenAI's older text completions.
    OpenAiCompletions,
    /// OpenAI embeddings.
    OpenAiEmbeddings,
    /// Anthropic Messages.
    AnthropicMessages,
    /// Gemini and Vertex `generateContent` and `streamGenerateContent`.
    GeminiGenerate,
    /// Gemini and Vertex embeddings: `embedContent`, `batchEmbedContents`, and Vertex's `predict` of an embedding
    /// model.
    GeminiEmbed,
    /// Bedrock `converse` and `converse-stream`.
    BedrockConverse,
    /// Bedrock `invoke` and `invoke-with-response-stream`: the body is in the shape of the model's family.
    BedrockInvoke,
    /// Cohere chat, both versions.
    CohereChat,
    /// Cohere embeddings, both versions.
    CohereEmbed,
    /// Cohere rerank, both versions.
    CohereRerank,
}

impl Api {
    /// Every API.
    pub const ALL: [Api; 12] = [
        Api::OpenAiChat,
        Api::OpenAiResponses,
        Api::OpenAiCompletions,
        Api::OpenAiEmbeddings,
        Api::AnthropicMessages,
        Api::GeminiGenerate,
        Api::GeminiEmbed,
        Api::BedrockConverse,
        Api::BedrockInvoke,
        Api::CohereChat,
        Api::CohereEmbed,
        Api::CohereRerank,
    ];

    /// The name that crosses language borders.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Api::OpenAiChat => "openai_chat",
            Api::OpenAiResponses => "openai_responses",
            Api::OpenAiCompletions => "openai_completions",
            Api::OpenAiEmbeddings => "openai_embeddings",
            Api::AnthropicMessages => "anthropic_messages",
            Api::GeminiGenerate => "gemini_generate",
            Api::GeminiEmbed => "gemini_embed",
            Api::BedrockConverse => "bedrock_converse",
            Api::BedrockInvoke => "bedrock_invoke",
            Api::CohereChat => "cohere_chat",
            Api::CohereEmbed => "cohere_embed",
            Api::CohereRerank => "cohere_rerank",
        }
    }

    /// The API of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.as_str() == name)
    }

    /// What telemetry calls it. A request of [`Api::BedrockInvoke`] tells by its body when it is something else.
    #[must_use]
    pub const fn operation(self) -> Operation {
        match self {
            Api::OpenAiChat
            | Api::OpenAiResponses
            | Api::AnthropicMessages
            | Api::BedrockConverse
            | Api::BedrockInvoke
            | Api::CohereChat => Operation::Chat,
            Api::OpenAiCompletions => Operation::TextCompletion,
            Api::OpenAiEmbeddings | Api::GeminiEmbed | Api::CohereEmbed => Operation::Embeddings,
            Api::GeminiGenerate => Operation::GenerateContent,
            Api::CohereRerank => Operation::Rerank,
        }
    }
}

/// How many input tokens a request has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputSize {
    /// This many: the bytes of all text and [`FRAME_TOKENS`] per message and tool.
    Bound(u64),
    /// The request does not tell: as many as fit in the model's context.
    Context,
}

/// A request, as far as money and telemetry are concerned.
#[derive(Clone, Debug)]
pub struct Request {
    /// The API.
    pub api: Api,
    /// What telemetry calls it.
    pub operation: Operation,
    /// The model that is asked for.
    pub model: Option<Label>,
    /// Input tokens at most.
    pub input_tokens: InputSize,
    /// Output tokens of one choice at most, reasoning included, as stated; `None`: the model's maximum.
    pub max_output_tokens: Option<u64>,
    /// How many choices are generated; each has its own maximum.
    pub choices: u64,
    /// Kinds of tokens besides text that can be billed: media in the input, media asked for as output.
    pub media: SmallVec<[Bucket; 2]>,
    /// Whether the request can write to a cache, which costs more than plain input; `None`: it may.
    pub writes_cache: Option<bool>,
    /// Server-side tools: how often each can be used.
    pub server_tools: Usage,
    /// Other models that can be billed for this request.
    pub other_models: SmallVec<[OtherModel; 1]>,
    /// The reply is a stream.
    pub stream: bool,
    /// What the caller decided about usage in a stream (`stream_options.include_usage`); `None`: nothing.
    pub include_usage: Option<bool>,
    /// The response is made in the background and fetched later.
    pub background: bool,
    /// The service tier that is asked for; [`Tier::Auto`] when the caller leaves it to the provider in so many words.
    pub tier: Option<Tier>,
    /// The speed mode: `fast`, or `None` for standard.
    pub speed: Option<Label>,
    /// The data-residency zone that is asked for.
    pub geo: Option<Label>,
    /// What telemetry shows.
    pub params: RequestParams,
    /// A hash of the whole body, the same in every process: two identical requests have the same.
    pub fingerprint: u64,
}

/// Another model that a request can be billed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherModel {
    /// Its name, or a word that no catalog knows where the request does not name it (then it has no price).
    pub model: Label,
    /// Its output tokens at most, per use.
    pub max_output_tokens: Option<u64>,
    /// How often it can be used.
    pub uses: u64,
    /// It serves instead of the model (a fallback), or besides it (an advisor, an image tool).
    pub instead: bool,
}

/// Reads a request's body.
///
/// # Errors
/// `argument_invalid` if it is not an object, is nested deeper than 128 levels, or if a limit is not a number.
pub fn read(api: Api, body: &Value) -> Result<Request> {
    read_at(api, "", body)
}

/// Reads a request's body; what the path says (Gemini's model and stream, Azure's deployment) fills in what the body
/// does not.
///
/// # Errors
/// As [`read`].
pub fn read_at(api: Api, path: &str, body: &Value) -> Result<Request> {
    let Some(map) = body.as_object() else {
        return Err(Error::new(Code::ArgumentInvalid, "a request's body must be an object"));
    };
    let mut request = Request::new(api, fingerprint::fingerprint(body)?);
    request.stream = path_streams(path) || fields::flag(map, "stream");
    // Mistral's agents know their model: the agent's id stands for it, and a deployment says which model that is.
    request.model = fields::label(map, &["model", "agent_id"])
        .or_else(|| model_of_path(path).as_deref().and_then(fields::to_label));
    match api {
        Api::OpenAiChat => chat::read(map, &mut request)?,
        Api::OpenAiResponses => responses::read(map, &mut request)?,
        Api::OpenAiCompletions => legacy::completions(map, &mut request)?,
        Api::OpenAiEmbeddings => legacy::embeddings(map, &mut request)?,
        Api::AnthropicMessages => anthropic::read(map, &mut request)?,
        Api::GeminiGenerate => gemini::read(map, &mut request)?,
        Api::GeminiEmbed => gemini::embed(map, &mut request)?,
        Api::BedrockConverse => bedrock::converse(map, &mut request)?,
        Api::BedrockInvoke => bedrock::invoke(map, &mut request)?,
        Api::CohereChat => cohere::chat(map, &mut request)?,
        Api::CohereEmbed => cohere::embed(map, &mut request)?,
        Api::CohereRerank => cohere::rerank(map, &mut request)?,
    }
    // Embeddings have none to show.
    let shown = request.max_output_tokens.filter(|tokens| *tokens > 0);
    request.params.max_tokens = request.params.max_tokens.or(shown);
    request.params.choices = Some(request.choices).filter(|choices| *choices != 1);
    Ok(request)
}

impl Request {
    fn new(api: Api, fingerprint: u64) -> Self {
        Self {
            api,
            operation: api.operation(),
            model: None,
            input_tokens: InputSize::Context,
            max_output_tokens: None,
            choices: 1,
            media: SmallVec::new(),
            writes_cache: None,
            server_tools: Usage::new(),
            other_models: SmallVec::new(),
            stream: false,
            include_usage: None,
            background: false,
            tier: None,
            speed: None,
            geo: None,
            params: RequestParams::default(),
            fingerprint,
        }
    }

    /// The reply will be a stream without usage unless it is asked for with `stream_options.include_usage`, and the
    /// caller did not decide: whoever sends the request should ask, and hide the chunk that answers.
    #[must_use]
    pub fn wants_usage_chunk(&self) -> bool {
        let tells_on_request = matches!(self.api, Api::OpenAiChat | Api::OpenAiCompletions);
        self.stream && tells_on_request && self.include_usage.is_none()
    }

    fn reaches(&mut self, bucket: Bucket) {
        if !self.media.contains(&bucket) {
            self.media.push(bucket);
        }
    }
}

#[cfg(test)]
mod tests;
