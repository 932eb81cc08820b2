//! Where a span hangs in its trace.

/// A span's place in its trace, decided on the caller. All zero (see [`SpanIds::NONE`]) where no spans are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIds {
    /// The trace.
    pub trace_id: u128,
    /// This span.
    pub span_id: u64,
    /// The span around it; 0 for a root.
    pub parent_span_id: u64,
    /// The parent lives in another process.
    pub parent_is_remote: bool,
    /// The sampler's answer: only a sampled span is exported; metrics count every record.
    pub sampled: bool,
}

impl SpanIds {
    /// No span: telemetry or tracing is off.
    pub const NONE: Self =
        Self { trace_id: 0, span_id: 0, parent_span_id: 0, parent_is_remote: false, sampled: false };

    /// A span that others can have as their parent.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.trace_id != 0 && self.span_id != 0
    }

    /// This span as the parent of another one in the same process.
    #[must_use]
    pub const fn as_parent(&self) -> Option<ParentSpan> {
        if !self.is_some() {
            return None;
        }
        Some(ParentSpan {
            trace_id: self.trace_id,
            span_id: self.span_id,
            sampled: self.sampled,
            is_remote: false,
        })
    }
}

/// The span that a new one is made under: the host's current span, a run's, or one from a `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParentSpan {
    /// The trace; zero is not a parent.
    pub trace_id: u128,
    /// The span; zero is not a parent.
    pub span_id: u64,
    /// The `sampled` flag of its trace flags.
    pub sampled: bool,
    /// It lives in another process.
    pub is_remote: bool,
}
