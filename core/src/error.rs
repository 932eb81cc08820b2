//! The one error type: a fault of the machinery or of the input, with a stable code.

use crate::codes::Code;
use std::fmt;

/// What every fallible operation of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault: bad input, a broken file, a ledger that cannot answer. A denial is not an error (see
/// [`crate::engine::Denial`]).
///
/// The message names the field, the value and what to do. `code` is stable; the text is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    body: Box<Body>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Body {
    code: Code,
    message: String,
    field: Option<String>,
    hint: Option<String>,
    file: Option<String>,
    line: Option<usize>,
}

/// The head and the tail of a text that is too long to be read: input of 10 MB makes no message of 10 MB.
fn bounded(text: String) -> String {
    const HEAD: usize = 500;
    const TAIL: usize = 200;
    let count = text.chars().count();
    if count <= HEAD + TAIL {
        return text;
    }
    let head = text.chars().take(HEAD);
    let tail = text.chars().skip(count.saturating_sub(TAIL));
    head.chain(std::iter::once('…')).chain(tail).collect()
}

impl Error {
    /// An error with its code and a message that names the value.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = bounded(message.into());
        let body = Body { code, message, field: None, hint: None, file: None, line: None };
        Self { body: Box::new(body) }
    }

    /// Names the field (`limit`, `budgets[2].window`).
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.body.field = Some(bounded(field.into()));
        self
    }

    /// Puts `prefix` before the field: what the caller of a parser knows and the parser does not.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        self.body.field = Some(match self.body.field.take() {
            Some(field) if field.starts_with('[') => format!("{prefix}{field}"),
            Some(field) => format!("{prefix}.{field}"),
            None => prefix.to_owned(),
        });
        self
    }

    /// The same error under another code: what a parser calls a bad file is a bad argument in code.
    #[must_use]
    pub fn recode(mut self, from: Code, to: Code) -> Self {
        if self.body.code == from {
            self.body.code = to;
        }
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    /// Says where: the file and, if known, the line (1-based). A text without a name (`""`) is no file.
    #[must_use]
    pub fn at(mut self, file: impl Into<String>, line: Option<usize>) -> Self {
        self.body.file = Some(bounded(file.into())).filter(|file| !file.is_empty());
        self.body.line = line;
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.body.code
    }

    /// The message without place, field and hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.body.message
    }

    /// The field at fault, as a path.
    #[must_use]
    pub fn field_name(&self) -> Option<&str> {
        self.body.field.as_deref()
    }

    /// What to do.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.body.hint.as_deref()
    }

    /// The file at fault.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        // What is read from code has no name.
        self.body.file.as_deref().filter(|file| !file.is_empty())
    }

    /// The line at fault (1-based).
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.body.line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = &self.body;
        if let Some(file) = self.file() {
            match body.line {
                Some(line) => write!(f, "{file}:{line}: ")?,
                None => write!(f, "{file}: ")?,
            }
        }
        if let Some(field) = &body.field {
            write!(f, "`{field}`: ")?;
        }
        f.write_str(&body.message)?;
        if let Some(hint) = &body.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
