//! Whatever a reply holds: no panic, no trust in what is unreadable, and buckets that add up.

use super::tests::read;
use super::*;
use proptest::prelude::*;
use serde_json::json;

const KEYS: &[&str] = &[
    "usage",
    "usageMetadata",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "audio_tokens",
    "image_tokens",
    "thinking_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "ephemeral_1h_input_tokens",
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "totalTokenCount",
    "cachedContentTokenCount",
    "promptTokensDetails",
    "modality",
    "tokenCount",
    "iterations",
    "type",
    "model",
    "choices",
    "output",
    "tool_usage",
    "image_gen",
    "inputTokens",
    "outputTokens",
    "cacheDetails",
    "x_groq",
    "cost",
    "error",
    "candidates",
    "result",
    "response",
    "input",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0u64..100).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["message", "compaction", "AUDIO", "NaN", "response.completed"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(KEYS), inner), 0..8).prop_map(|entries| {
                Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_without_a_panic(value in any_json(), provider in prop::sample::select(
        vec!["openai", "anthropic", "google", "x-ai", "perplexity", "aws"])) {
        if let Ok(reply) = reply(Some(provider), &value)
            && let Some(usage) = reply.usage {
                prop_assert!(usage.checked().is_ok());
                let unreadable = reply.anomalies.iter().any(|a| matches!(a.rule, Rule::Unreadable));
                prop_assert!(!unreadable, "an unreadable figure never leaves a usage");
            }
    }

    /// Without an anomaly the buckets add up to the provider's totals; with one they are never less.
    #[test]
    fn buckets_add_up_to_the_totals(
        input in 0u64..1000, output in 0u64..1000, cached in 0u64..1500, written in 0u64..500,
        reasoning in 0u64..1500, audio in 0u64..300, total in prop::option::of(0u64..4000),
    ) {
        let body = json!({"choices": [], "usage": {"prompt_tokens": input, "completion_tokens": output,
            "total_tokens": total,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio},
            "completion_tokens_details": {"reasoning_tokens": reasoning}}});
        let reply = read("openai", body);
        let usage = reply.usage.unwrap();
        prop_assert!(usage.total_input() >= input && usage.total_output() >= output);
        if let Some(total) = total {
            prop_assert!(usage.total_tokens() >= total);
        }
        if reply.anomalies.is_empty() {
            prop_assert_eq!(usage.total_input(), input);
            if let Some(total) = total {
                prop_assert_eq!(usage.total_tokens(), total);
            } else {
                prop_assert_eq!(usage.total_output(), output);
            }
        }
    }

    #[test]
    fn gemini_buckets_add_up(
        prompt in 0u64..1000, candidates in 0u64..1000, cached in 0u64..1500, thoughts in 0u64..500,
        audio in 0u64..1200, tool in 0u64..100,
    ) {
        let body = json!({"usageMetadata": {"promptTokenCount": prompt, "candidatesTokenCount": candidates,
            "cachedContentTokenCount": cached, "thoughtsTokenCount": thoughts, "toolUsePromptTokenCount": tool,
            "totalTokenCount": prompt + candidates + thoughts + tool,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": audio}]}});
        let reply = read("google", body);
        let usage = reply.usage.unwrap();
        prop_assert!(usage.total_tokens() >= prompt + candidates + thoughts + tool);
        if reply.anomalies.is_empty() {
            prop_assert_eq!(usage.total_tokens(), prompt + candidates + thoughts + tool);
            prop_assert_eq!(usage.total_input(), prompt + tool);
        }
    }
}
