//! From the core's errors and denials to the exceptions of `spendrail.errors`.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use spendrail::engine;
use spendrail::ffi;
use spendrail::guard::ReserveError;
use spendrail::{Code, Error};

static FAULT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static DENIED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// A denial. What it says is made when somebody reads it: a denied loop must not become the load.
#[pyclass(frozen, module = "spendrail._native")]
pub(crate) struct Denial {
    denial: engine::Denial,
}

#[pymethods]
impl Denial {
    /// The stable code.
    #[getter]
    fn code(&self) -> &'static str {
        self.denial.code.as_str()
    }

    /// Everything as plain values.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        crate::json::to_py(py, &ffi::denial(&self.denial))
    }
}

fn told(py: Python<'_>, told: &serde_json::Value) -> PyErr {
    let raise = || FAULT.import(py, "spendrail.errors", "fault")?.call1((crate::json::to_py(py, told)?,));
    raise().map_or_else(|error| error, PyErr::from_value)
}

/// A fault.
pub(crate) fn fault(py: Python<'_>, error: &Error) -> PyErr {
    told(py, &ffi::error(error))
}

/// A fault of a guard's making: bad input there is a bad configuration.
pub(crate) fn config(py: Python<'_>, error: &Error) -> PyErr {
    let mut answer = ffi::error(error);
    if let Some(map) = answer.as_object_mut() {
        map.insert("config".to_owned(), serde_json::Value::Bool(true));
    }
    told(py, &answer)
}

/// The answer "no".
pub(crate) fn denied(py: Python<'_>, denial: Box<engine::Denial>) -> PyErr {
    let raise = || {
        let denial = Bound::new(py, Denial { denial: *denial })?;
        DENIED.import(py, "spendrail.errors", "denied")?.call1((denial,))
    };
    raise().map_or_else(|error| error, PyErr::from_value)
}

/// Why there is no hold.
pub(crate) fn reserve(py: Python<'_>, error: ReserveError) -> PyErr {
    match error {
        ReserveError::Denied(denial) => denied(py, denial),
        ReserveError::Failed(error) => fault(py, &error),
    }
}

/// An argument that Python can pass and the core cannot take.
pub(crate) fn argument(py: Python<'_>, field: &str, message: &str) -> PyErr {
    fault(py, &Error::new(Code::ArgumentInvalid, message).field(field))
}

/// A text that is not UTF-8: Python can hold lone surrogates.
pub(crate) fn not_utf8(py: Python<'_>, field: &str) -> PyErr {
    fault(py, &Error::new(Code::LabelInvalid, "is not valid UTF-8: it has a lone surrogate").field(field))
}

/// The name of an exception's class, for telemetry.
pub(crate) fn type_name(exception: &Bound<'_, PyAny>) -> PyResult<String> {
    let kind = exception.get_type();
    // An exception class itself may be passed, as `__exit__` gets it.
    let kind = match exception.cast::<pyo3::types::PyType>() {
        Ok(class) if class.is_subclass_of::<PyException>().unwrap_or(false) => class.clone(),
        _ => kind,
    };
    kind.name().map(|name| name.to_string())
}
