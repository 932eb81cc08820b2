//! A name to the entry that prices it, as the configuration wants it: the catalog's own, one that overrides or
//! defaults adjust, or one that stands for a model that nobody lists.
//!
//! Adjusted entries are compiled once and kept. A configuration that changes no price asks the catalog and nothing else.

use super::Rules;
use crate::catalog::{Adjustment, Catalog, Change, Factor, ModelEntry, Resolution, StandIn, Via};
use crate::error::Result;
use crate::policy::{Facts, Missing, OnMissing, Policy, PriceOverride, PriceSettings, glob};
use crate::values::{Dimension, Label, Scope};
use arc_swap::ArcSwapOption;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

/// How many adjusted entries are kept.
const KEPT_MAX: usize = 1024;

/// What a name is priced by.
#[derive(Clone, Debug)]
pub enum Priced<'r> {
    /// One entry.
    By {
        /// The entry, as the configuration makes it.
        entry: Cow<'r, Arc<ModelEntry>>,
        /// How it was found; `None` if it stands for a model that is in no catalog.
        via: Option<Via>,
    },
    /// No entry with a price, and the configuration denies that.
    Unknown,
    /// Several providers sell it and none was named: these.
    Ambiguous(SmallVec<[Label; 4]>),
}

/// Everything in `[prices]` that selects or changes prices, with the providers as the catalog names them.
#[derive(Debug)]
pub struct Pricing {
    catalog: Arc<Catalog>,
    missing: Missing,
    providers: Vec<(Label, Missing)>,
    reported: Vec<Label>,
    overrides: Vec<Rule>,
    /// Overrides that are for one tenant only, by tenant; places in `overrides`.
    of_tenant: HashMap<Label, Vec<u32>>,
    /// All others.
    of_many: Vec<u32>,
    /// Empty if no price changes.
    kept: Box<[ArcSwapOption<Kept>]>,
    version: Label,
    /// What a person should know.
    warnings: Vec<String>,
}

/// An override, ready to be matched.
#[derive(Debug)]
struct Rule {
    rule: PriceOverride,
    provider: Option<Label>,
    model: Option<Label>,
}

/// An adjusted entry and what it was made for.
#[derive(Debug)]
struct Kept {
    key: Key,
    entry: Arc<ModelEntry>,
}

type Places = SmallVec<[u32; 4]>;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    /// Provider and model of the entry.
    provider: Label,
    model: Label,
    /// Whose invoice it is.
    seller: Label,
    listed: bool,
    changes: Places,
}

impl Pricing {
    /// Of the catalog and the policy of one snapshot.
    #[must_use]
    pub fn new(catalog: &Arc<Catalog>, policy: &Policy) -> Self {
        let settings = &policy.prices;
        let official = |name: &Label| catalog.provider(name).unwrap_or_else(|| Arc::clone(name));
        let mut warnings = Vec::new();
        // Global ones first, each group in the order of the file.
        let (global, scoped): (Vec<_>, Vec<_>) =
            settings.overrides.iter().partition(|rule| rule.matches.is_everything());
        let overrides: Vec<Rule> =
            global.into_iter().chain(scoped).map(|rule| Rule::new(catalog, rule, &mut warnings)).collect();
        let (mut of_tenant, mut of_many): (HashMap<Label, Vec<u32>>, _) = (HashMap::new(), Vec::new());
        for (place, rule) in (0u32..).zip(&overrides) {
            match rule.rule.matches.only(&Dimension::Tenant) {
                Some(tenant) => of_tenant.entry(Arc::clone(tenant)).or_default().push(place),
                None => of_many.push(place),
            }
        }
        let slots = if settings.changes_prices() { KEPT_MAX } else { 0 };
        Self {
            catalog: Arc::clone(catalog),
            missing: settings.missing.clone(),
            providers: settings.providers.iter().map(|(name, own)| (official(name), own.clone())).collect(),
            reported: settings.prefer_reported.iter().map(official).collect(),
            overrides,
            of_tenant,
            of_many,
            kept: (0..slots).map(|_| ArcSwapOption::empty()).collect(),
            version: version(catalog, settings),
            warnings,
        }
    }

