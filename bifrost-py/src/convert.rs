//! JSON ⇄ Python, without a detour through text.
//!
//! Plain values are converted here; whatever else Python hands over (dataclasses, dates, enums, pydantic models) is
//! first made plain by `bifrost._encode.encode`, so that there is one place that decides how a type looks as JSON.

use bifrost::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use serde_json::{Map, Number, Value};

use crate::error::to_py;

/// The deepest nesting that is accepted.
const MAX_DEPTH: usize = 128;

/// A Python value as JSON.
///
/// # Errors
/// `InvalidInput` that names the path and the type, never the value.
pub(crate) fn to_json(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    read(value, &mut Path::default())
}

/// JSON as a Python value.
pub(crate) fn to_python<'py>(py: Python<'py>, value: Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(flag) => PyBool::new(py, flag).to_owned().into_any(),
        Value::Number(number) => number_to_python(py, &number)?,
        Value::String(text) => PyString::new(py, &text).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(fields) => {
            let dict = PyDict::new(py);
            for (key, value) in fields {
                dict.set_item(key, to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// Anything that serializes, as plain Python values.
pub(crate) fn serialized<'py>(py: Python<'py>, value: &impl serde::Serialize) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_json::to_value(value)
        .map_err(|error| to_py(py, &Error::internal("convert to Python", error.to_string())))?;
    to_python(py, value)
}

fn number_to_python<'py>(py: Python<'py>, number: &Number) -> PyResult<Bound<'py, PyAny>> {
    if let Some(value) = number.as_i64() {
        return Ok(value.into_pyobject(py)?.into_any());
    }
    if let Some(value) = number.as_u64() {
        return Ok(value.into_pyobject(py)?.into_any());
    }
    Ok(number.as_f64().unwrap_or(f64::NAN).into_pyobject(py)?.into_any())
}

/// Where in the value we are.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn refuse(&self, py: Python<'_>, message: &str) -> PyErr {
        let path = if self.0.is_empty() { "/".to_owned() } else { format!("/{}", self.0.join("/")) };
        to_py(py, &Error::invalid("convert to JSON", format!("{path}: {message}")).with("path", path))
    }
}

fn read(value: &Bound<'_, PyAny>, path: &mut Path) -> PyResult<Value> {
    if path.0.len() >= MAX_DEPTH {
        return Err(path.refuse(value.py(), "nested too deeply"));
    }
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(text) = value.cast_exact::<PyString>() {
        return Ok(Value::String(text.to_str()?.to_owned()));
    }
    if let Ok(flag) = value.cast_exact::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if let Ok(number) = value.cast_exact::<PyInt>() {
        return read_int(number, path);
    }
    if let Ok(number) = value.cast_exact::<PyFloat>() {
        let found = Number::from_f64(number.value());
        return found.map(Value::Number).ok_or_else(|| path.refuse(value.py(), "not a finite number"));
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return read_dict(dict, path);
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return read_items(list.iter(), path);
    }
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return read_items(tuple.iter(), path);
    }
    read_encoded(value, path)
}

fn read_int(number: &Bound<'_, PyInt>, path: &Path) -> PyResult<Value> {
    if let Ok(value) = number.extract::<i64>() {
        return Ok(value.into());
    }
    match number.extract::<u64>() {
        Ok(value) => Ok(value.into()),
        Err(_) => Err(path.refuse(number.py(), "the integer needs more than 64 bits; pass it as text")),
    }
}

fn read_dict(dict: &Bound<'_, PyDict>, path: &mut Path) -> PyResult<Value> {
    let mut fields = Map::with_capacity(dict.len());
    for (key, value) in dict.iter() {
        let Ok(key) = key.cast::<PyString>() else {
            return Err(path.refuse(dict.py(), "a key is no text"));
        };
        path.0.push(key.to_str()?.to_owned());
        let value = read(&value, path)?;
        let key = path.0.pop().unwrap_or_default();
        fields.insert(key, value);
    }
    Ok(Value::Object(fields))
}

fn read_items<'py>(items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>, path: &mut Path) -> PyResult<Value> {
    let mut list = Vec::with_capacity(items.len());
    for (index, item) in items.enumerate() {
        path.0.push(index.to_string());
        list.push(read(&item, path)?);
        path.0.pop();
    }
    Ok(Value::Array(list))
}

/// Makes a value plain first; what comes back must be, or it is refused.
fn read_encoded(value: &Bound<'_, PyAny>, path: &mut Path) -> PyResult<Value> {
    static ENCODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let encode = ENCODE.import(py, "bifrost._encode", "encode")?;
    let plain = encode.call1((value,)).map_err(|error| path.refuse(py, &error.value(py).to_string()))?;
    if plain.get_type().is(value.get_type()) && plain.is(value) {
        let name = value.get_type().name()?.to_string();
        return Err(path.refuse(py, &format!("a value of type {name} has no form as JSON")));
    }
    path.0.push(String::new());
    let read = read(&plain, path);
    path.0.pop();
    read
}
