//! From a call to its legs, without seeing an account.

use super::account::{Account, Balance};
use super::books::LegRequest;
use super::command::{Call, CallKind};
use super::denial::Refusal;
use super::estimate::{Estimate, estimate};
use super::key::{self, AccountKeys};
use super::outline::{Outline, OutlinedLeg};
use crate::catalog::ModelEntry;
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::policy::{Enforce, Facts, LEGS_PER_CALL_MAX, RunLimits, Window};
use crate::requests::OtherModel;
use crate::rules::{AccountRule, ActiveBudget, Priced, Rules};
use crate::values::{Label, Scope, Timestamp};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// One run of a call's chain: the run itself, or one above it.
#[derive(Clone, Debug)]
pub struct RunFrame {
    /// The run's id.
    pub id: Label,
    /// Its own limits.
    pub limits: RunLimits,
    /// Whether they deny.
    pub enforce: Enforce,
    /// When it began.
    pub started: Timestamp,
}

/// One account that a call touches.
#[derive(Clone, Debug)]
pub struct PlannedLeg<'r> {
    /// What the account's budget says.
    pub rule: &'r Arc<AccountRule>,
    /// Its key, in [`Plan::keys`].
    pub key: Range<usize>,
    /// The hash of its key.
    pub hash: u64,
    /// Its window.
    pub window: Window,
    /// Its limit.
    pub limit: i64,
}

impl<'r> PlannedLeg<'r> {
    /// As the books want it.
    #[must_use]
    pub fn request<'a>(&self, keys: &'a AccountKeys) -> LegRequest<'a>
    where
        'r: 'a,
    {
        let Self { rule, ref key, hash, window, limit } = *self;
        LegRequest { rule, key: keys.get(key), hash, window, limit, hint: None }
    }
}

/// All accounts of a call: those of the outline that was kept for it, then those that were planned for it alone.
#[derive(Clone, Copy, Debug)]
pub struct Accounts<'a> {
    outlined: &'a [OutlinedLeg],
    legs: &'a [PlannedLeg<'a>],
    keys: &'a AccountKeys,
}

impl<'a> Accounts<'a> {
    /// As the books want them, in the order of the plan.
    #[inline]
    pub(super) fn requests(&self) -> impl Iterator<Item = LegRequest<'a>> + use<'a> {
        let keys = self.keys;
        self.outlined
            .iter()
            .map(OutlinedLeg::request)
            .chain(self.legs.iter().map(move |leg| leg.request(keys)))
    }
}

/// What a call would do.
#[derive(Debug)]
pub struct Plan<'r> {
    /// The price entry; `None` for a tool, or if the model is not known.
    pub entry: Option<Cow<'r, Arc<ModelEntry>>>,
    /// The worst case.
    pub estimate: Estimate,
    /// The accounts of the kept outline, if there is one; they come before the others.
    outlined: &'r [OutlinedLeg],
    /// The accounts that are not in it.
    pub legs: SmallVec<[PlannedLeg<'r>; 4]>,
    /// Their keys.
    pub keys: AccountKeys,
    /// Why it must not be made, whatever the accounts say.
    pub refusal: Option<Refusal>,
}

/// Plans a call for `scope` under these rules at this instant, in the runs of `frames` (the innermost first).
///
/// # Errors
/// `too_many_legs`: more than 64 accounts. `amount_too_large`: it could cost more than one operation may carry.
pub fn plan<'r>(
    call: &Call,
    scope: &Scope,
    rules: &'r Rules,
    frames: &[RunFrame],
    now: Timestamp,
) -> Result<Plan<'r>> {
    let mut plan = Plan::empty();
    plan.fill(call, scope, rules, frames, now, None)?;
    Ok(plan)
}

type Entry<'r> = Option<Cow<'r, Arc<ModelEntry>>>;

fn resolve<'r>(call: &Call, scope: &Scope, rules: &'r Rules) -> (Entry<'r>, Option<Refusal>) {
    let (provider, model) = rules.deployment(call.provider.as_deref(), &call.model);
    priced(rules, provider, model, call.provider.as_deref(), scope)
}

