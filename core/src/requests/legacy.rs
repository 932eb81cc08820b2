//! OpenAI's text completions and embeddings: prompts are texts or lists of token ids.

use super::Request;
use super::chat::{include_usage, sampling, service_tier};
use super::fields::{Body, any, choices, label, limit};
use super::size::Size;
use crate::error::Result;
use crate::values::Bucket;
use serde_json::Value;

/// Each prompt has its own choices; `best_of` are generated and billed even if only `n` are returned.
pub(super) fn completions(map: &Body, request: &mut Request) -> Result<()> {
    let mut size = Size::default();
    let prompts = inputs(any(map, &["prompt"]), &mut size)?;
    size.text_of(any(map, &["suffix"]))?;
    let each = choices(map, &["n"])?.max(choices(map, &["best_of"])?);
    request.choices = each.saturating_mul(prompts.max(1));
    request.max_output_tokens = limit(map, &["max_tokens"])?;
    request.include_usage = include_usage(map);
    request.input_tokens = size.input();
    sampling(map, request);
    service_tier(map, request);
    Ok(())
}

pub(super) fn embeddings(map: &Body, request: &mut Request) -> Result<()> {
    let mut size = Size::default();
    inputs(any(map, &["input"]), &mut size)?;
    request.max_output_tokens = Some(0);
    request.input_tokens = size.input();
    request.media.extend(size.media.iter().copied());
    request.params.encoding_format = label(map, &["encoding_format"]);
    request.params.dimensions = limit(map, &["dimensions"])?;
    Ok(())
}

/// How many inputs there are: a text, a list of texts, a list of token ids, or a list of lists of token ids.
fn inputs(value: Option<&Value>, size: &mut Size) -> Result<u64> {
    let Some(Value::Array(items)) = value else {
        size.frame();
        size.text_of(value)?;
        return Ok(1);
    };
    if items.first().is_some_and(Value::is_number) {
        size.frame();
        size.tokens(count(items));
        return Ok(1);
    }
    for item in items {
        size.frame();
        match item {
            Value::Array(ids) if ids.iter().all(Value::is_number) => size.tokens(count(ids)),
            Value::String(text) => size.text(text),
            // Multimodal embeddings of other servers.
            other => {
                size.media(Bucket::InputImage);
                size.json(other)?;
            }
        }
    }
    Ok(count(items))
}

fn count(items: &[Value]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}
