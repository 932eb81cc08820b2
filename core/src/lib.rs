//! Spendrail: a guard rail for LLM spending.
//!
//! Before a model call leaves the process Spendrail prices the worst case and holds it on every budget that
//! applies; after the call it settles what was really used; a call that does not fit, or a run that goes in
//! circles, is refused before it costs anything.
//!
//! Start at [`Guard`]. `ARCHITECTURE.md` follows one call through the files.

mod apart;
mod boxed;
pub mod catalog;
pub mod clock;
pub mod codes;
pub mod engine;
mod error;
#[cfg(feature = "ffi")]
pub mod ffi;
pub mod guard;
mod hint;
pub mod ledger;
pub mod loops;
pub mod policy;
pub mod requests;
pub mod rules;
mod runtime;
pub mod telemetry;
pub mod values;

pub use codes::Code;
pub use engine::Call;
pub use error::{Error, Result};
pub use guard::Guard;
pub use values::Usage;
