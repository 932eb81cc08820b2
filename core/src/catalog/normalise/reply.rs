//! What a provider's reply says, in one shape.

use crate::catalog::Tier;
use crate::values::scope::{LABEL_BYTES_MAX, Label};
use crate::values::{AttoUsd, Usage};
use serde_json::{Map, Value};
use smallvec::SmallVec;

/// Most anomalies that are kept of one reply; more say nothing new.
pub(super) const ANOMALIES_MAX: usize = 8;
/// Most other models that one reply may bill; a reply with more is damaged.
pub(super) const PARTS_MAX: usize = 16;

/// A provider's reply, normalised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// What was used, at the price of [`Reply::model`]. `None`: the reply does not say, or says something that no
    /// convention explains (then an anomaly tells what).
    pub usage: Option<Usage>,
    /// What other models used on behalf of this call, each at its own price; on top of [`Reply::usage`].
    pub parts: Vec<Part>,
    /// The model that served the call.
    pub model: Option<Label>,
    /// The provider's id of the reply.
    pub id: Option<Label>,
    /// Why each choice ended, in the order of the choices.
    pub finish_reasons: SmallVec<[Label; 1]>,
    /// The service tier that served the call; `None` when the provider does not say.
    pub tier: Option<Tier>,
    /// The same in the provider's word.
    pub service_tier: Option<Label>,
    /// The speed mode: `fast`, or `None` for standard.
    pub speed: Option<Label>,
    /// The data-residency zone that is priced apart: `us`, `eu`, …
    pub geo: Option<Label>,
    /// How much a search read: `low`, `medium`, `high`.
    pub search_context: Option<Label>,
    /// The kind of search.
    pub search_type: Option<Label>,
    /// The size of the images that were made: `1024x1024`.
    pub size: Option<Label>,
    /// Their quality.
    pub quality: Option<Label>,
    /// What the provider says it charges.
    pub reported_cost: Option<AttoUsd>,
    /// The backend's fingerprint.
    pub system_fingerprint: Option<Label>,
    /// The kind of error, in the provider's words, when the reply is one.
    pub error: Option<Label>,
    /// The reply is not final: a response in the background that is queued or running.
    pub pending: bool,
    /// What did not fit the provider's convention and how it was read.
    pub anomalies: Vec<Anomaly>,
}

impl Reply {
    /// Everything that was used, whichever model is billed for it. For token budgets and telemetry; not for prices.
    #[must_use]
    pub fn combined_usage(&self) -> Option<Usage> {
        let mut all = self.usage?;
        for (bucket, quantity) in self.parts.iter().flat_map(|part| part.usage.iter()) {
            all.add(bucket, quantity);
        }
        Some(all)
    }
}

/// What another model used on behalf of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The model that is billed.
    pub model: Label,
    /// What it used.
    pub usage: Usage,
}

/// One thing in a reply that did not fit its convention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// The rule that was applied; stable text.
    pub rule: Rule,
    /// The figures.
    pub detail: String,
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        /// How a figure that does not fit is read. Never a silent clamp: the other convention, or the larger cost.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule { $($(#[doc = $doc])+ $name,)+ }

        impl Rule {
            /// The stable text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Rule::$name => $text,)+ }
            }
        }
    };
}

rules! {
    /// A figure is not a count. The whole usage is unknown.
    Unreadable = "unreadable";
    /// The usage has none of the known names. The whole usage is unknown.
    Unrecognised = "unrecognised";
    /// More was read from or written to a cache than there is input: the input excludes the cache.
    CacheAboveInput = "cache_above_input";
    /// The input includes the cache although it is documented to exclude it.
    CacheInsideInput = "cache_inside_input";
    /// Only an input that excludes the cache adds up to the total.
    CacheOutsideInput = "cache_outside_input";
    /// There is more reasoning than output: the output excludes it.
    ReasoningAboveOutput = "reasoning_above_output";
    /// Media make up more than the total they belong to: all of them are billed.
    MediaAboveTotal = "media_above_total";
    /// The total is larger than its parts: the rest is billed as reasoning.
    TotalAboveParts = "total_above_parts";
    /// The total is smaller than its parts: the parts are billed.
    TotalBelowParts = "total_below_parts";
    /// Only a total: it is billed as output.
    OnlyTotal = "only_total";
    /// The split of cache writes by time to live is not their sum.
    CacheSplit = "cache_split";
    /// The iterations are not the sum that they should be: both are billed.
    Iterations = "iterations";
    /// A tool that ran on the server and has no known price: it is billed as the dearest.
    UnknownTool = "unknown_tool";
    /// A refund of cache writes whose amount is not told: they are billed in full.
    FallbackCredit = "fallback_credit";
    /// A cumulative counter of a stream fell: to zero is ignored, else the later one counts.
    CounterFell = "counter_fell";
    /// The cost that the provider states is none: below zero, or beyond what one call can cost. It is not used.
    ReportedCost = "reported_cost";
    /// More other models than a reply can have. The whole usage is unknown.
    TooManyModels = "too_many_models";
}

/// Collects anomalies while figures are read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) anomalies: Vec<Anomaly>,
    /// A figure could not be read: nothing that is computed from the others can be trusted.
    pub(super) unreadable: bool,
}

impl Notes {
    pub(super) fn add(&mut self, rule: Rule, detail: impl FnOnce() -> String) {
        if self.anomalies.len() < ANOMALIES_MAX {
            self.anomalies.push(Anomaly { rule, detail: detail() });
        }
    }

    pub(super) fn unreadable(&mut self, rule: Rule, detail: impl FnOnce() -> String) {
        self.unreadable = true;
        self.add(rule, detail);
    }

    /// The usage, unless a figure was unreadable or is beyond what one call may use.
    pub(super) fn trust(&mut self, usage: Usage) -> Option<Usage> {
        match usage.checked() {
            Ok(usage) if !self.unreadable => Some(usage),
            Ok(_) => None,
            Err(error) => {
                self.unreadable(Rule::Unreadable, || error.to_string());
                None
            }
        }
    }
}

/// Text as a label; `None` when it is not text, empty or longer than a label may be.
pub(super) fn label(value: Option<&Value>) -> Option<Label> {
    let text = value?.as_str()?;
    (!text.is_empty() && text.len() <= LABEL_BYTES_MAX).then(|| text.into())
}

/// An object inside an object.
pub(super) fn object<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Map<String, Value>> {
    map.get(key)?.as_object()
}

/// A list inside an object; empty if there is none.
pub(super) fn list<'a>(map: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    map.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The tier behind a provider's word. `None` when there is none or it leaves the tier open (`auto`).
pub(crate) fn tier(text: &str) -> Option<Tier> {
    match text {
        "" | "auto" | "unspecified" => None,
        word if word.ends_with("_UNSPECIFIED") => None,
        // OpenAI's fast mode is served and billed as priority.
        "fast" => Some(Tier::Priority),
        word => Some(Tier::parse(word)),
    }
}

impl Reply {
    /// Takes the tier that the provider states, if it states one.
    pub(super) fn set_tier(&mut self, word: Option<&Value>) {
        if let Some(word) = label(word) {
            self.tier = tier(&word);
            self.service_tier = Some(word);
        }
    }
}
