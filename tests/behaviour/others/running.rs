//! What runs has one owner, ends once, and what came too late changes nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrost::execution::{ExecutionRecord, ExecutionState as S, Resolution};
use bifrost::policy::retry::RetryPolicy;
use bifrost::{Context, Error, ErrorKind, EventBody, Hub, HubConfig, Result, Retry, Run, Tenant, Workflow, workflow};
use futures_util::StreamExt;
use serde_json::json;

use crate::taped::Taped;
use crate::world::{Counter, Disk, contoso, eventually, pause};

/// An attempt that had timed out ran on beside its retry and wrote its results. Here an attempt is closed in the journal
/// before anything follows, and what its code does later is refused before it reaches the outside or the store.
#[tokio::test(start_paused = true)]
async fn hatchet_1022_an_attempt_that_timed_out_writes_nothing_any_more() {
    let late: Arc<Mutex<Option<Result<u32>>>> = Arc::default();
    let told = Arc::clone(&late);
    let work = workflow("work", move |ctx: Context, (): ()| {
        let told = Arc::clone(&told);
        async move {
            // A task that the hub does not know of runs on by itself.
            let stray = ctx.clone();
            tokio::spawn(async move {
                pause(Duration::from_secs(60)).await;
                let result = stray.effect("late write").run(|_| async { Ok(1) }).await;
                *told.lock().unwrap() = Some(result);
            });
            std::future::pending::<Result<()>>().await
        }
    })
    .unwrap()
    .with_run_deadline(Duration::from_secs(30));
    let hub = Disk::new().hub().with_workflow(work).start().await.unwrap();
    let handle = contoso(&hub).await.run("work", ()).await.unwrap();
    assert_eq!(handle.wait().await.unwrap().state, S::TimedOut);
    let before = hub.snapshot().store.last_commit;
    eventually("the stray task has tried", async || late.lock().unwrap().is_some()).await;
    assert_eq!(late.lock().unwrap().as_ref().unwrap().as_ref().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(hub.snapshot().store.last_commit, before, "nothing was stored");
}

/// The late result of a stalled worker overwrote the run that had taken its place. Here a step belongs to the attempt
/// that asked for it: while the next one runs, a former one can neither begin nor finish any.
#[tokio::test(start_paused = true)]
async fn aegra_547_a_late_result_does_not_overwrite_the_new_run() {
    let (sent, refused) = (Counter::default(), Counter::default());
    let (sending, refusing) = (sent.clone(), refused.clone());
    let work = workflow("work", move |ctx: Context, (): ()| {
        let (sent, refused) = (sending.clone(), refusing.clone());
        async move {
            let attempt = ctx.info().attempt;
            let stray = ctx.clone();
            tokio::spawn(async move {
                // This one began in time and has its result too late; the other begins too late.
                let slow = || async {
                    pause(Duration::from_secs(3)).await;
                    Ok(attempt)
                };
                let finished = stray.step("answer", slow).await;
                let begun = stray.effect("late write").run(|_| async { Ok(sent.count()) }).await;
                for result in [finished, begun] {
                    if result.is_err() {
                        refused.count();
                    }
                }
            });
            ctx.sleep(Duration::from_secs(1)).await;
            if attempt == 1 {
                return Err(Error::new(ErrorKind::Unavailable, "work", "stalled").retry(Retry::Later));
            }
            ctx.sleep(Duration::from_secs(10)).await;
            Ok(attempt)
        }
    })
    .unwrap()
    .with_retry(RetryPolicy::attempts(2).with_delay(Duration::from_millis(10), Duration::from_millis(10)));
    let hub = Disk::new().hub().with_workflow(work).start().await.unwrap();
    let handle = contoso(&hub).await.run("work", ()).await.unwrap();
    assert_eq!(handle.wait().await.unwrap().into_output().unwrap(), json!(2));
    assert_eq!((sent.value(), refused.value()), (1, 2), "the second attempt's own, and none of the first");
}

/// Executions in every state there is; one of them has to be cancelled, one waits for a person.
fn all_kinds() -> [impl Workflow + use<>; 4] {
    let kind = |name: &'static str| {
        workflow(name, move |ctx: Context, (): ()| async move {
            match name {
                "stubborn" => std::future::pending().await,
                "doubtful" => {
                    let lost = || Error::new(ErrorKind::UnknownOutcome, "call", "reset");
                    ctx.effect("write").run(|_| async { Err::<u32, _>(lost()) }).await.map(drop)
                }
                "flaky" if ctx.info().attempt < 3 => {
                    Err(Error::new(ErrorKind::Unavailable, "call", "down").retry(Retry::Later))
                }
                _ => {
                    for step in ["a", "b", "c"] {
                        ctx.step(step, || async { Ok(()) }).await?;
                        ctx.sleep(Duration::from_secs(1)).await;
                    }
                    Ok(())
                }
            }
        })
        .unwrap()
        .with_retry(RetryPolicy::attempts(9).with_delay(Duration::from_secs(2), Duration::from_secs(2)))
    };
    ["steps", "flaky", "stubborn", "doubtful"].map(kind)
}

