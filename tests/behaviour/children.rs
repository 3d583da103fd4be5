//! Child executions: started once, found again after a crash, ended with their parent, never in its way.

use std::sync::Arc;
use std::time::Duration;

use bifrost::execution::{ExecutionRecord, ExecutionState, Resolution};
use bifrost::store::SharedStore;
use bifrost::store::seal::{EphemeralKey, KeyProvider};
use bifrost::testing::SeededEntropy;
use bifrost::{
    Context, Error, ErrorKind, EventBody, ExecutionHandle, Hub, HubConfig, Principal, Result, Tenant, Workflow,
    workflow,
};
use futures_util::StreamExt;
use serde_json::json;

use crate::taped::Taped;
use crate::world::{Counter, Disk, clock, contoso, eventually, pause};

/// Counts its runs, takes `seconds` in the middle.
fn child(runs: &Counter, seconds: u64) -> impl Workflow + use<> {
    let runs = runs.clone();
    workflow("child", move |ctx: Context, n: u32| {
        let runs = runs.clone();
        async move {
            ctx.step("count", || async { Ok(runs.count()) }).await?;
            ctx.sleep(Duration::from_secs(seconds)).await;
            Ok(n * 2)
        }
    })
    .unwrap()
}

/// Waits for one child, then makes a step.
fn parent() -> impl Workflow {
    workflow("parent", |ctx: Context, n: u32| async move {
        let doubled: u32 = ctx.run("child", n).await?;
        ctx.step("add", || async { Ok(doubled + 1) }).await
    })
    .unwrap()
}

/// The one execution of `workflow`.
async fn only(tenant: &Tenant, workflow: &str) -> Option<ExecutionRecord> {
    let mut found = tenant.executions(None, 100).await.unwrap();
    found.retain(|record| record.workflow.as_str() == workflow);
    assert!(found.len() < 2, "{found:?}");
    found.pop()
}

async fn child_is(tenant: &Tenant, state: ExecutionState) {
    let looked_for = format!("the child is {state}");
    eventually(&looked_for, async || only(tenant, "child").await.is_some_and(|child| child.state == state)).await;
}

