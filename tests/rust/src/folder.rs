//! The files of one guard: a configuration and its price files, in a folder that is removed at the end.

use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder.
#[derive(Debug)]
pub struct Folder(PathBuf);

static FOLDERS: AtomicU32 = AtomicU32::new(0);

impl Folder {
    /// An empty folder of its own.
    #[must_use]
    pub fn new() -> Self {
        let name =
            format!("spendrail-story-{}-{}", std::process::id(), FOLDERS.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    /// Where the configuration stands.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.0.join("spendrail.json")
    }

    /// Writes everything, the configuration last; each file is replaced in one step.
    pub fn write(&self, config: &Value, prices: &[Value]) {
        let names: Vec<String> = (0..prices.len()).map(|at| format!("prices-{at}.json")).collect();
        for (name, value) in names.iter().zip(prices) {
            self.replace(name, value);
        }
        let mut config = config.clone();
        if let Some(table) = config.as_object_mut() {
            let settings = table.entry("prices").or_insert_with(|| json!({}));
            settings["files"] = names.into();
            settings["builtin"] = false.into();
        }
        self.replace("spendrail.json", &config);
    }

    fn replace(&self, name: &str, value: &Value) {
        let draft = self.0.join(format!(".{name}"));
        // A text is written as it is: a story that tells lines has its price file in TOML.
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        std::fs::write(&draft, text).expect("a file");
        std::fs::rename(&draft, self.0.join(name)).expect("a file");
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
