//! Instants and durations, as integers.

use crate::codes::Code;
use crate::error::{Error, Result};
use std::fmt;

const NANOS_PER_MILLI: i64 = 1_000_000;

/// An instant: nanoseconds since 1970-01-01T00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The end of time: the end of a lifetime window.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since the epoch; saturates.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// From seconds since the epoch; saturates.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MILLI)
    }

    /// Seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Later by `millis` (negative: earlier); saturates.
    #[must_use]
    pub const fn saturating_add_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis.saturating_mul(NANOS_PER_MILLI)))
    }

    /// Later by `nanos` (negative: earlier); saturates.
    #[must_use]
    pub const fn saturating_add_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Later by a duration; saturates.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        self.saturating_add_millis(duration.millis())
    }

    /// Milliseconds from `earlier` to `self`, never negative.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        let d = self.0.saturating_sub(earlier.0) / NANOS_PER_MILLI;
        if d < 0 { 0 } else { d }
    }

    /// From RFC 3339 text, a bare date (midnight UTC), or milliseconds as digits.
    ///
    /// # Errors
    /// `argument_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let nanos = |t: jiff::Timestamp| i64::try_from(t.as_nanosecond()).ok();
        let parsed = text.parse::<jiff::Timestamp>().ok().and_then(nanos).or_else(|| {
            // Only a whole day: a time of day without a zone is nobody's instant.
            let date = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == 10)?;
            date.to_zoned(jiff::tz::TimeZone::UTC).ok().and_then(|z| nanos(z.timestamp()))
        });
        parsed.map(Self).ok_or_else(|| {
            Error::new(Code::ArgumentInvalid, format!("{text:?} is not an instant"))
                .hint("write RFC 3339, for example \"2026-11-20T10:00:00Z\"")
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(t) => write!(f, "{t}"),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

/// A length of time in milliseconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(i64);

impl Duration {
    /// From milliseconds; negative becomes zero.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(if millis < 0 { 0 } else { millis })
    }

    /// From seconds; negative becomes zero.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// In milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// From text with a unit: `"250ms"`, `"10s"`, `"5m"`, `"1h"`, `"48h"`, `"7d"` (a day is 24 hours here).
    ///
    /// # Errors
    /// `argument_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(Code::ArgumentInvalid, format!("{text:?} is not a duration")).hint(
                "write a whole number with a unit, for example \"250ms\", \"10s\", \"5m\", \"1h\" or \"7d\"",
            )
        };
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (digits, unit) = trimmed.split_at(split);
        let per_unit: i64 = match unit.trim_start() {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(bad()),
        };
        let count: i64 = digits.parse().map_err(|_| bad())?;
        let millis = count.checked_mul(per_unit).filter(|m| *m <= 86_400_000 * 36_525).ok_or_else(bad)?;
        Ok(Self(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(Duration::parse("60s").unwrap().millis(), 60_000);
        assert_eq!(Duration::parse("48h").unwrap(), Duration::parse("2d").unwrap());
        for bad in ["", "60", "s", "-5s", "1.5h", "5 weeks", "99999999999999999999d", "999999999d"] {
            assert_eq!(Duration::parse(bad).unwrap_err().code(), Code::ArgumentInvalid, "{bad}");
        }
    }

    #[test]
    fn instants_round_trip() {
        let t = Timestamp::parse("2026-11-20T10:00:00Z").unwrap();
        assert_eq!(t.to_string(), "2026-11-20T10:00:00Z");
        assert_eq!(Timestamp::parse("2026-11-20").unwrap().millis_since(t), 0);
        assert!(Timestamp::parse("yesterday").is_err());
        assert!(Timestamp::parse("2026-11-20T10:00:00").is_err(), "no zone");
    }
}
