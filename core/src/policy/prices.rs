//! `[prices]`: where prices come from, which figure counts, what holds where no price is listed, and what was agreed
//! with a provider or a tenant.

use super::Matcher;
use super::tree::{Node, Table, Value, fail, place, text};
use crate::catalog::{Change, Date, Factor, Quarantine, RateSet};
use crate::error::{Error, Result};
use crate::values::{Bucket, Dimension, Label};
use std::sync::Arc;

/// Most `[[prices.overrides]]`.
const OVERRIDES_MAX: usize = 10_000;
/// Most `[prices.providers]`.
const PROVIDERS_MAX: usize = 256;
/// Most bytes of a provider's name or a model's pattern.
const NAME_BYTES_MAX: usize = 256;

/// `[prices]`.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceSettings {
    /// Whether the catalog that Spendrail ships is the lowest layer.
    pub builtin: bool,
    /// Files over the built-in catalog, in order; the later wins. `*` in the last part stands for any name.
    pub files: Vec<String>,
    /// `"azure/prod-gpt"` → `"azure/gpt-4o"`.
    pub deployments: Vec<(Label, Label)>,
    /// Providers whose replies state what they invoice: their figure is what a call cost.
    pub prefer_reported: Vec<Label>,
    /// What holds where no price is listed.
    pub(crate) missing: Missing,
    /// The same for some providers, in full.
    pub(crate) providers: Vec<(Label, Missing)>,
    /// What was agreed with a provider or a tenant, in the order of the file.
    pub(crate) overrides: Arc<[PriceOverride]>,
    /// When entries of other tools' files are held back; `None`: never.
    pub quarantine: Option<Quarantine>,
}

impl Default for PriceSettings {
    fn default() -> Self {
        Self {
            builtin: true,
            files: Vec::new(),
            deployments: Vec::new(),
            prefer_reported: ["openrouter", "x-ai", "perplexity"].map(Label::from).to_vec(),
            missing: Missing::default(),
            providers: Vec::new(),
            overrides: Arc::default(),
            quarantine: Some(Quarantine::default()),
        }
    }
}

/// What holds where no price is listed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Missing {
    /// For the whole model.
    pub(crate) model: OnMissing,
    /// For something that a listed model is billed for.
    pub(crate) bucket: OnMissing,
    /// A batch price that is not listed is half of the standard one; else it is the standard one.
    pub(crate) half_batch: bool,
}

/// What to do without a price.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum OnMissing {
    /// Deny the call.
    #[default]
    Deny,
    /// Post nothing for it, flag it, count it and warn.
    Zero,
    /// Price it so.
    Price(RateSet),
}

/// One `[[prices.overrides]]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PriceOverride {
    /// Whose calls.
    pub(crate) matches: Matcher,
    /// Of which provider, in any of its names; of all if absent.
    pub(crate) provider: Option<Label>,
    /// Of which models, as a pattern; of all if absent.
    pub(crate) model: Option<Label>,
    /// What becomes of their prices.
    pub(crate) change: Change,
    /// Where it stands; 0: in code.
    pub(crate) line: usize,
}

impl PriceSettings {
    pub(super) fn read(mut table: Table) -> Result<Self> {
        let default = Self::default();
        let builtin = table.boolean("builtin")?.unwrap_or(default.builtin);
        let files = table.texts("files")?.unwrap_or_default().into_iter().map(|(file, _)| file).collect();
        let path = table.key("deployments");
        let mut deployments = Vec::new();
        for (from, node) in table.table("deployments")?.into_entries() {
            let to = text(&node, &path)?;
            deployments.push((Label::from(from), Label::from(to)));
        }
        let prefer_reported = read_reported(&mut table)?.unwrap_or(default.prefer_reported);
        let missing = Missing::read(&mut table, &Missing::default())?;
        let providers = read_providers(&mut table, &missing)?;
        let overrides = read_overrides(&mut table)?;
        let quarantine = super::quarantine::read(&mut table)?;
        table.finish()?;
        Ok(Self { builtin, files, deployments, prefer_reported, missing, providers, overrides, quarantine })
    }

    /// Whether anything here changes an amount that the catalog alone would make.
    pub(crate) fn changes_prices(&self) -> bool {
        let plain = |missing: &Missing| *missing == Missing::default();
        !(self.overrides.is_empty() && plain(&self.missing) && self.providers.iter().all(|(_, m)| plain(m)))
    }
}

