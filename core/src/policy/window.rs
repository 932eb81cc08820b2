//! Windows: the stretch of time that one account counts.

use crate::codes::Code;
use crate::error::{Error, Result};
use crate::values::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use std::sync::atomic::{AtomicU64, Ordering};

const NANOS_PER_MINUTE: i64 = 60_000_000_000;

/// `[start, end)`. Its identity is its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first instant inside.
    pub start: Timestamp,
    /// The first instant after; [`Timestamp::MAX`] for a lifetime.
    pub end: Timestamp,
}

impl Window {
    /// The one window of a lifetime budget.
    pub const LIFETIME: Self = Self { start: Timestamp::from_nanos(i64::MIN), end: Timestamp::MAX };

    /// Whether `at` is inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// The kind of window, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// Clock minutes.
    Minute,
    /// Clock hours.
    Hour,
    /// Calendar days: 23, 24 or 25 hours.
    Day,
    /// Calendar weeks from the given day.
    Week(Weekday),
    /// Calendar months from the given day of the month (clamped to the month's length).
    Month(i8),
    /// Calendar years from 1 January.
    Year,
    /// Stretches of N days from an anchor date.
    Days(i32, Date),
    /// Never resets.
    Lifetime,
}

/// A window kind in a time zone, with the current window remembered.
#[derive(Debug)]
pub struct WindowClock {
    kind: WindowKind,
    zone: TimeZone,
    /// Start and end in minutes since the epoch, 32 bits each: one word, so that no reader sees half of it.
    /// Zero: nothing remembered.
    current: AtomicU64,
}

impl WindowClock {
    /// A clock for a kind of window in an IANA time zone.
    ///
    /// # Errors
    /// `config_invalid` for a zone that the bundled database does not know.
    pub fn new(kind: WindowKind, zone: &str) -> Result<Self> {
        let zone = TimeZone::get(zone).map_err(|_| {
            let shown: String = zone.chars().take(60).collect();
            Error::new(Code::ConfigInvalid, format!("{shown:?} is not an IANA time zone"))
                .hint("for example \"Europe/Berlin\" or \"UTC\"")
        })?;
        Ok(Self { kind, zone, current: AtomicU64::new(0) })
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> WindowKind {
        self.kind
    }

    /// The zone's IANA name.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The window that contains `now`. Pure but for the memory of the last answer.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Window {
        if self.kind == WindowKind::Lifetime {
            return Window::LIFETIME;
        }
        let packed = self.current.load(Ordering::Relaxed);
        if packed != 0 {
            let window = unpack(packed);
            if window.contains(now) {
                return window;
            }
        }
        let window = self.compute(now).unwrap_or(Window::LIFETIME);
        if let Some(packed) = pack(window) {
            self.current.store(packed, Ordering::Relaxed);
        }
        window
    }

    fn compute(&self, now: Timestamp) -> Option<Window> {
        let instant = jiff::Timestamp::from_nanosecond(i128::from(now.nanos())).ok()?;
        let local = instant.to_zoned(self.zone.clone());
        let date = local.date();
        match self.kind {
            WindowKind::Lifetime => None,
            WindowKind::Minute => self.clock_window(now, &local, NANOS_PER_MINUTE),
            WindowKind::Hour => self.clock_window(now, &local, 60 * NANOS_PER_MINUTE),
            WindowKind::Day => self.dates(date, date.tomorrow().ok()?),
            WindowKind::Week(first) => {
                let back = date.weekday().since(first);
                let start = date.checked_sub(Span::new().try_days(back).ok()?).ok()?;
                self.dates(start, start.checked_add(Span::new().try_days(7).ok()?).ok()?)
            }
            WindowKind::Month(day) => {
                let this = on_day(date.first_of_month(), day)?;
                if date >= this {
                    self.dates(this, on_day(next_month(date.first_of_month())?, day)?)
                } else {
                    let previous = date.first_of_month().yesterday().ok()?.first_of_month();
                    self.dates(on_day(previous, day)?, this)
                }
            }
            WindowKind::Year => {
                let start = date.first_of_year();
                self.dates(start, start.checked_add(Span::new().try_years(1).ok()?).ok()?)
            }
            WindowKind::Days(length, anchor) => {
                let since = anchor.until(date).ok()?.get_days();
                let start_day = since.checked_sub(since.checked_rem_euclid(length)?)?;
                let start = anchor.checked_add(Span::new().try_days(start_day).ok()?).ok()?;
                self.dates(start, start.checked_add(Span::new().try_days(length).ok()?).ok()?)
            }
        }
    }

