//! A budget: which calls, one account per what, how much per window, how enforced.

use super::matcher::{Facts, Matcher, dimension};
use super::tree::{Node, Table, Value, amount, fail, place, text};
use super::window::{WindowClock, WindowKind};
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::values::{Amount, Dimension, Label, Unit, scope};
use jiff::civil::{Date, Weekday};
use std::sync::Arc;

/// Most budgets of one policy.
pub(super) const BUDGETS_MAX: usize = 10_000;
const OVERRIDES_MAX: usize = 100_000;
const ALERTS_MAX: usize = 16;

/// What a full account does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforce {
    /// It denies.
    #[default]
    Hard,
    /// It alerts and goes negative.
    Soft,
    /// It counts.
    Observe,
}

impl Enforce {
    /// The stricter of the two.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        match (self, other) {
            (Self::Hard, _) | (_, Self::Hard) => Self::Hard,
            (Self::Soft, _) | (_, Self::Soft) => Self::Soft,
            (Self::Observe, Self::Observe) => Self::Observe,
        }
    }
}

/// How much of what expires may be freed in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// So many basis points of the limit.
    BasisPoints(u16),
    /// So much, in the budget's unit.
    Fixed(i64),
}

impl Cap {
    /// The cap for an account of this limit.
    #[must_use]
    pub fn of(self, limit: i64) -> i64 {
        match self {
            Cap::Fixed(value) => value,
            Cap::BasisPoints(points) => {
                let part = i128::from(limit).saturating_mul(i128::from(points)).checked_div(10_000);
                part.and_then(|part| i64::try_from(part).ok()).unwrap_or(0)
            }
        }
    }
}

/// Another limit or time zone for some of a budget's accounts.
#[derive(Clone, Debug)]
pub struct Override {
    /// Which calls.
    pub matches: Matcher,
    /// The limit in the budget's unit, if it changes.
    pub limit: Option<i64>,
    /// The windows, if the time zone changes.
    pub clock: Option<Arc<WindowClock>>,
}

/// What an account may spend, and when it resets.
#[derive(Clone, Debug)]
pub struct Limits {
    /// In the budget's unit; nano-USD for money.
    pub limit: i64,
    /// The windows.
    pub clock: Arc<WindowClock>,
}

/// A budget.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Its unique name and identity.
    pub name: Label,
    /// Which calls.
    pub matches: Matcher,
    /// One account per value of these.
    pub per: Vec<Dimension>,
    /// What it counts.
    pub unit: Unit,
    /// The limit and the windows, unless an override matches.
    pub limits: Limits,
    /// What a full account does.
    pub enforce: Enforce,
    /// How much of what expires may be freed.
    pub release_cap: Cap,
    /// Basis points of the limit at which an event is sent, rising.
    pub alerts: Vec<u32>,
    /// The first match wins.
    pub overrides: Vec<Override>,
}

impl Budget {
    /// The limit and windows of the account that a call belongs to.
    #[must_use]
    pub fn limits_for(&self, facts: &Facts<'_>) -> Limits {
        match self.overrides.iter().find(|o| o.matches.matches(facts)) {
            None => self.limits.clone(),
            Some(found) => Limits {
                limit: found.limit.unwrap_or(self.limits.limit),
                clock: found.clock.clone().unwrap_or_else(|| Arc::clone(&self.limits.clock)),
            },
        }
    }

    /// Reads one `[[budgets]]`.
    pub(crate) fn read(mut table: Table) -> Result<Self> {
        let name = read_name(&mut table)?;
        let matches = Matcher::read(table.table("match")?)?;
        let per = read_per(&mut table)?;
        let line = table.line();
        let limit = table.amount("limit")?;
        let limit = limit.ok_or_else(|| table.missing("limit", "for example limit = \"50 USD\""))?;
        let timing = Timing::read(&mut table, limit.unit)?;
        let enforce = table.word("enforce", &ENFORCE)?.unwrap_or_default();
        let release_cap = read_cap(&mut table, limit.unit)?;
        let alerts = read_alerts(&mut table)?;
        let clock = timing.clock(None)?;
        let overrides = table.tables("overrides")?;
        if overrides.len() > OVERRIDES_MAX {
            return Err(fail(
                &table.key("overrides"),
                line,
                &format!("has more than {OVERRIDES_MAX} entries"),
            ));
        }
        let read = |o| read_override(o, limit.unit, &timing);
        let overrides = overrides.into_iter().map(read).collect::<Result<Vec<_>>>()?;
        table.not_yet("carry", &["none"])?;
        table.not_yet("on_exceed", &["deny"])?;
        table.finish()?;
        let limits = Limits { limit: limit.value, clock };
        Ok(Self { name, matches, per, unit: limit.unit, limits, enforce, release_cap, alerts, overrides })
    }
}

