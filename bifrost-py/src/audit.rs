//! Checking an exported audit trail without a hub.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use bifrost::audit::{Verdict, verify_export};
use bifrost::store::key::Scope;
use bifrost::{Error, Result, TenantId};
use pyo3::prelude::*;

use crate::convert::serialized;
use crate::error::to_py;

/// Checks a file that `Tenant.export_audit` wrote; needs no store and no key. The verdict names the first bad record.
#[pyfunction]
pub(crate) fn verify_audit_file<'py>(py: Python<'py>, path: PathBuf, tenant: &str) -> PyResult<Bound<'py, PyAny>> {
    let verdict = py.detach(|| verify(&path, tenant)).map_err(|error| to_py(py, &error))?;
    serialized(py, &verdict)
}

fn verify(path: &PathBuf, tenant: &str) -> Result<Verdict> {
    let file = File::open(path)
        .map_err(|error| Error::invalid("verify audit trail", error.to_string()).with("file", path.display()))?;
    verify_export(BufReader::new(file), &Scope::tenant(TenantId::new(tenant)?), None)
}
