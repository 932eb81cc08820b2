//! What listeners hear. Events are queued and delivered on a thread of the listener's, never on a caller's.

use crate::engine::{Balance, Denial};
use crate::error::Error;
use crate::values::{Label, Scope};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, RwLock};
use std::time::Duration;

const QUEUE_MAX: usize = 1024;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $bit:literal;)+) => {
        /// A kind of event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind { $($(#[doc = $doc])+ $name,)+ }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$name,)+];

            /// As written in `guard.on("…")`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(EventKind::$name => $text,)+ }
            }

            const fn bit(self) -> u32 {
                match self { $(EventKind::$name => 1 << $bit,)+ }
            }
        }
    };
}

kinds! {
    /// A call was settled.
    Settled = "settled", 0;
    /// A call was denied.
    Denied = "denied", 1;
    /// Spend reached a share of a limit.
    Threshold = "threshold", 2;
    /// More was used than reserved.
    OverRun = "over_run", 3;
    /// A run was stopped by its limits or repeated itself.
    Loop = "loop", 4;
    /// A stop was set or lifted.
    Stopped = "stopped", 5;
    /// New rules are in force.
    Reloaded = "reloaded", 6;
    /// New rules were refused; the last good ones stay.
    ReloadFailed = "reload_failed", 7;
    /// What the provider reports is not what its prices say.
    CostDiffers = "cost_differs", 8;
}

impl EventKind {
    /// The kind of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A call was settled.
    Settled(Arc<super::Receipt>),
    /// A call was denied.
    Denied(Arc<Denial>, Arc<Scope>),
    /// Spend reached a share (basis points) of a limit.
    Threshold(Box<Balance>, u32),
    /// More was used than reserved.
    OverRun(Arc<super::Receipt>),
    /// A run was stopped by its limits or repeated itself.
    Loop(Arc<Denial>, Arc<Scope>),
    /// A stop was set (`true`) or lifted, with its reason.
    Stopped(Label, Label, bool),
    /// New rules are in force.
    Reloaded(super::ReloadReport),
    /// New rules were refused.
    ReloadFailed(Error),
    /// What the provider reports is not what its prices say (see [`Reported`](super::Reported)).
    CostDiffers(Arc<super::Receipt>),
}

impl Event {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Event::Settled(_) => EventKind::Settled,
            Event::Denied(..) => EventKind::Denied,
            Event::Threshold(..) => EventKind::Threshold,
            Event::OverRun(_) => EventKind::OverRun,
            Event::Loop(..) => EventKind::Loop,
            Event::Stopped(..) => EventKind::Stopped,
            Event::Reloaded(_) => EventKind::Reloaded,
            Event::ReloadFailed(_) => EventKind::ReloadFailed,
            Event::CostDiffers(_) => EventKind::CostDiffers,
        }
    }
}

/// One listener's queue.
#[derive(Debug)]
pub struct Subscription {
    receiver: Receiver<Event>,
}

impl Subscription {
    /// The next event; `None` after `timeout`. `Err(())` when the guard is gone.
    #[expect(
        clippy::result_unit_err,
        reason = "there is nothing more to say than that no event will ever come"
    )]
    pub fn next(&self, timeout: Duration) -> Result<Option<Event>, ()> {
        match self.receiver.recv_timeout(timeout) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(()),
        }
    }
}

/// The listeners of a guard.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Which kinds anybody listens to: asked before an event is made.
    wanted: AtomicU32,
    listeners: RwLock<Vec<(u32, SyncSender<Event>)>>,
    dropped: AtomicU64,
}

impl Events {
    pub(super) fn wants(&self, kind: EventKind) -> bool {
        self.wanted.load(Ordering::Relaxed) & kind.bit() != 0
    }

    pub(super) fn subscribe(&self, kinds: &[EventKind]) -> Subscription {
        let mask = kinds.iter().fold(0, |mask, kind| mask | kind.bit());
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        if let Ok(mut listeners) = self.listeners.write() {
            listeners.push((mask, sender));
        }
        self.wanted.fetch_or(mask, Ordering::Relaxed);
        Subscription { receiver }
    }

    /// Queues an event for everybody who listens; a listener that is too slow misses it, which is counted.
    pub(super) fn send(&self, event: &Event) {
        let bit = event.kind().bit();
        if self.wanted.load(Ordering::Relaxed) & bit == 0 {
            return;
        }
        let Ok(listeners) = self.listeners.read() else { return };
        for (_, sender) in listeners.iter().filter(|(mask, _)| mask & bit != 0) {
            if let Err(TrySendError::Full(_)) = sender.try_send(event.clone()) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
