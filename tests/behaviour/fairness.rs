//! Tenants side by side: whoever asks for much at once waits for itself, and not before others.
//!
//! The store here takes batches one after the other and answers each when the test says so. So what a tenant has in front
//! of it is a number of batches, and no length of time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrost::policy::quota::Quota;
use bifrost::store::memory::MemoryStore;
use bifrost::store::{Batch, Op};
use bifrost::{Context, ErrorKind, ExecutionHandle, Hub, HubConfig, NewTenant, Result, Run, Tenant, workflow};
use futures_util::future::{BoxFuture, FutureExt, ready};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::watched::{Watched, Watcher};
use crate::world::{Disk, pause};

const CALLERS: usize = 1_000;

/// As many batches of one tenant may be in front of another's: those that are accepted at a time, and those that end.
const IN_FRONT: usize = 32;

/// Batches that were committed, and whose senders do not know it yet.
#[derive(Debug, Default)]
struct Desk(Mutex<Line>);

#[derive(Debug, Default)]
struct Line {
    answers_late: bool,
    waiting: VecDeque<(String, oneshot::Sender<()>)>,
}

impl Watcher for Desk {
    fn committed(&self, _: &MemoryStore, batch: &Batch) -> BoxFuture<'static, ()> {
        let mut line = self.0.lock().unwrap();
        if !line.answers_late {
            return ready(()).boxed();
        }
        let (answer, answered) = oneshot::channel();
        line.waiting.push_back((whose(batch), answer));
        answered.map(drop).boxed()
    }
}

impl Desk {
    fn answers_late(&self, late: bool) {
        let mut line = self.0.lock().unwrap();
        line.answers_late = late;
        if !late {
            line.waiting.clear();
        }
    }

    /// Whose batches wait, in their order.
    fn waiting(&self) -> Vec<String> {
        self.0.lock().unwrap().waiting.iter().map(|(tenant, _)| tenant.clone()).collect()
    }

    /// Answers the first that waits, and lets everybody do what follows from it.
    async fn answer_one(&self) {
        let first = self.0.lock().unwrap().waiting.pop_front();
        drop(first);
        settle().await;
    }
}

/// The tenant whose records `batch` changes.
fn whose(batch: &Batch) -> String {
    let names = ["flood", "quiet"];
    let touches = |name: &str| {
        batch.ops().iter().any(|op| {
            let key = match op {
                Op::Put(key, _) | Op::Delete(key) => key.as_bytes(),
                Op::Append(log, _) => log.as_bytes(),
            };
            key.windows(name.len()).any(|part| part == name.as_bytes())
        })
    };
    names.into_iter().find(|name| touches(name)).unwrap_or("hub").to_owned()
}

/// Virtual time passes only when all are at rest.
async fn settle() {
    pause(Duration::from_millis(1)).await;
}

struct Stage {
    desk: Arc<Desk>,
    hub: Hub,
    flood: Tenant,
    quiet: Tenant,
    /// Workflows that wait go on with a permit of this.
    gate: Arc<Semaphore>,
}

impl Stage {
    async fn new() -> Self {
        Self::with(HubConfig::default()).await
    }

    async fn with(config: HubConfig) -> Self {
        let desk = Arc::new(Desk::default());
        let gate = Arc::new(Semaphore::new(0));
        let answer = workflow("answer", |_: Context, number: u64| async move { Ok(number) }).unwrap();
        let behind = Arc::clone(&gate);
        let wait = workflow("wait", move |_: Context, number: u64| {
            let gate = Arc::clone(&behind);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(number)
            }
        });
        let config = HubConfig { event_flush: Duration::from_secs(86_400), ..config };
        let store = Arc::new(Watched::new(MemoryStore::new(), Arc::clone(&desk) as _));
        let builder = Disk::new().hub_on(store).with_config(config);
        let hub = builder.with_workflow(answer).with_workflow(wait.unwrap()).start().await.unwrap();
        let (flood, quiet) = (customer(&hub, "flood").await, customer(&hub, "quiet").await);
        // Both are awake.
        for tenant in [&flood, &quiet] {
            tenant.run("answer", 0_u64).await.unwrap().wait().await.unwrap();
        }
        Self { desk, hub, flood, quiet, gate }
    }

    /// A thousand callers at once, each with its number.
    async fn calls(&self, workflow: &'static str) -> Vec<JoinHandle<Result<ExecutionHandle>>> {
        let call = |number: usize| {
            let flood = self.flood.clone();
            tokio::spawn(async move { flood.run(workflow, number as u64).await })
        };
        let callers = (0..CALLERS).map(call).collect();
        settle().await;
        callers
    }
}

async fn customer(hub: &Hub, name: &str) -> Tenant {
    let quota = Quota { max_running: IN_FRONT as u32, ..Quota::default() };
    hub.tenants().create(NewTenant::customer(name).with_quota(quota)).await.unwrap()
}

