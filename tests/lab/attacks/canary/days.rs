//! The life of a hub whose secrets are looked for: good days, and every kind of bad one.

use std::error::Error as _;
use std::fmt::{Debug, Display, Write as _};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrost::graph::{GraphConfig, GraphContext, NewUser};
use bifrost::halopsa::{HaloPsaConfig, HaloPsaContext, NewTicket};
use bifrost::http::Transport;
use bifrost::testing::{
    DEMO_CLIENT_ID, DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET, Fault, FaultRule, HALOPSA_INSTANCE, Provider,
    SimulatorServer, Simulators,
};
use bifrost::{
    ConnectionSettings, Context, Credential, Error, Hub, LogLevel, NewTenant, Probe, Run, Secret, Tenant, workflow,
};
use futures_util::StreamExt;
use serde_json::Value;

use super::echo::Echo;
use super::listen::Log;
use super::search::Evidence;
use crate::dice::Dice;

/// What a secret looks like: unlike anything else, and different in every encoding.
fn unique(dice: &Dice, kind: &str) -> String {
    format!("{kind}/{:016x}+\"ö~{:016x}=&", dice.next(), dice.next())
}

struct World {
    sims: Simulators,
    server: SimulatorServer,
    echo: Arc<Echo>,
    password: Secret,
    told: String,
    evidence: Evidence,
}

pub(super) async fn live(seed: u64, log: Log) -> Evidence {
    let dice = Dice::new(seed);
    let sims = Simulators::builder().with_seed(seed).build();
    let server = sims.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let password = unique(&dice, "Password");
    let mut world = World {
        sims,
        server,
        echo: Echo::new(),
        password: password.as_str().into(),
        told: String::new(),
        evidence: Evidence::default(),
    };
    world.evidence.secret("a user's password", password);
    let folder = tempfile::tempdir().unwrap();
    let hub = world.start(folder.path()).await;
    let tenant = world.connect(&hub, &dice).await;
    world.bad_days(&hub, &tenant, &dice).await;
    world.ask_everything(&hub, &tenant).await;
    // Overwritten and deleted: what a store leaves behind is looked through as well.
    tenant.secrets().set("canary", "something else").await.unwrap();
    tenant.secrets().delete("canary").await.unwrap();
    tenant.connections().delete("delegated").await.unwrap();
    hub.shutdown(Duration::from_secs(20)).await.unwrap();
    let World { mut evidence, told, echo, .. } = world;
    for token in echo.tokens() {
        evidence.secret("an access token", token);
    }
    evidence.place("what was told", told);
    evidence.place("the log", log.bytes());
    evidence.folder(folder.path());
    assert!(echo.told() > 20, "the peer told what it was sent {} times", echo.told());
    assert!(super::search::finds_what_is_there());
    evidence
}

impl World {
    async fn start(&self, folder: &std::path::Path) -> Hub {
        let transport: Arc<dyn Transport> = Arc::clone(&self.echo) as _;
        let password = self.password.clone();
        let create = workflow("create", move |ctx: Context, upn: String| {
            let password = password.clone();
            async move { create(ctx, upn, password).await }
        });
        let password = self.password.clone();
        let panics = workflow("panics", move |ctx: Context, (): ()| {
            let password = password.clone();
            async move {
                let handle = ctx.secret("canary")?;
                let text = handle.resolve().await?;
                ctx.log(LogLevel::Info, format!("{handle:?} {text:?}"));
                let user = NewUser::new("a@contoso.com", "A", password.clone());
                ctx.step("fail", || async { Err::<(), _>(Error::invalid("test", format!("{text:?}"))) }).await.ok();
                assert!(password.is_empty(), "{password:?} {text:?} {handle:?} {user:?}");
                Ok(())
            }
        });
        let hub = Hub::builder()
            .with_data_dir(folder)
            .with_integrations(move |clock, entropy| bifrost::providers_over(&transport, &clock, &entropy))
            .with_workflow(create.unwrap())
            .with_workflow(panics.unwrap());
        hub.start().await.unwrap()
    }

