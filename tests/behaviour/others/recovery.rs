//! Taking up again what a process left behind: all of it, once, and not for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bifrost::execution::{Attention, ExecutionState, Resolution};
use bifrost::{
    Clock, ConfigKey, ConnectionId, Context, Error, ErrorKind, ExecutionId, HubConfig, IdempotencyKey, NewTenant,
    ProviderId, Result, Run, SecretName, TenantId, Workflow, WorkflowName, workflow,
};
use futures_util::future::{BoxFuture, FutureExt, join_all};

use crate::watched::{Watched, Watcher};
use crate::world::{Counter, Disk, contoso, eventually, pause};

/// Two writes to the outside, a second apart, and what was written.
fn two_writes(written: &Counter) -> impl Workflow + use<> {
    let written = written.clone();
    workflow("two_writes", move |ctx: Context, (): ()| {
        let written = written.clone();
        async move {
            for name in ["first", "second"] {
                ctx.step(name, || async { Ok(written.count()) }).await?;
                ctx.sleep(Duration::from_secs(1)).await;
            }
            Ok(())
        }
    })
    .unwrap()
}

/// Every read takes a while.
#[derive(Debug)]
struct Slow(Arc<dyn Clock>);

impl Watcher for Slow {
    fn reading(&self) -> BoxFuture<'static, Result<()>> {
        self.0.sleep(Duration::from_millis(30)).map(Ok).boxed()
    }
}

/// Recovery at launch adopted a workflow that its caller had just started and ran it a second time beside the first
/// (also dbos-transact-py#742: a stale list of pending work). Here the list of work to resume is read before anything is
/// accepted, one actor decides who owns an execution, and taking one up is a commit that finds out whether it has ended.
#[tokio::test(start_paused = true)]
async fn dbos_transact_java_491_recovery_never_adopts_what_was_just_started() {
    let (disk, before, written) = (Disk::new(), Counter::default(), Counter::default());
    let hub = disk.hub().with_workflow(two_writes(&before)).start().await.unwrap();
    let tenant = contoso(&hub).await;
    for number in 0..20 {
        tenant.start(Run::new("two_writes", ()).with_idempotency_key(format!("old-{number}"))).await.unwrap();
    }
    pause(Duration::from_millis(500)).await;
    assert_eq!(before.value(), 20);
    // The next process finds all of them; its store is slow, so that much happens while it takes them up.
    let store = Watched::new(disk.take(), Arc::new(Slow(disk.clock())));
    let hub = disk.hub_on(Arc::new(store)).with_workflow(two_writes(&written)).start().await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    let started = (0..60).map(|number| {
        // The old keys again, and new ones, most of which are asked for twice at once.
        let key = if number % 3 == 0 { format!("old-{}", number / 3) } else { format!("new-{}", number / 3) };
        let tenant = tenant.clone();
        async move {
            let handle = tenant.start(Run::new("two_writes", ()).with_idempotency_key(key)).await.unwrap();
            // Looking at one takes it up, too, if nobody has.
            tenant.execution(handle.id()).await.unwrap().wait().await.unwrap()
        }
    });
    let outcomes = join_all(started).await;
    assert!(outcomes.iter().all(|outcome| outcome.state == ExecutionState::Succeeded));
    eventually("all have ended", async || hub.snapshot().executions_in_flight == 0).await;
    let records = tenant.executions(None, 1_000).await.unwrap();
    assert_eq!(records.len(), 40);
    assert_eq!(written.value(), 60, "each wrote twice, the old ones once of it before");
    assert!(records.iter().all(|record| record.recoveries <= 1));
}

/// An execution with an empty id was forked anew every 15 minutes for a month. Here names are types that cannot be
/// empty or odd, from whatever text they are made, and nothing is stored for one that is refused.
#[tokio::test(start_paused = true)]
async fn dbos_transact_py_759_nothing_has_an_empty_or_odd_name() {
    let long = "x".repeat(300);
    for bad in ["", "\0", "a\nb", "a\u{1b}[0m", &long] {
        assert!(IdempotencyKey::new(bad).is_err(), "{bad:?}");
    }
    for bad in ["", " ", "\0", "a\nb", "a/b", "a b", "é", &long] {
        let refused = [
            TenantId::new(bad).is_err(),
            ConnectionId::new(bad).is_err(),
            ProviderId::new(bad).is_err(),
            WorkflowName::new(bad).is_err(),
            SecretName::new(bad).is_err(),
            ConfigKey::new(bad).is_err(),
            bad.parse::<ExecutionId>().is_err(),
            serde_json::from_value::<ExecutionId>(bad.into()).is_err(),
        ];
        assert_eq!(refused, [true; 8], "{bad:?}");
    }
    let hub = Disk::new().hub().with_workflow(two_writes(&Counter::default())).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let before = hub.snapshot().store.last_commit;
    let refused = [
        tenant.run("", ()).await.unwrap_err(),
        tenant.start(Run::new("two_writes", ()).with_idempotency_key("")).await.unwrap_err(),
        tenant.secrets().set("", "text").await.unwrap_err(),
        tenant.config().set("", 1).await.unwrap_err(),
        hub.tenants().create(NewTenant::customer("")).await.unwrap_err(),
    ];
    assert!(refused.iter().all(|error| error.kind() == ErrorKind::InvalidInput), "{refused:?}");
    assert_eq!(hub.snapshot().store.last_commit, before, "nothing was stored");
}

