//! Bedrock, Cohere, Mistral's agents, Gemini's embeddings.

use super::*;

#[test]
fn gemini_embeddings() {
    let body = json!({"requests": [
        {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "one"}]}, "outputDimensionality": 64},
        {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "three"}]}}]});
    let read =
        read_at(Api::GeminiEmbed, "/v1beta/models/gemini-embedding-001:batchEmbedContents", &body).unwrap();
    assert_eq!(read.model.as_deref(), Some("gemini-embedding-001"));
    assert_eq!(read.input_tokens, InputSize::Bound(3 + 5 + 2 * FRAME_TOKENS));
    assert_eq!((read.operation, read.max_output_tokens), (Operation::Embeddings, Some(0)));
    assert_eq!(read.params.dimensions, Some(64));
    let predict = json!({"instances": [{"content": "hello", "task_type": "RETRIEVAL_QUERY"}]});
    assert_eq!(bound(Api::GeminiEmbed, predict), Some(5 + FRAME_TOKENS));
    assert_eq!(
        bound(Api::GeminiEmbed, json!({"content": {"parts": [{"text": "hi"}]}})),
        Some(2 + FRAME_TOKENS)
    );
    assert_eq!(
        bound(Api::GeminiEmbed, json!({"content": {"parts": [{"inlineData": {"mimeType": "image/png"}}]}})),
        None
    );
    assert_eq!(bound(Api::GeminiEmbed, json!({})), None);
}

#[test]
fn converse() {
    let body = json!({
        "messages": [
            {"role": "user", "content": [{"text": "hello"}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "42"}]}}]}],
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        "serviceTier": {"type": "flex"}, "performanceConfig": {"latency": "optimized"}});
    let path = "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream";
    let read = read_at(Api::BedrockConverse, path, &body).unwrap();
    assert_eq!(read.model.as_deref(), Some("us.anthropic.claude-haiku-4-5-20251001-v1:0"));
    assert_eq!(read.input_tokens, InputSize::Bound(5 + 2 + 9 + 3 * FRAME_TOKENS));
    assert_eq!((read.max_output_tokens, read.stream, read.writes_cache), (Some(100), true, Some(true)));
    assert_eq!((read.tier, read.speed.as_deref()), (Some(Tier::Flex), Some("optimized")));
    assert_eq!((read.params.top_p, read.params.stop_sequences.len()), (Some(0.9), 1));

    let user = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    for (block, media) in [
        (json!({"image": {"format": "png", "source": {"bytes": ""}}}), vec![Bucket::InputImage]),
        (json!({"video": {"format": "mp4", "source": {}}}), vec![Bucket::InputVideo]),
        (json!({"somethingNew": {}}), vec![]),
    ] {
        let read = request(Api::BedrockConverse, user(block.clone()));
        assert_eq!((read.input_tokens, read.media.to_vec()), (InputSize::Context, media), "{block}");
    }
    let tool =
        json!({"toolSpec": {"name": "f", "description": "d".repeat(500), "inputSchema": {"json": {}}}});
    let mut with_tool = user(json!({"text": "hi"}));
    with_tool["toolConfig"] = json!({"tools": [tool]});
    assert!(bound(Api::BedrockConverse, with_tool).unwrap() > 500 + 2048);
    // A stored prompt: neither its text nor its maximum is in the request.
    assert_eq!(bound(Api::BedrockConverse, json!({"promptVariables": {"a": {"text": "x"}}})), None);
    let mut thinking = user(json!({"text": "hi"}));
    thinking["inferenceConfig"] = json!({"maxTokens": 1000});
    thinking["additionalModelRequestFields"] =
        json!({"thinking": {"type": "enabled", "budget_tokens": 5000}});
    assert_eq!(request(Api::BedrockConverse, thinking).max_output_tokens, Some(6000));
}

