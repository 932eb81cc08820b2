//! The answer "no": why, by how much, and when to try again.

use super::account::Balance;
use crate::codes::Code;
use crate::policy::Enforce;
use crate::values::{Amount, Label, Timestamp, Unit};
use std::fmt;

/// One account that a call does not fit on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The account as it was.
    pub balance: Balance,
    /// What the call would take of it.
    pub wanted: i64,
    /// Whether this account denies, or only reports.
    pub enforce: Enforce,
}

impl Failure {
    /// It belongs to a run, not to a budget.
    #[must_use]
    pub fn is_run_limit(&self) -> bool {
        self.balance.budget.starts_with("run.")
    }

    /// The account's labels, for people: `tenant=acme, user=-`.
    #[must_use]
    pub fn scope_text(&self) -> String {
        let one = |(dimension, value): &(_, Option<Label>)| {
            format!("{dimension}={}", value.as_deref().unwrap_or("-"))
        };
        self.balance.scope.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// Why a call is refused before any account is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub code: Code,
    /// What it is about: a model, a dimension, a stop, a limit.
    pub subject: Label,
    /// More for people.
    pub detail: Label,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(code: Code, subject: &str, detail: &str) -> Self {
        Self { code, subject: subject.into(), detail: detail.into() }
    }
}

/// A call that is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The first reason.
    pub code: Code,
    /// Why, where no account was the reason.
    pub refusal: Option<Refusal>,
    /// Every account that the call does not fit on.
    pub failures: Vec<Failure>,
    /// The most output tokens with which the call would fit now; `None` if it would not, or if output is not the
    /// question.
    pub max_output_tokens: Option<u64>,
    /// When it could fit: the latest reset of the failing windows. `None`: waiting alone does not help.
    pub retry_at: Option<Timestamp>,
    /// When it was denied.
    pub denied_at: Timestamp,
}

impl Denial {
    /// Refused before any account was asked.
    #[must_use]
    pub fn refused(refusal: Refusal, now: Timestamp) -> Self {
        Self {
            code: refusal.code,
            refusal: Some(refusal),
            failures: Vec::new(),
            max_output_tokens: None,
            retry_at: None,
            denied_at: now,
        }
    }

    /// Refused by accounts.
    #[must_use]
    pub fn by_accounts(failures: Vec<Failure>, now: Timestamp) -> Self {
        let hard = || failures.iter().filter(|failure| failure.enforce == Enforce::Hard);
        let rate = |unit: Unit| matches!(unit, Unit::Requests | Unit::ToolCalls | Unit::Concurrent);
        let code = if hard().any(Failure::is_run_limit) {
            Code::RunLimitExceeded
        } else if hard().all(|failure| rate(failure.balance.unit)) {
            Code::RateExceeded
        } else {
            Code::BudgetExceeded
        };
        let helps = |failure: &Failure| {
            let fits_empty = failure.wanted <= failure.balance.limit;
            failure.balance.resets_at.filter(|_| fits_empty)
        };
        let retry_at = hard().map(helps).try_fold(now, |latest, at| at.map(|at| latest.max(at)));
        Self { code, refusal: None, failures, max_output_tokens: None, retry_at, denied_at: now }
    }

    /// Milliseconds until [`Denial::retry_at`].
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<i64> {
        self.retry_at.map(|at| at.millis_since(self.denied_at))
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(refusal) = &self.refusal {
            return write_refusal(f, refusal);
        }
        let mut first = true;
        for failure in self.failures.iter().filter(|failure| failure.enforce == Enforce::Hard) {
            if !std::mem::take(&mut first) {
                f.write_str("; ")?;
            }
            write_failure(f, failure)?;
        }
        Ok(())
    }
}

fn write_refusal(f: &mut fmt::Formatter<'_>, refusal: &Refusal) -> fmt::Result {
    let Refusal { code, subject, detail } = refusal;
    match code {
        Code::UnknownModel => {
            write!(f, "no price is known for model `{subject}`")?;
            if !detail.is_empty() {
                write!(f, " {detail}")?;
            }
            f.write_str(": check its name, list it in a file of `[prices]`, or set `on_unknown_model`")
        }
        Code::AmbiguousModel => write!(f, "several providers sell `{subject}` ({detail}): name one"),
        Code::UnpricedBucket => {
            write!(f, "model `{subject}` has no rate for `{detail}`, which this call can be billed for: ")?;
            f.write_str("list one in a file of `[prices]`, or set `on_unpriced_bucket`")
        }
        Code::UnboundedOutput => write!(f, "the output of `{subject}` has no maximum: {detail}"),
        Code::UnboundedInput => write!(f, "the size of the input for `{subject}` is not known: {detail}"),
        Code::ScopeMissing => write!(f, "the call has no `{subject}`, which the policy requires"),
        Code::Stopped => write!(f, "stopped by `{subject}`: {detail}"),
        Code::RunLimitExceeded => write!(f, "run `{subject}`: {detail}"),
        Code::LoopDetected => write!(f, "run `{subject}`: {detail}"),
        Code::RunClosed => write!(f, "run `{subject}` has ended"),
        Code::UnguardedEndpoint => write!(f, "`{subject}` may cost money and is not guarded: {detail}"),
        _ => write!(f, "{subject}: {detail}"),
    }
}

/// ``budget `tenant-day` of tenant=acme is spent: 49.9 of 50 USD, this call needs up to 0.42, resets 2026-…``
fn write_failure(f: &mut fmt::Formatter<'_>, failure: &Failure) -> fmt::Result {
    let balance = &failure.balance;
    let amount = |value| Amount::new(balance.unit, value);
    let scope = failure.scope_text();
    match (failure.is_run_limit(), scope.is_empty()) {
        (true, _) => write!(f, "limit `{}` of {scope}", balance.budget)?,
        (false, true) => write!(f, "budget `{}`", balance.budget)?,
        (false, false) => write!(f, "budget `{}` of {scope}", balance.budget)?,
    }
    let used = balance.spent.saturating_add(balance.held).saturating_add(balance.unconfirmed);
    let total = balance.limit.saturating_add(balance.topped_up);
    let word = if balance.available <= 0 { "is spent" } else { "does not have enough left" };
    let used = amount(used).to_string();
    let used = used.strip_suffix(balance.unit.as_str()).unwrap_or(&used).trim_end();
    write!(f, " {word}: {used} of {} used or on hold, ", amount(total))?;
    write!(f, "this call needs up to {}", amount(failure.wanted))?;
    match balance.resets_at {
        Some(at) => write!(f, ", resets {at}"),
        None => Ok(()),
    }
}

/// What [`crate::guard::Guard::check`] answers: would the call be admitted now?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it would be.
    pub allowed: bool,
    /// Why not; also present when the mode is `observe` and it would have been denied.
    pub denial: Option<Denial>,
    /// What the call would hold, in nano-USD.
    pub worst_case_nano_usd: i64,
    /// The worst case of the input.
    pub input_tokens: u64,
    /// The worst case of the output.
    pub output_tokens: u64,
}
