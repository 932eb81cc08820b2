//! A hold in the hands of its caller: settle it, release it, or detach it. A hold that is lost is abandoned: its input
//! counts as used, the rest follows the expiry policy.

use super::Receipt;
use super::run::RunState;
use super::settle::{self, Ending, Settlement};
use super::state::State;
use super::subject::Subject;
use super::token;
use crate::catalog::PriceContext;
use crate::catalog::normalise::StreamReader;
use crate::codes::Code;
use crate::engine::{Estimate, Failure, HoldKey};
use crate::error::{Error, Result};
use crate::requests::Api;
use crate::rules::Rules;
use crate::runtime::fork;
use crate::telemetry::{self, Flags, Operation, RequestParams, Server, SpanIds, StreamTimes};
use crate::values::{Id, NanoUsd, Timestamp};
use std::sync::Arc;

/// What is known of a call from its reserve to its settle. It keeps the rules that the call was reserved with.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) state: Arc<State>,
    pub(super) rules: Arc<Rules>,
    pub(super) subject: Arc<Subject>,
    pub(super) run: Option<Arc<RunState>>,
    /// `None` when nothing was held: the mode is `off`, or it observes and the ledger is full.
    pub(super) key: Option<HoldKey>,
    pub(super) context: Option<Box<PriceContext>>,
    pub(super) operation: Operation,
    pub(super) params: Option<Box<RequestParams>>,
    pub(super) server: Option<Arc<Server>>,
    pub(super) span: SpanIds,
    pub(super) started: Timestamp,
    pub(super) estimate: Estimate,
    pub(super) flags: Flags,
    /// Why an enforcing mode would have denied.
    pub(super) would_deny: Option<Box<telemetry::Refusal>>,
    pub(super) stream: Option<Box<Stream>>,
    /// Attempts that were sent and never answered.
    pub(super) lost_attempts: u32,
}

/// A reply that comes in pieces.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) reader: Option<StreamReader>,
    pub(super) times: StreamTimes,
    last: Option<Timestamp>,
}

/// Reserved amounts, to be settled once.
///
/// Dropping a hold without settling it is allowed and safe, but not free: nobody knows whether the provider was
/// called, so the input counts as used and the rest stays unconfirmed (see `release_cap`).
#[derive(Debug)]
#[must_use = "a hold that is dropped is abandoned: its input counts as used"]
pub struct Hold {
    held: Option<Box<Held>>,
    id: Id,
    /// An answer that was given before: another handle has the duty to settle.
    repeated: bool,
    failures: Vec<Failure>,
}

impl Hold {
    pub(super) fn new(held: Box<Held>, id: Id, repeated: bool, failures: Vec<Failure>) -> Self {
        Self { held: Some(held), id, repeated, failures }
    }

    /// The hold's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// What is on hold in USD.
    #[must_use]
    pub fn reserved(&self) -> NanoUsd {
        self.held.as_ref().map_or(NanoUsd(0), |held| NanoUsd(held.estimate.quantities.usd))
    }

    /// The worst case that was reserved: input tokens, output tokens.
    #[must_use]
    pub fn reserved_tokens(&self) -> (u64, u64) {
        self.held.as_ref().map_or((0, 0), |held| (held.estimate.input_tokens, held.estimate.output_tokens))
    }

