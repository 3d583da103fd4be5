//! Tenants: what is inherited, what is not, and the trail that proves it.

use bifrost::audit::AuditOutcome;
use bifrost::tenant::EntityMapping;
use bifrost::{Context, ErrorKind, HubConfig, NewTenant, Principal, workflow};
use serde_json::{Value, json};

use crate::world::{Disk, contoso};

#[tokio::test(start_paused = true)]
async fn configuration_is_the_tenants_own_first_then_the_providers() {
    let read = workflow("read", |ctx: Context, key: String| async move { ctx.config::<String>(&key).await }).unwrap();
    let hub = Disk::new().hub().with_workflow(read).start().await.unwrap();
    let msp = hub.tenants().create(NewTenant::provider("msp")).await.unwrap();
    let (a, b) = (contoso(&hub).await, hub.tenants().create(NewTenant::customer("fabrikam")).await.unwrap());
    msp.config().set("greeting", "hello").await.unwrap();
    a.config().set("greeting", "moin").await.unwrap();
    a.config().set("private", "contoso's").await.unwrap();

    let said = async |tenant: &bifrost::Tenant, key: &str| {
        tenant.run("read", key).await.unwrap().wait().await.unwrap().into_output()
    };
    assert_eq!(said(&a, "greeting").await.unwrap(), json!("moin"));
    assert_eq!(said(&b, "greeting").await.unwrap(), json!("hello"));
    let error = said(&b, "private").await.unwrap_err();
    assert_eq!((error.kind(), error.context("key")), (ErrorKind::NotFound, Some("private")));
    assert_eq!(msp.config().get("private").await.unwrap(), None);
    a.config().delete("greeting").await.unwrap();
    assert_eq!(said(&a, "greeting").await.unwrap(), json!("hello"));
    assert_eq!(a.config().keys().await.unwrap(), ["private"]);
}

#[tokio::test(start_paused = true)]
async fn secrets_come_as_handles_and_every_read_is_on_the_trail() {
    let read = workflow("read", |ctx: Context, (): ()| async move {
        let handle = ctx.secret("api-key")?;
        let length = handle.resolve().await?.expose().len();
        Ok(format!("{handle:?} of {length}"))
    })
    .unwrap();
    let hub = Disk::new().hub().with_workflow(read).start().await.unwrap();
    let tenant = contoso(&hub).await.acting_as(Principal::User("ada".into()));
    tenant.secrets().set("api-key", "s3cret").await.unwrap();
    let output = tenant.run("read", ()).await.unwrap().wait().await.unwrap().into_output().unwrap();
    assert_eq!(output, json!("SecretHandle(api-key) of 6"));
    assert_eq!(tenant.secrets().names().await.unwrap(), ["api-key"]);

    let trail = tenant.audit(None, 100).await.unwrap();
    let read = trail.iter().find(|entry| entry.record.action == "secret.read").unwrap();
    assert_eq!(read.record.on_behalf_of, Some(Principal::User("ada".into())));
    assert_eq!((read.record.target.as_str(), read.record.outcome), ("api-key", AuditOutcome::Allowed));
    assert!(!format!("{trail:?}").contains("s3cret"));
}

