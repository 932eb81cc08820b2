//! An explanation: the facts, and the text in which people read them.

use crate::catalog::{Cost, Factor, Item, Line, Place, Tier};
use crate::values::{Label, Timestamp};
use std::fmt;

/// Why a usage costs what it costs. Its text is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The provider that was asked for.
    pub asked_provider: Option<String>,
    /// The model that was asked for.
    pub asked_model: String,
    /// The tier that was asked for.
    pub asked_tier: Option<Tier>,
    /// The instant that selects the prices.
    pub at: Timestamp,
    /// What `[prices] deployments` makes of the name: `"azure/gpt-4o"`.
    pub deployment: Option<String>,
    /// The provider of the entry.
    pub provider: Label,
    /// The model of the entry.
    pub model: Label,
    /// How the name led there: `exact`, `alias`, `date_suffix`, `pattern`, `inherited`; or what stands for a model that
    /// is in no catalog: `fallback_price`, `zero_with_warning`.
    pub found: &'static str,
    /// The model whose prices the entry takes over.
    pub same_as: Option<Label>,
    /// Every place that says something about the model, the lowest layer first.
    pub places: Vec<Place>,
    /// What identifies the prices in force.
    pub price_version: Label,
    /// All input tokens: they select the length.
    pub total_input: u64,
    /// What was selected; `None` if nothing is listed for the instant.
    pub selection: Option<Selection>,
    /// Line by line.
    pub lines: Vec<ExplainedLine>,
    /// The exact cost.
    pub cost: Cost,
}

/// What was selected of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// When the prices begin; `None`: since ever.
    pub begins: Option<Timestamp>,
    /// When they end.
    pub ends: Option<Timestamp>,
    /// Where the period stands.
    pub period_place: Option<Place>,
    /// What the file cites for it.
    pub source: Option<Label>,
    /// What the file remarks on it.
    pub note: Option<Label>,
    /// The tier that is priced; `None` is standard.
    pub tier: Option<Tier>,
    /// The conditions of the variant whose rates hold.
    pub variant: Option<String>,
    /// Where it stands.
    pub variant_place: Option<Place>,
    /// The length of input that is exceeded.
    pub input_gt: Option<u64>,
}

/// One line of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedLine {
    /// Bucket, billed quantity, rate, product of the multipliers, amount.
    pub line: Line,
    /// What was used; less than the line's quantity where the provider bills a minimum.
    pub used: u64,
    /// The bucket, and the keys under which its rate was looked for until it was found.
    pub chain: Vec<&'static str>,
    /// Empty for a rate of the catalog; else the setting that gave it.
    pub rate_from: String,
    /// Where the rate stands.
    pub place: Option<Place>,
    /// Every multiplier that applies, in order.
    pub multipliers: Vec<ExplainedMultiplier>,
}

/// One multiplier of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedMultiplier {
    /// By how much.
    pub factor: Factor,
    /// `modifier`, `variant`, `override` or `batch_default`.
    pub by: &'static str,
    /// Its conditions, or whose override it is.
    pub when: String,
    /// Where it stands, if it is a setting.
    pub place: Option<Place>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} at {}: {} USD", self.model, self.shown_provider(), self.cost.total)?;
        for (name, text) in self.facts() {
            writeln!(f, "  {name:<9}{text}")?;
        }
        let rows: Vec<[String; 5]> = self.lines.iter().map(ExplainedLine::row).collect();
        let head = ["bucket", "quantity", "rate (USD)", "amount (USD)", "because"].map(str::to_owned);
        let width = |at: usize| {
            let cells = rows.iter().chain([&head]).filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths = [width(0), width(1), width(2), width(3)];
        if !rows.is_empty() {
            for [bucket, quantity, rate, amount, because] in std::iter::once(&head).chain(&rows) {
                let [a, b, c, d] = widths;
                let row = format!("  {bucket:<a$}  {quantity:>b$}  {rate:>c$}  {amount:>d$}  {because}");
                writeln!(f, "{}", row.trim_end())?;
            }
        }
        for bucket in &self.cost.unpriced {
            writeln!(f, "  {} has no rate", bucket.key())?;
        }
        write!(f, "  total {} USD exactly, posted as {} USD", self.cost.total, self.cost.total.posted())
    }
}

impl Explanation {
    fn shown_provider(&self) -> &str {
        if self.provider.is_empty() { "-" } else { &self.provider }
    }

