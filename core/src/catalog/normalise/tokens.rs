//! From totals with parts to disjoint buckets: the one place where a provider's convention is applied, checked
//! against the provider's own total, and replaced when it cannot be right.

use super::reply::{Notes, Rule};
use crate::values::{Bucket, Usage};

/// Token figures as a provider reports them. Absent ones are zero.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) written: Written,
    pub(super) output: u64,
    pub(super) reasoning: u64,
    /// Not inside `input`: what server-side tools put into the prompt.
    pub(super) tool_input: u64,
    pub(super) total: Option<u64>,
    /// Media inside `input`, `cached` and `output`.
    pub(super) input_media: Media,
    pub(super) cached_media: Media,
    pub(super) output_media: Media,
}

/// Tokens by kind of media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Media {
    pub(super) audio: u64,
    pub(super) image: u64,
    pub(super) video: u64,
}

impl Media {
    fn sum(self) -> u64 {
        self.audio.saturating_add(self.image).saturating_add(self.video)
    }
}

/// Tokens written to a cache by time to live; `plain` is what has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) plain: u64,
    pub(super) m5: u64,
    pub(super) m30: u64,
    pub(super) h1: u64,
    pub(super) h12: u64,
}

impl Written {
    /// From a total (if reported) and its split. What the split leaves out has the dearest time to live that the
    /// split shows, because a stream raises the total without repeating the split.
    pub(super) fn new(total: Option<u64>, split: Self, notes: &mut Notes) -> Self {
        let parts = split.sum();
        let Some(total) = total.filter(|total| *total != parts) else { return split };
        if parts == 0 {
            return Self { plain: total, ..Self::default() };
        }
        notes.add(Rule::CacheSplit, || format!("{parts} of {total} written tokens by time to live"));
        let mut all = split;
        let rest = total.saturating_sub(parts);
        let slot = match split {
            Self { h12: 1.., .. } => &mut all.h12,
            Self { h1: 1.., .. } => &mut all.h1,
            Self { m30: 1.., .. } => &mut all.m30,
            _ => &mut all.m5,
        };
        *slot = slot.saturating_add(rest);
        all
    }

    pub(super) fn sum(self) -> u64 {
        [self.plain, self.m5, self.m30, self.h1, self.h12].into_iter().fold(0, u64::saturating_add)
    }

    fn put(self, usage: &mut Usage) {
        usage.set(Bucket::CacheWrite, self.plain);
        usage.set(Bucket::CacheWrite5m, self.m5);
        usage.set(Bucket::CacheWrite30m, self.m30);
        usage.set(Bucket::CacheWrite1h, self.h1);
        usage.set(Bucket::CacheWrite12h, self.h12);
    }
}

/// Whether a part is inside the total next to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Inside,
    Outside,
}

/// What a provider documents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convention {
    pub(super) cache: Place,
    pub(super) reasoning: Place,
    /// The provider's total counts everything, so that it decides between readings.
    pub(super) total_decides: bool,
}

/// One way to read the figures.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reading {
    cache: Place,
    reasoning: Place,
}

/// The disjoint buckets.
///
/// 1. The documented reading is taken if it is possible and adds up to the total.
/// 2. Else the first other reading that does.
/// 3. Else the documented one, or its opposite where it would go below zero; what the total has more is reasoning,
///    what it has less is not taken away.
pub(super) fn disjoint(tokens: &Tokens, convention: Convention, notes: &mut Notes) -> Usage {
    let reading = choose(tokens, convention, notes);
    let mut usage = Usage::new();
    put_input(tokens, reading.cache, &mut usage, notes);
    put_output(tokens, reading.reasoning, &mut usage, notes);
    if let Some(total) = tokens.total.filter(|_| convention.total_decides) {
        let parts = sum(tokens, reading);
        if total > parts {
            let rest = total.saturating_sub(parts);
            // Without any reasoning this is a server that leaves it out of the output: a known convention.
            if tokens.reasoning > 0 {
                notes.add(Rule::TotalAboveParts, || format!("total {total}, parts {parts}"));
            }
            usage.add(Bucket::OutputReasoning, rest);
        } else if total < parts {
            notes.add(Rule::TotalBelowParts, || format!("total {total}, parts {parts}"));
        }
    }
    usage
}

