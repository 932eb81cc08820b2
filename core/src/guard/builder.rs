//! How a guard is made.

use super::Guard;
use super::state::State;
use crate::catalog;
use crate::clock::Clock;
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::policy::Mode;
use crate::rules::source::{Environment, Sources};
use std::path::PathBuf;
use std::sync::Arc;

/// The variable that names the configuration file.
pub const CONFIG_VARIABLE: &str = "SPENDRAIL_CONFIG";
/// The variable that wins over `mode`.
pub const MODE_VARIABLE: &str = "SPENDRAIL_MODE";
const DEFAULT_FILE: &str = "spendrail.toml";

/// Makes a [`Guard`].
///
/// With neither file, text nor values, the file that `SPENDRAIL_CONFIG` names is read, else `spendrail.toml` in the
/// working directory.
#[derive(Clone, Debug)]
#[must_use]
pub struct GuardBuilder {
    pub(super) sources: Sources,
    pub(super) clock: Clock,
    /// What the builder's process or thread is one of several of.
    pub(super) several: Option<String>,
}

impl Default for GuardBuilder {
    fn default() -> Self {
        let environment: Environment = Arc::new(|name| std::env::var(name).ok());
        let sources = Sources { file: None, text: None, values: None, prices: Vec::new(), environment };
        Self { sources, clock: Clock::System, several: None }
    }
}

impl GuardBuilder {
    /// Reads this file (TOML or JSON) and follows its changes.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.sources.file = Some(path.into());
        self
    }

    /// Reads this text; `name` stands for it in errors.
    pub fn config_text(mut self, name: &str, text: &str) -> Self {
        self.sources.text = Some((name.to_owned(), text.to_owned()));
        self
    }

    /// Values built in code, with the same keys as the file; they win over it.
    pub fn config_values(mut self, values: serde_json::Value) -> Self {
        self.sources.values = Some(values);
        self
    }

    /// A price file as text, over the files that the configuration names.
    pub fn prices(mut self, name: &str, text: &str) -> Self {
        self.sources.prices.push(catalog::Source { name: name.to_owned(), text: text.to_owned() });
        self
    }

    /// A clock that a test moves.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Another environment than the process's.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.sources.environment = environment;
        self
    }

    /// Says that this process or thread is one of several that guard the same spending, each with a ledger of its own
    /// unless that is shared: the guard warns, or is refused if the policy has `require_shared`. `what`: for people,
    /// for example `"a worker thread"`.
    pub fn one_of_several(mut self, what: &str) -> Self {
        self.several = Some(what.to_owned());
        self
    }

    /// Loads the rules and makes the guard. No thread, no socket and no watcher starts before the first call.
    ///
    /// # Errors
    /// `config_invalid`, `prices_invalid`, `amount_invalid`, `label_invalid`, `io`: with file, line, key and hint;
    /// `ledger_not_shared`.
    pub fn build(mut self) -> Result<Guard> {
        let sources = &mut self.sources;
        if sources.file.is_none() && sources.text.is_none() && sources.values.is_none() {
            sources.file = Some(default_file(&sources.environment)?);
        }
        crate::runtime::fork::register();
        let state = State::new(self)?;
        if let Some(what) = &state.setup.several
            && state.rules.load().policy.ledger.require_shared
        {
            let message = format!("the memory ledger does not reach beyond {what}");
            return Err(Error::new(Code::LedgerNotShared, message).hint("use a shared ledger"));
        }
        Ok(Guard::from_state(state))
    }

    /// What [`GuardBuilder::one_of_several`] warns of.
    pub(super) fn warning(&self) -> Option<String> {
        let what = self.several.as_ref()?;
        let code = Code::LedgerNotShared;
        Some(format!(
            "{code}: this is {what}, and its ledger counts only what is spent here: every limit holds once per process or thread"
        ))
    }

    /// The mode that the environment asks for.
    pub(super) fn mode_from_environment(&self) -> Result<Option<Mode>> {
        let Some(text) = (self.sources.environment)(MODE_VARIABLE).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        Mode::parse(&text).map(Some).ok_or_else(|| {
            Error::new(Code::ConfigInvalid, format!("{text:?} is not a mode"))
                .field(MODE_VARIABLE)
                .hint("enforce, observe or off")
        })
    }
}

fn default_file(environment: &Environment) -> Result<PathBuf> {
    if let Some(path) = environment(CONFIG_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let default = PathBuf::from(DEFAULT_FILE);
    if default.exists() {
        return Ok(default);
    }
    Err(Error::new(Code::ConfigInvalid, "there is no configuration")
        .hint("pass a file or budgets, set SPENDRAIL_CONFIG, or write spendrail.toml"))
}
