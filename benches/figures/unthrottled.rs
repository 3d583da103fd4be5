//! How many Graph reads a second come back typed, 64 at a time, where no limit is in the way.
//!
//! With `BIFROST_PEER_GRAPH` set to the program that `benches/peers/graph-rs-sdk` builds, that reads the same from the
//! same server right after, and is what the figure stands beside.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use crate::figure::{Figure, Scale};
use crate::support::stage::{in_flight, runtime};
use crate::support::{answering, customers};

const AT_ONCE: u64 = 64;
const ROUNDS: usize = 3;

#[derive(Deserialize)]
struct Taken {
    requests: u64,
    seconds: f64,
}

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    let count = scale.of(20_000, 100_000);
    let server = answering::start();
    let (runtime, next) = (runtime(), Arc::new(AtomicU64::new(0)));
    let (_hub, graphs) = runtime.block_on(customers::graphs(server));
    let graphs = Arc::new(graphs);
    let call = move || {
        let (graphs, number) = (Arc::clone(&graphs), next.fetch_add(1, Ordering::Relaxed));
        async move {
            // Another user each time: identical reads that are under way at the same time are one call.
            let graph = &graphs[number as usize % graphs.len()];
            graph.users().get(&format!("user-{number}@contoso.com")).await.unwrap();
        }
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let took = runtime.block_on(in_flight(count, AT_ONCE, call.clone()));
        ours.push(count as f64 / took.as_secs_f64());
        theirs.extend(peer(server, count).map(|taken| taken.requests as f64 / taken.seconds));
    }
    let ours = Figure::median("unthrottled Graph reads", ours, "reads/s");
    if theirs.is_empty() {
        return vec![ours];
    }
    let theirs = Figure::median("the same with graph-rs-sdk", theirs, "reads/s");
    vec![ours.beside(theirs.value), theirs]
}

fn peer(server: SocketAddr, count: u64) -> Option<Taken> {
    let program = std::env::var_os("BIFROST_PEER_GRAPH")?;
    let url = format!("http://{server}/v1.0");
    let mut command = Command::new(program);
    command.args(["--url", &url, "--requests", &count.to_string(), "--at-once", &AT_ONCE.to_string()]);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    Some(serde_json::from_slice(&output.stdout).unwrap())
}