    /// The same call was reserved before with the same id: this is that hold.
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// The mode is `observe`, or an observed budget is full: an enforcing one would have denied.
    #[must_use]
    pub fn would_deny(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.would_deny.is_some())
    }

    /// The accounts that the call does not fit on although it was admitted.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// The call's span, for the host's own spans to be made under.
    #[must_use]
    pub fn span(&self) -> SpanIds {
        self.held.as_ref().map_or(SpanIds::NONE, |held| held.span)
    }

    /// The reply will come in pieces: pass each to [`Hold::chunk`]. Without an API the pieces tell it.
    pub fn stream(&mut self, api: Option<Api>) {
        if let Some(held) = &mut self.held {
            held.begin_stream(api);
        }
    }

    /// One event of a streamed reply, as JSON. `true`: it carries nothing but usage. A wrapper that asked for usage on
    /// its own account hides it from a caller who did not.
    pub fn chunk(&mut self, event: &serde_json::Value) -> bool {
        self.held.as_mut().is_some_and(|held| held.chunk(event))
    }

    /// The stream's last word on its usage has arrived: [`Hold::finish`] has all it needs.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let stream = self.held.as_ref().and_then(|held| held.stream.as_ref());
        stream.and_then(|stream| stream.reader.as_ref()).is_some_and(StreamReader::is_complete)
    }

    /// An attempt of this call was sent and got no answer (it timed out, or the connection broke), and the call is sent
    /// again: silence is not "not spent", so its input counts whatever the next attempt answers.
    pub fn lost_attempt(&mut self) {
        if let Some(held) = &mut self.held {
            held.lost_attempts = held.lost_attempts.saturating_add(1);
        }
    }

    /// Replaces the hold by what was used: the provider's own reply, a [`crate::values::Usage`], or a cost.
    ///
    /// # Errors
    /// `usage_invalid` if the reply is no reply (the hold is then abandoned); `hold_foreign` after a fork;
    /// `id_reused` if the hold was settled with another amount.
    pub fn settle<'a>(mut self, settlement: impl Into<Settlement<'a>>) -> Result<Receipt> {
        self.try_settle(settlement, None)
    }

    /// The same for owners that cannot give the hold away (the language bindings): an answer that cannot be read
    /// leaves the hold open. `error_type` names a failure that cost what it cost.
    ///
    /// # Errors
    /// As [`Hold::settle`]; `hold_closed` the second time.
    pub fn try_settle<'a>(
        &mut self,
        settlement: impl Into<Settlement<'a>>,
        error_type: Option<&str>,
    ) -> Result<Receipt> {
        let held = self.take()?;
        match settle::read(&held, settlement.into()) {
            Ok(answer) => settle::settle(held, answer, error_type),
            Err(error) => {
                self.held = Some(held);
                Err(error)
            }
        }
    }

    /// The stream has ended: settles with what its chunks said.
    ///
    /// # Errors
    /// As [`Hold::settle`].
    pub fn finish(&mut self) -> Result<Receipt> {
        settle::end(self.take()?, Ending::Complete, None)
    }

    /// We closed the stream early: what was counted so far and a margin of 256 output tokens is used, the rest is
    /// released.
    ///
    /// # Errors
    /// As [`Hold::settle`].
    pub fn close(&mut self) -> Result<Receipt> {
        settle::end(self.take()?, Ending::Closed, None)
    }

    /// The connection is gone or timed out: what was counted so far is used, the rest follows the expiry policy.
    /// `error_type` is the low-cardinality name of the failure, for telemetry.
    ///
    /// # Errors
    /// As [`Hold::settle`].
    pub fn cut(&mut self, error_type: Option<&str>) -> Result<Receipt> {
        settle::end(self.take()?, Ending::Cut, error_type)
    }

    /// Gives everything back, because nothing was billed: the request never left, or the provider refused it.
    /// `error_type` names the failure, if there was one.
    ///
    /// # Errors
    /// `hold_closed`, `hold_foreign`.
    pub fn release(&mut self, error_type: Option<&str>) -> Result<()> {
        settle::release(self.take()?, error_type)
    }

    /// Lets the hold outlive this handle and this process: [`crate::guard::Guard::settle`] and
    /// [`crate::guard::Guard::release`] take the token. It carries the price that was pinned.
    ///
    /// # Errors
    /// `hold_closed` where nothing is on hold (mode `off`); `hold_foreign`.
    pub fn detach(&mut self) -> Result<String> {
        let held = self.take()?;
        token::detach(&held)
    }

    fn take(&mut self) -> Result<Box<Held>> {
        let held =
            self.held.take().ok_or_else(|| Error::new(Code::HoldClosed, "the hold is closed already"))?;
        if held.is_foreign() {
            std::mem::forget(held);
            return Err(Error::new(
                Code::HoldForeign,
                "the hold was made before a fork, by the parent process",
            )
            .hint("settle it there, or pass it as a token"));
        }
        Ok(held)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        if held.is_foreign() {
            // What was inherited may hold locks that nobody will open: it is leaked.
            std::mem::forget(held);
        } else if !self.repeated && held.key.is_some() {
            // There is nobody left to tell.
            let _ = settle::end(held, Ending::Lost, None);
        }
    }
}

impl Held {
    fn is_foreign(&self) -> bool {
        self.state.fork_generation != fork::generation()
    }

    fn begin_stream(&mut self, api: Option<Api>) {
        let provider = self.subject.provider().map(|provider| &**provider);
        let reader = Some(StreamReader::new(api, provider).for_model(&self.subject.model));
        self.stream = Some(Box::new(Stream { reader, times: StreamTimes::default(), last: None }));
    }

    fn chunk(&mut self, event: &serde_json::Value) -> bool {
        let now = self.state.now();
        let Some(stream) = &mut self.stream else { return false };
        stream.times.chunk(stream.last, now);
        stream.last = Some(now);
        stream.reader.as_mut().is_some_and(|reader| reader.feed(event).usage_only)
    }
}
