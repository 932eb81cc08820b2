//! Streams as the providers send them, cut at every point, and hostile ones.

use super::*;
use crate::catalog::Tier;
use crate::catalog::normalise::Rule;
use crate::values::Usage;
use proptest::prelude::*;
use serde_json::json;

fn buckets(usage: &Usage) -> Value {
    Value::Object(usage.iter().map(|(bucket, n)| (bucket.key().to_owned(), n.into())).collect())
}

fn feed(api: Api, provider: &str, events: &[Value]) -> StreamReader {
    let mut reader = StreamReader::new(api, Some(provider));
    for event in events {
        reader.feed(event);
    }
    reader
}

fn used(reader: &StreamReader) -> Value {
    buckets(&reader.reply().usage.unwrap())
}

fn chat_chunk(delta: Value, reason: Value) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06", "usage": null,
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
}

#[test]
fn chat() {
    let usage = json!({"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "choices": [], "service_tier": "default",
        "usage": {"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920}}});
    let mut reader = StreamReader::new(Api::OpenAiChat, Some("openai"));
    let none = Chunk::default();
    assert_eq!(reader.feed(&chat_chunk(json!({"role": "assistant", "content": ""}), json!(null))), none);
    let first = reader.feed(&chat_chunk(json!({"content": "Hello"}), json!(null)));
    assert_eq!(first, Chunk { output: true, first_output: true, usage_only: false });
    assert_eq!(
        reader.feed(&chat_chunk(json!({"content": " you"}), json!(null))),
        Chunk { output: true, ..none }
    );
    assert_eq!(reader.output_tokens_floor(), 3, "nine bytes");
    reader.feed(&chat_chunk(json!({}), json!("stop")));
    assert!(reader.is_finished() && !reader.is_complete());
    assert_eq!(reader.feed(&usage), Chunk { usage_only: true, ..none });
    assert!(reader.is_complete());
    assert_eq!(used(&reader), json!({"input": 86, "cache_read": 1920, "output": 300}));
    let reply = reader.reply();
    assert_eq!(
        (reply.model.as_deref(), reply.id.as_deref()),
        (Some("gpt-4o-2024-08-06"), Some("chatcmpl-1"))
    );
    assert_eq!((&*reply.finish_reasons[0], reply.tier), ("stop", Some(Tier::Standard)));
}

#[test]
fn chat_without_usage_has_a_floor() {
    let call = json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{\"a\": 1}"}}]});
    let reader = feed(
        Api::OpenAiChat,
        "openai",
        &[chat_chunk(call, json!(null)), chat_chunk(json!({}), json!("stop"))],
    );
    assert!(!reader.is_complete() && reader.saw_output());
    assert_eq!(reader.reply().usage, None);
    assert_eq!(reader.output_tokens_floor(), 3, "a name and arguments of nine bytes");
    let letters: Vec<Value> = (0..7).map(|_| chat_chunk(json!({"content": "a"}), json!(null))).collect();
    assert_eq!(
        feed(Api::OpenAiChat, "openai", &letters).output_tokens_floor(),
        7,
        "a chunk is a token at least"
    );
}

#[test]
fn usage_before_the_end_is_not_final() {
    let with_usage = |mut chunk: Value, n: u64| {
        chunk["usage"] =
            json!({"prompt_tokens": 10, "completion_tokens": n, "total_tokens": 10 + n, "cost": 0});
        chunk
    };
    let skeleton = with_usage(json!({"choices": []}), 0);
    let running = with_usage(chat_chunk(json!({"content": "a"}), json!(null)), 1);
    let last = with_usage(chat_chunk(json!({"content": "b"}), json!("stop")), 2);
    let reader = feed(Api::OpenAiChat, "openrouter", &[skeleton.clone(), running.clone()]);
    assert!(!reader.is_complete());
    let reader = feed(Api::OpenAiChat, "openrouter", &[skeleton, running, last]);
    assert!(reader.is_complete());
    assert_eq!(used(&reader), json!({"input": 10, "output": 2}), "the last one, never the sum");
    let two = |index: u64, reason: Value| json!({"choices": [{"index": index, "delta": {}, "finish_reason": reason}]});
    let half =
        feed(Api::OpenAiChat, "openai", &[two(0, json!(null)), two(1, json!(null)), two(0, json!("stop"))]);
    assert!(!half.is_finished());
    let groq = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "x_groq": {"usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}}});
    let reader = feed(Api::OpenAiChat, "groq", &[groq]);
    assert!(reader.is_complete());
    assert_eq!(used(&reader), json!({"input": 4, "output": 2}));
}

fn anthropic_events() -> Vec<Value> {
    vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "model": "claude-sonnet-4-6",
            "content": [], "stop_reason": null, "usage": {"input_tokens": 25, "output_tokens": 1, "service_tier": "standard",
                "cache_creation_input_tokens": 0, "cache_read_input_tokens": 40, "inference_geo": "us"}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "xxxxxxxxxxxx"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 15, "input_tokens": null, "server_tool_use": {"web_search_requests": 2}}}),
        json!({"type": "message_stop"}),
    ]
}

