//! An exact decimal number, read from text.

use crate::codes::Code;
use crate::error::{Error, Result};
use std::fmt;

/// `digits × 10^-scale`, without trailing zeros after the point. At most 30 digits and 18 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// Most decimals that are kept exactly.
    pub const SCALE_MAX: u32 = 18;
    const DIGITS_MAX: usize = 30;

    /// Reads `[-]digits[.digits]`. No exponent, no thousands separators, no float.
    ///
    /// # Errors
    /// `amount_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            Error::new(Code::AmountInvalid, format!("{shown:?} is not a decimal number"))
                .hint("write digits and one point, for example \"0.50\"")
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (negative, body) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || !plain(whole)
            || !plain(fraction)
            || (fraction.is_empty() && body.contains('.'))
        {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let scale = u32::try_from(fraction.len()).ok().filter(|s| *s <= Self::SCALE_MAX)?;
        if whole.len().checked_add(fraction.len())? > Self::DIGITS_MAX {
            return None;
        }
        let mut digits: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            digits = digits.checked_mul(10)?.checked_add(i128::from(byte.checked_sub(b'0')?))?;
        }
        Some(Self { digits: if negative { digits.checked_neg()? } else { digits }, scale })
    }

    /// The number × 10^`scale`, if that is whole and fits.
    #[must_use]
    pub fn at_scale(self, scale: u32) -> Option<i128> {
        let factor = 10i128.checked_pow(scale.checked_sub(self.scale)?)?;
        self.digits.checked_mul(factor)
    }

    /// Numerator and denominator, in lowest terms (the denominator is positive).
    #[must_use]
    pub fn ratio(self) -> Option<(i128, i128)> {
        let denominator = 10i128.checked_pow(self.scale)?;
        let common = gcd(self.digits.checked_abs()?, denominator);
        Some((self.digits.checked_div(common)?, denominator.checked_div(common)?))
    }

    /// Below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.digits < 0
    }
}

/// Greatest common divisor of two non-negative numbers; 1 if both are zero.
pub(crate) fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a.checked_rem(b).unwrap_or(0));
    }
    if a == 0 { 1 } else { a }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.digits, self.scale)
    }
}

/// Writes `digits × 10^-scale` in full, without trailing zeros.
pub(crate) fn write_scaled(f: &mut fmt::Formatter<'_>, digits: i128, scale: u32) -> fmt::Result {
    let factor = 10u128.checked_pow(scale).unwrap_or(1);
    let size = digits.unsigned_abs();
    let sign = if digits < 0 { "-" } else { "" };
    let (whole, rest) = (size.checked_div(factor).unwrap_or(0), size.checked_rem(factor).unwrap_or(0));
    if rest == 0 {
        return write!(f, "{sign}{whole}");
    }
    let width = usize::try_from(scale).unwrap_or(0);
    let fraction = format!("{rest:0width$}");
    write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows_exactly() {
        for text in ["0", "0.5", "12.000000000001", "-3.25", "100"] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Decimal::parse("1.50").unwrap(), Decimal::parse("1.5").unwrap());
        assert_eq!(Decimal::parse("1.1").unwrap().ratio(), Some((11, 10)));
        assert_eq!(Decimal::parse("0.50").unwrap().at_scale(9), Some(500_000_000));
        assert_eq!(Decimal::parse("0.0000000001").unwrap().at_scale(9), None);
    }

    #[test]
    fn refuses_what_is_not_a_decimal() {
        for text in
            ["", "-", ".5", "5.", "1e3", "1,000", "NaN", "inf", " 1", "+1", "0x1", "1.1234567890123456789"]
        {
            assert_eq!(Decimal::parse(text).unwrap_err().code(), Code::AmountInvalid, "{text}");
        }
        assert!(Decimal::parse(&"9".repeat(10_000_000)).is_err());
    }
}
