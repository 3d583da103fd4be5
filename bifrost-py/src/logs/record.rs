//! One thing that was said.

use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

/// See the module. It becomes a Python object on the thread that fetches it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(super) origin: &'static Metadata<'static>,
    pub(super) message: String,
    pub(super) facts: Facts,
    at: SystemTime,
}

impl Record {
    /// What was said here, now.
    #[allow(clippy::disallowed_methods, reason = "a log tells the time of the machine, whatever clock the hub has")]
    pub(super) fn new(origin: &'static Metadata<'static>, mut facts: Facts) -> Self {
        Self { origin, message: facts.take_message(), facts, at: SystemTime::now() }
    }
}

impl<'py> IntoPyObject<'py> for Record {
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let facts = PyDict::new(py);
        for (name, fact) in self.facts.0 {
            facts.set_item(name, fact.into_bound_py_any(py)?)?;
        }
        let at = self.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let place = (self.origin.file(), self.origin.line());
        (level(self.origin.level()), logger(self.origin.target()), self.message, facts, at, place).into_pyobject(py)
    }
}

/// A level as `logging` numbers them.
fn level(level: &Level) -> u32 {
    match *level {
        Level::TRACE => 5,
        Level::DEBUG => 10,
        Level::INFO => 20,
        Level::WARN => 30,
        Level::ERROR => 40,
    }
}

/// The logger of a Rust module: `bifrost`, the crate, and the part of it, such as `bifrost.actors.connection`.
fn logger(target: &str) -> String {
    let path = target.strip_prefix("bifrost_").or_else(|| target.strip_prefix("bifrost::")).unwrap_or("hub");
    let parts: Vec<_> = path.split("::").take(2).collect();
    format!("bifrost.{}", parts.join("."))
}

/// What is known beside the message, by name.
#[derive(Debug, Default, Clone)]
pub(super) struct Facts(Vec<(&'static str, Fact)>);

#[derive(Debug, Clone, PartialEq, IntoPyObject)]
pub(super) enum Fact {
    Text(String),
    Int(i64),
    Uint(u64),
    Float(f64),
    Bool(bool),
}

impl Facts {
    /// Adds what is not known yet.
    pub(super) fn complete(&mut self, others: &Self) {
        for (name, fact) in &others.0 {
            if !self.0.iter().any(|(known, _)| known == name) {
                self.0.push((name, fact.clone()));
            }
        }
    }

    fn set(&mut self, field: &Field, fact: Fact) {
        self.0.retain(|(known, _)| *known != field.name());
        self.0.push((field.name(), fact));
    }

    fn take_message(&mut self) -> String {
        let found = self.0.iter().position(|(name, _)| *name == "message");
        match found.map(|place| self.0.remove(place).1) {
            Some(Fact::Text(message)) => message,
            _ => String::new(),
        }
    }
}

impl Visit for Facts {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Fact::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Fact::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Fact::Uint(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Fact::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, Fact::Text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, Fact::Text(format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logger_is_named_for_crate_and_part() {
        assert_eq!(logger("bifrost_actors::connection::exchange"), "bifrost.actors.connection");
        assert_eq!(logger("bifrost_core"), "bifrost.core");
        assert_eq!(logger("bifrost::providers"), "bifrost.providers");
        assert_eq!(logger("bifrost"), "bifrost.hub");
    }
}
