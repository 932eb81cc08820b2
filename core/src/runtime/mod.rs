//! What runs beside the callers: one background thread per guard, started by its first use.

pub(crate) mod fork;
pub(crate) mod worker;

pub(crate) use worker::{Jobs, Worker};
