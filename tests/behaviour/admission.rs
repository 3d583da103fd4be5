//! Bad input: one clear typed error before anything is stored, and nothing lost.

use std::time::Duration;

use bifrost::policy::quota::Quota;
use bifrost::{Context, ErrorKind, NewTenant, Run, workflow};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::{Disk, contoso, pause};

#[derive(Deserialize, JsonSchema)]
struct Hire {
    name: String,
    groups: Vec<String>,
}

fn onboard() -> impl bifrost::Workflow {
    workflow("onboard", |ctx: Context, hire: Hire| async move {
        ctx.sleep(Duration::from_secs(60)).await;
        Ok(format!("{} in {}", hire.name, hire.groups.len()))
    })
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn refusals_name_what_is_wrong_and_leave_nothing_behind() {
    let hub = Disk::new().hub().with_workflow(onboard()).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let before = hub.snapshot().store.last_commit;
    let good = json!({"name": "Zoë", "groups": []});

    let error = tenant.run("nonsense", &good).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.suggested_action().unwrap().contains("onboard"), "{error}");
    assert_eq!(tenant.run("no such name!", &good).await.unwrap_err().kind(), ErrorKind::InvalidInput);

    let error = tenant.run("onboard", json!({"name": "Zoë", "groups": ["a", 7]})).await.unwrap_err();
    assert_eq!((error.kind(), error.context("path")), (ErrorKind::InvalidInput, Some("/groups/1")));
    assert_eq!(error.context("tenant"), Some("contoso"));

    let huge = json!({"name": "x".repeat(300 * 1024), "groups": []});
    assert_eq!(tenant.run("onboard", &huge).await.unwrap_err().kind(), ErrorKind::TooLarge);
    let key = Run::new("onboard", &good).with_idempotency_key("k".repeat(256));
    assert_eq!(tenant.start(key).await.unwrap_err().kind(), ErrorKind::InvalidInput);

    assert_eq!(hub.tenant("nobody").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(hub.tenant("../etc").unwrap_err().kind(), ErrorKind::InvalidInput);
    let unknown = bifrost::ExecutionId::generate(bifrost::Timestamp::from_millis(0), &bifrost::SystemEntropy);
    assert_eq!(tenant.execution(unknown).await.unwrap_err().kind(), ErrorKind::NotFound);

    assert_eq!(hub.snapshot().store.last_commit, before, "nothing was stored");
    assert!(tenant.executions(None, 10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_used_up_quota_is_a_typed_refusal_and_frees_itself() {
    let hub = Disk::new().hub().with_workflow(onboard()).start().await.unwrap();
    let quota = Quota { max_in_flight: 2, ..Quota::default() };
    let tenant = hub.tenants().create(NewTenant::customer("contoso").with_quota(quota)).await.unwrap();
    let hire = json!({"name": "Zoë", "groups": []});
    let first = tenant.run("onboard", &hire).await.unwrap();
    tenant.run("onboard", &hire).await.unwrap();
    let error = tenant.run("onboard", &hire).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.context("limit"), error.context("used")),
        (ErrorKind::QuotaExceeded, Some("2"), Some("2"))
    );
    assert!(error.is_retryable());
    first.wait().await.unwrap();
    pause(Duration::from_secs(1)).await;
    tenant.run("onboard", &hire).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_result_over_the_limit_fails_its_execution() {
    let big = workflow("big", |ctx: Context, step: bool| async move {
        let text = "x".repeat(2 * 1024 * 1024);
        if step { ctx.step("big", || async { Ok(text) }).await } else { Ok(text) }
    })
    .unwrap();
    let hub = Disk::new().hub().with_workflow(big).start().await.unwrap();
    let tenant = contoso(&hub).await;
    for step in [true, false] {
        let outcome = tenant.run("big", step).await.unwrap().wait().await.unwrap();
        assert_eq!(outcome.into_output().unwrap_err().kind(), ErrorKind::TooLarge, "step: {step}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_workflows_of_one_name_do_not_start() {
    let error = Disk::new().hub().with_workflow(onboard()).with_workflow(onboard()).start().await.unwrap_err();
    assert_eq!((error.kind(), error.context("workflow")), (ErrorKind::AlreadyExists, Some("onboard")));
}

#[tokio::test(start_paused = true)]
async fn a_closed_hub_answers_closed() {
    let hub = Disk::new().hub().with_workflow(onboard()).start().await.unwrap();
    let tenant = contoso(&hub).await;
    hub.shutdown(Duration::from_secs(1)).await.unwrap();
    hub.shutdown(Duration::from_secs(1)).await.unwrap();
    let refused = [
        tenant.run("onboard", Value::Null).await.map(drop).unwrap_err(),
        hub.tenant("contoso").map(drop).unwrap_err(),
        hub.tenants().create(NewTenant::customer("other")).await.map(drop).unwrap_err(),
        tenant.config().set("key", 1).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    }
}
