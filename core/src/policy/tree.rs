//! A configuration text as a tree that knows its lines: TOML or JSON in, typed keys out. Every key that nobody
//! asked for is an error with the nearest key as the hint.

use crate::codes::Code;
use crate::error::{Error, Result};
use crate::hint::nearest;
use crate::values::{Amount, Duration};
use std::collections::BTreeMap;

/// Most bytes of one configuration text.
const TEXT_BYTES_MAX: usize = 16 << 20;
const DEPTH_MAX: usize = 32;

/// A value and the line it stands on (0: not known).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

/// What a configuration can hold. Numbers with a fraction keep their text: no float is ever used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Fraction(String),
    Text(String),
    Array(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) => "a number",
            Value::Fraction(_) => "a number with a fraction",
            Value::Text(_) => "a text",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

impl Node {
    /// Reads TOML, or JSON if the first sign is `{`. `${NAME}` in texts is replaced by `env(NAME)`.
    pub(crate) fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Node> {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("has {} bytes, at most {TEXT_BYTES_MAX} are allowed", text.len());
            return Err(Error::new(Code::ConfigInvalid, message));
        }
        let mut root = if text.trim_start().starts_with('{') { json(text)? } else { toml(text)? };
        root.expand(env)?;
        Ok(root)
    }

    /// From a value built in code.
    pub(crate) fn from_json(value: &serde_json::Value) -> Result<Node> {
        convert_json(value, 0)
    }

    /// This tree with `over` laid on it: tables merge, everything else is replaced.
    pub(crate) fn under(self, over: Node) -> Node {
        match (self.value, over.value) {
            (Value::Table(mut below), Value::Table(above)) => {
                for (key, node) in above {
                    let merged = match below.remove(&key) {
                        Some(old) => old.under(node),
                        None => node,
                    };
                    below.insert(key, merged);
                }
                Node { line: self.line, value: Value::Table(below) }
            }
            (_, value) => Node { line: over.line, value },
        }
    }

    fn expand(&mut self, env: &dyn Fn(&str) -> Option<String>) -> Result<()> {
        match &mut self.value {
            Value::Text(text) if text.contains("${") => {
                *text = expand(text, env).map_err(|e| e.at("", Some(self.line)))?;
            }
            Value::Array(items) => items.iter_mut().try_for_each(|node| node.expand(env))?,
            Value::Table(entries) => entries.values_mut().try_for_each(|node| node.expand(env))?,
            _ => {}
        }
        Ok(())
    }
}

fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after
            .split_once('}')
            .ok_or_else(|| Error::new(Code::ConfigInvalid, format!("{text:?} has \"${{\" without \"}}\"")))?;
        let value = env(name).ok_or_else(|| {
            Error::new(Code::ConfigInvalid, format!("the environment variable {name} is not set"))
                .hint("set it, or take ${…} out")
        })?;
        out.push_str(before);
        out.push_str(&value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn toml(text: &str) -> Result<Node> {
    let lines: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line_of = |at: usize| lines.partition_point(|newline| *newline < at).saturating_add(1);
    let table = toml::de::DeTable::parse(text).map_err(|e| {
        let line = e.span().map(|span| line_of(span.start));
        Error::new(Code::ConfigInvalid, e.message().to_owned()).at("", line)
    })?;
    let mut entries = BTreeMap::new();
    for (key, value) in table.get_ref() {
        entries
            .insert(key.get_ref().to_string(), convert_toml(value, line_of(key.span().start), &line_of, 1)?);
    }
    Ok(Node { line: 1, value: Value::Table(entries) })
}

fn convert_toml(
    node: &toml::Spanned<toml::de::DeValue<'_>>,
    line: usize,
    line_of: &dyn Fn(usize) -> usize,
    depth: usize,
) -> Result<Node> {
    use toml::de::DeValue;
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    let deeper = depth.saturating_add(1);
    let value = match node.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Fraction(number.as_str().to_owned()), Value::Integer),
        DeValue::Float(number) => Value::Fraction(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(instant) => Value::Text(instant.to_string()),
        DeValue::Array(items) => {
            let convert = |item| convert_toml(item, line_of(item.span().start), line_of, deeper);
            Value::Array(items.iter().map(convert).collect::<Result<_>>()?)
        }
        DeValue::Table(table) => {
            let mut entries = BTreeMap::new();
            for (key, value) in table {
                let at = line_of(key.span().start);
                entries.insert(key.get_ref().to_string(), convert_toml(value, at, line_of, deeper)?);
            }
            Value::Table(entries)
        }
    };
    Ok(Node { line, value })
}

fn json(text: &str) -> Result<Node> {
    let value: serde_json::Value = serde_json::from_str(text)
        .map_err(|e| Error::new(Code::ConfigInvalid, e.to_string()).at("", Some(e.line())))?;
    convert_json(&value, 0)
}

