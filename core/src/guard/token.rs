//! A hold as text: everything that settling needs, so that another handle, a later day or another process can do it.

use super::Receipt;
use super::hold::Held;
use super::parcel::Kind;
use super::settle::{self, Settlement, digest};
use super::state::State;
use super::subject::Subject;
use crate::catalog::{ModelEntry, PriceContext, Tier};
use crate::codes::Code;
use crate::engine::{Estimate, HoldOutcome, HoldRequest, Plan, Quantities};
use crate::error::{Error, Result};
use crate::policy::Facts;
use crate::telemetry::{Flags, Operation};
use crate::values::{Dimension, Label, NanoUsd, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const HOLD: Kind = Kind { prefix: "sr1.", noun: "hold", source: "`detach`", bytes_max: 256 << 10 };

/// What travels.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    id: String,
    provider: Option<String>,
    model: String,
    tool: Option<String>,
    scope: Vec<(String, String)>,
    operation: u8,
    tier: Option<String>,
    started: i64,
    input_tokens: u64,
    output_tokens: u64,
    usd: i64,
    /// The resolved price entry.
    entry: Option<String>,
    /// Who invoices the call, where that is not the entry's provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seller: Option<String>,
}

/// Writes the token and gives the hold the longest deadline.
pub(super) fn detach(held: &Held) -> Result<String> {
    let key = held.key.ok_or_else(|| {
        Error::new(Code::HoldClosed, "nothing is on hold (mode `off`, or a full ledger in mode `observe`)")
    })?;
    let longest = held.rules.policy.ledger.max_call_duration;
    held.state.ledger.expose(key, held.state.now().saturating_add(longest));
    let token = Token {
        id: format!("{:032x}", key.id()),
        provider: held.subject.provider().map(ToString::to_string),
        model: held.subject.model.to_string(),
        tool: held.subject.tool.as_ref().map(ToString::to_string),
        scope: scope_pairs(&held.subject.scope),
        operation: match held.operation {
            Operation::Chat => 0,
            Operation::TextCompletion => 1,
            Operation::GenerateContent => 2,
            Operation::Embeddings => 3,
            Operation::Rerank => 4,
        },
        tier: held.context.as_ref().and_then(|c| c.tier.as_ref()).map(|tier| tier.as_str().to_owned()),
        started: held.started.nanos(),
        input_tokens: held.estimate.input_tokens,
        output_tokens: held.estimate.output_tokens,
        usd: held.estimate.quantities.usd,
        entry: held.subject.entry.as_ref().map(|entry| entry.to_json()),
        seller: held.subject.named.as_ref().map(ToString::to_string),
    };
    HOLD.pack(&token)
}

/// Settles the hold of a token. A hold that the ledger does not know (any more) is charged all the same, as `orphan`.
pub(super) fn settle(state: &Arc<State>, token: &str, settlement: Settlement<'_>) -> Result<Receipt> {
    let (held, id) = restore(state, token)?;
    let answer = settle::read(&held, settlement)?;
    if held.key.is_some() {
        return settle::settle(held, answer, None);
    }
    adopt_orphan(held, id).and_then(|held| settle::settle(held, answer, None))
}

/// Gives the hold of a token back.
pub(super) fn release(state: &Arc<State>, token: &str) -> Result<()> {
    let (held, _) = restore(state, token)?;
    match held.key {
        Some(_) => settle::release(held, None),
        None => Err(Error::new(Code::HoldClosed, "the ledger does not know this hold (any more)")),
    }
}