const ENFORCE: [(&str, Enforce); 3] =
    [("hard", Enforce::Hard), ("soft", Enforce::Soft), ("observe", Enforce::Observe)];

fn read_name(table: &mut Table) -> Result<Label> {
    let path = table.key("name");
    let name = table.text("name")?;
    let (name, line) = name.ok_or_else(|| table.missing("name", "a budget is its name"))?;
    if name.starts_with("run.") {
        return Err(fail(&path, line, "starts with \"run.\", which names the accounts of runs"));
    }
    scope::label(&name, &Dimension::Tenant).map_err(|e| place(e, &path, line))
}

fn read_per(table: &mut Table) -> Result<Vec<Dimension>> {
    let path = table.key("per");
    let mut per = Vec::new();
    for (text, line) in table.texts("per")?.unwrap_or_default() {
        let found = dimension(&text, &path, line)?;
        if per.contains(&found) {
            return Err(fail(&path, line, &format!("names {text:?} twice")));
        }
        per.push(found);
    }
    Ok(per)
}

fn read_cap(table: &mut Table, unit: Unit) -> Result<Cap> {
    let path = table.key("release_cap");
    let Some(node) = table.take("release_cap") else { return Ok(Cap::BasisPoints(500)) };
    if let Value::Integer(0) = node.value {
        return Ok(Cap::Fixed(0));
    }
    let written = text(&node, &path)?;
    match written.trim().strip_suffix('%') {
        _ if written.trim() == "0" => Ok(Cap::Fixed(0)),
        Some(_) => {
            let points = percent(written).filter(|points| *points <= 10_000);
            let points = points.and_then(|points| u16::try_from(points).ok());
            points
                .map(Cap::BasisPoints)
                .ok_or_else(|| fail(&path, node.line, &format!("{written:?} is not a share from 0% to 100%")))
                .map_err(|e| e.hint("at most two decimals, for example \"5%\", \"0.25%\" or \"0\""))
        }
        None => same_unit(amount(&node, &path)?, unit, &path, node.line).map(Cap::Fixed),
    }
}

/// `"12.5%"` in basis points.
fn percent(text: &str) -> Option<u32> {
    let number = crate::values::Decimal::parse(text.trim().strip_suffix('%')?.trim()).ok()?;
    u32::try_from(number.at_scale(2)?).ok()
}

fn read_alerts(table: &mut Table) -> Result<Vec<u32>> {
    let path = table.key("alerts");
    let mut alerts = Vec::new();
    for (text, line) in table.texts("alerts")?.unwrap_or_default() {
        let points = percent(&text).filter(|points| (1..=100_000).contains(points));
        alerts.push(points.ok_or_else(|| {
            fail(&path, line, &format!("{text:?} is not a share of the limit")).hint("for example \"80%\"")
        })?);
    }
    alerts.sort_unstable();
    alerts.dedup();
    if alerts.len() > ALERTS_MAX {
        return Err(fail(&path, table.line(), &format!("has more than {ALERTS_MAX} entries")));
    }
    Ok(alerts)
}

fn read_override(mut table: Table, unit: Unit, timing: &Timing) -> Result<Override> {
    let matches = Matcher::read(table.table("match")?)?;
    let path = table.key("limit");
    let line = table.line();
    let limit = table.amount("limit")?.map(|limit| same_unit(limit, unit, &path, line)).transpose()?;
    let zone = table.text("timezone")?;
    if limit.is_none() && zone.is_none() {
        return Err(fail(&path, line, "is missing").hint("an override changes `limit`, `timezone` or both"));
    }
    let at = table.key("timezone");
    let clock =
        zone.map(|(zone, line)| timing.clock(Some(&zone)).map_err(|e| place(e, &at, line))).transpose()?;
    table.finish()?;
    Ok(Override { matches, limit, clock })
}

