//! Looking at the actors of a hub and ending them one by one, for tests of what supervision promises.
//!
//! Actors stay inside the crate; with the feature `testing` each stands on a roll of its hub while it lives, and
//! [`Hub::actors`] lists them as opaque [`ActorProbe`]s. Without the feature the roll is nothing.

#[cfg(feature = "testing")]
pub use testing::{ActorKind, ActorProbe};
#[cfg(feature = "testing")]
pub(crate) use testing::{Entry, Roll};
#[cfg(not(feature = "testing"))]
pub(crate) use without::{Entry, Roll};

#[cfg(not(feature = "testing"))]
mod without {
    use bifrost_core::{ConnectionId, ExecutionId, TenantId};
    use ractor::ActorId;

    /// Nothing is written down.
    #[derive(Debug, Default)]
    pub(crate) struct Roll {}

    /// See [`Roll`].
    #[derive(Debug)]
    pub(crate) struct Entry;

    impl Roll {
        pub(crate) fn tenant(&self, _actor: ActorId, _tenant: &TenantId) -> Entry {
            Entry
        }

        pub(crate) fn connection(&self, _actor: ActorId, _tenant: &TenantId, _id: &ConnectionId) -> Entry {
            Entry
        }

        pub(crate) fn execution(&self, _actor: ActorId, _tenant: &TenantId, _id: &ExecutionId) -> Entry {
            Entry
        }
    }
}

#[cfg(feature = "testing")]
mod testing {
    use std::collections::HashMap;
    use std::fmt;
    use std::hash::{Hash, Hasher};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use bifrost_core::{ConnectionId, ExecutionId, TenantId};
    use ractor::{ActorCell, ActorId, ActorStatus};

    use crate::handle::hub::Hub;

    /// What an actor is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum ActorKind {
        /// The root.
        Hub,
        /// A tenant.
        Tenant,
        /// A connection of a tenant.
        Connection,
        /// An execution of a tenant.
        Execution,
    }

    /// Which of a hub's actors is which.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Roll(Arc<Mutex<HashMap<ActorId, Who>>>);

    /// An actor, as it stands on the roll.
    #[derive(Debug, Clone)]
    enum Who {
        Tenant(TenantId),
        Connection(TenantId, ConnectionId),
        Execution(TenantId, ExecutionId),
    }

    impl Who {
        /// Its kind, and where it stands in the tree.
        fn described(&self) -> (ActorKind, String) {
            match self {
                Self::Tenant(tenant) => (ActorKind::Tenant, tenant.to_string()),
                Self::Connection(tenant, id) => (ActorKind::Connection, format!("{tenant}/{id}")),
                Self::Execution(tenant, id) => (ActorKind::Execution, format!("{tenant}/{id}")),
            }
        }
    }

    /// Keeps an actor on the roll; it belongs to the actor's state and goes with it.
    #[derive(Debug)]
    pub(crate) struct Entry {
        roll: Roll,
        actor: ActorId,
    }

    impl Roll {
        pub(crate) fn tenant(&self, actor: ActorId, tenant: &TenantId) -> Entry {
            self.enter(actor, Who::Tenant(tenant.clone()))
        }

        pub(crate) fn connection(&self, actor: ActorId, tenant: &TenantId, id: &ConnectionId) -> Entry {
            self.enter(actor, Who::Connection(tenant.clone(), id.clone()))
        }

        pub(crate) fn execution(&self, actor: ActorId, tenant: &TenantId, id: &ExecutionId) -> Entry {
            self.enter(actor, Who::Execution(tenant.clone(), *id))
        }

        fn enter(&self, actor: ActorId, who: Who) -> Entry {
            self.lock().insert(actor, who);
            Entry { roll: self.clone(), actor }
        }

        fn lock(&self) -> MutexGuard<'_, HashMap<ActorId, Who>> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Drop for Entry {
        fn drop(&mut self) {
            self.roll.lock().remove(&self.actor);
        }
    }

    /// One actor of a hub, alive when it was listed.
    #[derive(Clone)]
    pub struct ActorProbe {
        cell: ActorCell,
        kind: ActorKind,
        path: String,
    }

    impl ActorProbe {
        /// What it is.
        pub fn kind(&self) -> ActorKind {
            self.kind
        }

        /// Where it stands in the tree: empty for the root, `tenant`, `tenant/connection` or `tenant/execution`.
        pub fn path(&self) -> &str {
            &self.path
        }

        /// True until it has ended.
        pub fn is_alive(&self) -> bool {
            self.cell.get_status() < ActorStatus::Stopped
        }

        /// Ends it where it waits next, with all beneath it: what a panic does to it.
        pub fn kill(&self) {
            self.cell.kill();
        }

        /// Ends it after the message it is at.
        pub fn stop(&self) {
            self.cell.stop(None);
        }
    }

    impl PartialEq for ActorProbe {
        fn eq(&self, other: &Self) -> bool {
            self.cell.get_id() == other.cell.get_id()
        }
    }

    impl Eq for ActorProbe {}

    impl Hash for ActorProbe {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.cell.get_id().hash(state);
        }
    }

    impl fmt::Debug for ActorProbe {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("ActorProbe").field("kind", &self.kind).field("path", &self.path).finish_non_exhaustive()
        }
    }

    impl Hub {
        /// The actors of this hub, each before those beneath it: what its root supervises. One that is just starting is
        /// not among them.
        pub fn actors(&self) -> Vec<ActorProbe> {
            let roll = self.runtime().roll.lock();
            let mut found = Vec::new();
            let mut next = Vec::new();
            if let Ok(root) = self.runtime().root() {
                found.push(ActorProbe { cell: root.get_cell(), kind: ActorKind::Hub, path: String::new() });
                next.extend(root.get_cell().get_children());
            }
            while let Some(cell) = next.pop() {
                next.extend(cell.get_children());
                if let Some((kind, path)) = roll.get(&cell.get_id()).map(Who::described) {
                    found.push(ActorProbe { cell, kind, path });
                }
            }
            found.retain(ActorProbe::is_alive);
            found
        }
    }
}
