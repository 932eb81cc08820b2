//! An amount with its unit, as people write it: `"0.50 USD"`, `"2_000_000 tokens"`, `"50 requests"`.

use super::decimal::{Decimal, write_scaled};
use super::money::LIMIT_MAX;
use crate::codes::Code;
use crate::error::{Error, Result};
use std::fmt;

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Money; the ledger counts nano-USD.
    Usd,
    /// Total input and all output tokens.
    Tokens,
    /// Input tokens, cache reads and writes included.
    InputTokens,
    /// Output tokens, reasoning included.
    OutputTokens,
    /// Model calls.
    Requests,
    /// Client-side tool calls.
    ToolCalls,
    /// Calls in flight.
    Concurrent,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Unit; 7] = [
        Unit::Usd,
        Unit::Tokens,
        Unit::InputTokens,
        Unit::OutputTokens,
        Unit::Requests,
        Unit::ToolCalls,
        Unit::Concurrent,
    ];

    /// As written in configuration and shown in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Unit::Usd => "USD",
            Unit::Tokens => "tokens",
            Unit::InputTokens => "input tokens",
            Unit::OutputTokens => "output tokens",
            Unit::Requests => "requests",
            Unit::ToolCalls => "tool calls",
            Unit::Concurrent => "concurrent",
        }
    }

    /// Reads a unit; singular forms are accepted.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["USD"] => Unit::Usd,
            ["tokens" | "token"] => Unit::Tokens,
            ["input", "tokens" | "token"] => Unit::InputTokens,
            ["output", "tokens" | "token"] => Unit::OutputTokens,
            ["requests" | "request"] => Unit::Requests,
            ["tool", "calls" | "call"] => Unit::ToolCalls,
            ["concurrent"] => Unit::Concurrent,
            _ => return None,
        })
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A count of one unit: nano-USD for [`Unit::Usd`], whole things for the others. May be negative (a balance).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Amount {
    /// The unit.
    pub unit: Unit,
    /// How many; nano-USD for money.
    pub value: i64,
}

impl Amount {
    /// An amount.
    #[must_use]
    pub const fn new(unit: Unit, value: i64) -> Self {
        Self { unit, value }
    }

    /// Reads a number and a unit. Not negative, at most 2⁶⁰, money to 9 decimals, everything else whole.
    /// Underscores may group the digits.
    ///
    /// # Errors
    /// `amount_invalid`, `amount_too_large`.
    pub fn parse(text: &str) -> Result<Self> {
        let shown = || text.chars().take(60).collect::<String>();
        let bad = |why: &str| {
            Error::new(Code::AmountInvalid, format!("{:?} {why}", shown()))
                .hint("write a number and a unit, for example \"0.50 USD\", \"2_000_000 tokens\" or \"50 requests\"")
        };
        if text.len() > 200 {
            return Err(bad("is too long for an amount"));
        }
        let trimmed = text.trim();
        let (number, unit) = trimmed.split_once(char::is_whitespace).ok_or_else(|| bad("has no unit"))?;
        let unit = Unit::parse(unit).ok_or_else(|| bad("has an unknown unit"))?;
        let number = Decimal::parse(&number.replace('_', "")).map_err(|_| bad("is not an amount"))?;
        if number.is_negative() {
            return Err(bad("is negative"));
        }
        let scale = if unit == Unit::Usd { 9 } else { 0 };
        let value = number.at_scale(scale).ok_or_else(|| {
            bad(if unit == Unit::Usd { "has more than 9 decimals" } else { "is not a whole number" })
        })?;
        match i64::try_from(value) {
            Ok(value) if value <= LIMIT_MAX => Ok(Self { unit, value }),
            _ => Err(Error::new(Code::AmountTooLarge, format!("{:?} is above the maximum of 2^60", shown()))
                .hint("for no limit, leave the budget out or use `enforce = \"observe\"`")),
        }
    }

    /// Reads an amount that must be money.
    ///
    /// # Errors
    /// `amount_invalid`, `amount_too_large`.
    pub fn parse_usd(text: &str) -> Result<i64> {
        let amount = Self::parse(text)?;
        if amount.unit == Unit::Usd {
            return Ok(amount.value);
        }
        Err(Error::new(Code::AmountInvalid, format!("{text:?} is not money"))
            .hint("write for example \"0.50 USD\""))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Usd => {
                write_scaled(f, i128::from(self.value), 9)?;
                f.write_str(" USD")
            }
            unit => write!(f, "{} {unit}", self.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!(Amount::parse("0.50 USD").unwrap(), Amount::new(Unit::Usd, 500_000_000));
        assert_eq!(Amount::parse("2_000_000 tokens").unwrap(), Amount::new(Unit::Tokens, 2_000_000));
        assert_eq!(Amount::parse("5 tool calls").unwrap(), Amount::new(Unit::ToolCalls, 5));
        assert_eq!(Amount::parse("0 USD").unwrap().value, 0);
        assert_eq!(Amount::parse("0.50 USD").unwrap().to_string(), "0.5 USD");
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, code) in [
            ("50", Code::AmountInvalid),
            ("50 EUR", Code::AmountInvalid),
            ("-1 USD", Code::AmountInvalid),
            ("NaN USD", Code::AmountInvalid),
            ("1.5 requests", Code::AmountInvalid),
            ("0.0000000001 USD", Code::AmountInvalid),
            ("1e9 USD", Code::AmountInvalid),
            ("2000000000 USD", Code::AmountTooLarge),
        ] {
            assert_eq!(Amount::parse(text).unwrap_err().code(), code, "{text}");
        }
        assert!(Amount::parse(&"x".repeat(10_000_000)).unwrap_err().message().len() < 200);
    }
}
