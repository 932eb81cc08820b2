//! A run in another process: its limits, labels and span travel in a header, and what is called there counts on the
//! same accounts, as far as the ledger reaches.

use super::parcel::Kind;
use super::run::{Run, RunState};
use super::token::scope_pairs;
use super::{Guard, admit};
use crate::codes::Code;
use crate::engine::RunFrame;
use crate::error::{Error, Result};
use crate::policy::{Enforce, LEGS_PER_CALL_MAX, RunLimits};
use crate::telemetry::SpanIds;
use crate::values::{Dimension, Duration, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The header that carries a run.
pub const RUN_HEADER: &str = "spendrail-run";
/// The header of W3C Trace Context that carries its span.
pub const TRACE_HEADER: &str = "traceparent";

const RUN: Kind =
    Kind { prefix: "srr1.", noun: "run", source: "`run.headers()` or `run.token()`", bytes_max: 32 << 10 };

/// What travels.
#[derive(Debug, Serialize, Deserialize)]
struct Carried {
    /// The innermost run first.
    frames: Vec<Frame>,
    scope: Vec<(String, String)>,
    /// Trace, span and the sampler's answer; absent without telemetry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    span: Option<(String, String, bool)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Frame {
    id: String,
    started: i64,
    /// 0 hard, 1 soft, 2 observe.
    enforce: u8,
    #[serde(flatten)]
    limits: Limits,
}

/// [`RunLimits`], absent where there is none.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats: Option<u32>,
}

impl Run {
    /// The run as text, for [`crate::guard::Guard::resume_run`] in another process.
    ///
    /// # Errors
    /// None for a run that was started; `internal` if it cannot be written.
    pub fn token(&self) -> Result<String> {
        let run = &*self.state;
        let SpanIds { trace_id, span_id, sampled, .. } = run.span;
        RUN.pack(&Carried {
            frames: run.frames.iter().map(Frame::of).collect(),
            scope: scope_pairs(&run.scope),
            span: (span_id != 0).then(|| (format!("{trace_id:032x}"), format!("{span_id:016x}"), sampled)),
        })
    }

    /// The headers with which a request carries the run to a service that works for it: [`RUN_HEADER`], and
    /// `traceparent` (W3C Trace Context) where spans are made.
    ///
    /// # Errors
    /// As [`Run::token`].
    pub fn headers(&self) -> Result<Vec<(&'static str, String)>> {
        let SpanIds { trace_id, span_id, sampled, .. } = self.state.span;
        let mut headers = vec![(RUN_HEADER, self.token()?)];
        if span_id != 0 {
            let flags = u8::from(sampled);
            headers.push((TRACE_HEADER, format!("00-{trace_id:032x}-{span_id:016x}-{flags:02x}")));
        }
        Ok(headers)
    }
}

/// Goes on with a run that another process, or another part of this one, has started.
pub(super) fn resume(guard: &Guard, token: &str) -> Result<Run> {
    let state = guard.state()?;
    admit::open(state)?;
    state.start();
    let carried: Carried = RUN.unpack(token)?;
    let mut scope = Scope::default();
    for (dimension, value) in &carried.scope {
        let dimension = Dimension::parse(dimension).ok_or_else(|| RUN.damaged("bad label"))?;
        scope.set(&dimension, Some(value))?;
    }
    let frames = carried.frames.iter().map(Frame::read).collect::<Result<Vec<RunFrame>>>()?;
    let Some(own) = frames.first() else { return Err(RUN.damaged("it names no run")) };
    let twice = |(at, frame): (usize, &RunFrame)| {
        frames.iter().skip(at.saturating_add(1)).any(|other| other.id == frame.id)
    };
    let doubled = frames.iter().enumerate().any(twice);
    if doubled || frames.len().saturating_mul(4) > LEGS_PER_CALL_MAX || scope.run.as_ref() != Some(&own.id) {
        return Err(RUN.damaged("its runs do not fit together"));
    }
    let span = carried.span.map(span_of).transpose()?.unwrap_or(SpanIds::NONE);
    Ok(Run { state: Arc::new(RunState::resumed(guard, Arc::new(scope), frames, span)?) })
}

fn span_of((trace, span, sampled): (String, String, bool)) -> Result<SpanIds> {
    let bad = |_| RUN.damaged("bad span");
    Ok(SpanIds {
        trace_id: u128::from_str_radix(&trace, 16).map_err(bad)?,
        span_id: u64::from_str_radix(&span, 16).map_err(bad)?,
        parent_span_id: 0,
        parent_is_remote: true,
        sampled,
    })
}

/// The run among the headers of a request; their names in any case.
///
/// # Errors
/// `token_invalid` if none of them carries a run.
pub fn run_header<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Result<&'h str> {
    let mut found = headers.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case(RUN_HEADER));
    found.next().map(|(_, value)| value.trim()).ok_or_else(|| {
        Error::new(Code::TokenInvalid, format!("there is no header `{RUN_HEADER}`"))
            .field("headers")
            .hint("pass the headers of `run.headers()` on with the request")
    })
}

impl Frame {
    fn of(frame: &RunFrame) -> Self {
        let RunLimits { max_calls, max_tool_calls, max_tokens, max_cost, .. } = frame.limits;
        let RunLimits { max_depth, max_duration, max_repeats, .. } = frame.limits;
        let count = |limit: Option<i64>| limit.and_then(|limit| u64::try_from(limit).ok());
        Self {
            id: frame.id.to_string(),
            started: frame.started.nanos(),
            enforce: match frame.enforce {
                Enforce::Hard => 0,
                Enforce::Soft => 1,
                Enforce::Observe => 2,
            },
            limits: Limits {
                calls: count(max_calls),
                tool_calls: count(max_tool_calls),
                tokens: count(max_tokens),
                cost: count(max_cost),
                depth: max_depth,
                duration_ms: count(max_duration.map(Duration::millis)),
                repeats: max_repeats,
            },
        }
    }

    fn read(&self) -> Result<RunFrame> {
        let count = |limit: Option<u64>| {
            limit.map(|limit| i64::try_from(limit).map_err(|_| RUN.damaged("bad limit"))).transpose()
        };
        Ok(RunFrame {
            id: crate::values::scope::label(&self.id, &Dimension::Run)?,
            started: Timestamp::from_nanos(self.started),
            enforce: match self.enforce {
                0 => Enforce::Hard,
                1 => Enforce::Soft,
                2 => Enforce::Observe,
                _ => return Err(RUN.damaged("bad enforcement")),
            },
            limits: RunLimits {
                max_calls: count(self.limits.calls)?,
                max_tool_calls: count(self.limits.tool_calls)?,
                max_tokens: count(self.limits.tokens)?,
                max_cost: count(self.limits.cost)?,
                max_depth: self.limits.depth,
                max_duration: count(self.limits.duration_ms)?.map(Duration::from_millis),
                max_repeats: self.limits.repeats,
            },
        })
    }
}
