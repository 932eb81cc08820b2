//! From keyword arguments to a call.

use crate::ambient::{self, Ambient};
use crate::errors;
use crate::guard::Guard;
use crate::host;
use crate::json::{self, Place};
use crate::recent::{self, PLAIN};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString};
use serde_json::{Map, Value};
use spendrail::engine::Call;
use spendrail::ffi;
use spendrail::values::Scope;
use std::sync::Arc;

/// A call inside its surroundings.
pub(crate) struct Surrounded {
    pub(crate) call: Call,
    pub(crate) ambient: Option<Py<Ambient>>,
}

/// Reads the arguments of `reserve`. The usual ones go straight to the core's builder, the others through its door.
pub(crate) fn read(
    guard: &Guard,
    arguments: Option<&Bound<'_, PyDict>>,
    py: Python<'_>,
) -> PyResult<Surrounded> {
    let ambient = ambient::current(py, guard.id)?;
    let mut labels = Labels::default();
    let call = match plain(arguments, &mut labels)? {
        Some(call) => call,
        None => through_the_door(arguments, py)?,
    };
    let around = ambient.as_ref().map(|ambient| &ambient.get().scope);
    let call = match (labels.scope(around)?, around) {
        (None, None) => call,
        (None, Some(around)) => call.whole_scope(Arc::clone(around)),
        (Some(scope), None) => call.scope(scope),
        (Some(scope), Some(_)) => call.whole_scope(scope),
    };
    let call = match guard.traced {
        true => match host::span(py)? {
            Some(parent) => call.parent(parent),
            None => call,
        },
        false => call,
    };
    Ok(Surrounded { call, ambient })
}

/// The labels that a call names.
#[derive(Default)]
struct Labels<'py> {
    plain: [Option<Bound<'py, PyAny>>; PLAIN.len()],
    tags: Option<Bound<'py, PyAny>>,
}

impl<'py> Labels<'py> {
    /// Takes an argument that is a label; `false`: it is none.
    fn take(&mut self, key: &str, value: Bound<'py, PyAny>) -> bool {
        let at = PLAIN.iter().position(|name| *name == key);
        match at.and_then(|at| self.plain.get_mut(at)) {
            Some(place) => *place = Some(value),
            None if key == "tags" => self.tags = Some(value),
            None => return false,
        }
        true
    }

    /// The scope of these labels inside of `around`, if there are any.
    fn scope(&self, around: Option<&Arc<Scope>>) -> PyResult<Option<Arc<Scope>>> {
        let named = || self.plain.iter().zip(PLAIN).filter_map(|(value, name)| Some((name, value.as_ref()?)));
        if self.tags.is_none() {
            if named().next().is_none() {
                return Ok(None);
            }
            let plain = self.plain.each_ref().map(|value| utf8(value.as_ref()?));
            // What is no text was not kept either, but must not pass for a label that was not given.
            if plain.iter().flatten().count() == named().count()
                && let Some(scope) = recent::recalled(around, &plain)
            {
                return Ok(Some(scope));
            }
        }
        let mut scope = Scope::default();
        for (name, value) in named().chain(self.tags.as_ref().map(|tags| ("tags", tags))) {
            ambient::set_label(&mut scope, name, value)?;
        }
        Ok(Some(recent::shared(around, scope)))
    }
}

/// Labels, and a model call of the plain kind; `None` if there is more than that.
fn plain<'py>(arguments: Option<&Bound<'py, PyDict>>, labels: &mut Labels<'py>) -> PyResult<Option<Call>> {
    let (mut provider, mut model, mut id) = (None, None, None);
    let (mut input, mut output, mut simple) = (None, None, true);
    for (key, value) in arguments.into_iter().flat_map(|arguments| arguments.iter()) {
        if value.is_none() {
            continue;
        }
        let key = key.cast_into::<PyString>()?;
        match key.to_str().map_err(|_| errors::not_utf8(key.py(), ""))? {
            "provider" => provider = text(value, &mut simple),
            "model" => model = text(value, &mut simple),
            "id" => id = text(value, &mut simple),
            "input_tokens" => input = count(&value, &mut simple),
            "max_output_tokens" => output = count(&value, &mut simple),
            key => simple &= labels.take(key, value),
        }
    }
    let (Some(model), true) = (model, simple) else { return Ok(None) };
    let provider = match &provider {
        Some(provider) => provider.to_str()?,
        None => "",
    };
    let mut call = Call::new(provider, model.to_str()?);
    if let Some(tokens) = input {
        call = call.input_tokens(tokens);
    }
    if let Some(tokens) = output {
        call = call.max_output_tokens(tokens);
    }
    if let Some(id) = &id {
        call = call.id(id.to_str()?);
    }
    Ok(Some(call))
}

fn utf8<'a>(value: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    value.cast::<PyString>().ok()?.to_str().ok()
}

/// A text in UTF-8; anything else is for the door, which has the error.
fn text<'py>(value: Bound<'py, PyAny>, simple: &mut bool) -> Option<Bound<'py, PyString>> {
    let text =
        value.cast_into::<PyString>().ok().filter(|text| text.to_str().is_ok_and(|text| !text.is_empty()));
    *simple &= text.is_some();
    text
}

fn count(value: &Bound<'_, PyAny>, simple: &mut bool) -> Option<u64> {
    let number = value.cast_exact::<PyInt>().ok().and_then(|number| number.extract::<u64>().ok());
    *simple &= number.is_some();
    number
}

fn through_the_door(arguments: Option<&Bound<'_, PyDict>>, py: Python<'_>) -> PyResult<Call> {
    let mut args = Map::new();
    for (key, value) in arguments.into_iter().flat_map(|arguments| arguments.iter()) {
        let key = key.cast_into::<PyString>()?;
        let key = key.to_str().map_err(|_| errors::not_utf8(py, ""))?;
        let label = matches!(key, "tenant" | "user" | "feature" | "agent" | "session" | "run" | "tags");
        if !label && !value.is_none() {
            args.insert(key.to_owned(), json::from_py(&value, Place::of(key))?);
        }
    }
    ffi::call(&Value::Object(args)).map_err(|error| errors::fault(py, &error))
}