/// A list replaces the default one; an empty list turns it off.
fn read_reported(table: &mut Table) -> Result<Option<Vec<Label>>> {
    let path = table.key("prefer_reported");
    let Some(names) = table.texts("prefer_reported")? else { return Ok(None) };
    if names.len() > PROVIDERS_MAX {
        return Err(fail(&path, table.line(), &format!("has more than {PROVIDERS_MAX} entries")));
    }
    names.into_iter().map(|(name, line)| short(name, &path, line)).collect::<Result<_>>().map(Some)
}

fn read_providers(table: &mut Table, global: &Missing) -> Result<Vec<(Label, Missing)>> {
    let (path, line) = (table.key("providers"), table.line());
    let mut providers = Vec::new();
    for (name, node) in table.table("providers")?.into_entries() {
        let at = format!("{path}.{name}");
        let mut own = Table::new(node, &at)?;
        let name = short(name, &path, own.line())?;
        let missing = Missing::read(&mut own, global)?;
        own.finish()?;
        providers.push((name, missing));
    }
    if providers.len() > PROVIDERS_MAX {
        return Err(fail(&path, line, &format!("has more than {PROVIDERS_MAX} entries")));
    }
    Ok(providers)
}

fn short(name: String, path: &str, line: usize) -> Result<Label> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(fail(path, line, &format!("a name has 1 to {NAME_BYTES_MAX} bytes")));
    }
    Ok(name.to_lowercase().into())
}

impl Missing {
    /// What is not said is as in `otherwise`.
    fn read(table: &mut Table, otherwise: &Self) -> Result<Self> {
        let path = table.key("on_unknown_model");
        let model = OnMissing::read(table, "on_unknown_model")?;
        if let Some((OnMissing::Price(rates), line)) = &model {
            let bare = [Bucket::Input, Bucket::Output].into_iter().find(|key| rates.get(*key).is_none());
            if let Some(key) = bare {
                let at = format!("{path}.price.{}", key.key());
                return Err(fail(&at, *line, "is missing").hint(
                    "an unknown model is priced by `input` and `output` wherever the price names nothing closer",
                ));
            }
        }
        let bucket = OnMissing::read(table, "on_unpriced_bucket")?;
        let half_batch = table.word("batch_default", &[("standard", false), ("half", true)])?;
        let or = |found: Option<(OnMissing, usize)>, other: &OnMissing| {
            found.map_or_else(|| other.clone(), |(on, _)| on)
        };
        Ok(Self {
            model: or(model, &otherwise.model),
            bucket: or(bucket, &otherwise.bucket),
            half_batch: half_batch.unwrap_or(otherwise.half_batch),
        })
    }
}

impl OnMissing {
    fn read(table: &mut Table, key: &'static str) -> Result<Option<(Self, usize)>> {
        const HINT: &str =
            "\"deny\", \"zero_with_warning\" or { price = { input = \"5\", output = \"25\" } }";
        let path = table.key(key);
        let Some(node) = table.take(key) else { return Ok(None) };
        let line = node.line;
        let bad = |message: &str| fail(&path, line, message).hint(HINT);
        let on = match node.value {
            Value::Text(word) => match word.as_str() {
                "deny" => Self::Deny,
                "zero_with_warning" => Self::Zero,
                _ => return Err(bad(&format!("{:?} is not one of them", shown(&word)))),
            },
            Value::Table(_) => {
                let mut own = Table::new(node, &path)?;
                let rates = own.take("price").ok_or_else(|| own.missing("price", HINT))?;
                let rates = read_rates(rates, &own.key("price"))?;
                own.finish()?;
                Self::Price(rates)
            }
            _ => return Err(bad("is neither a word nor a price")),
        };
        Ok(Some((on, line)))
    }
}

fn read_overrides(table: &mut Table) -> Result<Arc<[PriceOverride]>> {
    let (path, line) = (table.key("overrides"), table.line());
    let tables = table.tables("overrides")?;
    if tables.len() > OVERRIDES_MAX {
        return Err(fail(&path, line, &format!("has more than {OVERRIDES_MAX} entries")));
    }
    tables.into_iter().enumerate().map(|(at, table)| PriceOverride::read(at, table)).collect()
}

