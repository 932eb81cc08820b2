//! Groq: OpenAI's shape; streams tell usage in `x_groq`, compound systems tell it model by model.

use super::reply::object;
use serde_json::{Map, Value};

/// The usage that the last chunk of a stream carries. A plain reply has cache statistics there, which are no usage.
pub(super) fn usage(map: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let usage = object(object(map, "x_groq")?, "usage")?;
    ["prompt_tokens", "completion_tokens"].iter().any(|name| usage.contains_key(*name)).then_some(usage)
}

/// Usage by model, of a compound system: its sum is the usage of the reply, each at its own price.
pub(super) fn breakdown(map: &Map<String, Value>) -> Option<&[Value]> {
    let breakdown = map.get("usage_breakdown").or_else(|| object(map, "x_groq")?.get("usage_breakdown"))?;
    let models = breakdown.get("models").unwrap_or(breakdown).as_array()?;
    (!models.is_empty()).then_some(models.as_slice())
}
