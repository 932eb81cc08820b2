//! Stories: read, expand, compare. The format is in `tests/vectors/README.md`.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// One story.
#[derive(Clone, Debug)]
pub struct Story {
    /// The file it stands in.
    pub topic: String,
    /// Unique in the topic.
    pub name: String,
    /// Where the clock stands.
    pub start: String,
    /// `spendrail.toml` as JSON.
    pub config: Value,
    /// Price files; the later wins.
    pub prices: Vec<Value>,
    /// What building the guard answers; null: it works.
    pub expect: Value,
    /// The steps.
    pub steps: Vec<Value>,
}

/// The folder of the vectors.
#[must_use]
pub fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

/// Every story file of the vectors, sorted.
#[must_use]
pub fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(vectors()).expect("the folder of the vectors");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| {
        path.extension().is_some_and(|e| e == "json") && path.file_stem().is_some_and(|s| s != "catalog")
    });
    files.sort();
    files
}

/// The stories of one file.
#[must_use]
pub fn load(path: &Path) -> Vec<Story> {
    let common = read(&vectors().join("catalog.json"));
    let topic = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let stories = read(path);
    let stories = stories.as_array().unwrap_or_else(|| panic!("{} is no list", path.display()));
    let make = |story: &Value| Story {
        topic: topic.clone(),
        name: text(story, "name"),
        start: text(story, "start"),
        config: expand(&story["config"]),
        prices: list(if story["prices"].is_null() { &common } else { &story["prices"] }),
        expect: story["expect"].clone(),
        steps: list(&story["steps"]),
    };
    stories.iter().map(make).collect()
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn text(story: &Value, key: &str) -> String {
    story[key].as_str().unwrap_or_else(|| panic!("a story without {key}")).to_owned()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().map(|items| items.iter().map(expand).collect()).unwrap_or_default()
}

/// `{"$repeat": ["x", 3]}` is `"xxx"`: how a story holds a text of 10 MB.
fn expand(value: &Value) -> Value {
    match value {
        Value::Object(entries) => match entries.get("$repeat").and_then(Value::as_array).map(Vec::as_slice) {
            Some([Value::String(text), times]) => {
                let times = times.as_u64().and_then(|n| usize::try_from(n).ok()).expect("a count");
                Value::String(text.repeat(times))
            }
            _ => entries.iter().map(|(key, item)| (key.clone(), expand(item))).collect(),
        },
        Value::Array(items) => items.iter().map(expand).collect(),
        other => other.clone(),
    }
}

/// Why `actual` is not as expected: objects by the keys given, arrays in full, scalars exactly.
#[must_use]
pub fn mismatch(expected: &Value, actual: &Value, path: &str) -> Option<String> {
    let differs = || Some(format!("{path}: expected {}, got {}", short(expected), short(actual)));
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => expected.iter().find_map(|(key, value)| {
            let at = format!("{path}.{key}");
            match actual.get(key) {
                Some(found) => mismatch(value, found, &at),
                None => Some(format!("{at}: missing in {}", short(&Value::Object(actual.clone())))),
            }
        }),
        (Value::Array(expected), Value::Array(found)) => {
            if expected.len() != found.len() {
                return Some(format!("{path}: expected {} elements, got {}", expected.len(), short(actual)));
            }
            let pairs = expected.iter().zip(found).enumerate();
            pairs
                .into_iter()
                .find_map(|(at, (expected, found))| mismatch(expected, found, &format!("{path}[{at}]")))
        }
        _ if expected == actual => None,
        _ => differs(),
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_partial_match_sees_every_difference() {
        let actual = json!({ "a": 1, "b": [1, { "c": true }], "d": null });
        for good in [json!({}), json!({ "a": 1 }), json!({ "b": [1, {}] }), json!({ "d": null })] {
            assert_eq!(mismatch(&good, &actual, ""), None, "{good}");
        }
        for bad in [
            json!({ "a": 2 }),
            json!({ "a": "1" }),
            json!({ "b": [1] }),
            json!({ "b": [1, { "c": 1 }] }),
            json!({ "e": null }),
        ] {
            assert!(mismatch(&bad, &actual, "").is_some(), "{bad}");
        }
    }

    #[test]
    fn texts_are_repeated() {
        assert_eq!(expand(&json!([{ "$repeat": ["ab", 2] }])), json!(["abab"]));
    }
}
