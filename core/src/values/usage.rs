//! What a call used, in disjoint buckets. The names are the rate keys of the price catalog.

use crate::codes::Code;
use crate::error::{Error, Result};

/// How many units one rate is for. The bucket fixes it (`pricing/schema/catalog.schema.json`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Tokens, priced per million.
    Tokens,
    /// Other things priced per million.
    Millions,
    /// Things priced per thousand.
    Thousands,
    /// Things priced one by one.
    Ones,
    /// Things priced per 10⁹.
    Billions,
    /// Milliseconds, priced per hour.
    Hours,
}

impl Per {
    /// The quantity that one rate buys.
    #[must_use]
    pub const fn quantity(self) -> i128 {
        match self {
            Per::Tokens | Per::Millions => 1_000_000,
            Per::Thousands => 1_000,
            Per::Ones => 1,
            Per::Billions => 1_000_000_000,
            Per::Hours => 3_600_000,
        }
    }
}

macro_rules! buckets {
    ($($(#[doc = $doc:literal])+ $name:ident = $key:literal, $per:ident;)+) => {
        /// One kind of thing that a provider bills. Buckets are disjoint: no token is in two.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Bucket { $($(#[doc = $doc])+ $name,)+ }

        impl Bucket {
            /// Every bucket, in the order of the table.
            pub const ALL: &'static [Bucket] = &[$(Bucket::$name,)+];

            /// The rate key: `"cache_read"`.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $(Bucket::$name => $key,)+ }
            }

            /// What its rate is for.
            #[must_use]
            pub const fn per(self) -> Per {
                match self { $(Bucket::$name => Per::$per,)+ }
            }

            /// The bucket of a rate key.
            #[must_use]
            pub fn from_key(key: &str) -> Option<Self> {
                match key { $($key => Some(Bucket::$name),)+ _ => None }
            }
        }
    };
}

buckets! {
    /// Uncached text input.
    Input = "input", Tokens;
    /// Uncached audio input.
    InputAudio = "input_audio", Tokens;
    /// Uncached image or document input.
    InputImage = "input_image", Tokens;
    /// Uncached video input.
    InputVideo = "input_video", Tokens;
    /// Prompt tokens added by server-side tools.
    InputTool = "input_tool", Tokens;
    /// Input served from a cache.
    CacheRead = "cache_read", Tokens;
    /// Audio input served from a cache.
    CacheReadAudio = "cache_read_audio", Tokens;
    /// Image input served from a cache.
    CacheReadImage = "cache_read_image", Tokens;
    /// Video input served from a cache.
    CacheReadVideo = "cache_read_video", Tokens;
    /// Input written to a cache, default time to live.
    CacheWrite = "cache_write", Tokens;
    /// Input written to a cache for 5 minutes.
    CacheWrite5m = "cache_write_5m", Tokens;
    /// Input written to a cache for 30 minutes.
    CacheWrite30m = "cache_write_30m", Tokens;
    /// Input written to a cache for 1 hour.
    CacheWrite1h = "cache_write_1h", Tokens;
    /// Input written to a cache for 12 hours.
    CacheWrite12h = "cache_write_12h", Tokens;
    /// Audio input written to a cache.
    CacheWriteAudio = "cache_write_audio", Tokens;
    /// Visible text output.
    Output = "output", Tokens;
    /// Reasoning (thinking) output.
    OutputReasoning = "output_reasoning", Tokens;
    /// Audio output.
    OutputAudio = "output_audio", Tokens;
    /// Image output.
    OutputImage = "output_image", Tokens;
    /// Video output.
    OutputVideo = "output_video", Tokens;
    /// Citation output.
    OutputCitation = "output_citation", Tokens;
    /// Explicit cache storage, in token-hours.
    CacheStorage = "cache_storage", Millions;
    /// Flat fee per request.
    Request = "request", Thousands;
    /// Server-side web search.
    WebSearch = "web_search", Thousands;
    /// Server-side page fetch.
    WebFetch = "web_fetch", Thousands;
    /// Server-side file search.
    FileSearch = "file_search", Thousands;
    /// Grounding with maps.
    MapsGrounding = "maps_grounding", Thousands;
    /// Server-side search of a social network.
    SocialSearch = "social_search", Thousands;
    /// Rerank search unit.
    RerankSearch = "rerank_search", Thousands;
    /// Text message in a live session.
    TextMessage = "text_message", Thousands;
    /// Classification.
    Classification = "classification", Thousands;
    /// Code interpreter session.
    CodeSession = "code_session", Ones;
    /// Page read (OCR).
    Page = "page", Thousands;
    /// Page read and annotated.
    PageAnnotated = "page_annotated", Thousands;
    /// Character of input.
    InputCharacter = "input_character", Millions;
    /// Character of output.
    OutputCharacter = "output_character", Millions;
    /// Image of input.
    InputImageUnit = "input_image_unit", Ones;
    /// Image of output.
    OutputImageUnit = "output_image_unit", Ones;
    /// Pixel of output.
    OutputPixel = "output_pixel", Billions;
    /// Pixel of input.
    InputPixel = "input_pixel", Billions;
    /// Audio input; counted in milliseconds.
    InputAudioMs = "input_audio_second", Hours;
    /// Audio output; counted in milliseconds.
    OutputAudioMs = "output_audio_second", Hours;
    /// Audio of a live session; counted in milliseconds.
    AudioMs = "audio_second", Hours;
    /// Video input; counted in milliseconds.
    InputVideoMs = "input_video_second", Hours;
    /// Video output; counted in milliseconds.
    OutputVideoMs = "output_video_second", Hours;
    /// Hosting time; counted in milliseconds.
    ComputeMs = "compute_second", Hours;
    /// Billing unit of the provider.
    Dbu = "dbu", Ones;
    /// Unit of your own.
    Custom1 = "custom_1", Ones;
    /// Second unit of your own.
    Custom2 = "custom_2", Ones;
}

impl Bucket {
    /// How many buckets there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The place in the table.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "a fieldless enum with repr(u8)")]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Counted in tokens.
    #[must_use]
    pub const fn is_tokens(self) -> bool {
        matches!(self.per(), Per::Tokens)
    }

    /// Input tokens of any kind: uncached, cache reads and cache writes. Their sum selects the length tier.
    #[must_use]
    pub const fn is_input_tokens(self) -> bool {
        self.is_tokens() && self.index() < Bucket::Output.index()
    }

    /// Output tokens of any kind.
    #[must_use]
    pub const fn is_output_tokens(self) -> bool {
        self.is_tokens() && self.index() >= Bucket::Output.index()
    }

    /// One bit per bucket.
    #[must_use]
    pub(crate) const fn mask(buckets: &[Bucket]) -> u64 {
        let (mut bits, mut rest) = (0, buckets);
        while let [bucket, others @ ..] = rest {
            (bits, rest) = (bits | 1 << bucket.index(), others);
        }
        bits
    }
}

const INPUT_TOKENS: u64 = tokens_between(0, Bucket::Output.index());
const OUTPUT_TOKENS: u64 = tokens_between(Bucket::Output.index(), Bucket::COUNT);

/// One bit per bucket of tokens with an index in `[from, to)`.
const fn tokens_between(from: usize, to: usize) -> u64 {
    let (mut bits, mut rest) = (0, Bucket::ALL);
    while let [bucket, others @ ..] = rest {
        let index = bucket.index();
        if bucket.is_tokens() && from <= index && index < to {
            bits |= 1 << index;
        }
        rest = others;
    }
    bits
}

/// Most that one bucket of one call may hold: 2⁴⁰ (above it is a damaged reply, not a call).
pub const QUANTITY_MAX: u64 = 1 << 40;

/// Quantities by bucket, with a bit mask of those that are not zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    used: u64,
    quantities: [u64; Bucket::COUNT],
}

