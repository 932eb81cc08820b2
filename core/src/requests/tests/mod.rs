//! Requests as the SDKs send them, and hostile ones.

mod clouds;

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn request(api: Api, body: Value) -> Request {
    read(api, &body).unwrap()
}

fn bound(api: Api, body: Value) -> Option<u64> {
    match request(api, body).input_tokens {
        InputSize::Bound(tokens) => Some(tokens),
        InputSize::Context => None,
    }
}

#[test]
fn chat() {
    let read = request(
        Api::OpenAiChat,
        json!({"model": "gpt-4o", "messages": [{"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Grüße"}]}],
            "max_tokens": 100, "max_completion_tokens": 200, "n": 3, "stream": true, "temperature": 0.5, "seed": -7,
            "stream_options": {"include_usage": false}, "service_tier": "flex", "stop": "END",
            "response_format": {"type": "json_object"}}),
    );
    assert_eq!(read.model.as_deref(), Some("gpt-4o"));
    let format = u64::try_from(r#"{"type":"json_object"}"#.len()).unwrap() + 1;
    assert_eq!(read.input_tokens, InputSize::Bound(9 + 7 + 2 * FRAME_TOKENS + format));
    assert_eq!((read.max_output_tokens, read.choices), (Some(200), 3));
    assert_eq!((read.stream, read.include_usage, read.tier), (true, Some(false), Some(Tier::Flex)));
    assert_eq!(
        (read.params.temperature, read.params.seed, read.params.choices),
        (Some(0.5), Some(-7), Some(3))
    );
    assert_eq!(&*read.params.stop_sequences[0], "END");
    assert_eq!(read.params.output_type.as_deref(), Some("json"));
    let plain =
        request(Api::OpenAiChat, json!({"model": "m", "messages": [], "max_tokens": null, "n": null}));
    assert_eq!(
        (plain.max_output_tokens, plain.choices, plain.stream, plain.include_usage),
        (None, 1, false, None)
    );
    assert_eq!(plain.tier, None);
}

#[test]
fn everything_that_is_sent_counts() {
    let with = |extra: Value| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        bound(Api::OpenAiChat, body).unwrap()
    };
    let plain = with(json!({}));
    assert_eq!(plain, 2 + FRAME_TOKENS);
    let tool = json!({"type": "function", "function": {"name": "f", "description": "d".repeat(500),
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}});
    let tools = with(json!({"tools": [tool]}));
    assert!(
        tools >= plain + FRAME_TOKENS + u64::try_from(serde_json::to_string(&tool).unwrap().len()).unwrap()
    );
    let call = json!([{"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function",
        "function": {"name": "f", "arguments": "x".repeat(1000)}}]}, {"role": "tool", "tool_call_id": "c", "content": "ok"}]);
    assert!(with(json!({"messages": call})) >= 1002 + 2 * FRAME_TOKENS);
    // A token id of embeddings is one token, not its digits.
    assert_eq!(bound(Api::OpenAiEmbeddings, json!({"input": [[1, 2, 3], [4]]})), Some(4 + 2 * FRAME_TOKENS));
    assert_eq!(bound(Api::OpenAiEmbeddings, json!({"input": [15339, 1917]})), Some(2 + FRAME_TOKENS));
    assert_eq!(
        bound(Api::OpenAiEmbeddings, json!({"input": "x".repeat(10_000_000)})),
        Some(10_000_000 + FRAME_TOKENS)
    );
}

