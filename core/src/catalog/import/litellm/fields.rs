//! LiteLLM's field names, taken apart: 120 of them are a base, a length and a tier put together.

use super::super::number::Unit;
use crate::catalog::Tier;
use crate::catalog::schema::When;
use crate::values::Bucket;
use hashbrown::HashMap;

/// What a field of an entry means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning<'f> {
    /// A rate.
    Rate(Field<'f>),
    /// Part of a structure, or the figures of another field once more.
    Known,
    /// A price that has no place here.
    Unknown,
    /// No price.
    NoPrice,
}

/// A rate, and when it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'f> {
    pub(super) bucket: Bucket,
    pub(super) unit: Unit,
    pub(super) only: Only<'f>,
    /// More than this many thousand tokens of input.
    pub(super) above_k: Option<u64>,
}

/// The one condition that a field name can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Only<'f> {
    Always,
    Tier(Tier),
    Decisions,
    Resolution(&'f str),
}

impl Only<'_> {
    /// As a condition of the catalog; `None` if it always holds.
    pub(super) fn when(self) -> Option<When> {
        let none = When::default();
        Some(match self {
            Self::Always => return None,
            Self::Tier(tier) => When { tier: Some(tier), ..none },
            Self::Decisions => When { endpoint: Some("decisions".to_owned()), ..none },
            Self::Resolution(size) => When { resolution: Some(size.to_owned()), ..none },
        })
    }
}

const TIERS: [(&str, Only<'static>); 6] = [
    ("_batches", Only::Tier(Tier::Batch)),
    ("_flex", Only::Tier(Tier::Flex)),
    ("_priority", Only::Tier(Tier::Priority)),
    ("_ultrafast", Only::Tier(Tier::Ultrafast)),
    ("_balanced", Only::Tier(Tier::Balanced)),
    ("_decisions", Only::Decisions),
];

/// Fields that are read elsewhere, or that repeat others: the cache hit of old DeepSeek entries, Databricks' units.
const KNOWN: [&str; 11] = [
    "search_context_cost_per_query",
    "tiered_pricing",
    "off_peak_pricing",
    "provider_specific_entry",
    "regional_endpoint_uplift_multiplier",
    "regional_processing_uplift_multiplier_eu",
    "regional_processing_uplift_multiplier_us",
    "input_cost_per_token_cache_hit",
    "input_dbu_cost_per_token",
    "output_dbu_cost_per_token",
    "prompt_cache_min_tokens",
];

/// What the fields mean that were met so far: a file has a hundred names and uses each hundreds of times.
#[derive(Default)]
pub(super) struct Meanings<'f>(HashMap<(&'f str, &'f str), Meaning<'f>, foldhash::fast::FixedState>);

impl<'f> Meanings<'f> {
    /// See [`meaning`].
    pub(super) fn of(&mut self, name: &'f str, mode: &'f str) -> Meaning<'f> {
        *self.0.entry((name, mode)).or_insert_with(|| meaning(name, mode))
    }
}

/// What a field of an entry of this mode means.
pub(super) fn meaning<'f>(name: &'f str, mode: &str) -> Meaning<'f> {
    const PRICES: [&str; 5] = ["cost", "pricing", "price", "multiplier", "search_free"];
    if !PRICES.iter().any(|word| name.contains(word)) {
        return Meaning::NoPrice;
    }
    if KNOWN.contains(&name) {
        return Meaning::Known;
    }
    let (rest, mut only) = TIERS
        .iter()
        .find_map(|(suffix, only)| Some((name.strip_suffix(suffix)?, *only)))
        .unwrap_or((name, Only::Always));
    let (rest, above_k) = match length(rest) {
        Some((rest, thousands)) => (rest, Some(thousands)),
        None => (rest, None),
    };
    let mut found = base(rest, mode);
    if found.is_none() && only == Only::Always && above_k.is_none() {
        for stem in ["output_cost_per_second", "output_cost_per_image"] {
            if let Some(size) = rest.strip_prefix(stem).and_then(|rest| rest.strip_prefix('_'))
                && size.starts_with(|c: char| c.is_ascii_digit())
                && size.len() <= 6
            {
                (found, only) = (base(stem, mode), Only::Resolution(size));
            }
        }
    }
    match found {
        Some((bucket, unit)) => Meaning::Rate(Field { bucket, unit, only, above_k }),
        None => Meaning::Unknown,
    }
}

/// `x_above_200k_tokens`: `x` and 200.
fn length(name: &str) -> Option<(&str, u64)> {
    let (rest, thousands) = name.strip_suffix("k_tokens")?.rsplit_once("_above_")?;
    Some((rest, thousands.parse().ok()?))
}

