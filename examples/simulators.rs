//! The simulated identity platform, Microsoft Graph and HaloPSA on their own, for other processes to talk to.
//!
//! ```text
//! cargo run --release --example simulators -- --listen 127.0.0.1:0 --seed 7
//! ```
//!
//! The first line printed is a JSON object with the base addresses and the demo credentials, which open nothing but
//! simulators. `GET` the address `state` for counts and the request log, `POST` a fault to the address `faults`:
//!
//! ```text
//! curl -d '{"fault":{"kind":"status","status":429,"retry_after":{"seconds":3}},"provider":"graph","times":2}' $FAULTS
//! ```
//!
//! It runs until SIGINT or SIGTERM, or, with `--until-stdin-closes`, until its parent goes away.

use std::net::SocketAddr;

use bifrost_integrations::testing::{
    DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET, HALOPSA_INSTANCE, Rate,
    Simulators,
};
use clap::Parser;
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt as _;

/// Simulated identity platform, Microsoft Graph and HaloPSA.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The same seed and the same requests give the same answers.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// HaloPSA's limit in requests per rolling five minutes.
    #[arg(long, default_value_t = 300)]
    halopsa_limit: u32,
    /// Ends when standard input closes, too.
    #[arg(long)]
    until_stdin_closes: bool,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let sims = Simulators::builder()
        .with_seed(arguments.seed)
        .with_halopsa_limit(Rate::per_seconds(arguments.halopsa_limit, 300))
        .build();
    let server = sims.serve(arguments.listen).await?;
    let addresses = server.addresses();
    say(&json!({
        "identity": addresses.identity,
        "graph": addresses.graph,
        "halopsa": addresses.halopsa,
        "state": addresses.state,
        "faults": addresses.faults,
        "client_id": DEMO_CLIENT_ID,
        "client_secret": DEMO_CLIENT_SECRET,
        "halopsa_tenant": HALOPSA_INSTANCE,
        "halopsa_client_id": DEMO_HALOPSA_CLIENT_ID,
        "halopsa_client_secret": DEMO_HALOPSA_CLIENT_SECRET,
        "tenants": tenants(&sims),
    }));
    tokio::select! {
        ended = told_to_end() => ended?,
        () = stdin_closed(), if arguments.until_stdin_closes => {}
    }
    server.shutdown().await;
    Ok(())
}

/// Short names and ids of the customers.
fn tenants(sims: &Simulators) -> Map<String, Value> {
    let graph = sims.graph();
    let names = graph.tenants().into_iter();
    names.map(|name| (name.clone(), graph.tenant_id(&name).into())).collect()
}

#[allow(clippy::print_stdout, reason = "this line is what the program is for")]
fn say(value: &Value) {
    println!("{value}");
}

#[cfg(unix)]
async fn told_to_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn told_to_end() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut bytes = [0_u8; 64];
    // An error is the end of the input as well.
    while !matches!(stdin.read(&mut bytes).await, Ok(0) | Err(_)) {}
}
