//! The price catalog that Spendrail ships. Data, no code: one TOML file per provider in `catalog/`.

/// Every shipped catalog file: its path inside this crate, and its text.
pub const CATALOG: &[(&str, &str)] = &[];