#[test]
fn anthropic() {
    let events = anthropic_events();
    let reader = feed(Api::AnthropicMessages, "anthropic", &events);
    assert!(reader.is_complete() && reader.is_finished());
    assert_eq!(used(&reader), json!({"input": 25, "cache_read": 40, "output": 15, "web_search": 2}));
    let reply = reader.reply();
    assert_eq!(
        (reply.id.as_deref(), &*reply.finish_reasons[0], reply.geo.as_deref()),
        (Some("msg_1"), "end_turn", Some("us"))
    );
    assert_eq!((reply.tier, reply.anomalies.len()), (Some(Tier::Standard), 0));

    let cut = feed(Api::AnthropicMessages, "anthropic", &events[..4]);
    assert!(!cut.is_complete());
    assert_eq!(used(&cut), json!({"input": 25, "cache_read": 40, "output": 1}), "the seed");
    assert_eq!(cut.output_tokens_floor(), 2, "a signature is no output");
}

#[test]
fn cumulative_counters_are_never_added() {
    let start = |input: u64, output: u64| json!({"type": "message_start", "message": {"usage": {"input_tokens": input, "output_tokens": output}}});
    let delta =
        |usage: Value| json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage});
    let read = |first: Value, last: Value| {
        let reader = feed(Api::AnthropicMessages, "anthropic", &[first, last]);
        let rules: Vec<Rule> = reader.reply().anomalies.iter().map(|anomaly| anomaly.rule).collect();
        (used(&reader), rules)
    };
    assert_eq!(
        read(start(25, 1), delta(json!({"output_tokens": 15}))),
        (json!({"input": 25, "output": 15}), vec![])
    );
    let repeat = delta(json!({"input_tokens": 27, "cache_read_input_tokens": 0, "output_tokens": 47}));
    assert_eq!(read(start(27, 1), repeat), (json!({"input": 27, "output": 47}), vec![]));
    let late = delta(json!({"input_tokens": 900, "output_tokens": 47}));
    assert_eq!(read(start(0, 0), late), (json!({"input": 900, "output": 47}), vec![]));
    let zeros = delta(json!({"input_tokens": 0, "output_tokens": 47}));
    assert_eq!(read(start(27, 1), zeros), (json!({"input": 27, "output": 47}), vec![Rule::CounterFell]));
    let fell = delta(json!({"input_tokens": 20, "output_tokens": 47}));
    assert_eq!(read(start(27, 1), fell), (json!({"input": 20, "output": 47}), vec![Rule::CounterFell]));
}

#[test]
fn responses() {
    let events = [
        json!({"type": "response.created", "response": {"id": "resp_1", "object": "response", "model": "gpt-5.6",
            "status": "in_progress", "usage": null}}),
        json!({"type": "response.output_item.added", "item": {"type": "message"}}),
        json!({"type": "response.output_text.delta", "delta": "Hello there"}),
        json!({"type": "response.shell_call_output_content.delta", "delta": {"stdout": "ls"}}),
        json!({"type": "response.incomplete", "response": {"id": "resp_1", "model": "gpt-5.6", "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"}, "service_tier": "priority",
            "output": [{"type": "web_search_call", "action": {"type": "search"}}],
            "usage": {"input_tokens": 2600, "input_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 400},
                "output_tokens": 100, "output_tokens_details": {"reasoning_tokens": 64}, "total_tokens": 2700}}}),
    ];
    let cut = feed(Api::OpenAiResponses, "openai", &events[..4]);
    assert!(!cut.is_complete() && !cut.is_finished());
    assert_eq!((cut.output_tokens_floor(), cut.reply().id.as_deref()), (3, Some("resp_1")));
    let reader = feed(Api::OpenAiResponses, "openai", &events);
    assert!(reader.is_complete());
    assert_eq!(
        used(&reader),
        json!({"input": 200, "cache_read": 2000, "cache_write": 400, "output": 36, "output_reasoning": 64, "web_search": 1})
    );
    let reply = reader.reply();
    assert_eq!((&*reply.finish_reasons[0], reply.tier), ("max_output_tokens", Some(Tier::Priority)));

    let failed = json!({"type": "response.failed", "response": {"status": "failed", "usage": null,
        "error": {"code": "server_error", "message": "m"}}});
    let reader = feed(Api::OpenAiResponses, "openai", &[failed]);
    assert!(reader.is_finished() && !reader.is_complete());
    assert_eq!(reader.reply().error.as_deref(), Some("server_error"));
    let error = json!({"type": "error", "code": "rate_limit_exceeded", "message": "m"});
    assert_eq!(
        feed(Api::OpenAiResponses, "openai", &[error]).reply().error.as_deref(),
        Some("rate_limit_exceeded")
    );
}

