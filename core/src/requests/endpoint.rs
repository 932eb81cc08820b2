//! Which of a provider's endpoints cost money, and which of those can be guarded.
//!
//! The tables are the resources of openai 3.51, anthropic 2.11, google-genai 3.6, mistralai 3.7, cohere 7.3 and
//! Bedrock's runtime. What is in no table may cost money and is [`Endpoint::Unguarded`]: the wrapped client denies it
//! unless the application lists it.

use super::Api;
use smallvec::SmallVec;
use std::borrow::Cow;

/// What Spendrail knows of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Billed, and its requests and replies are understood.
    Guarded(Api),
    /// Not billed.
    Free,
    /// May be billed and is not understood: audio, images, videos, batches, fine-tuning, realtime, containers, hosted
    /// agents, and whatever a provider adds.
    Unguarded,
}

/// Longest path that is looked at.
const PATH_BYTES_MAX: usize = 4096;

/// Looks an endpoint up. `provider` is a catalog id or a compatible server's name; `path` may be relative to the
/// client's base URL, absolute, or a whole URL, with or without a query.
#[must_use]
pub fn endpoint(provider: &str, method: &str, path: &str) -> Endpoint {
    let post = method.eq_ignore_ascii_case("POST");
    if let Some((_, action)) = bedrock_model(path) {
        return match action {
            "converse" | "converse-stream" if post => Endpoint::Guarded(Api::BedrockConverse),
            "invoke" | "invoke-with-response-stream" if post => Endpoint::Guarded(Api::BedrockInvoke),
            "count-tokens" if post => Endpoint::Free,
            _ => Endpoint::Unguarded,
        };
    }
    let Some(segments) = segments(provider, path) else { return Endpoint::Unguarded };
    if post && let Some(api) = guarded(provider, &segments) {
        return Endpoint::Guarded(api);
    }
    let reads = ["GET", "HEAD", "OPTIONS", "DELETE"].iter().any(|name| method.eq_ignore_ascii_case(name));
    let free = if reads {
        !opens_a_connection(&segments)
    } else {
        post && segments.as_slice() != ["threads", "runs"]
            && free_posts(provider).iter().chain(COMPATIBLE).any(|pattern| matches(pattern, &segments))
    };
    if free { Endpoint::Free } else { Endpoint::Unguarded }
}

/// The model that a path names: Gemini's `models/{model}:generateContent`, Azure's `deployments/{model}/…`, Bedrock's
/// `model/{model}/converse`, where a name is percent-encoded (ARNs of inference profiles have slashes).
#[must_use]
pub fn model_of_path(path: &str) -> Option<Cow<'_, str>> {
    let path = path.get(..PATH_BYTES_MAX.min(path.len())).unwrap_or("");
    if let Some((model, _)) = bedrock_model(path) {
        return Some(model);
    }
    let path = path.split(['?', '#']).next().unwrap_or("");
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    while let Some(segment) = segments.next() {
        if matches!(segment, "models" | "tunedModels" | "deployments" | "engines") {
            let name = segments.next()?;
            return name.split(':').next().filter(|name| !name.is_empty()).map(Cow::Borrowed);
        }
    }
    None
}

/// Whether a path asks for a stream: Gemini's `:streamGenerateContent`, Bedrock's `…-stream`.
#[must_use]
pub fn path_streams(path: &str) -> bool {
    const ENDS: [&str; 3] = [":streamGenerateContent", "/converse-stream", "/invoke-with-response-stream"];
    path.split(['?', '#']).next().is_some_and(|path| ENDS.iter().any(|end| path.ends_with(end)))
}

/// Model and action of a Bedrock path, `/model/{model}/{action}`. `None` for any other path, and for a name that a
/// server might read as more than a name.
fn bedrock_model(path: &str) -> Option<(Cow<'_, str>, &str)> {
    if path.len() > PATH_BYTES_MAX {
        return None;
    }
    let path = without_origin(path.split(['?', '#']).next()?)?;
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let (word, model, action) = (segments.next()?, segments.next()?, segments.next()?);
    if word != "model" || segments.next().is_some() {
        return None;
    }
    let model = percent_decoded(model)?;
    let odd = |c: char| c.is_control() || matches!(c, '\\' | '?' | '#' | '%');
    if model.chars().any(odd) || model.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    Some((model, action))
}

