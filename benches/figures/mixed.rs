//! A mixed load of a thousand callers over fifty customers: two of three executions are trivial, one takes five steps.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bifrost::{NewTenant, Tenant};

use crate::figure::{Figure, Scale};
use crate::memory::{folder_bytes, written_bytes};
use crate::support::percentiles::Percentiles;
use crate::support::stage::{Stage, in_flight, runtime};

const CALLERS: u64 = 1_000;
const CUSTOMERS: usize = 50;

type Durations = Arc<Mutex<Vec<Duration>>>;

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    runtime().block_on(mixed(scale.of(5_000, 50_000)))
}

async fn mixed(count: u64) -> Vec<Figure> {
    let stage = Stage::open().await;
    let mut tenants = Vec::new();
    for number in 0..CUSTOMERS {
        tenants.push(stage.hub.tenants().create(NewTenant::customer(format!("customer-{number}"))).await.unwrap());
    }
    let (accepted, ended, next) = (Durations::default(), Durations::default(), Arc::new(Mutex::new(0)));
    let (seen_accepted, seen_ended) = (Arc::clone(&accepted), Arc::clone(&ended));
    let before = written_bytes();
    let call = move || {
        let (accepted, ended) = (Arc::clone(&seen_accepted), Arc::clone(&seen_ended));
        let number = {
            let mut next = next.lock().unwrap();
            *next += 1;
            *next
        };
        let tenant = tenants[number % CUSTOMERS].clone();
        async move { one(&tenant, number, &accepted, &ended).await }
    };
    let took = in_flight(count, CALLERS, call).await;
    let written = written_bytes() - before;
    let size = folder_bytes(stage.folder.path());
    stage.close().await;
    let accepted = Percentiles::of(std::mem::take(&mut accepted.lock().unwrap()));
    let ended = Percentiles::of(std::mem::take(&mut ended.lock().unwrap()));
    let count = count as f64;
    vec![
        Figure::new("mixed load of 1,000 callers, executions", count / took.as_secs_f64(), "/s"),
        Figure::new("mixed load, acceptance, p50", accepted.ms(50), "ms"),
        Figure::new("mixed load, acceptance, p99", accepted.ms(99), "ms"),
        Figure::new("mixed load, whole execution, p50", ended.ms(50), "ms"),
        Figure::new("mixed load, whole execution, p99", ended.ms(99), "ms"),
        Figure::new("mixed load, bytes written per execution", written / count, "B"),
        Figure::new("mixed load, size of the store per execution", size as f64 / count, "B"),
    ]
}

async fn one(tenant: &Tenant, number: usize, accepted: &Durations, ended: &Durations) {
    let workflow = if number.is_multiple_of(3) { "five_steps" } else { "trivial" };
    let begun = Instant::now();
    let handle = tenant.run(workflow, 1_u64).await.unwrap();
    accepted.lock().unwrap().push(begun.elapsed());
    handle.wait().await.unwrap().into_output().unwrap();
    ended.lock().unwrap().push(begun.elapsed());
}
