//! The JSON doors of the language bindings and of the shared vectors: one reading of arguments, one writing of
//! answers, for every language. Keys are `snake_case`; the fast path of a binding goes past these doors, the rest
//! through [`invoke`].

mod explanation;
mod foreign;
mod input;
mod invoke;
mod output;
mod receipt;
mod statement;

pub use explanation::explanation;
pub use foreign::foreign;
pub use input::{Settle, builder, call, parent_span, run_options, run_token, scope, settle_with};
pub use invoke::{Failure, invoke};
pub use output::{
    balance, decision, denial, error, event, flush_report, price_report, problem, reload_report,
    scope as scope_json,
};
pub use receipt::{HoldFacts, cost, hold, receipt, receipt_text};
pub use statement::simulate;