pub(crate) fn same_unit(amount: Amount, unit: Unit, path: &str, line: usize) -> Result<i64> {
    if amount.unit == unit {
        return Ok(amount.value);
    }
    Err(place(
        Error::new(Code::AmountInvalid, format!("\"{amount}\" is not in the budget's unit, {unit}")),
        path,
        line,
    ))
}

/// The window keys of a budget, before a time zone is chosen.
struct Timing {
    kind: WindowKind,
    zone: String,
    at: String,
    line: usize,
}

impl Timing {
    fn read(table: &mut Table, unit: Unit) -> Result<Self> {
        let path = table.key("window");
        let line = table.line();
        let written = table.text("window")?;
        let zone_at = table.key("timezone");
        let (zone, zone_line) = table.text("timezone")?.unwrap_or_else(|| ("UTC".to_owned(), line));
        let week_starts = table.word("week_starts", &WEEKDAYS)?.unwrap_or(Weekday::Monday);
        let starts_on = table.take("starts_on");
        let kind =
            match written {
                None if unit == Unit::Concurrent => WindowKind::Lifetime,
                None => {
                    let hint = "minute, hour, day, week, month, year, \"N days\" or lifetime";
                    return Err(table.missing("window", hint));
                }
                Some((_, line)) if unit == Unit::Concurrent => {
                    return Err(fail(&path, line, "is given, but concurrent calls have no window")
                        .hint("take it out"));
                }
                Some((text, line)) => read_kind(&text, week_starts, starts_on, &table.key("starts_on"))
                    .map_err(|e| {
                        let at = e.field_name().map_or_else(|| path.clone(), str::to_owned);
                        place(e, &at, line)
                    })?,
            };
        Ok(Self { kind, zone, at: zone_at, line: zone_line })
    }

    fn clock(&self, zone: Option<&str>) -> Result<Arc<WindowClock>> {
        let clock = WindowClock::new(self.kind, zone.unwrap_or(&self.zone));
        clock.map(Arc::new).map_err(|e| place(e, &self.at, self.line))
    }
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

fn read_kind(text: &str, week: Weekday, starts_on: Option<Node>, at: &str) -> Result<WindowKind> {
    let unused = starts_on.as_ref().map(|node| node.line);
    let kind = match text {
        "minute" => WindowKind::Minute,
        "hour" => WindowKind::Hour,
        "day" => WindowKind::Day,
        "week" => WindowKind::Week(week),
        "month" => return month(starts_on, at),
        "year" => WindowKind::Year,
        "lifetime" => WindowKind::Lifetime,
        other if other.starts_with("rolling") => {
            return Err(Error::new(
                Code::ConfigInvalid,
                format!("{other:?}: rolling windows are not in this version yet"),
            )
            .hint("use a calendar window"));
        }
        other => return days(other, starts_on, at),
    };
    match unused {
        Some(line) => Err(fail(at, line, "is only for window = \"month\" (a day) and \"N days\" (a date)")),
        None => Ok(kind),
    }
}

fn month(starts_on: Option<Node>, at: &str) -> Result<WindowKind> {
    let Some(node) = starts_on else { return Ok(WindowKind::Month(1)) };
    match node.value {
        Value::Integer(day @ 1..=31) => Ok(WindowKind::Month(i8::try_from(day).unwrap_or(1))),
        _ => Err(fail(at, node.line, "is not a day of the month, 1 to 31")),
    }
}

fn days(text: &str, starts_on: Option<Node>, at: &str) -> Result<WindowKind> {
    let bad = || {
        let shown: String = text.chars().take(60).collect();
        Error::new(Code::ConfigInvalid, format!("{shown:?} is not a window"))
            .hint("minute, hour, day, week, month, year, \"N days\" or lifetime")
    };
    let count = text.strip_suffix(" days").or_else(|| text.strip_suffix(" day")).ok_or_else(bad)?;
    let count: i32 = count.trim().parse().ok().filter(|n| (1..=3660).contains(n)).ok_or_else(bad)?;
    let Some(node) = starts_on else {
        return Err(
            fail(at, 0, "is missing").hint("\"N days\" needs a first day, for example \"2026-01-01\"")
        );
    };
    let written = crate::policy::tree::text(&node, at)?;
    let anchor: Date = written.parse().map_err(|_| {
        fail(at, node.line, &format!("{written:?} is not a date")).hint("for example \"2026-01-01\"")
    })?;
    Ok(WindowKind::Days(count, anchor))
}
