//! An execution, its steps and its events, all of the hub on this thread, over the store in memory: what the embedded one
//! does on its own threads is not among it.

use bifrost::{Context, Hub, LogLevel, NewTenant, Tenant, workflow};
use tokio::runtime::{Builder, Runtime};

use crate::each;

const EXECUTIONS: u32 = 100;

/// Steps or events of one execution.
const MANY: u32 = 20;

async fn customer() -> (Hub, Tenant) {
    let trivial = workflow("trivial", |_: Context, number: u64| async move { Ok(number) });
    let steps = workflow("steps", |ctx: Context, number: u64| async move {
        for step in 0..u64::from(MANY) {
            ctx.step("add", || async { Ok(number + step) }).await?;
        }
        Ok(number)
    });
    let events = workflow("events", |ctx: Context, number: u64| async move {
        for _ in 0..MANY {
            ctx.log(LogLevel::Info, "looked at the next mailbox");
        }
        Ok(number)
    });
    let builder = [trivial.unwrap(), steps.unwrap(), events.unwrap()].into_iter().fold(Hub::builder(), |builder, workflow| builder.with_workflow(workflow));
    let hub = builder.start().await.unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    (hub, tenant)
}
