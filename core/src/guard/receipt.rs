//! What a settle returns: what was used, what it cost line by line, and what remains.

use super::subject::Subject;
use crate::catalog::Cost;
use crate::catalog::normalise::Anomaly;
use crate::engine::{Remaining, Settled};
use crate::telemetry::Flags;
use crate::values::{AttoUsd, Id, Label, NanoUsd, Unit, Usage};
use smallvec::SmallVec;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The result of settling: a [`Facts`] sheet. One pointer wide, because it goes through many hands.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub struct Facts {
    /// The hold's id.
    pub id: Id,
    /// What it was for, and what priced it.
    pub(super) subject: Arc<Subject>,
    /// The model that served, as the provider named it.
    pub response_model: Option<Label>,
    /// What was used, in disjoint buckets; `None` if the reply did not say.
    pub usage: Option<Usage>,
    /// The exact cost: one line per bucket, or one line with what the provider reports; the lines add up to the total
    /// to the last digit.
    pub cost: Cost,
    /// What was posted to every budget in USD: the total rounded up once. Larger than the total where something had
    /// no rate (see `flags`).
    pub posted: NanoUsd,
    /// What had been on hold.
    pub reserved: NanoUsd,
    /// What is remarkable: `estimated`, `over_run`, `late`, …
    pub flags: Flags,
    /// The same settle was done before; nothing was posted now.
    pub repeated: bool,
    /// Figures of the reply that did not fit the provider's convention, and how they were read.
    pub anomalies: Vec<Anomaly>,
    /// What each account has left.
    pub(super) remaining: SmallVec<[Remaining; 4]>,
    /// What the provider says that it invoices, if it says so.
    pub reported: Option<Box<Reported>>,
}

impl Facts {
    /// The provider, as the catalog names it; `None` for a tool.
    #[must_use]
    pub fn provider(&self) -> Option<&Label> {
        self.subject.provider()
    }

    /// The model, as the catalog names it; the tool's name for a tool.
    #[must_use]
    pub fn model(&self) -> &str {
        self.subject.object()
    }

    /// The version of the prices that the call was reserved with.
    #[must_use]
    pub fn price_version(&self) -> &Label {
        &self.subject.legend.price_version
    }

    /// What each account has left: the budget's name, its unit, and what a new call may still take (negative after an
    /// over-run).
    pub fn remaining(&self) -> impl ExactSizeIterator<Item = (&str, Unit, i64)> {
        self.remaining.iter().map(|left| (self.subject.legend.budget(left.budget), left.unit, left.available))
    }
}

/// What a provider says that it invoices for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Its figure.
    pub cost: AttoUsd,
    /// What the call costs by the catalog, where the provider's figure is the receipt's cost (flag `reported`). `None`:
    /// that figure is told only, and the receipt's cost is the computed one; or the catalog has no price.
    pub computed: Option<Cost>,
    /// The two differ by more than 1 % of the reported figure and by more than one nano-USD, and everything was priced.
    pub differs: bool,
}

impl Reported {
    pub(super) fn new(cost: AttoUsd, computed: Option<Cost>) -> Self {
        let gap = |computed: &Cost| computed.total.0.saturating_sub(cost.0).unsigned_abs();
        let whole = |computed: &&Cost| computed.unpriced.is_empty() && !computed.overflow;
        let differs = computed.as_ref().filter(whole).is_some_and(|computed| {
            let gap = gap(computed);
            gap > NANO && gap.saturating_mul(100) > cost.0.unsigned_abs()
        });
        Self { cost, computed, differs }
    }
}

/// One nano-USD in 10⁻¹⁸ USD.
const NANO: u128 = 1_000_000_000;

impl Receipt {
    pub(super) fn new(facts: Box<Facts>) -> Self {
        Self(facts)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Allocators keep small blocks at hand; a sheet beyond their bound costs several times more to get.
    #[test]
    fn a_receipt_is_a_small_block() {
        assert!(size_of::<Facts>() <= 1_024, "{}", size_of::<Facts>());
        assert_eq!(size_of::<Receipt>(), size_of::<usize>());
    }
}
