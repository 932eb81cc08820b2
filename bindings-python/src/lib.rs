//! The private native module of the Python package: it translates, it decides nothing. Everything that a Python
//! program touches is declared in `python/spendrail/_native.pyi`.
//!
//! The fast path (reserve and settle) goes straight to the core and keeps the GIL; everything else goes through the
//! core's JSON doors, `spendrail::ffi`, with the GIL released.

mod ambient;
mod call;
mod clock;
mod errors;
mod events;
mod guard;
mod hold;
mod host;
mod json;
mod later;
mod receipt;
mod recent;
mod run;
mod usage;

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The native half of the package `spendrail`. It needs no GIL: every class is frozen or guards itself, what a hold is
/// stands behind its own lock, and no lock is held while Python code runs.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::ambient::Ambient;
    #[pymodule_export]
    use super::clock::ManualClock;
    #[pymodule_export]
    use super::errors::Denial;
    #[pymodule_export]
    use super::events::Subscription;
    #[pymodule_export]
    use super::guard::Guard;
    #[pymodule_export]
    use super::hold::Hold;
    #[pymodule_export]
    use super::later::Later;
    #[pymodule_export]
    use super::receipt::{Cost, CostLine, Receipt};
    #[pymodule_export]
    use super::run::Run;
    #[pymodule_export]
    use super::usage::Usage;
    use super::{PyModule, PyResult, Python};
    use pyo3::prelude::*;
    use pyo3::types::{PyDict, PyTuple};

    /// Plays entries against another configuration; the GIL is released.
    #[pyfunction]
    fn simulate<'py>(py: Python<'py>, args: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        let args = serde_json::Value::Object(super::json::from_dict(args, super::json::Place::of_config())?);
        let answer = py.detach(|| spendrail::ffi::simulate(&args));
        super::json::to_py(py, &answer.map_err(|error| super::errors::fault(py, &error))?)
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py: Python<'_> = module.py();
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("CODES", super::codes(py)?)?;
        let kinds = spendrail::guard::EventKind::ALL.iter().map(|kind| kind.as_str());
        module.add("EVENTS", PyTuple::new(py, kinds.collect::<Vec<_>>())?)?;
        module.add("current", super::ambient::variable(py)?)?;
        Ok(())
    }
}

/// The core's closed table of codes: code → (kind, HTTP status).
fn codes(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let table = PyDict::new(py);
    for code in spendrail::Code::ALL {
        let kind = match code.kind() {
            spendrail::codes::Kind::Denial => "denial",
            spendrail::codes::Kind::Input => "input",
            spendrail::codes::Kind::Fault => "fault",
        };
        table.set_item(code.as_str(), (kind, code.http_status()))?;
    }
    Ok(table)
}
