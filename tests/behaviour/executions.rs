//! Executions: durable acceptance, steps, retry, deadlines, cancellation, events, crash and replay.

use std::time::Duration;

use bifrost::execution::ExecutionState;
use bifrost::policy::retry::RetryPolicy;
use bifrost::{Context, Error, ErrorKind, EventBody, Result, Retry, Run, workflow};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::world::{Counter, Disk, clock, contoso, eventually, pause};

fn flaky(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "run step", message).retry(Retry::Later)
}

#[tokio::test(start_paused = true)]
async fn a_workflow_runs_and_its_outcome_is_kept() {
    let greet = workflow("greet", |ctx: Context, name: String| async move {
        ctx.step("greet", || async { Ok(format!("Hello, {name}!")) }).await
    })
    .unwrap();
    let hub = Disk::new().hub().with_workflow(greet).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let handle = tenant.run("greet", "Zoë").await.unwrap();
    assert_eq!(handle.wait().await.unwrap().into_output().unwrap(), json!("Hello, Zoë!"));
    let record = handle.record().await.unwrap();
    assert_eq!(record.state, ExecutionState::Succeeded);
    let again = tenant.execution(handle.id()).await.unwrap();
    assert_eq!(again.wait().await.unwrap().output, json!("Hello, Zoë!"));
    assert_eq!(tenant.executions(None, 10).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn events_are_ordered_gap_free_and_can_be_read_again() {
    let work = workflow("work", |ctx: Context, (): ()| async move {
        ctx.progress(0, 2, "starting");
        ctx.step("one", || async { Ok(1) }).await?;
        ctx.progress(1, 2, "halfway");
        ctx.sleep(Duration::from_secs(1)).await;
        ctx.step("two", || async { Ok(2) }).await
    })
    .unwrap();
    let hub = Disk::new().hub().with_workflow(work).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let handle = tenant.run("work", ()).await.unwrap();
    let live: Vec<_> = handle.events(1).collect().await;
    let numbers: Vec<u64> = live.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=live.len() as u64).collect::<Vec<_>>());
    assert!(live.iter().any(|event| matches!(&event.body, EventBody::Progress { done: 1, total: 2, .. })));
    handle.wait().await.unwrap();
    eventually("the execution has left memory", async || hub.snapshot().executions_in_flight == 0).await;
    let stored: Vec<_> = tenant.execution(handle.id()).await.unwrap().events(1).collect().await;
    assert_eq!(stored, live);
    let tail: Vec<_> = tenant.execution(handle.id()).await.unwrap().events(4).collect().await;
    assert_eq!(tail, live[3..]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_repeats_no_step_that_is_recorded() {
    let (once, tries) = (Counter::default(), Counter::default());
    let (o, t) = (once.clone(), tries.clone());
    let work = workflow("work", move |ctx: Context, (): ()| {
        let (once, tries) = (o.clone(), t.clone());
        async move {
            ctx.step("once", || async { Ok(once.count()) }).await?;
            ctx.step("flaky", || async { if tries.count() < 3 { Err(flaky("down")) } else { Ok(7) } }).await
        }
    })
    .unwrap()
    .with_retry(RetryPolicy::attempts(5));
    let hub = Disk::new().hub().with_workflow(work).start().await.unwrap();
    let outcome = contoso(&hub).await.run("work", ()).await.unwrap().wait().await.unwrap();
    assert_eq!(outcome.into_output().unwrap(), json!(7));
    assert_eq!((once.value(), tries.value()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn permanent_errors_and_exhausted_retries_fail_with_the_error() {
    let refuse = workflow("refuse", |_: Context, (): ()| async move {
        Err::<(), _>(Error::new(ErrorKind::Rejected, "call provider", "no").next_action("ask"))
    })
    .unwrap();
    let down = workflow("down", |_: Context, (): ()| async move { Err::<(), _>(flaky("down")) }).unwrap();
    let hub = Disk::new().hub().with_workflow(refuse).with_workflow(down).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let refused = tenant.run("refuse", ()).await.unwrap().wait().await.unwrap();
    assert_eq!(refused.state, ExecutionState::Failed);
    let error = refused.into_output().unwrap_err();
    assert_eq!((error.kind(), error.suggested_action()), (ErrorKind::Rejected, Some("ask")));
    let handle = tenant.run("down", ()).await.unwrap();
    assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Failed);
    assert_eq!(handle.record().await.unwrap().attempt, 3);
}

#[tokio::test(start_paused = true)]
async fn deadlines_hold_for_code_that_does_not_cooperate() {
    let hang = workflow("hang", |_: Context, (): ()| async move {
        std::future::pending::<()>().await;
        Ok(())
    })
    .unwrap()
    .with_run_deadline(Duration::from_secs(60));
    let slow_step = workflow("slow_step", |ctx: Context, (): ()| async move {
        ctx.step("hang", || async { std::future::pending::<Result<()>>().await }).await
    })
    .unwrap()
    .with_step_deadline(Duration::from_secs(5))
    .with_retry(RetryPolicy::never());
    let hub = Disk::new().hub().with_workflow(hang).with_workflow(slow_step).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let hung = tenant.run("hang", ()).await.unwrap().wait().await.unwrap();
    assert_eq!(hung.state, ExecutionState::TimedOut);
    let slow = tenant.run("slow_step", ()).await.unwrap().wait().await.unwrap();
    assert_eq!(slow.state, ExecutionState::Failed);
    assert_eq!(slow.into_output().unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn work_that_waits_too_long_for_a_slot_times_out() {
    let hang = workflow("hang", |ctx: Context, (): ()| async move {
        ctx.sleep(Duration::from_secs(1_000)).await;
        Ok(())
    })
    .unwrap()
    .with_queue_deadline(Duration::from_secs(10));
    let config = bifrost::HubConfig { max_running: 1, ..Default::default() };
    let hub = Disk::new().hub().with_config(config).with_workflow(hang).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let first = tenant.run("hang", ()).await.unwrap();
    let second = tenant.run("hang", ()).await.unwrap();
    assert_eq!(second.wait().await.unwrap().state, ExecutionState::TimedOut);
    assert_eq!(first.wait().await.unwrap().state, ExecutionState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn cancelling_waits_for_the_workflow_and_then_does_not() {
    let polite = workflow("polite", |ctx: Context, (): ()| async move {
        ctx.cancelled().await;
        Ok("stopped by itself")
    })
    .unwrap();
    let deaf = workflow("deaf", |_: Context, (): ()| async move {
        std::future::pending::<()>().await;
        Ok(())
    })
    .unwrap();
    let hub = Disk::new().hub().with_workflow(polite).with_workflow(deaf).start().await.unwrap();
    let tenant = contoso(&hub).await;
    for name in ["polite", "deaf"] {
        let handle = tenant.run(name, ()).await.unwrap();
        pause(Duration::from_secs(1)).await;
        handle.cancel("not needed any more").await.unwrap();
        handle.cancel("twice is fine").await.unwrap();
        assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Cancelled, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_its_execution_and_nothing_else() {
    let boom = workflow("boom", |_: Context, fine: bool| async move {
        assert!(fine, "kaboom");
        Ok(())
    })
    .unwrap();
    let hub = Disk::new().hub().with_workflow(boom).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let failed = tenant.run("boom", false).await.unwrap().wait().await.unwrap();
    let error = failed.into_output().unwrap_err();
    assert!(error.kind() == ErrorKind::Internal && error.message().contains("kaboom"), "{error}");
    assert_eq!(tenant.run("boom", true).await.unwrap().wait().await.unwrap().state, ExecutionState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn one_idempotency_key_is_one_execution() {
    let runs = Counter::default();
    let counter = runs.clone();
    let work = workflow("work", move |_: Context, n: u32| {
        let runs = counter.clone();
        async move { Ok(runs.count() + n) }
    })
    .unwrap();
    let hub = Disk::new().hub().with_workflow(work).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let run = || Run::new("work", 1).with_idempotency_key("row 1");
    let racing: Vec<_> = futures_util::future::join_all((0..50).map(|_| tenant.start(run()))).await;
    let ids: std::collections::BTreeSet<_> = racing.into_iter().map(|handle| handle.unwrap().id()).collect();
    assert_eq!(ids.len(), 1);
    tenant.start(run()).await.unwrap().wait().await.unwrap();
    assert_eq!(runs.value(), 1);
    let other = tenant.start(Run::new("work", 2).with_idempotency_key("row 1")).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Conflict);
}

#[tokio::test(start_paused = true)]
async fn an_execution_goes_on_after_a_restart_without_repeating_a_step() {
    let (first, second) = (Counter::default(), Counter::default());
    let disk = Disk::new();
    let make = |hang: bool| {
        let (first, second) = (first.clone(), second.clone());
        workflow("work", move |ctx: Context, (): ()| {
            let (first, second) = (first.clone(), second.clone());
            async move {
                let one = ctx.step("one", || async { Ok(first.count()) }).await?;
                if hang {
                    std::future::pending::<()>().await;
                }
                let two = ctx.step("two", || async { Ok(second.count()) }).await?;
                Ok((one, two))
            }
        })
        .unwrap()
    };
    let hub = disk.hub().with_workflow(make(true)).start().await.unwrap();
    let handle = contoso(&hub).await.run("work", ()).await.unwrap();
    eventually("step one is done", async || first.value() == 1).await;
    pause(Duration::from_secs(1)).await;
    let hub = disk.hub().with_workflow(make(false)).start().await.unwrap();
    let resumed = hub.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().into_output().unwrap(), json!([1, 1]));
    assert_eq!((first.value(), second.value()), (1, 1));
    let numbers: Vec<u64> = resumed.events(1).map(|event| event.seq).collect().await;
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_changed_workflow_is_set_aside_with_both_shapes() {
    let disk = Disk::new();
    let effects = Counter::default();
    let old = workflow("work", |ctx: Context, (): ()| async move {
        ctx.step("create user", || async { Ok(1) }).await?;
        std::future::pending::<()>().await;
        Ok(())
    })
    .unwrap();
    let hub = disk.hub().with_workflow(old).start().await.unwrap();
    let handle = contoso(&hub).await.run("work", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;

    let counter = effects.clone();
    let new = workflow("work", move |ctx: Context, (): ()| {
        let effects = counter.clone();
        async move { ctx.step("make user", || async { Ok(effects.count()) }).await }
    })
    .unwrap();
    let hub = disk.hub().with_workflow(new).start().await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    let resumed = tenant.execution(handle.id()).await.unwrap();
    eventually("it is set aside", async || resumed.record().await.unwrap().state == ExecutionState::NeedsAttention)
        .await;
    let attention = serde_json::to_value(resumed.record().await.unwrap().attention).unwrap();
    assert_eq!(
        attention,
        json!({"reason": "shape_changed", "recorded": ["create user#0"], "requested": ["make user#0"]})
    );
    assert_eq!(effects.value(), 0, "nothing was done on a guess");
    tenant.resolve(handle.id(), bifrost::execution::Resolution::Abort).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().state, ExecutionState::Failed);
}

#[tokio::test(start_paused = true)]
async fn concurrent_steps_replay_in_any_order() {
    let disk = Disk::new();
    let make = |hang: bool| {
        workflow("work", move |ctx: Context, (): ()| async move {
            let slow = ctx.step("slow", || async {
                if hang {
                    std::future::pending::<()>().await;
                }
                Ok(1)
            });
            let fast = ctx.step("fast", || async { Ok(2) });
            let (slow, fast) = futures_util::future::join(slow, fast).await;
            Ok((slow?, fast?))
        })
        .unwrap()
    };
    let hub = disk.hub().with_workflow(make(true)).start().await.unwrap();
    let handle = contoso(&hub).await.run("work", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;
    let hub = disk.hub().with_workflow(make(false)).start().await.unwrap();
    let resumed = hub.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().into_output().unwrap(), json!([1, 2]));
}

#[tokio::test(start_paused = true)]
async fn problems_end_as_completed_with_errors() {
    let work = workflow("work", |ctx: Context, (): ()| async move {
        ctx.problem(&Error::new(ErrorKind::Rejected, "call provider", "no licence left").next_action("buy one"));
        Ok(Value::Null)
    })
    .unwrap();
    let hub = Disk::new().hub().with_workflow(work).start().await.unwrap();
    let outcome = contoso(&hub).await.run("work", ()).await.unwrap().wait().await.unwrap();
    assert_eq!(outcome.state, ExecutionState::CompletedWithErrors);
    assert_eq!(outcome.problems[0].next_action.as_deref(), Some("buy one"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_the_workflow_lived_with_stays_part_of_its_history() {
    let disk = Disk::new();
    let tries = Counter::default();
    let make = |hang: bool| {
        let tries = tries.clone();
        workflow("work", move |ctx: Context, (): ()| {
            let tries = tries.clone();
            async move {
                let first =
                    ctx.step("maybe", || async { if tries.count() == 1 { Err(flaky("down")) } else { Ok(1) } }).await;
                let path = if first.is_ok() { "good" } else { "fallback" };
                ctx.step(path, || async { Ok(()) }).await?;
                if hang {
                    std::future::pending::<()>().await;
                }
                Ok(path)
            }
        })
        .unwrap()
    };
    let hub = disk.hub().with_workflow(make(true)).start().await.unwrap();
    let handle = contoso(&hub).await.run("work", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;
    let hub = disk.hub().with_workflow(make(false)).start().await.unwrap();
    let resumed = hub.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().into_output().unwrap(), json!("fallback"));
    assert_eq!(tries.value(), 1);
}

#[tokio::test(start_paused = true)]
async fn scheduled_work_starts_at_its_time_also_when_nobody_was_there_before() {
    let disk = Disk::new();
    let work = || workflow("work", |ctx: Context, (): ()| async move { Ok(ctx.now()) }).unwrap();
    let hub = disk.hub().with_workflow(work()).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let in_hours = |hours: u64| disk.clock().now().saturating_add(Duration::from_secs(hours * 3_600));
    let (soon, later) = (in_hours(1), in_hours(50));
    let first = tenant.start(Run::new("work", ()).starting_at(soon)).await.unwrap();
    let second = tenant.start(Run::new("work", ()).starting_at(later)).await.unwrap();
    let never = tenant.start(Run::new("work", ()).starting_at(later)).await.unwrap();
    assert_eq!(second.record().await.unwrap().state, ExecutionState::Scheduled);
    never.cancel("changed our minds").await.unwrap();
    assert_eq!(never.wait().await.unwrap().state, ExecutionState::Cancelled);
    assert_eq!(first.wait().await.unwrap().into_output().unwrap(), json!(soon));
    let hub = disk.hub().with_workflow(work()).start().await.unwrap();
    let resumed = hub.tenant("contoso").unwrap().execution(second.id()).await.unwrap();
    let ran_at: bifrost::Timestamp = serde_json::from_value(resumed.wait().await.unwrap().output).unwrap();
    assert!(ran_at >= later && ran_at.since(later) < Duration::from_secs(1), "{ran_at}");
}

#[tokio::test(start_paused = true)]
async fn what_a_workflow_is_at_is_seen_while_it_is_at_it() {
    let work = workflow("work", |ctx: Context, step: bool| async move {
        if step {
            let slow = || async {
                ctx.sleep(Duration::from_secs(200)).await;
                Ok(())
            };
            ctx.step("slow", slow).await?;
        }
        ctx.progress(1, 2, "halfway");
        ctx.sleep(Duration::from_secs(3_000)).await;
        Ok(())
    })
    .unwrap()
    .with_run_deadline(Duration::from_secs(7_200));
    let hub = Disk::new().hub().with_workflow(work).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let clock = clock();
    for step in [false, true] {
        let handle = tenant.run("work", step).await.unwrap();
        pause(Duration::from_secs(1)).await;
        assert_eq!(handle.record().await.unwrap().state, ExecutionState::Running);
        let mut seen = Box::pin(handle.events(3));
        let event = bifrost::time::within(clock.as_ref(), Duration::from_secs(1), seen.next()).await.unwrap();
        let body = event.unwrap().body;
        assert!(matches!(body, EventBody::Progress { .. } | EventBody::StepStarted { .. }), "{body:?}");
        pause(Duration::from_secs(201)).await;
        let events = bifrost::time::within(clock.as_ref(), Duration::from_secs(1), async {
            let mut progress = Box::pin(handle.events(1));
            while let Some(event) = progress.next().await {
                if matches!(event.body, EventBody::Progress { .. }) {
                    return true;
                }
            }
            false
        });
        assert_eq!(events.await, Some(true), "step: {step}");
    }
}
