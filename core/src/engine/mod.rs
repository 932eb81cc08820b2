//! The decisions, pure: no clock, no I/O, no lock, no randomness. [`plan`] turns a call into legs without seeing an
//! account; [`Books`] decides and writes; [`Denial`] is the answer "no".

mod account;
mod books;
mod command;
mod denial;
mod estimate;
mod hold;
mod key;
mod outline;
mod plan;
mod quantities;
mod slots;

pub use account::{Account, Balance};
pub use books::{Adopted, Books, BooksLimits, Event, Hint, HoldOutcome, HoldRequest, LegRequest, PASS_MAX};
pub use command::{Call, CallKind, ParentSpan};
pub use denial::{Decision, Denial, Failure, Refusal};
pub use estimate::{Estimate, estimate, estimate_of};
pub use hold::{HoldKey, Pinned, Remaining, Settled};
pub use key::AccountKeys;
pub use outline::Outline;
pub use plan::{Accounts, Plan, PlannedLeg, RunFrame, limit_key, plan};
pub use quantities::Quantities;
