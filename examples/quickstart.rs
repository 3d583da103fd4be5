//! A durable workflow inside a program of yours: `cargo run --example quickstart`.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]
// --8<-- readme
use bifrost::{Context, Hub, NewTenant, Result, workflow};
use futures_util::StreamExt;

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct NewHire {
    name: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let onboard = workflow("onboard", |ctx: Context, hire: NewHire| async move {
        let upn = ctx
            .step("pick a name", || async { Ok(format!("{}@contoso.com", hire.name)) })
            .await?;
        ctx.progress(1, 1, format!("{upn} is ready"));
        Ok(upn)
    })?;
    let hub = Hub::builder()
        .with_data_dir("data/quickstart")
        .with_workflow(onboard)
        .start()
        .await?;
    let contoso = hub.tenants().get_or_create(NewTenant::customer("contoso")).await?;
    let run = contoso.run("onboard", NewHire { name: "zoe".into() }).await?;
    run.events(1)
        .for_each(async |event| println!("{} {:?}", event.seq, event.body))
        .await;
    println!("{}", run.wait().await?.into_output()?);
    hub.shutdown(std::time::Duration::from_secs(10)).await.map(drop)
}
