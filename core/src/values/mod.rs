//! Small `Copy`-like data with checked arithmetic: money, amounts, usage, scope, time, ids.

pub mod amount;
mod decimal;
pub mod ids;
pub mod money;
pub mod scope;
pub mod time;
pub mod usage;

pub use amount::{Amount, Unit};
pub use decimal::Decimal;
pub(crate) use decimal::write_scaled;
pub use ids::Id;
pub use money::{AttoUsd, NanoUsd};
pub use scope::{Dimension, Label, Scope};
pub use time::{Duration, Timestamp};
pub use usage::{Bucket, Usage};
