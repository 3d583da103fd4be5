//! What a tenant actor holds, and its decisions as plain functions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bifrost_core::{ConnectionId, Error, ErrorKind, ExecutionId, Result, TenantId, TenantRecord, TenantStatus};
use ractor::{ActorCell, ActorId, ActorRef};

use super::shared::TenantShared;
use crate::connection::message::ConnectionMessage;
use crate::execution::message::ExecutionMessage;
use crate::probe::Entry;
use crate::supervision::RestartBudget;
use crate::task::Task;

/// Who a child is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Child {
    /// An execution.
    Execution(ExecutionId),
    /// A connection.
    Connection(ConnectionId),
}

/// The state of one tenant actor.
pub(crate) struct TenantActorState {
    pub(crate) shared: Arc<TenantShared>,
    pub(crate) children: HashMap<ActorId, Child>,
    /// In their order of creation: whatever is told to all of them is told in the same order each time.
    pub(crate) executions: BTreeMap<ExecutionId, ActorRef<ExecutionMessage>>,
    /// Stored executions that a task is claiming and reading.
    pub(crate) recovering: HashMap<ExecutionId, Task>,
    pub(crate) connections: HashMap<ConnectionId, ActorRef<ConnectionMessage>>,
    pub(crate) restarts: RestartBudget,
    pub(crate) restart_timers: Vec<Task>,
    pub(crate) idle_timer: Option<Task>,
    pub(crate) draining: bool,
    pub(crate) _entry: Entry,
}

impl TenantActorState {
    /// Takes a child off the books.
    pub(crate) fn forget(&mut self, cell: &ActorCell) -> Option<Child> {
        let child = self.children.remove(&cell.get_id())?;
        match &child {
            Child::Execution(id) => {
                self.executions.remove(id);
            }
            Child::Connection(id) => {
                self.connections.remove(id);
            }
        }
        Some(child)
    }

    /// Executions that have not ended.
    pub(crate) fn in_flight(&self) -> u32 {
        u32::try_from(self.shared.executions.len()).unwrap_or(u32::MAX)
    }
}

/// Decides whether a tenant may start something.
pub(crate) fn admit(record: &TenantRecord, in_flight: u32, draining: bool) -> Result<()> {
    may_work(record)?;
    if draining {
        return Err(
            Error::new(ErrorKind::Closed, "admit execution", "the hub is shutting down").with("tenant", &record.id)
        );
    }
    record.quota.admit(in_flight).map_err(|error| error.with("tenant", &record.id))
}

/// Decides whether a tenant may work at all.
pub(crate) fn may_work(record: &TenantRecord) -> Result<()> {
    let refuse = |message: String, next: &str| {
        Err(Error::new(ErrorKind::Suspended, "use tenant", message).with("tenant", &record.id).next_action(next))
    };
    match &record.status {
        TenantStatus::Disabled => {
            refuse("the tenant is disabled".to_owned(), "enable it with `hub.tenants().enable(..)`")
        }
        _ => not_suspended(record),
    }
}

/// Decides whether a tenant may go on with what it has begun.
pub(crate) fn not_suspended(record: &TenantRecord) -> Result<()> {
    match &record.status {
        TenantStatus::Suspended { cause } => Err(suspended(&record.id, cause)),
        _ => Ok(()),
    }
}

/// The refusal for a tenant that melted down.
pub(crate) fn suspended(tenant: &TenantId, cause: &str) -> Error {
    Error::new(ErrorKind::Suspended, "use tenant", format!("the tenant is suspended: {cause}"))
        .with("tenant", tenant)
        .next_action("find the cause, then resume it with `hub.tenants().enable(..)`")
}
