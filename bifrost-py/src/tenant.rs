//! Working for one tenant.

use bifrost::{ExecutionId, Run as Start, Timestamp};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::convert::{serialized, to_json, to_python};
use crate::error::to_py;
use crate::execution::Execution;
use crate::options::parse;
use crate::pending::{Answer, answer, hand_over};
use crate::runtime::Runtime;
use crate::settings;

/// See the module.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Tenant {
    tenant: bifrost::Tenant,
    runtime: Runtime,
}

impl Tenant {
    pub(crate) fn new(tenant: bifrost::Tenant, runtime: Runtime) -> Self {
        Self { tenant, runtime }
    }

    /// Starts a call whose answer is data.
    fn data<T, F>(&self, py: Python<'_>, call: F) -> PyResult<Py<PyAny>>
    where
        T: serde::Serialize + Send + 'static,
        F: Future<Output = bifrost::Result<T>> + Send + 'static,
    {
        let call = async move {
            let data = call.await?;
            Ok::<Answer, bifrost::Error>(answer(move |py| serialized(py, &data).map(Bound::unbind)))
        };
        hand_over(py, self.runtime.start_call(call))
    }
}

#[pymethods]
impl Tenant {
    /// Its name.
    #[getter]
    fn id(&self) -> &str {
        self.tenant.id().as_str()
    }

    /// The same on behalf of a user, whom executions and audit trail will name.
    fn acting_as(&self, user: String) -> Self {
        Self::new(self.tenant.clone().acting_as(bifrost::Principal::User(user)), self.runtime.clone())
    }

    /// Its entry in the directory.
    fn record<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let record = self.tenant.record().map_err(|error| to_py(py, &error))?;
        serialized(py, &record)
    }

    /// Starts a workflow; pending until the execution is durable. `starts_at` is in seconds since 1970.
    #[pyo3(signature = (workflow, params, idempotency_key=None, starts_at=None))]
    #[allow(clippy::cast_possible_truncation, reason = "no date is that far away")]
    fn run(
        &self,
        py: Python<'_>,
        workflow: &str,
        params: &Bound<'_, PyAny>,
        idempotency_key: Option<String>,
        starts_at: Option<f64>,
    ) -> PyResult<Py<PyAny>> {
        let mut start = Start::new(workflow, to_json(params)?);
        if let Some(key) = idempotency_key {
            start = start.with_idempotency_key(key);
        }
        if let Some(at) = starts_at {
            start = start.starting_at(Timestamp::from_millis((at * 1000.0) as i64));
        }
        let (tenant, runtime) = (self.tenant.clone(), self.runtime.clone());
        let run = async move {
            let handle = tenant.start(start).await.map_err(|error| whose(error, tenant.id().as_str()))?;
            let execution = Execution::new(handle, tenant.id().to_string(), runtime);
            Ok(answer(move |py| Ok(Py::new(py, execution)?.into_any())))
        };
        hand_over(py, self.runtime.start_call(run))
    }

    /// The handle of an execution that was started before; pending.
    fn execution(&self, py: Python<'_>, id: &str) -> PyResult<Py<PyAny>> {
        let id = execution_id(py, id)?;
        let (tenant, runtime) = (self.tenant.clone(), self.runtime.clone());
        let find = async move {
            let execution = Execution::new(tenant.execution(id).await?, tenant.id().to_string(), runtime);
            Ok(answer(move |py| Ok(Py::new(py, execution)?.into_any())))
        };
        hand_over(py, self.runtime.start_call(find))
    }

    /// Records of executions, newest first; pending.
    fn executions(&self, py: Python<'_>, before: Option<&str>, limit: usize) -> PyResult<Py<PyAny>> {
        let before = before.map(|id| execution_id(py, id)).transpose()?;
        let tenant = self.tenant.clone();
        self.data(py, async move { tenant.executions(before, limit).await })
    }

    /// Decides about an execution that needs attention; pending.
    fn resolve(&self, py: Python<'_>, id: &str, resolution: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let id = execution_id(py, id)?;
        let resolution = parse("resolve execution", to_json(resolution)?).map_err(|error| to_py(py, &error))?;
        let tenant = self.tenant.clone();
        self.data(py, async move { tenant.resolve(id, resolution).await })
    }

    /// A configuration value as the tenant sees it; pending.
    fn config(&self, py: Python<'_>, key: String) -> PyResult<Py<PyAny>> {
        let tenant = self.tenant.clone();
        let read = async move {
            let value = tenant.config().get(&key).await?.unwrap_or(Value::Null);
            Ok(answer(move |py| to_python(py, value).map(Bound::unbind)))
        };
        hand_over(py, self.runtime.start_call(read))
    }

    /// Sets a configuration value; pending.
    fn set_config(&self, py: Python<'_>, key: String, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (tenant, value) = (self.tenant.clone(), to_json(value)?);
        self.data(py, async move { tenant.config().set(&key, value).await })
    }

