//! Supervision: a store that refuses, actors that fail, a tenant that melts down alone.

use std::sync::Arc;
use std::time::Duration;

use bifrost::execution::ExecutionState;
use bifrost::store::key::{Kind, Scope};
use bifrost::store::keys_under;
use bifrost::store::seal::{EphemeralKey, KeyProvider};
use bifrost::testing::SeededEntropy;
use bifrost::{Context, ErrorKind, Hub, NewTenant, TenantId, TenantStatus, workflow};
use futures_util::StreamExt;

use crate::refusing::Refusing;
use crate::world::{Counter, clock, contoso, eventually, pause};

/// A hub whose workflow takes a step every second, ten times.
async fn hub(store: &Refusing, steps: &Counter) -> Hub {
    let steps = steps.clone();
    let work = workflow("work", move |ctx: Context, (): ()| {
        let steps = steps.clone();
        async move {
            for _ in 0..10 {
                ctx.step("tick", || async { Ok(steps.count()) }).await?;
                ctx.sleep(Duration::from_secs(1)).await;
            }
            Ok(())
        }
    })
    .unwrap();
    Hub::builder()
        .with_store(Arc::new(store.clone()), Arc::new(EphemeralKey::generate(Arc::new(SeededEntropy::new(1)))))
        .with_clock(clock())
        .with_workflow(work)
        .start()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn work_waits_out_a_full_disk_and_repeats_only_what_was_not_stored() {
    let (store, steps) = (Refusing::new(), Counter::default());
    let hub = hub(&store, &steps).await;
    let tenant = contoso(&hub).await;
    let handle = tenant.run("work", ()).await.unwrap();
    pause(Duration::from_millis(4_500)).await;
    store.refuse(ErrorKind::StoreFull, None);
    assert_eq!(tenant.run("work", ()).await.unwrap_err().kind(), ErrorKind::StoreFull);
    pause(Duration::from_secs(600)).await;
    store.recover();
    assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Succeeded);
    // The step that ran into the full disk is the only one that may have run again, once per try.
    let record = handle.record().await.unwrap();
    assert_eq!(record.recoveries, 1, "only what could be stored counts");
    assert!(matches!(hub.tenants().get("contoso").unwrap().status, TenantStatus::Active));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_a_single_step_fails_no_execution() {
    for kind in [ErrorKind::StoreFull, ErrorKind::Internal] {
        let (store, steps) = (Refusing::new(), Counter::default());
        let hub = hub(&store, &steps).await;
        let handle = contoso(&hub).await.run("work", ()).await.unwrap();
        pause(Duration::from_millis(3_995)).await;
        store.refuse_once(kind);
        assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Succeeded, "{kind:?}");
        let events: Vec<u64> = handle.events(1).map(|event| event.seq).collect().await;
        assert_eq!(events, (1..=events.len() as u64).collect::<Vec<_>>(), "no gap where the store refused");
        assert!(steps.value() <= 12, "{} steps", steps.value());
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_failed_goes_on_from_its_journal() {
    let (store, steps) = (Refusing::new(), Counter::default());
    let hub = hub(&store, &steps).await;
    let handle = contoso(&hub).await.run("work", ()).await.unwrap();
    pause(Duration::from_millis(9_700)).await;
    // The commit of the end fails once.
    store.refuse(ErrorKind::Internal, None);
    pause(Duration::from_millis(305)).await;
    store.recover();
    assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Succeeded);
    assert_eq!(steps.value(), 10, "no step ran again");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_melts_down_is_suspended_and_its_neighbour_goes_on() {
    let (store, steps) = (Refusing::new(), Counter::default());
    let hub = hub(&store, &steps).await;
    let a = contoso(&hub).await;
    let b = hub.tenants().create(NewTenant::customer("fabrikam")).await.unwrap();
    let broken: Vec<_> = futures_util::future::join_all((0..20).map(|_| a.run("work", ()))).await;
    let quiet = b.run("work", ()).await.unwrap();
    pause(Duration::from_millis(500)).await;
    store.refuse(ErrorKind::Internal, Some("contoso"));
    eventually("it is suspended", async || {
        matches!(hub.tenants().get("contoso").unwrap().status, TenantStatus::Suspended { .. })
    })
    .await;
    assert_eq!(quiet.wait().await.unwrap().state, ExecutionState::Succeeded);
    for handle in &broken {
        assert_eq!(handle.as_ref().unwrap().wait().await.unwrap_err().kind(), ErrorKind::Closed);
    }
    let error = a.run("work", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Suspended);
    assert!(error.message().contains("refused by the test"), "{error}");

    store.recover();
    hub.tenants().enable("contoso").await.unwrap();
    for handle in broken {
        let resumed = a.execution(handle.unwrap().id()).await.unwrap();
        assert_eq!(resumed.wait().await.unwrap().state, ExecutionState::Succeeded);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_was_interrupted_is_finished_at_the_next_start() {
    let store = Refusing::new();
    let keys: Arc<dyn KeyProvider> = Arc::new(EphemeralKey::generate(Arc::new(SeededEntropy::new(1))));
    let builder = || Hub::builder().with_store(Arc::new(store.clone()), Arc::clone(&keys)).with_clock(clock());
    let hub = builder().start().await.unwrap();
    let tenant = contoso(&hub).await;
    for number in 0..5 {
        tenant.secrets().set(&format!("secret-{number}"), "text").await.unwrap();
    }
    hub.tenants().disable("contoso").await.unwrap();
    store.refuse(ErrorKind::StoreFull, Some("contoso"));
    assert_eq!(hub.tenants().delete("contoso").await.unwrap_err().kind(), ErrorKind::StoreFull);
    assert_eq!(hub.tenant("contoso").unwrap_err().kind(), ErrorKind::NotFound, "deleted, though not erased");
    store.recover();
    let scope = Scope::tenant(TenantId::new("contoso").unwrap());
    let left = async |kind| keys_under(&store, &scope.kind(kind)).await.unwrap().len();
    assert_eq!(left(Kind::Secret).await, 5);
    let hub = builder().start().await.unwrap();
    assert_eq!(left(Kind::Secret).await, 0);
    assert!(left(Kind::Audit).await > 0, "the trail stays");
    assert_eq!(hub.tenant("contoso").unwrap_err().kind(), ErrorKind::NotFound);
}
