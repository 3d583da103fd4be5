//! A durable workflow inside a program of yours, on simulated providers: `cargo run --example quickstart`.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]
// --8<-- readme
use bifrost::graph::{GraphConfig, GraphContext};
use bifrost::{Context, Credential, Hub, NewTenant, Result, testing, workflow};
use futures_util::StreamExt;

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Ask {
    department: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let count = workflow("count_users", |ctx: Context, ask: Ask| async move {
        let users = ctx.step("count", || async { ctx.graph().await?.users().count(None).await }).await?;
        Ok(format!("{users} users before the new hires in {}", ask.department))
    })?;
    let msp = testing::Simulators::builder().build();
    let hub = Hub::builder().with_integrations(testing::simulated(&msp)).with_workflow(count).start().await?;
    let contoso = hub.tenants().create(NewTenant::customer("contoso")).await?;
    let secret = Credential::client_secret(testing::DEMO_CLIENT_ID, testing::DEMO_CLIENT_SECRET);
    contoso.connections().create("graph", GraphConfig::new("contoso.com").build()?, secret).await?;
    let run = contoso.run("count_users", Ask { department: "Sales".into() }).await?;
    run.events(1).for_each(async |event| println!("{} {:?}", event.seq, event.body)).await;
    println!("{}", run.wait().await?.into_output()?);
    Ok(())
}
