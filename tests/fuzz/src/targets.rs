//! The targets. Each answers whether it took its input for a good one, and panics at a fault.

use crate::corpus;
use spendrail::Code;
use spendrail::catalog::normalise::StreamReader;
use spendrail::catalog::{Building, Catalog, PriceContext, Quarantine, Source, Tier, normalise};
use spendrail::policy::Policy;
use spendrail::requests::Api;
use spendrail::values::{Bucket, Usage};

/// A function over bytes, and what it is fed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Whether the input was taken for a good one.
    pub body: fn(&[u8]) -> bool,
    /// Where damage begins.
    pub corpus: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const ALL: [Target; 5] = [
    Target { name: "catalog", body: catalog, corpus: corpus::catalogs },
    Target { name: "foreign", body: catalog, corpus: corpus::foreign },
    Target { name: "policy", body: policy, corpus: corpus::policies },
    Target { name: "reply", body: reply, corpus: corpus::replies },
    Target { name: "stream", body: stream, corpus: corpus::streams },
];

/// A price file: refused with its name, or every entry prices every usage, the lines adding up.
#[must_use]
pub fn catalog(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data).into_owned();
    let files = [Source { name: "fuzz".into(), text }];
    let quarantine = Quarantine::default();
    let how = Building { builtin: false, quarantine: Some(&quarantine), running: None };
    let catalog = match Catalog::load(&files, &how) {
        Ok(catalog) => catalog,
        Err(error) => {
            assert_eq!(error.code(), Code::PricesInvalid, "{error}");
            assert_eq!(error.file(), Some("fuzz"), "{error}");
            return false;
        }
    };
    for entry in catalog.entries().take(64) {
        let found = catalog.resolve(Some(entry.provider()), entry.model());
        assert!(!matches!(found, spendrail::catalog::Resolution::Unknown), "{} is unknown", entry.model());
        for tier in [None, Some(Tier::Batch), Some(Tier::Auto)] {
            let context = PriceContext { tier, ..PriceContext::default() };
            for quantity in [1, 1_000, 1 << 40] {
                let usage =
                    Bucket::ALL.iter().fold(Usage::new(), |usage, bucket| usage.with(*bucket, quantity));
                let cost = entry.cost(&usage, &context);
                let sum: i128 = cost.lines.iter().map(|line| line.amount.0).sum();
                assert_eq!(sum, cost.total.0, "{} does not add up", entry.model());
                assert!(cost.total.0 >= 0, "{} pays", entry.model());
            }
        }
        // The same again over itself: files over files must not fail on what they both say.
        let _ = entry.to_json();
    }
    // What one process has taken, the next one takes over the same again.
    let again = Building { running: Some(&catalog), ..how };
    Catalog::load(&files, &again).unwrap_or_else(|why| panic!("taken once, refused over itself: {why}"));
    true
}

/// A configuration: refused with a code, or read the same way twice.
#[must_use]
pub fn policy(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let env = |name: &str| (name == "HOME").then(|| "/home".to_owned());
    let read = || Policy::parse(&text, "fuzz", &env).map(|policy| policy.budgets.len());
    match (read(), read()) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one, other);
            true
        }
        (Err(one), Err(other)) => {
            assert_eq!(one.to_string(), other.to_string());
            false
        }
        _ => panic!("read once and refused once"),
    }
}

/// A provider's reply, under every provider's rules.
#[must_use]
pub fn reply(data: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice(data) else { return false };
    let mut taken = false;
    for provider in [
        None,
        Some("openai"),
        Some("anthropic"),
        Some("google"),
        Some("x-ai"),
        Some("aws"),
        Some("cohere"),
        Some("perplexity"),
        Some("nobody"),
    ] {
        match normalise::reply(provider, &value) {
            Ok(reply) => {
                // Whatever was read fits what a call may hold.
                if let Some(usage) = &reply.usage {
                    taken = true;
                    usage.checked().unwrap_or_else(|why| panic!("{provider:?}: {why}"));
                }
            }
            Err(why) => assert!(!why.to_string().is_empty()),
        }
    }
    taken
}

/// The events of a stream, in order.
#[must_use]
pub fn stream(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let api = lines.next().and_then(Api::parse);
    let mut reader = StreamReader::new(api, None);
    let (mut floor, mut read) = (0, false);
    for line in lines {
        let Ok(event) = serde_json::from_str(line) else { continue };
        reader.feed(&event);
        read = true;
        let now = reader.output_tokens_floor();
        assert!(now >= floor, "the floor sank from {floor} to {now}");
        floor = now;
    }
    if let Some(usage) = reader.reply().usage {
        usage.checked().unwrap_or_else(|why| panic!("{why}"));
    }
    read
}