#[test]
fn gemini() {
    let chunk = |text: &str, usage: Value, reason: Value| {
        json!({"modelVersion": "gemini-3-flash", "responseId": "r",
        "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": reason,
            "groundingMetadata": {"webSearchQueries": ["a", "b"]}}], "usageMetadata": usage})
    };
    let first = chunk("Hi", json!({"promptTokenCount": 10, "totalTokenCount": 10}), json!(null));
    let last = chunk(
        " there",
        json!({"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7,
        "totalTokenCount": 22}),
        json!("STOP"),
    );
    let cut = feed(Api::GeminiGenerate, "google", std::slice::from_ref(&first));
    assert!(!cut.is_complete());
    assert_eq!(used(&cut), json!({"input": 10, "web_search": 2}));
    let reader = feed(Api::GeminiGenerate, "google", &[first, last]);
    assert!(reader.is_complete());
    assert_eq!(used(&reader), json!({"input": 10, "output": 5, "output_reasoning": 7, "web_search": 2}));
    assert_eq!(&*reader.reply().finish_reasons[0], "STOP");
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 10, "totalTokenCount": 10}});
    let reader = feed(Api::GeminiGenerate, "google", &[blocked]);
    assert!(reader.is_complete());
    assert_eq!(&*reader.reply().finish_reasons[0], "SAFETY");
}

#[test]
fn a_reader_stays_small() {
    let mut reader = StreamReader::new(Api::AnthropicMessages, None);
    for n in 0..1000 {
        reader
            .feed(&json!({"type": "message_delta", "usage": {format!("field_{n}"): n, "output_tokens": n}}));
    }
    assert!(reader.whole["usage"].as_object().unwrap().len() <= 64);
    assert_eq!(used(&reader), json!({"output": 999}));
}

#[test]
fn errors_in_mid_stream() {
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "m"}});
    let reader = feed(Api::AnthropicMessages, "anthropic", &[anthropic_events().remove(0), overloaded]);
    assert_eq!(reader.reply().error.as_deref(), Some("overloaded_error"));
    assert_eq!(used(&reader)["input"], 25);
    let reader = feed(Api::OpenAiChat, "openai", &[json!({"error": {"code": "server_error"}})]);
    assert_eq!(reader.reply().error.as_deref(), Some("server_error"));
}

proptest! {
    /// Cut anywhere, with events doubled, missing or of another API: no panic, nothing unbounded.
    #[test]
    fn any_order_of_events(picks in prop::collection::vec(0usize..8, 0..20), junk in any::<u64>()) {
        let mut events = anthropic_events();
        events.push(json!({"type": "message_delta", "usage": {"output_tokens": junk}, "delta": 5}));
        for api in Api::ALL {
            let mut reader = StreamReader::new(api, None);
            for pick in &picks {
                reader.feed(&events[*pick]);
            }
            reader.feed(&events[8]);
            reader.feed(&json!({"choices": [{"index": junk, "delta": [], "finish_reason": "x"}], "usage": {"prompt_tokens": junk}}));
            reader.feed(&json!({"candidates": [{"index": junk, "content": 1, "finishReason": "x"}], "usageMetadata": [junk]}));
            reader.feed(&json!(junk));
            prop_assert!(reader.reply().usage.is_none_or(|usage| usage.checked().is_ok()));
            prop_assert!(reader.choices.len() <= CHOICES_MAX);
        }
    }
}
