//! The catalog that Spendrail ships, as files.

use super::Source;

/// The built-in layer, file by file.
pub(super) fn sources() -> Vec<Source> {
    let named =
        |(path, text): &(&str, &str)| Source { name: format!("built-in:{path}"), text: (*text).to_owned() };
    spendrail_pricing::CATALOG.iter().map(named).collect()
}
