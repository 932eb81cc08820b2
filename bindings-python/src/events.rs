//! What a listener's thread waits on.

use crate::errors;
use crate::json;
use pyo3::prelude::*;
use pyo3::types::PyAny;
use spendrail::guard;
use spendrail::guard::EventKind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// One listener's queue.
#[pyclass(frozen, module = "spendrail._native")]
pub(crate) struct Subscription {
    subscription: Mutex<guard::Subscription>,
    ended: AtomicBool,
}

impl Subscription {
    pub(crate) fn new(subscription: guard::Subscription) -> Self {
        Self { subscription: Mutex::new(subscription), ended: AtomicBool::new(false) }
    }
}

/// The kinds of these names.
pub(crate) fn kinds(py: Python<'_>, names: &[String]) -> PyResult<Vec<EventKind>> {
    let known = || EventKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    let one = |name: &String| {
        EventKind::parse(name)
            .ok_or_else(|| errors::argument(py, "event", &format!("is none of {}", known())))
    };
    names.iter().map(one).collect()
}

#[pymethods]
impl Subscription {
    /// The next event, or `None` after so many milliseconds. The GIL is released meanwhile.
    fn next<'py>(&self, py: Python<'py>, timeout_ms: u64) -> PyResult<Option<Bound<'py, PyAny>>> {
        let next = py.detach(|| {
            let queue = self.subscription.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            queue.next(Duration::from_millis(timeout_ms))
        });
        match next {
            Ok(Some(event)) => json::to_py(py, &spendrail::ffi::event(&event)).map(Some),
            Ok(None) => Ok(None),
            Err(()) => {
                self.ended.store(true, Ordering::Relaxed);
                Ok(None)
            }
        }
    }

    /// The guard is gone: no event will ever come.
    #[getter]
    fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}
