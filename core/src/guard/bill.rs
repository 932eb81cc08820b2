//! A bill: the receipt before it is posted. An answer is priced here, under the rules that its call was reserved with.

use super::hold::Held;
use super::receipt::{Facts, Receipt, Reported};
use crate::boxed::boxed;
use crate::catalog::normalise::{Anomaly, Reply, Rule};
use crate::catalog::{Cost, ModelEntry, PriceContext, StandIn, Tier};
use crate::engine::Quantities;
use crate::rules::{Priced, Unpriced, UnpricedWhat};
use crate::telemetry::Flags;
use crate::values::money::OPERATION_MAX;
use crate::values::{AttoUsd, Bucket, Id, Label, NanoUsd, Timestamp, Usage};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;

/// An answer that was read, and is not priced yet.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    Usage(&'a Usage),
    Reply(Box<Reply>),
    Cost(NanoUsd),
}

/// What a settle posts. It is large: made where it stays, and changed there.
#[derive(Debug)]
pub(super) struct Bill {
    pub(super) receipt: Receipt,
    /// What else the provider said.
    pub(super) reply: Option<Box<Reply>>,
    /// Something without a price, first of all: the model's next call is denied.
    unpriced: Option<UnpricedWhat>,
    /// Something without a price that the configuration lets pass.
    pub(super) forgiven: Option<UnpricedWhat>,
    /// Something was billed, and nobody knows what it costs.
    open_ended: bool,
}

impl Bill {
    /// Prices an answer.
    #[inline]
    pub(super) fn of(held: &Held, answer: Answer<'_>, now: Timestamp) -> Self {
        let mut bill = Self::empty(held);
        match answer {
            Answer::Usage(usage) => bill.price(held, usage, None, now),
            Answer::Reply(reply) => bill.price_reply(held, reply, now),
            // A cost that the caller states needs no price.
            Answer::Cost(cost) => bill.take(cost),
        }
        if held.lost_attempts > 0 {
            bill.add_lost_attempts(held, now);
        }
        let receipt = &mut *bill.receipt;
        if receipt.posted.0 > OPERATION_MAX || receipt.cost.overflow {
            receipt.posted = NanoUsd(OPERATION_MAX);
            bill.flag(Flags::CAPPED);
        }
        bill
    }

    #[inline]
    fn empty(held: &Held) -> Self {
        let receipt = Receipt::new(boxed!(Facts {
            id: Id(0),
            subject: Arc::clone(&held.subject),
            response_model: None,
            usage: None,
            cost: Cost::default(),
            posted: NanoUsd(0),
            reserved: NanoUsd(held.estimate.quantities.usd),
            flags: held.flags,
            repeated: false,
            anomalies: Vec::new(),
            remaining: SmallVec::new(),
            reported: None,
        }));
        Self { receipt, reply: None, unpriced: None, forgiven: None, open_ended: false }
    }

    pub(super) fn flag(&mut self, flag: Flags) {
        self.receipt.flags = self.receipt.flags.with(flag);
    }

    fn take(&mut self, cost: NanoUsd) {
        self.receipt.cost.total = AttoUsd::from(cost);
        self.receipt.posted = cost;
    }

    fn price_reply(&mut self, held: &Held, mut reply: Box<Reply>, now: Timestamp) {
        match &reply.usage {
            Some(usage) => self.price(held, usage, Some(&reply), now),
            // A complete reply that does not say what it used: the whole hold.
            None => {
                self.take(self.receipt.reserved);
                self.flag(Flags::NO_USAGE.with(Flags::ESTIMATED));
            }
        }
        if let Some(cost) = reply.reported_cost {
            self.take_reported(held, &mut reply, cost);
        }
        self.receipt.response_model.clone_from(&reply.model);
        self.receipt.anomalies = std::mem::take(&mut reply.anomalies);
        self.reply = Some(reply);
    }

