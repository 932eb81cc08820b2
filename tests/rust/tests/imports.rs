//! Other people's price files, whole: the published ones if they are there (`make check-prices` fetches them), and one
//! of the same shape and size that is made here.

use spendrail::catalog::{Building, Catalog, Quarantine, Source};
use std::path::Path;
use std::time::Instant;

fn load(name: &str, text: String, builtin: bool) -> (Catalog, std::time::Duration) {
    let files = [Source { name: name.into(), text }];
    let quarantine = Quarantine::default();
    let started = Instant::now();
    let catalog = Catalog::load(&files, &Building { builtin, quarantine: Some(&quarantine), running: None });
    let took = started.elapsed();
    (catalog.unwrap_or_else(|why| panic!("{why}")), took)
}

/// `SPENDRAIL_FOREIGN=a.json,b.json cargo test -p spendrail-tests --test imports -- --ignored --nocapture`
#[test]
#[ignore = "needs files of other tools"]
fn published_files_load() {
    let files = std::env::var("SPENDRAIL_FOREIGN").expect("SPENDRAIL_FOREIGN names the files");
    for path in files.split(',').map(Path::new) {
        let text = std::fs::read_to_string(path).unwrap();
        for builtin in [false, true] {
            let (catalog, took) = load(&path.display().to_string(), text.clone(), builtin);
            let report = &catalog.report().files[0];
            println!(
                "{} builtin={builtin}: {:?}, {} models of the file, {} in all, {} skipped, {} rounded, {} held back, {took:?}",
                path.display(),
                report.format,
                report.models,
                catalog.len(),
                report.skipped.count,
                report.rounded.count,
                report.quarantined.count,
            );
            let shown =
                report.skipped.first.iter().chain(&report.quarantined.first).chain(&report.rounded.first);
            shown.for_each(|note| println!("    {note}"));
        }
    }
}
