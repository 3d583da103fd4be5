//! The same promises on the embedded store in real time, and the main job over real sockets.

use std::path::Path;
use std::time::Duration;

use bifrost::execution::{ExecutionState, Resolution};
use bifrost::graph::GraphConfig;
use bifrost::halopsa::HaloPsaConfig;
use bifrost::policy::retry::RetryPolicy;
use bifrost::testing::{
    DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET, Fault, FaultRule,
    HALOPSA_INSTANCE, Provider, RetryAfter, SimulatorAddresses, Simulators,
};
use bifrost::{Context, Credential, Error, ErrorKind, Hub, HubBuilder, NewTenant, Retry, Run, Tenant, workflow};
use serde_json::json;

use crate::onboarding::{example, onboard};
use crate::world::{Counter, contoso, eventually};

fn builder(folder: &Path) -> HubBuilder {
    Hub::builder().with_data_dir(folder)
}

const BRIEF: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_deadlines_cancellation_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    let tries = Counter::default();
    let counter = tries.clone();
    let flaky = workflow("flaky", move |ctx: Context, (): ()| {
        let tries = counter.clone();
        async move {
            let down = || Error::new(ErrorKind::Unavailable, "run step", "down").retry(Retry::Later);
            ctx.step("try", || async { if tries.count() < 3 { Err(down()) } else { Ok(tries.value()) } }).await
        }
    })
    .unwrap()
    .with_retry(RetryPolicy::attempts(5).with_delay(BRIEF, BRIEF));
    let hang = workflow("hang", |_: Context, (): ()| async move {
        std::future::pending::<()>().await;
        Ok(())
    })
    .unwrap()
    .with_run_deadline(4 * BRIEF);
    let wait = workflow("wait", |ctx: Context, (): ()| async move {
        ctx.cancelled().await;
        Ok(())
    })
    .unwrap();
    let builder = builder(folder.path()).with_workflow(flaky).with_workflow(hang).with_workflow(wait);
    let hub = builder.start().await.unwrap();
    let tenant = contoso(&hub).await;

    let flaky = tenant.run("flaky", ()).await.unwrap();
    assert_eq!(flaky.wait().await.unwrap().into_output().unwrap(), json!(3));
    let hung = tenant.run("hang", ()).await.unwrap();
    assert_eq!(hung.wait().await.unwrap().state, ExecutionState::TimedOut);
    let waiting = tenant.run("wait", ()).await.unwrap();
    waiting.cancel("enough").await.unwrap();
    assert_eq!(waiting.wait().await.unwrap().state, ExecutionState::Cancelled);
    let run = || Run::new("flaky", ()).with_idempotency_key("once");
    let racing = futures_util::future::join_all((0..50).map(|_| tenant.start(run()))).await;
    let ids: std::collections::BTreeSet<_> = racing.into_iter().map(|handle| handle.unwrap().id()).collect();
    assert_eq!(ids.len(), 1);
    hub.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_master_key_is_missed_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let hub = builder(folder.path()).start().await.unwrap();
    contoso(&hub).await;
    hub.shutdown(Duration::from_secs(10)).await.unwrap();
    let key = folder.path().join("master.key");
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&key, &elsewhere).unwrap();
    let error = builder(folder.path()).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("missing") && !key.exists(), "{error}");
    std::fs::rename(&elsewhere, &key).unwrap();
    builder(folder.path()).start().await.unwrap().tenant("contoso").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_attention_waits_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let doubtful = || {
        workflow("doubtful", |ctx: Context, (): ()| async move {
            let lost = || Error::new(ErrorKind::UnknownOutcome, "call provider", "no answer");
            ctx.effect("write").run(|_| async { Err::<u32, _>(lost()) }).await
        })
        .unwrap()
    };
    let hub = builder(folder.path()).with_workflow(doubtful()).start().await.unwrap();
    let handle = contoso(&hub).await.run("doubtful", ()).await.unwrap();
    let set_aside = async |handle: &bifrost::ExecutionHandle| {
        eventually("it is set aside", async || handle.record().await.unwrap().state == ExecutionState::NeedsAttention)
            .await;
    };
    set_aside(&handle).await;
    hub.shutdown(Duration::from_secs(10)).await.unwrap();

    let hub = builder(folder.path()).with_workflow(doubtful()).start().await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    let handle = tenant.execution(handle.id()).await.unwrap();
    eventually("it is decided", async || {
        tenant.resolve(handle.id(), Resolution::Done { result: json!(7) }).await.is_ok()
    })
    .await;
    assert_eq!(handle.wait().await.unwrap().into_output().unwrap(), json!(7));
    hub.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_running_executions_are_put_back_within_the_deadline() {
    const RUNNING: usize = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let work = |hang: bool| {
        workflow("work", move |ctx: Context, number: usize| async move {
            ctx.step("one", || async { Ok(number) }).await?;
            if hang {
                std::future::pending::<()>().await;
            }
            ctx.step("two", || async { Ok(number) }).await
        })
        .unwrap()
    };
    let config = || bifrost::HubConfig { max_running: RUNNING, ..Default::default() };
    let quota = bifrost::policy::quota::Quota { max_running: 1_000, ..Default::default() };
    let hub = builder(folder.path()).with_config(config()).with_workflow(work(true)).start().await.unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso").with_quota(quota)).await.unwrap();
    let started = futures_util::future::join_all((0..RUNNING).map(|number| tenant.run("work", number))).await;
    let ids: Vec<_> = started.into_iter().map(|handle| handle.unwrap().id()).collect();
    let done = hub.shutdown(Duration::from_millis(200)).await.unwrap();
    assert_eq!(done.requeued as usize, RUNNING);

    let hub = builder(folder.path()).with_config(config()).with_workflow(work(false)).start().await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    for (number, id) in ids.into_iter().enumerate() {
        let outcome = tenant.execution(id).await.unwrap().wait().await.unwrap();
        assert_eq!(outcome.into_output().unwrap(), json!(number));
    }
    hub.shutdown(Duration::from_secs(10)).await.unwrap();
}