#[tokio::test(start_paused = true)]
async fn the_text_of_a_secret_is_revealed_only_where_the_host_allows_it() {
    for allowed in [false, true] {
        let read = workflow("read", |ctx: Context, (): ()| async move {
            Ok(ctx.secret("api-key")?.reveal().await?.expose().len())
        });
        let config = HubConfig { reveal_secrets: allowed, ..HubConfig::default() };
        let hub = Disk::new().hub().with_config(config).with_workflow(read.unwrap()).start().await.unwrap();
        let tenant = contoso(&hub).await;
        tenant.secrets().set("api-key", "s3cret").await.unwrap();
        let output = tenant.run("read", ()).await.unwrap().wait().await.unwrap().into_output();
        let trail = tenant.audit(None, 100).await.unwrap();
        let reveal = trail.iter().find(|entry| entry.record.action == "secret.reveal").unwrap();
        match output {
            Ok(length) => assert_eq!((allowed, length), (true, json!(6))),
            Err(error) => {
                assert_eq!((allowed, error.kind()), (false, ErrorKind::PermissionDenied));
                assert!(error.suggested_action().is_some());
            }
        }
        let outcome = if allowed { AuditOutcome::Allowed } else { AuditOutcome::Denied };
        assert_eq!((reveal.record.target.as_str(), reveal.record.outcome), ("api-key", outcome));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_tenant_shows_of_itself_can_be_written_as_json() {
    let work = workflow("work", |_: Context, (): ()| async move { Ok(()) });
    let hub = Disk::new().hub().with_workflow(work.unwrap()).start().await.unwrap();
    let tenant = contoso(&hub).await;
    tenant.run("work", ()).await.unwrap().wait().await.unwrap();
    let entry = serde_json::to_value(&tenant.audit(None, 1).await.unwrap()[0]).unwrap();
    assert_eq!((&entry["number"], &entry["previous"]), (&json!(1), &json!("0".repeat(64))));
    assert_eq!(entry["record"]["action"], json!("execution.accept"));
    let verdict = serde_json::to_value(tenant.verify_audit().await.unwrap()).unwrap();
    assert_eq!((&verdict["head"]["number"], &verdict["fault"]), (&json!(2), &Value::Null));
    let fault = serde_json::to_value(bifrost::audit::Fault::CutTail { first_missing: 7 }).unwrap();
    assert_eq!(fault, json!({"kind": "cut_tail", "first_missing": 7}));
    assert!(serde_json::to_value(hub.snapshot()).unwrap()["store"].is_object());
    assert_eq!(serde_json::to_value(tenant.record().unwrap()).unwrap()["kind"], json!("customer"));
}

#[tokio::test(start_paused = true)]
async fn the_trail_tells_the_whole_story_and_verifies() {
    let work =
        workflow("work", |ctx: Context, (): ()| async move { ctx.step("one", || async { Ok(1) }).await }).unwrap();
    let hub = Disk::new().hub().with_workflow(work).start().await.unwrap();
    let tenant = contoso(&hub).await;
    for _ in 0..20 {
        tenant.run("work", ()).await.unwrap().wait().await.unwrap();
    }
    let verdict = tenant.verify_audit().await.unwrap();
    assert!(verdict.is_intact() && verdict.checked == 40, "{verdict:?}");
    let actions: Vec<_> = tenant.audit(None, 2).await.unwrap().into_iter().map(|entry| entry.record.action).collect();
    assert_eq!(actions, ["execution.accept", "execution.finish"]);
}

#[tokio::test(start_paused = true)]
async fn one_tenants_executions_do_not_exist_for_another() {
    let work = workflow("work", |_: Context, (): ()| async move { Ok(1) }).unwrap();
    let hub = Disk::new().hub().with_workflow(work).start().await.unwrap();
    let (a, b) = (contoso(&hub).await, hub.tenants().create(NewTenant::customer("fabrikam")).await.unwrap());
    let handle = a.run("work", ()).await.unwrap();
    handle.wait().await.unwrap();
    let theirs = b.execution(handle.id()).await.unwrap_err();
    assert_eq!(theirs.kind(), ErrorKind::NotFound);
    assert!(b.executions(None, 10).await.unwrap().is_empty());
    assert_eq!(b.cancel(handle.id(), "not mine").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_knows_its_id_at_each_provider() {
    let read =
        workflow("read", |ctx: Context, (): ()| async move { Ok(ctx.mapping("halopsa").await?.entity) }).unwrap();
    let hub = Disk::new().hub().with_workflow(read).start().await.unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso").with_mapping("halopsa", "12")).await.unwrap();
    let read = async || tenant.run("read", ()).await.unwrap().wait().await.unwrap().into_output().unwrap();
    assert_eq!(read().await, json!("12"));
    let moved = EntityMapping { entity: "13".into(), title: Some("Contoso Ltd".into()) };
    hub.tenants().set_mapping("contoso", "halopsa", moved).await.unwrap();
    assert_eq!(read().await, json!("13"));
}
