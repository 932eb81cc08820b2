//! The price catalog that Spendrail ships. Data, no code: one TOML file per provider in `catalog/`.

macro_rules! catalog {
    ($($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../catalog/", $file)))),+]
    };
}

/// Every shipped catalog file: its path inside `catalog/`, and its text.
pub const CATALOG: &[(&str, &str)] = catalog!["anthropic.toml", "google.toml", "openai.toml"];