impl Default for Usage {
    fn default() -> Self {
        Self { used: 0, quantities: [0; Bucket::COUNT] }
    }
}

impl Usage {
    /// Nothing used.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same usage with `quantity` in `bucket`.
    #[must_use]
    pub fn with(mut self, bucket: Bucket, quantity: u64) -> Self {
        self.set(bucket, quantity);
        self
    }

    /// From totals that include their parts, as OpenAI reports them: `input` includes `cache_read` and
    /// `cache_write`, `output` includes `reasoning`.
    ///
    /// # Errors
    /// `usage_invalid` if a part is larger than its total.
    pub fn inclusive(
        input: u64,
        cache_read: u64,
        cache_write: u64,
        output: u64,
        reasoning: u64,
    ) -> Result<Self> {
        let parts = Self::new()
            .with(Bucket::CacheRead, cache_read)
            .with(Bucket::CacheWrite, cache_write)
            .with(Bucket::OutputReasoning, reasoning);
        Self::from_totals(input, output, &parts)
    }

    /// The same with any parts: audio, images, cache writes by time to live, … The parts are disjoint, `input` includes
    /// all that are input and `output` all that are output. What is no token (searches, pages) is taken over.
    ///
    /// # Errors
    /// `usage_invalid` if the parts are larger than their total; the field is the first part that does not fit.
    pub fn from_totals(input: u64, output: u64, parts: &Self) -> Result<Self> {
        let mut usage = *parts;
        let (mut text_in, mut text_out) = (input, output);
        for (bucket, part) in parts.iter().filter(|(bucket, _)| bucket.is_tokens()) {
            let rest = if bucket.is_input_tokens() { &mut text_in } else { &mut text_out };
            *rest = rest.checked_sub(part).ok_or_else(|| {
                let message = format!("`{}` is larger than the total that includes it", bucket.key());
                Error::new(Code::UsageInvalid, message)
                    .field(bucket.key())
                    .hint("if your totals leave the parts out, build the usage bucket by bucket")
            })?;
        }
        usage.set(Bucket::Input, text_in);
        usage.set(Bucket::Output, text_out);
        usage.checked()
    }

