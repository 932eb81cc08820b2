//! Prices of other tools' files, read as text: exact, binary noise taken out, never through a float.
//!
//! LiteLLM writes `9.499999999999999e-07` where 0.95 USD per million was meant: at least 15 significant digits and a
//! decimal of 12 digits within 10⁻¹³ of it. That decimal is taken. What is finer than 10⁻¹² USD per rate unit after
//! that is rounded half-even, which the load report says.

use crate::catalog::rates::Rate;

/// From this many significant digits on, a number may be noise.
const NOISE_DIGITS: usize = 15;
/// A number that was meant has at most this many.
const MEANT_DIGITS: usize = 12;
/// How near, relatively, what was meant must be: 10⁻¹³.
const NEAR: i128 = 10_000_000_000_000;
/// More significant digits than this are no price.
const DIGITS_MAX: usize = 30;
/// No price is this large or small.
const EXPONENT_MAX: i32 = 60;

/// What one of the file's units is in ours: `times × 10^power`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) times: i128,
    pub(super) power: i32,
}

impl Unit {
    /// The units are the same.
    pub(super) const SAME: Self = Self::ten_to(0);
    /// Per second there, per hour here.
    pub(super) const SECOND: Self = Self { times: 3600, power: 0 };

    pub(super) const fn ten_to(power: i32) -> Self {
        Self { times: 1, power }
    }
}

/// A price that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Price {
    pub(super) rate: Rate,
    /// It was finer than what a rate can hold.
    pub(super) rounded: bool,
}

/// Why a number is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPrice {
    NotANumber,
    Negative,
    TooLarge,
}

impl NoPrice {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NotANumber => "is not a number",
            Self::Negative => "is negative",
            Self::TooLarge => "is larger than any price",
        }
    }
}

/// A price, in our unit. `text` is a JSON number, or one in quotes.
pub(super) fn price(text: &str, unit: Unit) -> Result<Price, NoPrice> {
    let number = Number::parse(unquoted(text)).ok_or(NoPrice::NotANumber)?.meant();
    if number.negative && number.digits != 0 {
        return Err(NoPrice::Negative);
    }
    let digits = number.digits.checked_mul(unit.times).ok_or(NoPrice::TooLarge)?;
    let shift = number.power + unit.power + 12;
    let (pico, rounded) = scaled(digits, shift).ok_or(NoPrice::TooLarge)?;
    let rate = Rate::from_pico_usd(pico).ok_or(NoPrice::TooLarge)?;
    Ok(Price { rate, rounded })
}

/// A whole number, for limits: `8192`, `8192.0`, `256e3`.
pub(super) fn whole(text: &str) -> Option<u64> {
    let number = Number::parse(unquoted(text))?;
    match scaled(number.digits, number.power)? {
        (value, false) if !number.negative => u64::try_from(value).ok(),
        _ => None,
    }
}

/// The plain decimal of a multiplier.
pub(super) fn decimal(text: &str) -> Option<String> {
    let number = Number::parse(unquoted(text))?.meant();
    let (units, rounded) = scaled(number.digits, number.power + 12)?;
    let rate = Rate::from_pico_usd(units)?;
    (!rounded && !number.negative).then(|| rate.to_string())
}

pub(super) fn unquoted(text: &str) -> &str {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(text).trim()
}

/// `digits × 10^shift` as a whole number, rounded half-even; whether it was rounded.
fn scaled(digits: i128, shift: i32) -> Option<(i128, bool)> {
    if digits == 0 {
        return Some((0, false));
    }
    let size = shift.unsigned_abs();
    if shift >= 0 {
        return Some((digits.checked_mul(10i128.checked_pow(size)?)?, false));
    }
    let Some(by) = 10i128.checked_pow(size) else { return Some((0, true)) };
    let (whole, rest) = (digits.checked_div(by)?, digits.checked_rem(by)?);
    let up = match rest.checked_mul(2)?.cmp(&by) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => whole % 2 != 0,
        std::cmp::Ordering::Less => false,
    };
    Some((whole.checked_add(i128::from(up))?, rest != 0))
}