async fn accepted(callers: Vec<JoinHandle<Result<ExecutionHandle>>>) -> Vec<ExecutionHandle> {
    let mut handles = Vec::new();
    for caller in callers {
        handles.push(caller.await.unwrap().unwrap());
    }
    handles
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_of_one_tenant_delay_another_s_by_few_batches() {
    let stage = Stage::new().await;
    stage.desk.answers_late(true);
    let callers = stage.calls("answer").await;
    let in_front = stage.desk.waiting().len();
    assert!((1..=IN_FRONT).contains(&in_front), "{in_front} of the flood");

    let quiet = stage.quiet.clone();
    let whole = tokio::spawn(async move { quiet.run("answer", 1_u64).await?.wait().await });
    settle().await;
    assert_eq!(stage.desk.waiting().iter().position(|whose| whose == "quiet"), Some(in_front), "it is the next");
    let mut answered = 0;
    while !whole.is_finished() {
        stage.desk.answer_one().await;
        answered += 1;
        assert!(stage.desk.waiting().len() <= 2 * IN_FRONT + 2);
    }
    assert!(answered <= 4 * IN_FRONT, "its acceptance and its end waited for {answered} batches");
    whole.await.unwrap().unwrap().into_output().unwrap();

    stage.desk.answers_late(false);
    let handles = accepted(callers).await;
    for (number, handle) in handles.iter().enumerate() {
        assert_eq!(handle.wait().await.unwrap().into_output().unwrap(), number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_that_end_at_once_are_not_all_in_front_of_another() {
    let stage = Stage::new().await;
    let handles = accepted(stage.calls("wait").await).await;
    stage.desk.answers_late(true);
    stage.gate.add_permits(CALLERS);
    settle().await;
    let in_front = stage.desk.waiting().len();
    assert!((1..=IN_FRONT).contains(&in_front), "{in_front} ends are on their way");
    let quiet = stage.quiet.clone();
    let accepted = tokio::spawn(async move { quiet.run("answer", 1_u64).await });
    settle().await;
    assert_eq!(stage.desk.waiting().last().map(String::as_str), Some("quiet"));
    for _ in 0..=in_front {
        stage.desk.answer_one().await;
    }
    assert!(accepted.is_finished());
    stage.desk.answers_late(false);
    for handle in handles {
        handle.wait().await.unwrap().into_output().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_in_line_is_never_accepted_and_the_others_keep_their_order() {
    let stage = Stage::new().await;
    stage.desk.answers_late(true);
    let mut callers = stage.calls("answer").await;
    let (patient, given_up): (Vec<_>, Vec<_>) =
        callers.drain(..).enumerate().partition(|(number, _)| number % 2 == 0 || *number < IN_FRONT);
    for (_, caller) in given_up {
        caller.abort();
    }
    settle().await;
    stage.desk.answers_late(false);
    let count = patient.len();
    let handles = accepted(patient.into_iter().map(|(_, caller)| caller).collect()).await;
    for handle in &handles {
        handle.wait().await.unwrap();
    }
    let mut order = Vec::new();
    let mut last = None;
    loop {
        let page = stage.flood.audit(last, 1_000).await.unwrap();
        let Some(entry) = page.last() else { break };
        last = Some(entry.number);
        let accepted = page.iter().filter(|entry| entry.record.action == "execution.accept");
        order.extend(accepted.map(|entry| entry.record.target.clone()));
    }
    // The first was there before the flood.
    order.remove(0);
    assert_eq!(order.len(), count);
    let called: Vec<_> = handles.iter().map(|handle| handle.id().to_string()).collect();
    assert_eq!(order, called);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_in_line_is_told_when_nobody_is_accepted_any_more() {
    for shut_down in [false, true] {
        let stage = Stage::new().await;
        stage.desk.answers_late(true);
        let callers = stage.calls("answer").await;
        let hub = stage.hub.clone();
        let ending = tokio::spawn(async move {
            if shut_down {
                hub.shutdown(Duration::from_secs(5)).await.map(drop)
            } else {
                hub.tenants().disable("flood").await.map(drop)
            }
        });
        settle().await;
        stage.desk.answers_late(false);
        ending.await.unwrap().unwrap();
        let expected = if shut_down { ErrorKind::Closed } else { ErrorKind::Suspended };
        let mut refused = 0;
        for caller in callers {
            if let Err(error) = caller.await.unwrap() {
                assert_eq!(error.kind(), expected, "{error}");
                refused += 1;
            }
        }
        assert!(refused >= CALLERS - 2 * IN_FRONT, "{refused} refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_full_is_full_for_its_tenant_alone() {
    let stage = Stage::with(HubConfig { max_waiting_calls: 100, ..HubConfig::default() }).await;
    stage.desk.answers_late(true);
    let callers = stage.calls("answer").await;
    let quiet = stage.quiet.clone();
    let quiet = tokio::spawn(async move { quiet.run("answer", 1_u64).await });
    settle().await;
    stage.desk.answers_late(false);
    quiet.await.unwrap().unwrap();
    let mut refused = 0;
    for caller in callers {
        if let Err(error) = caller.await.unwrap() {
            assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Overloaded, true), "{error}");
            refused += 1;
        }
    }
    assert_eq!(refused, CALLERS - 100 - IN_FRONT);
}

#[tokio::test(start_paused = true)]
async fn two_of_one_key_in_line_are_one_execution() {
    let stage = Stage::new().await;
    stage.desk.answers_late(true);
    let callers = stage.calls("answer").await;
    let twins: Vec<_> = (0..2)
        .map(|_| {
            let flood = stage.flood.clone();
            tokio::spawn(async move { flood.start(Run::new("answer", 5_u64).with_idempotency_key("twin")).await })
        })
        .collect();
    settle().await;
    stage.desk.answers_late(false);
    let twins = accepted(twins).await;
    assert_eq!(twins[0].id(), twins[1].id());
    accepted(callers).await;
}
