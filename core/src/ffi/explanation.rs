//! An explanation as JSON.

use crate::catalog::Place;
use crate::guard::{ExplainedLine, ExplainedMultiplier, Explanation, Selection};
use serde_json::{Value, json};

/// An explanation; `text` is what people read.
#[must_use]
pub fn explanation(told: &Explanation) -> Value {
    json!({
        "asked_provider": told.asked_provider,
        "asked_model": told.asked_model,
        "asked_tier": told.asked_tier.map(|tier| tier.as_str()),
        "at": told.at.to_string(),
        "deployment": told.deployment,
        "provider": &*told.provider,
        "model": &*told.model,
        "found": told.found,
        "same_as": told.same_as.as_deref(),
        "places": told.places.iter().map(place).collect::<Vec<_>>(),
        "price_version": &*told.price_version,
        "total_input": told.total_input,
        "selection": told.selection.as_ref().map(selection),
        "lines": told.lines.iter().map(line).collect::<Vec<_>>(),
        "unpriced": told.cost.unpriced.iter().map(|bucket| bucket.key()).collect::<Vec<_>>(),
        "cost": told.cost.total.to_string(),
        "posted_nano_usd": told.cost.total.posted().0,
        "text": told.to_string(),
    })
}

fn place(place: &Place) -> Value {
    json!({ "layer": place.layer, "file": place.file, "line": place.line })
}

fn selection(selection: &Selection) -> Value {
    json!({
        "begins": selection.begins.map(|at| at.to_string()),
        "ends": selection.ends.map(|at| at.to_string()),
        "period_place": selection.period_place.as_ref().map(place),
        "source": selection.source.as_deref(),
        "note": selection.note.as_deref(),
        "tier": selection.tier.map_or("standard", |tier| tier.as_str()),
        "variant": selection.variant,
        "variant_place": selection.variant_place.as_ref().map(place),
        "input_gt": selection.input_gt,
    })
}

fn line(told: &ExplainedLine) -> Value {
    let line = &told.line;
    json!({
        "bucket": line.item.key(),
        "quantity": line.quantity,
        "used": told.used,
        "rate": line.shown_rate(),
        "per": i64::try_from(line.item.per()).unwrap_or(i64::MAX),
        "factor": line.factor.to_string(),
        "amount": line.amount.to_string(),
        "chain": told.chain,
        "rate_from": told.rate_from,
        "place": told.place.as_ref().map(place),
        "multipliers": told.multipliers.iter().map(multiplier).collect::<Vec<_>>(),
    })
}

fn multiplier(one: &ExplainedMultiplier) -> Value {
    json!({
        "factor": one.factor.to_string(),
        "by": one.by,
        "when": one.when,
        "place": one.place.as_ref().map(place),
    })
}
