//! Every reply that a story tells, damaged figure by figure: what cannot be read is never guessed.

use serde_json::{Value, json};
use spendrail::catalog::normalise::{Reply, reply_of};
use spendrail_tests::story;

/// A reply of a story, and who is said to have sent it.
struct Told {
    story: String,
    provider: String,
    reply: Value,
}

fn told() -> Vec<Told> {
    let mut all = Vec::new();
    for one in story::files().iter().flat_map(|file| story::load(file)) {
        let provider =
            one.steps.iter().find_map(|step| step["with"]["provider"].as_str()).unwrap_or("openai");
        for reply in
            one.steps.iter().filter_map(|step| step["with"].get("reply")).filter(|reply| reply.is_object())
        {
            let (story, provider) = (one.name.clone(), provider.to_owned());
            all.push(Told { story, provider, reply: reply.clone() });
        }
    }
    all
}

/// The paths to every number.
fn numbers(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(path.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| numbers(item, &format!("{path}/{at}"), found));
        }
        Value::Object(entries) => {
            let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
            entries.iter().for_each(|(key, item)| numbers(item, &format!("{path}/{}", escape(key)), found));
        }
        _ => {}
    }
}

fn read(told: &Told, reply: &Value) -> Option<Reply> {
    reply_of(Some(&told.provider), Some("m"), reply).ok()
}

#[test]
fn a_damaged_figure_is_never_guessed() {
    let (mut replies, mut damaged, mut refused) = (0, 0, 0);
    for one in told() {
        let whole = read(&one, &one.reply).expect("a reply");
        let mut paths = Vec::new();
        numbers(&one.reply, "", &mut paths);
        for path in paths {
            for bad in [json!(-1), json!("NaN"), json!([1]), json!(true), json!(1e300), json!(u64::MAX)] {
                let mut reply = one.reply.clone();
                *reply.pointer_mut(&path).expect("a path") = bad.clone();
                let Some(read) = read(&one, &reply) else { continue };
                // Either nobody reads the figure, or nothing that depends on it is believed.
                let ignored = (read.usage, &read.parts) == (whole.usage, &whole.parts);
                assert!(ignored || read.usage.is_none(), "{}: {path} = {bad}: {read:?}", one.story);
                damaged += 1;
                refused += usize::from(read.usage.is_none() && whole.usage.is_some());
            }
        }
        replies += 1;
    }
    assert!(replies >= 100 && damaged >= 2_000 && refused >= 1_000, "{replies} {damaged} {refused}");
}

#[test]
fn a_figure_that_is_not_told_is_no_failure() {
    for one in
        told().into_iter().filter(|one| read(one, &one.reply).is_some_and(|whole| whole.usage.is_some()))
    {
        let mut paths = Vec::new();
        numbers(&one.reply, "", &mut paths);
        for path in paths {
            let mut reply = one.reply.clone();
            *reply.pointer_mut(&path).expect("a path") = Value::Null;
            if let Some(read) = read(&one, &reply) {
                let odd: Vec<_> = read.anomalies.iter().map(|anomaly| anomaly.rule.as_str()).collect();
                assert!(!odd.contains(&"unreadable"), "{}: {path} = null: {odd:?}", one.story);
            }
        }
    }
}
