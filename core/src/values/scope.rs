//! Who and what a call is for.

use crate::codes::Code;
use crate::error::{Error, Result};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// Most bytes of one label (a tenant, a user, a tag's key or value).
pub const LABEL_BYTES_MAX: usize = 256;
/// Most tags of one scope.
pub const TAGS_MAX: usize = 16;

/// A shared label.
pub type Label = Arc<str>;

/// A dimension that budgets can match on and count by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// `tenant`
    Tenant,
    /// `user`
    User,
    /// `feature`
    Feature,
    /// `agent`
    Agent,
    /// `run`
    Run,
    /// `session`
    Session,
    /// `tag.<key>`
    Tag(Label),
    /// `provider`
    Provider,
    /// `model`, as the catalog knows it
    Model,
    /// `tool`
    Tool,
}

impl Dimension {
    /// Reads `"tenant"`, `"tag.team"`, …
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "tenant" => Self::Tenant,
            "user" => Self::User,
            "feature" => Self::Feature,
            "agent" => Self::Agent,
            "run" => Self::Run,
            "session" => Self::Session,
            "provider" => Self::Provider,
            "model" => Self::Model,
            "tool" => Self::Tool,
            other => match other.strip_prefix("tag.") {
                Some(key) if !key.is_empty() && key.len() <= LABEL_BYTES_MAX => Self::Tag(key.into()),
                _ => return None,
            },
        })
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Feature => "feature",
            Self::Agent => "agent",
            Self::Run => "run",
            Self::Session => "session",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Tool => "tool",
            Self::Tag(key) => return write!(f, "tag.{key}"),
        })
    }
}

/// The labels of a call, as far as they are known. A missing one is its own value, shown as `-`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The paying customer.
    pub tenant: Option<Label>,
    /// The person.
    pub user: Option<Label>,
    /// The product feature.
    pub feature: Option<Label>,
    /// The agent's name.
    pub agent: Option<Label>,
    /// The run's id.
    pub run: Option<Label>,
    /// The conversation's id.
    pub session: Option<Label>,
    /// Free tags, sorted by key.
    pub tags: SmallVec<[(Label, Label); 2]>,
}

impl Scope {
    /// The value of a dimension that a scope carries (not `provider`, `model`, `tool`).
    #[must_use]
    pub fn get(&self, dimension: &Dimension) -> Option<&Label> {
        match dimension {
            Dimension::Tenant => self.tenant.as_ref(),
            Dimension::User => self.user.as_ref(),
            Dimension::Feature => self.feature.as_ref(),
            Dimension::Agent => self.agent.as_ref(),
            Dimension::Run => self.run.as_ref(),
            Dimension::Session => self.session.as_ref(),
            Dimension::Tag(key) => self.tag(key),
            Dimension::Provider | Dimension::Model | Dimension::Tool => None,
        }
    }

    /// Every label that is there.
    pub fn labels(&self) -> impl Iterator<Item = (Dimension, &Label)> {
        let plain = [
            (Dimension::Tenant, &self.tenant),
            (Dimension::User, &self.user),
            (Dimension::Feature, &self.feature),
            (Dimension::Agent, &self.agent),
            (Dimension::Run, &self.run),
            (Dimension::Session, &self.session),
        ];
        let plain = plain.into_iter().filter_map(|(dimension, value)| Some((dimension, value.as_ref()?)));
        plain.chain(self.tags.iter().map(|(key, value)| (Dimension::Tag(Arc::clone(key)), value)))
    }