    /// The multipliers that one call can meet must stay exact together.
    ///
    /// # Errors
    /// `config_invalid` with the line of the override that is too much.
    pub fn check(catalog: &Catalog, settings: &PriceSettings) -> Result<()> {
        if settings.overrides.is_empty() {
            return Ok(());
        }
        let listed = catalog.entries().map(|entry| entry.scale()).max().unwrap_or(0).saturating_add(1);
        // Of overrides for single tenants one tenant's apply, of others at most all.
        let (mut all, mut by_tenant) = (listed, BTreeMap::<&Label, u32>::new());
        for (at, rule) in settings.overrides.iter().enumerate() {
            let scale = rule.change.multiply.map_or(0, Factor::scale);
            match rule.matches.only(&Dimension::Tenant) {
                Some(tenant) => *by_tenant.entry(tenant).or_default() += scale,
                None => all = all.saturating_add(scale),
            }
            let most = by_tenant.values().max().copied().unwrap_or(0).saturating_add(all);
            if most > Factor::SCALE_MAX {
                let message = format!(
                    "the multipliers that a call can meet have {most} decimals together, at most {} are exact",
                    Factor::SCALE_MAX
                );
                let field = format!("prices.overrides[{at}].multiply");
                let error = crate::Error::new(crate::Code::ConfigInvalid, message).field(field);
                let line = (rule.line > 0).then_some(rule.line);
                return Err(error.hint("write one override with the product of several").at("", line));
            }
        }
        Ok(())
    }

    /// What identifies the prices: the catalog's version, and what the configuration makes of it.
    #[must_use]
    pub fn version(&self) -> &Label {
        &self.version
    }

    /// What a person should know about the overrides.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether this provider's replies state what it invoices.
    #[must_use]
    pub fn prefers_reported(&self, seller: &str) -> bool {
        self.reported.iter().any(|name| **name == *seller)
            || self.catalog.provider(seller).is_some_and(|official| self.reported.contains(&official))
    }

    /// The override at a place of the configuration.
    pub(crate) fn override_at(&self, at: u32) -> Option<&PriceOverride> {
        self.overrides.iter().map(|rule| &rule.rule).find(|rule| rule.change.at == at)
    }

    fn missing_of(&self, seller: &str) -> &Missing {
        self.providers.iter().find(|(name, _)| **name == *seller).map_or(&self.missing, |(_, own)| own)
    }

