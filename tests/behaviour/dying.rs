//! Actors that die: found by killing them one by one, kept here where the cause is small.

use std::time::Duration;

use bifrost::execution::{Attention, ExecutionState, Resolution};
use bifrost::testing::ActorKind;
use bifrost::{Context, Error, ErrorKind, Hub, Run, Workflow, workflow};

use crate::refusing::Refusing;
use crate::world::{Disk, clock, contoso, eventually, pause};

fn nap(seconds: u64) -> impl Workflow {
    workflow("nap", move |ctx: Context, (): ()| async move {
        ctx.sleep(Duration::from_secs(seconds)).await;
        Ok(())
    })
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_root_that_dies_closes_the_hub_and_keeps_nobody_waiting() {
    let disk = Disk::new();
    let hub = disk.hub().with_workflow(nap(60)).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let handle = tenant.run("nap", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;
    hub.actors()[0].kill();
    assert_eq!(handle.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(tenant.run("nap", ()).await.unwrap_err().kind(), ErrorKind::Closed);
    eventually("its actors end with it", async || hub.actors().is_empty()).await;
    let hub = disk.hub().with_workflow(nap(1)).start().await.unwrap();
    let resumed = hub.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().state, ExecutionState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_is_stopped_from_outside_is_started_again() {
    let hub = Disk::new().hub().with_workflow(nap(60)).start().await.unwrap();
    let handle = contoso(&hub).await.run("nap", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;
    for kind in [ActorKind::Execution, ActorKind::Tenant] {
        hub.actors().iter().find(|actor| actor.kind() == kind).unwrap().stop();
        pause(Duration::from_secs(1)).await;
    }
    assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Succeeded);
    assert_eq!(handle.record().await.unwrap().recoveries, 2);
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_execution_needs_its_workflow_only_when_its_time_has_come() {
    let disk = Disk::new();
    let hub = disk.hub().with_workflow(nap(1)).start().await.unwrap();
    let tomorrow = disk.clock().now().saturating_add(Duration::from_secs(86_400));
    let handle = contoso(&hub).await.start(Run::new("nap", ()).starting_at(tomorrow)).await.unwrap();
    let hub = disk.hub().start().await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    let handle = tenant.execution(handle.id()).await.unwrap();
    pause(Duration::from_secs(60)).await;
    let record = handle.record().await.unwrap();
    assert_eq!((record.state, record.recoveries), (ExecutionState::Scheduled, 0), "it ran no code to be suspected of");
    pause(Duration::from_secs(86_400)).await;
    assert_eq!(handle.record().await.unwrap().attention, Some(Attention::WorkflowMissing));
    hub.register(std::sync::Arc::new(nap(1)));
    assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_could_not_be_stored_can_be_asked_for_again() {
    let store = Refusing::new();
    let keys =
        bifrost::store::seal::EphemeralKey::generate(std::sync::Arc::new(bifrost::testing::SeededEntropy::new(1)));
    let hub = Hub::builder().with_store(std::sync::Arc::new(store.clone()), std::sync::Arc::new(keys));
    let hub = hub.with_clock(clock()).with_workflow(nap(1)).start().await.unwrap();
    let later = "2026-02-01T00:00:00Z".parse().unwrap();
    let handle = contoso(&hub).await.start(Run::new("nap", ()).starting_at(later)).await.unwrap();
    store.refuse_once(ErrorKind::StoreFull);
    assert_eq!(handle.cancel("not needed").await.unwrap_err().kind(), ErrorKind::StoreFull);
    pause(Duration::from_secs(10)).await;
    handle.cancel("not needed").await.unwrap();
    assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Cancelled);
}

/// Starts a child and loses the answer of a write beside it: it is set aside while its child runs.
fn torn() -> impl Workflow {
    workflow("torn", |ctx: Context, (): ()| async move {
        let lost = |_| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err::<(), _>(Error::new(ErrorKind::UnknownOutcome, "send", "lost"))
        };
        let write = ctx.effect("lost");
        tokio::try_join!(ctx.run::<()>("nap", ()), write.run(lost)).map(drop)
    })
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_stored_is_heard_of_although_its_children_could_not_be_told() {
    let store = Refusing::new();
    let keys =
        bifrost::store::seal::EphemeralKey::generate(std::sync::Arc::new(bifrost::testing::SeededEntropy::new(1)));
    let hub = Hub::builder().with_store(std::sync::Arc::new(store.clone()), std::sync::Arc::new(keys));
    let hub = hub.with_clock(clock()).with_workflow(nap(600)).with_workflow(torn()).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let handle = tenant.run("torn", ()).await.unwrap();
    assert!(handle.settled().await.unwrap().is_none());
    store.fail_read_once();
    assert!(tenant.resolve(handle.id(), Resolution::Abort).await.is_err());
    assert!(store.has_failed_read());
    let heard = tokio::time::timeout(Duration::from_secs(60), handle.wait()).await;
    assert_eq!(heard.expect("whoever waits hears of it").unwrap().state, ExecutionState::Failed);
    eventually("its child has ended with it", async || hub.snapshot().executions_in_flight == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_was_given_up_can_be_finished_by_another() {
    let disk = Disk::new();
    let hub = disk.hub().with_workflow(nap(86_400)).start().await.unwrap();
    let handle = contoso(&hub).await.run("nap", ()).await.unwrap();
    let given_up = tokio::time::timeout(Duration::from_secs(1), hub.shutdown(Duration::from_secs(60))).await;
    assert!(given_up.is_err() && !hub.actors().is_empty());
    assert_eq!(hub.shutdown(Duration::from_secs(1)).await.unwrap().requeued, 1);
    assert_eq!(handle.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    assert!(hub.actors().is_empty());
    assert_eq!(hub.shutdown(Duration::from_secs(1)).await.unwrap().requeued, 0);
}