    /// Midnight to midnight. Where a zone skips midnight, the day starts at its first instant.
    fn dates(&self, from: Date, to: Date) -> Option<Window> {
        let instant = |date: Date| {
            let start: Zoned = date.to_zoned(self.zone.clone()).ok()?;
            i64::try_from(start.timestamp().as_nanosecond()).ok().map(Timestamp::from_nanos)
        };
        Some(Window { start: instant(from)?, end: instant(to)? })
    }

    /// Minutes and hours of the local clock, counted on the line of time: an hour that daylight saving repeats is
    /// two windows.
    fn clock_window(&self, now: Timestamp, local: &Zoned, length: i64) -> Option<Window> {
        let offset = i64::from(local.offset().seconds()).checked_mul(1_000_000_000)?;
        let on_clock = now.nanos().checked_add(offset)?;
        let start = now.nanos().checked_sub(on_clock.checked_rem_euclid(length)?)?;
        Some(Window {
            start: Timestamp::from_nanos(start),
            end: Timestamp::from_nanos(start.checked_add(length)?),
        })
    }
}

fn next_month(first: Date) -> Option<Date> {
    first.checked_add(Span::new().try_months(1).ok()?).ok()
}

fn on_day(first: Date, day: i8) -> Option<Date> {
    Date::new(first.year(), first.month(), day.min(first.days_in_month())).ok()
}

fn pack(window: Window) -> Option<u64> {
    let minutes = |t: Timestamp| {
        let whole = t.nanos().checked_rem(NANOS_PER_MINUTE)? == 0;
        whole.then(|| t.nanos().checked_div(NANOS_PER_MINUTE)).flatten().and_then(|m| u32::try_from(m).ok())
    };
    Some(u64::from(minutes(window.start)?) << 32 | u64::from(minutes(window.end)?))
}

fn unpack(packed: u64) -> Window {
    let instant = |minutes: u64| {
        Timestamp::from_nanos(i64::try_from(minutes).unwrap_or(0).saturating_mul(NANOS_PER_MINUTE))
    };
    Window { start: instant(packed >> 32), end: instant(packed & u64::from(u32::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kind: WindowKind, zone: &str, at: &str) -> (String, String) {
        let clock = WindowClock::new(kind, zone).unwrap();
        let now = Timestamp::parse(at).unwrap();
        let window = clock.at(now);
        assert_eq!(window, clock.at(now), "remembered");
        assert!(window.contains(now));
        (window.start.to_string(), window.end.to_string())
    }

    fn pair(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn days_have_23_and_25_hours() {
        let day = |at| window(WindowKind::Day, "Europe/Berlin", at);
        assert_eq!(day("2026-03-29T12:00:00Z"), pair("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"));
        assert_eq!(day("2026-10-25T12:00:00Z"), pair("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"));
        assert_eq!(day("2026-10-25T22:59:59Z").1, "2026-10-25T23:00:00Z");
    }

    #[test]
    fn months_clamp_their_first_day() {
        let month = |at| window(WindowKind::Month(31), "UTC", at);
        assert_eq!(month("2026-03-01T00:00:00Z"), pair("2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"));
        assert_eq!(month("2026-02-27T00:00:00Z"), pair("2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"));
    }

    #[test]
    fn weeks_years_and_stretches_of_days() {
        let week = WindowKind::Week(Weekday::Monday);
        assert_eq!(window(week, "UTC", "2026-11-20T00:00:00Z").0, "2026-11-16T00:00:00Z");
        assert_eq!(window(week, "UTC", "2026-11-16T00:00:00Z").0, "2026-11-16T00:00:00Z");
        let anchor = jiff::civil::date(2026, 1, 1);
        let days = WindowKind::Days(30, anchor);
        assert_eq!(
            window(days, "UTC", "2026-01-31T00:00:00Z"),
            pair("2026-01-31T00:00:00Z", "2026-03-02T00:00:00Z")
        );
        assert_eq!(window(days, "UTC", "2025-12-31T00:00:00Z").0, "2025-12-02T00:00:00Z");
        assert_eq!(window(WindowKind::Year, "UTC", "2028-02-29T00:00:00Z").1, "2029-01-01T00:00:00Z");
    }

    #[test]
    fn hours_follow_half_hour_zones() {
        assert_eq!(
            window(WindowKind::Hour, "Asia/Kolkata", "2026-11-20T10:45:00Z").0,
            "2026-11-20T10:30:00Z"
        );
        assert_eq!(window(WindowKind::Minute, "UTC", "2026-11-20T10:45:59Z").0, "2026-11-20T10:45:00Z");
    }

    #[test]
    fn a_bad_zone_is_named() {
        let error = WindowClock::new(WindowKind::Day, "Mars/Olympus").unwrap_err();
        assert!(error.to_string().contains("Mars/Olympus"));
    }
}
