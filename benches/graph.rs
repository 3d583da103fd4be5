//! Reading a Graph user through the typed client, with budget, retry, token and record of the call, beside bare hyper
//! and bare reqwest, which the typed client sends through; all ask for as long a URL. Customers and applications are
//! many, so that no published limit is in the way.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bifrost::graph::User;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::Uri;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use url::Url;

use support::stage::{in_flight, runtime};
use support::{answering, customers};

const AT_ONCE: u64 = 64;

fn reads(criterion: &mut Criterion) {
    let server = answering::start();
    let mut group = criterion.benchmark_group("graph read");
    group.throughput(Throughput::Elements(1));
    let url = format!("http://{server}/v1.0/users/1?$select={}", User::SELECT.join(","));
    group.bench_function(BenchmarkId::new("bare hyper", AT_ONCE), |bencher| {
        let runtime = runtime();
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let uri: Uri = url.parse().unwrap();
        let call = move || {
            let (client, uri) = (client.clone(), uri.clone());
            async move {
                let answer = client.get(uri).await.unwrap();
                answer.into_body().collect().await.unwrap();
            }
        };
        bencher.iter_custom(|count| runtime.block_on(in_flight(count, AT_ONCE, call.clone())));
    });
    group.bench_function(BenchmarkId::new("bare reqwest", AT_ONCE), |bencher| {
        let runtime = runtime();
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let url: Url = url.parse().unwrap();
        let call = move || {
            let (client, url) = (client.clone(), url.clone());
            async move { drop(client.get(url).send().await.unwrap().bytes().await.unwrap()) }
        };
        bencher.iter_custom(|count| runtime.block_on(in_flight(count, AT_ONCE, call.clone())));
    });
    group.bench_function(BenchmarkId::new("typed client", AT_ONCE), |bencher| {
        let runtime = runtime();
        let (_hub, graphs) = runtime.block_on(customers::graphs(server));
        let (graphs, next) = (Arc::new(graphs), Arc::new(AtomicU64::new(0)));
        let call = move || {
            let (graphs, number) = (Arc::clone(&graphs), next.fetch_add(1, Ordering::Relaxed));
            async move {
                // Another user each time: identical reads that are under way at the same time are one call.
                let graph = &graphs[number as usize % graphs.len()];
                graph.users().get(&format!("user-{number}@contoso.com")).await.unwrap();
            }
        };
        bencher.iter_custom(|count| runtime.block_on(in_flight(count, AT_ONCE, call.clone())));
    });
    group.finish();
}

criterion_group!(benches, reads);
criterion_main!(benches);
