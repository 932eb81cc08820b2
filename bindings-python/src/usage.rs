//! What a call used, counted by the application.

use crate::errors;
use crate::json::{self, Place};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use serde_json::{Map, Value};
use spendrail::ffi::{self, Settle};
use spendrail::values;
use spendrail::values::Bucket;

/// Quantities in disjoint buckets.
#[pyclass(frozen, eq, hash, module = "spendrail._native")]
#[derive(PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) usage: values::Usage,
}

impl std::hash::Hash for Usage {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for pair in self.usage.iter() {
            pair.hash(state);
        }
    }
}

/// Reads buckets through the core's door.
pub(crate) fn read(py: Python<'_>, key: &str, buckets: Map<String, Value>) -> PyResult<values::Usage> {
    let mut with = Map::new();
    with.insert(key.to_owned(), Value::Object(buckets));
    match ffi::settle_with(&Value::Object(with)) {
        Ok(Settle::Usage(usage)) => Ok(*usage),
        Ok(_) => Ok(values::Usage::new()),
        Err(error) => Err(errors::fault(py, &error)),
    }
}

/// A `Usage`, or a mapping of buckets.
pub(crate) fn of(value: &Bound<'_, PyAny>) -> PyResult<values::Usage> {
    if let Ok(usage) = value.cast::<Usage>() {
        return Ok(usage.get().usage);
    }
    match json::from_py(value, Place::of("usage"))? {
        Value::Object(buckets) => read(value.py(), "usage", buckets),
        _ => Err(errors::argument(value.py(), "usage", "is neither a Usage nor a mapping of buckets")),
    }
}

#[pymethods]
impl Usage {
    #[new]
    #[pyo3(signature = (**buckets))]
    fn new(py: Python<'_>, buckets: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Ok(Self { usage: read(py, "usage", json::from_keywords(buckets)?)? })
    }

    /// From totals that include their parts, as OpenAI reports them.
    #[staticmethod]
    #[pyo3(signature = (**totals))]
    fn inclusive(py: Python<'_>, totals: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Ok(Self { usage: read(py, "inclusive", json::from_keywords(totals)?)? })
    }

    /// Uncached text input.
    #[getter]
    fn input(&self) -> u64 {
        self.usage.get(Bucket::Input)
    }

    /// Input served from a cache.
    #[getter]
    fn cache_read(&self) -> u64 {
        self.usage.get(Bucket::CacheRead)
    }

    /// Input written to a cache, default time to live.
    #[getter]
    fn cache_write(&self) -> u64 {
        self.usage.get(Bucket::CacheWrite)
    }

    /// Visible text output.
    #[getter]
    fn output(&self) -> u64 {
        self.usage.get(Bucket::Output)
    }

    /// Reasoning output.
    #[getter]
    fn output_reasoning(&self) -> u64 {
        self.usage.get(Bucket::OutputReasoning)
    }

    /// All input tokens, cache reads and writes included.
    #[getter]
    fn total_input(&self) -> u64 {
        self.usage.total_input()
    }

    /// All output tokens, reasoning included.
    #[getter]
    fn total_output(&self) -> u64 {
        self.usage.total_output()
    }

    /// All tokens.
    #[getter]
    fn total_tokens(&self) -> u64 {
        self.usage.total_tokens()
    }

    /// The buckets that are not empty.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let out = PyDict::new(py);
        for (bucket, quantity) in self.usage.iter() {
            out.set_item(bucket.key(), quantity)?;
        }
        Ok(out)
    }

    fn __getitem__(&self, bucket: &str) -> PyResult<u64> {
        let known = Bucket::from_key(bucket).ok_or_else(|| PyKeyError::new_err(bucket.to_owned()))?;
        Ok(self.usage.get(known))
    }

    fn __repr__(&self) -> String {
        let parts: Vec<String> =
            self.usage.iter().map(|(bucket, n)| format!("{}={n}", bucket.key())).collect();
        format!("Usage({})", parts.join(", "))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let make = py.import("spendrail.records")?.getattr("usage")?;
        Ok((make, PyTuple::new(py, [slf.get().to_dict(py)?])?))
    }
}
