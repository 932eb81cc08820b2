//! The statement of a guard: one entry per call that was settled, as many as `[ledger] journal` says. The oldest is
//! forgotten first, and counted.

use super::hold::Held;
use super::{PAGE_MAX, Receipt};
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::telemetry::Flags;
use crate::values::{AttoUsd, Bucket, Id, Label, NanoUsd, Scope, Timestamp, Usage};
use hashbrown::HashMap;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// What one call used and cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The hold's id.
    pub id: Id,
    /// When the call was reserved; of recorded spend, when it happened.
    pub started_at: Timestamp,
    /// When it was settled.
    pub settled_at: Timestamp,
    /// The provider, as the catalog names it; `None` for a tool.
    pub provider: Option<Label>,
    /// The model, as the catalog names it; the tool's name for a tool.
    pub model: Label,
    /// It was a call of a client-side tool.
    pub is_tool: bool,
    /// Who and what for.
    pub scope: Arc<Scope>,
    /// What was used; `None` if nobody said.
    pub usage: Option<SmallVec<[(Bucket, u64); 4]>>,
    /// The exact cost.
    pub cost: AttoUsd,
    /// What was posted to every budget in USD.
    pub posted: NanoUsd,
    /// What had been on hold.
    pub reserved: NanoUsd,
    /// The worst case that was reserved: input tokens.
    pub input_tokens: u64,
    /// The worst case that was reserved: output tokens of all choices.
    pub output_tokens: u64,
    /// What is remarkable.
    pub flags: Flags,
    /// The version of the prices.
    pub price_version: Label,
}

/// Which entries.
#[derive(Clone, Debug, Default)]
pub struct StatementQuery {
    /// Settled at or after this instant.
    pub since: Option<Timestamp>,
    /// Settled before this instant.
    pub until: Option<Timestamp>,
    /// With all of these labels.
    pub scope: Scope,
    /// Most entries of a page; 0 = 100.
    pub limit: usize,
    /// The `next` of the page before.
    pub after: Option<u64>,
}

/// A page of a statement.
#[derive(Clone, Debug, Default)]
pub struct Statement {
    /// The entries, in the order in which they were settled.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there is more.
    pub next: Option<u64>,
    /// How many entries were forgotten since the guard was made: there was no room.
    pub forgotten: u64,
}

/// The entries of one guard.
#[derive(Debug)]
pub(super) struct Journal {
    most: usize,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// `None` where a better word on the same call came later.
    entries: VecDeque<Option<Entry>>,
    /// The number of the first.
    first: u64,
    forgotten: u64,
    /// Estimates that an exact settle may replace.
    estimates: HashMap<Id, u64, foldhash::fast::RandomState>,
}

impl Journal {
    /// `None` for no room at all: nothing is kept.
    pub(super) fn new(most: usize) -> Option<Self> {
        (most > 0).then(|| Self { most, book: Mutex::default() })
    }

    /// Keeps what a call was settled with.
    pub(super) fn add(&self, held: &Held, receipt: &Receipt, now: Timestamp) {
        let entry = Entry {
            id: receipt.id,
            started_at: held.started,
            settled_at: now,
            provider: receipt.provider().cloned(),
            model: receipt.model().into(),
            is_tool: held.subject.tool.is_some(),
            scope: Arc::clone(&held.subject.scope),
            usage: receipt.usage.as_ref().map(|usage| usage.iter().collect()),
            cost: receipt.total(),
            posted: receipt.posted,
            reserved: receipt.reserved,
            input_tokens: held.estimate.input_tokens,
            output_tokens: held.estimate.output_tokens,
            flags: receipt.flags,
            price_version: Arc::clone(receipt.price_version()),
        };
        self.book.lock().add(entry, self.most);
    }

    fn page(&self, query: &StatementQuery) -> Statement {
        let most = if query.limit == 0 { 100 } else { query.limit.min(PAGE_MAX) };
        let book = self.book.lock();
        let skip = query.after.map_or(0, |after| after.saturating_sub(book.first));
        let numbers = book.first.saturating_add(skip)..;
        let listed = book.entries.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX)).zip(numbers);
        let mut wanted =
            listed.filter_map(|(entry, number)| Some((entry.as_ref().filter(|e| query.wants(e))?, number)));
        let entries: Vec<Entry> = wanted.by_ref().take(most).map(|(entry, _)| entry.clone()).collect();
        let next = wanted.next().map(|(_, number)| number);
        Statement { entries, next, forgotten: book.forgotten }
    }
}

impl Book {
    fn add(&mut self, entry: Entry, most: usize) {
        if let Some(number) = self.estimates.remove(&entry.id) {
            let place = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
            if let Some(slot) = self.entries.get_mut(place) {
                *slot = None;
            }
        }
        if self.entries.len() >= most {
            if let Some(Some(oldest)) = self.entries.pop_front() {
                self.estimates.remove(&oldest.id);
                self.forgotten = self.forgotten.saturating_add(1);
            }
            self.first = self.first.saturating_add(1);
        }
        if entry.flags.has(Flags::ESTIMATED) {
            let number = self.first.saturating_add(u64::try_from(self.entries.len()).unwrap_or(0));
            self.estimates.insert(entry.id, number);
        }
        self.entries.push_back(Some(entry));
    }
}

impl StatementQuery {
    fn wants(&self, entry: &Entry) -> bool {
        self.since.is_none_or(|since| entry.settled_at >= since)
            && self.until.is_none_or(|until| entry.settled_at < until)
            && self.scope.labels().all(|(dimension, value)| entry.scope.get(&dimension) == Some(value))
    }
}

/// The entries that a query asks for.
pub(super) fn statement(journal: Option<&Journal>, query: &StatementQuery) -> Result<Statement> {
    let journal = journal.ok_or_else(|| {
        Error::new(Code::ConfigInvalid, "no entries are kept, so there is no statement")
            .field("ledger.journal")
            .hint("say how many, for example `journal = 10_000` in [ledger]")
    })?;
    Ok(journal.page(query))
}

impl Entry {
    /// What was used, in buckets.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let buckets = self.usage.as_ref()?;
        Some(buckets.iter().fold(Usage::new(), |usage, (bucket, quantity)| usage.with(*bucket, *quantity)))
    }
}
