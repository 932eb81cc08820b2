//! The conditions of a variant or modifier, compiled; they hold, do not hold, or (before the call) may hold.

use super::context::{PriceContext, Tier};
use super::glob::Glob;
use super::schema;
use crate::values::Timestamp;
use crate::values::scope::Label;
use smallvec::SmallVec;

/// Minutes over which a call may run: a price by time of day that applies in any of them is reachable
/// (`max_call_duration` of the default configuration).
const CALL_MINUTES_MAX: i64 = 60;
const MINUTES_PER_DAY: i64 = 1440;
const MILLIS_PER_MINUTE: i64 = 60_000;

/// Whether conditions hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    No,
    Maybe,
    Yes,
}

impl Holds {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Maybe,
        }
    }
}

/// All conditions of one variant or modifier. The tier is apart, because it is the common one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct When {
    tier: Option<Tier>,
    others: SmallVec<[Condition; 1]>,
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Text(Dim, Text),
    Thinking(bool),
    Label(Label, Label),
    Time(Box<TimeOfDay>),
}

/// A dimension of [`PriceContext`] that is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dim {
    Speed,
    Geo,
    Region,
    Route,
    Endpoint,
    SearchContext,
    SearchType,
    Size,
    Quality,
    Resolution,
}

#[derive(Clone, Debug, PartialEq)]
enum Text {
    Is(Label),
    /// `!global`: known, and another.
    IsNot(Label),
    Matches(Glob),
}

/// Minutes of the UTC day and days of the week in a calendar.
#[derive(Clone, Debug, PartialEq)]
struct TimeOfDay {
    /// `[start, end)`; empty: all day.
    minutes: Vec<(i64, i64)>,
    /// One bit a day, Monday first; 0: every day.
    days: u8,
    /// `None` is UTC.
    zone: Option<jiff::tz::TimeZone>,
    at_end: bool,
}

impl When {
    /// No condition.
    pub(crate) const ALWAYS: Self = Self { tier: None, others: SmallVec::new_const() };

    /// Served as a batch.
    pub(crate) fn batch() -> Self {
        Self { tier: Some(Tier::Batch), others: SmallVec::new() }
    }

    /// Compiles conditions. `Err` says what is wrong with which key.
    pub(crate) fn new(file: &schema::When) -> Result<Self, (&'static str, String)> {
        let mut others = SmallVec::new();
        let texts = [
            (Dim::Speed, &file.speed),
            (Dim::Geo, &file.geo),
            (Dim::Region, &file.region),
            (Dim::Route, &file.route),
            (Dim::Endpoint, &file.endpoint),
            (Dim::SearchContext, &file.search_context),
            (Dim::SearchType, &file.search_type),
            (Dim::Size, &file.size),
            (Dim::Quality, &file.quality),
            (Dim::Resolution, &file.resolution),
        ];
        for (dim, text) in texts {
            let Some(text) = text else { continue };
            others.push(Condition::Text(
                dim,
                match text.strip_prefix('!') {
                    Some(other) => Text::IsNot(other.into()),
                    None if dim == Dim::Region && text.contains(['*', '?']) => Text::Matches(Glob::new(text)),
                    None => Text::Is(text.as_str().into()),
                },
            ));
        }
        others.extend(file.thinking.map(Condition::Thinking));
        for (key, value) in &file.label.0 {
            others.push(Condition::Label(key.as_str().into(), value.as_str().into()));
        }
        others.extend(TimeOfDay::new(file)?.map(|time| Condition::Time(Box::new(time))));
        if file.tier.is_none() && others.is_empty() {
            return Err(("", "has no condition".to_owned()));
        }
        Ok(Self { tier: file.tier, others })
    }

    /// How many conditions: the variant with most of them wins.
    pub(crate) fn specificity(&self) -> usize {
        usize::from(self.tier.is_some()) + self.others.len()
    }

