//! Looking at the actors of a hub and ending them one by one, for tests of what supervision promises.
//!
//! Actors stay inside the crate; with the feature `testing` each carries a name, and [`Hub::actors`] lists them as
//! opaque [`ActorProbe`]s. Without the feature nothing of this exists, and actors have no names.

use std::fmt::Display;

use ractor::ActorName;

#[cfg(feature = "testing")]
pub use testing::{ActorKind, ActorProbe};

/// What a tenant's actor is called.
pub(crate) fn tenant_name(tenant: &dyn Display) -> Option<ActorName> {
    name("tenant", format_args!("{tenant}"))
}

/// What an actor beneath a tenant's is called.
pub(crate) fn child_name(kind: &'static str, tenant: &dyn Display, id: &dyn Display) -> Option<ActorName> {
    name(kind, format_args!("{tenant}/{id}"))
}

#[cfg(not(feature = "testing"))]
fn name(_kind: &'static str, _path: std::fmt::Arguments<'_>) -> Option<ActorName> {
    None
}

/// Names are known in the whole process, where hubs share theirs: a number keeps them apart.
#[cfg(feature = "testing")]
fn name(kind: &'static str, path: std::fmt::Arguments<'_>) -> Option<ActorName> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    Some(format!("{kind} {path} {}", NUMBER.fetch_add(1, Ordering::Relaxed)))
}

#[cfg(feature = "testing")]
mod testing {
    use std::fmt;
    use std::hash::{Hash, Hasher};

    use ractor::{ActorCell, ActorStatus};

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

    /// One actor of a hub, alive when it was listed.
    #[derive(Clone)]
    pub struct ActorProbe {
        cell: ActorCell,
        kind: ActorKind,
        path: String,
    }

    impl ActorProbe {
        fn new(cell: ActorCell) -> Self {
            let name = cell.get_name().unwrap_or_default();
            let mut words = name.split(' ');
            let kind = match words.next() {
                Some("tenant") => ActorKind::Tenant,
                Some("connection") => ActorKind::Connection,
                Some("execution") => ActorKind::Execution,
                _ => ActorKind::Hub,
            };
            let path = words.next().unwrap_or_default().to_owned();
            Self { cell, kind, path }
        }

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
        /// The actors of this hub, each before those beneath it: what its root supervises.
        pub fn actors(&self) -> Vec<ActorProbe> {
            let mut found = Vec::new();
            let mut next: Vec<ActorCell> = self.runtime().root().map(|root| root.get_cell()).into_iter().collect();
            while let Some(cell) = next.pop() {
                next.extend(cell.get_children());
                found.push(ActorProbe::new(cell));
            }
            found.retain(ActorProbe::is_alive);
            found
        }
    }
}
