//! One entry: what its fields say, put together.

use super::super::draft::{CONDITIONS_MAX, Sheet};
use super::super::hours;
use super::super::number::{self, NoPrice, Unit};
use super::super::report::FileReport;
use super::fields::{Meaning, Meanings, Only, meaning};
use super::json::{Entry, Fields, table};
use crate::catalog::fields::Date;
use crate::catalog::rates::Factor;
use crate::catalog::schema::{Mode, When};
use crate::values::Bucket;
use serde_json::value::RawValue;

/// What one entry says.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) base: Sheet,
    pub(super) variants: Vec<(When, Sheet)>,
    pub(super) factors: Vec<(When, Factor)>,
    pub(super) max_input: Option<u64>,
    pub(super) max_output: Option<u64>,
    /// `max_tokens`, of which nobody knows which of the two it is.
    pub(super) either: Option<u64>,
    pub(super) deprecated: Option<Date>,
    pub(super) mode: Option<Mode>,
    /// What cannot be.
    pub(super) negative: Vec<String>,
}

impl Draft {
    /// The sheet of a condition; of none, the one that always holds.
    fn sheet(&mut self, when: Option<&When>) -> &mut Sheet {
        let Some(when) = when else { return &mut self.base };
        let at = match self.variants.iter().position(|(known, _)| known == when) {
            Some(at) => at,
            None => {
                self.variants.push((when.clone(), Sheet::default()));
                self.variants.len() - 1
            }
        };
        match self.variants.get_mut(at) {
            Some((_, sheet)) => sheet,
            None => &mut self.base,
        }
    }

    /// Whether there is room for one more condition, and in it for one more length.
    fn has_room(&self, when: Option<&When>, over: Option<u64>) -> bool {
        let Some(when) = when else { return self.base.has_room(over) };
        match self.variants.iter().find(|(known, _)| known == when) {
            Some((_, sheet)) => sheet.has_room(over),
            None => self.variants.len() < CONDITIONS_MAX,
        }
    }

    pub(super) fn is_priced(&self) -> bool {
        !self.base.rates.is_empty()
    }
}

/// Where what is read goes, and where what cannot be read is said.
pub(super) struct Reader<'r> {
    pub(super) entry: &'r str,
    pub(super) draft: Draft,
    pub(super) report: &'r mut FileReport,
}