    /// Whether the conditions hold for a call that was made.
    #[inline]
    pub(crate) fn holds(&self, context: &PriceContext, tier: Option<Tier>) -> bool {
        (self.tier.is_none() || self.tier == tier) && self.others.iter().all(|other| other.holds(context))
    }

    /// Whether the time of day or the day of the week is none of the conditions.
    pub(crate) fn is_timeless(&self) -> bool {
        !self.others.iter().any(|other| matches!(other, Condition::Time(_)))
    }

    /// Whether the conditions can hold for a call that is about to be made.
    pub(crate) fn reachable(&self, context: &PriceContext) -> Holds {
        let tier = match (self.tier, context.tier) {
            (None, _) => Holds::Yes,
            // Nothing that is submitted as a live request is served as a batch.
            (Some(Tier::Batch), Some(Tier::Auto)) => Holds::No,
            (Some(_), Some(Tier::Auto)) => Holds::Maybe,
            (wanted, stated) => Holds::from(wanted == stated),
        };
        self.others.iter().fold(tier, |so_far, other| so_far.and(other.reachable(context)))
    }

    /// The same conditions.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.tier == other.tier
            && self.others.len() == other.others.len()
            && self.others.iter().all(|mine| other.others.contains(mine))
    }

    /// The conditions of both, each once.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.tier = both.tier.or(other.tier);
        let missing = other.others.iter().filter(|theirs| !self.others.contains(theirs));
        both.others.extend(missing.cloned());
        both
    }

    /// Whether every request that meets this meets the other too.
    pub(crate) fn implies(&self, other: &Self) -> bool {
        let tier = other.tier.is_none() || other.tier == self.tier;
        tier && other.others.iter().all(|wanted| self.others.iter().any(|mine| mine.implies(wanted)))
    }

    /// Whether one request can meet both.
    pub(crate) fn compatible(&self, other: &Self) -> bool {
        let tiers = match (self.tier, other.tier) {
            (Some(mine), Some(theirs)) => mine == theirs,
            _ => true,
        };
        tiers && self.others.iter().all(|mine| !other.others.iter().any(|theirs| mine.excludes(theirs)))
    }
}

impl Condition {
    fn holds(&self, context: &PriceContext) -> bool {
        match self {
            Self::Text(dim, text) => text.accepts(dim.of(context)),
            Self::Thinking(wanted) => context.thinking == Some(*wanted),
            Self::Label(key, value) => context.labels.iter().any(|(k, v)| k == key && v == value),
            Self::Time(time) => {
                let at = if time.at_end { context.ended_at.unwrap_or(context.at) } else { context.at };
                time.contains(at)
            }
        }
    }

    fn reachable(&self, context: &PriceContext) -> Holds {
        match self {
            Self::Thinking(_) if context.thinking.is_none() => Holds::Maybe,
            Self::Text(Dim::SearchContext, _) if context.search_context.is_none() => Holds::Maybe,
            Self::Text(Dim::SearchType, _) if context.search_type.is_none() => Holds::Maybe,
            Self::Time(time) => time.within(context.at),
            _ => Holds::from(self.holds(context)),
        }
    }

    /// Whatever meets this meets the other.
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a, Text::Is(mine)), Self::Text(b, Text::IsNot(theirs))) => a == b && mine != theirs,
            (Self::Text(a, Text::Matches(mine)), Self::Text(b, Text::IsNot(theirs))) => {
                a == b && !mine.matches(theirs)
            }
            (Self::Text(a, Text::Matches(mine)), Self::Text(b, Text::Matches(theirs))) => {
                a == b && (mine == theirs || theirs.matches(mine.prefix()))
            }
            _ => self == other,
        }
    }

    /// No request can meet both.
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a, Text::Is(mine)), Self::Text(b, Text::Is(theirs))) => a == b && mine != theirs,
            (Self::Text(a, Text::Is(mine)), Self::Text(b, Text::IsNot(theirs)))
            | (Self::Text(a, Text::IsNot(mine)), Self::Text(b, Text::Is(theirs))) => a == b && mine == theirs,
            (Self::Text(a, Text::Is(one)), Self::Text(b, Text::Matches(glob)))
            | (Self::Text(a, Text::Matches(glob)), Self::Text(b, Text::Is(one))) => {
                a == b && !glob.matches(one)
            }
            (Self::Thinking(mine), Self::Thinking(theirs)) => mine != theirs,
            (Self::Label(a, mine), Self::Label(b, theirs)) => a == b && mine != theirs,
            (Self::Time(mine), Self::Time(theirs)) => mine.excludes(theirs),
            _ => false,
        }
    }
}

