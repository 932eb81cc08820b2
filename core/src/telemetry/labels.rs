//! A scope's labels as attributes. Dimensions named in `hash` leave the process only as keyed hashes.

use super::semconv::{USER_HASH, USER_ID, gen_ai};
use super::settings::Settings;
use crate::values::scope::Label;
use crate::values::{Dimension, Scope};
use opentelemetry::KeyValue;
use ring::hmac;
use std::hash::{BuildHasher, RandomState};

/// Turns scopes into attributes.
#[derive(Debug)]
pub(crate) struct Labels {
    metric: Vec<Dimension>,
    hash: Vec<Dimension>,
    key: hmac::Key,
}

impl Labels {
    pub(crate) fn new(settings: &Settings) -> Self {
        let own_key = || {
            let words = [1u8, 2, 3, 4].map(|salt| RandomState::new().hash_one((std::process::id(), salt)));
            words.map(|word| format!("{word:016x}")).concat()
        };
        let key = settings.hash_key.clone().unwrap_or_else(own_key);
        Self {
            metric: settings.metric_attributes.clone(),
            hash: settings.hash.clone(),
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()),
        }
    }

    /// Everything that is known, for a span.
    pub(crate) fn span(&self, scope: &Scope, into: &mut Vec<KeyValue>) {
        use Dimension as D;
        for dimension in [D::Tenant, D::User, D::Feature, D::Agent, D::Run, D::Session] {
            self.push(&dimension, scope.get(&dimension), into);
        }
        for (key, value) in &scope.tags {
            self.push(&D::Tag(key.clone()), Some(value), into);
        }
    }

    /// What `metric_attributes` names, for a metric.
    pub(crate) fn metric(&self, scope: &Scope, into: &mut Vec<KeyValue>) {
        for dimension in &self.metric {
            self.push(dimension, scope.get(dimension), into);
        }
    }

    /// One label. A missing one is no attribute, so that it cannot be taken for a real `-`.
    pub(crate) fn push(&self, dimension: &Dimension, value: Option<&Label>, into: &mut Vec<KeyValue>) {
        let Some(value) = value else { return };
        let hashed = self.hash.contains(dimension);
        let name: opentelemetry::Key = match (dimension, hashed) {
            (Dimension::User, false) => USER_ID.into(),
            (Dimension::User, true) => USER_HASH.into(),
            (Dimension::Session, false) => gen_ai::CONVERSATION_ID.into(),
            (Dimension::Run, false) => "spendrail.run.id".into(),
            (Dimension::Tenant, false) => "spendrail.tenant".into(),
            (Dimension::Feature, false) => "spendrail.feature".into(),
            (Dimension::Agent, false) => "spendrail.agent".into(),
            (other, false) => format!("spendrail.{other}").into(),
            (other, true) => format!("spendrail.{other}.hash").into(),
        };
        if hashed {
            into.push(KeyValue::new(name, self.hashed(value)));
        } else {
            into.push(KeyValue::new(name, value.clone()));
        }
    }

    /// HMAC-SHA-256, the first 128 bits in hex: equal for equal values under one key, not to be reversed without it.
    fn hashed(&self, value: &str) -> String {
        let tag = hmac::sign(&self.key, value.as_bytes());
        tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(key: Option<&str>) -> Labels {
        let hash = vec![Dimension::User, Dimension::parse("tag.team").unwrap()];
        let metric_attributes = vec![Dimension::Tenant, Dimension::User];
        Labels::new(&Settings {
            hash,
            metric_attributes,
            hash_key: key.map(str::to_owned),
            ..Settings::default()
        })
    }

    fn shown(labels: &Labels, scope: &Scope) -> Vec<(String, String)> {
        let mut into = Vec::new();
        labels.span(scope, &mut into);
        into.iter().map(|kv| (kv.key.to_string(), kv.value.as_str().into_owned())).collect()
    }

    #[test]
    fn hashed_dimensions_never_leave_in_clear() {
        let mut scope = Scope::default();
        for (name, value) in [("tenant", "acme"), ("user", "ann"), ("session", "s"), ("tag.team", "red")] {
            scope.set(&Dimension::parse(name).unwrap(), Some(value)).unwrap();
        }
        let names = ["spendrail.tenant", "user.hash", "gen_ai.conversation.id", "spendrail.tag.team.hash"];
        let keyed = shown(&labels(Some("k")), &scope);
        assert_eq!(keyed.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), names);
        assert!(!keyed.iter().any(|(_, value)| value == "ann" || value == "red"));
        // RFC 4231, test case 2.
        let vector = Labels::new(&Settings { hash_key: Some("Jefe".into()), ..Settings::default() });
        assert_eq!(vector.hashed("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c7");
        assert_ne!(shown(&labels(None), &scope)[1], shown(&labels(None), &scope)[1]);
    }
}