impl Reader<'_> {
    fn skip(&mut self, field: &str, why: &str) {
        self.report.skipped.note(self.entry, field, why);
    }

    fn put(
        &mut self,
        field: &str,
        raw: &str,
        when: Option<&When>,
        over: Option<u64>,
        bucket: Bucket,
        unit: Unit,
    ) {
        match number::price(raw, unit) {
            Ok(_) if !self.draft.has_room(when, over) => {
                self.skip(field, "is one condition or length too many")
            }
            Ok(price) => {
                if price.rounded {
                    self.report.rounded.note(self.entry, field, "is finer than 10⁻¹² USD and was rounded");
                }
                self.draft.sheet(when).set(over, bucket, price.rate);
            }
            Err(NoPrice::NotANumber) if raw == "null" => {}
            Err(NoPrice::Negative) => self.draft.negative.push(field.to_owned()),
            Err(why) => self.skip(field, why.as_str()),
        }
    }

    fn factor(&mut self, field: &str, raw: &str, when: When) {
        match number::decimal(raw).and_then(|text| Factor::parse(&text)) {
            Some(factor) if factor != Factor::ONE => self.draft.factors.push((when, factor)),
            Some(_) => {}
            None => self.skip(field, "is not a multiplier"),
        }
    }

    pub(super) fn entry<'f>(&mut self, entry: &'f Entry<'_>, theirs: &str, meanings: &mut Meanings<'f>) {
        let mode = &*entry.mode;
        // xAI's longer price begins at the threshold, not above it.
        let inclusive = u64::from(theirs == "xai");
        for (name, raw) in &entry.fields {
            match meanings.of(name, mode) {
                Meaning::NoPrice => self.limit(name, raw.get()),
                Meaning::Unknown => self.skip(name, "is a price that has no place in the catalog"),
                Meaning::Known => self.structure(name, raw),
                Meaning::Rate(field) => {
                    let when = field.only.when();
                    let over = field.above_k.map(|k| k.saturating_mul(1000).saturating_sub(inclusive));
                    if let Some(bucket) = sold_as(entry, name, field.bucket) {
                        self.put(name, raw.get(), when.as_ref(), over, bucket, field.unit);
                    }
                }
            }
        }
        self.draft.mode = mode_of(mode);
    }

    fn limit(&mut self, name: &str, raw: &str) {
        let slot = match name {
            "max_input_tokens" => &mut self.draft.max_input,
            "max_output_tokens" => &mut self.draft.max_output,
            "max_tokens" => &mut self.draft.either,
            "deprecation_date" => {
                let quoted = serde_json::from_str::<Date>(raw).ok();
                self.draft.deprecated = quoted;
                if quoted.is_none() && raw != "null" {
                    self.skip(name, "is not a date");
                }
                return;
            }
            _ => return,
        };
        *slot = number::whole(raw).filter(|limit| *limit > 0);
        // Embeddings say 0 output tokens.
        if slot.is_none() && raw != "null" && number::whole(raw) != Some(0) {
            self.skip(name, "is not a whole number");
        }
    }

    fn structure(&mut self, name: &str, raw: &RawValue) {
        let zone = |geo: &str| When { geo: Some(geo.to_owned()), ..When::default() };
        match name {
            "search_context_cost_per_query" => self.search(name, raw),
            "tiered_pricing" => self.lengths(name, raw),
            "off_peak_pricing" => self.off_peak(name, raw),
            "regional_processing_uplift_multiplier_eu" => self.factor(name, raw.get(), zone("eu")),
            "regional_processing_uplift_multiplier_us" => self.factor(name, raw.get(), zone("us")),
            "regional_endpoint_uplift_multiplier" => self.factor(name, raw.get(), zone("!global")),
            "provider_specific_entry" => {
                let Some(table) = table(raw) else { return self.skip(name, "is not an object") };
                for (key, value) in table {
                    match &*key {
                        "fast" => {
                            let when = When { speed: Some("fast".to_owned()), ..When::default() };
                            self.factor(name, value.get(), when);
                        }
                        geo if geo.len() == 2 => self.factor(name, value.get(), zone(geo)),
                        // Texts and objects there say how requests are made.
                        other if value.get().starts_with(|c: char| c.is_ascii_digit()) => {
                            self.skip(
                                &format!("{name}.{other}"),
                                "is a price that has no place in the catalog",
                            );
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// One price for all, or one per size of the search context: medium is what is asked without saying.
    fn search(&mut self, name: &str, raw: &RawValue) {
        let Some(table) = table(raw) else { return self.skip(name, "is not an object") };
        let of =
            |size: &str| table.iter().find(|(key, _)| key.strip_prefix("search_context_size_") == Some(size));
        let unit = Unit::ten_to(3);
        let medium = of("medium").or_else(|| of("low")).or_else(|| of("high"));
        let Some((_, base)) = medium else { return self.skip(name, "names no size") };
        self.put(name, base.get(), None, None, Bucket::WebSearch, unit);
        for size in ["low", "high"] {
            if let Some((_, price)) = of(size).filter(|(_, price)| price.get() != base.get()) {
                let when = When { search_context: Some(size.to_owned()), ..When::default() };
                self.put(name, price.get(), Some(&when), None, Bucket::WebSearch, unit);
            }
        }
    }

    /// `[{range: [0, 32000], …}, {range: [32000, 128000], …}]`: the first is the price, the others lengths.
    fn lengths(&mut self, name: &str, raw: &RawValue) {
        let Ok(tiers) = serde_json::from_str::<Vec<Fields<'_>>>(raw.get()) else {
            return self.skip(name, "is not a list of objects");
        };
        let mut starts = Vec::with_capacity(tiers.len());
        for Fields(tier) in &tiers {
            let range = tier.iter().find(|(key, _)| key == "range").map(|(_, range)| range.get());
            let range = range.and_then(|range| serde_json::from_str::<Vec<&RawValue>>(range).ok());
            let start = range.and_then(|range| number::whole(range.first()?.get()));
            let Some(start) = start else { return self.skip(name, "has a tier without a range") };
            starts.push(start);
        }
        if starts.first() != Some(&0) || !starts.windows(2).all(|pair| pair.first() < pair.get(1)) {
            return self.draft.negative.push(format!("{name}: tiers are not ascending"));
        }
        for (start, Fields(tier)) in starts.iter().zip(&tiers) {
            let over = Some(*start).filter(|start| *start > 0);
            for (field, raw) in tier.iter().filter(|(key, _)| key != "range") {
                match meaning(field, "chat") {
                    Meaning::Rate(found) if found.only == Only::Always && found.above_k.is_none() => {
                        self.put(field, raw.get(), None, over, found.bucket, found.unit);
                    }
                    Meaning::Known | Meaning::NoPrice => {}
                    _ => {
                        self.skip(&format!("{name}.{field}"), "is a price that has no place in a length tier")
                    }
                }
            }
        }
        self.draft.base.own_fallbacks();
    }

    /// Other prices at certain hours; they replace those of every service tier.
    fn off_peak(&mut self, name: &str, raw: &RawValue) {
        let Some(entries) = table(raw) else { return self.skip(name, "is not an object") };
        let get = |key: &str| entries.iter().find(|(known, _)| known == key).map(|(_, raw)| raw.get());
        let zone = get("weekday_timezone").map(number::unquoted);
        let windows = match hours::windows(get("hours_utc"), get("windows"), zone) {
            Ok(windows) => windows,
            Err(why) => return self.skip(name, why),
        };
        for window in windows {
            for (field, raw) in &entries {
                if let Meaning::Rate(found) = meaning(field, "chat") {
                    self.put(field, raw.get(), Some(&window), None, found.bucket, found.unit);
                }
            }
        }
    }
}

impl Sheet {
    /// A tier of `tiered_pricing` stands alone: what it does not price costs its own input or output, not what the
    /// first tier takes for it.
    fn own_fallbacks(&mut self) {
        for rates in self.over.values_mut() {
            for (bucket, _) in &self.rates.0 {
                let fallback = match bucket {
                    Bucket::CacheRead | Bucket::CacheWrite | Bucket::CacheWrite1h => Bucket::Input,
                    Bucket::OutputReasoning => Bucket::Output,
                    _ => continue,
                };
                if rates.get(*bucket).is_none()
                    && let Some(rate) = rates.get(fallback)
                {
                    rates.set(*bucket, rate);
                }
            }
        }
    }
}

/// What a price is for, where the name of its field misleads. `None`: another field says it.
fn sold_as(entry: &Entry<'_>, name: &str, bucket: Bucket) -> Option<Bucket> {
    let is_listed = |field: &str| {
        let digits = |raw: &str| {
            raw.split(['e', 'E']).next().is_some_and(|text| text.contains(|c| matches!(c, '1'..='9')))
        };
        entry.fields.iter().any(|(known, raw)| **known == *field && digits(raw.get()))
    };
    Some(match (&*entry.mode, name) {
        // What a picture costs is the price of making it, where nothing else is listed.
        ("image_generation" | "image_edit", "input_cost_per_image")
            if !["output_cost_per_image", "output_cost_per_image_token", "output_cost_per_token"]
                .into_iter()
                .any(is_listed) =>
        {
            Bucket::OutputImageUnit
        }
        // A second that is written down is a second that was heard.
        ("audio_transcription", "output_cost_per_second") if is_listed(name) => Bucket::InputAudioMs,
        ("audio_transcription", "input_cost_per_second") if is_listed("output_cost_per_second") => {
            return None;
        }
        _ => bucket,
    })
}

fn mode_of(mode: &str) -> Option<Mode> {
    Some(match mode {
        "" => return None,
        "chat" => Mode::Chat,
        "responses" => Mode::Responses,
        "completion" => Mode::Completion,
        "embedding" => Mode::Embedding,
        "rerank" => Mode::Rerank,
        "image_generation" | "image_edit" => Mode::Image,
        "audio_transcription" | "audio_speech" => Mode::Audio,
        "video_generation" => Mode::Video,
        "ocr" => Mode::Ocr,
        "realtime" => Mode::Realtime,
        "moderation" => Mode::Moderation,
        "search" => Mode::Search,
        _ => Mode::Other,
    })
}
