//! `spendrail.toml`, top to bottom.

use super::budget::{BUDGETS_MAX, Budget, Enforce};
use super::matcher::Matcher;
use super::run_limits::RunRule;
use super::tree::{Node, Table, fail, place};
use super::{Mode, Policy, PriceSettings, StopRule};
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::values::{Dimension, Duration, Label};
use std::collections::HashSet;
use std::sync::Arc;

const RULES_MAX: usize = 10_000;

/// `[ledger]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSettings {
    /// Keeps the accounts of several deployments apart.
    pub namespace: String,
    /// Refuse the memory ledger in forked or clustered processes.
    pub require_shared: bool,
    /// How long a hold lives without a sign of its owner.
    pub hold_ttl: Duration,
    /// How long a call may take at most.
    pub max_call_duration: Duration,
    /// How long what is settled is remembered.
    pub retention: Duration,
    /// Most accounts that are kept.
    pub max_accounts: usize,
    /// Most entries that are kept for statements; 0: none.
    pub journal: usize,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            require_shared: false,
            hold_ttl: Duration::from_seconds(60),
            max_call_duration: Duration::from_seconds(3600),
            retention: Duration::from_seconds(48 * 3600),
            max_accounts: 1_000_000,
            journal: 0,
        }
    }
}

/// An endpoint that may pass without a guard although it can cost money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRule {
    /// The path's pattern, `*` for any run of characters: `"/images/*"`.
    pub path: String,
}

impl Policy {
    /// Reads a configuration text (TOML, or JSON if it starts with `{`). `file` names it in errors.
    ///
    /// # Errors
    /// `config_invalid`, `amount_invalid`, `amount_too_large`, `label_invalid`, each with field, line and hint.
    pub fn parse(text: &str, file: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let read = Node::parse(text, env).and_then(|node| Self::read(Table::new(node, "")?));
        read.map_err(|e| {
            let line = e.line();
            e.at(file, line)
        })
    }

    /// Reads a configuration text with values from code over it: a key in code replaces the one of the file, tables
    /// merge key by key.
    ///
    /// # Errors
    /// As [`Policy::parse`]; errors in values from code have no line.
    pub fn load(
        text: &str,
        file: &str,
        values: Option<&serde_json::Value>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let Some(values) = values else { return Self::parse(text, file, env) };
        let over = Node::from_json(values)?;
        let root = Node::parse(text, env).map_err(|e| {
            let line = e.line();
            e.at(file, line)
        })?;
        Self::read(Table::new(root.under(over), "")?).map_err(|e| match e.line() {
            Some(line) => e.at(file, Some(line)),
            None => e,
        })
    }

    fn read(mut table: Table) -> Result<Self> {
        let modes = [("enforce", Mode::Enforce), ("observe", Mode::Observe), ("off", Mode::Off)];
        let mode = table.word("mode", &modes)?.unwrap_or_default();
        let version = table.integer("policy_version", 0..=i64::MAX)?;
        let ledger = read_ledger(table.table("ledger")?)?;
        let require = read_require(table.table("scope")?)?;
        let (prices, endpoints) = (PriceSettings::read(table.table("prices")?)?, read_endpoints(&mut table)?);
        read_estimate(table.table("estimate")?)?;
        let telemetry = super::telemetry::read(table.table("telemetry")?)?;
        let budgets = read_budgets(&mut table)?;
        let run_limits =
            bounded(&mut table, "run_limits")?.into_iter().map(RunRule::read).collect::<Result<_>>()?;
        let stops =
            bounded(&mut table, "stops")?.into_iter().enumerate().map(read_stop).collect::<Result<_>>()?;
        table.not_yet("velocity", &[])?;
        table.finish()?;
        let warnings = warnings(&budgets);
        Ok(Self {
            mode,
            policy_version: version.and_then(|v| u64::try_from(v).ok()),
            ledger,
            require,
            prices,
            telemetry,
            budgets,
            run_limits,
            stops,
            endpoints,
            warnings,
        })
    }
}

fn bounded(table: &mut Table, key: &'static str) -> Result<Vec<Table>> {
    let (path, line) = (table.key(key), table.line());
    let tables = table.tables(key)?;
    if tables.len() > RULES_MAX {
        return Err(fail(&path, line, &format!("has more than {RULES_MAX} entries")));
    }
    Ok(tables)
}

