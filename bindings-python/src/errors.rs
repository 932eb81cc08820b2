//! From the core's errors and denials to the exceptions of `spendrail.errors`.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use spendrail::engine::Denial;
use spendrail::ffi::{self, Failure};
use spendrail::guard::ReserveError;
use spendrail::{Code, Error};

static FAULT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static DENIED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

fn make(
    py: Python<'_>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    maker: &str,
    told: &serde_json::Value,
) -> PyErr {
    let raise = || {
        let maker = cell.import(py, "spendrail.errors", maker)?;
        maker.call1((crate::json::to_py(py, told)?,))
    };
    match raise() {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// A fault.
pub(crate) fn fault(py: Python<'_>, error: &Error) -> PyErr {
    make(py, &FAULT, "fault", &ffi::error(error))
}

/// A fault of a guard's making: bad input there is a bad configuration.
pub(crate) fn config(py: Python<'_>, error: &Error) -> PyErr {
    let mut told = ffi::error(error);
    if let Some(map) = told.as_object_mut() {
        map.insert("config".to_owned(), serde_json::Value::Bool(true));
    }
    make(py, &FAULT, "fault", &told)
}

/// The answer "no".
pub(crate) fn denied(py: Python<'_>, denial: &Denial) -> PyErr {
    make(py, &DENIED, "denied", &ffi::denial(denial))
}

pub(crate) fn failure(py: Python<'_>, failure: &Failure) -> PyErr {
    match failure {
        Failure::Denied(denial) => denied(py, denial),
        Failure::Failed(error) => fault(py, error),
    }
}

pub(crate) fn reserve(py: Python<'_>, error: ReserveError) -> PyErr {
    failure(py, &Failure::from(error))
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