/// Contoso, connected to simulators behind real sockets.
async fn connected(hub: &Hub, sims: &Simulators, addresses: &SimulatorAddresses) -> Tenant {
    let msp = hub.tenants().create(NewTenant::provider("msp")).await.unwrap();
    msp.config().set(example::HOURS, 0.5).await.unwrap();
    let client = sims.halopsa().client("Contoso").unwrap();
    let new = NewTenant::customer("contoso").with_mapping("halopsa", client.id.to_string());
    let tenant = hub.tenants().create(new).await.unwrap();
    let url = |text: &str| text.parse().unwrap();
    let graph = GraphConfig::new("contoso.com")
        .with_endpoints(url(&addresses.graph), url(&addresses.identity))
        .allow_private_host("127.0.0.1");
    let secret = Credential::client_secret(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET);
    tenant.connections().create("graph", graph.build().unwrap(), secret).await.unwrap();
    let halopsa = &addresses.halopsa;
    let halo = HaloPsaConfig::at(url(&format!("{halopsa}/api")), url(&format!("{halopsa}/auth")))
        .with_tenant(HALOPSA_INSTANCE)
        .allow_private_host("127.0.0.1");
    let secret = Credential::client_secret(DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET);
    tenant.connections().create("halopsa", halo.build().unwrap(), secret).await.unwrap();
    tenant
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_main_job_over_sockets_with_faults_and_short_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let sims = Simulators::builder().with_seed(7).build();
    let server = sims.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    sims.identity().set_access_lifetime(Duration::from_secs(3));
    for fault in [Fault::throttled(RetryAfter::Decimal(50)), Fault::Reset, Fault::DropAnswer] {
        sims.script(FaultRule::new(fault.clone()).on(Provider::Graph).after(3).times(1));
        sims.script(FaultRule::new(fault).on(Provider::Halopsa).after(3).times(1));
    }
    let hub = builder(folder.path())
        .with_integrations(bifrost::providers)
        .with_workflow(example::onboard_user().unwrap())
        .start()
        .await
        .unwrap();
    let tenant = connected(&hub, &sims, &server.addresses()).await;
    let before = (sims.graph().user_count("contoso"), sims.halopsa().tickets().len());
    let outcomes = onboard(&tenant, 4).await;
    assert!(outcomes.iter().all(|outcome| outcome.state == ExecutionState::Succeeded), "{outcomes:#?}");
    let after = (sims.graph().user_count("contoso"), sims.halopsa().tickets().len());
    assert_eq!((after.0 - before.0, after.1 - before.1, sims.halopsa().time_entry_count()), (4, 4, 4));
    assert!(tenant.verify_audit().await.unwrap().is_intact());
    hub.shutdown(Duration::from_secs(10)).await.unwrap();

    let hub = builder(folder.path()).start().await.unwrap();
    let history = hub.tenant("contoso").unwrap().executions(None, 10).await.unwrap();
    assert_eq!(history.len(), 4);
    hub.shutdown(Duration::from_secs(10)).await.unwrap();
}
