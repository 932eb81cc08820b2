//! From a record to the decoded request at a real receiver, and what happens when the receiver misbehaves.

mod budgets;
mod delivery;
mod fixtures;
mod guard;
mod metrics;
mod receiver;
mod spans;
