//! Stops that are set in code: by an operator, or by Spendrail itself when it has lost its bearings.

use super::events::Event;
use super::state::State;
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::policy::{Matcher, StopRule};
use crate::rules::{Rules, Unpriced};
use crate::values::{Label, Scope};
use std::sync::Arc;

/// Most stops at one time.
const STOPS_MAX: usize = 10_000;
const REASON_BYTES_MAX: usize = 1_000;
const UNPRICED_MAX: usize = 256;

/// Nothing more is admitted for these labels.
pub(super) fn stop(state: &State, reason: &str, scope: &Scope) -> Result<Label> {
    let matches = Matcher::exactly(scope);
    if matches.is_everything() {
        return Err(Error::new(Code::ArgumentInvalid, "a stop without labels would stop everything")
            .field("scope")
            .hint("name a tenant, user, feature, agent, run, session or tag"));
    }
    if reason.len() > REASON_BYTES_MAX {
        let message = format!("has {} bytes, at most {REASON_BYTES_MAX} are allowed", reason.len());
        return Err(Error::new(Code::ArgumentInvalid, message).field("reason"));
    }
    let id: Label = state.ids.next().to_string().into();
    let reason: Label = reason.into();
    let rule = StopRule { id: Arc::clone(&id), matches, reason: Arc::clone(&reason) };
    change(state, |rules| {
        if rules.stops.len() >= STOPS_MAX {
            return Err(Error::new(Code::ArgumentInvalid, format!("there are {STOPS_MAX} stops already")));
        }
        rules.stops = rules.stops.iter().cloned().chain([rule]).collect();
        Ok(())
    })?;
    state.events.send(&Event::Stopped(Arc::clone(&id), reason, true));
    Ok(id)
}

/// Lifts a stop that was set in code.
pub(super) fn resume(state: &State, id: &str) -> Result<()> {
    let mut reason = Label::from("");
    change(state, |rules| {
        let Some(stop) = rules.stops.iter().find(|stop| &*stop.id == id) else {
            let shown: String = id.chars().take(80).collect();
            return Err(Error::new(Code::StopUnknown, format!("there is no stop {shown:?}")).field("stop_id"));
        };
        if id.starts_with("file-") {
            return Err(Error::new(Code::StopUnknown, format!("{id:?} is a stop of the configuration file"))
                .field("stop_id")
                .hint("take it out of [[stops]]"));
        }
        reason = Arc::clone(&stop.reason);
        rules.stops = rules.stops.iter().filter(|stop| &*stop.id != id).cloned().collect();
        Ok(())
    })?;
    state.events.send(&Event::Stopped(id.into(), reason, false));
    Ok(())
}

/// A settle was larger than one operation may carry: nobody knows what this scope does. Its tenant is stopped, or
/// what else is known of it.
pub(super) fn stop_after_cap(state: &State, scope: &Scope) {
    let tenant = Scope { tenant: scope.tenant.clone(), ..Scope::default() };
    let target = if tenant.tenant.is_some() { &tenant } else { scope };
    // A call without any label has nothing to stop by.
    let _ = stop(state, "one call was settled at more than 2^52 nano-USD", target);
}

/// Something was billed without a price: until prices change, the model is denied.
pub(super) fn deny_unpriced(state: &State, unpriced: Unpriced) {
    let _ = change(state, |rules| {
        if !rules.unpriced.contains(&unpriced) && rules.unpriced.len() < UNPRICED_MAX {
            rules.unpriced = rules.unpriced.iter().cloned().chain([unpriced]).collect();
        }
        Ok(())
    });
}

fn change(state: &State, make: impl FnOnce(&mut Rules) -> Result<()>) -> Result<()> {
    let changing = state.changing.lock();
    let mut made = Ok(());
    let next = state.rules.load().with(|rules| made = make(rules));
    made?;
    state.swap_rules(Arc::new(next));
    drop(changing);
    Ok(())
}
