//! Effects: writes to the outside are never blindly repeated.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrost::execution::{ExecutionState, Resolution};
use bifrost::{Context, Error, ErrorKind, ExecutionHandle, Probe, Result, Tenant, workflow};
use serde_json::json;

use crate::world::{Disk, contoso, eventually, pause};

/// A provider outside the hub: what was applied to it stays, whatever happens to the hub.
#[derive(Clone, Default)]
struct Provider(Arc<Mutex<Vec<String>>>);

/// What happens to the answer of a write.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Arrives,
    /// The write is applied and nobody hears of it.
    Lost,
    /// The write does not arrive and nobody hears of it.
    NeverSent,
    /// It is applied and the process dies before the answer.
    Hangs,
}

impl Provider {
    async fn create(&self, answer: Answer) -> Result<usize> {
        if answer != Answer::NeverSent {
            self.0.lock().unwrap().push("ticket".to_owned());
        }
        match answer {
            Answer::Arrives => Ok(self.count()),
            Answer::Lost | Answer::NeverSent => Err(Error::new(ErrorKind::UnknownOutcome, "call provider", "reset")),
            Answer::Hangs => std::future::pending().await,
        }
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Opens a ticket; the first call goes as `first` says, later ones arrive.
fn open_ticket(provider: &Provider, first: Answer, probe: bool) -> impl bifrost::Workflow + use<> {
    let provider = provider.clone();
    let answers = Arc::new(Mutex::new(vec![first]));
    workflow("open_ticket", move |ctx: Context, (): ()| {
        let (provider, answers) = (provider.clone(), Arc::clone(&answers));
        async move {
            let send = |_key: String| {
                let answer = answers.lock().unwrap().pop().unwrap_or(Answer::Arrives);
                let provider = provider.clone();
                async move { provider.create(answer).await }
            };
            let effect = ctx.effect("open ticket");
            if !probe {
                return effect.run(send).await;
            }
            let look = |_key| async { Ok(Probe::from((provider.count() > 0).then(|| provider.count()))) };
            effect.with_probe(look).run(send).await
        }
    })
    .unwrap()
    .with_step_deadline(Duration::from_secs(86_400))
}

async fn set_aside(handle: &ExecutionHandle) {
    eventually("it needs attention", async || handle.record().await.unwrap().state == ExecutionState::NeedsAttention)
        .await;
}

async fn start(disk: &Disk, workflow: impl bifrost::Workflow) -> (Tenant, ExecutionHandle) {
    let hub = disk.hub().with_workflow(workflow).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let handle = tenant.run("open_ticket", ()).await.unwrap();
    (tenant, handle)
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_probed_and_not_sent_again() {
    let provider = Provider::default();
    let (_, handle) = start(&Disk::new(), open_ticket(&provider, Answer::Lost, true)).await;
    assert_eq!(handle.wait().await.unwrap().into_output().unwrap(), json!(1));
    assert_eq!(provider.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_never_arrived_is_sent_again_once_the_probe_says_so() {
    let provider = Provider::default();
    let (_, handle) = start(&Disk::new(), open_ticket(&provider, Answer::NeverSent, true)).await;
    assert_eq!(handle.wait().await.unwrap().into_output().unwrap(), json!(1));
    assert_eq!(provider.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_probe_is_asked_before_anything_is_sent() {
    for (first, sent_before) in [(Answer::Hangs, 1), (Answer::NeverSent, 0)] {
        let (disk, provider) = (Disk::new(), Provider::default());
        // The former process dies right after the write, or right before it.
        let before = open_ticket(&provider, Answer::Hangs, true);
        let (_, handle) = start(&disk, before).await;
        pause(Duration::from_secs(1)).await;
        if first == Answer::NeverSent {
            provider.0.lock().unwrap().clear();
        }
        assert_eq!(provider.count(), sent_before);
        let hub = disk.hub().with_workflow(open_ticket(&provider, Answer::Arrives, true)).start().await.unwrap();
        let resumed = hub.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
        assert_eq!(resumed.wait().await.unwrap().into_output().unwrap(), json!(1));
        assert_eq!(provider.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_probe_a_person_decides() {
    for (resolution, expected, tickets) in [
        (Resolution::Done { result: json!(42) }, Some(json!(42)), 1),
        (Resolution::NotDone, Some(json!(2)), 2),
        (Resolution::Abort, None, 1),
    ] {
        let provider = Provider::default();
        let (tenant, handle) = start(&Disk::new(), open_ticket(&provider, Answer::Lost, false)).await;
        set_aside(&handle).await;
        assert_eq!(provider.count(), 1, "nothing is sent while nobody has decided");
        let wrong = tenant.resolve(handle.id(), Resolution::Resume).await.unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::InvalidInput);
        tenant.resolve(handle.id(), resolution).await.unwrap();
        let outcome = handle.wait().await.unwrap();
        assert_eq!(outcome.into_output().ok(), expected);
        assert_eq!(provider.count(), tickets);
        let again = tenant.resolve(handle.id(), Resolution::NotDone).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_waits_for_a_person_waits_across_restarts() {
    let (disk, provider) = (Disk::new(), Provider::default());
    let (_, handle) = start(&disk, open_ticket(&provider, Answer::Lost, false)).await;
    set_aside(&handle).await;
    let hub = disk.hub().with_workflow(open_ticket(&provider, Answer::Arrives, false)).start().await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    let resumed = tenant.execution(handle.id()).await.unwrap();
    pause(Duration::from_secs(7 * 86_400)).await;
    set_aside(&resumed).await;
    eventually("its actor is there", async || {
        tenant.resolve(handle.id(), Resolution::Done { result: json!(1) }).await.is_ok()
    })
    .await;
    assert_eq!(resumed.wait().await.unwrap().state, ExecutionState::Succeeded);
    assert_eq!(provider.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_keyed_effect_is_sent_again_with_the_same_key() {
    let keys: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&keys);
    let work = workflow("open_ticket", move |ctx: Context, (): ()| {
        let keys = Arc::clone(&seen);
        async move {
            let send = |key: String| {
                let keys = Arc::clone(&keys);
                async move {
                    keys.lock().unwrap().push(key);
                    let sent = keys.lock().unwrap().len();
                    if sent == 1 {
                        Err(Error::new(ErrorKind::UnknownOutcome, "call provider", "reset"))
                    } else {
                        Ok(sent)
                    }
                }
            };
            ctx.effect("open ticket").keyed().run(send).await
        }
    })
    .unwrap();
    let (_, handle) = start(&Disk::new(), work).await;
    assert_eq!(handle.wait().await.unwrap().into_output().unwrap(), json!(2));
    let keys = keys.lock().unwrap();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn ending_an_execution_during_a_write_says_that_its_outcome_is_unknown() {
    let provider = Provider::default();
    let (tenant, handle) = start(&Disk::new(), open_ticket(&provider, Answer::Hangs, true)).await;
    pause(Duration::from_secs(1)).await;
    tenant.cancel(handle.id(), "stop").await.unwrap();
    let outcome = handle.wait().await.unwrap();
    assert_eq!(outcome.state, ExecutionState::Cancelled);
    assert_eq!(outcome.problems[0].kind, ErrorKind::UnknownOutcome);
}
