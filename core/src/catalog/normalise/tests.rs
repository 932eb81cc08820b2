//! Replies as providers send them (shapes of openai 3.51, anthropic 2.11, google-genai, groq 1.7), the cases of
//! `cases.json`, and hostile ones.

use super::*;
use crate::catalog::Tier;
use crate::values::AttoUsd;
use serde_json::json;

fn buckets(usage: &Usage) -> Value {
    Value::Object(usage.iter().map(|(bucket, n)| (bucket.key().to_owned(), n.into())).collect())
}

pub(super) fn read(provider: &str, value: Value) -> Reply {
    reply(Some(provider), &value).unwrap()
}

fn used(provider: &str, value: Value) -> Value {
    buckets(&read(provider, value).usage.unwrap())
}

fn rules(reply: &Reply) -> Vec<Rule> {
    reply.anomalies.iter().map(|anomaly| anomaly.rule).collect()
}

#[test]
fn known_cases() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("cases.json")).unwrap();
    assert!(cases.len() > 30);
    for case in &cases {
        let (provider, model) = (case["provider"].as_str(), case.get("model").and_then(Value::as_str));
        let reply = reply_of(provider, model, &case["reply"]).unwrap();
        assert_eq!(buckets(&reply.usage.unwrap()), case["buckets"], "{}", case["case"]);
        let odd = case["case"] == "bedrock-stream-openai-quirk";
        assert_eq!(
            rules(&reply),
            if odd { vec![Rule::CacheInsideInput] } else { vec![] },
            "{}",
            case["case"]
        );
    }
}

#[test]
fn what_is_around_the_usage() {
    let chat = read(
        "openai",
        json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-2024-08-06", "service_tier": "default",
            "system_fingerprint": "fp_44709d6fcb", "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}},
                {"index": 1, "finish_reason": "length", "message": {"role": "assistant", "content": "Ho"}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}),
    );
    assert_eq!(chat.model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(chat.id.as_deref(), Some("chatcmpl-1"));
    assert_eq!((chat.tier, chat.service_tier.as_deref()), (Some(Tier::Standard), Some("default")));
    assert_eq!(chat.finish_reasons.iter().map(|reason| &**reason).collect::<Vec<_>>(), ["stop", "length"]);
    assert_eq!(chat.system_fingerprint.as_deref(), Some("fp_44709d6fcb"));

    let message = read(
        "anthropic",
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6", "content": [],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 3, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 10,
                "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30}, "service_tier": "priority",
                "speed": "fast", "inference_geo": "us",
                "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1}}}),
    );
    assert_eq!(
        buckets(&message.usage.unwrap()),
        json!({"input": 3, "cache_read": 10, "output": 20, "output_reasoning": 30, "web_search": 2, "web_fetch": 1})
    );
    assert_eq!(message.tier, Some(Tier::Priority));
    assert_eq!((message.speed.as_deref(), message.geo.as_deref()), (Some("fast"), Some("us")));

    let gemini = read(
        "google",
        json!({"responseId": "r1", "modelVersion": "gemini-2.5-flash",
            "candidates": [{"finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["a", "b"],
                "groundingChunks": [{"maps": {"uri": "u"}}]}}],
            "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110,
                "trafficType": "ON_DEMAND_PRIORITY",
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}, {"modality": "DOCUMENT", "tokenCount": 50},
                    {"modality": "AUDIO", "tokenCount": 25}]}}),
    );
    assert_eq!(
        buckets(&gemini.usage.unwrap()),
        json!({"input": 25, "input_image": 50, "input_audio": 25, "output": 10, "web_search": 1, "maps_grounding": 1}),
        "the list of modalities is five short: text"
    );
    assert_eq!(gemini.tier, Some(Tier::Priority));
    let snake = json!({"usage_metadata": {"prompt_token_count": 5, "candidates_token_count": 1, "total_token_count": 6}});
    assert_eq!(used("google", snake), json!({"input": 5, "output": 1}));
}