/// `%2F` and its like as what they stand for; `None` if that is no text.
fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                bytes.push(digit(*high)?.checked_mul(16)?.checked_add(digit(*low)?)?);
                tail
            }
            (b'%', _) => return None,
            (byte, tail) => {
                bytes.push(*byte);
                tail
            }
        };
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn without_origin(path: &str) -> Option<&str> {
    match path.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map(|(_, path)| path),
        None => Some(path),
    }
}

type Segments<'a> = SmallVec<[&'a str; 12]>;

/// The path without origin, query, version and deployment (an Azure word; Anthropic's deployments are agents).
/// `None` for what a server might read differently.
fn segments<'a>(provider: &str, path: &'a str) -> Option<Segments<'a>> {
    if path.len() > PATH_BYTES_MAX || path.contains(['\\', '%']) {
        return None;
    }
    let path = without_origin(path.split(['?', '#']).next()?)?;
    let mut segments: Segments<'a> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        return None;
    }
    loop {
        match segments.as_slice() {
            ["v1" | "v1beta" | "v1beta1" | "v1alpha" | "api" | "openai" | "upload", _, ..] => {
                segments.remove(0);
            }
            ["deployments" | "engines", _, _, ..] if provider != "anthropic" => drop(segments.drain(..2)),
            _ => return Some(segments),
        }
    }
}

/// The APIs that are understood. Servers differ in the prefix, never in the end.
fn guarded(provider: &str, segments: &[&str]) -> Option<Api> {
    if let Some((model, action)) = segments.last()?.rsplit_once(':') {
        return match action {
            "generateContent" | "streamGenerateContent" => Some(Api::GeminiGenerate),
            "embedContent" | "batchEmbedContents" => Some(Api::GeminiEmbed),
            // Vertex predicts with anything; of its own models only embeddings bill input tokens.
            "predict" if TEXT_EMBEDDERS.iter().any(|name| model.starts_with(name)) => Some(Api::GeminiEmbed),
            _ => None,
        };
    }
    match segments {
        ["chat"] | ["v2", "chat"] if provider == "cohere" => Some(Api::CohereChat),
        ["embed"] | ["v2", "embed"] if provider == "cohere" => Some(Api::CohereEmbed),
        ["rerank"] | ["v2", "rerank"] if provider == "cohere" => Some(Api::CohereRerank),
        // An agent's request is a chat; only its model is told by the agent.
        ["agents", "completions"] => Some(Api::OpenAiChat),
        ["messages"] => Some(Api::AnthropicMessages),
        [.., "chat", "completions"] => Some(Api::OpenAiChat),
        [.., "completions"] => Some(Api::OpenAiCompletions),
        [.., "embeddings"] => Some(Api::OpenAiEmbeddings),
        [.., "responses"] | ["responses", "compact"] => Some(Api::OpenAiResponses),
        _ => None,
    }
}

/// How the names of Vertex's text embedding models begin.
const TEXT_EMBEDDERS: [&str; 4] =
    ["gemini-embedding-", "text-embedding-", "text-multilingual-embedding-", "textembedding-gecko"];

/// A GET that opens a WebSocket in which work is ordered.
fn opens_a_connection(segments: &[&str]) -> bool {
    matches!(segments, ["responses"] | ["realtime", ..] | ["live", "sessions"] | ["live"])
}

fn free_posts(provider: &str) -> &'static [&'static str] {
    match provider {
        "anthropic" => ANTHROPIC,
        "google" | "gemini" | "vertex" => GEMINI,
        "openai" | "azure" => OPENAI,
        "cohere" => COHERE,
        "mistral" => MISTRAL,
        _ => COMPATIBLE,
    }
}

/// `*` is one segment, `**` is the rest (at least one).
fn matches(pattern: &str, segments: &[&str]) -> bool {
    let mut rest = segments.iter();
    for wanted in pattern.split('/') {
        let Some(segment) = rest.next() else { return false };
        match wanted {
            "**" => return true,
            "*" => {}
            _ => match wanted.strip_prefix("*:") {
                Some(action) if segment.rsplit_once(':').is_some_and(|(_, found)| found == action) => {}
                None if *segment == wanted => {}
                _ => return false,
            },
        }
    }
    rest.next().is_none()
}

