//! The worst case of a call, before it is made.

use super::command::{Call, CallKind};
use super::denial::Refusal;
use super::quantities::Quantities;
use crate::catalog::{ModelEntry, PriceContext};
use crate::codes::Code;
use crate::requests::{InputSize, OtherModel};
use crate::telemetry::Operation;
use crate::values::money::OPERATION_MAX;
use crate::values::{AttoUsd, NanoUsd, Timestamp, Usage};
use std::sync::Arc;

/// What a call may take at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// All input tokens.
    pub input_tokens: u64,
    /// All output tokens, of all choices.
    pub output_tokens: u64,
    /// The same as the ledger counts it.
    pub quantities: Quantities,
}

/// The worst case: input as stated or counted, else the context size; output as stated, else the model's maximum; at
/// the dearest reachable rates (design, decision 4).
///
/// # Errors
/// The reason why there is no bound: `unbounded_input`, `unbounded_output`, `unpriced_bucket`, or `amount_too_large`
/// as the code of a refusal.
#[inline]
pub fn estimate(
    call: &Call,
    entry: Option<&ModelEntry>,
    others: &[(Arc<ModelEntry>, OtherModel)],
    now: Timestamp,
) -> Result<Estimate, Refusal> {
    if let CallKind::Tool { cost, .. } = call.kind {
        let quantities = Quantities { usd: cost, tool_calls: 1, ..Quantities::default() };
        return Ok(Estimate { quantities, ..Estimate::default() });
    }
    let input_tokens = match call.input {
        Some(InputSize::Bound(tokens)) => tokens,
        Some(InputSize::Context) | None => entry.and_then(ModelEntry::max_input_tokens).ok_or_else(|| {
            Refusal::new(
                Code::UnboundedInput,
                &call.model,
                "state input_tokens, or give the model a context size",
            )
        })?,
    };
    let one_choice = match (call.operation, call.max_output_tokens) {
        (Operation::Embeddings | Operation::Rerank, _) => 0,
        (_, Some(stated)) => stated,
        (_, None) => entry.and_then(ModelEntry::max_output_tokens).ok_or_else(|| {
            Refusal::new(
                Code::UnboundedOutput,
                &call.model,
                "state max_output_tokens, or give the model a maximum",
            )
        })?,
    };
    let output_tokens = one_choice.saturating_mul(call.choices);
    let mut quantities = estimate_of(call, entry, input_tokens, output_tokens, now)?;
    for (other, asked) in others {
        add_other(call, &mut quantities, other, asked, input_tokens, now)?;
    }
    Ok(Estimate { input_tokens, output_tokens, quantities })
}

/// A model that can be billed besides the one that was asked for (an advisor), or instead of it (a fallback).
fn add_other(
    call: &Call,
    sum: &mut Quantities,
    other: &ModelEntry,
    asked: &OtherModel,
    input_tokens: u64,
    now: Timestamp,
) -> Result<(), Refusal> {
    let most = asked.max_output_tokens.or(call.max_output_tokens).or(other.max_output_tokens());
    let output = most.ok_or_else(|| {
        Refusal::new(
            Code::UnboundedOutput,
            &asked.model,
            "state its maximum, or give the model one in the catalog",
        )
    })?;
    let once = estimate_of(call, Some(other), input_tokens, output, now)?;
    let uses = i64::try_from(asked.uses.max(1)).unwrap_or(i64::MAX);
    let merge = |sum: i64, one: i64| {
        let all = one.saturating_mul(uses);
        if asked.instead { sum.max(all) } else { sum.saturating_add(all) }
    };
    sum.usd = merge(sum.usd, once.usd);
    sum.input_tokens = merge(sum.input_tokens, once.input_tokens);
    sum.output_tokens = merge(sum.output_tokens, once.output_tokens);
    if sum.usd > OPERATION_MAX {
        return Err(Refusal::new(
            Code::AmountTooLarge,
            &call.model,
            "one call may cost at most 2^52 nano-USD",
        ));
    }
    Ok(())
}

/// What a call with so many tokens takes at most.
///
/// # Errors
/// As [`estimate`].
#[inline]
pub fn estimate_of(
    call: &Call,
    entry: Option<&ModelEntry>,
    input_tokens: u64,
    output_tokens: u64,
    now: Timestamp,
) -> Result<Quantities, Refusal> {
    let cost = worst_cost(call, entry, input_tokens, output_tokens, now)?;
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Ok(Quantities {
        usd: cost.0,
        input_tokens: count(input_tokens),
        output_tokens: count(output_tokens),
        requests: 1,
        tool_calls: 0,
        concurrent: 1,
    })
}

#[inline]
fn worst_cost(
    call: &Call,
    entry: Option<&ModelEntry>,
    input_tokens: u64,
    output_tokens: u64,
    now: Timestamp,
) -> Result<NanoUsd, Refusal> {
    let Some(entry) = entry else { return Ok(NanoUsd(0)) };
    if let Some(writes_cache) = call.plain()
        && let Some(cost) = entry.plain_worst_case(input_tokens, output_tokens, writes_cache, now)
    {
        return bounded(call, cost);
    }
    let context = match &call.context {
        Some(context) => PriceContext { at: now, ..PriceContext::clone(context) },
        None => PriceContext { at: now, ..PriceContext::default() },
    };
    let none = Usage::new();
    let extra = call.server_tools.as_deref().unwrap_or(&none);
    let cost = entry
        .worst_case(input_tokens, output_tokens, extra, &context)
        .map_err(|unpriced| Refusal::new(Code::UnpricedBucket, &call.model, unpriced.bucket.key()))?;
    bounded(call, cost)
}

fn bounded(call: &Call, cost: AttoUsd) -> Result<NanoUsd, Refusal> {
    match cost.posted() {
        NanoUsd(nano) if nano <= OPERATION_MAX => Ok(NanoUsd(nano)),
        _ => Err(Refusal::new(Code::AmountTooLarge, &call.model, "one call may cost at most 2^52 nano-USD")),
    }
}