    /// A customer with every kind of secret.
    async fn connect(&mut self, hub: &Hub, dice: &Dice) -> Tenant {
        let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
        let secret = unique(dice, "tenant-secret");
        tenant.secrets().set("canary", secret.as_str()).await.unwrap();
        self.evidence.secret("a tenant's secret", secret);

        let client_secret = unique(dice, "client-secret");
        self.sims.identity().add_secret(DEMO_CLIENT_ID, &Secret::new(client_secret.as_str()), None);
        let credential = Credential::client_secret(DEMO_CLIENT_ID, client_secret.as_str());
        self.evidence.secret("a client secret", client_secret.as_str());
        tenant.connections().create("graph", self.graph(), credential).await.unwrap();

        let grant = self.sims.identity().sign_in("contoso", DEMO_CLIENT_ID).unwrap();
        self.evidence.secret("a refresh token", grant.expose());
        let credential = Credential::refresh_token(DEMO_CLIENT_ID, Some(client_secret.into()), grant);
        tenant.connections().create("delegated", self.graph(), credential).await.unwrap();

        let url = |path: &str| format!("{}{path}", self.server.addresses().halopsa).parse().unwrap();
        let halo = HaloPsaConfig::at(url("/api"), url("/auth")).with_tenant(HALOPSA_INSTANCE);
        let halo = halo.allow_private_host("127.0.0.1").build().unwrap();
        let credential = Credential::client_secret(DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET);
        self.evidence.secret("HaloPSA's client secret", DEMO_HALOPSA_CLIENT_SECRET);
        tenant.connections().create("halopsa", halo, credential).await.unwrap();
        tenant
    }

    fn graph(&self) -> ConnectionSettings {
        let addresses = self.server.addresses();
        let (base, authority) = (addresses.graph.parse().unwrap(), addresses.identity.parse().unwrap());
        let settings = GraphConfig::new("contoso.com").with_endpoints(base, authority);
        settings.allow_private_host("127.0.0.1").build().unwrap()
    }

