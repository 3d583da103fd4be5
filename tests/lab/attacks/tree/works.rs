//! Workflows of the attacks on the actor tree.

use std::time::Duration;

use bifrost::{Context, Error, ErrorKind, HubBuilder, Retry, Workflow, workflow};

use super::outside::Outside;

/// A step, a write outside, a step.
pub(crate) const WRITE: &str = "write";
/// Runs two children that write, one after the other.
pub(crate) const PARENT: &str = "parent";
/// Writes something whose answer is lost: a person must say what became of it.
pub(crate) const WAITS: &str = "waits";

/// A hub with all of them, as the process of this number runs them.
pub(crate) fn with_works(builder: HubBuilder, outside: &Outside, process: u32) -> HubBuilder {
    builder.with_workflow(write(WRITE, outside, process)).with_workflow(parent()).with_workflow(waits())
}

/// What [`WRITE`] does, under this name.
pub(crate) fn write(name: &str, outside: &Outside, process: u32) -> impl Workflow + use<> {
    let outside = outside.clone();
    workflow(name, move |ctx: Context, nap: u64| {
        let outside = outside.clone();
        async move {
            ctx.step("before", || async { Ok(nap) }).await?;
            ctx.sleep(Duration::from_millis(nap)).await;
            let probe = |key: String| {
                let outside = outside.clone();
                async move { outside.probe(&key).await }
            };
            let send = |key: String| {
                let outside = outside.clone();
                async move { outside.apply(process, &key).await }
            };
            let times = ctx.effect("apply").with_probe(probe).run(send).await?;
            ctx.step("after", || async { Ok(times) }).await
        }
    })
    .unwrap()
    .with_queue_deadline(Duration::from_secs(30 * 86_400))
    .with_run_deadline(Duration::from_secs(30 * 86_400))
}

fn parent() -> impl Workflow {
    workflow(PARENT, |ctx: Context, nap: u64| async move {
        let first: u32 = ctx.run(WRITE, nap).await?;
        let second: u32 = ctx.run(WRITE, nap / 2).await?;
        Ok(first + second)
    })
    .unwrap()
    .with_queue_deadline(Duration::from_secs(30 * 86_400))
    .with_run_deadline(Duration::from_secs(30 * 86_400))
}

fn waits() -> impl Workflow {
    workflow(WAITS, |ctx: Context, nap: u64| async move {
        ctx.sleep(Duration::from_millis(nap)).await;
        let lost =
            |_| async { Err::<u32, _>(Error::new(ErrorKind::UnknownOutcome, "send", "lost").retry(Retry::Never)) };
        ctx.effect("lost").run(lost).await
    })
    .unwrap()
    .with_queue_deadline(Duration::from_secs(30 * 86_400))
    .with_run_deadline(Duration::from_secs(30 * 86_400))
}