fn restore(state: &Arc<State>, token: &str) -> Result<(Box<Held>, u128)> {
    let token: Token = HOLD.unpack(token)?;
    let id = u128::from_str_radix(&token.id, 16).map_err(|_| HOLD.damaged("the id is not one"))?;
    let entry = token
        .entry
        .as_deref()
        .map(ModelEntry::from_json)
        .transpose()
        .map_err(|_| HOLD.damaged("bad price"))?;
    let mut scope = Scope::default();
    for (dimension, value) in &token.scope {
        let dimension = Dimension::parse(dimension).ok_or_else(|| HOLD.damaged("bad scope"))?;
        scope.set(&dimension, Some(value))?;
    }
    let started = Timestamp::from_nanos(token.started);
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let quantities = Quantities {
        usd: token.usd,
        input_tokens: count(token.input_tokens),
        output_tokens: count(token.output_tokens),
        requests: i64::from(token.tool.is_none()),
        tool_calls: i64::from(token.tool.is_some()),
        concurrent: 0,
    };
    let tier = token.tier.as_deref().map(Tier::parse);
    let rules = state.rules.load_full();
    let (named, tool) = (token.seller.or(token.provider).map(Label::from), token.tool.map(Label::from));
    let (scope, entry) = (Arc::new(scope), entry.map(Arc::new));
    let held = Held {
        state: Arc::clone(state),
        subject: Arc::new(Subject::new(&scope, named, token.model.into(), tool, entry, &rules.legend)),
        rules,
        run: None,
        key: state.ledger.exposed(id),
        context: tier
            .map(|tier| Box::new(PriceContext { tier: Some(tier), at: started, ..PriceContext::default() })),
        operation: match token.operation {
            1 => Operation::TextCompletion,
            2 => Operation::GenerateContent,
            3 => Operation::Embeddings,
            4 => Operation::Rerank,
            _ => Operation::Chat,
        },
        params: None,
        server: None,
        span: state.recorder.start_span(None, &state.ids),
        started,
        estimate: Estimate {
            input_tokens: token.input_tokens,
            output_tokens: token.output_tokens,
            quantities,
        },
        flags: Flags::NONE,
        would_deny: None,
        stream: None,
        lost_attempts: 0,
    };
    Ok((Box::new(held), id))
}

/// Makes the hold again, by force, on the accounts that the call would have today.
fn adopt_orphan(mut held: Box<Held>, id: u128) -> Result<Box<Held>> {
    let rules = Arc::clone(&held.rules);
    let now = held.state.now();
    let facts = Facts {
        scope: &held.subject.scope,
        provider: held.subject.entry.as_ref().map(|entry| &**entry.provider()),
        model: held.subject.entry.as_ref().map(|entry| &**entry.model()),
        tool: held.subject.tool.as_deref(),
    };
    let mut plan = Plan::empty();
    plan.add_budgets(&facts, &rules, now)?;
    let name: Label = format!("orphan-{id:032x}").into();
    let request = HoldRequest {
        id,
        name: Some(&name),
        content: digest(&held.estimate.quantities),
        accounts: plan.accounts(),
        amounts: &held.estimate.quantities,
        deadline: now.saturating_add(rules.policy.ledger.max_call_duration),
        generation: rules.generation,
        pinned: None,
        force: true,
    };
    held.key = match held.state.ledger.hold(now, &request)? {
        HoldOutcome::Held(key, _) | HoldOutcome::Repeated(key, _) => Some(key),
        HoldOutcome::Denied(_) | HoldOutcome::TooManyAccounts => {
            return Err(Error::new(Code::TooManyAccounts, "no room to book a hold that the ledger had lost"));
        }
    };
    held.flags = held.flags.with(Flags::ORPHAN);
    Ok(held)
}

pub(super) fn scope_pairs(scope: &Scope) -> Vec<(String, String)> {
    let plain = [
        Dimension::Tenant,
        Dimension::User,
        Dimension::Feature,
        Dimension::Agent,
        Dimension::Run,
        Dimension::Session,
    ];
    let labels = plain
        .into_iter()
        .filter_map(|dimension| Some((dimension.to_string(), scope.get(&dimension)?.to_string())));
    let tags = scope.tags.iter().map(|(key, value)| (format!("tag.{key}"), value.to_string()));
    labels.chain(tags).collect()
}

/// What a token reserved, for people who debug.
pub(super) fn reserved(text: &str) -> Result<NanoUsd> {
    HOLD.unpack(text).map(|token: Token| NanoUsd(token.usd))
}
