//! The simulated providers.

mod options;
mod server;

use std::sync::Arc;

use bifrost::testing::{AadError, FaultRule};
use bifrost::{Error, Result};
use pyo3::prelude::*;
use serde_json::{Value, json};

use self::options::{CustomerOptions, Options};
pub(crate) use self::server::SimulatorServer;
use crate::clock::Clock;
use crate::convert::{serialized, to_json};
use crate::error::to_py;
use crate::options::parse;
use crate::pending::{answer, hand_over};
use crate::runtime::Runtime;

/// What opens the simulators, and nothing else.
pub(crate) fn add_constants(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("SIMULATOR_CLIENT_ID", bifrost::testing::DEMO_CLIENT_ID)?;
    module.add("SIMULATOR_CLIENT_SECRET", bifrost::testing::DEMO_CLIENT_SECRET)?;
    module.add("SIMULATOR_HALOPSA_CLIENT_ID", bifrost::testing::DEMO_HALOPSA_CLIENT_ID)?;
    module.add("SIMULATOR_HALOPSA_CLIENT_SECRET", bifrost::testing::DEMO_HALOPSA_CLIENT_SECRET)?;
    module.add("SIMULATOR_HALOPSA_INSTANCE", bifrost::testing::HALOPSA_INSTANCE)
}

/// A simulated identity platform, Graph and HaloPSA.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Simulators(bifrost::testing::Simulators);

impl Simulators {
    /// The simulators themselves.
    pub(crate) fn inner(&self) -> bifrost::testing::Simulators {
        self.0.clone()
    }
}

#[pymethods]
impl Simulators {
    /// A world made of `seed`, with the demo customers unless `options` names others. See `options.rs`.
    #[new]
    #[pyo3(signature = (seed=7, clock=None, options=None))]
    fn new(
        py: Python<'_>,
        seed: u64,
        clock: Option<PyRef<'_, Clock>>,
        options: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let options = options.map_or_else(|| Ok(json!({})), to_json)?;
        let options: Options = parse("start simulators", options).map_err(|error| to_py(py, &error))?;
        let mut builder = bifrost::testing::Simulators::builder().with_seed(seed);
        if let Some(clock) = clock {
            builder = builder.with_clock(Arc::new(clock.inner()));
        }
        let builder = options.apply(builder).map_err(|error| to_py(py, &error))?;
        Ok(Self(py.detach(|| builder.build())))
    }

    /// Requests that were answered so far.
    fn request_count(&self) -> u64 {
        self.0.request_count()
    }

    /// Requests that were answered 429 so far.
    fn throttled_count(&self) -> u64 {
        self.0.throttled_count()
    }

