//! Whatever a reply holds: no panic, no trust in what is unreadable, and buckets that add up.

use super::tests::read;
use super::*;
use crate::requests::Api;
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
    "billed_units",
    "tokens",
    "meta",
    "image_tokens",
    "prompt_eval_count",
    "eval_count",
    "total_input_tokens",
    "total_output_tokens",
    "total_cached_tokens",
    "total_thought_tokens",
    "input_tokens_by_modality",
    "grounding_tool_count",
    "count",
    "amazon-bedrock-invocationMetrics",
    "inputTokenCount",
    "outputTokenCount",
    "generation_token_count",
    "prompt_token_count",
    "inputTextTokenCount",
    "results",
    "metadata",
    "cached_tokens_details",
    "cache_write_tokens_details",
    "ttl_12h_tokens",
    "server_side_tool_usage_details",
    "server_side_tools_used",
    "num_sources_used",
    "prompt_audio_seconds",
    "connector_tokens",
    "seconds",
    "duration",
    "text",
    "usage_info",
    "pages_processed",
    "data",
    "b64_json",
    "svg_usage",
    "usage_breakdown",
    "predictions",
    "statistics",
    "event_type",
    "delta",
    "done",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0u64..100).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "message",
            "compaction",
            "advisor_message",
            "AUDIO",
            "NaN",
            "response.completed",
            "response.done",
            "message-end",
            "duration",
            "google_search",
            "12",
            "stream-end",
            "interaction.completed"
        ])
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

/// The sum of every number that a reply holds.
fn sum_of_numbers(value: &Value) -> u128 {
    match value {
        Value::Number(number) => {
            let float = || number.as_f64().filter(|float| (0.0..1e18).contains(float));
            let whole = number.as_u64().or_else(|| float()?.ceil().to_string().parse().ok());
            whole.unwrap_or(0).into()
        }
        Value::Array(items) => items.iter().map(sum_of_numbers).sum(),
        Value::Object(entries) => entries.values().map(sum_of_numbers).sum(),
        _ => 0,
    }
}

/// What is billed was told, and can be trusted.
fn is_told(reply: &Reply, told: u128) -> Result<(), TestCaseError> {
    let Some(usage) = reply.usage else {
        prop_assert!(reply.parts.is_empty() || reply.combined_usage().is_none());
        return Ok(());
    };
    prop_assert!(usage.checked().is_ok());
    prop_assert!(reply.parts.iter().all(|part| part.usage.checked().is_ok()));
    let unreadable = reply.anomalies.iter().any(|a| matches!(a.rule, Rule::Unreadable));
    prop_assert!(!unreadable, "an unreadable figure never leaves a usage: {:?}", reply.anomalies);
    let billed: u128 = reply.combined_usage().map_or(0, |all| all.total_tokens().into());
    prop_assert!(billed <= told, "{billed} tokens are billed where {told} are all that is told");
    Ok(())
}

const PROVIDERS: [&str; 10] =
    ["openai", "anthropic", "google", "x-ai", "perplexity", "aws", "cohere", "mistral", "groq", "nobody"];

