//! POSTs that cost nothing.

/// Whether no server of this kind bills a POST to this path.
pub(super) fn is_free(provider: &str, segments: &[&str]) -> bool {
    // A thread is stored; a thread that runs is not only that.
    segments != ["threads", "runs"]
        && free_posts(provider).iter().chain(COMPATIBLE).any(|pattern| matches(pattern, segments))
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
