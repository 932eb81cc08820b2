//! A hold in Python's hands.

use crate::errors;
use crate::host;
use crate::json::{self, Place};
use crate::later::Later;
use crate::receipt::Receipt;
use crate::usage;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use serde_json::Value;
use spendrail::ffi::{self, Settle};
use spendrail::guard;
use spendrail::guard::Settlement;
use spendrail::requests::Api;
use spendrail::{Code, Error};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Reserved amounts, to be settled once.
#[pyclass(frozen, weakref, module = "spendrail._native")]
pub(crate) struct Hold {
    hold: Mutex<Option<guard::Hold>>,
    /// What makes the call's span the host's current one, while this is a block.
    attached: Mutex<Option<Py<PyAny>>>,
}

impl Hold {
    pub(crate) fn new(hold: guard::Hold) -> Self {
        Self { hold: Mutex::new(Some(hold)), attached: Mutex::new(None) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<guard::Hold>> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(&mut guard::Hold) -> spendrail::Result<T>,
    ) -> PyResult<T> {
        let mut place = self.lock();
        let closed = || Error::new(Code::HoldClosed, "the hold is closed already");
        let answer = place.as_mut().ok_or_else(closed).and_then(ask);
        drop(place);
        answer.map_err(|error| errors::fault(py, &error))
    }

    fn look<T>(&self, ask: impl FnOnce(&guard::Hold) -> T) -> PyResult<T> {
        let place = self.lock();
        place.as_ref().map(ask).ok_or_else(|| PyRuntimeError::new_err("the hold was abandoned"))
    }
}

/// What a hold is settled with: a `Usage`, a provider's reply, a cost, or nothing (as reserved).
pub(crate) fn settlement(
    py: Python<'_>,
    what: Option<&Bound<'_, PyAny>>,
    used: Option<&Bound<'_, PyAny>>,
    cost: Option<&Bound<'_, PyAny>>,
) -> PyResult<Settle> {
    match (what, used, cost) {
        (None, None, None) => Ok(Settle::AsReserved),
        (Some(what), None, None) => match what.cast::<usage::Usage>() {
            Ok(given) => Ok(Settle::Usage(Box::new(given.get().usage))),
            Err(_) => reply(what).map(Settle::Reply),
        },
        (None, Some(used), None) => usage::of(used).map(|usage| Settle::Usage(Box::new(usage))),
        (None, None, Some(cost)) => {
            let mut with = serde_json::Map::new();
            with.insert("cost".to_owned(), json::from_py(cost, Place::of("cost"))?);
            ffi::settle_with(&Value::Object(with)).map_err(|error| errors::fault(py, &error))
        }
        _ => Err(errors::argument(py, "usage", "give one of a reply, usage and cost")),
    }
}

/// A provider's reply: a mapping, its JSON text, or an object that writes itself as JSON (the SDKs' models).
fn reply(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    let py = value.py();
    let parse = |text: &str| {
        ffi::foreign(text).map_err(|error| {
            let error = Error::new(Code::UsageInvalid, format!("the reply is no JSON: {error}"));
            errors::fault(py, &error.field("reply"))
        })
    };
    if let Ok(text) = value.cast::<PyString>() {
        return parse(text.to_str().map_err(|_| errors::not_utf8(py, "reply"))?);
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return parse(&String::from_utf8_lossy(bytes.as_bytes()));
    }
    if let Ok(write) = value.getattr("model_dump_json") {
        let kwargs = PyDict::new(py);
        kwargs.set_item("by_alias", true)?;
        kwargs.set_item("warnings", false)?;
        let text = write.call((), Some(&kwargs))?.cast_into::<PyString>()?;
        return parse(text.to_str()?);
    }
    json::from_py(value, Place::of("reply"))
}

#[pymethods]
impl Hold {
    /// The hold's id.
    #[getter]
    fn id(&self) -> PyResult<String> {
        self.look(|hold| hold.id().to_string())
    }

    /// What is on hold, in nano-USD.
    #[getter]
    fn held_nano_usd(&self) -> PyResult<i64> {
        self.look(|hold| hold.reserved().0)
    }

    /// The worst case of the input, in tokens.
    #[getter]
    fn input_tokens(&self) -> PyResult<u64> {
        self.look(|hold| hold.reserved_tokens().0)
    }

    /// The worst case of the output, in tokens.
    #[getter]
    fn output_tokens(&self) -> PyResult<u64> {
        self.look(|hold| hold.reserved_tokens().1)
    }

    /// The same call was reserved before with the same id: this is that hold.
    #[getter]
    fn repeated(&self) -> PyResult<bool> {
        self.look(guard::Hold::is_repeated)
    }

    /// An enforcing mode or budget would have denied.
    #[getter]
    fn would_deny(&self) -> PyResult<bool> {
        self.look(guard::Hold::would_deny)
    }

    /// The accounts that the call does not fit on although it was admitted.
    #[getter]
    fn failures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let told = self.look(ffi::hold)?;
        let failures = told.get("failures").cloned().unwrap_or(Value::Array(Vec::new()));
        py.import("spendrail.records")?.getattr("failures")?.call1((json::to_py(py, &failures)?,))
    }

    /// Trace id, span id and the sampler's answer of the call's span; zeros without telemetry.
    #[getter]
    fn span(&self) -> PyResult<(u128, u64, bool)> {
        self.look(|hold| {
            let span = hold.span();
            (span.trace_id, span.span_id, span.sampled)
        })
    }

