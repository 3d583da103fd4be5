//! Starting, resting, shutting down: nothing accepted is lost on the way.

use std::time::Duration;

use bifrost::execution::{Attention, ExecutionState, Resolution};
use bifrost::{Context, ErrorKind, HubConfig, NewTenant, Run, workflow};

use crate::world::{Counter, Disk, contoso, eventually, pause};

fn nap(seconds: u64) -> impl bifrost::Workflow {
    workflow("nap", move |ctx: Context, (): ()| async move {
        ctx.sleep(Duration::from_secs(seconds)).await;
        Ok(())
    })
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_running_work_end_and_puts_the_rest_back() {
    let disk = Disk::new();
    let config = HubConfig { max_running: 2, ..HubConfig::default() };
    let hub = disk.hub().with_config(config).with_workflow(nap(60)).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let ending = [tenant.run("nap", ()).await.unwrap(), tenant.run("nap", ()).await.unwrap()];
    let waiting = tenant.run("nap", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;
    let done = hub.shutdown(Duration::from_secs(120)).await.unwrap();
    assert_eq!(done.requeued, 0);
    for handle in ending {
        assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Succeeded);
    }
    assert_eq!(waiting.wait().await.unwrap_err().kind(), ErrorKind::Closed);

    let hub = disk.hub().with_workflow(nap(60)).start().await.unwrap();
    let resumed = hub.tenant("contoso").unwrap().execution(waiting.id()).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().state, ExecutionState::Succeeded);
    assert_eq!(resumed.record().await.unwrap().recoveries, 0, "an orderly end is nobody's fault");
}

