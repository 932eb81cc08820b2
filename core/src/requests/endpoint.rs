//! Which of a provider's endpoints cost money, and which of those can be guarded.
//!
//! The tables are the resources of openai 3.51, anthropic 2.11 and google-genai. What is in no table may cost money
//! and is [`Endpoint::Unguarded`]: the wrapped client denies it unless the application lists it.

use super::Api;
use smallvec::SmallVec;

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
    let Some(segments) = segments(provider, path) else { return Endpoint::Unguarded };
    let post = method.eq_ignore_ascii_case("POST");
    if post && let Some(api) = guarded(&segments) {
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

/// The model that a path names: Gemini's `models/{model}:generateContent`, Azure's `deployments/{model}/…`.
#[must_use]
pub fn model_of_path(path: &str) -> Option<&str> {
    let path = path.get(..PATH_BYTES_MAX.min(path.len())).unwrap_or("");
    let path = path.split(['?', '#']).next().unwrap_or("");
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    while let Some(segment) = segments.next() {
        if matches!(segment, "models" | "tunedModels" | "deployments" | "engines") {
            let name = segments.next()?;
            return name.split(':').next().filter(|name| !name.is_empty());
        }
    }
    None
}

/// Whether a path asks for a stream: Gemini's `:streamGenerateContent`.
#[must_use]
pub fn path_streams(path: &str) -> bool {
    path.split(['?', '#']).next().is_some_and(|path| path.ends_with(":streamGenerateContent"))
}

type Segments<'a> = SmallVec<[&'a str; 12]>;

/// The path without origin, query, version and deployment (an Azure word; Anthropic's deployments are agents).
/// `None` for what a server might read differently.
fn segments<'a>(provider: &str, path: &'a str) -> Option<Segments<'a>> {
    if path.len() > PATH_BYTES_MAX || path.contains(['\\', '%']) {
        return None;
    }
    let path = path.split(['?', '#']).next()?;
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => path,
    };
    let mut segments: Segments<'a> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        return None;
    }
    loop {
        match segments.as_slice() {
            ["v1" | "v1beta" | "v1alpha" | "api" | "openai" | "upload", _, ..] => drop(segments.remove(0)),
            ["deployments" | "engines", _, _, ..] if provider != "anthropic" => drop(segments.drain(..2)),
            _ => return Some(segments),
        }
    }
}

/// The APIs that are understood. Servers differ in the prefix, never in the end.
fn guarded(segments: &[&str]) -> Option<Api> {
    if let Some((_, action)) = segments.last()?.rsplit_once(':') {
        return matches!(action, "generateContent" | "streamGenerateContent").then_some(Api::GeminiGenerate);
    }
    match segments {
        ["messages"] => Some(Api::AnthropicMessages),
        [.., "chat", "completions"] => Some(Api::OpenAiChat),
        [.., "completions"] => Some(Api::OpenAiCompletions),
        [.., "embeddings"] => Some(Api::OpenAiEmbeddings),
        [.., "responses"] | ["responses", "compact"] => Some(Api::OpenAiResponses),
        _ => None,
    }
}

/// A GET that opens a WebSocket in which work is ordered.
fn opens_a_connection(segments: &[&str]) -> bool {
    matches!(segments, ["responses"] | ["realtime", ..] | ["live", "sessions"] | ["live"])
}

fn free_posts(provider: &str) -> &'static [&'static str] {
    match provider {
        "anthropic" => ANTHROPIC,
        "google" | "gemini" | "vertex" => GEMINI,
        "openai" | "azure" => OPENAI,
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
            (
                "/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent?alt=sse",
                Api::GeminiGenerate,
            ),
        ] {
            for provider in ["openai", "anthropic", "google", "some-gateway"] {
                assert_eq!(endpoint(provider, "post", path), Endpoint::Guarded(api), "{path}");
            }
        }
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
        ] {
            assert_eq!(endpoint(provider, method, path), Endpoint::Unguarded, "{method} {path}");
        }
        assert_eq!(endpoint("openai", "POST", &"/files".repeat(10_000_000)), Endpoint::Unguarded);
    }

    #[test]
    fn models_in_paths() {
        assert_eq!(
            model_of_path("/v1beta/models/gemini-2.5-flash:generateContent"),
            Some("gemini-2.5-flash")
        );
        assert_eq!(model_of_path("/openai/deployments/prod-gpt/chat/completions?x=1"), Some("prod-gpt"));
        assert_eq!(model_of_path("/v1/messages"), None);
        assert_eq!(model_of_path("/models/"), None);
        assert_eq!(model_of_path(&"é".repeat(PATH_BYTES_MAX)), None);
        assert!(
            path_streams("/v1beta/models/g:streamGenerateContent?alt=sse") && !path_streams("/v1/messages")
        );
    }
}