fn convert_json(value: &serde_json::Value, depth: usize) -> Result<Node> {
    use serde_json::Value as Json;
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    let deeper = depth.saturating_add(1);
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Value::Fraction(number.to_string()), Value::Integer)
        }
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => {
            Value::Array(items.iter().map(|item| convert_json(item, deeper)).collect::<Result<_>>()?)
        }
        Json::Object(entries) => {
            let convert = |(key, item): (&String, &Json)| Ok((key.clone(), convert_json(item, deeper)?));
            Value::Table(entries.iter().map(convert).collect::<Result<_>>()?)
        }
    };
    Ok(Node { line: 0, value })
}

fn too_deep() -> Error {
    Error::new(Code::ConfigInvalid, format!("is nested deeper than {DEPTH_MAX} levels"))
}

/// A table being read: each key is taken once, [`Table::finish`] refuses what is left.
#[derive(Debug)]
pub(crate) struct Table {
    path: String,
    line: usize,
    entries: BTreeMap<String, Node>,
    known: Vec<&'static str>,
}

impl Table {
    pub(crate) fn new(node: Node, path: &str) -> Result<Table> {
        match node.value {
            Value::Table(entries) => {
                Ok(Table { path: path.to_owned(), line: node.line, entries, known: Vec::new() })
            }
            other => Err(fail(path, node.line, &format!("is {}, not a table", other.kind()))),
        }
    }

    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// The line of a key that has not been taken yet; of the table, if it has none of its own.
    pub(crate) fn line_of(&self, key: &str) -> usize {
        self.entries.get(key).map_or(self.line, |node| node.line)
    }

    /// The keys of a free-form table.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (String, Node)> {
        self.entries.into_iter()
    }

    pub(crate) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn take(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        self.entries.remove(key).filter(|node| node.value != Value::Null)
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Result<Option<(String, usize)>> {
        let path = self.key(key);
        self.take(key).map(|node| Ok((text(&node, &path)?.to_owned(), node.line))).transpose()
    }

    pub(crate) fn boolean(&mut self, key: &'static str) -> Result<Option<bool>> {
        let path = self.key(key);
        self.take(key)
            .map(|node| match node.value {
                Value::Bool(flag) => Ok(flag),
                other => Err(fail(&path, node.line, &format!("is {}, not true or false", other.kind()))),
            })
            .transpose()
    }

    /// A whole number in `range`.
    pub(crate) fn integer(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>> {
        let path = self.key(key);
        self.take(key)
            .map(|node| match node.value {
                Value::Integer(number) if range.contains(&number) => Ok(number),
                Value::Integer(number) => {
                    let message = format!("{number} is not within {} to {}", range.start(), range.end());
                    Err(fail(&path, node.line, &message))
                }
                other => Err(fail(&path, node.line, &format!("is {}, not a whole number", other.kind()))),
            })
            .transpose()
    }

    pub(crate) fn duration(&mut self, key: &'static str) -> Result<Option<Duration>> {
        let path = self.key(key);
        let found = self.text(key)?;
        found.map(|(text, line)| Duration::parse(&text).map_err(|e| place(e, &path, line))).transpose()
    }

    pub(crate) fn amount(&mut self, key: &'static str) -> Result<Option<Amount>> {
        let path = self.key(key);
        self.take(key).map(|node| amount(&node, &path)).transpose()
    }

    /// One of a closed set of words.
    pub(crate) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Result<Option<T>> {
        let path = self.key(key);
        let Some((text, line)) = self.text(key)? else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(fail(&path, line, &format!("{text:?} is not one of {}", all.join(", "))))
            }
        }
    }

    /// A list of tables.
    pub(crate) fn tables(&mut self, key: &'static str) -> Result<Vec<Table>> {
        let path = self.key(key);
        let Some(node) = self.take(key) else { return Ok(Vec::new()) };
        let Value::Array(items) = node.value else {
            return Err(fail(&path, node.line, &format!("is {}, not a list of tables", node.value.kind())));
        };
        let make = |(at, item): (usize, Node)| Table::new(item, &format!("{path}[{at}]"));
        items.into_iter().enumerate().map(make).collect()
    }

    /// A table, empty if absent.
    pub(crate) fn table(&mut self, key: &'static str) -> Result<Table> {
        let path = self.key(key);
        let node = self.take(key).unwrap_or(Node { line: self.line, value: Value::Table(BTreeMap::new()) });
        Table::new(node, &path)
    }

    /// A list of texts; one text counts as a list of one.
    pub(crate) fn texts(&mut self, key: &'static str) -> Result<Option<Vec<(String, usize)>>> {
        let path = self.key(key);
        self.take(key).map(|node| texts(&node, &path)).transpose()
    }

    /// Refuses a key whose feature this version does not have, unless it has its neutral value.
    pub(crate) fn not_yet(&mut self, key: &'static str, neutral: &[&str]) -> Result<()> {
        let path = self.key(key);
        match self.take(key) {
            None => Ok(()),
            Some(Node { value: Value::Text(text), .. }) if neutral.contains(&text.as_str()) => Ok(()),
            Some(node) => {
                Err(fail(&path, node.line, "is not in this version yet").hint("see CHANGELOG.md for what is"))
            }
        }
    }

    /// A key that must be there is not. If one that nobody asked for looks like it, that one is the error.
    pub(crate) fn missing(&self, key: &'static str, hint: &str) -> Error {
        let left: Vec<&str> = self.entries.keys().map(String::as_str).collect();
        match nearest(key, &left).and_then(|typo| self.entries.get_key_value(typo)) {
            Some((typo, node)) => {
                fail(&self.key(typo), node.line, "is an unknown key").hint(format!("did you mean `{key}`?"))
            }
            None => fail(&self.key(key), self.line, "is missing").hint(hint),
        }
    }

    /// Every key has been read.
    pub(crate) fn finish(self) -> Result<()> {
        let Some((key, node)) = self.entries.first_key_value() else { return Ok(()) };
        let error = fail(&self.key(key), node.line, "is an unknown key");
        Err(match nearest(key, &self.known) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("known keys: {}", self.known.join(", "))),
        })
    }
}