    fn price(&mut self, held: &Held, usage: &Usage, reply: Option<&Reply>, now: Timestamp) {
        let served = reply.and_then(|reply| reply.model.as_ref());
        self.receipt.usage = Some(*usage);
        match served_by(held, served.map(|model| &**model)) {
            Served::Known(entry) => self.price_by(&entry, held, usage, reply, now),
            Served::Unknown(requested, what) => {
                self.unknown(served, what);
                if let Some(entry) = requested {
                    self.price_by(entry, held, usage, reply, now);
                }
            }
        }
        if let Some(reply) = reply.filter(|reply| !reply.parts.is_empty()) {
            let context = context(held, Some(reply), now);
            self.receipt.usage = reply.combined_usage();
            for part in &reply.parts {
                let before = self.receipt.cost.unpriced.len();
                match served_by(held, Some(&part.model)) {
                    Served::Known(entry) => {
                        add(&mut self.receipt.cost, entry.cost(&part.usage, &context));
                        self.look_at(&entry, before);
                    }
                    Served::Unknown(_, what) => self.unknown(Some(&part.model), what),
                }
            }
        }
        let receipt = &mut *self.receipt;
        receipt.posted = receipt.cost.total.posted();
        if self.open_ended {
            // Unknown is not free: not less than what was thought to be the worst case.
            receipt.posted = receipt.posted.max(receipt.reserved);
        }
    }

    #[inline]
    fn price_by(
        &mut self,
        entry: &ModelEntry,
        held: &Held,
        usage: &Usage,
        reply: Option<&Reply>,
        now: Timestamp,
    ) {
        let cost = &mut self.receipt.cost;
        let plain = is_plain(held, reply).then(|| entry.write_plain_cost(cost, usage, held.started));
        if plain.flatten().is_none() {
            entry.write_cost(&mut self.receipt.cost, usage, &context(held, reply, now));
        }
        self.look_at(entry, 0);
    }

    /// Looks at what was just priced: is the entry one that stands in, and did it lack a rate? `before`: how many
    /// buckets lacked one earlier.
    #[inline]
    fn look_at(&mut self, entry: &ModelEntry, before: usize) {
        if entry.adjustment().is_none() && self.receipt.cost.unpriced.len() == before {
            return;
        }
        match entry.stands_in() {
            Some(StandIn::ZeroWithWarning) => {
                self.flag(Flags::UNKNOWN_MODEL);
                self.forgiven.get_or_insert_with(|| UnpricedWhat::ServedBy(Arc::clone(entry.model())));
                return;
            }
            Some(StandIn::FallbackPrice) => self.flag(Flags::FALLBACK_PRICE),
            None => {}
        }
        if let Some(bucket) = self.receipt.cost.unpriced.get(before).copied() {
            self.flag(Flags::UNPRICED);
            let what = UnpricedWhat::Bucket(bucket);
            if entry.forgives() {
                self.forgiven.get_or_insert(what);
            } else {
                self.open_ended = true;
                self.unpriced.get_or_insert(what);
            }
        }
    }

    /// What the provider says that it invoices: the cost, if the configuration prefers it; else it is only told.
    #[cold]
    fn take_reported(&mut self, held: &Held, reply: &mut Reply, cost: AttoUsd) {
        if cost < AttoUsd::ZERO || cost.posted().0 > OPERATION_MAX {
            let detail = format!("the provider reports a cost of {cost} USD");
            reply.anomalies.push(Anomaly { rule: Rule::ReportedCost, detail });
            return;
        }
        let preferred =
            held.subject.seller().is_some_and(|seller| held.rules.pricing.prefers_reported(seller));
        if !preferred {
            self.receipt.reported = Some(Box::new(Reported::new(cost, None)));
            return;
        }
        let priced = reply.usage.is_some() && !self.receipt.flags.has(Flags::UNKNOWN_MODEL);
        let computed = std::mem::replace(&mut self.receipt.cost, Cost::reported(cost));
        let mut reported = Reported::new(cost, priced.then_some(computed));
        // A price that stands in is a guess, which is no news.
        reported.differs &= !self.receipt.flags.has(Flags::FALLBACK_PRICE);
        // The invoice is known, so nothing is without a price.
        (self.open_ended, self.unpriced, self.forgiven) = (false, None, None);
        let guesses = Flags::UNPRICED.with(Flags::UNKNOWN_MODEL).with(Flags::FALLBACK_PRICE);
        self.receipt.flags = self.receipt.flags.without(guesses).with(Flags::REPORTED);
        self.receipt.posted = cost.posted();
        self.receipt.reported = Some(Box::new(reported));
    }

