//! What was seen once and a person should know: told by [`Guard::warnings`](super::Guard::warnings), each once.

use super::receipt::Facts;
use crate::catalog::Item;
use crate::rules::UnpricedWhat;
use crate::values::Label;
use parking_lot::Mutex;

/// Most things that are remembered; more say nothing new.
const NOTED_MAX: usize = 256;

/// The list of one guard.
#[derive(Debug, Default)]
pub(super) struct Noted {
    seen: Mutex<Vec<(Label, Label, UnpricedWhat)>>,
}

impl Noted {
    /// Something was posted as zero because the configuration says so.
    #[cold]
    pub(super) fn zero(&self, receipt: &Facts, what: &UnpricedWhat) {
        let provider = receipt.provider().cloned().unwrap_or_else(|| Label::from("-"));
        let mut seen = self.seen.lock();
        let known = |(of, model, other): &(Label, Label, UnpricedWhat)| {
            *of == provider && **model == *receipt.model() && other == what
        };
        if seen.len() < NOTED_MAX && !seen.iter().any(known) {
            seen.push((provider, receipt.model().into(), what.clone()));
        }
    }

    /// The sentences.
    pub(super) fn sentences(&self) -> Vec<String> {
        let told = |(provider, model, what): &(Label, Label, UnpricedWhat)| match what {
            UnpricedWhat::Bucket(bucket) => {
                let key = Item::Bucket(*bucket).key();
                format!(
                    "unpriced_bucket: `{model}` of `{provider}` has no rate for `{key}`, which was posted as 0"
                )
            }
            UnpricedWhat::ServedBy(served) if served == model => {
                format!(
                    "unknown_model: no price is known for `{model}` of `{provider}`, which was posted as 0"
                )
            }
            UnpricedWhat::ServedBy(served) => format!(
                "unknown_model: `{model}` of `{provider}` was served by `{served}`, for which no price is known"
            ),
        };
        self.seen.lock().iter().map(told).collect()
    }
}