async fn start(disk: &Disk, store: bifrost::store::SharedStore) -> Hub {
    // Fewer places than executions: some are in line.
    let config = HubConfig { max_running: 3, ..HubConfig::default() };
    let builder = disk.hub_on(store).with_config(config);
    let builder = all_kinds().into_iter().fold(builder, |builder, workflow| builder.with_workflow(workflow));
    builder.start().await.unwrap()
}

async fn records(tenant: &Tenant) -> Vec<ExecutionRecord> {
    tenant.executions(None, 100).await.unwrap()
}

/// Runs stayed "running" for ever when their worker had died, used up the concurrency limit, and those that had waited
/// in line were never begun (also n8n#14286, n8n#35059). Here every state has an owner, the start of the hub that claimed
/// it: wherever the process dies, five seconds after the next start nothing is left without.
#[tokio::test(start_paused = true)]
async fn prefect_16746_nothing_stays_running_without_an_owner() {
    let (disk, tape) = (Disk::new(), Taped::new());
    let hub = start(&disk, Arc::new(tape.clone())).await;
    let tenant = contoso(&hub).await;
    let made = tape.forks().len();
    let later = disk.clock().now().saturating_add(Duration::from_secs(4));
    tenant.start(Run::new("steps", ()).starting_at(later)).await.unwrap();
    for name in ["stubborn", "doubtful", "flaky", "steps", "steps"] {
        tenant.run(name, ()).await.unwrap();
    }
    pause(Duration::from_secs(2)).await;
    let stubborn = records(&tenant).await.into_iter().find(|record| record.workflow.as_str() == "stubborn").unwrap();
    tenant.cancel(stubborn.id, "enough").await.unwrap();
    pause(Duration::from_secs(20)).await;

    let mut seen = Vec::new();
    for fork in tape.forks().into_iter().skip(made) {
        let look = disk.hub_on(Arc::new(fork.fork())).without_taking_up().start().await.unwrap();
        seen.extend(records(&look.tenant("contoso").unwrap()).await.into_iter().map(|record| record.state));
        let hub = start(&disk, Arc::new(fork)).await;
        let tenant = hub.tenant("contoso").unwrap();
        pause(Duration::from_secs(5)).await;
        let snapshot = hub.snapshot();
        let open: Vec<_> = records(&tenant).await.into_iter().filter(|record| !record.state.is_terminal()).collect();
        assert!(open.iter().all(|record| record.epoch == snapshot.epoch), "{open:#?}");
        assert_eq!(open.len(), snapshot.executions_in_flight);
        pause(Duration::from_secs(20)).await;
        for record in records(&tenant).await {
            match record.workflow.as_str() {
                "stubborn" => tenant.cancel(record.id, "enough").await.unwrap(),
                "doubtful" if !record.state.is_terminal() => {
                    tenant.resolve(record.id, Resolution::Abort).await.unwrap();
                }
                _ => {}
            }
        }
        eventually("all have ended", async || hub.snapshot().executions_in_flight == 0).await;
        assert_eq!(hub.snapshot().executions_running, 0, "no place is used up");
        assert_eq!(tenant.run("steps", ()).await.unwrap().wait().await.unwrap().state, S::Succeeded);
    }
    for state in [S::Scheduled, S::Pending, S::Running, S::Cancelling, S::NeedsAttention] {
        assert!(seen.contains(&state), "no process died while one was {state}");
    }
}

