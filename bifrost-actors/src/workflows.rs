//! The workflows of a hub: read without a lock, and changed while it runs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bifrost_core::WorkflowName;
use bifrost_core::workflow::{Workflow, WorkflowSet};
use tokio::sync::watch;

/// See the module.
pub(crate) struct Workflows {
    set: ArcSwap<WorkflowSet>,
    changed: watch::Sender<()>,
}

impl Workflows {
    /// The workflows the hub starts with.
    pub(crate) fn new(set: WorkflowSet) -> Self {
        Self { set: ArcSwap::from_pointee(set), changed: watch::Sender::new(()) }
    }

    /// The workflow of this name, as it is now.
    pub(crate) fn get(&self, name: &WorkflowName) -> Option<Arc<dyn Workflow>> {
        self.set.load().get(name).cloned()
    }

    /// All of them, as they are now.
    pub(crate) fn all(&self) -> Arc<WorkflowSet> {
        self.set.load_full()
    }

    /// Adds a workflow in the place of the one of the same name, which is returned.
    pub(crate) fn register(&self, workflow: Arc<dyn Workflow>) -> Option<Arc<dyn Workflow>> {
        let name = workflow.spec().name().clone();
        let before = self.set.rcu(|set| {
            let mut next = WorkflowSet::clone(set);
            next.replace(Arc::clone(&workflow));
            next
        });
        self.changed.send_replace(());
        before.get(&name).cloned()
    }

    /// Resolves once there is a workflow of this name.
    pub(crate) async fn registered(&self, name: &WorkflowName) {
        let mut changed = self.changed.subscribe();
        while self.get(name).is_none() {
            if changed.changed().await.is_err() {
                // The sender lives as long as this does.
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bifrost_core::{Context, workflow};
    use futures_util::FutureExt;

    use super::*;

    fn named(name: &str, description: &str) -> Arc<dyn Workflow> {
        let work = |_: Context, (): ()| async { Ok(()) };
        Arc::new(workflow(name, work).unwrap().with_description(description))
    }

    #[test]
    fn the_latest_of_a_name_counts_and_the_former_comes_back() {
        let workflows = Workflows::new(WorkflowSet::default());
        assert!(workflows.register(named("work", "old")).is_none());
        let former = workflows.register(named("work", "new")).unwrap();
        assert_eq!(former.spec().description(), "old");
        let name = WorkflowName::new("work").unwrap();
        assert_eq!(workflows.get(&name).unwrap().spec().description(), "new");
        assert_eq!(workflows.all().names().count(), 1);
    }

    #[test]
    fn whoever_waits_hears_of_its_name_alone() {
        let workflows = Workflows::new(WorkflowSet::default());
        let name = WorkflowName::new("work").unwrap();
        let mut waiting = Box::pin(workflows.registered(&name));
        assert!(waiting.as_mut().now_or_never().is_none());
        workflows.register(named("other", ""));
        assert!(waiting.as_mut().now_or_never().is_none());
        workflows.register(named("work", ""));
        assert!(waiting.as_mut().now_or_never().is_some());
        assert!(workflows.registered(&name).now_or_never().is_some());
    }
}
