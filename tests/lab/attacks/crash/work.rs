//! The work that is killed: steps, effects of every kind, a read through a connection, a child execution.

use std::net::SocketAddr;
use std::time::Duration;

use bifrost::graph::GraphContext;
use bifrost::halopsa::{HaloPsaContext, NewTicket, Reference};
use bifrost::policy::retry::RetryPolicy;
use bifrost::{Context, Probe, Result, SystemEntropy, Workflow, workflow};
use bifrost::{Entropy as _, Error, ErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::peer;
use super::said::{Mouth, Said};

pub(crate) const MIXED: &str = "mixed";
pub(crate) const LEAF: &str = "leaf";
pub(crate) const REVEAL: &str = "reveal";
/// The effects that are counted at the peer.
pub(crate) const PROBED: &str = "probed";
pub(crate) const KEYED: &str = "keyed";
/// The effect that is counted among the tickets.
pub(crate) const TICKET: &str = "ticket";

/// What an execution is to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Order {
    /// Its idempotency key, one for each order of a tenant.
    pub(crate) key: String,
    /// Reads through the connection whose tokens rotate meanwhile.
    pub(crate) reads: bool,
    /// Runs a child execution.
    pub(crate) nests: bool,
    /// Opens a ticket.
    pub(crate) opens_ticket: bool,
}

/// What every step and effect came to, in order.
pub(crate) type Outcome = Vec<(String, u64)>;

/// What is known of an effect outside: which one it is, whatever key it is sent with.
pub(crate) fn label(tenant: &str, order: &str, effect: &str) -> String {
    format!("{tenant}/{order}/{effect}")
}

/// Waits between attempts: a peer that hangs up is asked again at once.
fn retried() -> RetryPolicy {
    RetryPolicy::attempts(100).with_delay(Duration::from_millis(20), Duration::from_millis(200))
}

pub(crate) fn mixed(peer: SocketAddr, mouth: &Mouth) -> impl Workflow + use<> {
    let mouth = Mouth::clone(mouth);
    workflow(MIXED, move |ctx: Context, order: Order| {
        let done = Done { mouth: Mouth::clone(&mouth), ctx, done: Vec::new() };
        work(done, peer, order)
    })
    .unwrap()
    .with_retry(retried())
}

async fn work(mut done: Done, peer: SocketAddr, order: Order) -> Result<Outcome> {
    let ctx = done.ctx.clone();
    let tenant = ctx.info().tenant.to_string();
    let named = |effect| label(&tenant, &order.key, effect);

    // No two runs of this step answer alike: one that ran again after its end gives itself away.
    done.tell("draw", ctx.step("draw", async || Ok(nonce())).await?);
    done.tell(PROBED, probed(&ctx, peer, named(PROBED)).await?);
    if order.reads {
        let graph = ctx.graph().await?;
        done.tell("read", ctx.step("read", async || graph.users().count(None).await).await?);
    }
    let text = named(KEYED);
    let sent = ctx.effect(KEYED).keyed().run(|key| peer::apply(peer, key, text.clone(), true)).await?;
    done.tell(KEYED, sent);
    if order.nests {
        done.tell(LEAF, ctx.run(LEAF, named(LEAF)).await?);
    }
    if order.opens_ticket {
        done.tell(TICKET, ticket(&ctx, named(TICKET)).await?);
    }
    done.tell("last", ctx.step("last", async || Ok(nonce())).await?);
    Ok(done.done)
}

/// What has been done, told as soon as it is acknowledged.
struct Done {
    mouth: Mouth,
    ctx: Context,
    done: Outcome,
}

impl Done {
    fn tell(&mut self, name: &str, value: u64) {
        let (tenant, id) = (self.ctx.info().tenant.to_string(), self.ctx.info().execution);
        (self.mouth)(Said::Step { tenant, id, name: name.to_owned(), value });
        self.done.push((name.to_owned(), value));
    }
}

/// A write at a peer that knows no keys, but shows what it was sent.
async fn probed(ctx: &Context, peer: SocketAddr, label: String) -> Result<u64> {
    ctx.effect(PROBED)
        .with_probe(|key| async move { Ok(Probe::from(peer::find(peer, key).await?)) })
        .run(|key| peer::apply(peer, key, label.clone(), false))
        .await
}

async fn ticket(ctx: &Context, summary: String) -> Result<u64> {
    let halo = ctx.halopsa().await?;
    let client: i64 = ctx.mapping("halopsa").await?.entity.parse().map_err(|_| Error::invalid("read", "no number"))?;
    let id = ctx
        .effect(TICKET)
        .with_probe(|key| async {
            let found = halo.tickets().find_by_reference(client, &Reference::new(key)?, None).await?;
            Ok(Probe::from(found.map(|ticket| ticket.id)))
        })
        .run(|key| async {
            let ticket = NewTicket::new(&summary).client(client).reference(Reference::new(key)?);
            Ok(halo.tickets().create(&ticket).await?.id)
        })
        .await?;
    u64::try_from(id).map_err(|_| Error::internal("open ticket", "a negative number"))
}

/// The child of some: an effect of its own.
pub(crate) fn leaf(peer: SocketAddr) -> impl Workflow {
    let run = move |ctx: Context, label: String| async move { probed(&ctx, peer, label).await };
    workflow(LEAF, run).unwrap().with_retry(retried())
}

/// Reads a secret back, which no handle does.
pub(crate) fn reveal() -> impl Workflow {
    workflow(REVEAL, |ctx: Context, name: String| async move {
        let secret = ctx.secret(&name)?.resolve().await?;
        let number = secret.expose().rsplit('-').next().and_then(|number| number.parse::<u64>().ok());
        number.ok_or_else(|| Error::new(ErrorKind::Rejected, "read secret", "it is not what was set"))
    })
    .unwrap()
}

/// A number nobody has seen; JSON keeps this many bits.
fn nonce() -> u64 {
    let mut bytes = [0; 8];
    SystemEntropy.fill(&mut bytes);
    u64::from_le_bytes(bytes) >> 11
}
