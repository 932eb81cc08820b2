//! Outlines of plans, kept for scopes that come again: an application reserves many calls for the same few scopes, and
//! names, budgets, windows and limits need not be looked up for each.
//!
//! A scope is known by its address: whoever keeps the `Arc` and passes it again is recognised, whoever builds a new one
//! pays for a plan. The kept outline holds the `Arc`, so an address is not used again while it is in here.

use super::subject::Subject;
use crate::engine::{Call, CallKind, Outline, Plan};
use crate::rules::Rules;
use crate::values::{Label, Scope, Timestamp};
use arc_swap::{ArcSwapOption, Guard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many are kept.
const KEPT_MAX: usize = 256;

/// The outlines of one guard. Nothing waits here: a slot is read and replaced as a whole.
#[derive(Debug)]
pub(super) struct Outlines {
    slots: Box<[Slot]>,
    /// The snapshot that is in force: what was kept under another one does not hold.
    generation: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    kept: ArcSwapOption<Kept>,
    /// What was looked for last and not found: worth keeping when it comes again, so that a scope that is used once
    /// costs no more than a look.
    missed: AtomicU64,
}

/// An outline and whose it is.
#[derive(Debug)]
pub(super) struct Kept {
    /// As the call names it.
    provider: Option<Label>,
    subject: Arc<Subject>,
    /// What it was made of.
    rules: Arc<Rules>,
    outline: Outline,
}

/// What was found for a call.
pub(super) struct Found<'a> {
    kept: Guard<Option<Arc<Kept>>>,
    missed: Option<Missed<'a>>,
}

/// Where it would be kept.
struct Missed<'a> {
    slot: &'a Slot,
    tag: u64,
    /// [`Outlines::generation`]
    generation: &'a AtomicU64,
}

impl Outlines {
    /// None yet, under the rules of this generation.
    pub(super) fn new(generation: u64) -> Self {
        let slots = (0..KEPT_MAX).map(|_| Slot::default()).collect();
        Self { slots, generation: AtomicU64::new(generation) }
    }

    /// Looks for a call's outline.
    #[inline]
    pub(super) fn find(&self, call: &Call, scope: &Arc<Scope>, now: Timestamp) -> Found<'_> {
        let nothing = Found { kept: Guard::from_inner(None), missed: None };
        if call.kind != CallKind::Model {
            return nothing;
        }
        let tag = tag(call, scope);
        let Some(slot) = self.slots.get(place(tag)) else { return nothing };
        let kept = slot.kept.load();
        let generation = self.generation.load(Ordering::Acquire);
        let holds = |kept: &Arc<Kept>| kept.rules.generation == generation && kept.outline.holds(now);
        if kept.as_ref().is_some_and(|kept| kept.is_of(call, scope) && holds(kept)) {
            return Found { kept, missed: None };
        }
        Found { missed: Some(Missed { slot, tag, generation: &self.generation }), ..nothing }
    }

    /// Forgets everything: other rules are in force.
    pub(super) fn renew(&self, generation: u64) {
        self.generation.store(generation, Ordering::SeqCst);
        for slot in &self.slots {
            slot.kept.store(None);
        }
    }
}

impl Found<'_> {
    /// The outline, if there is one that holds.
    #[inline]
    pub(super) fn outline(&self) -> Option<&Outline> {
        self.kept.as_ref().map(|kept| &kept.outline)
    }

    /// The rules that it holds under, which are those in force.
    #[inline]
    pub(super) fn rules(&self) -> Option<&Arc<Rules>> {
        self.kept.as_ref().map(|kept| &kept.rules)
    }

    /// What the call has in common with the one that the outline was made for.
    #[inline]
    pub(super) fn subject(&self) -> Option<&Arc<Subject>> {
        self.kept.as_ref().map(|kept| &kept.subject)
    }

    /// Keeps what had to be planned, if it was not found for the second time in a row.
    #[inline]
    pub(super) fn keep(&self, call: &Call, scope: &Arc<Scope>, plan: &Plan<'_>, rules: &Arc<Rules>) {
        let Some(missed) = &self.missed else { return };
        if missed.slot.missed.swap(missed.tag, Ordering::Relaxed) == missed.tag {
            missed.keep(call, scope, plan, rules);
        }
    }
}