impl PriceOverride {
    fn read(at: usize, mut table: Table) -> Result<Self> {
        let (path, line) = (table.key(""), table.line());
        let path = path.trim_end_matches('.').to_owned();
        let at_match = table.key("match");
        let matches = Matcher::read(table.table("match")?)?;
        let of_a_call = |dimension: &&Dimension| {
            matches!(dimension, Dimension::Provider | Dimension::Model | Dimension::Tool)
        };
        if let Some(dimension) = matches.dimensions().find(of_a_call) {
            let error = fail(&format!("{at_match}.{dimension}"), line, "is no label of a call's scope");
            return Err(error.hint("`provider` and `model` stand beside `match`"));
        }
        let mut name = |key| -> Result<Option<Label>> {
            let at = table.key(key);
            table.text(key)?.map(|(text, line)| short(text, &at, line)).transpose()
        };
        let (provider, model) = (name("provider")?, name("model")?);
        let (from, to) = (date(&mut table, "from")?, date(&mut table, "to")?);
        if let (Some(from), Some(to)) = (from, to)
            && to <= from
        {
            return Err(fail(&table.key("to"), line, "ends before it begins"));
        }
        let at_rates = table.key("rates");
        let rates = table.take("rates").map(|node| read_rates(node, &at_rates)).transpose()?;
        let multiply = factor(&mut table)?;
        let except = except(&mut table)?;
        table.finish()?;
        if rates.is_some() == multiply.is_some() {
            let why = if rates.is_some() { "has both `rates` and `multiply`" } else { "changes nothing" };
            return Err(
                fail(&path, line, why).hint("give it `rates`, or `multiply` with an optional `except`")
            );
        }
        if rates.is_some() && !except.is_empty() {
            return Err(fail(&format!("{path}.except"), line, "belongs to `multiply`"));
        }
        let rates = rates.unwrap_or_default();
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let change = Change { at, from, to, rates, multiply, except };
        Ok(Self { matches, provider, model, change, line })
    }
}

fn date(table: &mut Table, key: &'static str) -> Result<Option<Date>> {
    let path = table.key(key);
    let Some((text, line)) = table.text(key)? else { return Ok(None) };
    let bad = || {
        fail(&path, line, &format!("{:?} is not a UTC date", shown(&text))).hint("for example \"2026-08-21\"")
    };
    Date::parse(&text).ok_or_else(bad).map(Some)
}

fn factor(table: &mut Table) -> Result<Option<Factor>> {
    let path = table.key("multiply");
    let Some(node) = table.take("multiply") else { return Ok(None) };
    let factor = match &node.value {
        Value::Text(text) => Factor::parse(text),
        _ => None,
    };
    let bad = || fail(&path, node.line, "is not a decimal in quotes").hint("for example \"0.85\"");
    factor.ok_or_else(bad).map(Some)
}

fn except(table: &mut Table) -> Result<Vec<Bucket>> {
    let path = table.key("except");
    let keys = table.texts("except")?.unwrap_or_default();
    keys.into_iter().map(|(key, line)| bucket(&key, &path, line)).collect()
}

fn bucket(key: &str, path: &str, line: usize) -> Result<Bucket> {
    Bucket::from_key(key).ok_or_else(|| {
        let error = fail(path, line, &format!("{:?} is not a rate key", shown(key)));
        let keys: Vec<&str> = Bucket::ALL.iter().map(|bucket| bucket.key()).collect();
        match crate::hint::nearest(key, &keys) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("the keys are those of a price file, for example `input` and `output`"),
        }
    })
}

