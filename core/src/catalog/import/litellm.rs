//! LiteLLM's `model_prices_and_context_window.json`: an object of entries, a price per token as a float, and the
//! conditions in the names of fields and entries.
//!
//! What it does not say is not made up: a tier without a price of its own costs what the standard tier costs, a cache
//! read without a price what input costs (rule 6 of the catalog).

use super::draft::{CONDITIONS_MAX, Sheet, both, multiplier, settle, variant};
use super::fields::{Meaning, Only, meaning};
use super::number::{self, NoPrice, Unit};
use super::report::FileReport;
use super::{Imported, hours, names};
use crate::catalog::Tier;
use crate::catalog::fields::{Date, Named};
use crate::catalog::rates::{Factor, RateSet};
use crate::catalog::schema::{self, Mode, Period, Variant, When};
use crate::values::Bucket;
use hashbrown::HashMap;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Entries that hold no price of a model.
const META: [&str; 2] = ["sample_spec", "fallback_generalizations"];

/// One entry: its fields about prices and limits, as text.
struct Entry<'a> {
    provider: Option<Cow<'a, str>>,
    mode: Cow<'a, str>,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// Reads the file. Entries that cannot be taken over are in the report.
pub(super) fn read(text: &str, report: &mut FileReport) -> serde_json::Result<Vec<Imported>> {
    let File(entries) = serde_json::from_str(text)?;
    let mut found = Found::default();
    for (key, entry) in &entries {
        if META.contains(&key.as_ref()) {
            continue;
        }
        match entry {
            Some(entry) => found.entry(key, entry, report),
            None => report.skipped.note(key, "", "is not an object"),
        }
    }
    Ok(found.finish(report))
}

struct File<'a>(Vec<(Cow<'a, str>, Option<Entry<'a>>)>);

