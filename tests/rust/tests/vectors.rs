//! Every story of `tests/vectors` against the engine; one line per story.

use spendrail_tests::{runner, story};

#[test]
fn every_story_is_told_as_the_contract_says() {
    let mut told = 0;
    let mut wrong = Vec::new();
    for file in story::files() {
        for one in story::load(&file) {
            let found = runner::run(&one);
            println!("{} {}: {}", if found.is_empty() { "ok  " } else { "FAIL" }, one.topic, one.name);
            wrong.extend(found.iter().map(|why| format!("{}: {}: {why}", one.topic, one.name)));
            told += 1;
        }
    }
    assert!(told >= 200, "only {told} stories were found");
    assert!(wrong.is_empty(), "{} disagreements in {told} stories:\n{}", wrong.len(), wrong.join("\n"));
}