    /// What is told above the lines: a name, and a text.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        let asked = match &self.asked_provider {
            Some(provider) => format!("{provider}/{}", self.asked_model),
            None => self.asked_model.clone(),
        };
        let deployment =
            self.deployment.as_ref().map_or_else(String::new, |to| format!(", deployment of {to}"));
        let same_as =
            self.same_as.as_ref().map_or_else(String::new, |other| format!(", same prices as {other}"));
        out.push(("asked", format!("{asked}{deployment}; found: {}{same_as}", self.found)));
        let places: Vec<String> = self.places.iter().map(ToString::to_string).collect();
        if !places.is_empty() {
            out.push(("listed", places.join(", then ")));
        }
        out.push(("prices", format!("version {}", self.price_version)));
        match &self.selection {
            Some(selection) => selection.facts(self, &mut out),
            None => out.push(("period", format!("none has begun at {}", self.at))),
        }
        out
    }
}

impl Selection {
    fn facts(&self, of: &Explanation, out: &mut Vec<(&'static str, String)>) {
        let at =
            |place: &Option<Place>| place.as_ref().map_or_else(String::new, |place| format!(" ({place})"));
        let from = self.begins.map_or_else(|| "since ever".to_owned(), |from| format!("from {from}"));
        let to = self.ends.map_or_else(String::new, |to| format!(" until {to}"));
        out.push((
            "period",
            format!("{from}{to}, the last that has begun at {}{}", of.at, at(&self.period_place)),
        ));
        let priced = self.tier.unwrap_or(Tier::Standard);
        let asked = of.asked_tier.filter(|asked| *asked != priced);
        let asked = asked.map_or_else(String::new, |asked| format!(" (asked: {asked})"));
        let variant = match &self.variant {
            Some(when) => format!("; variant {when}{}", at(&self.variant_place)),
            None => "; no variant's rates".to_owned(),
        };
        out.push(("tier", format!("{priced}{asked}{variant}")));
        let length = match self.input_gt {
            Some(above) => format!("{} input tokens, above {above}", of.total_input),
            None => format!("{} input tokens, above no threshold", of.total_input),
        };
        out.push(("length", length));
        out.extend(self.source.iter().map(|source| ("source", source.to_string())));
        out.extend(self.note.iter().map(|note| ("note", note.to_string())));
    }
}

impl ExplainedLine {
    fn row(&self) -> [String; 5] {
        let Line { item, quantity, amount, .. } = self.line;
        let mut because = Vec::new();
        if self.chain.len() > 1 {
            because.push(self.chain.join(" → "));
        }
        if self.used != quantity {
            because.push(format!("{} used, the minimum is billed", self.used));
        }
        if !self.rate_from.is_empty() {
            because.push(self.rate_from.clone());
        }
        because.extend(self.place.as_ref().map(ToString::to_string));
        for one in &self.multipliers {
            let place = one.place.as_ref().map_or_else(String::new, |place| format!(", {place}"));
            because.push(format!("× {} ({} {}{place})", one.factor, one.by, one.when));
        }
        let per = match item {
            Item::Bucket(_) => format!("{} per {}", self.line.shown_rate(), item.per()),
            Item::Reported => self.line.shown_rate(),
        };
        [item.key().to_owned(), quantity.to_string(), per, amount.to_string(), because.join(", ")]
    }
}

#[cfg(test)]
mod tests {
    use crate::guard::{Guard, PriceQuery};
    use crate::values::{Bucket, Timestamp, Usage};

    const PRICES: &str = r#"catalog = 1
provider = "p"

[[modifiers]]
when = { geo = "us" }
multiply = "1.1"
except = ["web_search"]

[models.m]
aliases = ["n"]
minimum = { input_audio_second = "10" }
[[models.m.prices]]
rates = { input = "9", output = "9" }
[[models.m.prices]]
from = "2026-11-01"
source = "https://p.example/pricing"
rates = { input = "3", cache_write = "4", output = "15", web_search = "10", input_audio_second = "0.36" }
over = [{ input_gt = 1000, rates = { input = "6" } }]
[[models.m.prices.variants]]
when = { tier = "flex" }
multiply = "0.5"
[[models.m.prices.variants]]
when = { tier = "priority" }
rates = { output = "30" }
"#;