    /// A floor line for each attempt that nobody answered: its input, as it was reserved. The usage stays what the
    /// provider said.
    #[cold]
    fn add_lost_attempts(&mut self, held: &Held, now: Timestamp) {
        let Some(entry) = &held.subject.entry else { return };
        let floor = Usage::new().with(Bucket::Input, held.estimate.input_tokens);
        let context = context(held, None, now);
        let receipt = &mut *self.receipt;
        let cost = &mut receipt.cost;
        // What was posted beyond the lines (something without a price) stays posted.
        let beyond = receipt.posted.0.saturating_sub(cost.total.posted().0).max(0);
        for _ in 0..held.lost_attempts {
            add(cost, entry.cost(&floor, &context));
        }
        receipt.posted = NanoUsd(cost.total.posted().0.saturating_add(beyond));
        self.flag(Flags::ESTIMATED);
    }

    fn unknown(&mut self, served: Option<&Label>, what: Otherwise) {
        self.flag(Flags::UNKNOWN_MODEL);
        let served_by = served.map(|served| UnpricedWhat::ServedBy(Arc::clone(served)));
        if what == Otherwise::Forgiven {
            self.forgiven = self.forgiven.take().or(served_by);
        } else {
            self.open_ended = true;
            self.unpriced = self.unpriced.take().or(served_by);
        }
    }

    /// What the model must not be called for again: it is the model that was asked for whose next call could be
    /// billed like this one.
    pub(super) fn unpriced(&mut self, held: &Held) -> Option<Unpriced> {
        let (what, asked) = self.unpriced.take().zip(held.subject.entry.as_ref())?;
        Some(Unpriced { provider: Arc::clone(asked.provider()), model: Arc::clone(asked.model()), what })
    }

    /// What is posted to the accounts.
    pub(super) fn quantities(&self, held: &Held) -> Quantities {
        let Facts { usage, posted, flags, .. } = &*self.receipt;
        let mut used = match (&held.subject.tool, usage) {
            (Some(_), _) => Quantities { usd: posted.0, tool_calls: 1, ..Quantities::default() },
            (None, Some(usage)) => Quantities::answered(*posted, usage),
            (None, None) if flags.has(Flags::NO_USAGE) => {
                Quantities { usd: posted.0, concurrent: 0, ..held.estimate.quantities }
            }
            (None, None) => Quantities { usd: posted.0, requests: 1, ..Quantities::default() },
        };
        let lost = held.estimate.input_tokens.saturating_mul(held.lost_attempts.into());
        used.input_tokens = used.input_tokens.saturating_add(i64::try_from(lost).unwrap_or(i64::MAX));
        used
    }
}

fn add(sum: &mut Cost, part: Cost) {
    match sum.total.checked_add(part.total) {
        Some(total) => sum.total = total,
        None => sum.overflow = true,
    }
    sum.lines.extend(part.lines);
    sum.unpriced.extend(part.unpriced);
    sum.overflow |= part.overflow;
}

/// What prices the model that served.
enum Served<'h> {
    Known(Cow<'h, Arc<ModelEntry>>),
    /// No price is known of it; the entry of the requested model, and what the configuration says of such a case.
    Unknown(Option<&'h Arc<ModelEntry>>, Otherwise),
}

/// What holds for a model that served and is in no catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Otherwise {
    /// The next call is denied.
    Denied,
    /// It is flagged, counted and warned of.
    Forgiven,
}