/// The entry, and why it must not be used. Both, where something was billed that it has no rate for: what is recorded
/// or only observed is priced as far as it can be.
fn priced<'r>(
    rules: &'r Rules,
    provider: Option<&str>,
    model: &str,
    seller: Option<&str>,
    scope: &Scope,
) -> (Entry<'r>, Option<Refusal>) {
    let place = || provider.map_or_else(String::new, |provider| format!("at `{provider}`"));
    match rules.price(provider, model, seller, scope) {
        Priced::By { entry, .. } => {
            let distrusted = rules.distrusted(&entry);
            (Some(entry), distrusted.map(|(code, detail)| Refusal::new(code, model, &detail)))
        }
        Priced::Unknown => (None, Some(Refusal::new(Code::UnknownModel, model, &place()))),
        Priced::Ambiguous(providers) => {
            (None, Some(Refusal::new(Code::AmbiguousModel, model, &providers.join(", "))))
        }
    }
}

/// The models that can be billed besides the one that was asked for.
fn other_models(
    call: &Call,
    scope: &Scope,
    rules: &Rules,
    refusal: &mut Option<Refusal>,
) -> SmallVec<[(Arc<ModelEntry>, OtherModel); 1]> {
    let mut found = SmallVec::new();
    for other in &call.other_models {
        let (entry, why) = priced(rules, call.provider.as_deref(), &other.model, None, scope);
        found.extend(entry.map(|entry| (entry.into_owned(), other.clone())));
        *refusal = refusal.take().or(why);
    }
    found
}

fn facts<'a>(call: &'a Call, scope: &'a Scope, entry: Option<&'a Arc<ModelEntry>>) -> Facts<'a> {
    let tool = match &call.kind {
        CallKind::Tool { name, .. } => Some(&**name),
        CallKind::Model => None,
    };
    let model = tool.is_none().then_some(&*call.model);
    Facts {
        scope,
        // What stands for a model of no provider has none either.
        provider: entry
            .map(|entry| &**entry.provider())
            .filter(|p| !p.is_empty())
            .or(call.provider.as_deref()),
        model: entry.map(|entry| &**entry.model()).or(model),
        tool,
    }
}

/// What is asked before any account: stops and required dimensions.
fn not_admitted(facts: &Facts<'_>, rules: &Rules) -> Option<Refusal> {
    if let Some(stop) = rules.stops.iter().find(|stop| stop.matches.matches(facts)) {
        return Some(Refusal::new(Code::Stopped, &stop.id, &stop.reason));
    }
    let missing = rules.policy.require.iter().find(|dimension| facts.get(dimension).is_none());
    missing.map(|dimension| Refusal::new(Code::ScopeMissing, &dimension.to_string(), ""))
}

/// Whether a run of the chain has lasted too long.
fn out_of_time(frames: &[RunFrame], now: Timestamp) -> Option<Refusal> {
    frames.iter().filter(|frame| frame.enforce == Enforce::Hard).find_map(|frame| {
        let most = frame.limits.max_duration?;
        (now >= frame.started.saturating_add(most)).then(|| {
            let detail = format!("it may last {} ms and began at {}", most.millis(), frame.started);
            Refusal::new(Code::RunLimitExceeded, &frame.id, &detail)
        })
    })
}

/// In the order of [`Rules::run_rules`].
fn limits_of_run(limits: &RunLimits) -> [Option<i64>; 4] {
    [limits.max_calls, limits.max_tool_calls, limits.max_tokens, limits.max_cost]
}