/// A table of rates as a price file has them.
fn read_rates(node: Node, path: &str) -> Result<RateSet> {
    let line = node.line;
    let mut rates = RateSet::default();
    for (key, node) in Table::new(node, path)?.into_entries() {
        let at = format!("{path}.{key}");
        let bucket = bucket(&key, &at, node.line)?;
        let rate = match &node.value {
            Value::Text(text) => crate::catalog::Rate::parse(text),
            _ => None,
        };
        let bad = || {
            place(Error::new(crate::codes::Code::ConfigInvalid, "is not a rate"), &at, node.line)
                .hint(crate::catalog::DECIMAL_HINT)
        };
        rates.0.push((bucket, rate.ok_or_else(bad)?));
    }
    if rates.is_empty() {
        return Err(fail(path, line, "has no rate").hint("for example { input = \"5\", output = \"25\" }"));
    }
    // In the order of the table of buckets, whatever the order of the file: the same settings are equal.
    rates.0.sort_by_key(|(bucket, _)| bucket.index());
    Ok(rates)
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn read(text: &str) -> Result<PriceSettings> {
        Policy::parse(text, "spendrail.toml", &|_| None).map(|policy| policy.prices)
    }

    #[test]
    fn a_provider_inherits_what_it_does_not_say() {
        let settings = read(
            "[prices]\non_unknown_model = \"zero_with_warning\"\n[prices.providers.openrouter]\non_unpriced_bucket = { price = { web_search = \"10\" } }\nbatch_default = \"half\"\n",
        )
        .unwrap();
        let (name, own) = &settings.providers[0];
        assert_eq!((&**name, &own.model, own.half_batch), ("openrouter", &OnMissing::Zero, true));
        assert!(matches!(&own.bucket, OnMissing::Price(rates) if rates.get(Bucket::WebSearch).is_some()));
        assert_eq!((&settings.missing.bucket, settings.missing.half_batch), (&OnMissing::Deny, false));
        assert_eq!(settings.prefer_reported.len(), 3);
        assert!(read("[prices]\nprefer_reported = []").unwrap().prefer_reported.is_empty());
    }

    #[test]
    fn bad_settings_name_line_key_and_hint() {
        for (text, line, field) in [
            ("[prices]\non_unknown_model = \"warn\"", 2, "prices.on_unknown_model"),
            ("[prices]\non_unknown_model = 0", 2, "prices.on_unknown_model"),
            ("[prices]\non_unknown_model = { prize = {} }", 2, "prices.on_unknown_model.prize"),
            (
                "[prices]\non_unknown_model = { price = { input = \"1\" } }",
                2,
                "prices.on_unknown_model.price.output",
            ),
            (
                "[prices]\non_unknown_model = { price = { input = 1, output = \"1\" } }",
                2,
                "prices.on_unknown_model.price.input",
            ),
            (
                "[prices]\non_unpriced_bucket = { price = { web_serch = \"1\" } }",
                2,
                "prices.on_unpriced_bucket.price.web_serch",
            ),
            ("[prices]\non_unpriced_bucket = { price = {} }", 2, "prices.on_unpriced_bucket.price"),
            ("[prices]\nbatch_default = \"quarter\"", 2, "prices.batch_default"),
            ("[prices.providers.x]\non_unknown = \"deny\"", 2, "prices.providers.x.on_unknown"),
            ("[[prices.overrides]]\nmultiply = 0.85", 2, "prices.overrides[0].multiply"),
            ("[[prices.overrides]]\nmultiply = \"-1\"", 2, "prices.overrides[0].multiply"),
            ("[[prices.overrides]]\nmodel = \"m\"", 1, "prices.overrides[0]"),
            ("[[prices.overrides]]\nmultiply = \"1\"\nrates = { input = \"1\" }", 1, "prices.overrides[0]"),
            (
                "[[prices.overrides]]\nmultiply = \"1\"\nexcept = [\"inputs\"]",
                3,
                "prices.overrides[0].except",
            ),
            ("[[prices.overrides]]\nmultiply = \"1\"\nfrom = \"tomorrow\"", 3, "prices.overrides[0].from"),
            (
                "[[prices.overrides]]\nmultiply = \"1\"\nfrom = \"2027-01-02\"\nto = \"2027-01-01\"",
                1,
                "prices.overrides[0].to",
            ),
            (
                "[[prices.overrides]]\nmultiply = \"1\"\nmatch = { model = \"m\" }",
                1,
                "prices.overrides[0].match.model",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(
                (error.code(), error.line()),
                (crate::Code::ConfigInvalid, Some(line)),
                "{text}: {error}"
            );
            assert_eq!(error.field_name(), Some(field), "{text}: {error}");
        }
        let hint = |text| read(text).unwrap_err().hint_text().map(ToOwned::to_owned);
        let typo = hint("[prices]\non_unpriced_bucket = { price = { web_serch = \"1\" } }");
        assert_eq!(typo.as_deref(), Some("did you mean `web_search`?"));
    }
}
