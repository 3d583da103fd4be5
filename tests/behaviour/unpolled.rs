//! Workflows whose code the hub does not poll, such as those of another language, and workflows that come and go while
//! the hub runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrost::execution::{Attention, ExecutionState};
use bifrost::workflows::{Next, ParamSchema, Plan, WorkflowSpec};
use bifrost::{Context, Error, ErrorKind, Result, Workflow, WorkflowName, workflow};
use futures_util::future::{Either, select};
use serde_json::{Value, json};

use crate::world::{Counter, Disk, contoso, eventually, pause};

/// Runs its step on a task that the hub knows nothing of, and hangs after it.
struct Foreign {
    spec: WorkflowSpec,
    step: &'static str,
    /// Whether it may say that it has come to rest.
    rests: Arc<AtomicBool>,
}

impl Foreign {
    fn new(step: &'static str) -> Self {
        let name = WorkflowName::new("work").unwrap();
        let spec = WorkflowSpec::new(name, ParamSchema::new(json!({})).unwrap());
        Self { spec, step, rests: Arc::default() }
    }
}

#[async_trait::async_trait]
impl Workflow for Foreign {
    fn spec(&self) -> &WorkflowSpec {
        &self.spec
    }

    async fn run(&self, ctx: Context, _: Value) -> Result<Value> {
        let (step, rests) = (self.step, Arc::clone(&self.rests));
        let mut code = tokio::spawn(async move {
            let drive = ctx.drive(step, Plan::Step);
            let resting = async {
                while !rests.load(Ordering::SeqCst) {
                    pause(Duration::from_millis(10)).await;
                }
                ctx.came_to_rest();
                std::future::pending::<()>().await;
            };
            let begun = select(Box::pin(drive), Box::pin(resting)).await;
            let Either::Left((begun, _)) = begun else { unreachable!() };
            let (mut drive, next) = begun?;
            if let Next::Call { .. } = next {
                drive.returned(Ok(json!(1))).await;
            }
            std::future::pending::<Result<Value>>().await
        });
        // Woken now and then, it waits again whatever its code is doing.
        loop {
            let wakes = Box::pin(pause(Duration::from_millis(100)));
            if let Either::Left((end, _)) = select(&mut code, wakes).await {
                return end.unwrap();
            }
        }
    }