/// The same from the other side: what brings its process down again and again is not taken up for ever. It is counted
/// in a commit before it goes on, and ends where a person decides.
#[tokio::test(start_paused = true)]
async fn dbos_transact_py_759_what_keeps_killing_its_process_ends_with_a_person() {
    let (disk, written) = (Disk::new(), Counter::default());
    let config = || HubConfig { max_recoveries: 3, ..HubConfig::default() };
    let start = || disk.hub().with_config(config()).with_workflow(two_writes(&written)).start();
    let handle = contoso(&start().await.unwrap()).await.run("two_writes", ()).await.unwrap();
    for _ in 0..4 {
        pause(Duration::from_millis(500)).await;
        start().await.unwrap();
    }
    let hub = start().await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    let resumed = tenant.execution(handle.id()).await.unwrap();
    eventually("it is set aside", async || resumed.record().await.unwrap().attention.is_some()).await;
    let record = resumed.record().await.unwrap();
    assert_eq!(record.state, ExecutionState::NeedsAttention);
    assert!(matches!(record.attention, Some(Attention::Poisoned { recoveries: 4.. })), "{:?}", record.attention);
    tenant.resolve(handle.id(), Resolution::Resume).await.unwrap();
    assert_eq!(resumed.wait().await.unwrap().state, ExecutionState::Succeeded);
}

/// One read fails, counted from the start of the process.
#[derive(Debug)]
struct FailsOnce {
    reads: AtomicU64,
    fails: u64,
    kind: ErrorKind,
}

impl Watcher for FailsOnce {
    fn reading(&self) -> BoxFuture<'static, Result<()>> {
        let fails = self.reads.fetch_add(1, Ordering::SeqCst) == self.fails;
        let result = if fails { Err(Error::new(self.kind, "read record", "refused by the test")) } else { Ok(()) };
        async move { result }.boxed()
    }
}

/// A blip of the database during recovery dropped work for good: the error was swallowed and nobody looked again. Here
/// recovery ends when everything was taken up: whichever read fails, the start says so or it is tried again.
#[tokio::test(start_paused = true)]
async fn dbos_transact_py_716_a_read_that_fails_during_recovery_drops_nothing() {
    let disk = Disk::new();
    let hub = disk.hub().with_workflow(two_writes(&Counter::default())).start().await.unwrap();
    let mut unfinished = Vec::new();
    for name in ["contoso", "fabrikam"] {
        let tenant = hub.tenants().create(NewTenant::customer(name)).await.unwrap();
        let later = disk.clock().now().saturating_add(Duration::from_secs(30));
        for run in [Run::new("two_writes", ()), Run::new("two_writes", ()).starting_at(later)] {
            unfinished.push((name, tenant.start(run).await.unwrap().id()));
        }
    }
    pause(Duration::from_millis(500)).await;
    let left = disk.take();
    for kind in [ErrorKind::Internal, ErrorKind::Unavailable] {
        let mut refused = 0;
        for fails in 0.. {
            let watcher = Arc::new(FailsOnce { reads: AtomicU64::new(0), fails, kind });
            let start = async |written: &Counter| {
                let store = Watched::new(left.fork(), Arc::clone(&watcher) as _);
                disk.hub_on(Arc::new(store)).with_workflow(two_writes(written)).start().await
            };
            let mut written = Counter::default();
            let hub = match start(&written).await {
                Ok(hub) => hub,
                // The host hears of it, its process ends, and the next one begins where this one did.
                Err(error) => {
                    assert_eq!(error.kind(), kind, "read {fails}");
                    refused += 1;
                    written = Counter::default();
                    start(&written).await.unwrap()
                }
            };
            eventually("all have ended", async || hub.snapshot().executions_in_flight == 0).await;
            if watcher.reads.load(Ordering::SeqCst) <= fails {
                assert!(fails > 20 && refused > 3, "{fails} reads, {refused} of them by the start itself");
                break;
            }
            for (name, id) in &unfinished {
                let record = hub.tenant(name).unwrap().execution(*id).await.unwrap().record().await.unwrap();
                assert_eq!(record.state, ExecutionState::Succeeded, "read {fails}: {record:?}");
            }
            assert_eq!(written.value(), 6, "read {fails}: two had written once before");
        }
    }
}
