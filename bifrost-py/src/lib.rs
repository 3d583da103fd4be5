//! The native module `bifrost._native` beneath the Python package `bifrost`.
//!
//! It translates and decides nothing: one file per exposed type.

use pyo3::prelude::*;

/// What the Python package imports.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