/// `±digits × 10^power`, without trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    negative: bool,
    digits: i128,
    power: i32,
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let (negative, body) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match body.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent),
            None => (body, "0"),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let dot = mantissa.len() != whole.len();
        if whole.is_empty() || (dot && fraction.is_empty()) {
            return None;
        }
        let exponent: i32 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
        // Zeros count only when another digit follows; `kept` digits are without those at either end.
        let (mut digits, mut kept, mut zeros) = (0i128, 0usize, 0usize);
        for byte in whole.bytes().chain(fraction.bytes()) {
            match byte {
                b'0' => zeros += usize::from(kept > 0),
                b'1'..=b'9' => {
                    kept += zeros + 1;
                    if kept > DIGITS_MAX {
                        return None;
                    }
                    for _ in 0..=std::mem::take(&mut zeros) {
                        digits = digits.checked_mul(10)?;
                    }
                    digits = digits.checked_add(i128::from(byte - b'0'))?;
                }
                _ => return None,
            }
        }
        if kept == 0 {
            return Some(Self { negative, digits: 0, power: 0 });
        }
        if exponent.unsigned_abs() > EXPONENT_MAX.unsigned_abs() {
            return None;
        }
        let power = exponent + i32::try_from(zeros).ok()? - i32::try_from(fraction.len()).ok()?;
        (power.abs() <= EXPONENT_MAX * 2).then_some(Self { negative, digits, power })
    }

    /// Without binary noise.
    fn meant(self) -> Self {
        let count = self.digits.checked_ilog10().map_or(0, |log| usize::try_from(log).unwrap_or(0) + 1);
        if count < NOISE_DIGITS {
            return self;
        }
        let cut = i32::try_from(count - MEANT_DIGITS).unwrap_or(0);
        let Some((short, _)) = scaled(self.digits, -cut) else { return self };
        let Some((back, _)) = scaled(short, cut) else { return self };
        let near = (back - self.digits).abs().checked_mul(NEAR).is_some_and(|gap| gap <= self.digits);
        if near { Self { digits: short, power: self.power + cut, ..self } } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Unit = Unit::ten_to(6);

    fn read(text: &str, unit: Unit) -> (String, bool) {
        let price = price(text, unit).unwrap_or_else(|why| panic!("{text}: {why:?}"));
        (price.rate.to_string(), price.rounded)
    }

    #[test]
    fn plain_numbers_are_exact() {
        for (text, unit, rate) in [
            ("3e-06", TOKEN, "3"),
            ("0.0000025", TOKEN, "2.5"),
            ("1E-7", TOKEN, "0.1"),
            ("\"0.00000075\"", TOKEN, "0.75"),
            ("0", TOKEN, "0"),
            ("-0.0", TOKEN, "0"),
            ("3.625e-09", TOKEN, "0.003625"),
            ("0.04", Unit::SAME, "0.04"),
            ("0.01", Unit::ten_to(3), "10"),
            ("0.0001", Unit::SECOND, "0.36"),
            ("1.9e-08", Unit::ten_to(9), "19"),
        ] {
            assert_eq!(read(text, unit), (rate.to_owned(), false), "{text}");
        }
    }

    #[test]
    fn noise_is_snapped_and_the_rest_is_rounded_aloud() {
        for (text, rate) in [
            ("9.499999999999999e-07", "0.95"),
            ("1.6000000000000001e-06", "1.6"),
            ("0.30000000000000004e-6", "0.3"),
            ("2.9999999999999997e-06", "3"),
        ] {
            assert_eq!(read(text, TOKEN), (rate.to_owned(), false), "{text}");
        }
        // A repeating value is not noise: OpenRouter's 1/12.
        assert_eq!(read("8.333333333333334e-08", TOKEN), ("0.083333333333".to_owned(), true));
        // 14 digits are taken at their word.
        assert_eq!(read("0.95000000000001e-6", TOKEN), ("0.95".to_owned(), true));
        // Half goes to even.
        assert_eq!(read("0.0000000000005", Unit::SAME), ("0".to_owned(), true));
        assert_eq!(read("0.0000000000015", Unit::SAME), ("0.000000000002".to_owned(), true));
    }

    #[test]
    fn what_is_no_price_is_said() {
        for text in ["", "-", "1.", ".5", "1e", "nan", "null", "1,5", "0x1", "1e99", &"9".repeat(40)] {
            assert_eq!(price(text, TOKEN), Err(NoPrice::NotANumber), "{text}");
        }
        assert_eq!(price("-1e-6", TOKEN), Err(NoPrice::Negative));
        assert_eq!(price("1e12", TOKEN), Err(NoPrice::TooLarge));
    }

    #[test]
    fn limits_are_whole() {
        assert_eq!(whole("256000.0"), Some(256_000));
        assert_eq!(whole("1e6"), Some(1_000_000));
        assert_eq!((whole("0.5"), whole("-1"), whole("\"many\"")), (None, None, None));
        assert_eq!(decimal("1.1").as_deref(), Some("1.1"));
        assert_eq!(decimal("2.0").as_deref(), Some("2"));
    }

    proptest::proptest! {
        /// Every rate that can be written comes back as it is, however it is written.
        #[test]
        fn every_rate_survives(pico in 0i128..10_000_000_000_000_000, power in -20i32..3) {
            let whole = Rate::from_pico_usd(pico).unwrap();
            // The same number per token, with an exponent.
            let digits = pico.to_string();
            let text = format!("{digits}e{}", power - 18);
            let moved = price(&text, Unit { times: 1, power: 6 - power });
            let exact = moved.map(|price| price.rate);
            if digits.trim_end_matches('0').len() < NOISE_DIGITS {
                proptest::prop_assert_eq!(exact, Ok(whole));
            }
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = (price(&text, TOKEN), whole(&text), decimal(&text));
        }
    }
}
