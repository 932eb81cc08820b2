//! What a settle returns. Fields are made when they are read.

use crate::json;
use crate::usage::Usage;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use spendrail::values::AttoUsd;
use spendrail::{catalog, ffi, guard};

static DECIMAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

fn decimal<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    DECIMAL.import(py, "decimal", "Decimal")?.call1((text,))
}

fn money(py: Python<'_>, amount: AttoUsd) -> PyResult<Bound<'_, PyAny>> {
    decimal(py, &amount.to_string())
}

/// The result of settling.
#[pyclass(frozen, weakref, module = "spendrail._native")]
pub(crate) struct Receipt {
    receipt: guard::Receipt,
}

impl Receipt {
    pub(crate) fn new(receipt: guard::Receipt) -> Self {
        Self { receipt }
    }
}

#[pymethods]
impl Receipt {
    /// The hold's id.
    #[getter]
    fn id(&self) -> String {
        self.receipt.id.to_string()
    }

    /// The provider, as the catalog names it; `None` for a tool.
    #[getter]
    fn provider(&self) -> Option<&str> {
        self.receipt.provider().map(|provider| &**provider)
    }

    /// The model, as the catalog names it; the tool's name for a tool.
    #[getter]
    fn model(&self) -> &str {
        self.receipt.model()
    }

    /// The model that served, as the provider named it.
    #[getter]
    fn response_model(&self) -> Option<&str> {
        self.receipt.response_model.as_deref()
    }

    /// What was used; `None` if the reply did not say.
    #[getter]
    fn usage(&self) -> Option<Usage> {
        self.receipt.usage.map(|usage| Usage { usage })
    }

    /// The exact cost in USD, to the last digit.
    #[getter]
    fn cost<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        money(py, self.receipt.total())
    }

    /// The cost line by line; the lines add up to the cost.
    #[getter]
    fn lines<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        lines(py, &self.receipt.cost)
    }

    /// What was posted to every budget in USD, in nano-USD: the cost rounded up once.
    #[getter]
    fn posted_nano_usd(&self) -> i64 {
        self.receipt.posted.0
    }

    /// What had been on hold, in nano-USD.
    #[getter]
    fn reserved_nano_usd(&self) -> i64 {
        self.receipt.reserved.0
    }

    /// The version of the prices that the call was reserved with.
    #[getter]
    fn price_version(&self) -> &str {
        self.receipt.price_version()
    }

    /// What is remarkable: `estimated`, `over_run`, `late`, …
    #[getter]
    fn flags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.receipt.flag_names())
    }

    /// What the provider says that it invoices; `None` if it does not say so.
    #[getter]
    fn reported_cost<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.receipt.reported.as_ref().map(|reported| money(py, reported.cost)).transpose()
    }

    /// What the catalog makes of the usage, where the cost is what the provider reports.
    #[getter]
    fn computed_cost<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let computed = self.receipt.reported.as_ref().and_then(|reported| reported.computed.as_ref());
        computed.map(|computed| money(py, computed.total)).transpose()
    }

    /// The same line by line.
    #[getter]
    fn computed(&self) -> Option<Cost> {
        self.receipt.reported.as_ref()?.computed.clone().map(Cost::new)
    }

    /// The same settle was done before; nothing was posted now.
    #[getter]
    fn repeated(&self) -> bool {
        self.receipt.repeated
    }

    /// Figures of the reply that did not fit the provider's convention, as (rule, detail).
    #[getter]
    fn anomalies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.receipt.anomalies.iter().map(|one| (one.rule.as_str(), one.detail.to_string())))
    }

    /// What each account has left: budget → amount in its unit (nano-USD for money), the least where several are of
    /// one budget.
    #[getter]
    fn remaining<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let out = PyDict::new(py);
        for (budget, _, available) in self.receipt.remaining() {
            let least = match out.get_item(budget)? {
                Some(other) => other.extract::<i64>()?.min(available),
                None => available,
            };
            out.set_item(budget, least)?;
        }
        Ok(out)
    }

    /// Everything as plain values; amounts exact, as text.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_py(py, &ffi::receipt(&self.receipt))
    }

    fn __repr__(&self) -> String {
        format!("<Receipt of {}: {} USD>", self.receipt.model(), self.receipt.total())
    }
}

/// An exact cost, line by line.
#[pyclass(frozen, module = "spendrail._native")]
pub(crate) struct Cost {
    cost: catalog::Cost,
}

impl Cost {
    pub(crate) fn new(cost: catalog::Cost) -> Self {
        Self { cost }
    }
}

#[pymethods]
impl Cost {
    /// The exact total in USD.
    #[getter]
    fn total<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        money(py, self.cost.total)
    }

    /// What would be posted, in nano-USD: the total rounded up.
    #[getter]
    fn posted_nano_usd(&self) -> i64 {
        self.cost.total.posted().0
    }

    /// One line per bucket.
    #[getter]
    fn lines<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        lines(py, &self.cost)
    }

    /// Buckets that were used and have no rate.
    #[getter]
    fn unpriced<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.cost.unpriced.iter().map(|bucket| bucket.key()).collect::<Vec<_>>())
    }

    /// Everything as plain values; amounts exact, as text.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_py(py, &ffi::cost(&self.cost))
    }

    fn __repr__(&self) -> String {
        format!("<Cost {} USD>", self.cost.total)
    }
}

/// The cost of one bucket.
#[pyclass(frozen, module = "spendrail._native")]
pub(crate) struct CostLine {
    line: catalog::Line,
}

fn lines<'py>(py: Python<'py>, cost: &catalog::Cost) -> PyResult<Bound<'py, PyTuple>> {
    let line = |line: &catalog::Line| Bound::new(py, CostLine { line: *line });
    PyTuple::new(py, cost.lines.iter().map(line).collect::<PyResult<Vec<_>>>()?)
}

#[pymethods]
impl CostLine {
    /// What was used: `"cache_read"`.
    #[getter]
    fn bucket(&self) -> &'static str {
        self.line.item.key()
    }

    /// How much is billed.
    #[getter]
    fn quantity(&self) -> u64 {
        self.line.quantity
    }

    /// The price of `per` units, in USD.
    #[getter]
    fn rate<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        decimal(py, &self.line.shown_rate())
    }

    /// How many units the rate is for.
    #[getter]
    fn per(&self) -> i128 {
        self.line.item.per()
    }

    /// The product of the multipliers that apply, as text: an exact fraction may have no decimals.
    #[getter]
    fn factor(&self) -> String {
        self.line.factor.to_string()
    }

    /// The exact amount in USD.
    #[getter]
    fn amount<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        money(py, self.line.amount)
    }

    fn __repr__(&self) -> String {
        format!("<CostLine {} {}: {} USD>", self.line.quantity, self.bucket(), self.line.amount)
    }
}
