//! A simulated world behind a socket of this machine, for other processes and clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use bifrost::testing::Simulators;
use bifrost::{Error, ErrorKind, Result};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::pending::{answer, hand_over};
use crate::runtime::Runtime;

/// See the module. It ends when it is closed or collected.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct SimulatorServer {
    server: Mutex<Option<bifrost::testing::SimulatorServer>>,
    address: SocketAddr,
    addresses: bifrost::testing::SimulatorAddresses,
    runtime: Runtime,
}

impl SimulatorServer {
    /// Listens at `port`, 0 for any free one.
    pub(super) async fn start(world: &Simulators, port: u16, runtime: Runtime) -> Result<Self> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let server = world.serve(listen).await.map_err(|error| {
            Error::new(ErrorKind::Unavailable, "serve simulators", error.to_string()).with("port", port)
        })?;
        let (address, addresses) = (server.local_addr(), server.addresses());
        Ok(Self { server: Mutex::new(Some(server)), address, addresses, runtime })
    }
}

#[pymethods]
impl SimulatorServer {
    /// Its root, without a slash at the end.
    #[getter]
    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The base addresses of the providers: `identity`, `graph`, `halopsa`; `state` and `faults` of the world.
    fn addresses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        for (name, address) in [
            ("identity", &self.addresses.identity),
            ("graph", &self.addresses.graph),
            ("halopsa", &self.addresses.halopsa),
            ("state", &self.addresses.state),
            ("faults", &self.addresses.faults),
        ] {
            found.set_item(name, address)?;
        }
        Ok(found)
    }

    /// Stops it and closes every connection; pending. A second time does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        let close = async move {
            if let Some(server) = server {
                server.shutdown().await;
            }
            Ok(answer(|py| Ok(py.None())))
        };
        hand_over(py, self.runtime.start_in_background(close))
    }
}
