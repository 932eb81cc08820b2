//! Spans, attribute by attribute, as a receiver sees them.

use super::fixtures::*;
use super::receiver::{Manner, Receiver};
use crate::codes::Code;
use crate::telemetry::*;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use std::sync::Arc;

/// A streamed call with everything that a provider can say.
fn full(span: SpanIds) -> InferenceRecord {
    let labels =
        [("tenant", "acme"), ("user", "u-1"), ("agent", "researcher"), ("run", "r-1"), ("session", "s-1")];
    let mut stream = StreamTimes::default();
    stream.chunk(None, at(250));
    stream.chunk(Some(at(250)), at(265));
    let details = Details {
        stream: Some(Box::new(stream)),
        response_model: Some("gpt-4o-2024-08-06".into()),
        response_id: Some("chatcmpl-1".into()),
        params: Some(Box::new(RequestParams {
            max_tokens: Some(500),
            temperature: Some(0.2),
            top_p: Some(f64::NAN),
            seed: Some(-7),
            choices: Some(1),
            stop_sequences: vec!["END".into()],
            openai_api: Some("chat_completions"),
            openai_request_tier: Some("auto".into()),
            openai_response_tier: Some("default".into()),
            ..RequestParams::default()
        })),
        server: Some(Arc::new(Server { address: "api.openai.com".into(), port: 443 })),
        ..answered()
    };
    InferenceRecord {
        details: details.boxed(),
        subject: Arc::new(Subject {
            scope: scope(&[labels.as_slice(), &[("feature", "search"), ("tag.team", "red")]].concat()),
            provider: "openai".into(),
            request_model: Some("gpt-4o".into()),
            price_version: Some("0123456789ab".into()),
        }),
        usage: Some(TokenUsage {
            input: 2006,
            cache_read: 1920,
            output: 300,
            reasoning: 100,
            modalities: Some(Box::new(ModalityTokens { input_audio: 6, ..ModalityTokens::default() })),
            ..TokenUsage::default()
        }),
        cost: Some(crate::values::NanoUsd(6_000_001)),
        flags: Flags::OVER_RUN,
        ..call(span)
    }
}

const FULL: [&str; 34] = [
    "gen_ai.conversation.id=s-1",
    "gen_ai.operation.name=chat",
    "gen_ai.provider.name=openai",
    "gen_ai.request.max_tokens=500",
    "gen_ai.request.model=gpt-4o",
    "gen_ai.request.seed=-7",
    "gen_ai.request.stop_sequences=[END]",
    "gen_ai.request.stream=true",
    "gen_ai.request.temperature=0.2",
    "gen_ai.response.finish_reasons=[stop]",
    "gen_ai.response.id=chatcmpl-1",
    "gen_ai.response.model=gpt-4o-2024-08-06",
    "gen_ai.response.time_to_first_chunk=0.25",
    "gen_ai.usage.audio.input_tokens=6",
    "gen_ai.usage.cache_read.input_tokens=1920",
    "gen_ai.usage.input_tokens=2006",
    "gen_ai.usage.output_tokens=300",
    "gen_ai.usage.reasoning.output_tokens=100",
    "openai.api.type=chat_completions",
    "openai.response.service_tier=default",
    "server.address=api.openai.com",
    "server.port=443",
    "spendrail.agent=researcher",
    "spendrail.cost.nano_usd=6000001",
    "spendrail.cost.usd=0.006000001",
    "spendrail.decision=allowed",
    "spendrail.feature=search",
    "spendrail.flags=[over_run]",
    "spendrail.outcome=settled",
    "spendrail.price.version=0123456789ab",
    "spendrail.run.id=r-1",
    "spendrail.tag.team=red",
    "spendrail.tenant=acme",
    "user.id=u-1",
];

