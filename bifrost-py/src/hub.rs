//! Opening, using and closing a hub.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bifrost::policy::quota::Quota;
use bifrost::{Entropy, HubConfig, NewTenant, Result, SystemEntropy};
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::clock::Clock;
use crate::convert::{serialized, to_json};
use crate::error::to_py;
use crate::mailbox::Mailbox;
use crate::options::parse;
use crate::pending::{Answer, answer, hand_over};
use crate::runtime::Runtime;
use crate::simulators::Simulators;
use crate::store::Store;
use crate::tenant::Tenant;
use crate::workflow::{Description, PyWorkflow};

/// What may be said about a hub when it is opened; times are seconds.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OpenOptions {
    path: Option<PathBuf>,
    threads: Option<usize>,
    max_running: Option<usize>,
    reveal_secrets: bool,
    cancel_grace: Option<f64>,
    seed: Option<u64>,
    /// Leaves what had not ended where it is: for a look at the store.
    look: bool,
}

/// What a tenant is made of.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TenantOptions {
    title: Option<String>,
    provider: bool,
    quota: Option<Quota>,
    mappings: std::collections::BTreeMap<String, String>,
}

/// A running hub. Dropping it ends it without waiting: what runs goes on at the next start.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Hub {
    hub: bifrost::Hub,
    runtime: Runtime,
}

#[pymethods]
impl Hub {
    /// Opens a hub; pending. `workflows` pairs the description of each with the mailbox its runs go to.
    #[staticmethod]
    #[pyo3(signature = (options, workflows, simulators=None, clock=None, store=None))]
    fn open(
        py: Python<'_>,
        options: &Bound<'_, PyAny>,
        workflows: Vec<(Bound<'_, PyAny>, PyRef<'_, Mailbox>)>,
        simulators: Option<PyRef<'_, Simulators>>,
        clock: Option<PyRef<'_, Clock>>,
        store: Option<PyRef<'_, Store>>,
    ) -> PyResult<Py<PyAny>> {
        let fail = |error: bifrost::Error| to_py(py, &error);
        let options: OpenOptions = parse("open hub", to_json(options)?).map_err(fail)?;
        // One core is Python's: a thread more than the rest only takes turns with it.
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let threads = options.threads.unwrap_or_else(|| (cores - 1).clamp(1, 4));
        let runtime = Runtime::start(threads).map_err(fail)?;
        let mut builder = bifrost::Hub::builder().with_config(config(&options).map_err(fail)?);
        for (description, mailbox) in workflows {
            let workflow = described(&description, &mailbox, &runtime)?.map_err(fail)?;
            builder = builder.with_workflow(workflow);
        }
        if let Some(clock) = clock {
            builder = builder.with_clock(Arc::new(clock.inner()));
        }
        builder = builder.with_entropy(entropy(options.seed));
        if options.look {
            builder = builder.without_taking_up();
        }
        builder = match (store, options.path) {
            (Some(store), _) => store.under(builder),
            (None, Some(path)) => builder.with_data_dir(path),
            (None, None) => builder,
        };
        builder = match simulators {
            Some(simulators) => builder.with_integrations(bifrost::testing::simulated(&simulators.inner())),
            None => builder.with_integrations(bifrost::providers),
        };
        let kept = runtime.clone();
        let open = async move {
            let hub = builder.start().await?;
            Ok(answer(move |py| Ok(Py::new(py, Hub { hub, runtime: kept })?.into_any())))
        };
        hand_over(py, runtime.start_in_background(open))
    }

    /// Adds a workflow, in place of one of the same name.
    fn register(&self, description: &Bound<'_, PyAny>, mailbox: &Mailbox) -> PyResult<()> {
        let workflow = described(description, mailbox, &self.runtime)?;
        let workflow = workflow.map_err(|error| to_py(description.py(), &error))?;
        drop(self.hub.register(Arc::new(workflow)));
        Ok(())
    }

    /// A tenant's handle.
    fn tenant(&self, py: Python<'_>, id: &str) -> PyResult<Tenant> {
        let found = self.runtime.check_process().and_then(|()| self.hub.tenant(id));
        found.map(|tenant| Tenant::new(tenant, self.runtime.clone())).map_err(|error| to_py(py, &error))
    }

