//! A file's text to data; a refused one says file, line, key path and what to do.

use super::Source;
use super::fields::hint_for;
use super::layers::{Problem, shown_key};
use super::schema::File;
use crate::codes::Code;
use crate::error::{Error, Result};

/// Most bytes of one file.
const FILE_BYTES_MAX: usize = 16 << 20;
/// What can be read.
const KNOWN_FILES: &str = "a catalog file begins with `catalog = 1`; LiteLLM's model_prices_and_context_window.json and genai-prices' data.json are read as they are";

/// The providers of one file, each with its name.
pub(super) fn parse(source: &Source) -> Result<Vec<(String, File)>> {
    check_size(source)?;
    let mut file: File = if is_json(source) { parse_json(source)? } else { parse_toml(source)? };
    if file.catalog != Some(1) {
        return Err(invalid(source, "is not a catalog file of version 1").field("catalog").hint(KNOWN_FILES));
    }
    match (file.providers.take(), file.provider.clone()) {
        (None, Some(id)) => Ok(vec![(id, file)]),
        (Some(providers), None) => {
            for (id, part) in &providers.0 {
                let place = join("providers", id);
                if part.providers.is_some() {
                    return Err(
                        invalid(source, "has no providers of its own").field(join(&place, "providers"))
                    );
                }
                if part.provider.as_ref().is_some_and(|name| name != id) {
                    return Err(
                        invalid(source, "is not the key it stands under").field(join(&place, "provider"))
                    );
                }
            }
            Ok(providers.0)
        }
        (Some(_), Some(_)) => Err(invalid(source, "has both `provider` and `providers`").field("providers")),
        (None, None) => {
            let hint = "add `provider = \"openai\"`, or a table of `providers`";
            Err(invalid(source, "names no provider").field("provider").hint(hint))
        }
    }
}

/// A file that is too large is not read.
pub(super) fn check_size(source: &Source) -> Result<()> {
    if source.text.len() > FILE_BYTES_MAX {
        return Err(invalid(
            source,
            format!("has {} bytes, at most {FILE_BYTES_MAX} are read", source.text.len()),
        ));
    }
    Ok(())
}

/// The error of a file about a merged entry of one provider.
pub(super) fn problem_in(source: &Source, provider: &str, problem: Problem) -> Error {
    let places = places(source);
    let nested = join("providers", provider);
    let is_nested = places.iter().any(|(place, _)| *place == nested);
    let path = if is_nested { format!("{nested}.{}", problem.path) } else { problem.path };
    let mut error =
        Error::new(Code::PricesInvalid, problem.message).at(&source.name, line_of(source, &places, &path));
    if !path.is_empty() {
        error = error.field(path);
    }
    match problem.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The line of a path inside a provider's part of a file; of what encloses it, if it is not there itself.
pub(super) fn line(source: &Source, provider: &str, path: &str) -> Option<usize> {
    let places = places(source);
    let nested = join("providers", provider);
    let is_nested = places.iter().any(|(place, _)| *place == nested);
    let path = if is_nested { format!("{nested}.{path}") } else { path.to_owned() };
    line_of(source, &places, &path)
}

fn invalid(source: &Source, message: impl Into<String>) -> Error {
    Error::new(Code::PricesInvalid, message).at(&source.name, None)
}

/// By content, as the configuration does: TOML never begins with a brace.
fn is_json(source: &Source) -> bool {
    source.text.trim_start().starts_with('{')
}

fn parse_json(source: &Source) -> Result<File> {
    serde_json::from_str(&source.text).map_err(|error| {
        // A file that is cut short is no JSON, whatever its keys look like.
        match serde_json::from_str::<serde::de::IgnoredAny>(&source.text) {
            Err(syntax) => json_error(source, &syntax),
            Ok(_) => json_error(source, &error),
        }
    })
}

/// What a JSON parser refuses, with its place.
pub(super) fn json_error(source: &Source, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let before: usize =
        source.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let refused = refused(source, message, before.saturating_add(error.column().saturating_sub(1)));
    if refused.hint_text().is_some() { refused } else { refused.hint(KNOWN_FILES) }
}

fn parse_toml(source: &Source) -> Result<File> {
    if let Some(file) = super::document::read(&source.text) {
        return Ok(file);
    }
    toml::from_str(&source.text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        refused(source, error.message(), offset)
    })
}

fn refused(source: &Source, message: &str, offset: usize) -> Error {
    let short: String = match message.split_once(", expected one of") {
        Some((first, _)) => first.to_owned(),
        None => message.chars().take(300).collect(),
    };
    let line = source.text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1);
    let mut error = Error::new(Code::PricesInvalid, short).at(&source.name, Some(line));
    let places = places(source);
    if let Some((path, _)) = places.iter().rev().find(|(_, start)| *start <= offset) {
        error = error.field(path.clone());
    }
    match hint_for(message) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The line of a path, or of the nearest enclosing one.
