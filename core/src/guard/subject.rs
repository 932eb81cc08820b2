//! What the calls of one scope and one model have in common under one snapshot of the rules: who asks for what, and
//! what prices it. A call's hold, its receipt and its telemetry record share it, and so does the next call of its kind
//! (see `outlines`): one count of references where there would be one for each part.

use crate::catalog::ModelEntry;
use crate::engine::{Call, CallKind};
use crate::rules::Legend;
use crate::telemetry;
use crate::values::{Label, Scope};
use std::sync::{Arc, OnceLock};

#[derive(Debug)]
pub(crate) struct Subject {
    pub(super) scope: Arc<Scope>,
    /// As the call names it; not kept where the price entry names it so.
    pub(super) named: Option<Label>,
    pub(super) model: Label,
    /// The tool's name, for a tool call.
    pub(super) tool: Option<Label>,
    /// What prices it; `None` for a tool, and for a model that is not known.
    pub(super) entry: Option<Arc<ModelEntry>>,
    /// The names behind the numbers.
    pub(super) legend: Arc<Legend>,
    /// The same for telemetry, from the first record on.
    told: OnceLock<Arc<telemetry::Subject>>,
}

impl Subject {
    /// Of a call.
    pub(super) fn of(
        call: &Call,
        scope: &Arc<Scope>,
        entry: Option<&Arc<ModelEntry>>,
        legend: &Arc<Legend>,
    ) -> Self {
        let tool = match &call.kind {
            CallKind::Tool { name, .. } => Some(Arc::clone(name)),
            CallKind::Model => None,
        };
        let named = call.provider.as_ref().filter(|name| entry.is_none_or(|entry| entry.provider() != *name));
        Self::new(scope, named.cloned(), Arc::clone(&call.model), tool, entry.cloned(), legend)
    }

    pub(super) fn new(
        scope: &Arc<Scope>,
        named: Option<Label>,
        model: Label,
        tool: Option<Label>,
        entry: Option<Arc<ModelEntry>>,
        legend: &Arc<Legend>,
    ) -> Self {
        let (scope, legend) = (Arc::clone(scope), Arc::clone(legend));
        Self { scope, named, model, tool, entry, legend, told: OnceLock::new() }
    }

    /// The provider, as the catalog names it if it knows it.
    pub(super) fn provider(&self) -> Option<&Label> {
        let listed = self.entry.as_ref().map(|entry| entry.provider()).filter(|name| !name.is_empty());
        listed.or(self.named.as_ref())
    }

    /// Who invoices the call: not the one whose prices it inherits.
    pub(super) fn seller(&self) -> Option<&Label> {
        self.named.as_ref().or(self.provider())
    }

    /// The model, as the catalog names it if it knows it; the tool's name for a tool.
    pub(super) fn object(&self) -> &Label {
        match &self.entry {
            Some(entry) => entry.model(),
            None => self.tool.as_ref().unwrap_or(&self.model),
        }
    }

    /// The same for telemetry.
    pub(super) fn told(&self) -> Arc<telemetry::Subject> {
        let told = self.told.get_or_init(|| {
            Arc::new(telemetry::Subject {
                scope: Arc::clone(&self.scope),
                provider: self.provider().cloned().unwrap_or_else(|| Label::from("unknown")),
                request_model: Some(Arc::clone(&self.model)),
                price_version: Some(Arc::clone(&self.legend.price_version)),
            })
        });
        Arc::clone(told)
    }
}