impl Missed<'_> {
    #[cold]
    fn keep(&self, call: &Call, scope: &Arc<Scope>, plan: &Plan<'_>, rules: &Arc<Rules>) {
        let Some(outline) = Outline::of(plan, rules) else { return };
        let subject = Arc::new(Subject::of(call, scope, plan.entry.as_deref(), &rules.legend));
        let (provider, rules) = (call.provider.clone(), Arc::clone(rules));
        let generation = rules.generation;
        self.slot.kept.store(Some(Arc::new(Kept { provider, subject, rules, outline })));
        // Rules that were replaced meanwhile must not stay in memory because of it.
        if self.generation.load(Ordering::SeqCst) != generation {
            self.slot.kept.store(None);
        }
    }
}

impl Kept {
    #[inline]
    fn is_of(&self, call: &Call, scope: &Arc<Scope>) -> bool {
        Arc::ptr_eq(&self.subject.scope, scope)
            && self.subject.model == call.model
            && self.provider == call.provider
    }
}

/// Tells scopes and models apart, well enough for a slot: the comparison decides.
#[inline]
fn tag(call: &Call, scope: &Arc<Scope>) -> u64 {
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    let tail = call.model.as_bytes().last_chunk::<8>().map_or(0, |tail| u64::from_le_bytes(*tail));
    let address = u64::try_from(Arc::as_ptr(scope).addr()).unwrap_or(0);
    (address ^ tail.rotate_left(32) ^ u64::try_from(call.model.len()).unwrap_or(0)).wrapping_mul(SPREAD) | 1
}

#[inline]
fn place(tag: u64) -> usize {
    usize::try_from(tag >> 56).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::guard::{BalanceQuery, Guard};
    use crate::values::Scope;
    use crate::{Call, Code};
    use std::sync::Arc;

    const PRICES: &str = "catalog = 1\nprovider = \"p\"\n[[models.m.prices]]\nrates = { input = \"1\", output = \"2\" }\n\
         [[models.n.prices]]\nrates = { input = \"10\", output = \"20\" }";

    fn config(limit: &str) -> String {
        format!("[[budgets]]\nname = \"b\"\nper = [\"tenant\"]\nlimit = \"{limit}\"\nwindow = \"minute\"")
    }

    fn call(model: &str, scope: &Arc<Scope>) -> Call {
        Call::new("p", model).scope(Arc::clone(scope)).input_tokens(1_000).max_output_tokens(0)
    }

    #[test]
    fn a_kept_outline_says_what_a_fresh_plan_says() {
        let clock =
            crate::clock::ManualClock::new(crate::values::Timestamp::parse("2026-11-20T10:00:30Z").unwrap());
        let guard = Guard::builder()
            .config_text("t", &config("0.004 USD"))
            .prices("p.toml", PRICES)
            .clock(crate::clock::Clock::Manual(clock.clone()))
            .build()
            .unwrap();
        let mut scope = Scope::default();
        scope.set(&crate::values::Dimension::Tenant, Some("acme")).unwrap();
        let scope = Arc::new(scope);
        let spend = |model: &str| guard.reserve(&call(model, &scope)).map(|hold| hold.reserved().0);
        // Planned, kept, found; and another model with the same scope is not mistaken for it.
        assert_eq!([spend("m"), spend("m"), spend("m")], [Ok(1_000_000), Ok(1_000_000), Ok(1_000_000)]);
        assert!(spend("n").is_err());
        assert_eq!(spend("m"), Ok(1_000_000));
        assert!(spend("m").is_err());
        // A new window, a changed limit and a stop are seen at once.
        clock.advance(60_000);
        assert_eq!(spend("m"), Ok(1_000_000));
        let query = BalanceQuery::default();
        assert_eq!(guard.balances(&query).unwrap().items[0].limit, 4_000_000);
        guard.set_limit("b", Some(crate::values::Amount::parse("0.001 USD").unwrap()), &scope).unwrap();
        assert!(spend("m").is_err());
        guard.set_limit("b", None, &scope).unwrap();
        assert_eq!(spend("m"), Ok(1_000_000));
        guard.stop("test", &scope).unwrap();
        let crate::guard::ReserveError::Denied(denial) = spend("m").unwrap_err() else { panic!("a denial") };
        assert_eq!(denial.code, Code::Stopped);
    }
}
