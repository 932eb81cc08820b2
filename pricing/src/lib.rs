//! The price catalog that Spendrail ships. Data, no code: `make prices` compiles it from the files in `catalog/`.

/// Every provider's prices as one catalog file in JSON.
pub const CATALOG: &str = include_str!("../compiled/catalog.json");

/// Where each model stands in `catalog/<provider>.toml`: `{"openai": {"gpt-4o": [120, 124]}}` is line 120 for the entry,
/// line 124 for its first period; periods are in the order of their `from`.
pub const LINES: &str = include_str!("../compiled/lines.json");