/// The price entry of the model that served, under the pinned rules.
fn served_by<'h>(held: &'h Held, served: Option<&str>) -> Served<'h> {
    let pinned = held.subject.entry.as_ref();
    let own =
        || pinned.map_or(Served::Unknown(None, Otherwise::Denied), |own| Served::Known(Cow::Borrowed(own)));
    let Some(served) = served.filter(|served| *served != &*held.subject.model) else { return own() };
    if pinned.is_some_and(|entry| &**entry.model() == served) {
        return own();
    }
    let provider = held.subject.provider().map(|provider| &**provider);
    let seller = held.subject.seller().map(|seller| &**seller);
    match held.rules.price(provider, served, seller, &held.subject.scope) {
        Priced::By { entry, .. } => match pinned {
            // The same model under another name keeps the entry that travelled with the hold.
            Some(own) if own.model() == entry.model() && own.provider() == entry.provider() => {
                Served::Known(Cow::Borrowed(own))
            }
            // The requested model's price is closer to the truth than nothing.
            Some(own) if entry.stands_in() == Some(StandIn::ZeroWithWarning) && own.stands_in().is_none() => {
                Served::Unknown(Some(own), Otherwise::Forgiven)
            }
            _ => Served::Known(entry),
        },
        Priced::Unknown | Priced::Ambiguous(_) => Served::Unknown(pinned, Otherwise::Denied),
    }
}

/// Nothing selects the rates but the instant: no word in the request, and none in the reply beyond the standard tier.
fn is_plain(held: &Held, reply: Option<&Reply>) -> bool {
    let asked = held.context.as_ref().is_none_or(|context| context.plain().is_some());
    let said = |reply: &Reply| {
        let Reply { tier: None | Some(Tier::Standard), speed, geo, .. } = reply else { return true };
        let Reply { search_context, search_type, size, quality, .. } = reply;
        [speed, geo, search_context, search_type, size, quality].into_iter().any(Option::is_some)
    };
    asked && !reply.is_some_and(said)
}

/// What selects the rates: the served tier beats the one that was asked for.
fn context(held: &Held, reply: Option<&Reply>, now: Timestamp) -> PriceContext {
    let mut context = match &held.context {
        Some(asked) => PriceContext::clone(asked),
        None => PriceContext::default(),
    };
    (context.at, context.ended_at) = (held.started, Some(now));
    if let Some(reply) = reply {
        context.tier = reply.tier.or(context.tier);
        context.speed = reply.speed.clone().or(context.speed);
        context.geo = reply.geo.clone().or(context.geo);
        context.search_context = reply.search_context.clone().or(context.search_context);
        context.search_type = reply.search_type.clone().or(context.search_type);
        context.size = reply.size.clone().or(context.size);
        context.quality = reply.quality.clone().or(context.quality);
    }
    context
}

#[cfg(test)]
mod tests {
    use crate::Call;
    use crate::guard::{BalanceQuery, Guard};
    use crate::values::{Bucket, Usage};

    const PRICES: &str =
        "catalog = 1\nprovider = \"p\"\n[[models.m.prices]]\nrates = { input = \"1\", output = \"2\" }";
    const BUDGETS: &str = r#"
        [[budgets]]
        name = "money"
        limit = "1 USD"
        window = "lifetime"
        [[budgets]]
        name = "tokens"
        limit = "1000 tokens"
        window = "lifetime"
    "#;

    #[test]
    fn an_attempt_that_nobody_answered_adds_its_input() {
        let guard = Guard::builder().config_text("t", BUDGETS).prices("p.toml", PRICES).build().unwrap();
        let mut hold = guard.reserve(&Call::new("p", "m").input_tokens(100).max_output_tokens(10)).unwrap();
        hold.lost_attempt();
        hold.lost_attempt();
        let used = Usage::new().with(Bucket::Input, 90).with(Bucket::Output, 5);
        let receipt = hold.settle(&used).unwrap();
        assert_eq!(receipt.posted.0, 100_000 + 2 * 100_000);
        assert_eq!((receipt.cost.lines.len(), receipt.usage), (4, Some(used)));
        assert_eq!(receipt.flag_names(), ["estimated", "over_run"]);
        let page = guard.balances(&BalanceQuery::default()).unwrap();
        assert_eq!(page.items.iter().map(|balance| balance.spent).collect::<Vec<_>>(), [300_000, 295]);
    }
}
