//! An awaitable over a call that never waits: the memory ledger answers at once. Made without a Python frame.

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A coroutine that makes one call when it is awaited.
#[pyclass(module = "spendrail._native")]
pub(crate) struct Later {
    call: Option<Prepared>,
}

/// A callable and its arguments.
type Prepared = (Py<PyAny>, Py<PyTuple>, Option<Py<PyDict>>);

impl Later {
    /// Calls `function` when awaited.
    pub(crate) fn new(
        function: Bound<'_, PyAny>,
        args: Bound<'_, PyTuple>,
        kwargs: Option<Bound<'_, PyDict>>,
    ) -> Self {
        Self { call: Some((function.unbind(), args.unbind(), kwargs.map(Bound::unbind))) }
    }

    /// Calls a method of `object` when awaited.
    pub(crate) fn method(
        object: &Bound<'_, PyAny>,
        name: &str,
        args: Bound<'_, PyTuple>,
        kwargs: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        Ok(Self::new(object.getattr(name)?, args, kwargs))
    }
}

#[pymethods]
impl Later {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let call = slf.try_borrow_mut()?.call.take();
        let Some((function, args, kwargs)) = call else {
            return Err(PyRuntimeError::new_err("this was awaited already"));
        };
        let answer = function.call(py, args, kwargs.as_ref().map(|kwargs| kwargs.bind(py)))?;
        Err(PyStopIteration::new_err((answer,)))
    }

    /// Makes the call.
    fn send(slf: &Bound<'_, Self>, value: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let _ = value;
        Self::__next__(slf)
    }

    /// The call is not made.
    #[pyo3(signature = (typ, val=None, tb=None))]
    fn throw(
        slf: &Bound<'_, Self>,
        typ: Bound<'_, PyAny>,
        val: Option<Bound<'_, PyAny>>,
        tb: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let _ = tb;
        slf.try_borrow_mut()?.call = None;
        Err(PyErr::from_value(val.unwrap_or(typ)))
    }

    /// The call is not made.
    fn close(&mut self) {
        self.call = None;
    }
}