impl Text {
    fn accepts(&self, value: Option<&Label>) -> bool {
        value.is_some_and(|value| match self {
            Self::Is(wanted) => value == wanted,
            Self::IsNot(other) => value != other,
            Self::Matches(glob) => glob.matches(value),
        })
    }
}

impl Dim {
    fn of(self, context: &PriceContext) -> Option<&Label> {
        match self {
            Self::Speed => context.speed.as_ref(),
            Self::Geo => context.geo.as_ref(),
            Self::Region => context.region.as_ref(),
            Self::Route => context.route.as_ref(),
            Self::Endpoint => context.endpoint.as_ref(),
            Self::SearchContext => context.search_context.as_ref(),
            Self::SearchType => context.search_type.as_ref(),
            Self::Size => context.size.as_ref(),
            Self::Quality => context.quality.as_ref(),
            Self::Resolution => context.resolution.as_ref(),
        }
    }
}

impl TimeOfDay {
    fn new(file: &schema::When) -> Result<Option<Self>, (&'static str, String)> {
        if file.utc.is_empty() && file.weekdays.is_empty() {
            return match (&file.calendar, file.clock) {
                (None, None) => Ok(None),
                _ => Err(("calendar", "needs `utc` or `weekdays` next to it".to_owned())),
            };
        }
        let mut minutes = Vec::with_capacity(file.utc.len());
        for text in &file.utc {
            minutes.push(window(text).ok_or_else(|| {
                (
                    "utc",
                    format!(
                        "{text:?} is not a time window, for example \"04:00-06:00\" (UTC, at most to 24:00)"
                    ),
                )
            })?);
        }
        let zone = file.calendar.as_deref().filter(|name| *name != "UTC").map(|name| {
            jiff::tz::TimeZone::get(name)
                .map_err(|_| ("calendar", format!("{name:?} is not an IANA time zone")))
        });
        let days = file.weekdays.iter().fold(0u8, |days, day| days | day.bit());
        let at_end = file.clock == Some(schema::Instant::RequestEnd);
        Ok(Some(Self { minutes, days, zone: zone.transpose()?, at_end }))
    }

    fn contains(&self, at: Timestamp) -> bool {
        let minute = at.millis().div_euclid(MILLIS_PER_MINUTE).rem_euclid(MINUTES_PER_DAY);
        let in_window = self.minutes.is_empty()
            || self.minutes.iter().any(|(start, end)| (*start..*end).contains(&minute));
        in_window && (self.days == 0 || self.days & (1 << self.weekday(at)) != 0)
    }

    /// Days since Monday.
    fn weekday(&self, at: Timestamp) -> i64 {
        let zoned = self.zone.as_ref().and_then(|zone| {
            let instant = jiff::Timestamp::from_nanosecond(i128::from(at.nanos())).ok()?;
            Some(i64::from(zone.to_datetime(instant).weekday().to_monday_zero_offset()))
        });
        // 1970-01-01 was a Thursday.
        zoned.unwrap_or_else(|| (at.seconds().div_euclid(86_400) + 3).rem_euclid(7))
    }

    /// Windows begin and end on whole minutes, so looking at each minute of a call is exact.
    fn within(&self, at: Timestamp) -> Holds {
        let minutes = (0..=CALL_MINUTES_MAX).map(|m| at.saturating_add_millis(m * MILLIS_PER_MINUTE));
        let inside = minutes.filter(|minute| self.contains(*minute)).count();
        match inside {
            0 => Holds::No,
            _ if i64::try_from(inside) == Ok(CALL_MINUTES_MAX + 1) => Holds::Yes,
            _ => Holds::Maybe,
        }
    }

