//! The host's OpenTelemetry, if the host has one: `spendrail.otel` speaks with it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use spendrail::engine::ParentSpan;
use spendrail::telemetry::SpanIds;

static MODULES: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static SPAN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static ATTACH: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static DETACH: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The host has imported OpenTelemetry: asked at every call, so that it may come later.
fn is_there(py: Python<'_>) -> PyResult<bool> {
    let modules = || py.import("sys")?.getattr("modules").map(Bound::unbind);
    MODULES.get_or_try_init(py, modules)?.bind(py).contains(intern!(py, "opentelemetry.trace"))
}

/// The host's current span.
pub(crate) fn span(py: Python<'_>) -> PyResult<Option<ParentSpan>> {
    if !is_there(py)? {
        return Ok(None);
    }
    let span = SPAN.import(py, "spendrail.otel", "host_span")?.call0()?;
    if span.is_none() {
        return Ok(None);
    }
    let (trace_id, span_id, sampled, is_remote) = span.extract::<(u128, u64, bool, bool)>()?;
    Ok(Some(ParentSpan { trace_id, span_id, sampled, is_remote }))
}

/// Makes a span of ours the host's current one; the answer goes to [`detach`].
pub(crate) fn attach(py: Python<'_>, span: SpanIds) -> PyResult<Option<Py<PyAny>>> {
    if !span.is_some() || !is_there(py)? {
        return Ok(None);
    }
    let attach = ATTACH.import(py, "spendrail.otel", "attach")?;
    attach.call1((span.trace_id, span.span_id, span.sampled)).map(|attached| Some(attached.unbind()))
}

/// Undoes [`attach`].
pub(crate) fn detach(py: Python<'_>, attached: Option<Py<PyAny>>) -> PyResult<()> {
    match attached {
        None => Ok(()),
        Some(attached) => DETACH.import(py, "spendrail.otel", "detach")?.call1((attached,)).map(drop),
    }
}
