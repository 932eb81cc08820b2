//! Random histories, answered by the oracle, told to the engine.
//!
//! `HISTORIES` says how many (default 300), `HISTORIES_SEED` which (default 1), `PYTHON` what runs the oracle.

use spendrail_tests::{runner, story};
use std::path::Path;
use std::process::Command;

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

#[test]
fn the_engine_answers_as_the_oracle_does() {
    let (count, seed) = (setting("HISTORIES", "300"), setting("HISTORIES_SEED", "1"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("histories-{seed}"));
    let _ = std::fs::remove_dir_all(&out);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../oracle/histories.py");
    let made = Command::new(setting("PYTHON", "python3"))
        .arg(&script)
        .args(["--count", &count, "--seed", &seed, "--out"])
        .arg(&out)
        .output()
        .expect("python3, which runs the oracle");
    println!("{}", String::from_utf8_lossy(&made.stdout));
    assert!(made.status.success(), "the oracle: {}", String::from_utf8_lossy(&made.stderr));

    let mut files: Vec<_> =
        std::fs::read_dir(&out).expect("histories").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let (mut told, mut wrong) = (0u64, Vec::new());
    for one in files.iter().flat_map(|file| story::load(file)) {
        let found = runner::run(&one);
        wrong.extend(found.first().map(|why| format!("history {}: {why}", one.name)));
        told += 1;
    }
    assert_eq!(told.to_string(), count);
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {told} histories disagree; the first of each:\n{shown}", wrong.len());
}
