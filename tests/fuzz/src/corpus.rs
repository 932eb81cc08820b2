//! Seeds: the stories' configurations, price files, replies and events, and what Spendrail ships.

use serde_json::Value;
use std::path::Path;

/// Longest seed; of longer ones a part is taken.
const BYTES_MAX: usize = 16 << 10;

/// The texts of the shipped catalog, cut at whole models.
#[must_use]
pub fn catalogs() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = folder("../../pricing/catalog", "toml")
        .into_iter()
        .map(|text| match text.char_indices().find(|(at, _)| *at > BYTES_MAX) {
            Some((cut, _)) => text.as_bytes()[..text[..cut].rfind("\n[models").unwrap_or(cut)].to_vec(),
            None => text.into_bytes(),
        })
        .collect();
    seeds.extend(prices().into_iter().filter(|price| price.get("catalog").is_some()).map(bytes));
    seeds
}

/// Price files of other tools.
#[must_use]
pub fn foreign() -> Vec<Vec<u8>> {
    let foreign = prices().into_iter().filter(|price| price.get("catalog").is_none());
    foreign.filter(|price| price.is_object() || price.is_array()).map(bytes).collect()
}

/// Configurations.
#[must_use]
pub fn policies() -> Vec<Vec<u8>> {
    found("config").into_iter().filter(Value::is_object).map(bytes).collect()
}

/// Replies of providers, each as `{provider, reply}`.
#[must_use]
pub fn replies() -> Vec<Vec<u8>> {
    found("reply").into_iter().map(bytes).collect()
}

/// Events of streams, each line one event, the first line the API.
#[must_use]
pub fn streams() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for story in stories() {
        let steps = story["steps"].as_array().cloned().unwrap_or_default();
        let chunks: Vec<&Value> = steps.iter().filter(|step| step["do"] == "chunk").collect();
        if let Some(first) = chunks.first() {
            let mut text = first["with"]["api"].as_str().unwrap_or_default().to_owned();
            for chunk in &chunks {
                text.push('\n');
                text.push_str(&chunk["with"]["event"].to_string());
            }
            seeds.push(text.into_bytes());
        }
    }
    seeds
}

fn prices() -> Vec<Value> {
    found("prices").into_iter().flat_map(|list| list.as_array().cloned().unwrap_or_default()).collect()
}

fn bytes(value: Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn stories() -> Vec<Value> {
    let files = folder("../vectors", "json");
    let read = |text: &String| serde_json::from_str::<Value>(text).ok();
    files.iter().filter_map(read).flat_map(|file| file.as_array().cloned().unwrap_or_default()).collect()
}

/// Every value of this key in the stories, those of a moderate size.
fn found(key: &str) -> Vec<Value> {
    fn look(value: &Value, key: &str, all: &mut Vec<Value>) {
        match value {
            Value::Object(entries) => {
                for (name, inner) in entries {
                    if name == key && inner.to_string().len() <= BYTES_MAX {
                        all.push(inner.clone());
                    }
                    look(inner, key, all);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| look(item, key, all)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    stories().iter().for_each(|story| look(story, key, &mut all));
    all
}

fn folder(path: &str, ending: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == ending));
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}
