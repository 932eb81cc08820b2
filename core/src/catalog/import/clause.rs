//! genai-prices' match clauses: which names mean a model. They are tried in the order of the file, the first wins.
//!
//! A regular expression is taken over if it is made of text, `\d`, `[…]`, groups, `?` and `{n}`; one that needs more
//! (a look-ahead) is left out, which the load report says.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Most clauses inside one, and the deepest.
const CLAUSES_MAX: usize = 1_000;
const DEPTH_MAX: usize = 16;
/// Most steps of one match: names come from outside.
const STEPS_MAX: u32 = 1_000;
/// Longest literal or expression.
const TEXT_MAX: usize = 256;

/// A condition on a name in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::catalog) enum Clause {
    Equals(Box<str>),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Contains(Box<str>),
    Shape(Shape),
    Any(Box<[Clause]>),
    All(Box<[Clause]>),
}

impl Clause {
    /// `name` is in lower case.
    pub(in crate::catalog) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Equals(text) => name == &**text,
            Self::StartsWith(text) => name.starts_with(&**text),
            Self::EndsWith(text) => name.ends_with(&**text),
            Self::Contains(text) => name.contains(&**text),
            Self::Shape(shape) => shape.matches(name),
            Self::Any(clauses) => clauses.iter().any(|clause| clause.matches(name)),
            Self::All(clauses) => clauses.iter().all(|clause| clause.matches(name)),
        }
    }

    /// Reads a clause. What cannot be taken over is told to `skip`; `None`: nothing is left.
    pub(super) fn read(raw: &RawValue, skip: &mut dyn FnMut(&str)) -> Option<Self> {
        Self::read_at(raw, skip, 0)
    }

    fn read_at(raw: &RawValue, skip: &mut dyn FnMut(&str), depth: usize) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Shown<'a> {
            Equals(String),
            StartsWith(String),
            EndsWith(String),
            Contains(String),
            Regex(String),
            #[serde(borrow, alias = "or_")]
            Or(Vec<&'a RawValue>),
            #[serde(borrow, alias = "and_")]
            And(Vec<&'a RawValue>),
        }
        let Ok(shown) = serde_json::from_str::<Shown<'_>>(raw.get()) else {
            skip("is not a clause");
            return None;
        };
        if depth > DEPTH_MAX {
            skip("is too deep");
            return None;
        }
        let text = |text: String| -> Option<Box<str>> {
            (!text.is_empty() && text.len() <= TEXT_MAX).then(|| text.to_lowercase().into())
        };
        let found = match shown {
            Shown::Equals(t) => text(t).map(Self::Equals),
            Shown::StartsWith(t) => text(t).map(Self::StartsWith),
            Shown::EndsWith(t) => text(t).map(Self::EndsWith),
            Shown::Contains(t) => text(t).map(Self::Contains),
            Shown::Regex(t) => {
                let shape = Shape::parse(&t);
                if shape.is_none() {
                    skip(&format!("uses the regular expression {t:?}, which is not taken over"));
                }
                return shape.map(Self::Shape);
            }
            Shown::Or(all) | Shown::And(all) if all.len() > CLAUSES_MAX => None,
            Shown::Or(all) => {
                let read: Vec<Self> =
                    all.into_iter().filter_map(|raw| Self::read_at(raw, skip, depth + 1)).collect();
                return (!read.is_empty()).then(|| Self::Any(read.into()));
            }
            Shown::And(all) => {
                // A part that is missing would let through what it was to keep out.
                let read: Option<Vec<Self>> =
                    all.into_iter().map(|raw| Self::read_at(raw, skip, depth + 1)).collect();
                return read.map(|read| Self::All(read.into()));
            }
        };
        if found.is_none() {
            skip("has a clause without text, or a very long one");
        }
        found
    }

    /// Takes the names that are equal to something out: they are looked up, not tried. What is left, if anything.
    pub(super) fn take_names(self, names: &mut Vec<String>) -> Option<Self> {
        match self {
            Self::Equals(name) => {
                names.push(name.into());
                None
            }
            Self::Any(clauses) => {
                let left: Vec<Self> =
                    clauses.into_vec().into_iter().filter_map(|clause| clause.take_names(names)).collect();
                (!left.is_empty()).then(|| Self::Any(left.into()))
            }
            other => Some(other),
        }
    }
}

