//! Names, as the GenAI conventions had them in October 2026, and our own in the namespace `spendrail.`.
//!
//! The conventions have no release yet and the generated constants of the language packages are frozen at older
//! names: this file is the source of truth.

use std::time::{Duration, SystemTime};

/// Name of the instrumentation scope.
pub(crate) const SCOPE: &str = "spendrail";
/// The schema that these names belong to.
pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev";

/// Attribute names of the conventions.
pub(crate) mod gen_ai {
    pub(crate) const OPERATION: &str = "gen_ai.operation.name";
    pub(crate) const PROVIDER: &str = "gen_ai.provider.name";
    pub(crate) const CONVERSATION_ID: &str = "gen_ai.conversation.id";
    pub(crate) const OUTPUT_TYPE: &str = "gen_ai.output.type";
    pub(crate) const AGENT_NAME: &str = "gen_ai.agent.name";
    pub(crate) const TOOL_NAME: &str = "gen_ai.tool.name";
    pub(crate) const TOOL_TYPE: &str = "gen_ai.tool.type";
    pub(crate) const TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
    pub(crate) const TOKEN_MODALITY: &str = "gen_ai.token.modality";
    pub(crate) const EMBEDDING_DIMENSIONS: &str = "gen_ai.embeddings.dimension.count";

    pub(crate) const REQUEST_MODEL: &str = "gen_ai.request.model";
    pub(crate) const REQUEST_STREAM: &str = "gen_ai.request.stream";
    pub(crate) const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
    pub(crate) const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
    pub(crate) const REQUEST_TOP_P: &str = "gen_ai.request.top_p";
    pub(crate) const REQUEST_TOP_K: &str = "gen_ai.request.top_k";
    pub(crate) const REQUEST_FREQUENCY_PENALTY: &str = "gen_ai.request.frequency_penalty";
    pub(crate) const REQUEST_PRESENCE_PENALTY: &str = "gen_ai.request.presence_penalty";
    pub(crate) const REQUEST_SEED: &str = "gen_ai.request.seed";
    pub(crate) const REQUEST_CHOICES: &str = "gen_ai.request.choice.count";
    pub(crate) const REQUEST_STOP: &str = "gen_ai.request.stop_sequences";
    pub(crate) const REQUEST_REASONING: &str = "gen_ai.request.reasoning.level";
    pub(crate) const REQUEST_PREVIOUS: &str = "gen_ai.request.previous_response.id";
    pub(crate) const REQUEST_ENCODINGS: &str = "gen_ai.request.encoding_formats";

    pub(crate) const RESPONSE_ID: &str = "gen_ai.response.id";
    pub(crate) const RESPONSE_MODEL: &str = "gen_ai.response.model";
    pub(crate) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
    pub(crate) const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";

    pub(crate) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
    pub(crate) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
    pub(crate) const CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
    pub(crate) const CACHE_WRITE: &str = "gen_ai.usage.cache_write.input_tokens";
    pub(crate) const REASONING: &str = "gen_ai.usage.reasoning.output_tokens";
    pub(crate) const TEXT_INPUT: &str = "gen_ai.usage.text.input_tokens";
    pub(crate) const IMAGE_INPUT: &str = "gen_ai.usage.image.input_tokens";
    pub(crate) const AUDIO_INPUT: &str = "gen_ai.usage.audio.input_tokens";
    pub(crate) const TEXT_CACHE_READ: &str = "gen_ai.usage.text.cache_read.input_tokens";
    pub(crate) const IMAGE_CACHE_READ: &str = "gen_ai.usage.image.cache_read.input_tokens";
    pub(crate) const AUDIO_CACHE_READ: &str = "gen_ai.usage.audio.cache_read.input_tokens";
    pub(crate) const TEXT_OUTPUT: &str = "gen_ai.usage.text.output_tokens";
    pub(crate) const IMAGE_OUTPUT: &str = "gen_ai.usage.image.output_tokens";
    pub(crate) const AUDIO_OUTPUT: &str = "gen_ai.usage.audio.output_tokens";

    pub(crate) const INVOKE_AGENT: &str = "invoke_agent";
    pub(crate) const EXECUTE_TOOL: &str = "execute_tool";
}

pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const USER_ID: &str = "user.id";
pub(crate) const USER_HASH: &str = "user.hash";
pub(crate) const OPENAI_API: &str = "openai.api.type";
pub(crate) const OPENAI_REQUEST_TIER: &str = "openai.request.service_tier";
pub(crate) const OPENAI_RESPONSE_TIER: &str = "openai.response.service_tier";
pub(crate) const OPENAI_FINGERPRINT: &str = "openai.response.system_fingerprint";