impl<'r> Plan<'r> {
    /// No accounts.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            entry: None,
            estimate: Estimate::default(),
            outlined: &[],
            legs: SmallVec::new(),
            keys: AccountKeys::default(),
            refusal: None,
        }
    }

    /// Fills an empty plan, where it stays: a plan is large. `outline` is what an earlier plan found out for the same
    /// scope and model, if it still holds.
    ///
    /// # Errors
    /// As [`plan`].
    #[inline]
    pub fn fill(
        &mut self,
        call: &Call,
        scope: &Scope,
        rules: &'r Rules,
        frames: &[RunFrame],
        now: Timestamp,
        outline: Option<&'r Outline>,
    ) -> Result<()> {
        match outline {
            Some(outline) => {
                self.entry = Some(Cow::Borrowed(outline.entry()));
                self.outlined = outline.legs();
            }
            None => self.find_accounts(call, scope, rules, now)?,
        }
        let stopped = |first: &Refusal| matches!(first.code, Code::Stopped | Code::ScopeMissing);
        if let Some(why) = out_of_time(frames, now) {
            self.refusal = Some(self.refusal.take().filter(stopped).unwrap_or(why));
        }
        let others = match call.other_models.is_empty() {
            true => SmallVec::new(),
            false => other_models(call, scope, rules, &mut self.refusal),
        };
        self.estimate = match estimate(call, self.entry.as_deref().map(|entry| &**entry), &others, now) {
            Ok(estimate) => estimate,
            Err(why) if why.code == Code::AmountTooLarge => {
                return Err(Error::new(why.code, why.detail.to_string()).field("max_output_tokens"));
            }
            Err(why) => {
                self.refusal.get_or_insert(why);
                Estimate::default()
            }
        };
        self.add_runs(rules, frames);
        self.bounded()
    }

    /// The price entry, and the accounts of the budgets that match; or why there is no more to ask.
    fn find_accounts(&mut self, call: &Call, scope: &Scope, rules: &'r Rules, now: Timestamp) -> Result<()> {
        if call.kind == CallKind::Model {
            (self.entry, self.refusal) = resolve(call, scope, rules);
        }
        let entry = self.entry.clone();
        let facts = facts(call, scope, entry.as_deref());
        if let Some(why) = not_admitted(&facts, rules) {
            self.refusal = Some(why);
        }
        self.add_budgets(&facts, rules, now)
    }

    /// Adds the accounts of the budgets that match.
    ///
    /// # Errors
    /// `too_many_legs`: more than 64 accounts.
    pub fn add_budgets(&mut self, facts: &Facts<'_>, rules: &'r Rules, now: Timestamp) -> Result<()> {
        for active in rules.budgets.iter().filter(|active| active.budget.matches.matches(facts)) {
            self.add_budget(active, facts, rules, now);
            if self.legs.len() > LEGS_PER_CALL_MAX {
                return Err(self.too_many());
            }
        }
        Ok(())
    }

    /// Adds the account of one budget.
    pub fn add_budget(
        &mut self,
        active: &'r ActiveBudget,
        facts: &Facts<'_>,
        rules: &'r Rules,
        now: Timestamp,
    ) {
        let keys = &mut self.keys;
        let key = keys.push_budget(active.rule.id, &active.budget, facts);
        let (limit, clock) = rules.limits_of(active, facts, keys.get(&key));
        let window = clock.at(now);
        let key = keys.push_window(key, window.start);
        let hash = key::hash(keys.get(&key));
        self.legs.push(PlannedLeg { rule: &active.rule, key, hash, window, limit });
    }

    /// Adds the accounts of runs.
    pub fn add_runs(&mut self, rules: &'r Rules, frames: &[RunFrame]) {
        for frame in frames {
            for (rule, limit) in rules.run_rules(frame.enforce).iter().zip(limits_of_run(&frame.limits)) {
                let Some(limit) = limit else { continue };
                let key = self.keys.push_run(rule.id, frame);
                let hash = key::hash(self.keys.get(&key));
                let window = Window::LIFETIME;
                self.legs.push(PlannedLeg { rule, key, hash, window, limit });
            }
        }
    }

    fn bounded(&self) -> Result<()> {
        if self.count() > LEGS_PER_CALL_MAX { Err(self.too_many()) } else { Ok(()) }
    }

    fn count(&self) -> usize {
        self.outlined.len().saturating_add(self.legs.len())
    }

    fn too_many(&self) -> Error {
        let message = format!(
            "{} accounts or more for one call, at most {LEGS_PER_CALL_MAX} are possible",
            self.count()
        );
        Error::new(Code::TooManyLegs, message).hint("use fewer budgets, or runs that are less deep")
    }

    /// The accounts, as a ledger wants them.
    #[must_use]
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts { outlined: self.outlined, legs: &self.legs, keys: &self.keys }
    }

    /// One leg as the books want it.
    #[must_use]
    pub fn request(&self, leg: &PlannedLeg<'r>) -> LegRequest<'_> {
        leg.request(&self.keys)
    }

    /// The bytes of a leg's key.
    #[must_use]
    pub fn key(&self, leg: &PlannedLeg<'_>) -> &[u8] {
        self.keys.get(&leg.key)
    }

    /// The balance of an account that no call has touched.
    #[must_use]
    pub fn untouched(&self, leg: &PlannedLeg<'_>, now: Timestamp) -> Balance {
        Account::new(leg.rule, self.key(leg), leg.window, leg.limit, 0).balance(now)
    }
}

/// The part of an account's key that limits set in code are filed under.
#[must_use]
pub fn limit_key(key: &[u8]) -> &[u8] {
    key::without_window(key)
}