/// What no server bills: files, cancelling, counting.
const COMPATIBLE: &[&str] = &[
    "batches/*/cancel",
    "chat/completions/*",
    "files",
    "messages/batches/*/cancel",
    "messages/count_tokens",
    "responses/*/cancel",
    "responses/input_tokens",
    "uploads",
    "uploads/**",
];

/// Stored things, administration, cancelling, counting. Not here although it looks harmless: vector stores and
/// containers (billed while they exist), resuming a fine-tuning job, anything that starts a run or a session.
const OPENAI: &[&str] = &[
    "assistants",
    "assistants/*",
    "chatkit/sessions/*/cancel",
    "conversations",
    "conversations/*",
    "conversations/*/items",
    "evals",
    "evals/*",
    "evals/*/runs/*/cancel",
    "fine_tuning/alpha/graders/validate",
    "fine_tuning/checkpoints/*/permissions",
    "fine_tuning/jobs/*/cancel",
    "fine_tuning/jobs/*/pause",
    "live/sessions/*/hangup",
    "live/sessions/*/reject",
    "moderations",
    "organization/**",
    "projects/*/groups/*/roles",
    "projects/*/roles",
    "projects/*/roles/*",
    "projects/*/users/*/roles",
    "realtime/calls/*/hangup",
    "realtime/calls/*/reject",
    "skills",
    "skills/**",
    "threads",
    "threads/*",
    "threads/*/messages",
    "threads/*/messages/*",
    "threads/*/runs/*",
    "threads/*/runs/*/cancel",
    "vaults",
    "vaults/**",
    "vector_stores/*/file_batches/*/cancel",
    "webhook_endpoints",
    "webhook_endpoints/**",
];

/// As above; not here: message batches, sessions and their events, deployment runs, dreams, environments.
const ANTHROPIC: &[&str] = &[
    "agents",
    "agents/*",
    "agents/*/archive",
    "deployments/*/archive",
    "deployments/*/pause",
    "dreams/*/archive",
    "dreams/*/cancel",
    "environments/*/archive",
    "environments/*/work/*/ack",
    "environments/*/work/*/heartbeat",
    "environments/*/work/*/stop",
    "memory_stores",
    "memory_stores/**",
    "organizations/**",
    "sessions/*/archive",
    "sessions/*/threads/*/archive",
    "skills",
    "skills/**",
    "tunnels",
    "tunnels/**",
    "user_profiles",
    "user_profiles/**",
    "vaults",
    "vaults/**",
];

/// Counting, files and cancelling. Cached contents and file search stores are billed while they exist.
const GEMINI: &[&str] = &[
    "batches/*:cancel",
    "files:register",
    "models/*:computeTokens",
    "models/*:countTokens",
    "operations/*:cancel",
    "projects/*/locations/*/batchPredictionJobs/*:cancel",
    "projects/*/locations/*/publishers/*/models/*:computeTokens",
    "projects/*/locations/*/publishers/*/models/*:countTokens",
    "tuningJobs/*:cancel",
];

/// Counting and stored things. Not here: classification, embedding jobs, fine-tuning, transcription.
const COHERE: &[&str] = &[
    "check-api-key",
    "connectors",
    "connectors/*/oauth/authorize",
    "datasets",
    "detokenize",
    "embed-jobs/*/cancel",
    "finetuning/finetuned-models/*",
    "tokenize",
];

