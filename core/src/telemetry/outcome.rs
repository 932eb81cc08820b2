//! How a call ended, and what was remarkable about it.

use crate::codes::Code;
use crate::values::scope::Label;

/// Why a call was refused, or would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub code: Code,
    /// The first failing budget, where a budget refused.
    pub budget: Option<Label>,
}

/// How a call, run or tool call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered and paid for.
    #[default]
    Settled,
    /// Nothing was billed; the hold was given back.
    Released,
    /// Its owner is gone: the hold expired or the handle was lost.
    Abandoned,
    /// It was refused before anything was sent.
    Denied(Box<Refusal>),
    /// It was sent and failed. The value of `error.type`: the provider's error code or the exception's name, of low
    /// cardinality and without content. (Boxed: failures are rare and records are many.)
    Failed(Box<Label>),
}

impl Outcome {
    /// A failure with its `error.type`.
    #[must_use]
    pub fn failed(error_type: impl Into<Label>) -> Self {
        Self::Failed(Box::new(error_type.into()))
    }
}

/// What is remarkable about a call, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

macro_rules! flags {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $bit:literal;)+) => {
        impl Flags {
            $($(#[doc = $doc])+ pub const $name: Self = Self(1 << $bit);)+

            /// The names of the bits that are set, as the receipt shows them.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                [$(($text, Self::$name)),+].into_iter().filter(move |(_, bit)| self.has(*bit)).map(|(name, _)| name)
            }
        }
    };
}

flags! {
    /// Settled at the floor: no final usage.
    ESTIMATED = "estimated", 0;
    /// Billed beyond the hold.
    OVER_RUN = "over_run", 1;
    /// Settled after its hold had expired.
    LATE = "late", 2;
    /// Something used had no rate.
    UNPRICED = "unpriced", 3;
    /// The model that served is in no catalog.
    UNKNOWN_MODEL = "unknown_model", 4;
    /// The amount was larger than one operation may carry.
    CAPPED = "capped", 5;
    /// The hold was not known to the ledger.
    ORPHAN = "orphan", 6;
    /// A complete reply without usage.
    NO_USAGE = "no_usage", 7;
    /// The cost is the figure that the provider invoices.
    REPORTED = "reported", 8;
    /// Something that no catalog lists was priced by `on_unknown_model`.
    FALLBACK_PRICE = "fallback_price", 9;
}

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These but not those.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// All bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// No bit is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_name_themselves() {
        let flags = Flags::LATE.with(Flags::OVER_RUN);
        assert_eq!(flags.names().collect::<Vec<_>>(), ["over_run", "late"]);
        assert!(Flags::NONE.is_empty() && !flags.has(Flags::LATE.with(Flags::CAPPED)));
    }
}
