//! The guard in Python's hands; `spendrail.Guard` is a subclass.

use crate::ambient::{self, Ambient};
use crate::call::{self, Surrounded};
use crate::clock::ManualClock;
use crate::errors;
use crate::events::{self, Subscription};
use crate::hold::{self, Hold};
use crate::host;
use crate::json::{self, Place};
use crate::receipt::{Cost, Receipt};
use crate::run::Run;
use crate::usage;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict, PyTuple};
use serde_json::Value;
use spendrail::catalog::{PriceContext, Tier};
use spendrail::clock::Clock;
use spendrail::ffi;
use spendrail::guard;
use spendrail::guard::{Outcome, Passage, PriceQuery, Settlement};
use spendrail::values::{Scope, Timestamp};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

static GUARDS: AtomicU64 = AtomicU64::new(0);

/// The native half of a guard.
#[pyclass(frozen, subclass, weakref, module = "spendrail._native")]
pub(crate) struct Guard {
    guard: guard::Guard,
    /// Tells this guard's scopes from those of others.
    pub(crate) id: u64,
    /// Spans are made: a parent is worth looking for.
    pub(crate) traced: bool,
}

impl Guard {
    /// What to price, and for whom.
    fn price_query(
        &self,
        py: Python<'_>,
        model: &Bound<'_, PyAny>,
        usage: &Bound<'_, PyAny>,
        [provider, at, tier, speed, geo, region]: [Option<Bound<'_, PyAny>>; 6],
        scope: Scope,
    ) -> PyResult<PriceQuery> {
        let now = || self.guard.now().map_err(|error| errors::fault(py, &error));
        let text = |value: Option<Bound<'_, PyAny>>, name| json::optional(value.as_ref(), name);
        Ok(PriceQuery {
            usage: usage::of(usage)?,
            model: json::text(model, "model")?,
            provider: text(provider, "provider")?,
            context: PriceContext {
                at: at.filter(|at| !at.is_none()).map_or_else(now, |at| instant(&at))?,
                tier: text(tier, "tier")?.as_deref().map(Tier::parse),
                speed: text(speed, "speed")?.map(Into::into),
                geo: text(geo, "geo")?.map(Into::into),
                region: text(region, "region")?.map(Into::into),
                ..PriceContext::default()
            },
            scope,
        })
    }

    fn call(&self, py: Python<'_>, method: &str, args: &Value) -> PyResult<Value> {
        let answer = py.detach(|| ffi::invoke(&self.guard, method, args));
        // The rules are made anew: what is wrong with them is a bad configuration.
        let raise = if method == "reload" { errors::config } else { errors::fault };
        answer.map_err(|error| raise(py, &error))
    }
}

#[pymethods]
impl Guard {
    #[new]
    #[pyo3(signature = (setup, clock=None))]
    fn new(
        py: Python<'_>,
        setup: &Bound<'_, PyDict>,
        clock: Option<&Bound<'_, ManualClock>>,
    ) -> PyResult<Self> {
        let setup = Value::Object(json::from_dict(setup, Place::of_config())?);
        let build = || {
            let (mut builder, _) = ffi::builder(&setup)?;
            if let Some(clock) = clock.map(|clock| clock.get().clock.clone()) {
                builder = builder.clock(Clock::Manual(clock));
            }
            let guard = builder.build()?;
            let traced = guard.is_traced()?;
            Ok(Self { guard, id: GUARDS.fetch_add(1, Ordering::Relaxed), traced })
        };
        build().map_err(|error: spendrail::Error| errors::config(py, &error))
    }

    /// Reserves the worst case of a call on every account that applies, or on none.
    // Written so, the arguments come as Python has them, and not in a copy of their dict.
    #[pyo3(signature = (*args, **call), text_signature = "($self, /, **call)")]
    fn reserve(&self, args: &Bound<'_, PyTuple>, call: Option<&Bound<'_, PyDict>>) -> PyResult<Hold> {
        let py = args.py();
        if !args.is_empty() {
            return Err(PyTypeError::new_err("Guard.reserve() takes keyword arguments only"));
        }
        let Surrounded { call, ambient } = call::read(self, call, py)?;
        let run = ambient.as_ref().and_then(|ambient| ambient.get().run.as_ref());
        let outcome = match run {
            Some(run) => run.try_reserve(&call),
            None => self.guard.try_reserve(&call),
        };
        // With the memory ledger no answer is ever pending.
        match outcome {
            Ok(Outcome::Held(hold)) => Ok(Hold::new(hold)),
            Ok(Outcome::Denied(denial)) => Err(errors::denied(py, denial)),
            Ok(Outcome::Pending(ticket)) => match py.detach(|| ticket.wait()) {
                Outcome::Held(hold) => Ok(Hold::new(hold)),
                Outcome::Denied(denial) => Err(errors::denied(py, denial)),
                Outcome::Pending(_) => Err(errors::argument(py, "", "the ledger gave no answer")),
            },
            Err(error) => Err(errors::fault(py, &error)),
        }
    }

