//! Files of other tools over files of ours: what both say must not make the catalog fail.

use super::super::{Building, Catalog, PriceContext, Quarantine, Resolution, Source};
use crate::values::{Bucket, Usage};
use std::fmt::Write as _;

fn load_over(files: &[&str], running: Option<&Catalog>) -> Catalog {
    let sources: Vec<Source> = files
        .iter()
        .enumerate()
        .map(|(at, text)| Source { name: format!("{at}.json"), text: (*text).to_owned() })
        .collect();
    let quarantine = Quarantine::default();
    let how = Building { builtin: false, quarantine: Some(&quarantine), running };
    Catalog::load(&sources, &how).unwrap_or_else(|why| panic!("{why}"))
}

fn load(files: &[&str]) -> Catalog {
    load_over(files, None)
}

/// What a million tokens of input cost.
fn input(catalog: &Catalog, provider: &str, model: &str, context: &PriceContext) -> String {
    let usage = Usage::new().with(Bucket::Input, 1_000_000);
    match catalog.resolve(Some(provider), model) {
        Resolution::Found { entry, .. } => entry.cost(&usage, context).total.to_string(),
        other => panic!("{provider}/{model} is {other:?}"),
    }
}

fn in_zone(geo: &str) -> PriceContext {
    PriceContext { geo: Some(geo.into()), ..PriceContext::default() }
}

fn notes(catalog: &Catalog, file: usize) -> Vec<String> {
    catalog.report().files[file].skipped.first.iter().map(ToString::to_string).collect()
}

const AZURE: &str = r#"{
    "azure/m": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 2e-06},
    "azure/eu/m": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 2.2e-06}}"#;

#[test]
fn a_zone_is_not_counted_twice() {
    let ours = r#"{"catalog": 1, "provider": "azure", "models": {"m": {"prices": [{"rates": {"input": "1"}}]}},
        "modifiers": [{"when": {"geo": "!global"}, "multiply": "1.1"}]}"#;
    let catalog = load(&[ours, AZURE]);
    assert_eq!(input(&catalog, "azure", "m", &PriceContext::default()), "2");
    assert_eq!(input(&catalog, "azure", "m", &in_zone("eu")), "2.2");
    let notes = notes(&catalog, 1);
    assert!(notes.iter().any(|note| note.contains("modifier of the layers below")), "{notes:?}");
    // A multiplier of the model itself gives way to the later file's price.
    let ours = r#"{"catalog": 1, "provider": "azure", "models": {"m": {"prices": [{"rates": {"input": "1"},
        "variants": [{"when": {"geo": "eu"}, "multiply": "1.5"}]}]}}}"#;
    assert_eq!(input(&load(&[ours, AZURE]), "azure", "m", &in_zone("eu")), "2.2");
}

#[test]
fn what_ties_with_a_layer_below_is_left_out_and_said() {
    let ours = r#"{"catalog": 1, "provider": "openai", "models": {"m": {"prices": [{"rates": {"input": "1"},
        "variants": [{"when": {"speed": "fast"}, "rates": {"input": "5"}}]}]}}}"#;
    let theirs = r#"{"m": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-06,
        "input_cost_per_token_priority": 3e-06}}"#;
    let catalog = load(&[ours, theirs]);
    assert_eq!(input(&catalog, "openai", "m", &PriceContext::default()), "2");
    assert_eq!(notes(&catalog, 1), [r#"`m`: `{"tier":"priority"}` ties with a price of the layers below"#]);
    // The other way round our own file is at fault, and its author can mend it.
    let sources = [theirs, ours].map(|text| Source { name: "x".into(), text: text.into() });
    assert!(Catalog::build_only(&sources).is_err());
}

#[test]
fn names_of_the_layers_below_are_used() {
    let ours = r#"{"catalog": 1, "provider": "x", "aliases": ["seller"], "strip_prefixes": ["maker/"],
        "models": {"m": {"prices": [{"rates": {"input": "1", "output": "4"}}]}}}"#;
    let theirs = r#"{"seller/maker/m": {"litellm_provider": "seller", "mode": "chat", "input_cost_per_token": 2e-06}}"#;
    let catalog = load(&[ours, theirs]);
    assert_eq!((catalog.len(), input(&catalog, "x", "m", &PriceContext::default())), (1, "2".to_owned()));
}