/// Attribute names of our own.
pub(crate) mod own {
    /// What was posted to the budgets, in whole nano-USD: exact.
    pub(crate) const COST_NANO_USD: &str = "spendrail.cost.nano_usd";
    /// The same in USD as a double, for dashboards.
    pub(crate) const COST_USD: &str = "spendrail.cost.usd";
    pub(crate) const PRICE_VERSION: &str = "spendrail.price.version";
    /// `allowed`, `would_deny` or `denied`.
    pub(crate) const DECISION: &str = "spendrail.decision";
    /// The code of a denial, or of what would have been one.
    pub(crate) const DENIAL_CODE: &str = "spendrail.denial.code";
    pub(crate) const BUDGET: &str = "spendrail.budget";
    pub(crate) const UNIT: &str = "spendrail.unit";
    /// `settled`, `released`, `abandoned`, `denied` or `failed`.
    pub(crate) const OUTCOME: &str = "spendrail.outcome";
    pub(crate) const FLAGS: &str = "spendrail.flags";
    pub(crate) const REASON: &str = "spendrail.reason";
}

/// The finish reason of a stream that was cut.
pub(crate) const CUT: &str = "error";
/// `error.type` of a call whose owner is gone.
pub(crate) const ABANDONED: &str = "abandoned";

/// Buckets of durations in seconds.
pub(crate) const DURATION: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Buckets of token counts.
pub(crate) const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Buckets of an agent run's duration in seconds.
pub(crate) const AGENT: [f64; 13] =
    [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];
/// Buckets of an agent run's calls.
pub(crate) const CALLS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// `gen_ai.provider.name` for a catalog's provider; unknown ones keep their name.
///
/// Google's depends on who was addressed: an unknown address is `gcp.gen_ai`.
pub(crate) fn provider<'a>(name: &'a str, address: Option<&str>) -> &'a str {
    match name {
        "google" | "gemini" => match address {
            Some(host) if host.contains("aiplatform") => "gcp.vertex_ai",
            Some(host) if host.contains("generativelanguage") => "gcp.gemini",
            _ => "gcp.gen_ai",
        },
        "vertex" | "vertex_ai" => "gcp.vertex_ai",
        "azure" | "azure_openai" => "azure.ai.openai",
        "azure_ai" => "azure.ai.inference",
        "aws" | "bedrock" => "aws.bedrock",
        "mistral" => "mistral_ai",
        "moonshot" | "moonshotai" => "moonshot_ai",
        "x-ai" | "xai" => "x_ai",
        "watsonx" => "ibm.watsonx.ai",
        other => other,
    }
}

const NANOS_PER_SECOND: f64 = 1e9;

/// Nanoseconds as seconds; a negative length (a clock that went back) is zero.
#[expect(
    clippy::as_conversions,
    clippy::float_arithmetic,
    reason = "OTLP wants doubles; nothing is booked from it"
)]
pub(crate) fn seconds(nanos: i64) -> f64 {
    nanos.max(0) as f64 / NANOS_PER_SECOND
}

/// Nano-USD as USD: the double nearest to the posted amount, if that is below 2⁵³ nano ($9 million).
#[expect(
    clippy::as_conversions,
    clippy::float_arithmetic,
    reason = "OTLP wants doubles; nothing is booked from it"
)]
pub(crate) fn usd(nano_usd: i64) -> f64 {
    nano_usd as f64 / NANOS_PER_SECOND
}

/// A count as a double.
#[expect(clippy::as_conversions, reason = "OTLP wants doubles; nothing is booked from it")]
pub(crate) fn count(value: i64) -> f64 {
    value as f64
}

/// A count as OTLP has it: signed.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// An instant for the SDK; before 1970 is 1970.
pub(crate) fn time(at: crate::values::Timestamp) -> SystemTime {
    let nanos = u64::try_from(at.nanos()).unwrap_or(0);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos)).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_the_nearest_double() {
        assert_eq!(usd(6_000_001), "0.006000001".parse::<f64>().unwrap());
        assert_eq!(usd(1), 1e-9);
        assert_eq!(seconds(-1), 0.0);
    }

    #[test]
    fn chunk_gaps_use_the_duration_buckets() {
        let bounds = super::super::record::DURATION_BOUNDS_MS.map(|bound| seconds(int(bound) * 1_000_000));
        assert_eq!(bounds, DURATION);
    }

    #[test]
    fn providers_have_the_conventions_names() {
        assert_eq!(provider("google", Some("generativelanguage.googleapis.com")), "gcp.gemini");
        assert_eq!(provider("google", Some("us-aiplatform.googleapis.com")), "gcp.vertex_ai");
        assert_eq!(provider("google", None), "gcp.gen_ai");
        for (name, told) in [
            ("openai", "openai"),
            ("azure", "azure.ai.openai"),
            ("anthropic", "anthropic"),
            ("vertex", "gcp.vertex_ai"),
            ("aws", "aws.bedrock"),
            ("mistral", "mistral_ai"),
            ("cohere", "cohere"),
            ("x-ai", "x_ai"),
            ("deepseek", "deepseek"),
            ("groq", "groq"),
            ("perplexity", "perplexity"),
            ("moonshotai", "moonshot_ai"),
            // Not in the conventions: their own names.
            ("openrouter", "openrouter"),
            ("together", "together"),
            ("z-ai", "z-ai"),
        ] {
            assert_eq!(provider(name, None), told);
        }
    }
}
