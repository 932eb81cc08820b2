//! Scopes of late: a call that names its labels makes a scope of its own, and the core recognises a scope that comes
//! again by its address. So equal labels in the same surroundings get the same one.

use spendrail::values::{Label, Scope};
use std::cell::RefCell;
use std::sync::Arc;

/// How many each thread keeps.
const KEPT: usize = 64;

/// The labels that are no tags, as a call names them, in the order of [`PLAIN`].
pub(crate) type Plain<'a> = [Option<&'a str>; 6];
/// Their names.
pub(crate) const PLAIN: [&str; 6] = ["tenant", "user", "feature", "agent", "run", "session"];

/// What was made of which labels, and where.
struct Made {
    around: Option<Arc<Scope>>,
    named: Scope,
    scope: Arc<Scope>,
}

impl Made {
    fn is_inside(&self, around: Option<&Arc<Scope>>) -> bool {
        match (&self.around, around) {
            (Some(known), Some(around)) => Arc::ptr_eq(known, around),
            (known, around) => known.is_none() && around.is_none(),
        }
    }
}

thread_local! {
    static RECENT: RefCell<[Option<Made>; KEPT]> = const { RefCell::new([const { None }; KEPT]) };
}

/// The scope that was made of these labels here, if it is among the recent ones. Nothing is made for the question.
pub(crate) fn recalled(around: Option<&Arc<Scope>>, named: &Plain<'_>) -> Option<Arc<Scope>> {
    RECENT.with_borrow(|recent| {
        let made = recent.get(place(named, 0))?.as_ref()?;
        let is_it = made.is_inside(around) && made.named.tags.is_empty() && plain(&made.named) == *named;
        is_it.then(|| Arc::clone(&made.scope))
    })
}

/// The scope of these labels inside of `around`: that of equal ones, if it is among the recent ones.
pub(crate) fn shared(around: Option<&Arc<Scope>>, named: Scope) -> Arc<Scope> {
    RECENT.with_borrow_mut(|recent| {
        let slot = recent.get_mut(place(&plain(&named), named.tags.len()));
        if let Some(Some(made)) = &slot
            && made.is_inside(around)
            && made.named == named
        {
            return Arc::clone(&made.scope);
        }
        let scope = Arc::new(around.map_or_else(|| named.clone(), |around| named.inside(around)));
        if let Some(slot) = slot {
            *slot = Some(Made { around: around.cloned(), named, scope: Arc::clone(&scope) });
        }
        scope
    })
}

fn plain(scope: &Scope) -> Plain<'_> {
    let Scope { tenant, user, feature, agent, run, session, tags: _ } = scope;
    [tenant, user, feature, agent, run, session].map(|label| label.as_ref().map(|label: &Label| &**label))
}

/// Tells labels apart, well enough for a place: the comparison decides.
fn place(named: &Plain<'_>, tags: usize) -> usize {
    let hash = named.iter().fold(tags, |hash, label| {
        let bytes = label.unwrap_or("").as_bytes();
        let tail = bytes.iter().rev().take(4).fold(0usize, |tail, byte| tail << 8 | usize::from(*byte));
        (hash.rotate_left(5) ^ tail ^ bytes.len()).wrapping_mul(0x9E37_79B9)
    });
    (hash >> 16) % KEPT
}
