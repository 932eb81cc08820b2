//! Made images: tokens by kind where the usage tells them, else images one by one. Also the image model behind the
//! tool of Responses.

use super::figures::Figures;
use super::openai;
use super::reply::{Notes, Part, Reply, Rule, label, list, object};
use super::reported;
use super::tokens::{Convention, Media, Place, Tokens, disjoint};
use crate::values::{Bucket, Usage};
use serde_json::{Map, Value};

/// A whole reply, or the last event of a stream.
pub(super) fn reply(provider: Option<&str>, map: &Map<String, Value>) -> Reply {
    let mut notes = Notes::default();
    let mut reply = Reply {
        model: label(map.get("model")),
        size: label(map.get("size")).filter(|size| &**size != "auto"),
        quality: label(map.get("quality")).filter(|quality| &**quality != "auto"),
        ..Reply::default()
    };
    let told = object(map, "usage");
    reply.reported_cost = told.and_then(reported::cost);
    let by_token =
        told.filter(|usage| usage.contains_key("input_tokens") || usage.contains_key("output_tokens"));
    reply.usage = match by_token {
        Some(usage) => tokens(usage, &mut notes),
        None => {
            let images = list(map, "data").len().max(list(map, "images").len());
            let units = u64::try_from(images).unwrap_or(u64::MAX);
            (units > 0).then(|| Usage::new().with(Bucket::OutputImageUnit, units))
        }
    };
    if let Some(svg) = object(map, "svg_usage") {
        // Another model draws vectors, and is billed apart.
        match (label(svg.get("model")), openai::usage(provider, svg, false, &mut notes)) {
            (Some(model), Some(usage)) => reply.parts.push(Part { model, usage }),
            _ => notes.unreadable(Rule::Unreadable, || "svg_usage has no model or no tokens".to_owned()),
        }
    }
    if let Some(usage) = reply.usage.take() {
        reply.usage = notes.trust(usage);
    }
    reply.anomalies = notes.anomalies;
    reply
}

/// What the image model behind a tool of Responses used.
pub(super) fn of_tool(map: &Map<String, Value>, notes: &mut Notes) -> Option<Part> {
    let usage = tokens(object(object(map, "tool_usage")?, "image_gen")?, notes)?;
    let is_tool = |tool: &&Value| tool.get("type").and_then(Value::as_str) == Some("image_generation");
    let tool = list(map, "tools").iter().find(is_tool);
    // Without its name the image model has no price, which is said rather than guessed.
    let model = tool.and_then(|tool| label(tool.get("model"))).unwrap_or_else(|| "image_generation".into());
    (!usage.is_empty()).then_some(Part { model, usage })
}

fn tokens(map: &Map<String, Value>, notes: &mut Notes) -> Option<Usage> {
    let mut figures = Figures::new(Some(map), notes);
    let (input, output) = (figures.get(&["input_tokens"]), figures.get(&["output_tokens"]));
    let mut cached = figures.any(&["cached_tokens"]);
    let mut inside = |object: &str, key: &str| figures.inside(&[object]).any(&[key]);
    cached = cached.or_else(|| inside("input_tokens_details", "cached_tokens"));
    let input_image = inside("input_tokens_details", "image_tokens").unwrap_or(0);
    let cached_image = inside("cached_tokens_details", "cached_image_tokens").unwrap_or(0);
    // Without details the output of an image model is image.
    let output_image = inside("output_tokens_details", "image_tokens").unwrap_or(output);
    let of = |image| Media { image, ..Media::default() };
    let tokens = Tokens {
        input,
        output,
        cached: cached.unwrap_or(0),
        input_media: of(input_image),
        cached_media: of(cached_image),
        output_media: of(output_image),
        ..Tokens::default()
    };
    let convention = Convention { cache: Place::Inside, reasoning: Place::Inside, total_decides: false };
    let usage = disjoint(&tokens, convention, notes);
    notes.trust(usage)
}