    /// What prices a model. `seller` is who invoices the call; absent, it is `provider`.
    #[inline]
    pub(crate) fn price(
        &self,
        provider: Option<&str>,
        model: &str,
        seller: Option<&str>,
        scope: &Scope,
    ) -> Priced<'_> {
        match self.catalog.resolve(provider, model) {
            Resolution::Found { entry, via } if self.kept.is_empty() => {
                Priced::By { entry: Cow::Borrowed(entry), via: Some(via) }
            }
            Resolution::Found { entry, via } => {
                let seller = self.official(seller.or(provider), Some(entry.provider()));
                Priced::By { entry: self.adjusted(entry, &seller, scope), via: Some(via) }
            }
            Resolution::Unknown => self.stand_in(provider, model, seller, scope),
            Resolution::Ambiguous(providers) => Priced::Ambiguous(providers),
        }
    }

    fn official(&self, name: Option<&str>, otherwise: Option<&Label>) -> Label {
        match name {
            Some(name) => self.catalog.provider(name).unwrap_or_else(|| name.to_lowercase().into()),
            None => otherwise.cloned().unwrap_or_else(|| Label::from("")),
        }
    }

    fn adjusted<'r>(
        &'r self,
        entry: &'r Arc<ModelEntry>,
        seller: &Label,
        scope: &Scope,
    ) -> Cow<'r, Arc<ModelEntry>> {
        let missing = self.missing_of(seller);
        let changes = self.changes(scope, seller, entry.model());
        if changes.is_empty() && missing.bucket == OnMissing::Deny && !missing.half_batch {
            return Cow::Borrowed(entry);
        }
        let (provider, model) = (Arc::clone(entry.provider()), Arc::clone(entry.model()));
        let key = Key { provider, model, seller: Arc::clone(seller), listed: true, changes };
        match self.kept(key, |adjustment| entry.adjust(adjustment)) {
            Some(adjusted) => Cow::Owned(adjusted),
            None => Cow::Borrowed(entry),
        }
    }

    #[cold]
    fn stand_in(
        &self,
        provider: Option<&str>,
        model: &str,
        seller: Option<&str>,
        scope: &Scope,
    ) -> Priced<'_> {
        let seller = self.official(seller.or(provider), None);
        let (kind, price) = match &self.missing_of(&seller).model {
            OnMissing::Deny => return Priced::Unknown,
            OnMissing::Zero => (StandIn::ZeroWithWarning, None),
            OnMissing::Price(rates) => (StandIn::FallbackPrice, Some(rates)),
        };
        let (provider, model) = (self.official(provider, None), Label::from(model));
        let changes = if price.is_some() { self.changes(scope, &seller, &model) } else { Places::new() };
        let key = Key {
            provider: Arc::clone(&provider),
            model: Arc::clone(&model),
            seller,
            listed: false,
            changes,
        };
        let made = self.kept(key, |adjustment| {
            let forgiving = adjustment.forgiving || price.is_none();
            let adjustment = Adjustment { stand_in: Some(kind), forgiving, ..adjustment };
            ModelEntry::stand_in(provider, model, price, adjustment)
        });
        made.map_or(Priced::Unknown, |entry| Priced::By { entry: Cow::Owned(entry), via: None })
    }

    /// The overrides for a call, by place.
    fn changes(&self, scope: &Scope, seller: &Label, model: &Label) -> Places {
        let facts = Facts { scope, provider: Some(seller), model: Some(model), tool: None };
        let own = scope.tenant.as_ref().and_then(|tenant| self.of_tenant.get(tenant));
        let candidates = self.of_many.iter().chain(own.into_iter().flatten()).copied();
        let mut places: Places =
            candidates.filter(|place| self.applies(*place, &facts, seller, model)).collect();
        places.sort_unstable();
        places
    }

    fn applies(&self, place: u32, facts: &Facts<'_>, seller: &Label, model: &Label) -> bool {
        let rule = usize::try_from(place).ok().and_then(|place| self.overrides.get(place));
        rule.is_some_and(|rule| {
            rule.provider.as_ref().is_none_or(|provider| provider == seller)
                && rule.model.as_ref().is_none_or(|pattern| glob(pattern, &model.to_lowercase()))
                && rule.rule.matches.matches(facts)
        })
    }

    /// What is kept under a key, or what `make` makes of its adjustment.
    fn kept(&self, key: Key, make: impl FnOnce(Adjustment) -> Option<ModelEntry>) -> Option<Arc<ModelEntry>> {
        let hash = foldhash::fast::FixedState::default().hash_one(&key);
        let slot = self.kept.get(usize::try_from(hash).unwrap_or(0) % self.kept.len().max(1));
        let known = slot.map(ArcSwapOption::load);
        if let Some(kept) = known.as_ref().and_then(|kept| kept.as_ref()).filter(|kept| kept.key == key) {
            return Some(Arc::clone(&kept.entry));
        }
        let entry = Arc::new(make(self.adjustment(&key))?);
        if let Some(slot) = slot {
            slot.store(Some(Arc::new(Kept { key, entry: Arc::clone(&entry) })));
        }
        Some(entry)
    }

    fn adjustment(&self, key: &Key) -> Adjustment {
        let change = |place: &u32| -> Option<Change> {
            let rule = self.overrides.get(usize::try_from(*place).ok()?)?;
            Some(rule.rule.change.clone())
        };
        let missing = self.missing_of(&key.seller);
        Adjustment {
            changes: key.changes.iter().filter_map(change).collect(),
            unlisted: match &missing.bucket {
                OnMissing::Price(rates) => rates.clone(),
                OnMissing::Deny | OnMissing::Zero => Default::default(),
            },
            forgiving: missing.bucket == OnMissing::Zero,
            half_batch: missing.half_batch,
            stand_in: None,
        }
    }
}

impl Rule {
    fn new(catalog: &Catalog, rule: &PriceOverride, warnings: &mut Vec<String>) -> Self {
        let mut warn = |what: &str, name: &str| {
            let at = rule.change.at;
            warnings.push(format!(
                "prices.overrides[{at}]: {what} `{name}` is in no catalog, so it matches nothing"
            ));
        };
        let provider = rule.provider.as_ref().map(|name| {
            catalog.provider(name).unwrap_or_else(|| {
                warn("the provider", name);
                Arc::clone(name)
            })
        });
        // Another name of a model is that model; a pattern is what it is.
        let model = rule.model.as_ref().map(|name| match catalog.resolve(provider.as_deref(), name) {
            Resolution::Found { entry, via } if via != Via::Pattern && !name.contains('*') => {
                entry.model().to_lowercase().into()
            }
            _ => Arc::clone(name),
        });
        Self { rule: rule.clone(), provider, model }
    }
}

/// The catalog's version; with a digest of the settings, where they change prices.
fn version(catalog: &Catalog, settings: &PriceSettings) -> Label {
    if !settings.changes_prices() {
        return Arc::clone(catalog.version());
    }
    let text = format!("{:?}{:?}{:?}", settings.missing, settings.providers, settings.overrides);
    let hash = foldhash::fast::FixedState::default().hash_one(&text);
    format!("{}-{:08x}", catalog.version(), hash >> 32).into()
}

impl Rules {
    /// What prices a model for a scope. `seller` is who invoices the call; absent, it is `provider`.
    #[must_use]
    #[inline]
    pub fn price(
        &self,
        provider: Option<&str>,
        model: &str,
        seller: Option<&str>,
        scope: &Scope,
    ) -> Priced<'_> {
        self.pricing.price(provider, model, seller, scope)
    }
}
