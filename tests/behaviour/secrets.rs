//! Secrets: whatever is logged, told or returned, no secret is in it.

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

#[tokio::test(start_paused = true)]
async fn no_secret_is_in_logs_events_outcomes_trail_or_debug_output() {
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