    /// Would the call be admitted now? As plain values.
    #[pyo3(signature = (**call))]
    fn check_call<'py>(
        &self,
        py: Python<'py>,
        call: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Surrounded { call, ambient } = call::read(self, call, py)?;
        let decision = match ambient.as_ref().and_then(|ambient| ambient.get().run.as_ref()) {
            Some(run) => run.check(&call),
            None => self.guard.check(&call),
        };
        json::to_py(py, &ffi::decision(&decision.map_err(|error| errors::fault(py, &error))?))
    }

    /// What a request to `path` is: the name of its API if it must be reserved, else `None`. Denied if it may cost
    /// money and is not understood.
    #[pyo3(signature = (method, path, **call))]
    fn passage(
        &self,
        py: Python<'_>,
        method: &str,
        path: &str,
        call: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Option<&'static str>> {
        let Surrounded { call, .. } = call::read(self, call, py)?;
        match self.guard.passage(&call, method, path) {
            Ok(Passage::Guarded(api)) => Ok(Some(api.as_str())),
            Ok(Passage::Free | Passage::Unguarded) => Ok(None),
            Err(error) => Err(errors::reserve(py, error)),
        }
    }

    /// Settles a detached hold.
    #[pyo3(signature = (token, reply=None, /, *, usage=None, cost=None))]
    fn settle(
        &self,
        py: Python<'_>,
        token: &Bound<'_, PyAny>,
        reply: Option<Bound<'_, PyAny>>,
        usage: Option<Bound<'_, PyAny>>,
        cost: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Receipt> {
        let with = hold::settlement(py, reply.as_ref(), usage.as_ref(), cost.as_ref())?;
        let receipt = self.guard.settle(&json::text(token, "token")?, Settlement::from(&with));
        receipt.map(Receipt::new).map_err(|error| errors::fault(py, &error))
    }

    /// Gives a detached hold back.
    fn release(&self, py: Python<'_>, token: &Bound<'_, PyAny>) -> PyResult<()> {
        self.guard.release(&json::text(token, "token")?).map_err(|error| errors::fault(py, &error))
    }

    /// Records spend that already happened.
    #[pyo3(signature = (*, reply=None, usage=None, cost=None, at=None, **call))]
    fn record(
        &self,
        py: Python<'_>,
        reply: Option<Bound<'_, PyAny>>,
        usage: Option<Bound<'_, PyAny>>,
        cost: Option<Bound<'_, PyAny>>,
        at: Option<Bound<'_, PyAny>>,
        call: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Receipt> {
        let Surrounded { call, .. } = call::read(self, call, py)?;
        let with = hold::settlement(py, reply.as_ref(), usage.as_ref(), cost.as_ref())?;
        let at = at.map(|at| instant(&at)).transpose()?;
        let receipt = self.guard.record(&call, Settlement::from(&with), at);
        receipt.map(Receipt::new).map_err(|error| errors::fault(py, &error))
    }

    /// The exact cost of a usage under the prices in force, for the labels given and those of the block around.
    // Every name is written out: Python makes no dict for arguments that have a place.
    #[pyo3(signature = (
        model, usage, *, provider=None, at=None, tier=None, speed=None, geo=None, region=None,
        tenant=Named(None), user=Named(None), feature=Named(None), agent=Named(None), session=Named(None),
        run=Named(None), tags=Named(None),
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a Python method")]
    fn cost(
        &self,
        py: Python<'_>,
        model: &Bound<'_, PyAny>,
        usage: &Bound<'_, PyAny>,
        provider: Option<Bound<'_, PyAny>>,
        at: Option<Bound<'_, PyAny>>,
        tier: Option<Bound<'_, PyAny>>,
        speed: Option<Bound<'_, PyAny>>,
        geo: Option<Bound<'_, PyAny>>,
        region: Option<Bound<'_, PyAny>>,
        tenant: Named<'_>,
        user: Named<'_>,
        feature: Named<'_>,
        agent: Named<'_>,
        session: Named<'_>,
        run: Named<'_>,
        tags: Named<'_>,
    ) -> PyResult<Cost> {
        let labels = [
            ("tenant", tenant),
            ("user", user),
            ("feature", feature),
            ("agent", agent),
            ("session", session),
            ("run", run),
            ("tags", tags),
        ];
        let mut scope = ambient::labels(py, self.id)?;
        for (name, value) in labels.iter().filter_map(|(name, named)| Some((name, named.0.as_ref()?))) {
            ambient::set_label(&mut scope, name, value)?;
        }
        let with = [provider, at, tier, speed, geo, region];
        let query = self.price_query(py, model, usage, with, scope)?;
        self.guard.cost(&query).map(Cost::new).map_err(|error| errors::fault(py, &error))
    }

    /// The same, and why; as plain values.
    #[pyo3(signature = (model, usage, *, provider=None, at=None, tier=None, speed=None, geo=None, region=None, **scope))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a Python method")]
    fn explain_price<'py>(
        &self,
        py: Python<'py>,
        model: &Bound<'_, PyAny>,
        usage: &Bound<'_, PyAny>,
        provider: Option<Bound<'_, PyAny>>,
        at: Option<Bound<'_, PyAny>>,
        tier: Option<Bound<'_, PyAny>>,
        speed: Option<Bound<'_, PyAny>>,
        geo: Option<Bound<'_, PyAny>>,
        region: Option<Bound<'_, PyAny>>,
        scope: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let with = [provider, at, tier, speed, geo, region];
        let mut labels = ambient::labels(py, self.id)?;
        ambient::set_labels(&mut labels, scope)?;
        let query = self.price_query(py, model, usage, with, labels)?;
        // The price files are read again: other threads go on meanwhile.
        let told = py.detach(|| self.guard.explain(&query)).map_err(|error| errors::fault(py, &error))?;
        json::to_py(py, &ffi::explanation(&told))
    }

    /// Any other method of the core, by name; the GIL is released.
    fn invoke<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        args: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let args = match args.cast::<PyDict>() {
            Ok(args) => Value::Object(json::from_keywords(Some(args))?),
            Err(_) => json::from_py(args, Place::of("arguments"))?,
        };
        let answer = self.call(py, method, &args)?;
        json::to_py(py, &answer)
    }

