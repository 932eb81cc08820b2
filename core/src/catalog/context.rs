//! What selects a price besides the model and the amounts: the instant, the service tier, the region, …

use crate::values::Timestamp;
use crate::values::scope::Label;
use smallvec::SmallVec;

/// A service tier. Absent from a [`PriceContext`] it means standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// The ordinary price; providers also say `default`, `on_demand`, `standard_only`.
    Standard,
    /// Not known which: `auto`, or a word that no provider documents. The dearest listed tier counts.
    Auto,
    /// Batch.
    Batch,
    /// Slower and cheaper.
    Flex,
    /// Faster and dearer.
    Priority,
    /// Faster still.
    Ultrafast,
    /// Between standard and priority.
    Balanced,
    /// Committed capacity (OpenAI scale tier).
    Scale,
    /// Reserved capacity.
    Reserved,
    /// Provisioned throughput: no charge per token.
    Provisioned,
}

impl Tier {
    /// What `auto` can turn out to be, besides standard.
    pub(super) const OF_AUTO: [Self; 6] =
        [Self::Flex, Self::Priority, Self::Ultrafast, Self::Balanced, Self::Scale, Self::Reserved];

    /// What a request asks for or a reply reports, in the words of the providers. A word that is not known is
    /// [`Tier::Auto`]: it may be dearer than standard.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let word = text.trim().to_ascii_lowercase();
        match word.as_str() {
            "default" | "standard" | "standard_only" | "on_demand" | "on-demand" => Self::Standard,
            // OpenAI documents `fast` as the newer word for priority, at the same rates.
            "fast" | "on_demand_priority" => Self::Priority,
            "on_demand_flex" | "on_demand_offpeak" => Self::Flex,
            "provisioned_throughput" => Self::Provisioned,
            other => Self::from_schema(other).unwrap_or(Self::Auto),
        }
    }

    /// A tier of the schema: what a price can depend on.
    pub(crate) fn from_schema(text: &str) -> Option<Self> {
        Some(match text {
            "batch" => Self::Batch,
            "flex" => Self::Flex,
            "priority" => Self::Priority,
            "ultrafast" => Self::Ultrafast,
            "balanced" => Self::Balanced,
            "scale" => Self::Scale,
            "reserved" => Self::Reserved,
            "provisioned" => Self::Provisioned,
            _ => return None,
        })
    }

    /// The word of the schema.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Auto => "auto",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
            Self::Balanced => "balanced",
            Self::Scale => "scale",
            Self::Reserved => "reserved",
            Self::Provisioned => "provisioned",
        }
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What selects the period, the variant and the multipliers of a price. Everything that is not known stays
/// `None`; a condition on it then does not hold. Only the worst case takes what is not known for reachable, and only
/// for the tier ([`Tier::Auto`]), thinking, the kind and size of a search, and the time of day: `geo` and `region`
/// are the application's choice, so it states them.
///
/// ```
/// use spendrail::catalog::{PriceContext, Tier};
/// use spendrail::values::Timestamp;
/// let context = PriceContext { at: Timestamp::parse("2026-11-20")?, tier: Some(Tier::Batch), ..Default::default() };
/// # Ok::<(), spendrail::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PriceContext {
    /// When the request started. Selects the period.
    pub at: Timestamp,
    /// When it ended, for prices by time of day that test the end; absent, the start is taken.
    pub ended_at: Option<Timestamp>,
    /// The tier that served the call; before the call, the one asked for.
    pub tier: Option<Tier>,
    /// `fast` where a provider sells speed.
    pub speed: Option<Label>,
    /// Where the data stays: `us`, `eu`, `global`.
    pub geo: Option<Label>,
    /// The cloud region.
    pub region: Option<Label>,
    /// The route of a gateway.
    pub route: Option<Label>,
    /// `chat`, `responses`, `realtime`, …
    pub endpoint: Option<Label>,
    /// Whether the model thinks, where that has a price of its own.
    pub thinking: Option<bool>,
    /// `low`, `medium`, `high`.
    pub search_context: Option<Label>,
    /// The kind of search.
    pub search_type: Option<Label>,
    /// The size of an image or video.
    pub size: Option<Label>,
    /// The quality of an image.
    pub quality: Option<Label>,
    /// The resolution of a video.
    pub resolution: Option<Label>,
    /// Dimensions of your own (`when.label` in a catalog file).
    pub labels: SmallVec<[(Label, Label); 1]>,
    /// For the worst case: whether the request can write to a cache. `None`: it may.
    pub writes_cache: Option<bool>,
    /// For the worst case: the request carries audio, images or video, so their rates are reachable.
    pub media: bool,
}

impl PriceContext {
    /// Whether cache writes are possible, if nothing but them and the instant is stated.
    pub(crate) fn plain(&self) -> Option<bool> {
        let Self { at: _, ended_at: _, writes_cache, media: false, tier: None, thinking: None, .. } = self
        else {
            return None;
        };
        let Self { speed, geo, region, route, endpoint, search_context, search_type, .. } = self;
        let Self { size, quality, resolution, labels, .. } = self;
        let stated =
            [speed, geo, region, route, endpoint, search_context, search_type, size, quality, resolution];
        let nothing = labels.is_empty() && stated.iter().all(|text| text.is_none());
        nothing.then_some(*writes_cache != Some(false))
    }
}
