//! Python values as JSON and back. Values pass as they are: nothing is coerced, so that the core sees a float, a bool
//! or a number that is too large for what it is.

use crate::errors;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple};
use serde_json::{Map, Number, Value};
use spendrail::{Code, Error};

/// How deep a value may be nested.
const DEPTH_MAX: usize = 128;

/// Where a value stands, told only when something is wrong with it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    above: Option<&'a Place<'a>>,
    key: Key<'a>,
    depth: usize,
    /// It stands in a configuration: what is wrong there is wrong with the configuration.
    config: bool,
}

#[derive(Clone, Copy)]
enum Key<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    /// An argument.
    pub(crate) const fn of(name: &'a str) -> Self {
        Self { above: None, key: Key::Name(name), depth: 0, config: false }
    }

    /// A configuration.
    pub(crate) const fn of_config() -> Self {
        Self { above: None, key: Key::Name(""), depth: 0, config: true }
    }

    fn wrong(&self, py: Python<'_>, message: &str) -> PyErr {
        self.error(py, Error::new(Code::ArgumentInvalid, message))
    }

    fn not_utf8(&self, py: Python<'_>) -> PyErr {
        self.error(py, Error::new(Code::LabelInvalid, "is not valid UTF-8: it has a lone surrogate"))
    }

    fn error(&self, py: Python<'_>, error: Error) -> PyErr {
        let error = error.field(self.path());
        if self.config {
            return errors::config(py, &error.recode(Code::ArgumentInvalid, Code::ConfigInvalid));
        }
        errors::fault(py, &error)
    }

    fn inner(&'a self, key: Key<'a>) -> Self {
        Self { above: Some(self), key, depth: self.depth.saturating_add(1), config: self.config }
    }

    fn path(&self) -> String {
        let above = self.above.map(Place::path).unwrap_or_default();
        match self.key {
            Key::Index(at) => format!("{above}[{at}]"),
            // A key of 10 MB is not worth a message of 10 MB.
            Key::Name(name) => {
                let short: String = name.chars().take(80).collect();
                if above.is_empty() { short } else { format!("{above}.{short}") }
            }
        }
    }
}

/// A Python value as JSON: None, bool, int, float, str, mappings, lists and tuples; `Decimal`, dates and paths as text;
/// objects that know how to write themselves (`to_dict`, `model_dump`).
pub(crate) fn from_py(value: &Bound<'_, PyAny>, place: Place<'_>) -> PyResult<Value> {
    let py = value.py();
    if place.depth > DEPTH_MAX {
        return Err(place.wrong(py, "is nested too deep"));
    }
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(text) = value.cast::<PyString>() {
        return match text.to_str() {
            Ok(text) => Ok(Value::String(text.to_owned())),
            Err(_) => Err(place.not_utf8(py)),
        };
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        let number =
            value.extract::<i64>().map(Number::from).or_else(|_| value.extract::<u64>().map(Number::from));
        return match number {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) => Err(place.wrong(py, "is out of range: it has more than 64 bits")),
        };
    }
    if let Ok(float) = value.cast::<PyFloat>() {
        return match Number::from_f64(float.value()) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(place.wrong(py, "is not a finite number")),
        };
    }
    if let Ok(map) = value.cast::<PyDict>() {
        return from_dict(map, place).map(Value::Object);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        return from_sequence(value, place);
    }
    from_other(value, place)
}

/// An argument that is a text.
pub(crate) fn text(value: &Bound<'_, PyAny>, name: &str) -> PyResult<String> {
    if let Ok(text) = value.cast::<PyString>() {
        return text.to_str().map(str::to_owned).map_err(|_| Place::of(name).not_utf8(value.py()));
    }
    // What cannot be passed at all is told as such.
    from_py(value, Place::of(name))?;
    Err(errors::argument(value.py(), name, "is not a text"))
}

/// An argument that is a text or nothing.
pub(crate) fn optional(value: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Option<String>> {
    value.filter(|value| !value.is_none()).map(|value| text(value, name)).transpose()
}

/// A dict as a JSON object.
pub(crate) fn from_dict(dict: &Bound<'_, PyDict>, place: Place<'_>) -> PyResult<Map<String, Value>> {
    let mut out = Map::with_capacity(dict.len());
    for (key, value) in dict.iter() {
        let key = key_text(&key, place)?;
        let value = from_py(&value, place.inner(Key::Name(&key)))?;
        out.insert(key, value);
    }
    Ok(out)
}

/// Keyword arguments as a JSON object: `None` is an argument that was not given.
pub(crate) fn from_keywords(arguments: Option<&Bound<'_, PyDict>>) -> PyResult<Map<String, Value>> {
    let mut out = Map::new();
    for (key, value) in arguments.into_iter().flat_map(|arguments| arguments.iter()) {
        if !value.is_none() {
            let key = key_text(&key, Place::of(""))?;
            let value = from_py(&value, Place::of(&key))?;
            out.insert(key, value);
        }
    }
    Ok(out)
}

fn key_text(key: &Bound<'_, PyAny>, place: Place<'_>) -> PyResult<String> {
    let py = key.py();
    let Ok(text) = key.cast::<PyString>() else {
        return Err(place.wrong(py, "has a key that is not a text"));
    };
    text.to_str().map(str::to_owned).map_err(|_| place.not_utf8(py))
}

fn from_sequence(value: &Bound<'_, PyAny>, place: Place<'_>) -> PyResult<Value> {
    let mut out = Vec::new();
    for (at, item) in value.try_iter()?.enumerate() {
        out.push(from_py(&item?, place.inner(Key::Index(at)))?);
    }
    Ok(Value::Array(out))
}

fn from_other(value: &Bound<'_, PyAny>, place: Place<'_>) -> PyResult<Value> {
    let py = value.py();
    for writer in ["to_dict", "model_dump"] {
        if let Ok(method) = value.getattr(writer) {
            return from_py(&method.call0()?, Place { depth: place.depth.saturating_add(1), ..place });
        }
    }
    if let Ok(map) = value.cast::<PyMapping>() {
        let dict = PyDict::new(py);
        dict.update(map)?;
        return from_dict(&dict, place).map(Value::Object);
    }
    if value.is_instance_of::<pyo3::types::PyBytes>() {
        return Err(place.wrong(py, "is bytes, not a text"));
    }
    if value.cast::<PySequence>().is_ok() {
        return from_sequence(value, place);
    }
    if let Ok(text) = value.getattr("isoformat") {
        return from_py(&text.call0()?, Place { depth: place.depth.saturating_add(1), ..place });
    }
    let kind = value.get_type().name()?.to_string();
    if matches!(
        kind.as_str(),
        "Decimal" | "UUID" | "PosixPath" | "WindowsPath" | "PurePosixPath" | "ZoneInfo"
    ) {
        return from_py(value.str()?.as_any(), place);
    }
    Err(place.wrong(py, &format!("is of type {kind}, which cannot be passed")))
}

/// JSON as Python values.
pub(crate) fn to_py<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(flag) => flag.into_bound_py_any(py),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into_bound_py_any(py),
            (None, Some(number)) => number.into_bound_py_any(py),
            (None, None) => number.as_f64().into_bound_py_any(py),
        },
        Value::String(text) => text.into_bound_py_any(py),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_py(py, item)?)?;
            }
            Ok(list.into_any())
        }
        Value::Object(map) => {
            let dict = PyDict::new(py);
            for (key, value) in map {
                dict.set_item(key, to_py(py, value)?)?;
            }
            Ok(dict.into_any())
        }
    }
}
