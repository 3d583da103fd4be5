//! A wall clock that is set: scheduled work goes by it, deadlines and delays do not.

use std::sync::Arc;
use std::time::Duration;

use bifrost::execution::Attention;
use bifrost::policy::retry::RetryPolicy;
use bifrost::testing::SeededEntropy;
use bifrost::{
    Clock, Context, Error, ErrorKind, ExecutionState, Hub, HubBuilder, Retry, Run, Timestamp, Workflow, workflow,
};

use crate::world::{Counter, Disk, contoso, eventually, pause};

/// The clock that can be set, as the lab uses it.
#[path = "../lab/attacks/days/clock.rs"]
#[allow(dead_code)]
mod jumpy;

use jumpy::JumpyClock;

const HOUR: i64 = 3_600;
/// How soon the hub notices that its clock was set.
const SOON: Duration = Duration::from_secs(6);

fn settable() -> JumpyClock {
    JumpyClock::starting_at("2026-01-01T00:00:00Z")
}

fn hub(disk: &Disk, clock: &JumpyClock) -> HubBuilder {
    disk.hub().with_clock(Arc::new(clock.clone()))
}

fn in_hours(clock: &JumpyClock, hours: u64) -> Timestamp {
    clock.now().saturating_add(Duration::from_secs(hours * 3_600))
}

fn counting(counter: &Counter) -> impl Workflow + use<> {
    let counter = counter.clone();
    workflow("work", move |_: Context, (): ()| {
        let counter = counter.clone();
        async move { Ok(counter.count()) }
    })
    .unwrap()
}

async fn start(disk: &Disk, clock: &JumpyClock, work: impl Workflow) -> Hub {
    hub(disk, clock).with_workflow(work).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_makes_scheduled_work_due() {
    let (disk, clock, ran) = (Disk::new(), settable(), Counter::default());
    let hub = start(&disk, &clock, counting(&ran)).await;
    let tenant = contoso(&hub).await;
    for hours in [20, 30] {
        tenant.start(Run::new("work", ()).starting_at(in_hours(&clock, hours))).await.unwrap();
    }
    pause(Duration::from_secs(60)).await;
    clock.jump(24 * HOUR);
    pause(SOON).await;
    assert_eq!(ran.value(), 1, "one was due, the other is not");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_makes_nothing_early_and_nothing_run_twice() {
    let (disk, clock, ran) = (Disk::new(), settable(), Counter::default());
    let hub = start(&disk, &clock, counting(&ran)).await;
    let tenant = contoso(&hub).await;
    let at = in_hours(&clock, 2);
    tenant.start(Run::new("work", ()).starting_at(at)).await.unwrap();
    tenant.start(Run::new("work", ()).starting_at(in_hours(&clock, 1))).await.unwrap();
    pause(Duration::from_secs(90 * 60)).await;
    assert_eq!(ran.value(), 1);
    clock.jump(-24 * HOUR);
    pause(Duration::from_secs(24 * 3_600)).await;
    assert_eq!(ran.value(), 1, "half an hour is left by the wall");
    pause(Duration::from_secs(30 * 60) + SOON).await;
    assert_eq!(ran.value(), 2);
    assert!(clock.now() >= at);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_takes_no_time_from_what_runs() {
    let (disk, clock, tried) = (Disk::new(), settable(), Counter::default());
    let count = tried.clone();
    let work = workflow("work", move |_: Context, (): ()| {
        let count = count.clone();
        async move {
            let error = Error::new(ErrorKind::Unavailable, "test", "not yet").retry(Retry::Later);
            if count.count() < 3 { Err(error) } else { Ok(()) }
        }
    });
    let work =
        work.unwrap().with_retry(RetryPolicy::attempts(3).with_delay(Duration::from_secs(60), Duration::from_secs(60)));
    let hub = start(&disk, &clock, work).await;
    let handle = contoso(&hub).await.run("work", ()).await.unwrap();
    eventually("the first try", async || tried.value() == 1).await;
    clock.jump(24 * HOUR);
    eventually("the second try", async || tried.value() == 2).await;
    assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_delay_does_not_grow_when_the_clock_was_set_back_before_a_restart() {
    let (disk, clock, tried) = (Disk::new(), settable(), Counter::default());
    let work = |tried: &Counter| {
        let tried = tried.clone();
        let delay = Duration::from_secs(10 * 60);
        let work = workflow("work", move |_: Context, (): ()| {
            let tried = tried.clone();
            async move {
                let error = Error::new(ErrorKind::Unavailable, "test", "not yet").retry(Retry::Later);
                if tried.count() == 1 { Err(error) } else { Ok(()) }
            }
        });
        work.unwrap().with_retry(RetryPolicy::attempts(3).with_delay(delay, delay))
    };
    let first = start(&disk, &clock, work(&tried)).await;
    let handle = contoso(&first).await.run("work", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;
    assert_eq!(tried.value(), 1);
    clock.jump(-24 * HOUR);
    let second = start(&disk, &clock, work(&tried)).await;
    let resumed = second.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
    let before = clock.monotonic();
    assert_eq!(resumed.wait().await.unwrap().state, ExecutionState::Succeeded);
    assert!(clock.monotonic() - before <= Duration::from_secs(10 * 60));
}

#[tokio::test(start_paused = true)]
async fn scheduled_work_misses_its_workflow_only_when_it_is_due_and_is_not_held_against_it_that_nobody_was_there() {
    let (disk, clock, ran) = (Disk::new(), settable(), Counter::default());
    let first = start(&disk, &clock, counting(&Counter::default())).await;
    let id = contoso(&first).await.start(Run::new("work", ()).starting_at(in_hours(&clock, 5))).await.unwrap().id();
    // More often than an execution may be taken up that has run.
    for _ in 0..12 {
        hub(&disk, &clock).with_entropy(Arc::new(SeededEntropy::new(1))).start().await.unwrap();
    }
    let last = hub(&disk, &clock).start().await.unwrap();
    let handle = last.tenant("contoso").unwrap().execution(id).await.unwrap();
    pause(Duration::from_secs(3_600)).await;
    assert_eq!(handle.record().await.unwrap().state, ExecutionState::Scheduled);
    // Later than it may wait in the queue: it was not in the queue.
    clock.jump(24 * HOUR);
    pause(SOON).await;
    assert_eq!(handle.record().await.unwrap().attention, Some(Attention::WorkflowMissing));
    last.register(Arc::new(counting(&ran)));
    assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Succeeded);
    assert_eq!(ran.value(), 1);
}
