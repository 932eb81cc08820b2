//! What the path of a request says: which endpoint, which model, whether a stream.

use smallvec::SmallVec;
use std::borrow::Cow;

/// Longest path that is looked at.
pub(super) const PATH_BYTES_MAX: usize = 4096;

/// The model that a path names: Gemini's `models/{model}:generateContent`, Azure's `deployments/{model}/…`, Bedrock's
/// `model/{model}/converse`, where a name is percent-encoded (ARNs of inference profiles have slashes).
#[must_use]
pub fn model_of_path(path: &str) -> Option<Cow<'_, str>> {
    let path = path.get(..PATH_BYTES_MAX.min(path.len())).unwrap_or("");
    if let Some((model, _)) = bedrock_model(path) {
        return Some(model);
    }
    let path = path.split(['?', '#']).next().unwrap_or("");
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    while let Some(segment) = segments.next() {
        if matches!(segment, "models" | "tunedModels" | "deployments" | "engines") {
            let name = segments.next()?;
            return name.split(':').next().filter(|name| !name.is_empty()).map(Cow::Borrowed);
        }
    }
    None
}

/// Whether a path asks for a stream: Gemini's `:streamGenerateContent`, Bedrock's `…-stream`.
#[must_use]
pub fn path_streams(path: &str) -> bool {
    const ENDS: [&str; 3] = [":streamGenerateContent", "/converse-stream", "/invoke-with-response-stream"];
    path.split(['?', '#']).next().is_some_and(|path| ENDS.iter().any(|end| path.ends_with(end)))
}

/// Model and action of a Bedrock path, `/model/{model}/{action}`. `None` for any other path, and for a name that a
/// server might read as more than a name.
pub(super) fn bedrock_model(path: &str) -> Option<(Cow<'_, str>, &str)> {
    if path.len() > PATH_BYTES_MAX {
        return None;
    }
    let path = without_origin(path.split(['?', '#']).next()?)?;
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let (word, model, action) = (segments.next()?, segments.next()?, segments.next()?);
    if word != "model" || segments.next().is_some() {
        return None;
    }
    let model = percent_decoded(model)?;
    let odd = |c: char| c.is_control() || matches!(c, '\\' | '?' | '#' | '%');
    if model.chars().any(odd) || model.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    Some((model, action))
}

/// `%2F` and its like as what they stand for; `None` if that is no text.
fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                bytes.push(digit(*high)?.checked_mul(16)?.checked_add(digit(*low)?)?);
                tail
            }
            (b'%', _) => return None,
            (byte, tail) => {
                bytes.push(*byte);
                tail
            }
        };
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn without_origin(path: &str) -> Option<&str> {
    match path.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map(|(_, path)| path),
        None => Some(path),
    }
}

pub(super) type Segments<'a> = SmallVec<[&'a str; 12]>;

/// The path without origin, query, version and deployment (an Azure word; Anthropic's deployments are agents).
/// `None` for what a server might read differently.
pub(super) fn segments<'a>(provider: &str, path: &'a str) -> Option<Segments<'a>> {
    if path.len() > PATH_BYTES_MAX || path.contains(['\\', '%']) {
        return None;
    }
    let path = without_origin(path.split(['?', '#']).next()?)?;
    let mut segments: Segments<'a> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        return None;
    }
    loop {
        match segments.as_slice() {
            ["v1" | "v1beta" | "v1beta1" | "v1alpha" | "api" | "openai" | "upload", _, ..] => {
                segments.remove(0);
            }
            ["deployments" | "engines", _, _, ..] if provider != "anthropic" => drop(segments.drain(..2)),
            _ => return Some(segments),
        }
    }
}