    fn announces_rest(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn code_that_is_not_polled_says_itself_when_it_has_come_to_rest() {
    let disk = Disk::new();
    let hub = disk.hub().with_workflow(Foreign::new("create user")).start().await.unwrap();
    let handle = contoso(&hub).await.run("work", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;
    let changed = Foreign::new("make user");
    let rests = Arc::clone(&changed.rests);
    let hub = disk.hub().with_workflow(changed).start().await.unwrap();
    let resumed = hub.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
    pause(Duration::from_secs(5)).await;
    assert_eq!(resumed.record().await.unwrap().state, ExecutionState::Running, "it may still ask for the step");
    rests.store(true, Ordering::SeqCst);
    eventually("it is set aside", async || {
        matches!(resumed.record().await.unwrap().attention, Some(Attention::ShapeChanged { .. }))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_sleeps_is_not_at_rest() {
    let disk = Disk::new();
    let make = |hang: bool| {
        workflow("work", move |ctx: Context, (): ()| async move {
            let later = async {
                ctx.sleep(Duration::from_secs(if hang { 1 } else { 10 })).await;
                ctx.step("recorded", || async { Ok(1) }).await
            };
            let sooner = async {
                if hang {
                    std::future::pending::<()>().await;
                }
                ctx.step("new", || async { Ok(2) }).await
            };
            let (later, sooner) = futures_util::future::join(later, sooner).await;
            Ok((later?, sooner?))
        })
        .unwrap()
    };
    let hub = disk.hub().with_workflow(make(true)).start().await.unwrap();
    let handle = contoso(&hub).await.run("work", ()).await.unwrap();
    pause(Duration::from_secs(2)).await;
    let hub = disk.hub().with_workflow(make(false)).start().await.unwrap();
    let resumed = hub.tenant("contoso").unwrap().execution(handle.id()).await.unwrap();
    eventually("it ends", async || resumed.record().await.unwrap().state.is_terminal()).await;
    assert_eq!(resumed.wait().await.unwrap().into_output().unwrap(), json!([1, 2]));
}

fn says(word: &'static str, wait: u64) -> Arc<dyn Workflow> {
    let work = workflow("work", move |ctx: Context, (): ()| async move {
        ctx.sleep(Duration::from_secs(wait)).await;
        Ok(word)
    });
    Arc::new(work.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_workflow_is_added_and_replaced_while_the_hub_runs() {
    let hub = Disk::new().hub().start().await.unwrap();
    let tenant = contoso(&hub).await;
    assert_eq!(tenant.run("work", ()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(hub.register(says("old", 60)).is_none());
    let old = tenant.run("work", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;
    assert!(hub.register(says("new", 1)).is_some());
    let new = tenant.run("work", ()).await.unwrap();
    assert_eq!(new.wait().await.unwrap().output, json!("new"));
    assert_eq!(old.wait().await.unwrap().output, json!("old"), "an attempt goes on with what it started with");
    assert_eq!(hub.workflows().names().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_next_attempt_uses_what_is_registered_then() {
    let failing = workflow("work", |_: Context, (): ()| async move {
        Err::<(), _>(Error::new(ErrorKind::Unavailable, "work", "down").retry(bifrost::Retry::Later))
    });
    let hub = Disk::new().hub().with_workflow(failing.unwrap()).start().await.unwrap();
    let handle = contoso(&hub).await.run("work", ()).await.unwrap();
    pause(Duration::from_millis(100)).await;
    hub.register(says("mended", 0));
    assert_eq!(handle.wait().await.unwrap().output, json!("mended"));
    assert_eq!(handle.record().await.unwrap().attempt, 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_set_aside_for_want_of_its_workflow_goes_on_when_it_comes() {
    let disk = Disk::new();
    let hub = disk.hub().with_workflow(Foreign::new("create user")).start().await.unwrap();
    let handle = contoso(&hub).await.run("work", ()).await.unwrap();
    pause(Duration::from_secs(1)).await;
    let hub = disk.hub().start().await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    let resumed = tenant.execution(handle.id()).await.unwrap();
    eventually("it is set aside", async || {
        resumed.record().await.unwrap().attention == Some(Attention::WorkflowMissing)
    })
    .await;
    let other = workflow("other", |_: Context, (): ()| async { Ok(()) });
    hub.register(Arc::new(other.unwrap()));
    pause(Duration::from_secs(1)).await;
    assert_eq!(resumed.record().await.unwrap().state, ExecutionState::NeedsAttention);
    let again =
        workflow("work", |ctx: Context, (): ()| async move { ctx.step("create user", || async { Ok(2) }).await });
    hub.register(Arc::new(again.unwrap()));
    assert_eq!(resumed.wait().await.unwrap().output, json!(1), "and its steps are remembered");
    let trail = tenant.audit(None, 100).await.unwrap();
    assert!(trail.iter().any(|entry| entry.record.action == "execution.resolve"), "{trail:?}");
    assert_eq!(resumed.record().await.unwrap().recoveries, 0, "nobody is suspected");
}

/// Admits nothing while it hangs.
struct Wedged(Foreign, Arc<Mutex<bool>>, Counter);

#[async_trait::async_trait]
impl Workflow for Wedged {
    fn spec(&self) -> &WorkflowSpec {
        self.0.spec()
    }

    async fn run(&self, _: Context, _: Value) -> Result<Value> {
        Ok(json!(self.2.count()))
    }

    fn admits(&self) -> Result<()> {
        if *self.1.lock().unwrap() {
            return Err(Error::new(ErrorKind::Overloaded, "run workflow", "its interpreter hangs"));
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_run_now_is_refused_before_it_is_stored() {
    let hangs = Arc::new(Mutex::new(true));
    let wedged = Wedged(Foreign::new(""), Arc::clone(&hangs), Counter::default());
    let hub = Disk::new().hub().with_workflow(wedged).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let error = tenant.run("work", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert_eq!((error.context("tenant"), error.context("workflow")), (Some("contoso"), Some("work")));
    assert!(tenant.executions(None, 10).await.unwrap().is_empty());
    *hangs.lock().unwrap() = false;
    assert_eq!(tenant.run("work", ()).await.unwrap().wait().await.unwrap().output, json!(1));
}
