//! JSON numbers, read exactly: no float arithmetic, nothing clamped.

use crate::values::AttoUsd;
use crate::values::usage::QUANTITY_MAX;
use serde_json::{Number, Value};

/// A token count or a counter as a provider wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Not there, or `null`.
    Absent,
    /// A whole number within the limits of one call.
    Whole(u64),
    /// Something that is not a count: negative, fractional, too large, text.
    Damaged,
}

/// Reads a count. `1500.0` and `1.5e3` are whole; `"1500"` is text, not a number.
pub(super) fn count(value: Option<&Value>) -> Count {
    match value {
        None | Some(Value::Null) => Count::Absent,
        Some(Value::Number(number)) => match whole(number) {
            Some(count) if count <= QUANTITY_MAX => Count::Whole(count),
            _ => Count::Damaged,
        },
        Some(_) => Count::Damaged,
    }
}

/// The number as a whole number, if it is one and not negative.
fn whole(number: &Number) -> Option<u64> {
    if let Some(count) = number.as_u64() {
        return Some(count);
    }
    let exact = Exact::read(&number.to_string())?;
    match exact.at_scale(0)? {
        (count, true) => u64::try_from(count).ok(),
        _ => None,
    }
}

/// A number × 10^`scale` as a whole number, rounded up: seconds as milliseconds are `scaled(seconds, 3)`.
pub(super) fn scaled(value: Option<&Value>, scale: i32) -> Count {
    let scaled = |exact: Exact| {
        let (count, exact) = exact.at_scale(scale)?;
        let up = if exact { count } else { count.checked_add(1)? };
        u64::try_from(up).ok().filter(|count| *count <= QUANTITY_MAX)
    };
    match value {
        None | Some(Value::Null) => Count::Absent,
        Some(value) => Exact::of(value).and_then(scaled).map_or(Count::Damaged, Count::Whole),
    }
}

/// An amount of money in units of 10^-`digits` USD (`0` is USD); more decimals than 18 round up. Below zero it is as it
/// was stated: whoever takes it for a cost says that it is none.
pub(super) fn money(value: Option<&Value>, digits: i32) -> Option<AttoUsd> {
    let (atto, exact) = Exact::of(value?)?.at_scale(18i32.checked_sub(digits)?)?;
    Some(AttoUsd(if exact { atto } else { atto.checked_add(1)? }))
}

/// `digits × 10^exponent`, as JSON writes numbers.
struct Exact {
    digits: i128,
    exponent: i32,
}

impl Exact {
    /// Most digits: an `f64` prints at most 17, an integer of JSON at most 20.
    const DIGITS_MAX: usize = 30;

    /// A JSON number, or a decimal as text (protobuf's JSON writes 64-bit integers so).
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Self::read(&number.to_string()),
            Value::String(text) if text.starts_with(|c: char| c.is_ascii_digit()) => Self::read(text),
            _ => None,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().ok()?;
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        if whole.len().checked_add(fraction.len())? > Self::DIGITS_MAX {
            return None;
        }
        let mut digits: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
            digits = digits.checked_mul(10)?.checked_add(i128::from(digit))?;
        }
        let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        Some(Self { digits: if negative { digits.checked_neg()? } else { digits }, exponent })
    }

    /// The number × 10^`scale`, rounded down, and whether that is exact.
    fn at_scale(&self, scale: i32) -> Option<(i128, bool)> {
        let shift = self.exponent.checked_add(scale)?;
        if self.digits == 0 {
            return Some((0, true));
        }
        let power = shift.unsigned_abs();
        if shift >= 0 {
            return Some((self.digits.checked_mul(10i128.checked_pow(power)?)?, true));
        }
        match 10i128.checked_pow(power) {
            Some(factor) => {
                Some((self.digits.checked_div_euclid(factor)?, self.digits.checked_rem_euclid(factor)? == 0))
            }
            None => Some((if self.digits < 0 { -1 } else { 0 }, false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_numbers_in_every_spelling() {
        for (value, expected) in [
            (json!(0), Count::Whole(0)),
            (json!(1500), Count::Whole(1500)),
            (json!(1500.0), Count::Whole(1500)),
            (serde_json::from_str("1.5e3").unwrap(), Count::Whole(1500)),
            (json!(-0.0), Count::Whole(0)),
            (json!(null), Count::Absent),
            (json!(1u64 << 40), Count::Whole(1 << 40)),
            (json!((1u64 << 40) + 1), Count::Damaged),
            (json!(u64::MAX), Count::Damaged),
            (json!(-1), Count::Damaged),
            (json!(12.5), Count::Damaged),
            (json!(1e300), Count::Damaged),
            (json!(1e-300), Count::Damaged),
            (json!("1500"), Count::Damaged),
            (json!("NaN"), Count::Damaged),
            (json!([1]), Count::Damaged),
            (json!(true), Count::Damaged),
        ] {
            assert_eq!(count(Some(&value)), expected, "{value}");
        }
        assert_eq!(count(None), Count::Absent);
    }

    #[test]
    fn money_is_exact() {
        assert_eq!(money(Some(&json!(4.45e-6)), 0).unwrap().to_string(), "0.00000445");
        assert_eq!(money(Some(&json!(232_856_000)), 10).unwrap().to_string(), "0.0232856");
        assert_eq!(money(Some(&json!(0)), 0), Some(AttoUsd::ZERO));
        assert_eq!(money(Some(&json!(1e-300)), 0), Some(AttoUsd(1)), "a remainder rounds up");
        assert_eq!(money(Some(&json!(-0.5)), 0).unwrap().to_string(), "-0.5");
        assert_eq!(money(Some(&json!(1e300)), 0), None);
        assert_eq!(money(Some(&json!("0.1")), 0).unwrap().to_string(), "0.1");
        for text in ["", "-1", ".5", "1,5", "1_000", "NaN", "0x10", "1e999999999"] {
            assert_eq!(money(Some(&json!(text)), 0), None, "{text}");
        }
    }

    #[test]
    fn durations_round_up_to_milliseconds() {
        assert_eq!(scaled(Some(&json!(12)), 3), Count::Whole(12_000));
        assert_eq!(scaled(Some(&json!(8.470000267028809)), 3), Count::Whole(8_471));
        assert_eq!(scaled(Some(&json!("8.47")), 3), Count::Whole(8_470));
        assert_eq!(scaled(Some(&json!(0.0001)), 3), Count::Whole(1));
        assert_eq!(scaled(Some(&json!(null)), 3), Count::Absent);
        for bad in [json!({}), json!(-1), json!(1e300), json!("soon")] {
            assert_eq!(scaled(Some(&bad), 3), Count::Damaged, "{bad}");
        }
    }
}
