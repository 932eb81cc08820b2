//! Which calls a rule is for.

use super::tree::{Node, Table, Value, fail, place, text};
use crate::error::Result;
use crate::values::{Dimension, Label, Scope};

/// The labels of one call that rules can look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The call's scope.
    pub scope: &'a Scope,
    /// The provider, as the catalog names it.
    pub provider: Option<&'a str>,
    /// The model, as the catalog names it.
    pub model: Option<&'a str>,
    /// The tool, for a tool call.
    pub tool: Option<&'a str>,
}

impl<'a> Facts<'a> {
    /// The value of a dimension; `None` is a value of its own.
    #[must_use]
    pub fn get(&self, dimension: &Dimension) -> Option<&'a str> {
        match dimension {
            Dimension::Provider => self.provider,
            Dimension::Model => self.model,
            Dimension::Tool => self.tool,
            other => self.scope.get(other).map(|label| &**label),
        }
    }
}

/// Patterns per dimension; all must hold. `*` holds for everything, also for a missing dimension; any other pattern
/// holds only for a dimension that is there, with `*` inside it for any run of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    patterns: Vec<(Dimension, Vec<Label>)>,
    /// The patterns are labels: `*` stands for itself.
    literal: bool,
}

impl Matcher {
    /// Reads `match = { tenant = "acme", model = ["gpt-*", "o3"] }`.
    pub(crate) fn read(table: Table) -> Result<Self> {
        let mut patterns = Vec::new();
        let path = table.key("");
        let path = path.trim_end_matches('.').to_owned();
        for (key, node) in table.into_entries() {
            let at = format!("{path}.{key}");
            if key == "tags" || key == "tag" {
                for (name, node) in Table::new(node, &at)?.into_entries() {
                    Self::push(&mut patterns, &format!("tag.{name}"), &node, &format!("{at}.{name}"))?;
                }
                continue;
            }
            Self::push(&mut patterns, &key, &node, &at)?;
        }
        Ok(Self { patterns, literal: false })
    }

    fn push(patterns: &mut Vec<(Dimension, Vec<Label>)>, key: &str, node: &Node, at: &str) -> Result<()> {
        let dimension = dimension(key, at, node.line)?;
        let mut values: Vec<Label> = Vec::new();
        let items = match &node.value {
            Value::Array(items) if !items.is_empty() => items.as_slice(),
            Value::Array(_) => return Err(fail(at, node.line, "is an empty list, which matches nothing")),
            _ => std::slice::from_ref(node),
        };
        for item in items {
            let pattern = text(item, at)?;
            let label = crate::values::scope::label(pattern, &dimension);
            values.push(label.map_err(|e| place(e, at, item.line))?);
        }
        if !values.iter().any(|value| &**value == "*") {
            patterns.push((dimension, values));
        }
        Ok(())
    }

    /// Exactly these labels; a `*` in one stands for itself.
    #[must_use]
    pub fn exactly(scope: &Scope) -> Self {
        let mut patterns: Vec<(Dimension, Vec<Label>)> = Vec::new();
        let plain = [
            Dimension::Tenant,
            Dimension::User,
            Dimension::Feature,
            Dimension::Agent,
            Dimension::Run,
            Dimension::Session,
        ];
        for dimension in plain {
            if let Some(value) = scope.get(&dimension) {
                patterns.push((dimension, vec![value.clone()]));
            }
        }
        for (key, value) in &scope.tags {
            patterns.push((Dimension::Tag(key.clone()), vec![value.clone()]));
        }
        Self { patterns, literal: true }
    }

    /// Whether the call is one of these.
    #[must_use]
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        self.patterns.iter().all(|(dimension, patterns)| {
            let fits = |pattern: &Label, value: &str| match self.literal {
                true => **pattern == *value,
                false => glob(pattern, value),
            };
            facts.get(dimension).is_some_and(|value| patterns.iter().any(|pattern| fits(pattern, value)))
        })
    }

    /// Whether it holds for every call.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The one literal value that it wants of a dimension.
    pub(crate) fn only(&self, dimension: &Dimension) -> Option<&Label> {
        let (_, patterns) = self.patterns.iter().find(|(of, _)| of == dimension)?;
        let literal = |label: &&Label| self.literal || !label.contains('*');
        patterns.first().filter(literal).filter(|_| patterns.len() == 1)
    }

    /// The dimensions that it looks at.
    pub fn dimensions(&self) -> impl Iterator<Item = &Dimension> {
        self.patterns.iter().map(|(dimension, _)| dimension)
    }

    /// For people: `tenant=acme, tag.team=a|b`.
    #[must_use]
    pub fn describe(&self) -> String {
        let one = |(dimension, patterns): &(Dimension, Vec<Label>)| {
            format!("{dimension}={}", patterns.iter().map(|p| &**p).collect::<Vec<_>>().join("|"))
        };
        if self.patterns.is_empty() {
            "*".to_owned()
        } else {
            self.patterns.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}

pub(crate) fn dimension(key: &str, at: &str, line: usize) -> Result<Dimension> {
    Dimension::parse(key).ok_or_else(|| {
        let shown: String = key.chars().take(60).collect();
        fail(at, line, &format!("{shown:?} is not a dimension"))
            .hint("tenant, user, feature, agent, run, session, provider, model, tool or tag.<key>")
    })
}

/// Anchored: `*` stands for any run of characters, everything else for itself.
pub(crate) fn glob(pattern: &str, value: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == value };
    let Some(mut value) = value.strip_prefix(head) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return value.ends_with(part);
        }
        match value.find(part) {
            Some(at) => value = value.get(at.saturating_add(part.len())..).unwrap_or(""),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_anchored() {
        assert!(glob("gpt-*", "gpt-4o") && glob("*-mini", "gpt-4o-mini") && glob("a*b*c", "aXbYc"));
        assert!(!glob("gpt-*", "my-gpt-4o") && !glob("gpt", "gpt-4o") && !glob("a*b*c", "aXcYb"));
        assert!(glob("a*a", "aa") && !glob("a*a", "a"));
    }

    #[test]
    fn a_star_matches_a_missing_dimension_and_a_literal_does_not() {
        let read =
            |json| Matcher::read(Table::new(Node::from_json(&json).unwrap(), "match").unwrap()).unwrap();
        let nobody = Scope::default();
        let facts = Facts { scope: &nobody, provider: None, model: None, tool: None };
        assert!(read(serde_json::json!({ "feature": "*" })).matches(&facts));
        assert!(!read(serde_json::json!({ "feature": "-" })).matches(&facts));
        assert!(!read(serde_json::json!({ "feature": "a*" })).matches(&facts));
    }
}
