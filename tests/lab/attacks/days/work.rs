//! What the tenants have done: the onboarding of the example, and smaller jobs of a service desk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bifrost::graph::{GraphContext, ListQuery};
use bifrost::halopsa::{HaloPsaContext, NewAction, NewTicket, Reference, TicketUpdate};
use bifrost::policy::retry::RetryPolicy;
use bifrost::workflows::WorkflowSpec;
use bifrost::{Clock, Context, ExecutionId, Probe, Result, Workflow, workflow};
use futures_util::TryStreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::panics::MADE;

/// The example's own workflow: what is shown is what is attacked.
#[path = "../../../../examples/onboarding/workflow.rs"]
#[allow(dead_code)]
pub(crate) mod example;

/// The hours booked for one job.
pub(crate) const HOURS: f64 = 0.25;
/// A secret of the provider tenant that reports read.
pub(crate) const SECRET: &str = "report.signing";

/// When each execution's code began to run, in true time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<BTreeMap<ExecutionId, Vec<Duration>>>>);

impl Diary {
    pub(crate) fn began(&self, id: ExecutionId) -> Option<Duration> {
        self.0.lock().unwrap().get(&id).and_then(|times| times.first().copied())
    }
}

/// A workflow whose runs are noted.
pub(crate) struct Noted {
    inner: Arc<dyn Workflow>,
    diary: Diary,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Workflow for Noted {
    fn spec(&self) -> &WorkflowSpec {
        self.inner.spec()
    }

    async fn run(&self, ctx: Context, params: Value) -> Result<Value> {
        let now = self.clock.monotonic();
        self.diary.0.lock().unwrap().entry(ctx.info().execution).or_default().push(now);
        self.inner.run(ctx, params).await
    }
}

/// Every workflow of the service desk.
pub(crate) fn all(diary: &Diary, clock: &Arc<dyn Clock>) -> Vec<Noted> {
    let noted = (diary, clock);
    let patient = RetryPolicy::attempts(6);
    let minute = Duration::from_secs(60);
    vec![
        note(noted, example::onboard_user().unwrap()),
        note(noted, workflow("log_call", log_call).unwrap().with_retry(patient.clone()).with_step_deadline(minute)),
        note(noted, workflow("reclaim", reclaim).unwrap().with_retry(patient.clone()).with_step_deadline(minute)),
        note(noted, workflow("offboard", offboard).unwrap().with_retry(patient.clone())),
        note(noted, workflow("report", report).unwrap().with_retry(patient).with_step_deadline(minute)),
        note(noted, workflow("clumsy", clumsy).unwrap()),
    ]
}

fn note((diary, clock): (&Diary, &Arc<dyn Clock>), inner: impl Workflow) -> Noted {
    Noted { inner: Arc::new(inner), diary: diary.clone(), clock: Arc::clone(clock) }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Call {
    summary: String,
}

/// A ticket, the time it took, and its state.
async fn log_call(ctx: Context, call: Call) -> Result<i64> {
    let halo = ctx.halopsa().await?;
    let client: i64 = ctx.mapping("halopsa").await?.entity.parse().unwrap_or_default();
    let ticket = ctx
        .effect(example::OPEN_TICKET)
        .with_probe(|key| async {
            let found = halo.tickets().find_by_reference(client, &Reference::new(key)?, None).await?;
            Ok(Probe::from(found.map(|ticket| ticket.id)))
        })
        .run(|key| async {
            let ticket = NewTicket::new(call.summary.as_str()).client(client).reference(Reference::new(key)?);
            Ok(halo.tickets().create(&ticket).await?.id)
        })
        .await?;
    ctx.effect(example::BOOK_TIME)
        .with_probe(|key| async {
            let found = halo.actions().find(ticket, &Reference::new(key)?).await?;
            Ok(Probe::from(found.map(|action| action.id)))
        })
        .run(|key| async {
            let entry = NewAction::time(ticket, HOURS, "a call").reference(Reference::new(key)?);
            Ok(halo.actions().add(&entry).await?.id)
        })
        .await?;
    let in_progress = TicketUpdate::new().status(2);
    ctx.step("set status", || async { halo.tickets().update(ticket, &in_progress).await.map(drop) }).await?;
    Ok(ticket)
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Leaver {
    upn: String,
}

/// Takes the licence back from somebody, if there is one.
async fn reclaim(ctx: Context, leaver: Leaver) -> Result<bool> {
    let graph = ctx.graph().await?;
    let find = || async { Ok(graph.users().find_by_upn(&leaver.upn).await?.map(|user| user.id)) };
    let Some(user) = ctx.step("look up user", find).await? else { return Ok(false) };
    ctx.step("remove licence", || async {
        let sku = graph.licenses().require_sku("SPE_E3").await?;
        graph.licenses().remove(&user, sku.sku_id).await.map(drop)
    })
    .await?;
    Ok(true)
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Offboarding {
    upn: String,
    summary: String,
}

/// Two children, one after the other.
async fn offboard(ctx: Context, offboarding: Offboarding) -> Result<i64> {
    let _: bool = ctx.run("reclaim", json!({"upn": offboarding.upn})).await?;
    ctx.run("log_call", json!({"summary": offboarding.summary})).await
}

/// Reads page after page, slowly.
async fn report(ctx: Context, (): ()) -> Result<usize> {
    let graph = ctx.graph().await?;
    let hours: f64 = ctx.config(example::HOURS).await?;
    ctx.secret(SECRET)?.resolve().await?;
    let list = || async {
        let users: Vec<_> = graph.users().list(&ListQuery::new().page_size(5)).try_collect().await?;
        Ok(users.len())
    };
    let mut total = 0;
    for page in 0..3_u64 {
        total += ctx.step("list users", list).await?;
        ctx.progress(page, 3, format!("{total} users at {hours} hours"));
        ctx.sleep(Duration::from_secs(60)).await;
    }
    Ok(total)
}

async fn clumsy(_: Context, (): ()) -> Result<()> {
    panic!("{MADE} the workflow panics")
}
