//! What another configuration, or other prices, would have done to calls that were made: every entry of a statement is
//! reserved and settled again, at its own time, on a guard that nobody else uses.

use super::journal::Entry;
use super::{BalanceQuery, Guard, GuardBuilder, Hold, PAGE_MAX, ReserveError, Settlement};
use crate::clock::{Clock, ManualClock};
use crate::codes::Code;
use crate::engine::{Balance, Call, Denial};
use crate::error::{Error, Result};
use crate::policy::Enforce;
use crate::values::{AttoUsd, Label, NanoUsd, Timestamp};
use std::sync::Arc;

/// Most entries of one simulation.
pub const ENTRIES_MAX: usize = 1_000_000;

/// What would have been.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    /// How many calls there were.
    pub calls: u64,
    /// How many of them would have been denied.
    pub denied: u64,
    /// What the others would have cost, exactly.
    pub cost: AttoUsd,
    /// The same as it would have been posted.
    pub posted: NanoUsd,
    /// What the entries say was posted for all of them.
    pub recorded: NanoUsd,
    /// Why calls would have been denied, the first reason first.
    pub denials: Vec<DenialCount>,
    /// The accounts at the end, in their current windows; at most 1,000.
    pub balances: Vec<Balance>,
}

/// One reason to deny.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenialCount {
    /// The code.
    pub code: Code,
    /// The budget, for a denial by an account: the first that does not fit.
    pub budget: Option<Label>,
    /// How often.
    pub count: u64,
    /// When first.
    pub first_at: Timestamp,
}

/// Plays entries against the configuration and prices of a builder; its clock and the environment's variables are not
/// used, nothing is exported. Calls overlap as they did: each is reserved when it was reserved and settled when it was
/// settled, with the worst case that was reserved and the usage that was settled. Limits of runs are not played.
///
/// # Errors
/// Those of building a guard; `argument_invalid` for more than a million entries, or for an entry that was settled
/// before it was reserved.
///
/// ```
/// use spendrail::guard::{Guard, StatementQuery, simulate};
/// use spendrail::{Call, Usage};
/// use spendrail::values::Bucket;
/// let guard = Guard::builder().config_text("t", "[ledger]\njournal = 100").build()?;
/// let call = Call::new("openai", "gpt-4o").input_tokens(1_200).max_output_tokens(0);
/// guard.reserve(&call).expect("there is no budget").settle(&Usage::new().with(Bucket::Input, 1_200))?;
///
/// let entries = guard.statement(&StatementQuery::default())?.entries;
/// let strict = "[[budgets]]\nname = \"all\"\nlimit = \"0.002 USD\"\nwindow = \"day\"";
/// let simulation = simulate(&entries, Guard::builder().config_text("strict", strict))?;
/// assert_eq!((simulation.calls, simulation.denied), (1, 1));
/// # Ok::<(), spendrail::Error>(())
/// ```
pub fn simulate(entries: &[Entry], builder: GuardBuilder) -> Result<Simulation> {
    if entries.len() > ENTRIES_MAX {
        let message = format!("{} entries are too many, at most {ENTRIES_MAX} are possible", entries.len());
        return Err(Error::new(Code::ArgumentInvalid, message).field("entries"));
    }
    let events = events(entries)?;
    let begin = events.first().map_or(Timestamp::from_nanos(0), |event| event.at);
    let clock = ManualClock::new(begin);
    let guard = builder.clock(Clock::Manual(clock.clone())).environment(Arc::new(|_| None)).build()?;
    let mut simulation = Simulation::default();
    let mut holds: Vec<Option<Hold>> = entries.iter().map(|_| None).collect();
    for event in events {
        let (Some(entry), Some(hold)) = (entries.get(event.entry), holds.get_mut(event.entry)) else {
            continue;
        };
        clock.set(event.at);
        if event.ends {
            simulation.settle(entry, hold.take())?;
        } else {
            *hold = simulation.reserve(&guard, entry, event.at)?;
        }
    }
    simulation.balances = guard.balances(&BalanceQuery { limit: PAGE_MAX, ..BalanceQuery::default() })?.items;
    Ok(simulation)
}

/// A reserve or a settle of an entry.
struct Event {
    at: Timestamp,
    ends: bool,
    entry: usize,
}

/// In the order of time; what ends at an instant ends before something begins at it.
fn events(entries: &[Entry]) -> Result<Vec<Event>> {
    let mut events = Vec::with_capacity(entries.len().saturating_mul(2));
    for (entry, Entry { started_at, settled_at, .. }) in entries.iter().enumerate() {
        if settled_at < started_at {
            let message = format!("was settled at {settled_at}, before it was reserved at {started_at}");
            return Err(
                Error::new(Code::ArgumentInvalid, message).field(format!("entries[{entry}].settled_at"))
            );
        }
        events.push(Event { at: *started_at, ends: false, entry });
        events.push(Event { at: *settled_at, ends: true, entry });
    }
    let instant = |entry: usize| entries.get(entry).is_some_and(|entry| entry.started_at == entry.settled_at);
    // A call without a duration begins before it ends, but after everything that ended.
    events.sort_by_key(|event| {
        let after_the_ends = !event.ends || instant(event.entry);
        (event.at, after_the_ends, event.entry, event.ends)
    });
    Ok(events)
}

impl Simulation {
    fn reserve(&mut self, guard: &Guard, entry: &Entry, at: Timestamp) -> Result<Option<Hold>> {
        self.calls = self.calls.saturating_add(1);
        self.recorded = NanoUsd(self.recorded.0.saturating_add(entry.posted.0));
        match guard.reserve(&entry.call()) {
            Ok(hold) => Ok(Some(hold)),
            Err(ReserveError::Denied(denial)) => {
                self.deny(&denial, at);
                Ok(None)
            }
            Err(ReserveError::Failed(error)) => Err(error),
        }
    }

    fn settle(&mut self, entry: &Entry, hold: Option<Hold>) -> Result<()> {
        let Some(hold) = hold else { return Ok(()) };
        let usage = entry.usage();
        let receipt = match &usage {
            Some(usage) => hold.settle(Settlement::Usage(usage))?,
            None => hold.settle(Settlement::Cost(entry.posted))?,
        };
        let total = self.cost.checked_add(receipt.total());
        self.cost =
            total.ok_or_else(|| Error::new(Code::AmountTooLarge, "the sum does not fit").field("cost"))?;
        self.posted = NanoUsd(self.posted.0.saturating_add(receipt.posted.0));
        Ok(())
    }

    fn deny(&mut self, denial: &Denial, at: Timestamp) {
        self.denied = self.denied.saturating_add(1);
        let hard = denial.failures.iter().find(|failure| failure.enforce == Enforce::Hard);
        let budget = hard.map(|failure| Arc::clone(&failure.balance.budget));
        let same = |known: &&mut DenialCount| known.code == denial.code && known.budget == budget;
        match self.denials.iter_mut().find(same) {
            Some(known) => known.count = known.count.saturating_add(1),
            None => self.denials.push(DenialCount { code: denial.code, budget, count: 1, first_at: at }),
        }
    }
}

impl Entry {
    /// The call that it was.
    fn call(&self) -> Call {
        if self.is_tool {
            return Call::tool(&self.model)
                .cost(&format!("{} USD", self.posted))
                .scope(Arc::clone(&self.scope));
        }
        let provider = self.provider.as_deref().unwrap_or("");
        Call::new(provider, &self.model)
            .scope(Arc::clone(&self.scope))
            .input_tokens(self.input_tokens)
            .max_output_tokens(self.output_tokens)
    }
}