#[test]
fn an_inference_span_has_exactly_these_attributes() {
    for receiver in [Receiver::http(&[Manner::Accept]), Receiver::grpc(&[Manner::Accept])] {
        let rig = Rig::to(&receiver, &[("OTEL_SERVICE_NAME", "shop")]);
        let host = ParentSpan { trace_id: 0xabc, span_id: 0xdef, sampled: true, is_remote: false };
        let ids = rig.recorder.start_span(Some(&host), &rig.ids);
        rig.recorder.push(Record::Inference(full(ids)));
        assert!(rig.worker.flush(5 * SECOND).complete);

        let request = receiver.received.lock().traces[0].clone();
        let resource = shown(&request.resource_spans[0].resource.as_ref().unwrap().attributes);
        assert!(resource.contains(&"service.name=shop".to_owned()), "{resource:?}");
        assert!(resource.iter().any(|attribute| attribute.starts_with("service.instance.id=")));
        let scope = &request.resource_spans[0].scope_spans[0];
        let name = scope.scope.as_ref().unwrap();
        assert_eq!((name.name.as_str(), name.version.as_str()), ("spendrail", env!("CARGO_PKG_VERSION")));
        assert_eq!(scope.schema_url, "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev");

        let span = &scope.spans[0];
        assert_eq!((span.name.as_str(), span.kind()), ("chat gpt-4o", SpanKind::Client));
        assert_eq!(span.trace_id, 0xabc_u128.to_be_bytes());
        assert_eq!(span.parent_span_id, 0xdef_u64.to_be_bytes());
        assert_eq!(span.span_id, ids.span_id.to_be_bytes());
        assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 1_500_000_000);
        assert_eq!(span.status.as_ref().map_or(0, |status| status.code), 0);
        assert_eq!(shown(&span.attributes), FULL);
    }
}

#[test]
fn a_denied_call_a_cut_stream_and_embeddings() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let rig = Rig::to(&receiver, &[]);
    let span = || rig.recorder.start_span(None, &rig.ids);
    let refusal = Refusal { code: Code::BudgetExceeded, budget: Some("tenant-day".into()) };
    let denied = InferenceRecord {
        outcome: Outcome::Denied(Box::new(refusal.clone())),
        details: Details { stream: Some(Box::default()), ..Details::default() }.boxed(),
        usage: None,
        cost: None,
        ..call(span())
    };
    let cut = InferenceRecord {
        outcome: Outcome::failed("httpx.ReadTimeout"),
        details: Details {
            stream: Some(Box::default()),
            finish_reasons: Default::default(),
            would_deny: Some(Box::new(refusal)),
            ..answered()
        }
        .boxed(),
        usage: None,
        ..call(span())
    };
    let params = RequestParams { dimensions: Some(256), temperature: Some(1.0), ..RequestParams::default() };
    let embeddings = InferenceRecord {
        operation: Operation::Embeddings,
        details: Details { params: Some(Box::new(params)), response_id: Some("never".into()), ..answered() }
            .boxed(),
        ..call(span())
    };
    for record in [denied, cut, embeddings] {
        rig.recorder.push(Record::Inference(record));
    }
    assert!(rig.worker.flush(5 * SECOND).complete);

    let spans = receiver.spans();
    let shared =
        ["gen_ai.provider.name=anthropic", "gen_ai.request.model=claude-sonnet-4-6", "spendrail.tenant=acme"];
    let rest = |index: usize| {
        let all = shown(&spans[index].attributes);
        all.into_iter().filter(|text| !shared.contains(&text.as_str())).collect::<Vec<_>>()
    };
    let status = |index: usize| spans[index].status.clone().unwrap_or_default();
    assert_eq!((status(0).code(), status(0).message.as_str()), (StatusCode::Error, ""));
    assert_eq!(
        rest(0),
        [
            "error.type=budget_exceeded",
            "gen_ai.operation.name=chat",
            "gen_ai.request.stream=true",
            "spendrail.budget=tenant-day",
            "spendrail.decision=denied",
            "spendrail.denial.code=budget_exceeded",
            "spendrail.outcome=denied",
        ]
    );
    assert_eq!(status(1).code(), StatusCode::Error);
    assert_eq!(
        rest(1),
        [
            "error.type=httpx.ReadTimeout",
            "gen_ai.operation.name=chat",
            "gen_ai.request.stream=true",
            "gen_ai.response.finish_reasons=[error]",
            "gen_ai.response.model=claude-sonnet-4-6",
            "spendrail.budget=tenant-day",
            "spendrail.cost.nano_usd=110",
            "spendrail.cost.usd=1.1e-7",
            "spendrail.decision=would_deny",
            "spendrail.denial.code=budget_exceeded",
            "spendrail.outcome=failed",
        ]
    );
    assert_eq!(
        (spans[2].name.as_str(), status(2).code()),
        ("embeddings claude-sonnet-4-6", StatusCode::Unset)
    );
    assert_eq!(
        rest(2),
        [
            "gen_ai.embeddings.dimension.count=256",
            "gen_ai.operation.name=embeddings",
            "gen_ai.response.model=claude-sonnet-4-6",
            "gen_ai.usage.input_tokens=100",
            "spendrail.cost.nano_usd=110",
            "spendrail.cost.usd=1.1e-7",
            "spendrail.decision=allowed",
            "spendrail.outcome=settled",
        ]
    );
}

