//! From keyword arguments to a call.

use crate::ambient::{self, Ambient};
use crate::errors;
use crate::guard::Guard;
use crate::host;
use crate::json::{self, Place};
use crate::recent;
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
    let mut labels = None;
    let call = match plain(arguments, &mut labels)? {
        Some(call) => call,
        None => through_the_door(arguments, py)?,
    };
    let call = match (labels, ambient.as_ref().map(Py::get)) {
        (None, None) => call,
        (None, Some(ambient)) => call.whole_scope(Arc::clone(&ambient.scope)),
        (Some(labels), None) => call.scope(recent::shared(labels)),
        (Some(labels), Some(ambient)) => call.whole_scope(recent::shared(labels.inside(&ambient.scope))),
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

/// Labels, and a model call of the plain kind; `None` if there is more than that.
fn plain(arguments: Option<&Bound<'_, PyDict>>, labels: &mut Option<Scope>) -> PyResult<Option<Call>> {
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
            key => simple &= ambient::set_label(labels.get_or_insert_default(), key, &value)?,
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