    const CONFIG: &str = r#"
[prices]
builtin = false
deployments = { "p/prod" = "p/m" }

[[prices.overrides]]
match = { tenant = "acme" }
multiply = "0.8"
except = ["web_search"]

[[prices.overrides]]
match = { tenant = "acme" }
rates = { web_search = "5" }
"#;

    fn explained(change: impl FnOnce(&mut PriceQuery)) -> String {
        let guard =
            Guard::builder().config_text("spendrail.toml", CONFIG).prices("p.toml", PRICES).build().unwrap();
        let used = Usage::new()
            .with(Bucket::Input, 900)
            .with(Bucket::CacheWrite1h, 200)
            .with(Bucket::Output, 100)
            .with(Bucket::WebSearch, 2)
            .with(Bucket::InputAudioMs, 1_000);
        let mut query = PriceQuery::new("p", "prod", used);
        query.context.at = Timestamp::parse("2026-11-20").unwrap();
        query.context.geo = Some("us".into());
        change(&mut query);
        let told = guard.explain(&query).unwrap();
        assert_eq!(told.cost, guard.cost(&query).unwrap());
        let sum: i128 = told.lines.iter().map(|line| line.line.amount.0).sum();
        assert_eq!((sum, told.lines.len()), (told.cost.total.0, told.cost.lines.len()));
        told.to_string()
    }

    #[test]
    fn an_explanation_names_every_line() {
        let text = explained(|query| {
            query.scope.tenant = Some("acme".into());
            query.context.tier = Some(crate::catalog::Tier::Flex);
        });
        let expected = "\
m at p: 0.013828 USD
  asked    p/prod, deployment of p/m; found: exact
  listed   code p.toml:9
  prices   version VERSION
  period   from 2026-11-01T00:00:00Z, the last that has begun at 2026-11-20T00:00:00Z (code p.toml:14)
  tier     flex; no variant's rates
  length   1100 input tokens, above 1000
  source   https://p.example/pricing
  bucket              quantity        rate (USD)  amount (USD)  because
  input                    900     6 per 1000000      0.002376  code p.toml:18, FACTORS
  cache_write_1h           200     4 per 1000000      0.000352  cache_write_1h → cache_write, code p.toml:17, FACTORS
  output                   100    15 per 1000000       0.00066  code p.toml:17, FACTORS
  web_search                 2        5 per 1000          0.01  prices.overrides[1], for tenant=acme, configuration spendrail.toml:11
  input_audio_second     10000  0.36 per 3600000       0.00044  1000 used, the minimum is billed, code p.toml:17, FACTORS
  total 0.013828 USD exactly, posted as 0.013828 USD";
        let factors = "× 1.1 (modifier geo=us, code p.toml:4), × 0.5 (variant tier=flex, code p.toml:19), × 0.8 (override prices.overrides[0], for tenant=acme, configuration spendrail.toml:6)";
        let version = text.split("version ").nth(1).unwrap().split('\n').next().unwrap();
        assert_eq!(text, expected.replace("VERSION", version).replace("FACTORS", factors));
    }

    #[test]
    fn a_variant_and_an_older_period_are_named() {
        let text = explained(|query| query.context.tier = Some(crate::catalog::Tier::Auto));
        assert!(text.contains("priority (asked: auto); variant tier=priority (code p.toml:22)"), "{text}");
        assert!(text.contains("code p.toml:24"), "{text}");
        let old = explained(|query| {
            query.context.at = Timestamp::parse("2026-10-31").unwrap();
            query.usage = Usage::new().with(Bucket::Input, 1);
            query.model = "n".into();
        });
        assert!(
            old.contains("since ever until 2026-11-01T00:00:00Z") && old.contains("found: alias"),
            "{old}"
        );
    }

    #[test]
    fn a_shipped_model_is_found_in_its_file() {
        let guard = Guard::builder().config_text("t", "mode = \"enforce\"").build().unwrap();
        let used = Usage::new().with(Bucket::Input, 10);
        let mut query = PriceQuery::new("anthropic", "claude-sonnet-4-6", used);
        query.context.at = guard.now().unwrap();
        let told = guard.explain(&query).unwrap();
        let place = told.places.first().unwrap();
        assert_eq!((place.layer, place.file.as_deref()), ("built-in", Some("anthropic.toml")));
        assert!(place.line.is_some(), "{told}");
    }
}