fn line_of(source: &Source, places: &[(String, usize)], path: &str) -> Option<usize> {
    let encloses = |place: &str| {
        path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let (_, offset) =
        places.iter().filter(|(place, _)| encloses(place)).max_by_key(|(place, _)| place.len())?;
    Some(source.text.get(..*offset)?.matches('\n').count() + 1)
}

/// Every key path of a file with the byte where it begins, in the order of the file. Only for errors: it reads the
/// file again.
fn places(source: &Source) -> Vec<(String, usize)> {
    let mut places = if is_json(source) { json_places(&source.text) } else { toml_places(&source.text) };
    places.sort_by_key(|(_, offset)| *offset);
    places
}

fn toml_places(text: &str) -> Vec<(String, usize)> {
    use toml::de::{DeTable, DeValue};
    fn walk(table: &DeTable<'_>, path: &str, places: &mut Vec<(String, usize)>) {
        for (key, value) in table {
            let inner = join(path, key.get_ref());
            places.push((inner.clone(), key.span().start));
            match value.get_ref() {
                DeValue::Table(table) => walk(table, &inner, places),
                DeValue::Array(items) => {
                    for (at, item) in items.iter().enumerate() {
                        let inner = format!("{inner}[{at}]");
                        places.push((inner.clone(), item.span().start));
                        if let DeValue::Table(table) = item.get_ref() {
                            walk(table, &inner, places);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    let (root, _) = DeTable::parse_recoverable(text);
    let mut places = Vec::new();
    walk(root.get_ref(), "", &mut places);
    places
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { shown_key(key) } else { format!("{path}.{}", shown_key(key)) }
}

/// An open object or array of JSON.
enum Open {
    /// The path of the object; whether a key comes next.
    Object(String, bool),
    /// The path of the array; the next index.
    Array(String, usize),
}

fn json_places(text: &str) -> Vec<(String, usize)> {
    let mut places = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    // The path that the next value will have.
    let mut next = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, open.last_mut()) {
            ('{', _) => open.push(Open::Object(std::mem::take(&mut next), true)),
            ('[', _) => {
                places.push((format!("{next}[0]"), at + 1));
                open.push(Open::Array(std::mem::take(&mut next), 0));
                next = next_in(open.last());
            }
            ('}' | ']', _) => {
                open.pop();
            }
            (',', Some(Open::Object(_, key_next))) => *key_next = true,
            (',', Some(Open::Array(path, index))) => {
                *index += 1;
                next = format!("{path}[{index}]");
                places.push((next.clone(), at + 1));
            }
            ('"', top) => {
                let mut word = String::new();
                while let Some((_, c)) = chars.next() {
                    match c {
                        '\\' => word.extend(chars.next().map(|(_, escaped)| escaped)),
                        '"' => break,
                        c => word.push(c),
                    }
                }
                if let Some(Open::Object(path, key_next @ true)) = top {
                    *key_next = false;
                    next = join(path, &word);
                    places.push((next.clone(), at));
                }
            }
            _ => {}
        }
    }
    places
}

fn next_in(open: Option<&Open>) -> String {
    match open {
        Some(Open::Array(path, index)) => format!("{path}[{index}]"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(name: &str, text: &str) -> Error {
        parse(&Source { name: name.into(), text: text.into() }).unwrap_err()
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        let toml = "catalog = 1\nprovider = \"p\"\n\n[models.m]\n[[models.m.prices]]\nrates = { input = \"1\", cash_read = \"2\" }\n";
        let json = "{\"catalog\": 1, \"provider\": \"p\", \"models\": {\n\"m\": {\"prices\": [{\"rates\":\n {\"input\": \"1\",\n \"cash_read\": \"2\"}}]}}}";
        for (name, text, line) in [("a.toml", toml, 6), ("a.json", json, 4)] {
            let error = refuse(name, text);
            assert_eq!(error.code(), Code::PricesInvalid);
            assert_eq!((error.file(), error.line()), (Some(name), Some(line)), "{error}");
            assert_eq!(error.field_name(), Some("models.m.prices[0].rates.cash_read"), "{error}");
            assert_eq!(error.hint_text(), Some("did you mean `cache_read`?"), "{error}");
        }
        let error = refuse("a.toml", &toml.replace("\"1\", cash_read = \"2\"", "1.5"));
        assert_eq!(error.field_name(), Some("models.m.prices[0].rates.input"));
        assert!(error.hint_text().unwrap().contains("as text"), "{error}");
    }

    #[test]
    fn what_is_not_a_catalog_is_refused() {
        assert!(refuse("a.json", "{\"models_spec\": {}}").to_string().contains("models_spec"));
        assert!(refuse("a.json", "{\n\"a\": 1}").hint_text().unwrap().contains("LiteLLM"));
        assert_eq!(refuse("a.toml", "").field_name(), Some("catalog"));
        assert_eq!(refuse("a.toml", "catalog = 1").field_name(), Some("provider"));
        assert_eq!(refuse("a.toml", "catalog = 1\nprovider = ").line(), Some(2));
    }

    proptest::proptest! {
        /// Whatever the bytes are, the answer is an answer that names the file.
        #[test]
        fn a_damaged_file_is_refused_not_crashed_on(
            at in 0usize..400, byte in 0u8..128, cut in 0usize..400, json in proptest::bool::ANY,
        ) {
            let toml = "catalog = 1\nprovider = \"p\"\n[[modifiers]]\nwhen = { geo = \"!eu\" }\nmultiply = \"1.1\"\n[models.\"m.1\"]\naliases = [\"n\"]\n[[models.\"m.1\".prices]]\nfrom = \"2026-01-01\"\nrates = { input = \"1\", output = \"2.5\" }\nover = [{ input_gt = 5, rates = { input = \"2\" } }]\nvariants = [{ when = { utc = [\"04:00-06:00\"] }, rates = { input = \"0.5\" } }]\n";
            let table = toml::from_str::<serde_json::Value>(toml).unwrap();
            let mut bytes = if json { serde_json::to_string_pretty(&table).unwrap() } else { toml.to_owned() }.into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len().saturating_sub(cut % 7));
            let name = if json { "a.json" } else { "a.toml" };
            let source = Source { name: name.into(), text: String::from_utf8(bytes).unwrap() };
            if let Err(error) = super::super::Catalog::build_only(&[source]) {
                proptest::prop_assert_eq!((error.code(), error.file()), (Code::PricesInvalid, Some(name)));
            }
        }
    }
}