#[test]
fn what_is_not_in_the_request_has_no_bound() {
    let user = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let read_one = |api, body: Value, media: &[Bucket]| {
        let read = request(api, body.clone());
        assert_eq!(read.input_tokens, InputSize::Context, "{body}");
        assert_eq!(read.media.as_slice(), media, "{body}");
    };
    use Bucket::{InputAudio, InputImage, InputVideo};
    read_one(
        Api::OpenAiChat,
        user(json!({"type": "image_url", "image_url": {"url": "data:…"}})),
        &[InputImage],
    );
    read_one(
        Api::OpenAiChat,
        user(json!({"type": "input_audio", "input_audio": {"data": ""}})),
        &[InputAudio],
    );
    read_one(Api::OpenAiChat, user(json!({"type": "something_new"})), &[]);
    read_one(Api::OpenAiResponses, json!({"input": "hi", "previous_response_id": "resp_1"}), &[]);
    read_one(Api::OpenAiResponses, json!({"input": "hi", "conversation": {"id": "conv_1"}}), &[]);
    read_one(Api::OpenAiResponses, json!({"prompt": {"id": "pmpt_1"}}), &[]);
    read_one(Api::OpenAiResponses, json!({"input": [{"type": "item_reference", "id": "i"}]}), &[]);
    read_one(Api::OpenAiResponses, json!({"input": [{"type": "reasoning", "id": "i", "summary": []}]}), &[]);
    read_one(
        Api::OpenAiResponses,
        json!({"input": "hi", "tools": [{"type": "mcp", "server_label": "s"}]}),
        &[],
    );
    let file = json!([{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]);
    read_one(Api::OpenAiResponses, json!({"input": file}), &[InputImage]);
    read_one(
        Api::AnthropicMessages,
        user(json!({"type": "image", "source": {"type": "url", "url": "u"}})),
        &[InputImage],
    );
    read_one(Api::AnthropicMessages, user(json!({"type": "container_upload", "file_id": "f"})), &[]);
    read_one(Api::AnthropicMessages, json!({"messages": [], "container": "c1"}), &[]);
    read_one(Api::AnthropicMessages, json!({"messages": [], "thread": {"type": "continue"}}), &[]);
    let nested =
        json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {}}]});
    read_one(Api::AnthropicMessages, user(nested), &[InputImage]);
    let parts = json!([{"parts": [{"fileData": {"mimeType": "video/mp4"}}, {"text": "hi"}]}]);
    read_one(Api::GeminiGenerate, json!({"contents": parts}), &[InputVideo]);
    read_one(Api::GeminiGenerate, json!({"contents": [], "cachedContent": "cachedContents/1"}), &[]);
}

#[test]
fn responses() {
    let read = request(
        Api::OpenAiResponses,
        json!({"model": "gpt-5.6", "instructions": "Short.", "input": [
            {"role": "user", "content": "hi"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "42"}],
            "max_output_tokens": 1e3, "background": true, "service_tier": "auto", "reasoning": {"effort": "high"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}}),
    );
    assert!(matches!(read.input_tokens, InputSize::Bound(100..=400)), "{:?}", read.input_tokens);
    assert_eq!((read.max_output_tokens, read.background), (Some(1000), true));
    assert_eq!(read.tier, Some(Tier::Auto));
    assert_eq!(read.params.reasoning_level.as_deref(), Some("high"));
    assert_eq!(read.params.openai_api, Some("responses"));
}

#[test]
fn server_tools_and_other_models_are_declared() {
    let read = request(
        Api::OpenAiResponses,
        json!({"input": "hi", "max_tool_calls": 4, "tools": [{"type": "web_search_preview_2025_03_11"},
            {"type": "file_search", "vector_store_ids": []}, {"type": "code_interpreter", "container": {"type": "auto"}},
            {"type": "image_generation", "model": "gpt-image-2"}, {"type": "function", "name": "f"}]}),
    );
    let counted = |read: &Request| read.server_tools.iter().collect::<Vec<_>>();
    assert_eq!(counted(&read), [(Bucket::WebSearch, 4), (Bucket::FileSearch, 4), (Bucket::CodeSession, 1)]);
    assert_eq!((&*read.other_models[0].model, read.other_models[0].instead), ("gpt-image-2", false));

    let read = request(
        Api::AnthropicMessages,
        json!({"max_tokens": 10, "messages": [], "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
            {"type": "web_fetch_20260318", "name": "web_fetch"},
            {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-5", "max_tokens": 500, "max_uses": 2}],
            "fallbacks": [{"model": "claude-sonnet-4-6", "max_tokens": 20}]}),
    );
    assert_eq!(counted(&read), [(Bucket::WebSearch, 3), (Bucket::WebFetch, TOOL_USES_UNSTATED)]);
    let others: Vec<_> =
        read.other_models.iter().map(|o| (&*o.model, o.max_output_tokens, o.uses, o.instead)).collect();
    assert_eq!(others, [("claude-opus-5", Some(500), 2, false), ("claude-sonnet-4-6", Some(20), 1, true)]);

    let read = request(
        Api::GeminiGenerate,
        json!({"contents": [], "tools": [{"googleSearch": {}}, {"googleMaps": {}}]}),
    );
    assert_eq!(counted(&read), [(Bucket::WebSearch, TOOL_USES_UNSTATED), (Bucket::MapsGrounding, 1)]);
    let read = request(
        Api::OpenAiChat,
        json!({"model": "gpt-4o-search-preview", "messages": [], "web_search_options": {}}),
    );
    assert_eq!(counted(&read), [(Bucket::WebSearch, 1)]);
}

#[test]
fn anthropic() {
    let read = request(
        Api::AnthropicMessages,
        json!({"model": "claude-sonnet-4-6", "max_tokens": 1024, "system": [{"type": "text", "text": "Be brief."}],
            "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "12345"}}]}],
            "thinking": {"type": "enabled", "budget_tokens": 500}, "stop_sequences": ["a", "b"], "top_k": 5,
            "service_tier": "standard_only", "speed": "fast", "inference_geo": "us", "stream": true}),
    );
    assert_eq!(read.input_tokens, InputSize::Bound(9 + 2 + 5 + 2 * FRAME_TOKENS));
    assert_eq!((read.max_output_tokens, read.stream), (Some(1024), true));
    assert_eq!(
        (read.tier, read.speed.as_deref(), read.geo.as_deref()),
        (Some(Tier::Standard), Some("fast"), Some("us"))
    );
    assert_eq!((read.params.top_k, read.params.stop_sequences.len()), (Some(5), 2));
    let interleaved =
        json!({"max_tokens": 1000, "messages": [], "thinking": {"type": "enabled", "budget_tokens": 5000}});
    assert_eq!(request(Api::AnthropicMessages, interleaved).max_output_tokens, Some(6000));
    let marked = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}});
    for (body, writes) in [
        (json!({"messages": []}), Some(false)),
        (json!({"messages": [], "cache_control": null}), Some(false)),
        (json!({"messages": [], "cache_control": {"type": "ephemeral"}}), Some(true)),
        (json!({"messages": [{"role": "user", "content": [marked]}]}), Some(true)),
        (
            json!({"messages": [], "tools": [{"name": "t", "cache_control": {"type": "ephemeral"}}]}),
            Some(true),
        ),
        (json!({"messages": [], "thread": {"type": "create"}}), None),
    ] {
        assert_eq!(request(Api::AnthropicMessages, body).writes_cache, writes);
    }
    // The provider's own text about its tools is more than the request shows.
    let tool = json!({"messages": [], "tools": [{"type": "bash_20250124", "name": "bash"}]});
    assert!(bound(Api::AnthropicMessages, tool).unwrap() > 3000);
}