#[test]
fn server_tools_of_responses() {
    let item = |kind: &str, action: Value| json!({"type": kind, "action": action, "container_id": "c1"});
    let output = json!([
        item("web_search_call", json!({"type": "search"})),
        item("web_search_call", json!({"type": "open_page"})),
        item("file_search_call", json!(null)),
        item("code_interpreter_call", json!(null)),
        item("code_interpreter_call", json!(null)),
    ]);
    let usage = json!({"input_tokens": 10, "output_tokens": 1, "total_tokens": 11});
    let body = json!({"object": "response", "status": "completed", "output": output, "usage": usage});
    assert_eq!(
        used("openai", body.clone()),
        json!({"input": 10, "output": 1, "web_search": 1, "file_search": 1, "code_session": 1})
    );
    let mut counted = body;
    counted["tool_usage"] = json!({"web_search": {"num_requests": 3}, "image_gen": {"input_tokens": 40,
        "input_tokens_details": {"text_tokens": 40, "image_tokens": 0}, "output_tokens": 500, "total_tokens": 540}});
    counted["tools"] = json!([{"type": "image_generation", "model": "gpt-image-2"}]);
    let reply = read("openai", counted);
    assert_eq!(reply.usage.unwrap().get(Bucket::WebSearch), 3, "the provider's own counter");
    assert_eq!(&*reply.parts[0].model, "gpt-image-2");
    assert_eq!(buckets(&reply.parts[0].usage), json!({"input": 40, "output_image": 500}));
}

#[test]
fn iterations_bill_what_the_top_level_leaves_out() {
    let entry = |kind: &str, model: Value, input: u64, output: u64| {
        json!({"type": kind, "model": model,
        "input_tokens": input, "output_tokens": output, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0})
    };
    let message = |iterations: Value, input: u64, output: u64| {
        read(
            "anthropic",
            json!({"type": "message", "model": "claude-opus-4-7",
            "usage": {"input_tokens": input, "output_tokens": output, "iterations": iterations}}),
        )
    };
    let compacted = message(
        json!([entry("compaction", json!(null), 50_000, 900), entry("message", json!(null), 100, 20)]),
        100,
        20,
    );
    assert_eq!(buckets(&compacted.usage.unwrap()), json!({"input": 50_100, "output": 920}));

    let advised = message(
        json!([
            entry("message", json!(null), 100, 20),
            entry("advisor_message", json!("claude-opus-5"), 300, 40)
        ]),
        100,
        20,
    );
    assert_eq!(buckets(&advised.usage.unwrap()), json!({"input": 100, "output": 20}));
    assert_eq!(&*advised.parts[0].model, "claude-opus-5");
    assert_eq!(buckets(&advised.parts[0].usage), json!({"input": 300, "output": 40}));

    let fallback = message(
        json!([
            entry("message", json!("claude-opus-4-7"), 100, 5),
            entry("fallback_message", json!("claude-sonnet-4-6"), 110, 30)
        ]),
        100,
        5,
    );
    assert_eq!(fallback.usage, Some(Usage::new()), "a declined attempt is not billed");
    assert_eq!(buckets(&fallback.parts[0].usage), json!({"input": 110, "output": 30}));

    let odd = message(json!([entry("message", json!(null), 1, 1)]), 100, 20);
    assert_eq!(rules(&odd), [Rule::Iterations]);
    assert_eq!(buckets(&odd.usage.unwrap()), json!({"input": 100, "output": 20}));
}

#[test]
fn reported_costs() {
    let cost = |usage: Value| read("openrouter", json!({"choices": [], "usage": usage})).reported_cost;
    let usd = |text: &str| Some(AttoUsd::parse(text).unwrap());
    let tokens = |mut extra: Value| {
        extra["prompt_tokens"] = 10.into();
        extra["completion_tokens"] = 5.into();
        cost(extra)
    };
    assert_eq!(tokens(json!({"cost": 0.00014})), usd("0.00014"));
    let upstream = json!({"upstream_inference_cost": 4.45e-06});
    assert_eq!(tokens(json!({"cost": 0, "is_byok": true, "cost_details": upstream})), usd("0.00000445"));
    assert_eq!(tokens(json!({"cost": 0.5, "is_byok": false, "cost_details": upstream})), usd("0.5"));
    assert_eq!(tokens(json!({"cost": {"total_cost": 0.673067}})), usd("0.673067"));
    assert_eq!(tokens(json!({"cost_in_usd_ticks": 232_856_000})), usd("0.0232856"));
    // Told as it stands: the bill says that it is none.
    assert_eq!(tokens(json!({"cost": -1})), Some(AttoUsd(-10i128.pow(18))));
}