/// Stored things and cancelling. Not here: OCR, classification and moderation, audio, conversations with hosted agents,
/// batches, fine-tuning, libraries (their documents are read by OCR), workflows.
const MISTRAL: &[&str] = &["agents", "agents/*", "batch/jobs/*/cancel", "fine_tuning/jobs/*/cancel"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guarded() {
        for (path, api) in [
            ("/chat/completions", Api::OpenAiChat),
            ("https://api.openai.com/v1/chat/completions", Api::OpenAiChat),
            ("/openai/deployments/prod-gpt/chat/completions?api-version=2026-10-01", Api::OpenAiChat),
            ("/api/v1/chat/completions", Api::OpenAiChat),
            ("/client/v4/accounts/a1/ai/v1/chat/completions", Api::OpenAiChat),
            ("/v1/projects/p/locations/l/endpoints/openapi/chat/completions", Api::OpenAiChat),
            ("/responses", Api::OpenAiResponses),
            ("/responses?beta=true", Api::OpenAiResponses),
            ("/responses/compact", Api::OpenAiResponses),
            ("/completions", Api::OpenAiCompletions),
            ("/engines/e/completions", Api::OpenAiCompletions),
            ("v1/embeddings/", Api::OpenAiEmbeddings),
            ("/v1/messages", Api::AnthropicMessages),
            ("/v1/messages?beta=true", Api::AnthropicMessages),
            ("/v1beta/models/gemini-2.5-flash:generateContent", Api::GeminiGenerate),
            ("/v1beta/models/gemini-embedding-001:batchEmbedContents", Api::GeminiEmbed),
            ("/v1beta1/projects/p/locations/l/publishers/google/models/g:embedContent", Api::GeminiEmbed),
            (
                "/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict",
                Api::GeminiEmbed,
            ),
            ("/v1/fim/completions", Api::OpenAiCompletions),
            ("/v1/agents/completions", Api::OpenAiChat),
            ("/model/amazon.nova-lite-v1:0/converse", Api::BedrockConverse),
            ("/model/amazon.nova-lite-v1%3A0/converse-stream", Api::BedrockConverse),
            (
                "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fabc/invoke",
                Api::BedrockInvoke,
            ),
            (
                "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/invoke-with-response-stream",
                Api::BedrockInvoke,
            ),
            (
                "/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent?alt=sse",
                Api::GeminiGenerate,
            ),
        ] {
            for provider in ["openai", "anthropic", "google", "some-gateway"] {
                assert_eq!(endpoint(provider, "post", path), Endpoint::Guarded(api), "{path}");
            }
        }
        for (path, api) in [
            ("/v2/chat", Api::CohereChat),
            ("https://api.cohere.com/v1/chat", Api::CohereChat),
            ("v2/embed", Api::CohereEmbed),
            ("v1/rerank", Api::CohereRerank),
        ] {
            assert_eq!(endpoint("cohere", "POST", path), Endpoint::Guarded(api), "{path}");
            assert_eq!(endpoint("openai", "POST", path), Endpoint::Unguarded, "{path}");
        }
        let compatible = endpoint("cohere", "POST", "/compatibility/v1/chat/completions");
        assert_eq!(compatible, Endpoint::Guarded(Api::OpenAiChat));
    }

    #[test]
    fn what_is_free() {
        for (provider, method, path) in [
            ("openai", "GET", "/models"),
            ("openai", "GET", "/responses/resp_1?stream=true"),
            ("openai", "DELETE", "/files/f1"),
            ("openai", "POST", "/files"),
            ("openai", "POST", "/uploads/u1/parts"),
            ("openai", "POST", "/responses/resp_1/cancel"),
            ("openai", "POST", "/responses/input_tokens?beta=true"),
            ("openai", "POST", "/moderations"),
            ("openai", "POST", "/threads/t1/messages"),
            ("openai", "POST", "/batches/b1/cancel"),
            ("openai", "POST", "/organization/projects/p1/api_keys"),
            ("anthropic", "POST", "/v1/messages/count_tokens?beta=true"),
            ("anthropic", "post", "/v1/messages/batches/b1/cancel"),
            ("anthropic", "GET", "/v1/messages/batches/b1/results"),
            ("anthropic", "POST", "/v1/files?beta=true"),
            ("anthropic", "POST", "/v1/deployments/d1/pause"),
            ("google", "POST", "/v1beta/models/gemini-2.5-flash:countTokens"),
            ("google", "POST", "/upload/v1beta/files"),
            ("aws", "POST", "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/count-tokens"),
            ("cohere", "POST", "v1/tokenize"),
            ("mistral", "POST", "/v1/batch/jobs/j1/cancel"),
        ] {
            assert_eq!(endpoint(provider, method, path), Endpoint::Free, "{method} {path}");
        }
    }

    #[test]
    fn everything_else_may_cost() {
        for (provider, method, path) in [
            ("openai", "POST", "/audio/speech"),
            ("openai", "POST", "/audio/transcriptions"),
            ("openai", "POST", "/images/generations"),
            ("openai", "POST", "/videos"),
            ("openai", "POST", "/batches"),
            ("openai", "POST", "/fine_tuning/jobs"),
            ("openai", "POST", "/fine_tuning/jobs/j1/resume"),
            ("openai", "POST", "/containers"),
            ("openai", "POST", "/vector_stores"),
            ("openai", "POST", "/realtime/client_secrets"),
            ("openai", "GET", "/realtime?model=gpt-realtime"),
            ("openai", "GET", "/responses"),
            ("openai", "POST", "/threads/runs"),
            ("openai", "POST", "/threads/t1/runs"),
            ("openai", "POST", "/threads/t1/runs/r1/submit_tool_outputs"),
            ("openai", "POST", "/agents/sessions"),
            ("openai", "POST", "/decisions"),
            ("openai", "POST", "/evals/e1/runs"),
            ("openai", "POST", "/something/new"),
            ("mistral", "POST", "/v1/moderations"),
            ("mistral", "POST", "/v1/ocr"),
            ("vertex", "POST", "/v1/projects/p/locations/l/endpoints/e:predict"),
            ("openai", "PUT", "/files"),
            ("openai", "POST", "/files/../audio/speech"),
            ("openai", "POST", "/files/%2e%2e/audio/speech"),
            ("openai", "POST", "https://api.openai.com"),
            ("openai", "POST", ""),
            ("anthropic", "POST", "/v1/messages/batches"),
            ("anthropic", "POST", "/v1/sessions/s1/events"),
            ("anthropic", "POST", "/v1/complete"),
            ("anthropic", "POST", "/v1/deployments/d1/run"),
            ("google", "POST", "/v1beta/models/veo:predictLongRunning"),
            ("google", "POST", "/v1beta/models/g:batchGenerateContent"),
            ("google", "POST", "/v1beta/cachedContents"),
            ("google", "PATCH", "/v1beta/cachedContents/c1"),
            ("google", "POST", "/v1beta/interactions"),
            ("google", "POST", "/v1beta/models/imagen-4.0:predict"),
            ("google", "POST", "/v1beta/models/m:asyncBatchEmbedContent"),
            ("aws", "POST", "/async-invoke"),
            ("aws", "POST", "/guardrail/g/version/1/apply"),
            ("aws", "POST", "/model/m/invoke-with-bidirectional-stream"),
            ("aws", "GET", "/model/m/converse"),
            ("aws", "POST", "/model/%2e%2e/converse"),
            ("aws", "POST", "/model/a%00b/converse"),
            ("aws", "POST", "/model/a%2/converse"),
            ("aws", "POST", "/model/a%2525/converse"),
            ("cohere", "POST", "v1/classify"),
            ("cohere", "POST", "v1/generate"),
            ("cohere", "POST", "v2/audio/transcriptions"),
            ("mistral", "POST", "/v1/conversations"),
            ("mistral", "POST", "/v1/batch/jobs"),
        ] {
            assert_eq!(endpoint(provider, method, path), Endpoint::Unguarded, "{method} {path}");
        }
        assert_eq!(endpoint("openai", "POST", &"/files".repeat(10_000_000)), Endpoint::Unguarded);
    }

    #[test]
    fn models_in_paths() {
        let model = |path: &str| model_of_path(path).map(Cow::into_owned);
        assert_eq!(
            model("/v1beta/models/gemini-2.5-flash:generateContent").as_deref(),
            Some("gemini-2.5-flash")
        );
        assert_eq!(model("/openai/deployments/prod-gpt/chat/completions?x=1").as_deref(), Some("prod-gpt"));
        assert_eq!(model("/v1/messages"), None);
        assert_eq!(model("/models/"), None);
        assert_eq!(model(&"é".repeat(PATH_BYTES_MAX)), None);
        assert_eq!(
            model("/model/us.amazon.nova-lite-v1%3A0/converse").as_deref(),
            Some("us.amazon.nova-lite-v1:0")
        );
        assert_eq!(
            model("/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/invoke").as_deref(),
            Some("arn:aws:bedrock:eu-west-1:1:inference-profile/x")
        );
        assert!(
            path_streams("/v1beta/models/g:streamGenerateContent?alt=sse") && !path_streams("/v1/messages")
        );
        assert!(path_streams("/model/m/converse-stream") && !path_streams("/model/m/converse"));
    }
}
