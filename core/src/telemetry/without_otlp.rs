//! Without the feature `otlp` there is nobody to export.

use super::{BudgetSource, Recorder};
use std::sync::{Arc, Weak};
use std::time::Instant;
use tokio::sync::Notify;

/// Never made.
#[derive(Debug)]
pub(crate) enum Exporter {}

/// What a flush waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlushMark;

impl Exporter {
    pub(crate) fn new(_recorder: &Recorder, _budgets: Weak<dyn BudgetSource>) -> Option<Self> {
        None
    }

    pub(crate) fn wake(&self) -> Arc<Notify> {
        match *self {}
    }

    pub(crate) fn step(&mut self, _now: Instant) {
        match *self {}
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        match *self {}
    }

    pub(crate) fn mark(&mut self, _now: Instant) -> FlushMark {
        match *self {}
    }

    pub(crate) fn recover(&mut self) {
        match *self {}
    }

    pub(crate) fn abandon(&mut self) {
        match *self {}
    }

    pub(crate) fn reached(&self, _mark: FlushMark) -> Option<bool> {
        match *self {}
    }
}