    /// Starts a run; of the current run if there is one.
    #[pyo3(signature = (options, parent=None))]
    fn open_run(
        &self,
        py: Python<'_>,
        options: &Bound<'_, PyDict>,
        parent: Option<&Bound<'_, Run>>,
    ) -> PyResult<Run> {
        let ambient = ambient::current(py, self.id)?;
        let options = Value::Object(json::from_keywords(Some(options))?);
        let mut options = ffi::run_options(&options).map_err(|error| errors::fault(py, &error))?;
        let ambient = ambient.as_ref().map(Py::get);
        if let Some(ambient) = ambient {
            options.scope = std::sync::Arc::new(options.scope.inside(&ambient.scope));
        }
        if self.traced {
            options.parent = options.parent.or(host::span(py)?);
        }
        let parent = parent.map(|parent| parent.get().run.clone()).or_else(|| ambient?.run.clone());
        let run = match parent {
            Some(parent) => parent.child(options),
            None => self.guard.start_run(options),
        };
        run.map(|run| Run { run }).map_err(|error| errors::reserve(py, error))
    }

    /// A run that was started elsewhere: its token, or the headers that carry it.
    fn resume_native(&self, py: Python<'_>, carried: &Bound<'_, PyAny>) -> PyResult<Run> {
        let carried = json::from_py(carried, Place::of("headers"))?;
        let token = ffi::run_token(&carried).map_err(|error| errors::fault(py, &error))?;
        let run = self.guard.resume_run(&token).map_err(|error| errors::fault(py, &error))?;
        Ok(Run { run })
    }

    /// The surroundings of a block with these labels.
    #[pyo3(signature = (**labels))]
    fn surround(&self, py: Python<'_>, labels: Option<&Bound<'_, PyDict>>) -> PyResult<Ambient> {
        ambient::scoped(py, self.id, labels)
    }

    /// The surroundings of a block of a run.
    fn surround_run(&self, py: Python<'_>, run: &Bound<'_, Run>) -> PyResult<Ambient> {
        ambient::inside(py, self.id, run.get())
    }

    /// Listens to events of these kinds.
    fn subscribe(&self, py: Python<'_>, kinds: Vec<Bound<'_, PyAny>>) -> PyResult<Subscription> {
        let kinds = kinds.iter().map(|kind| json::text(kind, "event")).collect::<PyResult<Vec<_>>>()?;
        let kinds = events::kinds(py, &kinds)?;
        self.guard.subscribe(&kinds).map(Subscription::new).map_err(|error| errors::fault(py, &error))
    }

    /// Calls leave spans and metrics.
    #[getter]
    fn is_traced(&self) -> bool {
        self.traced
    }
}

/// An argument that may be left out: `None` is something that is said.
struct Named<'py>(Option<Bound<'py, PyAny>>);

impl<'py> FromPyObject<'_, 'py> for Named<'py> {
    type Error = Infallible;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> Result<Self, Infallible> {
        Ok(Self(Some(value.to_owned())))
    }
}

/// A `datetime` with a time zone, or RFC 3339.
fn instant(at: &Bound<'_, PyAny>) -> PyResult<Timestamp> {
    let py = at.py();
    match json::from_py(at, Place::of("at"))? {
        Value::String(text) => Timestamp::parse(&text).map_err(|error| errors::fault(py, &error.field("at"))),
        _ => Err(errors::argument(py, "at", "is neither a datetime with a time zone nor RFC 3339")),
    }
}