pub(crate) fn text<'a>(node: &'a Node, path: &str) -> Result<&'a str> {
    match &node.value {
        Value::Text(text) => Ok(text),
        other => Err(fail(path, node.line, &format!("is {}, not a text", other.kind()))),
    }
}

pub(crate) fn texts(node: &Node, path: &str) -> Result<Vec<(String, usize)>> {
    match &node.value {
        Value::Array(items) => {
            let read = |(at, item): (usize, &Node)| {
                text(item, &format!("{path}[{at}]")).map(|text| (text.to_owned(), item.line))
            };
            items.iter().enumerate().map(read).collect()
        }
        _ => Ok(vec![(text(node, path)?.to_owned(), node.line)]),
    }
}

/// An amount, which must be a text: a bare number has no unit, and a float is no money.
pub(crate) fn amount(node: &Node, path: &str) -> Result<Amount> {
    match &node.value {
        Value::Text(text) => Amount::parse(text).map_err(|e| place(e, path, node.line)),
        other => Err(Error::new(Code::AmountInvalid, format!("is {}, not an amount", other.kind()))
            .hint("write a text with a unit, for example \"0.50 USD\"")
            .field(path)
            .at("", (node.line > 0).then_some(node.line))),
    }
}

pub(crate) fn fail(path: &str, line: usize, message: &str) -> Error {
    place(Error::new(Code::ConfigInvalid, message), path, line)
}

pub(crate) fn place(error: Error, path: &str, line: usize) -> Error {
    error.field(path).at("", (line > 0).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table> {
        Table::new(Node::parse(text, &|name| (name == "HOME_TENANT").then(|| "acme".to_owned()))?, "")
    }

    #[test]
    fn a_typo_gets_the_nearest_key() {
        let mut table = read("a = 1\n\nwindwo = \"day\"\n").unwrap();
        let _ = (table.take("a"), table.take("window"));
        let error = table.finish().unwrap_err();
        assert_eq!((error.field_name(), error.line()), (Some("windwo"), Some(3)));
        assert_eq!(error.hint_text(), Some("did you mean `window`?"));
    }

    #[test]
    fn the_environment_is_expanded_and_must_be_set() {
        let mut table = read("name = \"x-${HOME_TENANT}\"").unwrap();
        assert_eq!(table.text("name").unwrap().unwrap().0, "x-acme");
        assert_eq!(read("name = \"${MISSING}\"").unwrap_err().code(), Code::ConfigInvalid);
        assert!(read("name = \"${MISSING\"").is_err());
    }

    #[test]
    fn money_must_be_text() {
        for text in ["limit = 50", "limit = 0.5", "limit = nan", "{\"limit\": 1e400}", "{\"limit\": [1]}"] {
            let Ok(mut table) = read(text) else { continue };
            assert_eq!(table.amount("limit").unwrap_err().code(), Code::AmountInvalid, "{text}");
        }
    }

    #[test]
    fn broken_text_names_its_line() {
        assert_eq!(read("a = 1\nb = = 2\n").unwrap_err().line(), Some(2));
        assert_eq!(read("{\n\"a\": }").unwrap_err().line(), Some(2));
        assert!(read(&"[".repeat(100_000)).is_err());
    }
}
