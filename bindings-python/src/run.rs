//! An agent run in Python's hands; `spendrail.scope.Run` is around it.

use crate::errors;
use crate::json;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};
use serde_json::Value;
use spendrail::ffi;
use spendrail::guard;

/// The native half of a run.
#[pyclass(frozen, module = "spendrail._native")]
pub(crate) struct Run {
    pub(crate) run: guard::Run,
}

#[pymethods]
impl Run {
    /// The run's id.
    #[getter]
    fn id(&self) -> &str {
        self.run.id()
    }

    /// The run's labels.
    #[getter]
    fn scope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_py(py, &ffi::scope_json(self.run.scope()))
    }

    /// What the run and its child runs have spent, in nano-USD.
    #[getter]
    fn spent(&self) -> i64 {
        self.run.spent().0
    }

    /// What the run may still spend, in nano-USD; `None` without a limit on cost.
    #[getter]
    fn remaining(&self) -> Option<i64> {
        self.run.remaining().map(|left| left.0)
    }

    /// Trace id, span id and the sampler's answer of the run's span; zeros without telemetry.
    #[getter]
    fn span(&self) -> (u128, u64, bool) {
        let span = self.run.span();
        (span.trace_id, span.span_id, span.sampled)
    }

    /// The accounts of the run's own limits.
    fn balances<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let balances: Vec<Value> = self.run.balances().iter().map(ffi::balance).collect();
        json::to_py(py, &Value::Array(balances))
    }

    /// A run of a sub-agent.
    fn child(&self, py: Python<'_>, options: &Bound<'_, PyAny>) -> PyResult<Self> {
        let options = json::from_py(options, json::Place::of("options"))?;
        let options = ffi::run_options(&options).map_err(|error| errors::fault(py, &error))?;
        let run = self.run.child(options).map_err(|error| errors::reserve(py, error))?;
        Ok(Self { run })
    }

    /// The run as text, for `resume_run` in another process.
    fn token(&self, py: Python<'_>) -> PyResult<String> {
        self.run.token().map_err(|error| errors::fault(py, &error))
    }

    /// The headers that carry the run.
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let headers = self.run.headers().map_err(|error| errors::fault(py, &error))?;
        headers.into_py_dict(py)
    }

    /// Ends the run; `error_type` is the name of the failure that ended it.
    #[pyo3(signature = (error_type=None))]
    fn end(&self, error_type: Option<&str>) {
        match error_type {
            None => self.run.end(),
            Some(error_type) => self.run.fail(error_type),
        }
    }
}
