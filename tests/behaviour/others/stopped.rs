//! A process that is stopped and goes on later, on a real disk.

use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::Duration;

use bifrost::ErrorKind;

use crate::crash::{Outside, open, spawn};

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// A worker that had stalled went on beside the one that had replaced it. Here a store has one opener: the lock on its
/// folder is held by the process, also while that is stopped, so nobody can take its place before it is gone for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aegra_547_a_stopped_process_is_not_replaced_while_it_may_wake_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = spawn(folder.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut accepted = |count: usize| {
        let words = lines.by_ref().map_while(Result::ok).filter(|line| line.starts_with("accepted"));
        assert_eq!(words.take(count).count(), count, "it goes on");
    };
    accepted(3);
    signal(child.id(), "-STOP");
    for _ in 0..3 {
        let error = open(folder.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreLocked);
        assert_eq!(error.context("pid"), Some(child.id().to_string().as_str()));
    }
    signal(child.id(), "-CONT");
    accepted(5);
    child.kill().unwrap();
    child.wait().unwrap();
    let hub = open(folder.path()).await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    let records = tenant.executions(None, 1_000).await.unwrap();
    for record in &records {
        tenant.execution(record.id).await.unwrap().wait().await.unwrap().into_output().unwrap();
    }
    let mut written = Outside(folder.path().join("outside")).lines();
    assert_eq!(written.len(), 3 * records.len());
    written.sort();
    written.dedup();
    assert_eq!(written.len(), 3 * records.len(), "nothing was written by two");
    hub.shutdown(Duration::from_secs(10)).await.unwrap();
}