    /// Replaces the hold by what was used.
    #[pyo3(signature = (reply=None, /, *, usage=None, cost=None, error_type=None))]
    fn settle(
        &self,
        py: Python<'_>,
        reply: Option<Bound<'_, PyAny>>,
        usage: Option<Bound<'_, PyAny>>,
        cost: Option<Bound<'_, PyAny>>,
        error_type: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Receipt> {
        let error_type = json::optional(error_type.as_ref(), "error_type")?;
        if let Some(Ok(usage)) = reply.as_ref().map(|reply| reply.cast::<usage::Usage>())
            && cost.is_none()
        {
            let used = Settlement::Usage(&usage.get().usage);
            return self.with(py, |hold| hold.try_settle(used, error_type.as_deref())).map(Receipt::new);
        }
        let with = settlement(py, reply.as_ref(), usage.as_ref(), cost.as_ref())?;
        self.with(py, |hold| hold.try_settle(Settlement::from(&with), error_type.as_deref()))
            .map(Receipt::new)
    }

    /// Gives everything back, because nothing was billed.
    #[pyo3(signature = (error_type=None))]
    fn release(&self, py: Python<'_>, error_type: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let error_type = json::optional(error_type.as_ref(), "error_type")?;
        self.with(py, |hold| hold.release(error_type.as_deref()))
    }

    /// Lets the hold outlive this object and this process.
    fn detach(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, guard::Hold::detach)
    }

    /// The reply will come in pieces, in the events of this API.
    #[pyo3(signature = (api=None))]
    fn stream(&self, py: Python<'_>, api: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let parsed = json::optional(api.as_ref(), "api")?.map(|name| {
            Api::parse(&name).ok_or_else(|| errors::argument(py, "api", "is not an API that Spendrail knows"))
        });
        let parsed = parsed.transpose()?;
        self.with(py, |hold| {
            hold.stream(parsed);
            Ok(())
        })
    }

    /// One event of a stream, as a mapping or its JSON text; `True`: hide it from a caller who did not ask for usage.
    fn chunk(&self, py: Python<'_>, event: &Bound<'_, PyAny>) -> PyResult<bool> {
        let event = reply(event)?;
        self.with(py, |hold| Ok(hold.chunk(&event)))
    }

    /// An attempt was sent and got no answer, and the call is sent again: its input counts.
    fn lost_attempt(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |hold| {
            hold.lost_attempt();
            Ok(())
        })
    }

    /// The stream has ended by itself.
    fn finish(&self, py: Python<'_>) -> PyResult<Receipt> {
        self.with(py, guard::Hold::finish).map(Receipt::new)
    }

    /// We closed the stream early.
    fn close(&self, py: Python<'_>) -> PyResult<Receipt> {
        self.with(py, guard::Hold::close).map(Receipt::new)
    }

    /// The connection is gone or timed out.
    #[pyo3(signature = (error_type=None))]
    fn cut(&self, py: Python<'_>, error_type: Option<Bound<'_, PyAny>>) -> PyResult<Receipt> {
        let error_type = json::optional(error_type.as_ref(), "error_type")?;
        self.with(py, |hold| hold.cut(error_type.as_deref())).map(Receipt::new)
    }

    /// Lets go of the hold as if this object were lost: the input counts, the rest follows the expiry policy.
    fn abandon(&self) {
        drop(self.lock().take());
    }

    /// As `settle`.
    #[pyo3(signature = (*args, **kwargs))]
    fn asettle<'py>(
        slf: &Bound<'py, Self>,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Later> {
        Later::method(slf.as_any(), "settle", args, kwargs)
    }

    /// As `release`.
    #[pyo3(signature = (*args, **kwargs))]
    fn arelease<'py>(
        slf: &Bound<'py, Self>,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Later> {
        Later::method(slf.as_any(), "release", args, kwargs)
    }

    /// As `detach`.
    fn adetach(slf: &Bound<'_, Self>) -> PyResult<Later> {
        Later::method(slf.as_any(), "detach", PyTuple::empty(slf.py()), None)
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<Py<Self>> {
        let py = slf.py();
        let span = slf.get().look(guard::Hold::span)?;
        if let Some(attached) = host::attach(py, span)? {
            // What was there goes after the lock: its end may run foreign code.
            let before = slf.get().attached.lock().unwrap_or_else(PoisonError::into_inner).replace(attached);
            drop(before);
        }
        Ok(slf.clone().unbind())
    }

    #[pyo3(signature = (kind, error, trace, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<Bound<'_, PyAny>>,
        error: Option<Bound<'_, PyAny>>,
        trace: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (error, trace);
        let attached = self.attached.lock().unwrap_or_else(PoisonError::into_inner).take();
        host::detach(py, attached)?;
        let Some(kind) = kind else {
            self.abandon();
            return Ok(());
        };
        let name = errors::type_name(&kind)?;
        if let Some(hold) = self.lock().as_mut() {
            // A hold that is closed already stays as it is; the exception is what matters now.
            let _ = hold.cut(Some(&name));
        }
        Ok(())
    }

    fn __aenter__(slf: &Bound<'_, Self>) -> PyResult<Later> {
        Later::method(slf.as_any(), "__enter__", PyTuple::empty(slf.py()), None)
    }

    #[pyo3(signature = (kind, error, trace, /))]
    fn __aexit__<'py>(
        slf: &Bound<'py, Self>,
        kind: Bound<'py, PyAny>,
        error: Bound<'py, PyAny>,
        trace: Bound<'py, PyAny>,
    ) -> PyResult<Later> {
        let args = PyTuple::new(slf.py(), [kind, error, trace])?;
        Later::method(slf.as_any(), "__exit__", args, None)
    }

    fn __repr__(&self) -> String {
        match &*self.lock() {
            Some(hold) => format!("<Hold {} of {} nano-USD>", hold.id(), hold.reserved().0),
            None => "<Hold, abandoned>".to_owned(),
        }
    }
}
