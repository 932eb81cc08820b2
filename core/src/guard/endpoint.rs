//! What a client may send without a reserve.

use super::admit::{self, Outcome};
use super::{Guard, ReserveError};
use crate::codes::Code;
use crate::engine::{Call, Denial, Refusal};
use crate::error::Result;
use crate::policy::Mode;
use crate::requests::{self, Api, Endpoint};
use crate::values::Label;
use std::sync::Arc;

/// What becomes of a request that a wrapped client is about to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It is billed and understood: reserve it.
    Guarded(Api),
    /// It is not billed.
    Free,
    /// It may be billed and is not understood; the policy lets it pass (`[endpoints] allow`, or a mode that does not
    /// enforce).
    Unguarded,
}

impl Guard {
    /// The catalog's id of a provider, by any of its names or by the host that it serves from.
    ///
    /// # Errors
    /// `ledger_not_shared`.
    pub fn provider_named(&self, name: &str) -> Result<Option<Label>> {
        Ok(self.state()?.rules.load().catalog.provider(name))
    }

    /// Looks up the endpoint of a request by the call's provider, method and path. One that may cost money and that
    /// is not understood is denied, and reported as every denial is.
    ///
    /// # Errors
    /// [`ReserveError::Denied`] with `unguarded_endpoint`; [`ReserveError::Failed`].
    pub fn passage(
        &self,
        call: &Call,
        method: &str,
        path: &str,
    ) -> std::result::Result<Passage, ReserveError> {
        let provider = call.provider.as_deref().unwrap_or_default();
        match requests::endpoint(provider, method, path) {
            Endpoint::Guarded(api) => return Ok(Passage::Guarded(api)),
            Endpoint::Free => return Ok(Passage::Free),
            Endpoint::Unguarded => {}
        }
        let state = self.state().map_err(ReserveError::Failed)?;
        let rules = state.rules.load();
        let allowed = self.allows_endpoint(path).map_err(ReserveError::Failed)?;
        if allowed || state.mode(&rules) != Mode::Enforce {
            return Ok(Passage::Unguarded);
        }
        call.valid().map_err(ReserveError::Failed)?;
        let shown: String = path.split('?').next().unwrap_or_default().chars().take(120).collect();
        let detail = "list it under `[endpoints] allow` to let it pass unguarded";
        let denial = Denial::refused(Refusal::new(Code::UnguardedEndpoint, &shown, detail), state.now());
        let span = state.recorder.start_span(call.parent.as_ref(), &state.ids);
        match admit::deny(state, call, &Arc::clone(&call.scope), span, denial) {
            Outcome::Denied(denial) => Err(ReserveError::Denied(denial)),
            Outcome::Held(_) | Outcome::Pending(_) => Ok(Passage::Unguarded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_of_providers() {
        let guard = Guard::builder().config_text("t", "").build().unwrap();
        let told = |name: &str| guard.provider_named(name).unwrap().map(|id| id.to_string());
        assert_eq!(told("api.groq.com").as_deref(), Some("groq"));
        assert_eq!(told("bedrock").as_deref(), Some("aws"));
        assert_eq!(told("llm.example.com"), None);
    }

    #[test]
    fn what_may_cost_is_denied_unless_it_is_listed_or_nothing_is_enforced() {
        let guard = |text: &str| Guard::builder().config_text("t", text).build().unwrap();
        let call = Call::new("openai", "-");
        let images = |text: &str| guard(text).passage(&call, "POST", "/v1/images/generations?x=1");
        let Err(ReserveError::Denied(denial)) = images("") else { panic!("denied") };
        assert_eq!(denial.code, Code::UnguardedEndpoint);
        assert!(denial.to_string().contains("`/v1/images/generations`"), "{denial}");
        assert_eq!(images("[endpoints]\nallow = [\"/v1/images/*\"]").unwrap(), Passage::Unguarded);
        assert_eq!(images("mode = \"observe\"").unwrap(), Passage::Unguarded);
        assert_eq!(guard("").passage(&call, "GET", "/models").unwrap(), Passage::Free);
        let chat = guard("").passage(&call, "POST", "/chat/completions").unwrap();
        assert_eq!(chat, Passage::Guarded(Api::OpenAiChat));
    }
}