#[test]
fn other_conventions_are_recognised_and_noted() {
    let chat = |usage: Value| read("vllm", json!({"choices": [], "usage": usage}));
    let cached = |n: u64| json!({"cached_tokens": n});
    for (usage, expected, rule) in [
        (
            json!({"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": cached(50)}),
            json!({"input": 10, "cache_read": 50, "output": 1}),
            vec![Rule::CacheAboveInput],
        ),
        (
            json!({"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 151, "prompt_tokens_details": cached(50)}),
            json!({"input": 100, "cache_read": 50, "output": 1}),
            vec![Rule::CacheOutsideInput],
        ),
        (
            json!({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}),
            json!({"input": 35, "output": 12, "output_reasoning": 62}),
            vec![],
        ),
        (
            json!({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 100,
                "completion_tokens_details": {"reasoning_tokens": 4}}),
            json!({"input": 35, "output": 8, "output_reasoning": 57}),
            vec![Rule::TotalAboveParts],
        ),
        (
            json!({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 40}),
            json!({"input": 35, "output": 12}),
            vec![Rule::TotalBelowParts],
        ),
        (
            json!({"prompt_tokens": 5, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 9}}),
            json!({"input": 5, "output": 2, "output_reasoning": 9}),
            vec![Rule::ReasoningAboveOutput],
        ),
        (
            json!({"prompt_tokens": 5, "completion_tokens": 9, "completion_tokens_details": {"audio_tokens": 20}}),
            json!({"input": 5, "output_audio": 20}),
            vec![Rule::MediaAboveTotal],
        ),
        (json!({"total_tokens": 77}), json!({"output": 77}), vec![Rule::OnlyTotal]),
        (
            json!({"prompt_tokens": 5.0, "completion_tokens": 2e0, "total_tokens": 7.0}),
            json!({"input": 5, "output": 2}),
            vec![],
        ),
        // Cached audio that is not reported as such: as few cached audio tokens as the figures allow.
        (
            json!({"prompt_tokens": 100, "completion_tokens": 0,
                "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 70}}),
            json!({"input_audio": 40, "cache_read": 30, "cache_read_audio": 30}),
            vec![],
        ),
    ] {
        let reply = chat(usage.clone());
        assert_eq!(buckets(&reply.usage.unwrap()), expected, "{usage}");
        assert_eq!(rules(&reply), rule, "{usage}");
    }
    let embedded = json!({"object": "list", "data": [], "model": "voyage-3", "usage": {"total_tokens": 77}});
    assert_eq!(used("voyage", embedded), json!({"input": 77}));
    let mistral = json!({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101,
        "num_cached_tokens": 64, "prompt_audio_seconds": 2}});
    assert_eq!(
        used("mistral", mistral),
        json!({"input": 36, "cache_read": 64, "output": 1, "input_audio_second": 2000})
    );
    let top =
        json!({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 1, "cached_tokens": 30}});
    assert_eq!(used("moonshot", top), json!({"input": 70, "cache_read": 30, "output": 1}));
    let unpriced_xai = json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 50,
        "completion_tokens_details": {"reasoning_tokens": 20}}});
    assert_eq!(used("x-ai", unpriced_xai), json!({"input": 10, "output": 50, "output_reasoning": 20}));
}