fn choose(tokens: &Tokens, convention: Convention, notes: &mut Notes) -> Reading {
    let cache = tokens.cached.saturating_add(tokens.written.sum());
    let cache_fits = cache <= tokens.input;
    let reasoning_fits = tokens.reasoning.saturating_add(tokens.output_media.sum()) <= tokens.output;
    let possible = |reading: &Reading| {
        (reading.cache == Place::Outside || cache_fits)
            && (reading.reasoning == Place::Outside || reasoning_fits || tokens.reasoning == 0)
    };
    let documented = Reading { cache: convention.cache, reasoning: convention.reasoning };
    let other = |place| if place == Place::Inside { Place::Outside } else { Place::Inside };
    let readings = [
        documented,
        Reading { reasoning: other(documented.reasoning), ..documented },
        Reading { cache: other(documented.cache), ..documented },
        Reading { cache: other(documented.cache), reasoning: other(documented.reasoning) },
    ];
    let adds_up = |reading: &Reading| tokens.total == Some(sum(tokens, *reading));
    let exact = readings.into_iter().find(|reading| possible(reading) && adds_up(reading));
    // `Outside` is always possible, so one of the four is.
    let first = readings.into_iter().find(possible).unwrap_or(documented);
    let chosen = exact.filter(|_| convention.total_decides).unwrap_or(first);
    if chosen.cache != documented.cache {
        let rule = match chosen.cache {
            Place::Inside => Rule::CacheInsideInput,
            Place::Outside if cache_fits => Rule::CacheOutsideInput,
            Place::Outside => Rule::CacheAboveInput,
        };
        notes.add(rule, || format!("cache {cache}, input {}", tokens.input));
    }
    // A total that a reading explains to the token leaves nothing strange about reasoning next to the output.
    if chosen.reasoning != documented.reasoning && exact.is_none() {
        notes.add(Rule::ReasoningAboveOutput, || {
            format!("reasoning {}, output {}", tokens.reasoning, tokens.output)
        });
    }
    chosen
}

/// What the total should be under a reading.
fn sum(tokens: &Tokens, reading: Reading) -> u64 {
    let mut sum = tokens.input.saturating_add(tokens.output).saturating_add(tokens.tool_input);
    if reading.cache == Place::Outside {
        sum = sum.saturating_add(tokens.cached).saturating_add(tokens.written.sum());
    }
    if reading.reasoning == Place::Outside {
        sum = sum.saturating_add(tokens.reasoning);
    }
    sum
}

fn put_input(tokens: &Tokens, cache: Place, usage: &mut Usage, notes: &mut Notes) {
    let written = tokens.written.sum();
    let uncached = match cache {
        Place::Inside => tokens.input.saturating_sub(tokens.cached).saturating_sub(written),
        Place::Outside => tokens.input,
    };
    let mut cached_text = tokens.cached.saturating_sub(tokens.cached_media.sum());
    let [mut audio, mut image, mut video] = [
        (tokens.input_media.audio, tokens.cached_media.audio),
        (tokens.input_media.image, tokens.cached_media.image),
        (tokens.input_media.video, tokens.cached_media.video),
    ]
    // A kind with more cached than there is of it is listed without its cached part.
    .map(|(all, cached)| Kind { uncached: all.checked_sub(cached).unwrap_or(all), cached });
    let media = audio.uncached.saturating_add(image.uncached).saturating_add(video.uncached);
    // More media than uncached input: some of the cached tokens are media, as few as the figures allow.
    let mut excess = media.saturating_sub(uncached);
    for kind in [&mut image, &mut video, &mut audio] {
        let moved = excess.min(kind.uncached).min(cached_text);
        kind.uncached = kind.uncached.saturating_sub(moved);
        kind.cached = kind.cached.saturating_add(moved);
        cached_text = cached_text.saturating_sub(moved);
        excess = excess.saturating_sub(moved);
    }
    if excess > 0 || tokens.cached_media.sum() > tokens.cached {
        let (media, cached) = (tokens.input_media.sum(), tokens.cached_media.sum());
        notes.add(Rule::MediaAboveTotal, || format!("media {media} of {}, cached {cached}", tokens.input));
    }
    usage.set(Bucket::Input, uncached.saturating_sub(media));
    usage.set(Bucket::InputAudio, audio.uncached);
    usage.set(Bucket::InputImage, image.uncached);
    usage.set(Bucket::InputVideo, video.uncached);
    usage.set(Bucket::InputTool, tokens.tool_input);
    usage.set(Bucket::CacheRead, cached_text);
    usage.set(Bucket::CacheReadAudio, audio.cached);
    usage.set(Bucket::CacheReadImage, image.cached);
    usage.set(Bucket::CacheReadVideo, video.cached);
    tokens.written.put(usage);
}

struct Kind {
    uncached: u64,
    cached: u64,
}

fn put_output(tokens: &Tokens, reasoning: Place, usage: &mut Usage, notes: &mut Notes) {
    let visible = match reasoning {
        Place::Inside => tokens.output.saturating_sub(tokens.reasoning),
        Place::Outside => tokens.output,
    };
    let media = tokens.output_media.sum();
    if media > visible {
        notes.add(Rule::MediaAboveTotal, || format!("media {media}, output {}", tokens.output));
    }
    usage.set(Bucket::Output, visible.saturating_sub(media));
    usage.set(Bucket::OutputReasoning, tokens.reasoning);
    usage.set(Bucket::OutputAudio, tokens.output_media.audio);
    usage.set(Bucket::OutputImage, tokens.output_media.image);
    usage.set(Bucket::OutputVideo, tokens.output_media.video);
}