    fn excludes(&self, other: &Self) -> bool {
        let apart = |(a, b): &(i64, i64), (c, d): &(i64, i64)| b <= c || d <= a;
        let hours_apart = !self.minutes.is_empty()
            && !other.minutes.is_empty()
            && self.minutes.iter().all(|mine| other.minutes.iter().all(|theirs| apart(mine, theirs)));
        let days_apart =
            self.days != 0 && other.days != 0 && self.days & other.days == 0 && self.zone == other.zone;
        self.at_end == other.at_end && (hours_apart || days_apart)
    }
}

impl schema::Weekday {
    #[expect(clippy::as_conversions, reason = "a fieldless enum with repr(u8)")]
    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// `"04:00-06:00"` in minutes of the day.
fn window(text: &str) -> Option<(i64, i64)> {
    let minute = |clock: &str| -> Option<i64> {
        let (hours, minutes) = clock.split_once(':')?;
        let two =
            |s: &str| (s.len() == 2 && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse::<i64>().ok());
        let (hours, minutes) = (two(hours)??, two(minutes)??);
        let at = hours * 60 + minutes;
        (minutes < 60 && at <= MINUTES_PER_DAY).then_some(at)
    };
    let (start, end) = text.split_once('-')?;
    Some((minute(start)?, minute(end)?)).filter(|(start, end)| start < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn when(json: &str) -> When {
        When::new(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn at(text: &str) -> PriceContext {
        PriceContext { at: Timestamp::parse(text).unwrap(), ..Default::default() }
    }

    #[test]
    fn weekdays_follow_the_vendors_calendar() {
        let weekend =
            when(r#"{"utc": ["00:00-24:00"], "weekdays": ["sat", "sun"], "calendar": "Asia/Shanghai"}"#);
        // Friday 17:00 UTC is Saturday 01:00 in Shanghai; Sunday 17:00 UTC is Monday there.
        assert!(weekend.holds(&at("2026-11-20T17:00:00Z"), None));
        assert!(!weekend.holds(&at("2026-11-20T15:59:00Z"), None));
        assert!(!weekend.holds(&at("2026-11-22T17:00:00Z"), None));
    }

    #[test]
    fn a_window_that_a_call_may_cross_is_reachable() {
        let night = when(r#"{"utc": ["04:00-06:00"]}"#);
        assert_eq!(night.reachable(&at("2026-11-20T02:59:59Z")), Holds::No);
        assert_eq!(night.reachable(&at("2026-11-20T03:00:00Z")), Holds::Maybe);
        assert_eq!(night.reachable(&at("2026-11-20T04:30:00Z")), Holds::Yes);
        assert_eq!(night.reachable(&at("2026-11-20T05:00:00Z")), Holds::Maybe);
    }

    #[test]
    fn a_missing_value_is_not_another_value() {
        let abroad = when(r#"{"geo": "!global"}"#);
        let mut context = at("2026-11-20");
        assert!(!abroad.holds(&context, None));
        context.geo = Some("us".into());
        assert!(abroad.holds(&context, None));
        context.geo = Some("global".into());
        assert!(!abroad.holds(&context, None));
    }

    #[test]
    fn conflicts_are_seen() {
        let flex = when(r#"{"tier": "flex"}"#);
        let fast = when(r#"{"speed": "fast"}"#);
        assert!(flex.compatible(&fast) && !flex.compatible(&when(r#"{"tier": "batch"}"#)));
        assert!(flex.union(&fast).same(&when(r#"{"speed": "fast", "tier": "flex"}"#)));
        let (early, late) = (when(r#"{"utc": ["00:00-04:00"]}"#), when(r#"{"utc": ["04:00-24:00"]}"#));
        assert!(!early.compatible(&late));
    }
}