#[test]
fn invoke_bodies_are_told_by_their_shape() {
    let text = |tokens: u64| InputSize::Bound(tokens + FRAME_TOKENS);
    for (body, input, output, operation) in [
        // Anthropic, Nova, Titan, Llama, Mistral, OpenAI's open models, Cohere, AI21.
        (
            json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9,
                "messages": [{"role": "user", "content": "hello"}]}),
            text(5),
            Some(9),
            Operation::Chat,
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}],
                "inferenceConfig": {"max_new_tokens": 8}}),
            text(5),
            Some(8),
            Operation::Chat,
        ),
        (
            json!({"inputText": "hello", "textGenerationConfig": {"maxTokenCount": 7}}),
            text(5),
            Some(7),
            Operation::Chat,
        ),
        (json!({"prompt": "hello", "max_gen_len": 6}), text(5), Some(6), Operation::TextCompletion),
        (json!({"prompt": "hello", "max_tokens": 5}), text(5), Some(5), Operation::TextCompletion),
        (
            json!({"messages": [{"role": "user", "content": "hello"}], "max_completion_tokens": 4}),
            text(5),
            Some(4),
            Operation::Chat,
        ),
        (json!({"message": "hello", "max_tokens": 3}), text(5), Some(3), Operation::Chat),
        (json!({"inputText": "hello", "dimensions": 256}), text(5), Some(0), Operation::Embeddings),
        (json!({"texts": ["hello"], "input_type": "search_query"}), text(5), Some(0), Operation::Embeddings),
        (json!({"query": "q", "documents": ["a", "b"]}), InputSize::Bound(0), Some(0), Operation::Rerank),
        // Pictures, and whatever comes: no bound is in the body.
        (
            json!({"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "x"}}),
            InputSize::Context,
            None,
            Operation::TextCompletion,
        ),
    ] {
        let read = request(Api::BedrockInvoke, body.clone());
        assert_eq!(
            (read.input_tokens, read.max_output_tokens, read.operation),
            (input, output, operation),
            "{body}"
        );
    }
    let titan = json!({"inputText": "hello"});
    let read = read_at(Api::BedrockInvoke, "/model/amazon.titan-embed-text-v1/invoke", &titan).unwrap();
    assert_eq!(read.operation, Operation::Embeddings);
    let read = read_at(Api::BedrockInvoke, "/model/amazon.titan-text-express-v1/invoke", &titan).unwrap();
    assert_eq!((read.operation, read.max_output_tokens), (Operation::Chat, None));
}

#[test]
fn cohere() {
    let read = request(
        Api::CohereChat,
        json!({"model": "command-a-03-2025", "max_tokens": 50, "p": 0.7, "k": 4, "stream": true,
            "messages": [{"role": "user", "content": "hello"},
                {"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
    );
    assert!(matches!(read.input_tokens, InputSize::Bound(69..=120)), "{:?}", read.input_tokens);
    assert_eq!((read.max_output_tokens, read.stream), (Some(50), true));
    assert_eq!((read.params.top_p, read.params.top_k), (Some(0.7), Some(4)));
    let first = json!({"model": "command-r", "message": "hello", "chat_history": [{"role": "USER", "message": "x"}],
        "documents": [{"text": "d"}]});
    assert!(matches!(request(Api::CohereChat, first).input_tokens, InputSize::Bound(102..=200)));
    let remembered = json!({"message": "hello", "conversation_id": "c"});
    assert_eq!(bound(Api::CohereChat, remembered), None);

    let units = |query: &str, documents: Value| {
        let read = request(Api::CohereRerank, json!({"model": "m", "query": query, "documents": documents}));
        assert_eq!((read.operation, read.max_output_tokens), (Operation::Rerank, Some(0)));
        read.server_tools.get(Bucket::RerankSearch)
    };
    assert_eq!(units("q", json!(vec!["short"; 100])), 1);
    assert_eq!(units("q", json!(vec!["short"; 101])), 2);
    assert_eq!(units("q", json!([{"text": "x"}])), 1);
    assert_eq!(units("q", json!(vec!["x".repeat(1000); 40])), 2, "three pieces each");
    assert_eq!(units("q", json!([])), 1);
    assert_eq!(bound(Api::CohereEmbed, json!({"texts": ["one", "two"]})), Some(6 + 2 * FRAME_TOKENS));
    assert_eq!(bound(Api::CohereEmbed, json!({"images": ["data:"]})), None);
}

#[test]
fn an_agent_stands_for_its_model() {
    let body = json!({"agent_id": "ag:1", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5});
    let read = read_at(Api::OpenAiChat, "/v1/agents/completions", &body).unwrap();
    assert_eq!((read.model.as_deref(), read.max_output_tokens), (Some("ag:1"), Some(5)));
    let fim = json!({"model": "codestral-latest", "prompt": "def f(", "suffix": "return", "max_tokens": 10});
    let read = read_at(Api::OpenAiCompletions, "/v1/fim/completions", &fim).unwrap();
    assert_eq!((read.input_tokens, read.max_output_tokens), (InputSize::Bound(12 + FRAME_TOKENS), Some(10)));
}