#[tokio::test(start_paused = true)]
async fn a_child_gives_its_output_and_both_know_of_each_other() {
    let runs = Counter::default();
    let hub = Disk::new().hub().with_workflow(child(&runs, 1)).with_workflow(parent()).start().await.unwrap();
    let tenant = contoso(&hub).await.acting_as(Principal::User("zoe".to_owned()));
    let handle = tenant.run("parent", 20).await.unwrap();
    assert_eq!(handle.wait().await.unwrap().into_output().unwrap(), json!(41));
    let record = only(&tenant, "child").await.unwrap();
    assert_eq!((record.parent, record.depth), (Some(handle.id()), 1));
    assert_eq!(record.principal, Principal::User("zoe".to_owned()));
    let events: Vec<_> = handle.events(1).collect().await;
    let shown =
        |event: &bifrost::Event| matches!(&event.body, EventBody::ChildStarted { child, .. } if *child == record.id);
    assert_eq!(events.iter().filter(|event| shown(event)).count(), 1);
    let trail = tenant.audit(None, 100).await.unwrap();
    let accepted = trail.iter().find(|entry| entry.record.target == record.id.to_string()).unwrap();
    assert_eq!(accepted.record.actor, Principal::Execution(handle.id()));
    assert_eq!(accepted.record.on_behalf_of, Some(Principal::User("zoe".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_same_child_is_found() {
    // The process dies while the child runs, and right after the child has ended.
    for seconds in [1_000, 0] {
        let (disk, runs) = (Disk::new(), Counter::default());
        let waits = || {
            workflow("parent", move |ctx: Context, n: u32| async move {
                // What it passes differs from attempt to attempt.
                let doubled: u32 = ctx.run("child", n + ctx.info().attempt).await?;
                if ctx.info().attempt == 1 {
                    std::future::pending::<()>().await;
                }
                Ok(doubled)
            })
            .unwrap()
        };
        let hub = disk.hub().with_workflow(child(&runs, seconds)).with_workflow(waits()).start().await.unwrap();
        let handle = contoso(&hub).await.run("parent", 20).await.unwrap();
        pause(Duration::from_secs(1)).await;
        let hub = disk.hub().with_workflow(child(&runs, 1)).with_workflow(waits()).start().await.unwrap();
        let tenant = hub.tenant("contoso").unwrap();
        let resumed = tenant.execution(handle.id()).await.unwrap();
        assert_eq!(resumed.wait().await.unwrap().into_output().unwrap(), json!(42));
        assert_eq!(runs.value(), 1);
        assert!(only(&tenant, "child").await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_puts_back_parent_and_child() {
    let (disk, runs) = (Disk::new(), Counter::default());
    let start = async || disk.hub().with_workflow(child(&runs, 60)).with_workflow(parent()).start().await.unwrap();
    let hub = start().await;
    let handle = contoso(&hub).await.run("parent", 20).await.unwrap();
    pause(Duration::from_secs(1)).await;
    hub.shutdown(Duration::from_secs(5)).await.unwrap();
    assert!(hub.is_closed());
    let hub = start().await;
    let resumed = hub.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().into_output().unwrap(), json!(41));
    assert_eq!(runs.value(), 1);
    assert_eq!(resumed.record().await.unwrap().recoveries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_starts_its_child_during_a_shutdown_goes_on_later() {
    let (disk, runs) = (Disk::new(), Counter::default());
    let late = || {
        workflow("parent", |ctx: Context, n: u32| async move {
            ctx.sleep(Duration::from_secs(10)).await;
            ctx.run::<u32>("child", n).await
        })
        .unwrap()
    };
    let start = async || disk.hub().with_workflow(child(&runs, 1)).with_workflow(late()).start().await.unwrap();
    let hub = start().await;
    let handle = contoso(&hub).await.run("parent", 20).await.unwrap();
    pause(Duration::from_secs(1)).await;
    hub.shutdown(Duration::from_secs(600)).await.unwrap();
    let hub = start().await;
    let resumed = hub.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().into_output().unwrap(), json!(40));
}

#[tokio::test(start_paused = true)]
async fn a_failed_child_is_an_error_of_its_parents_step() {
    let runs = Counter::default();
    let counter = runs.clone();
    let fails = workflow("child", move |_: Context, _: u32| {
        let runs = counter.clone();
        async move {
            runs.count();
            Err::<(), _>(Error::new(ErrorKind::Unavailable, "call provider", "down").retry(bifrost::Retry::Later))
        }
    });
    let hub = Disk::new().hub().with_workflow(fails.unwrap()).with_workflow(parent()).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let handle = tenant.run("parent", 20).await.unwrap();
    let error = handle.wait().await.unwrap().into_output().unwrap_err();
    let id = only(&tenant, "child").await.unwrap().id.to_string();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "down"));
    assert_eq!(error.context("child"), Some(id.as_str()));
    assert_eq!(runs.value(), 3, "the child tries again, not its parent");
    assert_eq!(handle.record().await.unwrap().attempt, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_refused_as_for_any_execution() {
    let runs = Counter::default();
    let odd = workflow("odd", |ctx: Context, (): ()| async move {
        let unknown = ctx.run_json("nobody", json!(1)).await.unwrap_err().kind();
        let misfit = ctx.run_json("child", json!("text")).await.unwrap_err().kind();
        Ok((unknown, misfit))
    });
    let hub = Disk::new().hub().with_workflow(child(&runs, 1)).with_workflow(odd.unwrap()).start().await.unwrap();
    let outcome = contoso(&hub).await.run("odd", ()).await.unwrap().wait().await.unwrap();
    assert_eq!(outcome.into_output().unwrap(), json!(["not_found", "invalid_input"]));
}

async fn waiting(disk: &Disk, runs: &Counter, parent: impl Workflow) -> (Hub, Tenant, ExecutionHandle) {
    let hub = disk.hub().with_workflow(child(runs, 100_000)).with_workflow(parent).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let handle = tenant.run("parent", 20).await.unwrap();
    child_is(&tenant, ExecutionState::Running).await;
    (hub, tenant, handle)
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_parent_cancels_its_child() {
    let (_hub, tenant, handle) = waiting(&Disk::new(), &Counter::default(), parent()).await;
    handle.cancel("not needed").await.unwrap();
    assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Cancelled);
    child_is(&tenant, ExecutionState::Cancelled).await;
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_ends_otherwise_takes_its_child_along() {
    let times_out = workflow("parent", |ctx: Context, n: u32| async move { ctx.run::<u32>("child", n).await }).unwrap();
    let gives_up = workflow("parent", |ctx: Context, n: u32| async move {
        let (child, time) = (Box::pin(ctx.run::<u32>("child", n)), Box::pin(ctx.sleep(Duration::from_secs(60))));
        match futures_util::future::select(child, time).await {
            futures_util::future::Either::Left((doubled, _)) => doubled,
            futures_util::future::Either::Right(_) => Ok(0),
        }
    });
    let (_hub, tenant, handle) =
        waiting(&Disk::new(), &Counter::default(), times_out.with_run_deadline(Duration::from_secs(60))).await;
    let outcome = handle.wait().await.unwrap();
    assert_eq!((outcome.state, outcome.problems.len()), (ExecutionState::TimedOut, 0), "a child is no write in doubt");
    child_is(&tenant, ExecutionState::Cancelled).await;
    let (_hub, tenant, handle) = waiting(&Disk::new(), &Counter::default(), gives_up.unwrap()).await;
    assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Succeeded);
    child_is(&tenant, ExecutionState::Cancelled).await;
}

/// Starts a child, gives it five seconds and ends without it.
fn impatient() -> impl Workflow {
    workflow("parent", |ctx: Context, n: u32| async move {
        let (child, time) = (Box::pin(ctx.run::<u32>("child", n)), Box::pin(ctx.sleep(Duration::from_secs(5))));
        futures_util::future::select(child, time).await;
        Ok(())
    })
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn wherever_the_process_dies_no_child_is_started_twice_or_outlives_its_parent() {
    let keys: Arc<dyn KeyProvider> = Arc::new(EphemeralKey::generate(Arc::new(SeededEntropy::new(1))));
    let start = async |store: SharedStore| {
        let hub = Hub::builder().with_store(store, Arc::clone(&keys)).with_clock(clock());
        hub.with_workflow(child(&Counter::default(), 1_000)).with_workflow(impatient()).start().await.unwrap()
    };
    let tape = Taped::new();
    let hub = start(Arc::new(tape.clone())).await;
    let tenant = contoso(&hub).await;
    let accepted = tape.forks().len();
    tenant.run("parent", 20).await.unwrap().wait().await.unwrap();
    child_is(&tenant, ExecutionState::Cancelled).await;
    let forks = tape.forks();
    assert!(forks.len() > accepted + 5, "{} moments after {accepted}", forks.len());
    let mut orphans = 0;
    for fork in forks.into_iter().skip(accepted) {
        let hub = start(Arc::new(fork)).await;
        let tenant = hub.tenant("contoso").unwrap();
        let parent = only(&tenant, "parent").await.unwrap();
        orphans += u32::from(parent.state.is_terminal() && hub.snapshot().executions_in_flight > 0);
        eventually("both have ended", async || hub.snapshot().executions_in_flight == 0).await;
        let child = only(&tenant, "child").await;
        assert!(child.is_none_or(|child| child.state == ExecutionState::Cancelled));
    }
    assert!(orphans > 0, "a child had to find out by itself");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_needs_a_person_keeps_its_parent_waiting() {
    let doubtful = workflow("child", |ctx: Context, n: u32| async move {
        let lost = |_| async { Err::<u32, _>(Error::new(ErrorKind::UnknownOutcome, "call", "reset")) };
        Ok(ctx.effect("write").run(lost).await? + n)
    });
    let hub = Disk::new().hub().with_workflow(doubtful.unwrap()).with_workflow(parent()).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let handle = tenant.run("parent", 20).await.unwrap();
    child_is(&tenant, ExecutionState::NeedsAttention).await;
    pause(Duration::from_secs(60)).await;
    assert_eq!(handle.record().await.unwrap().state, ExecutionState::Running);
    let id = only(&tenant, "child").await.unwrap().id;
    tenant.resolve(id, Resolution::Done { result: json!(20) }).await.unwrap();
    assert_eq!(handle.wait().await.unwrap().into_output().unwrap(), json!(41));
}

/// Runs two of itself, one level down, until the last.
fn nested(levels: u32, width: usize) -> impl Workflow {
    workflow("nested", move |ctx: Context, level: u32| async move {
        if level == levels {
            return ctx.step("leaf", || async { Ok(1_u32) }).await;
        }
        let children = (0..width).map(|_| ctx.run::<u32>("nested", level + 1));
        let leaves: Result<Vec<u32>> = futures_util::future::join_all(children).await.into_iter().collect();
        Ok(leaves?.into_iter().sum::<u32>())
    })
    .unwrap()
    .with_run_deadline(Duration::from_secs(60))
}

#[tokio::test(start_paused = true)]
async fn parents_that_wait_never_keep_their_children_from_running() {
    let config = HubConfig { max_running: 1, ..HubConfig::default() };
    let hub = Disk::new().hub().with_config(config).with_workflow(nested(3, 2)).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let racing: Vec<_> = futures_util::future::join_all((0..3).map(|_| tenant.run("nested", 0))).await;
    for handle in racing {
        assert_eq!(handle.unwrap().wait().await.unwrap().into_output().unwrap(), json!(8));
    }
    eventually("no place is lost", async || hub.snapshot().executions_running == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_parent_holds_no_place_while_another_child_still_waits_for_one() {
    // The second child is tried again after the first has ended: its parent must not have taken the place meanwhile.
    let tries = Counter::default();
    let counter = tries.clone();
    let flaky = workflow("flaky", move |_: Context, (): ()| {
        let tries = counter.clone();
        async move {
            match tries.count() {
                1 => Err(Error::new(ErrorKind::Unavailable, "call", "down").retry(bifrost::Retry::Later)),
                _ => Ok(1),
            }
        }
    });
    let both = workflow("both", |ctx: Context, (): ()| async move {
        let (flaky, quick) = futures_util::future::join(ctx.run::<u32>("flaky", ()), ctx.run::<u32>("child", 1)).await;
        Ok(flaky? + quick?)
    });
    let config = HubConfig { max_running: 1, ..HubConfig::default() };
    let hub = Disk::new().hub().with_config(config).with_workflow(flaky.unwrap()).with_workflow(both.unwrap());
    let hub = hub.with_workflow(child(&Counter::default(), 0)).start().await.unwrap();
    let outcome = contoso(&hub).await.run("both", ()).await.unwrap().wait().await.unwrap();
    assert_eq!(outcome.into_output().unwrap(), json!(3));
}

#[tokio::test(start_paused = true)]
async fn executions_are_not_nested_without_end() {
    let hub = Disk::new().hub().with_workflow(nested(1_000, 1)).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let error = tenant.run("nested", 0).await.unwrap().wait().await.unwrap().into_output().unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.context("limit") == Some("16"), "{error}");
    assert_eq!(tenant.executions(None, 100).await.unwrap().len(), 17);
}
