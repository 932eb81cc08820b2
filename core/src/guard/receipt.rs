//! What a settle returns: what was used, what it cost line by line, and what remains.

use crate::catalog::Cost;
use crate::catalog::normalise::Anomaly;
use crate::engine::{Remaining, Settled};
use crate::telemetry::Flags;
use crate::values::{AttoUsd, Id, Label, NanoUsd, Usage};
use smallvec::SmallVec;
use std::ops::{Deref, DerefMut};

/// The result of settling: a [`Facts`] sheet. One pointer wide, because it goes through many hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt(Box<Facts>);

impl Deref for Receipt {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.0
    }
}

impl DerefMut for Receipt {
    fn deref_mut(&mut self) -> &mut Facts {
        &mut self.0
    }
}

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The hold's id.
    pub id: Id,
    /// The provider, as the catalog names it; `None` for a tool.
    pub provider: Option<Label>,
    /// The model, as the catalog names it; the tool's name for a tool.
    pub model: Label,
    /// The model that served, as the provider named it.
    pub response_model: Option<Label>,
    /// What was used, in disjoint buckets; `None` if the reply did not say.
    pub usage: Option<Usage>,
    /// The exact cost: one line per bucket, the lines add up to the total to the last digit.
    pub cost: Cost,
    /// What was posted to every budget in USD: the total rounded up once. Larger than the total where something had
    /// no rate (see `flags`).
    pub posted: NanoUsd,
    /// What had been on hold.
    pub reserved: NanoUsd,
    /// The version of the prices that the call was reserved with.
    pub price_version: Label,
    /// What is remarkable: `estimated`, `over_run`, `late`, …
    pub flags: Flags,
    /// The same settle was done before; nothing was posted now.
    pub repeated: bool,
    /// Figures of the reply that did not fit the provider's convention, and how they were read.
    pub anomalies: Vec<Anomaly>,
    /// What each account has left.
    pub remaining: SmallVec<[Remaining; 4]>,
}

impl Receipt {
    pub(super) fn new(facts: Facts) -> Self {
        Self(Box::new(facts))
    }

    /// Takes in what the ledger says of the settle.
    pub(super) fn posted_as(&mut self, id: Id, done: Settled) {
        self.id = id;
        for (set, flag) in [(done.late, Flags::LATE), (done.over_run, Flags::OVER_RUN)] {
            if set {
                self.flags = self.flags.with(flag);
            }
        }
        self.repeated = done.repeated;
        self.remaining = done.remaining;
    }

    /// The exact cost in USD.
    #[must_use]
    pub fn total(&self) -> AttoUsd {
        self.cost.total
    }

    /// The names of the flags, `repeated` included.
    #[must_use]
    pub fn flag_names(&self) -> Vec<&'static str> {
        self.flags.names().chain(self.repeated.then_some("repeated")).collect()
    }
}