    /// Removes a configuration value; pending.
    fn delete_config(&self, py: Python<'_>, key: String) -> PyResult<Py<PyAny>> {
        let tenant = self.tenant.clone();
        self.data(py, async move { tenant.config().delete(&key).await })
    }

    /// The tenant's own configuration keys; pending.
    fn config_keys(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let tenant = self.tenant.clone();
        self.data(py, async move { tenant.config().keys().await })
    }

    /// Stores a secret; pending.
    fn set_secret(&self, py: Python<'_>, name: String, text: String) -> PyResult<Py<PyAny>> {
        let tenant = self.tenant.clone();
        self.data(py, async move { tenant.secrets().set(&name, text).await })
    }

    /// Removes a secret; pending.
    fn delete_secret(&self, py: Python<'_>, name: String) -> PyResult<Py<PyAny>> {
        let tenant = self.tenant.clone();
        self.data(py, async move { tenant.secrets().delete(&name).await })
    }

    /// The names of the tenant's own secrets; pending.
    fn secret_names(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let tenant = self.tenant.clone();
        self.data(py, async move { tenant.secrets().names().await })
    }

    /// Makes a connection; pending. See `settings.rs` for what the dictionaries hold.
    fn create_connection(
        &self,
        py: Python<'_>,
        id: String,
        provider: &str,
        options: &Bound<'_, PyAny>,
        credential: &Bound<'_, PyAny>,
        replace: bool,
    ) -> PyResult<Py<PyAny>> {
        let settings = settings::connection(provider, to_json(options)?).map_err(|error| to_py(py, &error))?;
        let credential = settings::credential(to_json(credential)?).map_err(|error| to_py(py, &error))?;
        let tenant = self.tenant.clone();
        self.data(py, async move {
            let connections = tenant.connections();
            if replace {
                connections.update(&id, settings, credential).await
            } else {
                connections.create(&id, settings, credential).await
            }
        })
    }

    /// All connections' settings; pending.
    fn connections(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let tenant = self.tenant.clone();
        self.data(py, async move { tenant.connections().list().await })
    }

    /// How a connection is doing; pending.
    fn connection_status(&self, py: Python<'_>, id: String) -> PyResult<Py<PyAny>> {
        let tenant = self.tenant.clone();
        self.data(py, async move { tenant.connections().status(&id).await })
    }

    /// Changes a connection: `disable`, `enable`, `delete`, or obtains a token as a `test`; pending.
    fn change_connection(&self, py: Python<'_>, id: String, change: &str) -> PyResult<Py<PyAny>> {
        let (tenant, change) = (self.tenant.clone(), change.to_owned());
        self.data(py, async move {
            let connections = tenant.connections();
            match change.as_str() {
                "disable" => connections.disable(&id).await,
                "enable" => connections.enable(&id).await,
                "delete" => connections.delete(&id).await,
                _ => connections.test(&id).await,
            }
        })
    }

    /// A connection to call through, outside of a workflow; pending.
    fn connection(&self, py: Python<'_>, id: String) -> PyResult<Py<PyAny>> {
        let (tenant, runtime) = (self.tenant.clone(), self.runtime.clone());
        let find = async move {
            let connection = Connection::of_tenant(tenant.connections().get(&id).await?, runtime);
            Ok(answer(move |py| Ok(Py::new(py, connection)?.into_any())))
        };
        hand_over(py, self.runtime.start_call(find))
    }

    /// A page of the audit trail; pending.
    fn audit(&self, py: Python<'_>, after: Option<u64>, limit: usize) -> PyResult<Py<PyAny>> {
        let tenant = self.tenant.clone();
        self.data(py, async move { tenant.audit(after, limit).await })
    }

    /// Verifies the whole audit trail; pending.
    fn verify_audit(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let tenant = self.tenant.clone();
        self.data(py, async move { tenant.verify_audit().await })
    }

    /// Writes the whole audit trail to a new file; pending; comes to the number of its last record and its hash.
    fn export_audit(&self, py: Python<'_>, path: std::path::PathBuf) -> PyResult<Py<PyAny>> {
        let tenant = self.tenant.clone();
        self.data(py, async move {
            let file = std::fs::File::create_new(&path).map_err(|error| {
                bifrost::Error::invalid("export audit trail", error.to_string()).with("file", path.display())
            })?;
            let head = tenant.export_audit(std::io::BufWriter::new(file)).await?;
            let hash: String = head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(json!({"last": head.number, "head": hash}))
        })
    }

    /// How it is doing; pending.
    fn snapshot(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let tenant = self.tenant.clone();
        self.data(py, async move { tenant.snapshot().await })
    }
}

/// The error with the tenant it is about.
pub(crate) fn whose(error: bifrost::Error, tenant: &str) -> bifrost::Error {
    if error.context("tenant").is_some() { error } else { error.with("tenant", tenant) }
}

fn execution_id(py: Python<'_>, text: &str) -> PyResult<ExecutionId> {
    text.parse().map_err(|error: bifrost::Error| to_py(py, &error))
}