/// A small regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::catalog) struct Shape {
    from_start: bool,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    what: What,
    least: u32,
    most: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    One(char),
    Any,
    Digit,
    Set(Box<[char]>),
    Group(Box<[Box<[Part]>]>),
    End,
}

impl Shape {
    fn parse(text: &str) -> Option<Self> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let lower = text.to_lowercase();
        let (from_start, rest) = match lower.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, lower.as_str()),
        };
        let mut chars = rest.chars().collect::<Vec<_>>().into_iter().peekable();
        let mut alternatives = sequence(&mut chars, 0)?;
        if chars.next().is_some() || alternatives.len() != 1 {
            return None;
        }
        Some(Self { from_start, parts: alternatives.pop()? })
    }

    fn matches(&self, name: &str) -> bool {
        if name.len() > TEXT_MAX {
            return false;
        }
        let mut steps = STEPS_MAX;
        let mut starts = name.char_indices().map(|(at, _)| at).chain(std::iter::once(name.len()));
        let mut at = |start: usize| {
            name.get(start..).is_some_and(|rest| follow(&self.parts, 0, rest, &mut steps, &mut |_| true))
        };
        if self.from_start { at(0) } else { starts.any(at) }
    }
}

type Chars = std::iter::Peekable<std::vec::IntoIter<char>>;

/// Alternatives up to the end or the closing bracket.
fn sequence(chars: &mut Chars, depth: usize) -> Option<Vec<Box<[Part]>>> {
    if depth > 4 {
        return None;
    }
    let (mut all, mut parts) = (Vec::new(), Vec::new());
    while let Some(c) = chars.peek().copied() {
        if c == ')' {
            break;
        }
        chars.next();
        let what = match c {
            '|' => {
                all.push(std::mem::take(&mut parts).into());
                continue;
            }
            '.' => What::Any,
            '$' => What::End,
            '\\' => match chars.next()? {
                'd' => What::Digit,
                c if c.is_ascii_alphanumeric() => return None,
                c => What::One(c),
            },
            '[' => What::Set(set(chars)?),
            '(' => {
                if chars.peek() == Some(&'?') {
                    chars.next();
                    if chars.next()? != ':' {
                        return None;
                    }
                }
                let inner = sequence(chars, depth + 1)?;
                if chars.next()? != ')' {
                    return None;
                }
                What::Group(inner.into())
            }
            '*' | '+' | '?' | '{' | '}' | ']' | '^' => return None,
            c => What::One(c),
        };
        let (least, most) = count(chars)?;
        parts.push(Part { what, least, most });
    }
    all.push(parts.into());
    Some(all)
}

/// The characters of `[…]`: single ones and ranges.
fn set(chars: &mut Chars) -> Option<Box<[char]>> {
    let mut all: Vec<char> = Vec::new();
    loop {
        match chars.next()? {
            ']' => return (!all.is_empty()).then(|| all.into()),
            '^' if all.is_empty() => return None,
            '\\' => match chars.next()? {
                'd' => all.extend('0'..='9'),
                c if c.is_ascii_alphanumeric() => return None,
                c => all.push(c),
            },
            '-' if !all.is_empty() && chars.peek() != Some(&']') => {
                let (from, to) = (*all.last()?, chars.next()?);
                if !(from.is_ascii() && to.is_ascii() && from <= to) {
                    return None;
                }
                all.extend(from..=to);
            }
            c => all.push(c),
        }
    }
}

/// How often the part before may stand.
fn count(chars: &mut Chars) -> Option<(u32, u32)> {
    let counts = match chars.peek() {
        Some('?') => (0, 1),
        Some('*') => (0, u32::MAX),
        Some('+') => (1, u32::MAX),
        Some('{') => {
            chars.next();
            let mut text = String::new();
            loop {
                match chars.next()? {
                    '}' => break,
                    c => text.push(c),
                }
            }
            let (least, most) = text.split_once(',').unwrap_or((&text, &text));
            let least: u32 = least.parse().ok()?;
            let most: u32 = if most.is_empty() { u32::MAX } else { most.parse().ok()? };
            return (least <= most && least <= 64).then_some((least, most));
        }
        _ => return Some((1, 1)),
    };
    chars.next();
    // Lazy and possessive forms mean something else.
    (!matches!(chars.peek(), Some('?' | '+'))).then_some(counts)
}