#[test]
fn streams_raise_cache_writes_without_their_split() {
    let usage = json!({"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100}});
    let reply = read("anthropic", json!({"type": "message", "usage": usage}));
    assert_eq!(rules(&reply), [Rule::CacheSplit]);
    assert_eq!(buckets(&reply.usage.unwrap()), json!({"input": 1, "output": 1, "cache_write_1h": 300}));
}

#[test]
fn compound_systems_bill_each_model() {
    let usage = |n: u64| json!({"prompt_tokens": n, "completion_tokens": 1, "total_tokens": n + 1});
    let reply = read(
        "groq",
        json!({"choices": [], "usage": usage(30), "usage_breakdown": {"models": [
            {"model": "llama-3.3-70b", "usage": usage(10)}, {"model": "gpt-oss-120b", "usage": usage(20)}]}}),
    );
    assert_eq!(reply.usage, Some(Usage::new()));
    assert_eq!(reply.parts.iter().map(|part| part.usage.total_input()).collect::<Vec<_>>(), [10, 20]);
    assert_eq!(reply.combined_usage().unwrap().total_tokens(), 32);
    let streamed = read("groq", json!({"choices": [], "x_groq": {"id": "r", "usage": usage(9)}}));
    assert_eq!(streamed.usage.unwrap().total_tokens(), 10);
}

#[test]
fn errors_and_unfinished_replies_have_no_usage() {
    for (provider, value, error) in [
        (
            "openai",
            json!({"error": {"message": "m", "type": "requests", "code": "rate_limit_exceeded"}}),
            "rate_limit_exceeded",
        ),
        ("openai", json!({"error": {"message": "m", "type": "server_error", "code": null}}), "server_error"),
        (
            "anthropic",
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}),
            "overloaded_error",
        ),
        (
            "google",
            json!({"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}),
            "RESOURCE_EXHAUSTED",
        ),
    ] {
        let reply = read(provider, value);
        assert_eq!((reply.usage, reply.error.as_deref()), (None, Some(error)));
    }
    let queued =
        read("openai", json!({"object": "response", "id": "resp_1", "status": "queued", "usage": null}));
    assert!(queued.pending && queued.usage.is_none() && queued.anomalies.is_empty());
}

#[test]
fn other_ways_to_hand_over_usage() {
    assert_eq!(
        used("openai", json!({"usage": {"input": 90, "output": 10}})),
        json!({"input": 90, "output": 10})
    );
    assert_eq!(
        used("openai", json!({"input": 90, "cache_write_1h": 10})),
        json!({"input": 90, "cache_write_1h": 10})
    );
    assert_eq!(
        used("openai", json!({"prompt_tokens": 3, "completion_tokens": 1})),
        json!({"input": 3, "output": 1})
    );
    assert_eq!(
        used("anthropic", json!({"input_tokens": 3, "output_tokens": 1, "cache_read_input_tokens": 9})),
        json!({"input": 3, "output": 1, "cache_read": 9})
    );
    assert_eq!(used("google", json!({"promptTokenCount": 3, "totalTokenCount": 3})), json!({"input": 3}));
    assert_eq!(
        used("cloudflare", json!({"result": {"usage": {"prompt_tokens": 3, "completion_tokens": 1}}})),
        json!({"input": 3, "output": 1})
    );
    let event = json!({"type": "response.completed", "response": {"model": "gpt-5.6",
        "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}}});
    assert_eq!(used("openai", event), json!({"input": 3, "output": 1}));
    for bad in [json!(null), json!([]), json!("text"), json!(7), json!({"input": -1}), json!({"output": 1.5})]
    {
        assert_eq!(reply(None, &bad).unwrap_err().code(), Code::UsageInvalid, "{bad}");
    }
}

#[test]
fn damaged_figures_make_the_usage_unknown() {
    for bad in [
        json!(-1),
        json!(u64::MAX),
        json!(1.5),
        json!("NaN"),
        json!("9".repeat(10_000_000)),
        json!([[]]),
        json!(1e308),
    ] {
        for name in
            ["prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens", "cached_tokens"]
        {
            let mut usage = json!({"prompt_tokens": 10, "completion_tokens": 5});
            usage[name] = bad.clone();
            let reply = read("openai", json!({"choices": [], "usage": usage}));
            assert_eq!(reply.usage, None, "{name}");
            assert_eq!(rules(&reply), [Rule::Unreadable]);
            assert!(reply.anomalies[0].detail.len() < 200);
        }
        let usage = json!({"input_tokens": 1, "output_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": bad}});
        assert_eq!(read("anthropic", json!({"type": "message", "usage": usage})).usage, None);
        let usage = json!({"promptTokenCount": 10, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": bad}]});
        assert_eq!(read("google", json!({"usageMetadata": usage})).usage, None);
    }
    let strange = read("openai", json!({"usage": {"units": 5}}));
    assert_eq!((strange.usage, rules(&strange)), (None, vec![Rule::Unrecognised]));
    let deep = (0..100_000).fold(json!(1), |inner, _| Value::Array(vec![inner]));
    let reply = reply(None, &deep).map_err(|error| error.code());
    assert_eq!(reply.unwrap_err(), Code::UsageInvalid);
    flatten(deep);
    let long = read(
        "openai",
        json!({"model": "m".repeat(10_000_000), "choices": [], "usage": {"prompt_tokens": 1}}),
    );
    assert_eq!(long.model, None);
}

/// Drops a deep value without recursion.
fn flatten(mut value: Value) {
    while let Value::Array(mut list) = value {
        value = list.pop().unwrap_or(Value::Null);
    }
}