/// All ways in which the moves of several, each in its own order, can follow one another.
fn interleavings(moves: &[Vec<S>]) -> Vec<Vec<S>> {
    if moves.iter().all(Vec::is_empty) {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for turn in 0..moves.len() {
        let mut rest = moves.to_vec();
        if rest[turn].is_empty() {
            continue;
        }
        let first = rest[turn].remove(0);
        all.extend(interleavings(&rest).into_iter().map(|tail| [vec![first], tail].concat()));
    }
    all
}

/// Finished runs were marked as crashed by recovery (also prefect#16459, prefect#18653). Here each move is checked
/// against the state that is there: whoever finishes, cancels, times out or takes up again, in whatever order, the first
/// end stays.
#[tokio::test(start_paused = true)]
async fn n8n_23807_whatever_the_order_the_first_end_stays() {
    let hub = Disk::new().hub().with_workflow(all_kinds().into_iter().next().unwrap()).start().await.unwrap();
    let handle = contoso(&hub).await.run("steps", ()).await.unwrap();
    let record = handle.record().await.unwrap();
    let finish = vec![S::Running, S::Succeeded];
    let cancel = vec![S::Cancelling, S::Cancelled];
    let time_out = vec![S::TimedOut];
    let take_up = vec![S::Pending, S::Running, S::NeedsAttention];
    let mut ends = Vec::new();
    for order in interleavings(&[finish, cancel, time_out, take_up]) {
        let mut record = ExecutionRecord { state: S::Pending, ..record.clone() };
        let mut end = None;
        for next in order {
            let moved = record.become_state(next).is_ok();
            assert!(!(moved && end.is_some()), "{end:?} was left for {next}");
            end = end.or(record.state.is_terminal().then_some(record.state));
        }
        ends.extend(end);
    }
    for end in [S::Succeeded, S::Cancelled, S::TimedOut] {
        assert!(ends.contains(&end), "{end} comes first in some order");
    }
}

/// The same in a running hub: end, deadline and cancellation within the same millisecond, then a crash and a recovery.
#[tokio::test(start_paused = true)]
async fn n8n_23807_no_end_is_changed_by_a_deadline_a_cancellation_or_a_recovery() {
    let at = |number: u32| Duration::from_millis(999 + u64::from(number % 3));
    for number in 0..27 {
        let (finish, deadline, cancel) = (at(number), at(number / 3), at(number / 9));
        let work = || {
            let work = workflow("work", move |ctx: Context, (): ()| async move {
                ctx.sleep(finish).await;
                Ok(())
            });
            work.unwrap().with_run_deadline(deadline)
        };
        let disk = Disk::new();
        let hub = disk.hub().with_workflow(work()).start().await.unwrap();
        let tenant = contoso(&hub).await;
        let handle = tenant.run("work", ()).await.unwrap();
        let (canceller, id) = (tenant.clone(), handle.id());
        let cancelled = tokio::spawn(async move {
            pause(cancel).await;
            canceller.cancel(id, "enough").await
        });
        let outcome = handle.wait().await.unwrap();
        // Whoever cancels what has ended is told so or not, and changes nothing.
        let _ = cancelled.await.unwrap();
        let stored = handle.record().await.unwrap();
        assert_eq!(stored.outcome, Some(outcome), "case {number}");
        let ends = handle.events(1).filter(|event| {
            let end = matches!(event.body, EventBody::State { state, .. } if state.is_terminal());
            async move { end }
        });
        assert_eq!(ends.count().await, 1, "case {number}");
        let finished = |entry: &&bifrost::audit::AuditEntry| entry.record.action == "execution.finish";
        assert_eq!(tenant.audit(None, 100).await.unwrap().iter().filter(finished).count(), 1, "case {number}");
        let hub = disk.hub().with_workflow(work()).start().await.unwrap();
        pause(Duration::from_secs(10)).await;
        let tenant = hub.tenant("contoso").unwrap();
        let _ = tenant.cancel(id, "once more").await;
        assert_eq!(tenant.execution(id).await.unwrap().record().await.unwrap(), stored, "case {number}");
    }
}
