//! What surrounds a call: the scope and the run of the block that it is made in, kept in one `ContextVar`.

use crate::errors;
use crate::recent;
use crate::run::Run;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};
use spendrail::guard;
use spendrail::values::{Dimension, Label, Scope};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

static CURRENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
/// Its method `get`, bound.
static GET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
/// How many blocks there are: without any, nothing surrounds a call, and nobody is asked.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// The scope and run of a block of one guard; those of other guards are further out.
#[pyclass(frozen, module = "spendrail._native")]
pub(crate) struct Ambient {
    guard: u64,
    pub(crate) scope: Arc<Scope>,
    pub(crate) run: Option<guard::Run>,
    outer: Option<Py<Ambient>>,
}

impl Ambient {
    /// A block inside the current one.
    fn new(py: Python<'_>, guard: u64, scope: Arc<Scope>, run: Option<guard::Run>) -> PyResult<Self> {
        let outer = innermost(py)?;
        BLOCKS.fetch_add(1, Ordering::Relaxed);
        Ok(Self { guard, scope, run, outer })
    }
}

impl Drop for Ambient {
    fn drop(&mut self) {
        BLOCKS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The `ContextVar`.
pub(crate) fn variable(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let make = || {
        let kwargs = PyDict::new(py);
        kwargs.set_item("default", py.None())?;
        let class = py.import("contextvars")?.getattr("ContextVar")?;
        class.call(("spendrail",), Some(&kwargs)).map(Bound::unbind)
    };
    Ok(CURRENT.get_or_try_init(py, make)?.bind(py).clone())
}

/// The innermost block, of whatever guard.
fn innermost(py: Python<'_>) -> PyResult<Option<Py<Ambient>>> {
    if BLOCKS.load(Ordering::Relaxed) == 0 {
        return Ok(None);
    }
    let get = || variable(py)?.getattr("get").map(Bound::unbind);
    let value = GET.get_or_try_init(py, get)?.bind(py).call0()?;
    Ok(value.cast_into::<Ambient>().ok().map(Bound::unbind))
}

/// The innermost block of this guard.
pub(crate) fn current(py: Python<'_>, guard: u64) -> PyResult<Option<Py<Ambient>>> {
    let mut at = innermost(py)?;
    while let Some(block) = &at {
        if block.get().guard == guard {
            break;
        }
        at = block.get().outer.as_ref().map(|outer| outer.clone_ref(py));
    }
    Ok(at)
}

/// A block inside the current one, with these labels: what is named replaces, tags merge, `None` clears.
pub(crate) fn scoped(py: Python<'_>, guard: u64, labels: Option<&Bound<'_, PyDict>>) -> PyResult<Ambient> {
    let base = current(py, guard)?;
    let base = base.as_ref().map(Py::get);
    let mut scope = base.map(|base| Scope::clone(&base.scope)).unwrap_or_default();
    set_labels(&mut scope, labels)?;
    Ambient::new(py, guard, recent::shared(None, scope), base.and_then(|base| base.run.clone()))
}

/// The labels of here.
pub(crate) fn labels(py: Python<'_>, guard: u64) -> PyResult<Scope> {
    Ok(current(py, guard)?.map(|base| Scope::clone(&base.get().scope)).unwrap_or_default())
}

/// Sets labels: what is named replaces, tags merge, `None` clears.
pub(crate) fn set_labels(scope: &mut Scope, labels: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    for (key, value) in labels.into_iter().flat_map(|labels| labels.iter()) {
        let key = key.cast::<PyString>()?;
        let key = key.to_str().map_err(|_| errors::not_utf8(value.py(), ""))?;
        if !set_label(scope, key, &value)? {
            return Err(errors::argument(value.py(), key, "is not a label of a scope"));
        }
    }
    Ok(())
}

/// A block of a run.
pub(crate) fn inside(py: Python<'_>, guard: u64, run: &Run) -> PyResult<Ambient> {
    let base = current(py, guard)?;
    let own = run.run.scope();
    let scope = match base.as_ref().map(Py::get) {
        Some(base) => recent::shared(Some(&base.scope), Scope::clone(own)),
        None => Arc::clone(own),
    };
    Ambient::new(py, guard, scope, Some(run.run.clone()))
}

/// Sets one label, or clears it; `false`: this is no label.
pub(crate) fn set_label(scope: &mut Scope, key: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let dimension = match key {
        "tenant" => Dimension::Tenant,
        "user" => Dimension::User,
        "feature" => Dimension::Feature,
        "agent" => Dimension::Agent,
        "session" => Dimension::Session,
        "run" => Dimension::Run,
        "tags" => return set_tags(scope, value).map(|()| true),
        _ => return Ok(false),
    };
    set(scope, &dimension, key, value)?;
    Ok(true)
}

fn set_tags(scope: &mut Scope, tags: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = tags.py();
    if tags.is_none() {
        scope.tags.clear();
        return Ok(());
    }
    let Ok(tags) = tags.cast::<PyDict>() else {
        return Err(errors::argument(py, "tags", "is not a dict of texts"));
    };
    for (key, value) in tags.iter() {
        let Ok(key) = key.cast::<PyString>() else {
            return Err(errors::argument(py, "tags", "has a key that is not a text"));
        };
        let key = key.to_str().map_err(|_| errors::not_utf8(py, "tags"))?;
        let label = spendrail::values::scope::label(key, &Dimension::Tag("key".into()));
        let label: Label = label.map_err(|error| errors::fault(py, &error.field("tags")))?;
        set(scope, &Dimension::Tag(label), &format!("tags.{key}"), &value)?;
    }
    Ok(())
}

fn set(scope: &mut Scope, dimension: &Dimension, field: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = value.py();
    let set = if value.is_none() {
        scope.set(dimension, None)
    } else {
        let Ok(text) = value.cast::<PyString>() else {
            return Err(errors::argument(py, field, "is not a text"));
        };
        scope.set(dimension, Some(text.to_str().map_err(|_| errors::not_utf8(py, field))?))
    };
    set.map_err(|error| match error.field_name() {
        // Too many of them is not the fault of this one.
        Some("tags") => errors::fault(py, &error),
        _ => errors::fault(py, &error.field(field)),
    })
}

#[pymethods]
impl Ambient {
    /// The labels.
    #[getter]
    fn scope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        crate::json::to_py(py, &spendrail::ffi::scope_json(&self.scope))
    }

    /// What surrounded the block when it was made, of whatever guard.
    #[getter]
    fn outer(&self, py: Python<'_>) -> Option<Py<Ambient>> {
        self.outer.as_ref().map(|outer| outer.clone_ref(py))
    }
}