    /// The last requests, oldest first.
    fn requests<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let requests = py.detach(|| self.0.requests());
        serialized(py, &requests)
    }

    /// Counts and log of the whole world.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let state = py.detach(|| futures_util::FutureExt::now_or_never(self.0.state()).unwrap_or(Value::Null));
        serialized(py, &state)
    }

    /// What a provider holds: `users`, `groups`, `licenses` of a tenant, `tickets`, `clients`, `halopsa_users`, or
    /// `actions` of a ticket.
    #[pyo3(signature = (what, of=""))]
    fn look<'py>(&self, py: Python<'py>, what: &str, of: &str) -> PyResult<Bound<'py, PyAny>> {
        let found = py.detach(|| look(&self.0, what, of)).map_err(|error| to_py(py, &error))?;
        serialized(py, &found)
    }

    /// Adds a customer. See `options.rs`.
    fn add_customer(&self, py: Python<'_>, customer: &Bound<'_, PyAny>) -> PyResult<()> {
        let customer: CustomerOptions = parse("add customer", to_json(customer)?).map_err(|error| to_py(py, &error))?;
        py.detach(|| self.0.add_customer(&customer.customer()));
        Ok(())
    }

    /// Sets how many seats of a product a tenant has.
    fn set_licenses(&self, tenant: &str, product: &str, seats: u32) {
        self.0.graph().set_license_count(tenant, product, seats);
    }

    /// Adds a fault to the script: a rule as `FaultRule` reads it.
    fn fault(&self, py: Python<'_>, rule: &Bound<'_, PyAny>) -> PyResult<()> {
        let rule: FaultRule = parse("script fault", to_json(rule)?).map_err(|error| to_py(py, &error))?;
        self.0.script(rule);
        Ok(())
    }

    /// Forgets all scripted faults.
    fn clear_faults(&self) {
        self.0.clear_faults();
    }

    /// Changes what the identity platform thinks of a tenant: `revoke_access_tokens`, `revoke_sign_ins`, `heal`,
    /// `consent`, `withdraw_consent`, `remove_app` or `expire_secrets` of an application, `fail_next` or `fail_always`
    /// with the name of an error.
    #[pyo3(signature = (change, tenant, detail=""))]
    fn identity(&self, py: Python<'_>, change: &str, tenant: &str, detail: &str) -> PyResult<()> {
        identity(&self.0, change, tenant, detail).map_err(|error| to_py(py, &error))
    }

    /// Makes every access token of HaloPSA invalid at once.
    fn revoke_halopsa_tokens(&self) {
        self.0.halopsa().revoke_tokens();
    }

    /// A refresh token as a person's sign-in would have left it; `None` when there is no such tenant.
    fn sign_in(&self, tenant: &str, client_id: &str) -> Option<String> {
        self.0.identity().sign_in(tenant, client_id).map(|token| token.expose().to_owned())
    }

    /// Serves the world over HTTP on this machine, on a thread of its own; pending.
    fn serve(&self, py: Python<'_>, port: u16) -> PyResult<Py<PyAny>> {
        let runtime = Runtime::start(1).map_err(|error| to_py(py, &error))?;
        let (world, kept) = (self.0.clone(), runtime.clone());
        let serve = async move {
            let server = SimulatorServer::start(&world, port, kept).await?;
            Ok(answer(move |py| Ok(Py::new(py, server)?.into_any())))
        };
        hand_over(py, runtime.start_in_background(serve))
    }
}

fn look(world: &bifrost::testing::Simulators, what: &str, of: &str) -> Result<Value> {
    let (graph, halopsa) = (world.graph(), world.halopsa());
    let properties = |records: Vec<bifrost::testing::HaloRecord>| records.into_iter().map(|one| one.fields).collect();
    Ok(match what {
        "users" => graph.users(of).into_iter().map(|user| user.properties).collect(),
        "groups" => graph
            .groups(of)
            .into_iter()
            .map(|group| {
                let mut properties = group.properties;
                properties["members"] = json!(group.members);
                properties
            })
            .collect(),
        "licenses" => graph
            .licenses(of)
            .into_iter()
            .map(|sku| {
                let (name, seats, used) = (sku.part_number, sku.enabled, sku.consumed);
                json!({"sku_id": sku.sku_id, "part_number": name, "enabled": seats, "consumed": used})
            })
            .collect(),
        "tenants" => json!(graph.tenants()),
        "tickets" => halopsa.tickets().into_iter().map(|ticket| ticket.fields).collect(),
        "clients" => properties(halopsa.clients()),
        "halopsa_users" => properties(halopsa.users()),
        "actions" => {
            let ticket = of.parse().map_err(|_| Error::invalid("look at actions", "this is no ticket's number"))?;
            halopsa.actions(ticket).into_iter().map(|action| action.fields).collect()
        }
        _ => return Err(Error::internal("look at simulators", "there is no such thing")),
    })
}

fn identity(world: &bifrost::testing::Simulators, change: &str, tenant: &str, detail: &str) -> Result<()> {
    let identity = world.identity();
    match change {
        "revoke_access_tokens" => identity.revoke_access_tokens(tenant),
        "revoke_sign_ins" => identity.revoke_sign_ins(tenant),
        "heal" => identity.heal(tenant),
        "consent" => identity.consent(tenant, detail),
        "withdraw_consent" => identity.withdraw_consent(tenant, detail),
        "remove_app" => identity.remove_app(tenant, detail),
        "expire_secrets" => identity.expire_secrets(detail),
        "fail_next" => identity.fail_next(tenant, aad_error(detail)?),
        "fail_always" => identity.fail_always(tenant, aad_error(detail)?),
        _ => return Err(Error::internal("change identity platform", "there is no such change")),
    }
    Ok(())
}

fn aad_error(name: &str) -> Result<AadError> {
    parse("change identity platform", Value::String(name.to_owned()))
}