    /// The value of a tag.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&Label> {
        self.tags.iter().find(|(k, _)| &**k == key).map(|(_, value)| value)
    }

    /// Sets or clears a dimension that a scope carries.
    ///
    /// # Errors
    /// `label_invalid` if the value is empty or longer than 256 bytes, if there are more than 16 tags, or if the
    /// dimension is not one of a scope.
    pub fn set(&mut self, dimension: &Dimension, value: Option<&str>) -> Result<()> {
        let value = value.map(|text| label(text, dimension)).transpose()?;
        match dimension {
            Dimension::Tenant => self.tenant = value,
            Dimension::User => self.user = value,
            Dimension::Feature => self.feature = value,
            Dimension::Agent => self.agent = value,
            Dimension::Run => self.run = value,
            Dimension::Session => self.session = value,
            Dimension::Tag(key) => return self.set_tag(key, value),
            Dimension::Provider | Dimension::Model | Dimension::Tool => {
                return Err(
                    Error::new(Code::LabelInvalid, "is not part of a scope").field(dimension.to_string())
                );
            }
        }
        Ok(())
    }

    fn set_tag(&mut self, key: &Label, value: Option<Label>) -> Result<()> {
        let place = self.tags.binary_search_by(|(k, _)| k.cmp(key));
        match (place, value) {
            (Ok(at), None) => drop(self.tags.remove(at)),
            (Err(_), None) => {}
            (Ok(at), Some(value)) => {
                if let Some(slot) = self.tags.get_mut(at) {
                    slot.1 = value;
                }
            }
            (Err(_), Some(_)) if self.tags.len() >= TAGS_MAX => {
                return Err(
                    Error::new(Code::LabelInvalid, format!("more than {TAGS_MAX} tags")).field("tags")
                );
            }
            (Err(at), Some(value)) => self.tags.insert(at, (Arc::clone(key), value)),
        }
        Ok(())
    }

    /// This scope inside `outer`: what it names replaces, tags merge.
    #[must_use]
    pub fn inside(&self, outer: &Scope) -> Scope {
        let mut merged = outer.clone();
        let pick = |mine: &Option<Label>, theirs: &mut Option<Label>| {
            if mine.is_some() {
                theirs.clone_from(mine);
            }
        };
        pick(&self.tenant, &mut merged.tenant);
        pick(&self.user, &mut merged.user);
        pick(&self.feature, &mut merged.feature);
        pick(&self.agent, &mut merged.agent);
        pick(&self.run, &mut merged.run);
        pick(&self.session, &mut merged.session);
        for (key, value) in &self.tags {
            match merged.tags.binary_search_by(|(k, _)| k.cmp(key)) {
                Ok(at) => {
                    if let Some(slot) = merged.tags.get_mut(at) {
                        slot.1 = Arc::clone(value);
                    }
                }
                Err(at) if merged.tags.len() < TAGS_MAX => {
                    merged.tags.insert(at, (Arc::clone(key), Arc::clone(value)));
                }
                Err(_) => {}
            }
        }
        merged
    }
}

/// Checks a label where it enters.
///
/// # Errors
/// `label_invalid`, naming the dimension.
pub fn label(text: &str, dimension: &Dimension) -> Result<Label> {
    if text.is_empty() {
        return Err(Error::new(Code::LabelInvalid, "is empty")
            .field(dimension.to_string())
            .hint("leave the dimension out if it is not known"));
    }
    if text.len() > LABEL_BYTES_MAX {
        let message = format!("has {} bytes, at most {LABEL_BYTES_MAX} are allowed", text.len());
        return Err(Error::new(Code::LabelInvalid, message)
            .field(dimension.to_string())
            .hint("use an identifier, not content"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_bounded_and_named() {
        let mut scope = Scope::default();
        let error = scope.set(&Dimension::Tenant, Some(&"x".repeat(10_000_000))).unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::LabelInvalid, Some("tenant")));
        assert!(scope.set(&Dimension::Tenant, Some("")).is_err());
        assert!(scope.set(&Dimension::Model, Some("m")).is_err());
    }

    #[test]
    fn inner_replaces_and_tags_merge() {
        let set = |pairs: &[(&str, &str)]| {
            let mut scope = Scope::default();
            for (dimension, value) in pairs {
                scope.set(&Dimension::parse(dimension).unwrap(), Some(value)).unwrap();
            }
            scope
        };
        let outer = set(&[("tenant", "acme"), ("tag.team", "a"), ("tag.env", "prod")]);
        let inner = set(&[("user", "u"), ("tag.team", "b")]);
        assert_eq!(
            inner.inside(&outer),
            set(&[("tenant", "acme"), ("user", "u"), ("tag.team", "b"), ("tag.env", "prod")])
        );
    }
}
