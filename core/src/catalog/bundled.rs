//! The catalog that Spendrail ships, as a file.

use super::Source;

/// The built-in layer: all providers, compiled from `pricing/catalog/*.toml` by `make prices`.
pub(super) fn sources() -> Vec<Source> {
    let name = "built-in:catalog.json".to_owned();
    vec![Source { name, text: spendrail_pricing::CATALOG.to_owned() }]
}