#[test]
fn a_run_is_the_parent_of_its_calls_and_tools_and_has_no_cost() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let rig = Rig::to(&receiver, &[]);
    let header = ParentSpan { trace_id: 5, span_id: 6, sampled: true, is_remote: true };
    let run = rig.recorder.start_span(Some(&header), &rig.ids);
    let child = || rig.recorder.start_span(run.as_parent().as_ref(), &rig.ids);
    let labels = scope(&[("agent", "researcher"), ("run", "r-1")]);
    let tool = ToolRecord {
        span: child(),
        started: at(10),
        ended: at(20),
        scope: labels.clone(),
        tool: "search".into(),
        call_id: Some("toolu_1".into()),
        tool_type: Some("function"),
        cost: Some(crate::values::NanoUsd(10_000_000)),
        flags: Flags::NONE,
        would_deny: None,
        outcome: Outcome::Settled,
    };
    rig.recorder.push(Record::Tool(Box::new(tool)));
    let agent = AgentRecord {
        span: run,
        started: at(0),
        ended: at(30),
        scope: labels,
        inference_calls: 3,
        tool_calls: 1,
        input_tokens: 300,
        output_tokens: 30,
        would_deny: None,
        outcome: Outcome::Abandoned,
    };
    rig.recorder.push(Record::Agent(Box::new(agent)));
    assert!(rig.worker.flush(5 * SECOND).complete);

    let spans = receiver.spans();
    let [tool, agent] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((tool.name.as_str(), tool.kind()), ("execute_tool search", SpanKind::Internal));
    assert_eq!((&tool.parent_span_id, &tool.trace_id), (&agent.span_id, &agent.trace_id));
    assert_eq!(
        shown(&tool.attributes),
        [
            "gen_ai.agent.name=researcher",
            "gen_ai.operation.name=execute_tool",
            "gen_ai.tool.call.id=toolu_1",
            "gen_ai.tool.name=search",
            "gen_ai.tool.type=function",
            "spendrail.agent=researcher",
            "spendrail.decision=allowed",
            "spendrail.outcome=settled",
            "spendrail.run.id=r-1",
        ]
    );
    assert_eq!((agent.name.as_str(), agent.kind()), ("invoke_agent researcher", SpanKind::Internal));
    // Flag bits 8 and 9: whether the parent is remote is known, and it is.
    assert_eq!((agent.parent_span_id.as_slice(), agent.flags & 0x300), (&6_u64.to_be_bytes()[..], 0x300));
    assert_eq!(
        shown(&agent.attributes),
        [
            "error.type=abandoned",
            "gen_ai.agent.name=researcher",
            "gen_ai.operation.name=invoke_agent",
            "gen_ai.usage.input_tokens=300",
            "gen_ai.usage.output_tokens=30",
            "spendrail.agent=researcher",
            "spendrail.decision=allowed",
            "spendrail.outcome=abandoned",
            "spendrail.run.id=r-1",
        ]
    );
}

#[test]
fn an_unsampled_trace_has_no_spans_but_counts() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let rig = Rig::to(&receiver, &[]);
    let parent = ParentSpan { trace_id: 1, span_id: 2, sampled: false, is_remote: false };
    let ids = rig.recorder.start_span(Some(&parent), &rig.ids);
    assert!(ids.is_some() && !ids.sampled);
    rig.recorder.push(Record::Inference(call(ids)));
    assert!(rig.worker.flush(5 * SECOND).complete);
    assert!(receiver.spans().is_empty());
    assert_eq!(super::metrics::sum(&receiver, "spendrail.decisions"), 1.0);
}