/// The bucket and unit of a name without conditions.
fn base(name: &str, mode: &str) -> Option<(Bucket, Unit)> {
    const TOKEN: Unit = Unit::ten_to(6);
    const THOUSAND: Unit = Unit::ten_to(3);
    Some(match name {
        "input_cost_per_token" => (Bucket::Input, TOKEN),
        "output_cost_per_token" => (Bucket::Output, TOKEN),
        "cache_read_input_token_cost" => (Bucket::CacheRead, TOKEN),
        "cache_creation_input_token_cost" => (Bucket::CacheWrite, TOKEN),
        "cache_creation_input_token_cost_above_1hr" => (Bucket::CacheWrite1h, TOKEN),
        "cache_creation_input_token_cost_above_12hr" => (Bucket::CacheWrite12h, TOKEN),
        "output_cost_per_reasoning_token" => (Bucket::OutputReasoning, TOKEN),
        "input_cost_per_audio_token" => (Bucket::InputAudio, TOKEN),
        "output_cost_per_audio_token" => (Bucket::OutputAudio, TOKEN),
        "cache_read_input_audio_token_cost" => (Bucket::CacheReadAudio, TOKEN),
        "cache_creation_input_audio_token_cost" => (Bucket::CacheWriteAudio, TOKEN),
        "input_cost_per_image_token" => (Bucket::InputImage, TOKEN),
        "output_cost_per_image_token" => (Bucket::OutputImage, TOKEN),
        "cache_read_input_image_token_cost" => (Bucket::CacheReadImage, TOKEN),
        "input_cost_per_video_token" => (Bucket::InputVideo, TOKEN),
        "output_cost_per_video_token" => (Bucket::OutputVideo, TOKEN),
        "cache_read_input_video_token_cost" => (Bucket::CacheReadVideo, TOKEN),
        "citation_cost_per_token" => (Bucket::OutputCitation, TOKEN),
        "input_cost_per_character" => (Bucket::InputCharacter, TOKEN),
        "output_cost_per_character" => (Bucket::OutputCharacter, TOKEN),
        "input_cost_per_image" => (Bucket::InputImageUnit, Unit::SAME),
        "output_cost_per_image" => (Bucket::OutputImageUnit, Unit::SAME),
        "input_cost_per_pixel" => (Bucket::InputPixel, Unit::ten_to(9)),
        "output_cost_per_pixel" => (Bucket::OutputPixel, Unit::ten_to(9)),
        "input_cost_per_audio_per_second" => (Bucket::InputAudioMs, Unit::SECOND),
        "input_cost_per_video_per_second" => (Bucket::InputVideoMs, Unit::SECOND),
        "output_cost_per_video_per_second" => (Bucket::OutputVideoMs, Unit::SECOND),
        "input_cost_per_second" => match mode {
            "audio_transcription" | "audio_speech" | "realtime" => (Bucket::InputAudioMs, Unit::SECOND),
            "video_generation" => (Bucket::InputVideoMs, Unit::SECOND),
            _ => return None,
        },
        "output_cost_per_second" => match mode {
            "audio_transcription" | "audio_speech" | "realtime" => (Bucket::OutputAudioMs, Unit::SECOND),
            "video_generation" => (Bucket::OutputVideoMs, Unit::SECOND),
            _ => return None,
        },
        "input_cost_per_query" => match mode {
            "rerank" => (Bucket::RerankSearch, THOUSAND),
            "search" => (Bucket::WebSearch, THOUSAND),
            _ => return None,
        },
        "input_cost_per_request" => (Bucket::Request, THOUSAND),
        "google_maps_grounding_cost_per_query" => (Bucket::MapsGrounding, THOUSAND),
        "code_interpreter_cost_per_session" => (Bucket::CodeSession, Unit::SAME),
        "file_search_cost_per_1k_calls" => (Bucket::FileSearch, Unit::SAME),
        "ocr_cost_per_page" => (Bucket::Page, THOUSAND),
        "annotation_cost_per_page" => (Bucket::PageAnnotated, THOUSAND),
        "input_cost_per_text_message" => (Bucket::TextMessage, THOUSAND),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(name: &str) -> (Bucket, Only<'_>, Option<u64>) {
        match meaning(name, "chat") {
            Meaning::Rate(field) => (field.bucket, field.only, field.above_k),
            other => panic!("{name} is {other:?}"),
        }
    }

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(rate("input_cost_per_token"), (Bucket::Input, Only::Always, None));
        assert_eq!(
            rate("cache_creation_input_token_cost_above_12hr_above_272k_tokens_batches"),
            (Bucket::CacheWrite12h, Only::Tier(Tier::Batch), Some(272))
        );
        assert_eq!(
            rate("output_cost_per_token_above_200k_tokens"),
            (Bucket::Output, Only::Always, Some(200))
        );
        assert_eq!(rate("output_cost_per_image_4K"), (Bucket::OutputImageUnit, Only::Resolution("4K"), None));
        assert_eq!(meaning("supports_vision", "chat"), Meaning::NoPrice);
        assert_eq!(meaning("input_cost_per_token_cache_hit", "chat"), Meaning::Known);
        for name in ["cost_per_second", "guardrail_cost_per_unit", "input_cost_per_token_above_k_tokens"] {
            assert_eq!(meaning(name, "chat"), Meaning::Unknown, "{name}");
        }
        assert_eq!(meaning("input_cost_per_second", "chat"), Meaning::Unknown);
        assert!(matches!(meaning("input_cost_per_second", "audio_transcription"), Meaning::Rate(_)));
    }
}
