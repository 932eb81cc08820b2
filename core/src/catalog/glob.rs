//! Anchored globs: `*` any text without `/`, `**` any text, `?` one character other than `/`.

/// A compiled glob; matching takes at most pattern × text steps and no recursion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    parts: Vec<Part>,
    /// The text before the first wildcard.
    prefix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    One(char),
    AnyOne,
    Any,
    AnyWithSlash,
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        let mut parts = Vec::with_capacity(pattern.len());
        for c in pattern.chars() {
            match (c, parts.last()) {
                ('*', Some(Part::Any | Part::AnyWithSlash)) => {
                    parts.pop();
                    parts.push(Part::AnyWithSlash);
                }
                ('*', _) => parts.push(Part::Any),
                ('?', _) => parts.push(Part::AnyOne),
                (c, _) => parts.push(Part::One(c)),
            }
        }
        let prefix =
            parts.iter().map_while(|part| if let Part::One(c) = part { Some(*c) } else { None }).collect();
        Self { parts, prefix }
    }

    /// The literal text that a match begins with: the longer, the more specific.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        if !text.starts_with(self.prefix.as_str()) {
            return false;
        }
        // The last `*` and the last `**` seen, each with the text position to resume from.
        let (mut at, mut rest) = (0usize, text);
        let mut star: Option<(usize, &str)> = None;
        let mut double: Option<(usize, &str)> = None;
        loop {
            let step = match self.parts.get(at) {
                None if rest.is_empty() => return true,
                None => None,
                Some(Part::One(c)) => rest.strip_prefix(*c),
                Some(Part::AnyOne) => after_one(rest),
                Some(Part::Any) => {
                    star = Some((at + 1, rest));
                    Some(rest)
                }
                Some(Part::AnyWithSlash) => {
                    (star, double) = (None, Some((at + 1, rest)));
                    Some(rest)
                }
            };
            if let Some(after) = step {
                (at, rest) = (at + 1, after);
                continue;
            }
            // Let the latest wildcard that can take one more character have it.
            if let Some((next, after)) = star.and_then(|(next, from)| Some((next, after_one(from)?))) {
                star = Some((next, after));
                (at, rest) = (next, after);
            } else if let Some((next, from)) = double {
                let mut left = from.chars();
                if left.next().is_none() {
                    return false;
                }
                (star, double) = (None, Some((next, left.as_str())));
                (at, rest) = (next, left.as_str());
            } else {
                return false;
            }
        }
    }
}

/// What follows one character that is not `/`.
fn after_one(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    chars.next().filter(|c| *c != '/').map(|_| chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_anchored() {
        for (pattern, text, expected) in [
            ("gpt-5.4*", "gpt-5.4-mini", true),
            ("gpt-5.4*", "my-gpt-5.4", false),
            ("claude-*-4-6*", "claude-sonnet-4-6", true),
            ("claude-*-4-6*", "claude-sonnet-4-5", false),
            ("ft:gpt-4o:**", "ft:gpt-4o:org/x:1", true),
            ("a*c", "a/c", false),
            ("a**c", "a/b/c", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("**-x*y", "a/b-x/c-x1y", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
        // A hostile pair ends quickly.
        assert!(!Glob::new(&"*a".repeat(50)).matches(&"a".repeat(2_000).replace("aa", "ab")));
    }
}