    /// Puts `quantity` in `bucket`.
    pub fn set(&mut self, bucket: Bucket, quantity: u64) {
        if let Some(slot) = self.quantities.get_mut(bucket.index()) {
            *slot = quantity;
            let bit = 1u64 << bucket.index();
            self.used = if quantity == 0 { self.used & !bit } else { self.used | bit };
        }
    }

    /// Adds to a bucket; saturates ([`Usage::checked`] then refuses it).
    pub fn add(&mut self, bucket: Bucket, quantity: u64) {
        self.set(bucket, self.get(bucket).saturating_add(quantity));
    }

    /// What is in `bucket`.
    #[must_use]
    pub fn get(&self, bucket: Bucket) -> u64 {
        self.quantities.get(bucket.index()).copied().unwrap_or(0)
    }

    /// The buckets that are not empty, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (Bucket, u64)> + '_ {
        self.among(u64::MAX)
    }

    /// Of the buckets of a mask, those that are not empty.
    fn among(&self, mask: u64) -> impl Iterator<Item = (Bucket, u64)> + '_ {
        let mut left = self.used & mask;
        std::iter::from_fn(move || {
            let index = usize::try_from(left.trailing_zeros()).ok()?;
            let bucket = *Bucket::ALL.get(index)?;
            left &= left.wrapping_sub(1);
            Some((bucket, self.get(bucket)))
        })
    }

    /// Nothing in any bucket.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// All input tokens, cache reads and writes included.
    #[must_use]
    pub fn total_input(&self) -> u64 {
        self.sum(INPUT_TOKENS)
    }

    /// All output tokens, reasoning included.
    #[must_use]
    pub fn total_output(&self) -> u64 {
        self.sum(OUTPUT_TOKENS)
    }

    /// All tokens.
    #[must_use]
    pub fn total_tokens(&self) -> u64 {
        self.sum(INPUT_TOKENS | OUTPUT_TOKENS)
    }

    /// What is in the buckets of a mask, together.
    #[must_use]
    pub(crate) fn sum(&self, of: u64) -> u64 {
        self.among(of).fold(0, |sum, (_, n)| sum.saturating_add(n))
    }

    /// The same usage, if every bucket is within [`QUANTITY_MAX`].
    ///
    /// # Errors
    /// `usage_invalid`, naming the bucket.
    pub fn checked(self) -> Result<Self> {
        self.check().copied()
    }

    /// The same without a copy.
    ///
    /// # Errors
    /// As [`Usage::checked`].
    pub fn check(&self) -> Result<&Self> {
        match self.iter().find(|(_, quantity)| *quantity > QUANTITY_MAX) {
            None => Ok(self),
            Some((bucket, quantity)) => Err(Error::new(
                Code::UsageInvalid,
                format!("{quantity} is above the maximum of 2^40 for one call"),
            )
            .field(bucket.key())),
        }
    }
}

impl std::fmt::Debug for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter().map(|(bucket, quantity)| (bucket.key(), quantity))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_sums_of_disjoint_buckets() {
        let usage = Usage::inclusive(2006, 1920, 0, 300, 100).unwrap();
        assert_eq!((usage.get(Bucket::Input), usage.get(Bucket::Output)), (86, 200));
        assert_eq!((usage.total_input(), usage.total_output(), usage.total_tokens()), (2006, 300, 2306));
        assert_eq!(Usage::inclusive(1, 2, 0, 0, 0).unwrap_err().code(), Code::UsageInvalid);
        let parts = Usage::new().with(Bucket::InputAudio, 30).with(Bucket::CacheWrite1h, 20);
        let usage = Usage::from_totals(100, 7, &parts.with(Bucket::WebSearch, 2)).unwrap();
        assert_eq!(
            (usage.get(Bucket::Input), usage.total_input(), usage.get(Bucket::WebSearch)),
            (50, 100, 2)
        );
        let error = Usage::from_totals(49, 7, &parts).unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::UsageInvalid, Some("cache_write_1h")));
    }

    #[test]
    fn iterates_only_what_is_used() {
        let usage = Usage::new().with(Bucket::Custom2, 1).with(Bucket::Input, 7).with(Bucket::Output, 0);
        assert_eq!(usage.iter().collect::<Vec<_>>(), [(Bucket::Input, 7), (Bucket::Custom2, 1)]);
        assert!(Usage::new().with(Bucket::Input, u64::MAX).checked().is_err());
    }

    #[test]
    fn keys_are_unique() {
        for bucket in Bucket::ALL {
            assert_eq!(Bucket::from_key(bucket.key()), Some(*bucket));
        }
    }
}
