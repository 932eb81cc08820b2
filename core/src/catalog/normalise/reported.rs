//! What a provider says it charges: xAI's ticks, OpenRouter's and Perplexity's cost. Exact: the number's own digits.

use super::number::money;
use super::reply::object;
use crate::values::AttoUsd;
use serde_json::{Map, Value};

/// The charge that a usage object states.
pub(super) fn cost(usage: &Map<String, Value>) -> Option<AttoUsd> {
    if let Some(ticks) = money(usage.get("cost_in_usd_ticks"), 10) {
        return Some(ticks);
    }
    match usage.get("cost")? {
        Value::Object(cost) => money(cost.get("total_cost"), 0),
        cost => open_router(money(Some(cost), 0)?, usage),
    }
}

/// OpenRouter's charge. With the caller's own key (BYOK) it leaves out what the upstream provider charges, which then
/// comes on top; else the upstream's charge is a part of it.
fn open_router(cost: AttoUsd, usage: &Map<String, Value>) -> Option<AttoUsd> {
    let upstream = object(usage, "cost_details").and_then(|d| money(d.get("upstream_inference_cost"), 0));
    let own_key = match usage.get("is_byok") {
        Some(Value::Bool(own_key)) => *own_key,
        // It is not said, but nothing was charged for something that had a charge.
        _ => cost == AttoUsd::ZERO && upstream.is_some_and(|upstream| upstream > AttoUsd::ZERO),
    };
    // Without the upstream's charge the whole is not known.
    if own_key { cost.checked_add(upstream?) } else { Some(cost) }
}
