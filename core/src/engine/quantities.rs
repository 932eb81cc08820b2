//! What a call takes, in every unit at once.

use crate::values::{NanoUsd, Unit, Usage};

/// One amount per unit: each account picks the one of its budget's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quantities {
    /// Nano-USD.
    pub usd: i64,
    /// Input tokens, cached ones included.
    pub input_tokens: i64,
    /// Output tokens, reasoning included.
    pub output_tokens: i64,
    /// Model calls.
    pub requests: i64,
    /// Client-side tool calls.
    pub tool_calls: i64,
    /// Calls in flight.
    pub concurrent: i64,
}

impl Quantities {
    /// Of a model call that was answered: its posted cost and its tokens.
    #[must_use]
    pub fn answered(cost: NanoUsd, usage: &Usage) -> Self {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Self {
            usd: cost.0,
            input_tokens: count(usage.total_input()),
            output_tokens: count(usage.total_output()),
            requests: 1,
            tool_calls: 0,
            concurrent: 0,
        }
    }

    /// The amount in a budget's unit.
    #[must_use]
    pub const fn of(&self, unit: Unit) -> i64 {
        match unit {
            Unit::Usd => self.usd,
            Unit::Tokens => self.input_tokens.saturating_add(self.output_tokens),
            Unit::InputTokens => self.input_tokens,
            Unit::OutputTokens => self.output_tokens,
            Unit::Requests => self.requests,
            Unit::ToolCalls => self.tool_calls,
            Unit::Concurrent => self.concurrent,
        }
    }
}
