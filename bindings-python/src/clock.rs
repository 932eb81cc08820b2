//! A clock for tests.

use crate::errors;
use crate::json;
use pyo3::prelude::*;
use spendrail::clock;
use spendrail::values::Timestamp;

/// A clock that only moves when told to.
#[pyclass(frozen, module = "spendrail._native")]
pub(crate) struct ManualClock {
    pub(crate) clock: clock::ManualClock,
}

#[pymethods]
impl ManualClock {
    #[new]
    #[pyo3(signature = (now=None))]
    fn new(py: Python<'_>, now: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        let now = json::optional(now.as_ref(), "now")?.unwrap_or_else(|| "2026-01-01T00:00:00Z".to_owned());
        Ok(Self { clock: clock::ManualClock::new(time(py, &now)?) })
    }

    /// Where the clock stands, in RFC 3339.
    #[getter]
    fn now(&self) -> String {
        self.clock.now().to_string()
    }

    /// Puts the clock at `now`; it may go back.
    fn set(&self, now: &Bound<'_, PyAny>) -> PyResult<()> {
        self.clock.set(time(now.py(), &json::text(now, "now")?)?);
        Ok(())
    }

    /// Moves the clock by so many milliseconds.
    fn advance(&self, millis: i64) {
        self.clock.advance(millis);
    }

    fn __repr__(&self) -> String {
        format!("ManualClock({:?})", self.now())
    }
}

fn time(py: Python<'_>, text: &str) -> PyResult<Timestamp> {
    Timestamp::parse(text).map_err(|error| errors::fault(py, &error.field("now")))
}
