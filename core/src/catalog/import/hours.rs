//! Hours and weekdays of other tools' files: `"10:00-00:00"`, `["00:00-01:00", "04:00-06:00"]`, ISO weekdays.

use super::number;
use crate::catalog::schema::{Weekday, When};
use serde_json::value::RawValue;

const DAYS: [Weekday; 7] =
    [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];
const WINDOWS_MAX: usize = 16;

/// LiteLLM's windows: `hours_utc` for every day, or a list of `{hours_utc, weekdays}`.
pub(super) fn windows(
    hours_utc: Option<&str>,
    list: Option<&str>,
    zone: Option<&str>,
) -> Result<Vec<When>, &'static str> {
    #[derive(serde::Deserialize)]
    struct Window<'a> {
        #[serde(borrow)]
        hours_utc: &'a RawValue,
        #[serde(default, borrow)]
        weekdays: Option<Vec<&'a RawValue>>,
    }
    let Some(list) = list else {
        let utc = hours(hours_utc.ok_or("names no hours")?)?;
        if utc.is_empty() {
            return Err("holds at every hour");
        }
        return Ok(vec![When { utc, ..When::default() }]);
    };
    let windows: Vec<Window<'_>> =
        serde_json::from_str(list).map_err(|_| "has windows that are no windows")?;
    if windows.len() > WINDOWS_MAX {
        return Err("has too many windows");
    }
    let mut all = Vec::with_capacity(windows.len());
    for window in windows {
        let utc = hours(window.hours_utc.get())?;
        let mut weekdays = Vec::new();
        for day in window.weekdays.unwrap_or_default() {
            let at = number::whole(day.get()).and_then(|day| usize::try_from(day).ok()?.checked_sub(1));
            weekdays.push(*at.and_then(|at| DAYS.get(at)).ok_or("names a day that is no weekday")?);
        }
        if utc.is_empty() && weekdays.is_empty() {
            return Err("holds at every hour");
        }
        // A calendar decides which day it is, so it says nothing where every day counts.
        let calendar = zone.filter(|zone| *zone != "UTC" && !weekdays.is_empty()).map(str::to_owned);
        if calendar.as_deref().is_some_and(|zone| jiff::tz::TimeZone::get(zone).is_err()) {
            return Err("names a time zone that is not known");
        }
        all.push(When { utc, weekdays, calendar, ..When::default() });
    }
    Ok(all)
}

/// One window or a list of them; empty: the whole day.
fn hours(raw: &str) -> Result<Vec<String>, &'static str> {
    let one = serde_json::from_str::<String>(raw).map(|text| vec![text]);
    let texts = one
        .or_else(|_| serde_json::from_str::<Vec<String>>(raw))
        .map_err(|_| "names hours that are no text")?;
    let mut all = Vec::new();
    for text in texts {
        let (start, end) = text.split_once('-').ok_or("names hours that are no window")?;
        let (start, end) = (
            minute(start).ok_or("names an hour that is none")?,
            minute(end).ok_or("names an hour that is none")?,
        );
        if start == end {
            return Ok(Vec::new());
        }
        all.extend(window(start, end));
    }
    Ok(all)
}

/// From one minute of the day to another, in one window or, over midnight, in two.
pub(super) fn window(start: u32, end: u32) -> Vec<String> {
    let shown =
        |start: u32, end: u32| format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60);
    let (start, end) = (start % 1440, if end == 0 { 1440 } else { end });
    if start < end {
        return vec![shown(start, end)];
    }
    vec![shown(0, end), shown(start, 1440)]
}

/// `"04:00"`, `"04:00:00Z"`, `"04:00:00+00:00"`: the minute of the day.
pub(super) fn minute(text: &str) -> Option<u32> {
    let text = text.trim();
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00")).unwrap_or(text);
    let (hour, rest) = text.split_once(':')?;
    let (minute, second) = rest.split_once(':').unwrap_or((rest, "00"));
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let whole = second.trim_end_matches(['0', '.']).is_empty();
    (whole && hour <= 24 && minute < 60 && hour * 60 + minute <= 1440).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_over_midnight_are_two() {
        assert_eq!(window(600, 0), ["10:00-24:00"]);
        assert_eq!(window(16 * 60 + 30, 30), ["00:00-00:30", "16:30-24:00"]);
        assert_eq!(
            (minute("16:30:00Z"), minute("00:30"), minute("25:00"), minute("1")),
            (Some(990), Some(30), None, None)
        );
    }

    #[test]
    fn weekdays_keep_their_calendar() {
        let list = r#"[{"hours_utc": ["00:00-01:00", "10:00-00:00"], "weekdays": [1, 5]},
                       {"hours_utc": "00:00-00:00", "weekdays": [6, 7]}]"#;
        let all = windows(None, Some(list), Some("Asia/Shanghai")).unwrap();
        assert_eq!(
            serde_json::to_string(&all).unwrap(),
            r#"[{"utc":["00:00-01:00","10:00-24:00"],"weekdays":["mon","fri"],"calendar":"Asia/Shanghai"},{"weekdays":["sat","sun"],"calendar":"Asia/Shanghai"}]"#
        );
        assert!(windows(None, Some(r#"[{"hours_utc": "00:00-00:00"}]"#), None).is_err());
        assert!(windows(None, Some(r#"[{"hours_utc": "1-2", "weekdays": [8]}]"#), None).is_err());
    }
}
