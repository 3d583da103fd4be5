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
    let builder = Hub::builder().with_workflow(trivial.unwrap());
    let builder = builder.with_workflow(steps.unwrap()).with_workflow(events.unwrap());
    let hub = builder.start().await.unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    (hub, tenant)
}

#[inline(never)]
fn run(runtime: &Runtime, tenant: &Tenant, workflow: &str) {
    runtime.block_on(async {
        for number in 0..EXECUTIONS {
            tenant.run(workflow, number).await.unwrap().wait().await.unwrap().into_output().unwrap();
        }
    });
}

#[test]
fn an_execution_its_steps_and_its_events_stay_within_their_allocations() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (_hub, tenant) = runtime.block_on(customer());
    let [trivial, steps, events] = ["trivial", "steps", "events"].map(|workflow| {
        run(&runtime, &tenant, workflow);
        each(EXECUTIONS, || run(&runtime, &tenant, workflow))
    });
    let of_one = |workflow: f64| (workflow - trivial) / f64::from(MANY);
    // Counted: 109.6, 34.5 and 2.5. Fractions come from what grows once for many.
    assert!(trivial <= 112.0, "{trivial} allocations for each execution");
    assert!(of_one(steps) <= 36.0, "{} allocations for each step", of_one(steps));
    assert!(of_one(events) <= 3.0, "{} allocations for each event", of_one(events));
}