    async fn bad_days(&mut self, hub: &Hub, tenant: &Tenant, dice: &Dice) {
        self.work(tenant, 1).await;
        let statuses = [200, 201, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 302];
        for number in 0..statuses.len() as u64 {
            // Two or three answers in a row: the call, its renewed token, its repetition.
            let status = statuses[number as usize % statuses.len()];
            self.echo.next([status, *dice.pick(&statuses), *dice.pick(&statuses)]);
            self.work(tenant, 10 + number).await;
            for id in ["graph", "delegated", "halopsa"] {
                self.exchange(tenant, id, status).await;
            }
        }
        self.echo.next([]);
        for fault in [Fault::Reset, Fault::CutBody { after_bytes: 9 }, Fault::MalformedJson] {
            self.sims.script(FaultRule::new(fault).on(Provider::Graph).times(2));
            self.work(tenant, 50).await;
        }
        self.sims.clear_faults();
        let handle = tenant.run("panics", ()).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), handle.settled()).await;
        self.tell("a panic", &ended);
        self.sims.identity().withdraw_consent("contoso", DEMO_CLIENT_ID);
        self.exchange(tenant, "graph", 0).await;
        self.tell("a bad connection", &tenant.connections().create("bad name", self.graph(), bad()).await);
        self.tell("the hub", hub);
    }

    /// An execution that calls both providers, and is cancelled if it takes too long to fail.
    async fn work(&mut self, tenant: &Tenant, number: u64) {
        let run = Run::new("create", format!("zoe{number}@contoso.com"));
        let handle = match tenant.start(run.with_idempotency_key(format!("key-{number}"))).await {
            Ok(handle) => handle,
            Err(error) => return self.tell_error("a start", &error),
        };
        let ended = tokio::time::timeout(Duration::from_millis(700), handle.settled()).await;
        self.tell("an outcome", &ended);
        if ended.is_err() {
            self.tell("a cancellation", &handle.cancel("it takes too long").await);
            self.tell("an outcome", &tokio::time::timeout(Duration::from_secs(10), handle.settled()).await);
        }
        self.tell("an execution", &handle.record().await);
        self.tell("a handle", &handle);
    }

    /// A refused token, an exchange that goes wrong, and a call outside of any workflow.
    async fn exchange(&mut self, tenant: &Tenant, id: &str, status: u16) {
        let Ok(connection) = tenant.connections().get(id).await else { return };
        let key = connection.default_token();
        if let Ok(token) = connection.tokens().token(&key).await {
            self.evidence.secret("an access token", token.access().expose());
            self.tell("a token", &token);
            if status != 0 {
                self.echo.next([status]);
            }
            match connection.tokens().replace(&key, &token).await {
                Ok(token) => self.tell("a token", &token),
                Err(error) => self.tell_error("an exchange", &error),
            }
            self.echo.next([]);
        }
        self.tell("a connection", &connection);
        self.tell("a status", &tenant.connections().status(id).await);
        // Whoever repairs a connection saves it again.
        let again = tenant.connections().disable(id).await.and(tenant.connections().enable(id).await);
        self.tell("a switch", &again);
    }

    /// Whatever a portal could show.
    async fn ask_everything(&mut self, hub: &Hub, tenant: &Tenant) {
        for record in tenant.executions(None, 1_000).await.unwrap() {
            let handle = tenant.execution(record.id).await.unwrap();
            let events = handle.events(1).take_until(tokio::time::sleep(Duration::from_millis(50)));
            self.tell("events", &events.collect::<Vec<_>>().await);
            self.say("a record", &serde_json::to_string(&record).unwrap());
            self.tell("a record", &record);
        }
        let trail = tenant.audit(None, 10_000).await.unwrap();
        self.tell("the audit trail", &trail);
        let export = Shared::default();
        tenant.export_audit(export.clone()).await.unwrap();
        self.evidence.place("the export of the audit trail", export.0.lock().unwrap().clone());
        self.tell("the hub", &hub.snapshot());
        self.say("the hub", &serde_json::to_string(&hub.snapshot()).unwrap_or_default());
        self.tell("the tenant", &tenant.snapshot().await);
        self.tell("handles", &(tenant, tenant.connections(), tenant.secrets(), tenant.config(), hub.tenants()));
        self.tell("connections", &tenant.connections().list().await);
        self.tell("secrets", &tenant.secrets().names().await);
        self.tell("the transport", &self.echo.told());
    }

    fn say(&mut self, what: &str, text: &dyn Display) {
        writeln!(self.told, "{what}: {text}").unwrap();
    }

    fn tell(&mut self, what: &str, value: &dyn Debug) {
        writeln!(self.told, "{what}: {value:?}\n{value:#?}").unwrap();
    }

    fn tell_error(&mut self, what: &str, error: &Error) {
        writeln!(self.told, "{what}: {error}\n{error:?}\n{:?}", error.to_report()).unwrap();
        let mut source = error.source();
        while let Some(cause) = source {
            writeln!(self.told, "caused by: {cause} {cause:?}").unwrap();
            source = cause.source();
        }
    }
}

fn bad() -> Credential {
    Credential::client_secret("app", "no canary")
}

/// What a new hire needs, in short: a user with a password, and a ticket.
async fn create(ctx: Context, upn: String, password: Secret) -> bifrost::Result<String> {
    let (graph, halo) = (ctx.graph().await?, ctx.halopsa().await?);
    let user = NewUser::new(&upn, "Zoë O'Brien", password);
    let find = || async { Ok(graph.users().find_by_upn(&upn).await?.map(|user| user.id)) };
    let probe = |_key| async { Ok(Probe::from(find().await?)) };
    let send = |_key| async { Ok(graph.users().create(&user).await?.id) };
    let id = ctx.effect("create user").with_probe(probe).run(send).await?;
    // Once more, in a batch, which is refused.
    let again = bifrost::graph::users::requests::create(&user);
    for answer in graph.batch(again.into_iter().collect()).await {
        if let Err(error) = answer {
            ctx.problem(&error);
        }
    }
    let ticket = NewTicket::new("A new hire");
    let ticket = ctx.effect("open ticket").run(|_key| async { Ok(halo.tickets().create(&ticket).await?.id) }).await?;
    let listed = ctx.step("look", || async { halo.clients().find_by_name("Contoso").await.map(|found| found.len()) });
    ctx.log_with(LogLevel::Info, "done", Value::from(listed.await?));
    Ok(format!("{id} {ticket}"))
}

/// Bytes that are written from elsewhere.
#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
