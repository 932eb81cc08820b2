//! Two seconds of every target, always the same inputs in the same order.

use spendrail_fuzz::{run, targets};
use std::time::Duration;

#[test]
fn nothing_panics() {
    for target in &targets::ALL {
        let told = run(target, 20_261_120, Duration::from_secs(2));
        assert!(
            told.fault.is_none(),
            "{}: {:?}",
            target.name,
            told.fault.map(|(input, said)| (String::from_utf8_lossy(&input).into_owned(), said))
        );
        assert!(told.inputs > 20 && told.accepted > 5, "{}: {told:?}", target.name);
    }
}