proptest! {
    #[test]
    fn any_json_is_read_without_a_panic(
        value in any_json(), provider in prop::sample::select(&PROVIDERS[..]),
        model in prop::option::of(prop::sample::select(vec!["m", "openai.gpt-5.6", "gemini-2.5-flash"])),
    ) {
        if let Ok(reply) = reply_of(Some(provider), model, &value) {
            is_told(&reply, sum_of_numbers(&value))?;
        }
    }

    /// Whatever comes in whatever order: nothing is billed that no event told, and a cost only with the last word.
    #[test]
    fn any_stream_is_read_without_a_panic(
        events in prop::collection::vec(any_json(), 0..6), api in prop::option::of(prop::sample::select(&Api::ALL[..])),
        provider in prop::sample::select(&PROVIDERS[..]),
    ) {
        let mut reader = StreamReader::new(api, Some(provider)).for_model("openai.gpt-5.6");
        for event in &events {
            reader.feed(event);
        }
        let reply = reader.reply();
        prop_assert!(reply.reported_cost.is_none() || reader.is_complete());
        is_told(&reply, events.iter().map(sum_of_numbers).sum())?;
    }

    /// A stream is the reply that it would have been, cut into pieces.
    #[test]
    fn a_stream_says_what_the_reply_says(
        input in 0u64..1000, cached in 0u64..1000, output in 1u64..1000, reasoning in 0u64..1000, extra in 0u64..50,
    ) {
        let chat = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output + extra,
            "prompt_tokens_details": {"cached_tokens": cached}, "completion_tokens_details": {"reasoning_tokens": reasoning}});
        let gemini = json!({"promptTokenCount": input, "cachedContentTokenCount": cached, "candidatesTokenCount": output,
            "thoughtsTokenCount": reasoning, "totalTokenCount": input + output + reasoning});
        let converse = json!({"inputTokens": input, "outputTokens": output, "cacheReadInputTokens": cached,
            "totalTokens": input + output + cached});
        let billed = json!({"billed_units": {"input_tokens": input, "output_tokens": output}, "cached_tokens": cached});
        let interaction = json!({"total_input_tokens": input, "total_cached_tokens": cached,
            "total_output_tokens": output, "total_thought_tokens": reasoning});
        let message = json!({"input_tokens": input, "cache_read_input_tokens": cached, "output_tokens": output});
        let metrics = json!({"inputTokenCount": input, "outputTokenCount": output});
        let local = json!({"done": true, "prompt_eval_count": input, "eval_count": output, "model": "m"});
        for (provider, plain, events) in [
            ("openai", json!({"choices": [], "usage": chat}), vec![
                json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}),
                json!({"choices": [], "usage": chat})]),
            ("groq", json!({"choices": [], "usage": chat}), vec![
                json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "x_groq": {"usage": chat}})]),
            ("x-ai", json!({"choices": [], "usage": chat}), vec![
                json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": chat})]),
            ("google", json!({"usageMetadata": gemini}), vec![
                json!({"candidates": [{"index": 0}], "usageMetadata": {"promptTokenCount": input}}),
                json!({"candidates": [{"index": 0, "finishReason": "STOP"}], "usageMetadata": gemini})]),
            ("google", json!({"object": "interaction", "usage": interaction}), vec![
                json!({"event_type": "step.delta", "delta": {"type": "text", "text": "a"}}),
                json!({"event_type": "interaction.completed", "interaction": {"usage": interaction}})]),
            ("aws", json!({"output": {}, "stopReason": "end_turn", "usage": converse}), vec![
                json!({"messageStop": {"stopReason": "end_turn"}}), json!({"metadata": {"usage": converse}})]),
            ("aws", json!({"amazon-bedrock-invocationMetrics": metrics}), vec![
                json!({"outputs": [{"text": "a", "stop_reason": "stop"}], "amazon-bedrock-invocationMetrics": metrics})]),
            ("cohere", json!({"usage": billed}), vec![
                json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": billed}})]),
            ("anthropic", json!({"type": "message", "usage": message}), vec![
                json!({"type": "message_start", "message": {"usage": {"input_tokens": input, "output_tokens": 1}}}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": message})]),
            ("ollama", local.clone(), vec![json!({"done": false, "message": {"content": "a"}}), local]),
        ] {
            let mut reader = StreamReader::new(None, Some(provider));
            for event in &events {
                prop_assert!(!reader.is_complete());
                reader.feed(event);
            }
            prop_assert!(reader.is_complete(), "{provider}");
            let (streamed, plain) = (reader.reply(), read(provider, plain));
            prop_assert_eq!((streamed.usage, streamed.anomalies), (plain.usage, plain.anomalies), "{}", provider);
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
