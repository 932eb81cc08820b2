//! Which of a provider's endpoints cost money, and which of those can be guarded.
//!
//! The tables are the resources of openai 3.51, anthropic 2.11, google-genai 3.6, mistralai 3.7, cohere 7.3 and
//! Bedrock's runtime. What is in no table may cost money and is [`Endpoint::Unguarded`]: the wrapped client denies it
//! unless the application lists it.

use super::Api;
use super::free::is_free;
use super::path::{bedrock_model, segments};

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
    let free = if reads { !opens_a_connection(&segments) } else { post && is_free(provider, &segments) };
    if free { Endpoint::Free } else { Endpoint::Unguarded }
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

#[cfg(test)]
mod tests {
    use super::super::path::{PATH_BYTES_MAX, model_of_path, path_streams};
    use super::*;
    use std::borrow::Cow;

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