#[test]
fn a_held_back_entry_keeps_what_was_in_force_and_its_version_says_so() {
    let file = |price: &str| {
        format!(
            r#"{{"m": {{"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": {price}}}}}"#
        )
    };
    let (first, second) = (load(&[&file("1e-06")]), file("5e-06"));
    let kept = load_over(&[&second], Some(&first));
    assert_eq!(input(&kept, "openai", "m", &PriceContext::default()), "1");
    assert_eq!(kept.report().quarantined(), 1);
    assert!(kept.report().warnings()[0].contains("went from 1 to 5"), "{:?}", kept.report().warnings());
    // Held back again when it comes again, and the same prices have the same version.
    let again = load_over(&[&second], Some(&kept));
    assert_eq!((again.version(), again.report()), (kept.version(), kept.report()));
    // A process that starts now has no older price: the same file, other prices, another version.
    let fresh = load(&[&second]);
    assert_eq!(input(&fresh, "openai", "m", &PriceContext::default()), "5");
    assert_ne!(fresh.version(), kept.version());
    // What the user's own file says over it still counts.
    let own =
        r#"{"catalog": 1, "provider": "openai", "models": {"m": {"prices": [{"rates": {"input": "7"}}]}}}"#;
    assert_eq!(
        input(&load_over(&[&second, own], Some(&first)), "openai", "m", &PriceContext::default()),
        "7"
    );
}

#[test]
fn everything_is_bounded() {
    let mut fields = String::new();
    for at in 0..5_000 {
        let _ = write!(
            fields,
            ", \"output_cost_per_image_{at}\": 1, \"input_cost_per_token_above_{at}k_tokens\": 1e-06"
        );
    }
    let entry = format!(
        r#"{{"m": {{"litellm_provider": "openai", "input_cost_per_token": 1e-06, "input_cost_per_token_batches": 1e-06{fields}}}}}"#
    );
    let report = load(&[&entry]).report().files[0].clone();
    assert_eq!((report.models, report.skipped.first.len()), (1, 100));
    assert!(report.skipped.count > 9_000, "{}", report.skipped.count);

    let mut zones = String::new();
    for at in 0..300 {
        let _ = write!(
            zones,
            ", \"{at}-x-{at}/m\": {{\"litellm_provider\": \"openai\", \"input_cost_per_token\": 1e-06}}"
        );
    }
    let many = format!(r#"{{"m": {{"litellm_provider": "openai", "input_cost_per_token": 1e-06}}{zones}}}"#);
    assert_eq!(load(&[&many]).report().files[0].models, 301);

    let periods: Vec<String> = (1..=300)
        .map(|at| {
            format!(
                r#"{{"constraint": {{"start_date": "20{:02}-01-01"}}, "prices": {{"input_mtok": 1}}}}"#,
                at % 90 + 10
            )
        })
        .collect();
    let clauses: Vec<String> = (0..400).map(|at| format!(r#"{{"equals": "n-{at}"}}"#)).collect();
    let genai = format!(
        r#"[{{"id": "p", "models": [{{"id": "long", "match": {{"equals": "long"}}, "prices": [{}]}},
            {{"id": "m", "match": {{"or": [{}]}}, "prices": {{"input_mtok": 1}}}}]}}]"#,
        periods.join(", "),
        clauses.join(", ")
    );
    let catalog = load(&[&genai]);
    assert_eq!(catalog.report().files[0].models, 1);
    assert_eq!(input(&catalog, "p", "n-100", &PriceContext::default()), "1");
    assert!(matches!(catalog.resolve(Some("p"), "n-399"), Resolution::Unknown));

    let name = "n".repeat(300);
    let long = format!(
        r#"{{"{name}": {{"litellm_provider": "openai", "input_cost_per_token": 1e-06}},
        "m": {{"litellm_provider": "Not A Name!", "input_cost_per_token": 1e-06}}}}"#
    );
    let report = load(&[&long]).report().files[0].clone();
    assert_eq!((report.models, report.skipped.count), (0, 2));
}

#[test]
fn a_truncated_file_says_where() {
    let text = "{\n\"m\": {\"litellm_provider\": \"openai\",\n \"input_cost_per_token\": 1e-0";
    let error = Catalog::build_only(&[Source { name: "l.json".into(), text: text.into() }]).unwrap_err();
    assert_eq!((error.file(), error.line()), (Some("l.json"), Some(3)), "{error}");
}

#[test]
fn a_tie_leaves_the_multiplier_below_as_it_was() {
    let ours = r#"{"catalog": 1, "provider": "aws", "models": {"m": {"prices": [{"rates": {"input": "1"}, "variants": [
        {"when": {"region": "us-*"}, "rates": {"input": "3"}}, {"when": {"tier": "batch"}, "multiply": "0.5"}]}]}}}"#;
    let theirs = r#"{"m": {"litellm_provider": "bedrock", "mode": "chat", "input_cost_per_token": 2e-06,
        "input_cost_per_token_batches": 1.5e-06}}"#;
    let catalog = load(&[ours, theirs]);
    let batch = PriceContext { tier: Some(super::super::Tier::Batch), ..PriceContext::default() };
    assert_eq!(input(&catalog, "aws", "m", &batch), "1");
    assert!(notes(&catalog, 1)[0].contains("ties"), "{:?}", notes(&catalog, 1));
}
