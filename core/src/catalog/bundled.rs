//! The catalog that Spendrail ships, as a file.

use super::Source;

/// The built-in layer: all providers, compiled from `pricing/catalog/*.toml` by `make prices`.
pub(super) fn sources() -> Vec<Source> {
    let name = "built-in:catalog.json".to_owned();
    vec![Source { name, text: spendrail_pricing::CATALOG.to_owned() }]
}

#[cfg(test)]
mod tests {
    use super::super::origins::{BUILTIN, Origins, Place, Spot};
    use super::super::{Catalog, PriceContext, Resolution, Tier, Via};
    use crate::values::{Bucket, Timestamp, Usage};

    fn built() -> Catalog {
        Catalog::build(&[]).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The model of a name, how it was found, and what 100K of input and of output cost.
    fn told(catalog: &Catalog, provider: &str, name: &str) -> Option<(String, Via, String)> {
        let usage = Usage::new().with(Bucket::Input, 100_000).with(Bucket::Output, 100_000);
        let at = Timestamp::parse("2026-11-20T12:00:00Z").unwrap();
        match catalog.resolve(Some(provider), name) {
            Resolution::Found { entry, via } => {
                let cost = entry.cost(&usage, &PriceContext { at, ..PriceContext::default() });
                assert!(cost.unpriced.is_empty(), "{provider} {name}: {:?}", cost.unpriced);
                Some((entry.model().to_string(), via, cost.total.to_string()))
            }
            _ => None,
        }
    }

    #[test]
    fn it_loads_and_is_large() {
        let catalog = built();
        assert!(catalog.len() >= 1_000, "{}", catalog.len());
        assert!(!catalog.entries().any(|entry| entry.provider().as_ref() == "openrouter"));
    }

    /// What `explain` names is on the line that it names, for all that is applied.
    #[test]
    fn every_place_is_in_the_file_that_it_names() {
        let mut origins = Origins::default();
        origins.add(BUILTIN, "", Some(spendrail_pricing::CATALOG.to_owned()));
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../pricing/catalog");
        let mut seen = [0usize; 4];
        let mut check = |what: usize, place: Option<Place>, text: &str| {
            let place = place.unwrap();
            let file = std::fs::read_to_string(folder.join(place.file.as_deref().unwrap())).unwrap();
            let line = file.lines().nth(place.line.unwrap() - 1).unwrap();
            assert!(line.contains(text), "{place}: {text:?} is not in {line:?}");
            seen[what] += 1;
        };
        for entry in built().entries().filter(|entry| entry.same_as().is_none()).step_by(7) {
            let (provider, model) = (&**entry.provider(), &**entry.model());
            for modifier in entry.shared_modifiers() {
                check(0, origins.modifier(provider, modifier.file()), "[[modifiers]]");
            }
            for period in &entry.file().prices {
                let spot = Spot { from: period.from, ..Spot::default() };
                check(1, origins.period(provider, model, period.from), "prices]]");
                for (key, rate) in &period.rates.0 {
                    check(
                        2,
                        origins.rate(provider, model, spot, (*key, *rate)),
                        &format!("{} = \"{rate}\"", key.key()),
                    );
                }
                for variant in &period.variants {
                    let place = origins.variant(provider, model, Spot { variant: Some(variant), ..spot });
                    let exact =
                        variant.rates.0.first().map(|(key, rate)| format!("{} = \"{rate}\"", key.key()));
                    check(3, place, &exact.unwrap_or_else(|| "multiply".to_owned()));
                }
            }
        }
        assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
    }

    /// Names from bug reports of other tools, and those that providers document.
    #[test]
    fn names_lead_to_their_model() {
        let catalog = built();
        for (provider, name, model, via, total) in [
            ("openai", "gpt-5.4-mini", "gpt-5.4-mini", Via::Exact, "0.525"),
            ("openai", "o4-mini-2025-04-16", "o4-mini", Via::DateSuffix, "0.55"),
            ("openai", "gpt-5.2-20251211", "gpt-5.2", Via::DateSuffix, "1.575"),
            (
                "openai",
                "ft:gpt-4o-mini-2024-07-18:acme::a1",
                "ft:gpt-4o-mini-2024-07-18",
                Via::Pattern,
                "0.15",
            ),
            ("google", "gemini-3.8-flash-cyber", "gemini-3.8-flash-cyber", Via::Exact, "0.9"),
            ("aws", "us.anthropic.claude-sonnet-4-6", "anthropic.claude-sonnet-4-6", Via::Alias, "1.98"),
            ("aws", "anthropic.claude-sonnet-4-6", "anthropic.claude-sonnet-4-6", Via::Exact, "1.98"),
            (
                "aws",
                "global.anthropic.claude-sonnet-4-6",
                "global.anthropic.claude-sonnet-4-6",
                Via::Exact,
                "1.8",
            ),
            (
                "bedrock",
                "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-6",
                "anthropic.claude-sonnet-4-6",
                Via::Alias,
                "1.98",
            ),
            ("fireworks", "accounts/fireworks/models/kimi-k3", "kimi-k3", Via::Exact, "1.8"),
            (
                "vertex",
                "projects/p/locations/l/publishers/google/models/gemini-3.8-flash",
                "gemini-3.8-flash",
                Via::Inherited,
                "0.45",
            ),
            (
                "vertex",
                "publishers/anthropic/models/claude-sonnet-4-6@default",
                "claude-sonnet-4-6",
                Via::Exact,
                "1.8",
            ),
            ("azure", "azure/eu/gpt-4o", "eu/gpt-4o", Via::Exact, "1.375"),
        ] {
            let found = told(&catalog, provider, name);
            assert_eq!(found, Some((model.to_owned(), via, total.to_owned())), "{provider} {name}");
        }
        // Never a relative, never the paid offer, never a guess.
        for (provider, name) in [
            ("cohere", "command-a-plus-05-2026"),
            ("anthropic", "claude_4_5_haiku"),
            ("openrouter", "z-ai/glm-4.6:free"),
            ("openrouter", "typesafe/jev-1.13"),
            ("fireworks", "accounts/fireworks/models/deepseek-v9"),
            ("aws", "anthropic.claude-sonnet-9"),
        ] {
            assert_eq!(told(&catalog, provider, name), None, "{provider} {name}");
        }
        let pro = told(&catalog, "fireworks", "accounts/fireworks/models/deepseek-v4-pro").unwrap();
        assert_eq!(pro.0, "deepseek-v4-pro");
    }

    /// A rule of each kind, through the shipped files: length, zone, region, clock, tier, minimum.
    #[test]
    fn rules_are_in_the_files() {
        let catalog = built();
        let price = |provider: &str, model: &str, usage: &Usage, context: PriceContext| {
            let Resolution::Found { entry, .. } = catalog.resolve(Some(provider), model) else {
                panic!("{model}")
            };
            entry.cost(usage, &context).total.to_string()
        };
        let at = |text: &str| PriceContext { at: Timestamp::parse(text).unwrap(), ..PriceContext::default() };
        let today = || at("2026-11-20T12:00:00Z");
        let input = |tokens| Usage::new().with(Bucket::Input, tokens);
        assert_eq!(price("x-ai", "grok-4.7", &input(199_999), today()), "0.399998");
        assert_eq!(price("x-ai", "grok-4.7", &input(200_000), today()), "0.8");
        let eu = PriceContext { geo: Some("eu".into()), ..today() };
        assert_eq!(price("azure", "gpt-4o", &input(1_000_000), eu), "2.75");
        let europe = PriceContext { geo: Some("europe-west1".into()), ..today() };
        assert_eq!(price("vertex", "claude-sonnet-4-6", &input(100_000), europe), "0.33");
        let tokyo = PriceContext { region: Some("ap-northeast-1".into()), ..today() };
        assert_eq!(price("aws", "deepseek.v3.2", &input(1_000_000), tokyo.clone()), "0.74");
        let batch = PriceContext { tier: Some(Tier::Batch), ..tokyo };
        assert_eq!(price("aws", "deepseek.v3.2", &input(1_000_000), batch), "0.37");
        assert_eq!(
            price("deepseek", "deepseek-v4-pro", &input(1_000_000), at("2026-11-20T02:30:00Z")),
            "1.32"
        );
        assert_eq!(
            price("deepseek", "deepseek-v4-pro", &input(1_000_000), at("2026-11-20T04:00:00Z")),
            "0.66"
        );
        assert_eq!(
            price("deepseek", "deepseek-v4-pro", &input(1_000_000), at("2026-11-21T02:30:00Z")),
            "0.66"
        );
        let audio = Usage::new().with(Bucket::InputAudioMs, 3_000);
        assert_eq!(price("groq", "whisper-large-v3", &audio, today()), "0.000308333333333333");
    }
}