    /// Makes a tenant, or finds it when `or_get`; pending.
    fn create_tenant(&self, py: Python<'_>, id: &str, options: &Bound<'_, PyAny>, or_get: bool) -> PyResult<Py<PyAny>> {
        let options: TenantOptions = parse("create tenant", to_json(options)?).map_err(|error| to_py(py, &error))?;
        let mut new = if options.provider { NewTenant::provider(id) } else { NewTenant::customer(id) };
        if let Some(title) = options.title {
            new = new.with_title(title);
        }
        if let Some(quota) = options.quota {
            new = new.with_quota(quota);
        }
        for (provider, entity) in options.mappings {
            new = new.with_mapping(provider, entity);
        }
        let (hub, runtime) = (self.hub.clone(), self.runtime.clone());
        let create = async move {
            let tenants = hub.tenants();
            let tenant = if or_get { tenants.get_or_create(new).await? } else { tenants.create(new).await? };
            Ok(answer(move |py| Ok(Py::new(py, Tenant::new(tenant, runtime))?.into_any())))
        };
        hand_over(py, self.runtime.start_call(create))
    }

    /// All tenants' entries, by name.
    fn tenants<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        serialized(py, &self.hub.tenants().list())
    }

    /// Changes a tenant: `set_quota` with a quota, `set_mapping` with provider and entity, `disable`, `enable`,
    /// `delete`; pending.
    fn change_tenant(
        &self,
        py: Python<'_>,
        id: String,
        change: &str,
        argument: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let (hub, change, argument) = (self.hub.clone(), change.to_owned(), to_json(argument)?);
        let work = async move {
            change_tenant(&hub, &id, &change, argument).await?;
            Ok::<Answer, _>(answer(|py| Ok(py.None())))
        };
        hand_over(py, self.runtime.start_call(work))
    }

    /// How the hub is doing.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        serialized(py, &self.hub.snapshot())
    }

    /// Whether nothing goes on until something happens: a timer, a provider's answer, a call.
    fn is_resting(&self) -> bool {
        self.runtime.is_resting()
    }

    /// Panics inside a call, for tests of what a defect of the hub looks like from outside; pending.
    #[allow(clippy::panic, reason = "that is what it is for")]
    fn provoke_panic(&self, py: Python<'_>, in_background: bool) -> PyResult<Py<PyAny>> {
        let call = async { panic!("provoked by a test") };
        let started =
            if in_background { self.runtime.start_in_background(call) } else { self.runtime.start_call(call) };
        hand_over(py, started)
    }

    /// Ends the hub: lets what runs end for up to `seconds`, puts back the rest; pending; comes to how many were put
    /// back.
    fn close(&self, py: Python<'_>, seconds: f64) -> PyResult<Py<PyAny>> {
        let (hub, runtime) = (self.hub.clone(), self.runtime.clone());
        let deadline = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let close = async move {
            let closed = hub.shutdown(deadline).await;
            // Held until somebody has the answer: whoever closes lets go of the hub at once, and with it of its threads.
            Ok(answer(move |py| {
                drop(runtime);
                let requeued = closed.map_err(|error| to_py(py, &error))?.requeued;
                Ok(requeued.into_pyobject(py)?.into_any().unbind())
            }))
        };
        hand_over(py, self.runtime.start_in_background(close))
    }
}

fn described(description: &Bound<'_, PyAny>, mailbox: &Mailbox, runtime: &Runtime) -> PyResult<Result<PyWorkflow>> {
    let description = parse::<Description>("register workflow", to_json(description)?);
    Ok(description.and_then(|description| PyWorkflow::new(description, mailbox.post(), runtime.clone())))
}

fn config(options: &OpenOptions) -> Result<HubConfig> {
    let defaults = HubConfig::default();
    let grace = match options.cancel_grace {
        Some(seconds) => Duration::try_from_secs_f64(seconds)
            .map_err(|_| bifrost::Error::invalid("open hub", "cancel_grace is no duration in seconds"))?,
        None => defaults.cancel_grace,
    };
    Ok(HubConfig {
        max_running: options.max_running.unwrap_or(defaults.max_running),
        cancel_grace: grace,
        reveal_secrets: options.reveal_secrets,
        ..defaults
    })
}

fn entropy(seed: Option<u64>) -> Arc<dyn Entropy> {
    match seed {
        Some(seed) => Arc::new(bifrost::testing::SeededEntropy::new(seed)),
        None => Arc::new(SystemEntropy),
    }
}

async fn change_tenant(hub: &bifrost::Hub, id: &str, change: &str, argument: Value) -> Result<()> {
    let tenants = hub.tenants();
    match change {
        "disable" => tenants.disable(id).await,
        "enable" => tenants.enable(id).await,
        "delete" => tenants.delete(id).await,
        "set_quota" => tenants.set_quota(id, parse("set quota", argument)?).await,
        "set_mapping" => {
            let (provider, entity): (String, String) = parse("set mapping", argument)?;
            let mapping = bifrost::tenant::EntityMapping { entity, title: None };
            tenants.set_mapping(id, &provider, mapping).await
        }
        _ => Err(bifrost::Error::internal("change tenant", "no such change")),
    }
}