/// Whether `parts` and then `rest_matches` match; `done` counts how often the first part has matched.
fn follow(
    parts: &[Part],
    done: u32,
    rest: &str,
    steps: &mut u32,
    rest_matches: &mut dyn FnMut(&str) -> bool,
) -> bool {
    let Some((part, after)) = parts.split_first() else { return rest_matches(rest) };
    let Some(left) = steps.checked_sub(1) else { return false };
    *steps = left;
    if done < part.most {
        let mut next = rest.chars();
        let one = match (&part.what, next.next()) {
            (What::End, _) => return rest.is_empty() && follow(after, 0, rest, steps, rest_matches),
            (What::Group(alternatives), _) => {
                for inner in alternatives {
                    // Steps are counted outside: the closure must not hold them twice.
                    let mut ends: Vec<usize> = Vec::new();
                    let _ = follow(inner, 0, rest, steps, &mut |end| {
                        ends.push(end.len());
                        ends.len() >= 64
                    });
                    for end in ends {
                        let Some(tail) = rest.get(rest.len().saturating_sub(end)..) else { continue };
                        let moved = end < rest.len();
                        if (moved || done + 1 >= part.least)
                            && follow(
                                parts,
                                if moved { done + 1 } else { part.most },
                                tail,
                                steps,
                                rest_matches,
                            )
                        {
                            return true;
                        }
                    }
                }
                false
            }
            (What::One(wanted), Some(c)) => c == *wanted,
            (What::Any, Some(_)) => true,
            (What::Digit, Some(c)) => c.is_ascii_digit(),
            (What::Set(set), Some(c)) => set.contains(&c),
            (_, None) => false,
        };
        if one && follow(parts, done + 1, next.as_str(), steps, rest_matches) {
            return true;
        }
    }
    done >= part.least && follow(after, 0, rest, steps, rest_matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Shape::parse(pattern).unwrap_or_else(|| panic!("{pattern} is not taken over")).matches(name)
    }

    #[test]
    fn expressions_of_the_file_match_what_they_mean() {
        assert!(matches(r"^gpt-5\.4-\d{4}-\d{2}-\d{2}$", "gpt-5.4-2026-01-31"));
        assert!(!matches(r"^gpt-5\.4-\d{4}-\d{2}-\d{2}$", "gpt-5.4-2026-01-31x"));
        assert!(!matches(r"^gpt-5\.4-\d{4}-\d{2}-\d{2}$", "gpt-5x4-2026-01-31"));
        assert!(matches(r"^(typesafe/)?jev-1\.13(-\d{8})?$", "jev-1.13"));
        assert!(matches(r"^(typesafe/)?jev-1\.13(-\d{8})?$", "typesafe/jev-1.13-20260101"));
        assert!(!matches(r"^(typesafe/)?jev-1\.13(-\d{8})?$", "typesafe/jev-1.13-2026"));
        assert!(matches(r"^claude-opus-5[-@]\d{8}$", "claude-opus-5@20260101"));
        assert!(matches(r"^composer-2\.5\[fast=true\]$", "composer-2.5[fast=true]"));
        assert!(matches(r"^gemini-4-argon-\d", "gemini-4-argon-3-preview"));
        assert!(
            matches(r"flash-(?:lite|8b)$", "gemini-flash-8b") && !matches(r"flash-(lite|8b)$", "flash-9b")
        );
        assert!(matches(r"^a[0-9a-c]+z$", "a1b9cz") && !matches(r"^a[0-9a-c]+z$", "az"));
        assert!(matches("^a.*z$", "a--z") && matches("^(ab)*c$", "ababc") && !matches("^(ab){2}$", "ab"));
    }

    #[test]
    fn what_needs_more_is_refused() {
        for pattern in [r"^(?!.*-tts)", r"\bword", r"a{3", "(a", "a)", "[", "*", "^a??$", "[^a]", "a|b"] {
            assert_eq!(Shape::parse(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn a_match_ends() {
        let shape = Shape::parse("^(a*)*(a*)*(a*)*b$").unwrap();
        assert!(!shape.matches(&"a".repeat(250)));
    }

    proptest::proptest! {
        #[test]
        fn any_expression_is_answered(pattern in r"[\^$ab\\d\[\](){}?*+|.0-9-]{0,24}", name in "[ab0-9-]{0,40}") {
            if let Some(shape) = Shape::parse(&pattern) {
                let _ = shape.matches(&name);
            }
        }
    }
}