impl<'de: 'a, 'a> Deserialize<'de> for File<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = File<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of models")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(4096);
                while let Some(Text(key)) = map.next_key()? {
                    let raw: &RawValue = map.next_value()?;
                    entries.push((key, serde_json::from_str(raw.get()).ok()));
                }
                Ok(File(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// A text that is borrowed from the file wherever that is possible.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Entry<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entry =
                    Entry { provider: None, mode: Cow::Borrowed(""), fields: Vec::with_capacity(12) };
                while let Some(Text(key)) = map.next_key()? {
                    match &*key {
                        "source" | "metadata" | "comment" | "supported_endpoints" => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        flag if flag.starts_with("supports_") => drop(map.next_value::<IgnoredAny>()?),
                        _ => {
                            let raw: &RawValue = map.next_value()?;
                            let text = || raw.get().strip_prefix('"')?.strip_suffix('"');
                            match &*key {
                                "litellm_provider" => entry.provider = text().map(Cow::Borrowed),
                                "mode" => entry.mode = Cow::Borrowed(text().unwrap_or_default()),
                                _ => entry.fields.push((key, raw)),
                            }
                        }
                    }
                }
                Ok(entry)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// What one entry says.
#[derive(Default)]
struct Draft {
    base: Sheet,
    variants: Vec<(When, Sheet)>,
    factors: Vec<(When, Factor)>,
    max_input: Option<u64>,
    max_output: Option<u64>,
    either: Option<u64>,
    deprecated: Option<Date>,
    mode: Option<Mode>,
    negative: Vec<String>,
}

impl Draft {
    fn sheet(&mut self, when: &When) -> &mut Sheet {
        if *when == When::default() {
            return &mut self.base;
        }
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
    fn has_room(&self, when: &When, over: Option<u64>) -> bool {
        if *when == When::default() {
            return self.base.has_room(over);
        }
        match self.variants.iter().find(|(known, _)| known == when) {
            Some((_, sheet)) => sheet.has_room(over),
            None => self.variants.len() < CONDITIONS_MAX,
        }
    }

    fn is_priced(&self) -> bool {
        !self.base.rates.is_empty()
    }
}

/// Where what is read goes, and where what cannot be read is said.
struct Reader<'r> {
    entry: &'r str,
    draft: Draft,
    report: &'r mut FileReport,
}

impl Reader<'_> {
    fn skip(&mut self, field: &str, why: &str) {
        self.report.skipped.note(self.entry, field, why);
    }

    fn put(&mut self, field: &str, raw: &str, when: &When, over: Option<u64>, bucket: Bucket, unit: Unit) {
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

    fn entry(&mut self, entry: &Entry<'_>, theirs: &str) {
        let mode = &*entry.mode;
        // xAI's longer price begins at the threshold, not above it.
        let inclusive = u64::from(theirs == "xai");
        for (name, raw) in &entry.fields {
            match meaning(name, mode) {
                Meaning::NoPrice => self.limit(name, raw.get()),
                Meaning::Unknown => self.skip(name, "is a price that has no place in the catalog"),
                Meaning::Known => self.structure(name, raw),
                Meaning::Rate(field) => {
                    let when = match field.only {
                        Only::Always => When::default(),
                        Only::Tier(tier) => When { tier: Some(tier), ..When::default() },
                        Only::Decisions => When { endpoint: Some("decisions".to_owned()), ..When::default() },
                        Only::Resolution(size) => {
                            When { resolution: Some(size.to_owned()), ..When::default() }
                        }
                    };
                    let over = field.above_k.map(|k| k.saturating_mul(1000).saturating_sub(inclusive));
                    self.put(name, raw.get(), &when, over, field.bucket, field.unit);
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
        self.put(name, base.get(), &When::default(), None, Bucket::WebSearch, unit);
        for size in ["low", "high"] {
            if let Some((_, price)) = of(size).filter(|(_, price)| price.get() != base.get()) {
                let when = When { search_context: Some(size.to_owned()), ..When::default() };
                self.put(name, price.get(), &when, None, Bucket::WebSearch, unit);
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
                        self.put(field, raw.get(), &When::default(), over, found.bucket, found.unit);
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
                    self.put(field, raw.get(), &window, None, found.bucket, found.unit);
                }
            }
        }
    }
}

struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(Text(key)) = map.next_key()? {
                    fields.push((key, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

fn table(raw: &RawValue) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    serde_json::from_str::<Fields<'_>>(raw.get()).ok().map(|Fields(fields)| fields)
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
                    rates.overlay(&RateSet(vec![(*bucket, rate)]));
                }
            }
        }
    }
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

/// An entry under our name.
struct Model {
    name: names::Name,
    key: String,
    rank: (usize, bool),
    draft: Draft,
}

/// All entries so far, by our names.
#[derive(Default)]
struct Found {
    models: Vec<Model>,
    /// By provider and lower-case model.
    index: HashMap<(String, String), usize, foldhash::fast::FixedState>,
}

impl Found {
    fn entry(&mut self, key: &str, entry: &Entry<'_>, report: &mut FileReport) {
        let Some(theirs) = entry.provider.as_deref() else {
            return report.skipped.note(key, "litellm_provider", "is missing");
        };
        let mut own = FileReport::default();
        let mut reader = Reader { entry: key, draft: Draft::default(), report: &mut own };
        reader.entry(entry, theirs);
        let draft = reader.draft;
        if !draft.is_priced() && draft.negative.is_empty() {
            let fields: Vec<&str> = own.skipped.first.iter().map(|note| &*note.field).collect();
            let why = match fields.as_slice() {
                [] => "has no price".to_owned(),
                fields => format!("has no price that the catalog can hold, only {}", fields.join(", ")),
            };
            return report.skipped.note(key, "", &why);
        }
        report.take_notes(own);
        let name = names::name(key, theirs);
        let place = (name.provider.clone(), name.model.to_lowercase());
        let own = Model { name, key: key.to_owned(), rank: names::rank(key, theirs), draft };
        let Some(known) = self.index.get(&place).and_then(|at| self.models.get_mut(*at)) else {
            self.index.insert(place, self.models.len());
            return self.models.push(own);
        };
        let other = if own.rank < known.rank { std::mem::replace(known, own) } else { own };
        if other.draft.base != known.draft.base || other.draft.variants != known.draft.variants {
            let why = format!("is `{}` once more, at another price", known.key);
            report.skipped.note(&other.key, "", &why);
        }
    }

    fn finish(mut self, report: &mut FileReport) -> Vec<Imported> {
        // Prices under a condition go to their model, if that has a price without.
        let mut scoped: HashMap<usize, Vec<(When, usize)>, foldhash::fast::FixedState> = HashMap::default();
        for (at, Model { name, .. }) in self.models.iter_mut().enumerate() {
            let Some((of, when)) = name.of.take() else { continue };
            if let Some(base) = self.index.get(&(name.provider.clone(), of.to_lowercase())) {
                scoped.entry(*base).or_default().push((when, at));
            }
        }
        let mut models = Vec::with_capacity(self.models.len());
        for (at, Model { name, key, draft, .. }) in self.models.iter().enumerate() {
            let others = scoped.get(&at).map(Vec::as_slice).unwrap_or_default();
            if others.len() > CONDITIONS_MAX {
                report.skipped.note(key, "", "has prices in more zones or sizes than are read");
            }
            let others = others.iter().take(CONDITIONS_MAX);
            let others = others.filter_map(|(when, at)| Some((when, &self.models.get(*at)?.draft)));
            let model = model(key, draft, others, report);
            models.push(Imported {
                provider: name.provider.clone(),
                entry: key.clone(),
                id: name.model.clone(),
                model,
                faults: draft.negative.clone(),
                ..Imported::default()
            });
        }
        models
    }
}

fn model<'d>(
    key: &str,
    draft: &Draft,
    scoped: impl Iterator<Item = (&'d When, &'d Draft)>,
    report: &mut FileReport,
) -> schema::Model {
    let mut variants: Vec<Variant> = Vec::new();
    let mut add = |when: When, mut sheet: Sheet| {
        if variants.len() >= CONDITIONS_MAX {
            return report.skipped.note(key, "", "has prices under more conditions than are read");
        }
        sheet.complete_over(&draft.base);
        variants.push(variant(when, sheet));
    };
    // Hours last: they win over tiers.
    let is_timed = |when: &When| !(when.utc.is_empty() && when.weekdays.is_empty());
    let (timed, others): (Vec<_>, Vec<_>) = draft.variants.iter().partition(|(when, _)| is_timed(when));
    for (when, sheet) in others.into_iter().chain(timed) {
        add(when.clone(), sheet.clone());
    }
    for (zone, other) in scoped {
        add(zone.clone(), other.base.clone());
        for (when, sheet) in &other.variants {
            add(both(when, zone), sheet.clone());
        }
    }
    for lost in settle(&mut variants) {
        let shown = serde_json::to_string(&lost).unwrap_or_default();
        report.skipped.note(key, "", &format!("has a price under {shown} that another price ties with"));
    }
    let extras: Vec<Bucket> =
        draft.base.rates.0.iter().map(|(key, _)| *key).filter(|key| !key.is_tokens()).collect();
    let factors = draft.factors.iter().filter(|(when, _)| !variants.iter().any(|v| v.when == *when));
    let multipliers: Vec<Variant> =
        factors.map(|(when, factor)| multiplier(when.clone(), *factor, extras.clone())).collect();
    variants.extend(multipliers);
    let (rates, over) = draft.base.clone().into_over();
    schema::Model {
        mode: draft.mode,
        max_input_tokens: draft.max_input,
        max_output_tokens: draft.max_output.or(draft.either),
        deprecated: draft.deprecated,
        prices: vec![Period { rates, over, variants, ..Period::default() }],
        minimum: Named::default(),
        ..schema::Model::default()
    }
}

/// The tier of a word in these files.
pub(super) fn tier(word: &str) -> Option<Tier> {
    match Tier::parse(word) {
        Tier::Auto | Tier::Standard => None,
        tier => Some(tier),
    }
}
