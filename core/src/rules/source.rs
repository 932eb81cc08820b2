//! Where rules come from: a configuration file, values from code, price files. Loading is all or nothing.

use crate::catalog::{self, Building, Catalog};
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::policy::Policy;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most bytes of one file.
pub const FILE_BYTES_MAX: u64 = 16 << 20;
const FILES_MAX: usize = 256;

/// Reads an environment variable.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Everything that rules are loaded from.
#[derive(Clone)]
pub struct Sources {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// A configuration text, with the name it has in errors.
    pub text: Option<(String, String)>,
    /// A configuration built in code; its keys win over those of the file.
    pub values: Option<serde_json::Value>,
    /// Price files given as text; they win over files.
    pub prices: Vec<catalog::Source>,
    /// The environment, for `${NAME}`.
    pub environment: Environment,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("prices", &self.prices.len())
            .finish_non_exhaustive()
    }
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The policy.
    pub policy: Arc<Policy>,
    /// The prices.
    pub catalog: Arc<Catalog>,
    /// Of every byte that was read: the same digest is the same rules.
    pub digest: u64,
    /// The files that were read, or looked for.
    pub files: Vec<PathBuf>,
}

/// What was read, and not looked into yet.
struct Read {
    /// Of the configuration, for errors.
    name: String,
    policy: Policy,
    layers: Vec<catalog::Source>,
    digest: u64,
    files: Vec<PathBuf>,
}

impl Read {
    fn compile(self, running: Option<&Catalog>) -> Result<Loaded> {
        let prices = &self.policy.prices;
        let how = Building { builtin: prices.builtin, quarantine: prices.quarantine.as_ref(), running };
        let catalog = match (prices.builtin, self.layers.is_empty()) {
            (true, true) => Catalog::builtin(),
            _ => Arc::new(Catalog::load(&self.layers, &how)?),
        };
        crate::rules::Pricing::check(&catalog, prices).map_err(|e| {
            let line = e.line();
            e.at(&self.name, line)
        })?;
        Ok(Loaded { policy: Arc::new(self.policy), catalog, digest: self.digest, files: self.files })
    }
}

impl Sources {
    /// Reads, parses and compiles everything; nothing is kept of a failure.
    ///
    /// # Errors
    /// `config_invalid`, `prices_invalid`, `io` and the codes of [`Policy::parse`], with file, line, key and hint.
    pub fn load(&self) -> Result<Loaded> {
        self.read()?.compile(None)
    }

    /// Reads everything; compiles it if a byte is another than in what has this digest. `Err(files)` in the answer:
    /// nothing has changed. The entries of `running` stay where new ones are held back.
    ///
    /// # Errors
    /// As [`Sources::load`].
    pub fn load_changed(
        &self,
        digest: u64,
        running: &Catalog,
    ) -> Result<std::result::Result<Loaded, Vec<PathBuf>>> {
        let read = self.read()?;
        if read.digest == digest {
            return Ok(Err(read.files));
        }
        read.compile(Some(running)).map(Ok)
    }

    /// Reads every file, which costs little; only the policy is parsed, because it names the price files.
    fn read(&self) -> Result<Read> {
        let mut digest = foldhash::fast::FixedState::default().build_hasher();
        let mut files = Vec::new();
        let (name, text) = self.config(&mut files)?;
        text.hash(&mut digest);
        let policy = Policy::load(&text, &name, self.values.as_ref(), &*self.environment)?;
        let folder = self.file.as_deref().and_then(Path::parent).unwrap_or_else(|| Path::new(""));
        let mut layers = Vec::new();
        for pattern in &policy.prices.files {
            for path in expand(folder, pattern)? {
                let text = read(&path).map_err(of_prices)?;
                text.hash(&mut digest);
                layers.push(catalog::Source { name: path.display().to_string(), text });
                files.push(path);
            }
            files.push(folder.join(pattern));
        }
        layers.extend(self.prices.iter().cloned());
        Ok(Read { name, policy, layers, digest: digest.finish(), files })
    }

    fn config(&self, files: &mut Vec<PathBuf>) -> Result<(String, String)> {
        match (&self.file, &self.text) {
            (Some(path), _) => {
                files.push(path.clone());
                let text = read(path)?;
                if text.trim().is_empty() {
                    // An editor or a copy truncates first and writes then: that moment must not lift every budget.
                    return Err(Error::new(Code::ConfigInvalid, "the file is empty")
                        .at(path.display().to_string(), None)
                        .hint("a configuration without rules has at least a comment"));
                }
                Ok((path.display().to_string(), text))
            }
            (None, Some((name, text))) => Ok((name.clone(), text.clone())),
            (None, None) => Ok((String::new(), String::new())),
        }
    }
}

/// The text of a price file as it is now; `None` if it cannot be read.
pub(crate) fn text_of(name: &str) -> Option<String> {
    read(Path::new(name)).ok()
}

fn read(path: &Path) -> Result<String> {
    let failed = |why: String| Error::new(Code::Io, why).at(path.display().to_string(), None);
    let size = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(failed(format!("has {size} bytes, at most {FILE_BYTES_MAX} are allowed")));
    }
    let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| {
        Error::new(Code::ConfigInvalid, format!("is not UTF-8 from byte {}", e.utf8_error().valid_up_to()))
            .at(path.display().to_string(), None)
    })
}

/// What is wrong with a price file is said of `prices.files`.
fn of_prices(error: Error) -> Error {
    match error.code() {
        Code::Io => error.hint("a path is relative to the folder of the configuration"),
        _ => error.recode(Code::ConfigInvalid, Code::PricesInvalid).hint("save it as UTF-8"),
    }
    .field("prices.files")
}

/// The files of a pattern: `*` in the last part stands for any name, sorted, so that every process reads them in the
/// same order.
fn expand(folder: &Path, pattern: &str) -> Result<BTreeSet<PathBuf>> {
    let path = folder.join(pattern);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let Some((head, tail)) = name.split_once('*') else { return Ok(BTreeSet::from([path])) };
    let parent = path.parent().unwrap_or(folder);
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let entries = std::fs::read_dir(parent)
        .map_err(|e| of_prices(Error::new(Code::Io, e.to_string()).at(parent.display().to_string(), None)))?;
    let mut found = BTreeSet::new();
    for entry in entries.flatten() {
        let file = entry.file_name();
        let file = file.to_string_lossy();
        let fits = file.len() >= head.len().saturating_add(tail.len())
            && file.starts_with(head)
            && file.ends_with(tail);
        if fits && !file.starts_with('.') {
            found.insert(entry.path());
        }
    }
    if found.len() > FILES_MAX {
        return Err(Error::new(
            Code::ConfigInvalid,
            format!("{pattern:?} stands for more than {FILES_MAX} files"),
        )
        .field("prices.files"));
    }
    Ok(found)
}