fn read_ledger(mut table: Table) -> Result<LedgerSettings> {
    let default = LedgerSettings::default();
    let path = table.key("url");
    if let Some((url, line)) = table.text("url")?
        && url != "memory:"
    {
        let shown = url.split_once("://").map_or(url.as_str(), |(scheme, _)| scheme);
        return Err(fail(&path, line, &format!("a ledger of kind {shown:?} is not in this version yet"))
            .hint("use \"memory:\""));
    }
    table.not_yet("durability", &["process"])?;
    table.not_yet("outage", &["lease_only"])?;
    let settings = LedgerSettings {
        namespace: table.text("namespace")?.map_or(default.namespace, |(text, _)| text),
        require_shared: table.boolean("require_shared")?.unwrap_or(default.require_shared),
        hold_ttl: table.duration("hold_ttl")?.unwrap_or(default.hold_ttl),
        max_call_duration: longest_call(&mut table)?.unwrap_or(default.max_call_duration),
        retention: table.duration("retention")?.unwrap_or(default.retention),
        max_accounts: table
            .integer("max_accounts", 1..=100_000_000)?
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(default.max_accounts),
        journal: table
            .integer("journal", 0..=10_000_000)?
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(default.journal),
    };
    table.finish()?;
    Ok(settings)
}

fn longest_call(table: &mut Table) -> Result<Option<Duration>> {
    let path = table.key("max_call_duration");
    let Some((text, line)) = table.text("max_call_duration")? else { return Ok(None) };
    let longest = Duration::parse(&text).map_err(|e| place(e, &path, line))?;
    if longest == Duration::default() {
        let why = format!("{text:?} is no time: every hold would expire at once");
        return Err(fail(&path, line, &why).hint("how long a call may take at most, for example \"1h\""));
    }
    Ok(Some(longest))
}

fn read_require(mut table: Table) -> Result<Vec<Dimension>> {
    let path = table.key("require");
    let texts = table.texts("require")?.unwrap_or_default();
    table.finish()?;
    texts.into_iter().map(|(text, line)| super::matcher::dimension(&text, &path, line)).collect()
}

fn read_endpoints(table: &mut Table) -> Result<Vec<EndpointRule>> {
    let mut endpoints = table.table("endpoints")?;
    let allow = endpoints.texts("allow")?.unwrap_or_default();
    endpoints.finish()?;
    Ok(allow.into_iter().map(|(path, _)| EndpointRule { path }).collect())
}

fn read_estimate(mut table: Table) -> Result<()> {
    table.not_yet("input", &["worst_case"])?;
    table.not_yet("stream_hold", &["full"])?;
    table.finish()
}

fn read_budgets(table: &mut Table) -> Result<Vec<Arc<Budget>>> {
    let (path, line) = (table.key("budgets"), table.line());
    let tables = table.tables("budgets")?;
    if tables.len() > BUDGETS_MAX {
        return Err(fail(&path, line, &format!("has more than {BUDGETS_MAX} entries")));
    }
    let mut names = HashSet::new();
    let mut budgets = Vec::with_capacity(tables.len());
    for table in tables {
        let (at, line) = (table.key("name"), table.line());
        let budget = Budget::read(table)?;
        if !names.insert(Arc::clone(&budget.name)) {
            return Err(fail(&at, line, &format!("{:?} is the name of another budget too", budget.name)));
        }
        budgets.push(Arc::new(budget));
    }
    let always = budgets.iter().filter(|budget| budget.matches.is_everything()).count();
    if always > super::LEGS_PER_CALL_MAX {
        let message = format!(
            "{always} budgets match every call, at most {} legs are possible",
            super::LEGS_PER_CALL_MAX
        );
        return Err(place(Error::new(Code::TooManyLegs, message), &path, line));
    }
    Ok(budgets)
}

fn read_stop((at, mut table): (usize, Table)) -> Result<StopRule> {
    let path = table.key("match");
    let line = table.line();
    let matches = Matcher::read(table.table("match")?)?;
    if matches.is_everything() {
        return Err(
            fail(&path, line, "is missing or matches everything").hint("to stop all calls, name the tenants")
        );
    }
    let reason = table.text("reason")?.map_or_else(|| Label::from("stopped"), |(text, _)| text.into());
    table.finish()?;
    Ok(StopRule { id: format!("file-{}", at.saturating_add(1)).into(), matches, reason })
}