#[test]
fn gemini() {
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {"maxOutputTokens": 64, "candidateCount": 2, "topP": 0.9, "responseModalities": ["IMAGE"]}});
    let read =
        read_at(Api::GeminiGenerate, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", &body)
            .unwrap();
    assert_eq!(read.model.as_deref(), Some("gemini-2.5-flash"));
    assert_eq!(read.input_tokens, InputSize::Bound(5 + 9 + 2 * FRAME_TOKENS));
    assert_eq!((read.max_output_tokens, read.choices, read.stream), (Some(64), 2, true));
    assert_eq!(read.media.as_slice(), [Bucket::OutputImage]);
}

#[test]
fn limits() {
    let read_max = |value: Value| read(Api::OpenAiChat, &json!({"messages": [], "max_tokens": value}));
    assert_eq!(read_max(json!(-1)).unwrap().max_output_tokens, None, "vLLM: no limit");
    assert_eq!(read_max(json!(64.0)).unwrap().max_output_tokens, Some(64));
    for bad in [json!("64"), json!(1.5), json!([]), json!(1e300), json!(f64::MAX)] {
        let error = read_max(bad).unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::ArgumentInvalid, Some("max_tokens")));
    }
    let choices = |n: Value| read(Api::OpenAiChat, &json!({"messages": [], "n": n})).map(|read| read.choices);
    assert_eq!(choices(json!(0)).unwrap(), 1);
    assert!(choices(json!(u64::MAX)).is_err());
    let completions = json!({"prompt": ["a", "b"], "n": 2, "best_of": 3, "max_tokens": 16});
    assert_eq!(request(Api::OpenAiCompletions, completions).choices, 6, "three for each prompt");
    let predicted = json!({"messages": [], "max_tokens": 100, "prediction": {"type": "content", "content": "x".repeat(50)}});
    assert_eq!(request(Api::OpenAiChat, predicted).max_output_tokens, Some(150));
    assert!(read(Api::OpenAiChat, &json!([])).is_err());
}

proptest! {
    #[test]
    fn any_body_is_read_without_a_panic(
        key in prop::sample::select(vec!["messages", "input", "contents", "tools", "system", "n", "prompt", "thinking",
            "generationConfig", "stream_options", "toolConfig", "inferenceConfig", "additionalModelRequestFields", "texts",
            "requests", "documents", "query", "message", "inputText", "fallbacks", "prediction", "plugins", "search_parameters"]),
        value in prop_oneof![
            Just(json!(null)), any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from),
            "\\PC{0,20}".prop_map(Value::from), Just(json!([null, 1, "x", [], {}])), Just(json!({"type": 1, "content": {}})),
            Just(json!([{"type": "document", "source": 1, "content": [[[]]]}, {"role": 1, "parts": [1, {"text": []}]}])),
        ],
    ) {
        for api in Api::ALL {
            let _ = read(api, &json!({"model": 1, key: value}));
        }
    }
}
