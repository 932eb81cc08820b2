//! Money as integers: exact cost at 10⁻¹⁸ USD, posted money at 10⁻⁹ USD.

use super::decimal::{Decimal, write_scaled};
use crate::codes::Code;
use crate::error::{Error, Result};
use std::fmt;

/// Most that a limit may be: 2⁶⁰ of its unit ($1.15 billion).
pub const LIMIT_MAX: i64 = 1 << 60;
/// Most that one operation may carry: 2⁵² of its unit ($4.5 million). A larger settle posts this and is flagged.
pub const OPERATION_MAX: i64 = 1 << 52;

const ATTO_PER_NANO: i128 = 1_000_000_000;

/// Exact cost: a whole number of 10⁻¹⁸ USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttoUsd(pub i128);

impl AttoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum, if it fits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Rounded up to nano-USD, once, for the ledger. Saturates at `i64::MAX`.
    #[must_use]
    pub fn posted(self) -> NanoUsd {
        // Up to 18 USD, and several times faster than 128 bits.
        if let Ok(atto) = u64::try_from(self.0) {
            return NanoUsd(i64::try_from(atto.div_ceil(1_000_000_000)).unwrap_or(i64::MAX));
        }
        let down = self.0.div_euclid(ATTO_PER_NANO);
        let up = if self.0.rem_euclid(ATTO_PER_NANO) == 0 { down } else { down.saturating_add(1) };
        NanoUsd(i64::try_from(up).unwrap_or(i64::MAX))
    }

    /// From decimal text in USD (`"0.0232856"`), exact to 18 decimals.
    ///
    /// # Errors
    /// `amount_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let value = Decimal::parse(text)?.at_scale(18);
        value.map(Self).ok_or_else(|| Error::new(Code::AmountInvalid, format!("{text:?} is too large")))
    }
}

impl From<NanoUsd> for AttoUsd {
    fn from(nano: NanoUsd) -> Self {
        Self(i128::from(nano.0).saturating_mul(ATTO_PER_NANO))
    }
}

impl fmt::Display for AttoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, 18)
    }
}

/// Posted money: a whole number of 10⁻⁹ USD, the ledger's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(pub i64);

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, i128::from(self.0), 9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posting_rounds_up_once() {
        assert_eq!(AttoUsd(1).posted(), NanoUsd(1));
        assert_eq!(AttoUsd(1_000_000_000).posted(), NanoUsd(1));
        assert_eq!(AttoUsd(1_000_000_001).posted(), NanoUsd(2));
        assert_eq!(AttoUsd::ZERO.posted(), NanoUsd(0));
    }

    #[test]
    fn ten_million_small_charges_do_not_drift() {
        let one = AttoUsd::parse("0.0001419").unwrap();
        let total = (0..10_000_000).fold(AttoUsd::ZERO, |sum, _| sum.checked_add(one).unwrap());
        assert_eq!(total.to_string(), "1419");
    }
}