#[tokio::test(start_paused = true)]
async fn shutdown_puts_back_what_does_not_end_in_time() {
    let disk = Disk::new();
    let hub = disk.hub().with_workflow(nap(86_400 * 365)).start().await.unwrap();
    let handle = contoso(&hub).await.run("nap", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;
    assert_eq!(hub.shutdown(Duration::from_secs(5)).await.unwrap().requeued, 1);
    assert_eq!(handle.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    let hub = disk.hub().with_workflow(nap(1)).start().await.unwrap();
    let resumed = hub.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().state, ExecutionState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_look_at_the_store_takes_nothing_up() {
    let disk = Disk::new();
    let hub = disk.hub().with_workflow(nap(60)).start().await.unwrap();
    let handle = contoso(&hub).await.run("nap", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;
    for _ in 0..20 {
        let look = disk.hub().without_taking_up().start().await.unwrap();
        let found = look.tenant("contoso").unwrap().executions(None, 10).await.unwrap();
        assert_eq!(found[0].id, handle.id());
        assert!(!found[0].state.is_terminal() && found[0].attention.is_none());
        pause(Duration::from_secs(30)).await;
    }
    let hub = disk.hub().with_workflow(nap(60)).start().await.unwrap();
    let resumed = hub.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().state, ExecutionState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_look_at_the_store_can_cancel_one_execution_and_leave_the_others() {
    let disk = Disk::new();
    let hub = disk.hub().with_workflow(nap(60)).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let (unwanted, other) = (tenant.run("nap", ()).await.unwrap(), tenant.run("nap", ()).await.unwrap());
    pause(Duration::from_secs(1)).await;
    let look = disk.hub().without_taking_up().start().await.unwrap();
    look.tenant("contoso").unwrap().cancel(unwanted.id(), "not needed").await.unwrap();
    look.shutdown(Duration::from_secs(5)).await.unwrap();
    let hub = disk.hub().with_workflow(nap(60)).start().await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    let unwanted = tenant.execution(unwanted.id()).await.unwrap();
    assert_eq!(unwanted.wait().await.unwrap().state, ExecutionState::Cancelled);
    let other = tenant.execution(other.id()).await.unwrap();
    assert_eq!(other.wait().await.unwrap().state, ExecutionState::Succeeded);
    assert_eq!(other.record().await.unwrap().recoveries, 1, "a look is no orderly end of the hub that worked");
}

#[tokio::test(start_paused = true)]
async fn a_decision_without_the_workflow_at_hand_is_kept() {
    let disk = Disk::new();
    let write = || {
        workflow("write", |ctx: Context, (): ()| async move {
            ctx.effect("send")
                .run(|_| async { Err::<u32, _>(bifrost::Error::new(ErrorKind::UnknownOutcome, "send", "lost")) })
                .await
        })
        .unwrap()
    };
    let hub = disk.hub().with_workflow(write()).start().await.unwrap();
    let handle = contoso(&hub).await.run("write", ()).await.unwrap();
    eventually("a person is asked", async || handle.record().await.unwrap().attention.is_some()).await;
    let look = disk.hub().without_taking_up().start().await.unwrap();
    let tenant = look.tenant("contoso").unwrap();
    tenant.resolve(handle.id(), Resolution::Done { result: 7.into() }).await.unwrap();
    let attention = tenant.execution(handle.id()).await.unwrap().record().await.unwrap().attention;
    assert_eq!(attention, Some(Attention::WorkflowMissing));
    look.shutdown(Duration::from_secs(5)).await.unwrap();
    let hub = disk.hub().with_workflow(write()).start().await.unwrap();
    let resumed = hub.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().into_output().unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn who_only_waits_while_the_process_dies_is_not_blamed_for_it() {
    let disk = Disk::new();
    let start = async |seconds| {
        let config = HubConfig { max_recoveries: 3, max_running: 1, ..HubConfig::default() };
        disk.hub().with_config(config).with_workflow(nap(seconds)).start().await.unwrap()
    };
    let hub = start(86_400 * 365).await;
    let tenant = contoso(&hub).await;
    let later = disk.clock().now().saturating_add(Duration::from_secs(86_400));
    let mut ids = vec![tenant.start(Run::new("nap", ()).starting_at(later)).await.unwrap().id()];
    for _ in 0..8 {
        ids.push(tenant.run("nap", ()).await.unwrap().id());
    }
    for _ in 0..5 {
        pause(Duration::from_secs(1)).await;
        start(86_400 * 365).await;
    }
    pause(Duration::from_secs(1)).await;
    let hub = start(1).await;
    let tenant = hub.tenant("contoso").unwrap();
    let mut blamed = 0;
    for id in ids {
        let handle = tenant.execution(id).await.unwrap();
        blamed += u32::from(handle.settled().await.unwrap().is_none());
    }
    assert!(blamed <= 1, "one at a time ran, {blamed} are blamed");
}

#[tokio::test(start_paused = true)]
async fn one_that_gets_further_each_time_is_not_blamed() {
    let disk = Disk::new();
    let start = async || {
        let ten_steps = workflow("ten_steps", |ctx: Context, (): ()| async move {
            for number in 0..10 {
                ctx.sleep(Duration::from_secs(1)).await;
                ctx.step("step", || async { Ok(number) }).await?;
            }
            Ok(())
        });
        let config = HubConfig { max_recoveries: 2, ..HubConfig::default() };
        disk.hub().with_config(config).with_workflow(ten_steps.unwrap()).start().await.unwrap()
    };
    let hub = start().await;
    let id = contoso(&hub).await.run("ten_steps", ()).await.unwrap().id();
    for life in 1..10 {
        // Long enough for what was recorded, and one step more.
        pause(Duration::from_millis(1_000 * life + 500)).await;
        start().await;
    }
    let hub = start().await;
    let resumed = hub.tenant("contoso").unwrap().execution(id).await.unwrap();
    assert_eq!(resumed.settled().await.unwrap().unwrap().state, ExecutionState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_is_no_longer_registered_is_set_aside_until_it_is() {
    let disk = Disk::new();
    let hub = disk.hub().with_workflow(nap(1_000)).start().await.unwrap();
    let handle = contoso(&hub).await.run("nap", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;
    let hub = disk.hub().start().await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    let resumed = tenant.execution(handle.id()).await.unwrap();
    eventually("it is set aside", async || {
        resumed.record().await.unwrap().attention == Some(Attention::WorkflowMissing)
    })
    .await;
    let error = tenant.resolve(handle.id(), Resolution::Resume).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let hub = disk.hub().with_workflow(nap(1)).start().await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    let resumed = tenant.execution(handle.id()).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().state, ExecutionState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn an_idle_tenant_rests_and_wakes_on_use() {
    let hub = Disk::new().hub().with_workflow(nap(1)).start().await.unwrap();
    let tenant = contoso(&hub).await;
    tenant.run("nap", ()).await.unwrap().wait().await.unwrap();
    assert_eq!(hub.snapshot().tenants_awake, 1);
    eventually("it rests", async || {
        pause(Duration::from_secs(60)).await;
        hub.snapshot().tenants_awake == 0
    })
    .await;
    let outcome = tenant.run("nap", ()).await.unwrap().wait().await.unwrap();
    assert_eq!(outcome.state, ExecutionState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_running_work_does_not_rest() {
    let hub = Disk::new().hub().with_workflow(nap(1_700)).start().await.unwrap();
    let handle = contoso(&hub).await.run("nap", ()).await.unwrap();
    pause(Duration::from_secs(1_600)).await;
    assert_eq!(hub.snapshot().tenants_awake, 1);
    assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn two_hubs_live_in_one_process_with_the_same_names() {
    let counters = [Counter::default(), Counter::default()];
    let mut hubs = Vec::new();
    for counter in counters.clone() {
        let work = workflow("work", move |_: Context, (): ()| {
            let counter = counter.clone();
            async move { Ok(counter.count()) }
        })
        .unwrap();
        hubs.push(Disk::new().hub().with_workflow(work).start().await.unwrap());
    }
    for (index, hub) in hubs.iter().enumerate() {
        let tenant = contoso(hub).await;
        for _ in 0..=index {
            tenant.run("work", ()).await.unwrap().wait().await.unwrap();
        }
    }
    assert_eq!((counters[0].value(), counters[1].value()), (1, 2));
    hubs[0].shutdown(Duration::from_secs(1)).await.unwrap();
    hubs[1].tenant("contoso").unwrap().run("work", ()).await.unwrap().wait().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn tenants_are_changed_disabled_and_deleted_for_good() {
    let hub = Disk::new().hub().with_workflow(nap(1)).start().await.unwrap();
    let tenant = contoso(&hub).await;
    tenant.secrets().set("token", "canary").await.unwrap();
    tenant.run("nap", ()).await.unwrap().wait().await.unwrap();
    assert_eq!(hub.tenants().delete("contoso").await.unwrap_err().kind(), ErrorKind::Conflict);
    hub.tenants().disable("contoso").await.unwrap();
    assert_eq!(tenant.run("nap", ()).await.unwrap_err().kind(), ErrorKind::Suspended);
    hub.tenants().enable("contoso").await.unwrap();
    tenant.run("nap", ()).await.unwrap().wait().await.unwrap();
    hub.tenants().disable("contoso").await.unwrap();
    hub.tenants().delete("contoso").await.unwrap();
    assert_eq!(hub.tenant("contoso").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(tenant.run("nap", ()).await.unwrap_err().kind(), ErrorKind::NotFound);
    let reborn = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap_err();
    assert_eq!(reborn.kind(), ErrorKind::AlreadyExists);
    assert!(hub.tenants().list().is_empty());
}
