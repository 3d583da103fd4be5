//! The native half of the Python package `bifrost`: hub, tenants, executions and the workflows that Python runs.
//!
//! It translates and decides nothing. Three rules shape it:
//! - **No thread of the hub ever waits for the GIL.** What Python shall do or hear is queued in a `mailbox`, and the
//!   Python thread that fetches it converts it. A queue wakes its event loop once for all that is in it.
//! - **One implementation for sync and async.** A call is started and handed over as `pending`; blocking callers wait
//!   for it without the GIL, event loops are told through their mailbox.
//! - **Python drives its steps.** The hub says what a step is to do next (call, probe, done), Python does it in the
//!   user's own coroutine or thread, and says what came of it: exceptions and context variables stay what they are.

#![allow(missing_docs, reason = "the public face is the Python package; its stubs carry the documentation")]

mod audit;
mod clients;
mod clock;
mod connection;
mod convert;
mod error;
mod execution;
mod hub;
mod logs;
mod mailbox;
mod moment;
mod options;
mod pending;
mod run;
mod runtime;
mod settings;
mod simulators;
mod step;
mod store;
mod tenant;
mod workflow;

use pyo3::prelude::*;

/// The private module that the package `bifrost` is written over.
#[pymodule]
#[pyo3(name = "_native")]
fn native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(audit::verify_audit_file, module)?)?;
    module.add_function(wrap_pyfunction!(runtime::note_fork, module)?)?;
    simulators::add_constants(module)?;
    module.add_class::<clock::Clock>()?;
    module.add_class::<connection::Connection>()?;
    module.add_class::<execution::Execution>()?;
    module.add_class::<hub::Hub>()?;
    module.add_class::<logs::Logs>()?;
    module.add_class::<mailbox::Mailbox>()?;
    module.add_class::<pending::Pending>()?;
    module.add_class::<run::Run>()?;
    module.add_class::<simulators::SimulatorServer>()?;
    module.add_class::<simulators::Simulators>()?;
    module.add_class::<step::Step>()?;
    module.add_class::<store::Store>()?;
    module.add_class::<tenant::Tenant>()?;
    Ok(())
}
