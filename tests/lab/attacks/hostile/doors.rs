//! The doors through which answers come in, over the real transport, with limits that an attack can reach in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bifrost::call::Query;
use bifrost::graph::{Graph, GraphConfig, GraphIntegration, ListQuery};
use bifrost::halopsa::{HaloPsa, HaloPsaConfig, HaloPsaIntegration};
use bifrost::http::{ReqwestTransport, StackConfig, Transport};
use bifrost::testing::DirectTokens;
use bifrost::{Clock, Connection, Credential, ErrorKind, Integration, Result, SystemClock, SystemEntropy};
use futures_util::TryStreamExt;
use tokio::time::timeout;
use url::Url;

use super::server::{Piece, Script, Server, token};
use crate::findings::Findings;

/// The most a body may have, after decompression.
pub(super) const MAX_BODY: usize = 16 * 1024 * 1024;
/// The longest a call may take in all its attempts.
pub(super) const DEADLINE: Duration = Duration::from_millis(1_500);
const ATTEMPT: Duration = Duration::from_millis(700);
/// What a busy machine may be late by.
const LATE: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Graph,
    GraphList,
    Halo,
    HaloList,
    Raw,
    Token,
}

pub(super) const DOORS: [Door; 6] = [Door::Graph, Door::GraphList, Door::Halo, Door::HaloList, Door::Raw, Door::Token];

/// The way to the network, shared: it holds the pools.
#[derive(Clone)]
pub(super) struct Way {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
}

impl Way {
    pub(super) fn new() -> Self {
        Self { transport: Arc::new(ReqwestTransport::new().unwrap()), clock: Arc::new(SystemClock::new()) }
    }

    fn config(&self, mut config: StackConfig) -> StackConfig {
        config.deadline = DEADLINE;
        config.attempt_timeout = ATTEMPT;
        config.max_body = MAX_BODY;
        config.retry.initial_delay = Duration::from_millis(5);
        config.retry.initial_pause = Duration::from_millis(5);
        config
    }

    pub(super) fn graph(&self, server: &Server) -> Connection {
        let (transport, clock) = (Arc::clone(&self.transport), Arc::clone(&self.clock));
        let stack = GraphIntegration::stack(transport, clock, Arc::new(SystemEntropy)).unwrap();
        let config = self.config(GraphIntegration::stack_config().unwrap());
        let graph = GraphIntegration::new(stack.with_config(config).build().unwrap());
        let (base, authority) = (url(server, "/v1.0"), url(server, "/login"));
        let settings = GraphConfig::new("contoso.com").with_endpoints(base, authority).allow_private_host("127.0.0.1");
        self.connect(Arc::new(graph), settings.build().unwrap())
    }

    pub(super) fn halo(&self, server: &Server) -> Connection {
        let (transport, clock) = (Arc::clone(&self.transport), Arc::clone(&self.clock));
        let stack = HaloPsaIntegration::stack(transport, clock, Arc::new(SystemEntropy)).unwrap();
        let config = self.config(HaloPsaIntegration::stack_config());
        let halo = HaloPsaIntegration::new(stack.with_config(config).build().unwrap());
        let settings = HaloPsaConfig::at(url(server, "/api"), url(server, "/login")).allow_private_host("127.0.0.1");
        self.connect(Arc::new(halo), settings.build().unwrap())
    }

    fn connect(&self, integration: Arc<dyn Integration>, settings: bifrost::ConnectionSettings) -> Connection {
        let credential = Credential::client_secret("app", "canary-client-secret");
        let tokens = DirectTokens::new(integration, Arc::clone(&self.clock), settings, credential).unwrap();
        Arc::new(tokens).connection()
    }

    /// Goes through `door` to a server.
    pub(super) async fn go(&self, door: Door, server: &Server) -> Result<()> {
        let graph = || Graph::new(self.graph(server));
        let halo = || HaloPsa::new(self.halo(server));
        match door {
            Door::Graph => graph()?.users().get("zoe@contoso.com").await.map(drop),
            Door::GraphList => graph()?.users().list(&ListQuery::new()).try_collect::<Vec<_>>().await.map(drop),
            Door::Halo => halo()?.tickets().get(1).await.map(drop),
            Door::HaloList => halo()?.clients().find_by_name("Contoso").await.map(drop),
            Door::Raw => graph()?.get::<serde_json::Value>("/anything", &Query::new()).await.map(drop),
            Door::Token => {
                let connection = self.graph(server);
                connection.tokens().token(&connection.default_token()).await.map(drop)
            }
        }
    }
}

fn url(server: &Server, path: &str) -> Url {
    format!("http://{}{path}", server.address).parse().unwrap()
}

/// What a call may end as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    Error,
    /// It may be read, or not.
    Either,
}

/// Has a peer answer with `pieces` behind `door`, and judges how that ends.
pub(super) async fn attack(way: &Way, door: Door, name: &str, pieces: Vec<Piece>, expect: Expect) -> Findings {
    let mut findings = Findings::default();
    findings.attempt();
    let script: Script = Arc::new(move |head| match (door, head.contains("/token")) {
        (Door::Token, _) | (_, false) => pieces.clone(),
        (_, true) => token(),
    });
    let server = Server::start(script).await;
    let (begun, on_its_way) = (Instant::now(), way.clone());
    // A panic must not end the attack.
    let going = tokio::spawn(async move { on_its_way.go(door, &server).await });
    // One that never ends must not keep the attack from telling of it.
    let Ok(ended) = timeout(DEADLINE + LATE, going).await else {
        findings.violation(format!("{name} at {door:?} was not over after {:?}", begun.elapsed()));
        return findings;
    };
    match ended {
        Err(panic) => findings.violation(format!("{name} at {door:?} panicked: {panic}")),
        Ok(Ok(())) => {
            findings.check(expect == Expect::Either, || format!("{name} at {door:?} was taken for an answer"));
        }
        Ok(Err(error)) => {
            let told = format!("{error} {error:?}");
            findings.check(error.kind() != ErrorKind::Internal, || format!("{name} at {door:?}: {told}"));
            findings.check(!told.contains("canary"), || format!("{name} at {door:?} told a secret: {told}"));
            findings.check(told.len() < 4_096, || format!("{name} at {door:?}: an error of {} bytes", told.len()));
        }
    }
    findings
}
