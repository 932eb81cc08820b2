//! The catalog that Spendrail ships, as a file.

use super::Source;

/// The built-in layer: all providers, compiled from `pricing/catalog/*.toml` by `make prices`.
pub(super) fn sources() -> Vec<Source> {
    let name = "built-in:catalog.json".to_owned();
    vec![Source { name, text: spendrail_pricing::CATALOG.to_owned() }]
}

#[cfg(test)]
mod tests {
    use super::super::{Catalog, Resolution, Via};

    fn built() -> Catalog {
        Catalog::build(&[]).unwrap_or_else(|error| panic!("{error} {:?} {:?}", error.field_name(), error.hint_text()))
    }

    #[test]
    fn it_loads_and_is_large() {
        assert!(built().len() >= 1_000);
    }
}
