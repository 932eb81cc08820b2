//! The price catalog that Spendrail ships. Data, no code: `make prices` compiles it from the files in `catalog/`.

/// Every provider's prices as one catalog file in JSON.
pub const CATALOG: &str = include_str!("../compiled/catalog.json");

/// Where everything stands in `catalog/<provider>.toml`, in the order of the file: the provider's modifiers; for each
/// model the line of its entry, then for each period the lines of its head, its rates, its prices by length (0: none),
/// and each of its variants. `{"openai": {"modifiers": [20], "models": {"gpt-4o": [120, [124, 126, 0, 129]]}}}`.
pub const LINES: &str = include_str!("../compiled/lines.json");