/// A hard budget that only catches some values of a dimension lets the others pass without a word.
fn warnings(budgets: &[Arc<Budget>]) -> Vec<String> {
    let caught = |dimension: &Dimension| {
        budgets.iter().any(|b| b.enforce == Enforce::Hard && b.matches.dimensions().all(|d| d != dimension))
    };
    let mut out = Vec::new();
    for budget in budgets.iter().filter(|b| b.enforce == Enforce::Hard) {
        if let Some(dimension) = budget.matches.dimensions().find(|dimension| !caught(dimension)) {
            out.push(format!(
                "budget `{}` covers only {}; no hard budget catches calls with another {dimension}, or without one",
                budget.name,
                budget.matches.describe(),
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policy> {
        Policy::parse(text, "spendrail.toml", &|_| None)
    }

    const BUDGET: &str = "[[budgets]]\nname = \"b\"\nlimit = \"50 USD\"\nwindow = \"day\"\n";

    #[test]
    fn a_small_file_gets_the_defaults_of_the_design() {
        let policy = parse(BUDGET).unwrap();
        let budget = policy.budget("b").unwrap();
        assert_eq!(
            (policy.mode, budget.enforce, budget.limits.limit),
            (Mode::Enforce, Enforce::Hard, 50_000_000_000)
        );
        assert_eq!(budget.release_cap.of(100), 5);
        assert_eq!(policy.ledger.max_accounts, 1_000_000);
    }

    #[test]
    fn errors_name_file_line_key_and_hint() {
        let error = parse(&format!("{BUDGET}windwo = \"day\"\n")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "spendrail.toml:5: `budgets[0].windwo`: is an unknown key (did you mean `window`?)"
        );
        for (line, key) in [
            ("endpoint = \"ftp://x\"", "endpoint"),
            ("mode = \"host\"", "mode"),
            ("metric_attributes = [\"run\"]", "metric_attributes"),
            ("headers = { \"\" = \"x\" }", "headers"),
        ] {
            let error =
                parse(&format!("[telemetry]\nservice_name = \"s\"\n{line}\n")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("spendrail.toml:3: `telemetry.{key}`: ")), "{error}");
        }
        for (line, shown) in [("release_cap = \"0.001%\"", "0.001%"), ("release_cap = \"150%\"", "150%")] {
            let error = parse(&format!("{BUDGET}{line}\n")).unwrap_err();
            assert!(error.message().contains(shown) && error.hint_text().is_some(), "{error}");
        }
    }

    #[test]
    fn bad_input_is_refused_with_a_code() {
        let cases = [
            ("limit = 50", Code::AmountInvalid),
            ("limit = 0.5", Code::AmountInvalid),
            ("limit = \"-1 USD\"", Code::AmountInvalid),
            ("limit = \"2000000000 USD\"", Code::AmountTooLarge),
            ("timezone = \"Mars/Olympus\"", Code::ConfigInvalid),
            ("name = \"\"", Code::LabelInvalid),
            ("per = [\"tennant\"]", Code::ConfigInvalid),
            ("window = \"30d\"", Code::ConfigInvalid),
            ("window = \"rolling 24h\"", Code::ConfigInvalid),
            ("limit = \"5 concurrent\"", Code::ConfigInvalid),
            ("on_exceed = { wait = \"10s\" }", Code::ConfigInvalid),
            ("release_cap = \"101%\"", Code::ConfigInvalid),
            ("alerts = [\"80\"]", Code::ConfigInvalid),
            ("enforce = true", Code::ConfigInvalid),
            ("overrides = [{ match = { tenant = \"a\" }, limit = \"5 tokens\" }]", Code::AmountInvalid),
        ];
        for (line, code) in cases {
            let key = line.split(' ').next().unwrap();
            let kept: String =
                BUDGET.lines().filter(|l| !l.starts_with(key)).map(|l| format!("{l}\n")).collect();
            let error = parse(&format!("{kept}{line}\n")).unwrap_err();
            assert_eq!(error.code(), code, "{line}: {error}");
            assert!(error.line().is_some(), "{line}: {error}");
        }
        let twice = parse(&format!("{BUDGET}{BUDGET}")).unwrap_err();
        assert!(twice.to_string().contains("another budget"), "{twice}");
        assert!(
            parse("[ledger]\nurl = \"redis://:secret@host\"").unwrap_err().to_string().contains("\"redis\"")
        );
    }

    #[test]
    fn a_literal_match_that_leaves_a_hole_warns() {
        let literal = format!("{BUDGET}match = {{ tenant = \"acme\" }}\n");
        assert_eq!(parse(&literal).unwrap().warnings.len(), 1);
        let caught = format!("{literal}[[budgets]]\nname = \"rest\"\nlimit = \"1 USD\"\nwindow = \"day\"\n");
        assert!(parse(&caught).unwrap().warnings.is_empty());
    }
}
