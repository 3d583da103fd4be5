//! Whatever is logged, told, kept or exported, no secret is in it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrost::testing::{DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_HALOPSA_CLIENT_SECRET, Fault, FaultRule, Provider};
use futures_util::StreamExt;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::onboarding::{World, onboard};
use crate::world::pause;

/// Everything that is written.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Secrets stood in task logs, rendered fields and the audit log (also airflow#55943, airflow#27907, airflow#30089). Here
/// a secret is a type that prints stars and cannot be serialized, and what providers say is scrubbed before it is kept.
#[tokio::test(start_paused = true)]
async fn airflow_54540_no_secret_is_in_logs_events_outcomes_trail_or_debug_output() {
    const CANARY: &str = "canary-secret-4711";
    let log = Captured::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let world = World::new();
    let hub = world.start().await;
    let tenant = world.contoso(&hub).await;
    tenant.secrets().set("canary", CANARY).await.unwrap();
    let mut told = String::new();
    for fault in [Fault::status(500), Fault::Reset, Fault::MalformedJson] {
        world.sims.script(FaultRule::new(fault).after(3).times(2));
        told += &format!("{:?}", onboard(&tenant, 2).await);
    }
    let mut secrets = vec![CANARY.to_owned(), DEMO_CLIENT_SECRET.to_owned(), DEMO_HALOPSA_CLIENT_SECRET.to_owned()];
    for id in ["graph", "halopsa"] {
        let connection = tenant.connections().get(id).await.unwrap();
        let token = connection.tokens().token(&connection.default_token()).await.unwrap();
        secrets.push(token.access().expose().to_owned());
        told += &format!("{connection:?} {token:?} {:?}", tenant.connections().status(id).await.unwrap());
    }
    world.sims.identity().withdraw_consent("contoso", DEMO_CLIENT_ID);
    pause(Duration::from_secs(7_200)).await;
    world.sims.script(FaultRule::new(Fault::DropAnswer).on(Provider::Halopsa).times(1));
    told += &format!("{:?}", tenant.connections().test("graph").await.unwrap_err());
    told += &format!("{:?}", tenant.connections().test("halopsa").await);
    for record in tenant.executions(None, 100).await.unwrap() {
        let events: Vec<_> = tenant.execution(record.id).await.unwrap().events(1).collect().await;
        told += &format!("{record:?} {events:?}");
    }
    told += &format!("{:?} {hub:?} {:?}", tenant.audit(None, 1_000).await.unwrap(), hub.snapshot());

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("DEBUG") && log.contains("contoso"), "the log is there: {log}");
    for secret in secrets {
        assert!(!told.contains(&secret), "told: {secret}");
        assert!(!log.contains(&secret), "logged: {secret}");
    }
}

/// Secrets stood in traces and exports because a peer had repeated them. Here a provider's text passes a scrubber that
/// knows what was sent: neither a token in Graph's error nor a client secret in the token endpoint's is kept anywhere.
#[tokio::test(start_paused = true)]
async fn dify_37047_what_a_provider_repeats_is_in_no_trace_and_no_export() {
    let log = Captured::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new();
    let hub = world.start().await;
    let tenant = world.contoso(&hub).await;
    let connection = tenant.connections().get("graph").await.unwrap();
    let token = connection.tokens().token(&connection.default_token()).await.unwrap();
    let token = token.access().expose().to_owned();
    let repeats = |text: &str| Fault::Answer {
        status: 400,
        content_type: "application/json".to_owned(),
        body: format!(r#"{{"error":{{"code":"BadRequest","message":"heard you say {text}"}}}}"#),
    };
    world.sims.script(FaultRule::new(repeats(&format!("Bearer {token}"))).on(Provider::Graph).times(1));
    let mut told = format!("{:?}", onboard(&tenant, 1).await);
    assert!(told.contains("heard you say"), "{told}");
    let body = format!(r#"{{"error":"invalid_client","error_description":"heard you say {DEMO_CLIENT_SECRET}"}}"#);
    let refused = Fault::Answer { status: 401, content_type: "application/json".to_owned(), body };
    world.sims.script(FaultRule::new(refused).on(Provider::Identity).times(1));
    // It is renewed ahead of its expiry, and refused.
    pause(Duration::from_secs(3_400)).await;
    told += &format!("{:?}", tenant.connections().status("graph").await.unwrap());
    assert!(told.contains("invalid_client"), "the status says why it was refused: {told}");
    for record in tenant.executions(None, 100).await.unwrap() {
        let events: Vec<_> = tenant.execution(record.id).await.unwrap().events(1).collect().await;
        told += &serde_json::to_string(&(record, events)).unwrap();
    }
    let export = Captured::default();
    tenant.export_audit(export.clone()).await.unwrap();
    told += &String::from_utf8(export.0.lock().unwrap().clone()).unwrap();
    told += &String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for secret in [token.as_str(), DEMO_CLIENT_SECRET] {
        assert!(!told.contains(secret), "told: {secret}");
    }
}
