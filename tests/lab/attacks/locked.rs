//! A second opener.

use std::time::Duration;

use bifrost::{ErrorKind, Hub};

use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack = Attack {
    name: "locked",
    promise: "a store has one owner; whoever else opens it is refused by the owner's process id",
    unit: "openings",
    run,
};

fn run(round: &Round) -> Findings {
    round.in_real_time(second_openers(round))
}

async fn second_openers(round: &Round) -> Findings {
    let mut findings = Findings::default();
    let folder = tempfile::tempdir().unwrap();
    let open = || Hub::builder().with_data_dir(folder.path()).start();
    let owner = open().await.unwrap();
    for _ in 0..round.scale(5, 50) {
        findings.attempt();
        match open().await {
            Ok(_) => findings.violation("a second hub opened the folder"),
            Err(error) => {
                let named = error.context("pid") == Some(std::process::id().to_string().as_str());
                findings.check(error.kind() == ErrorKind::StoreLocked && named, || format!("refused as {error:?}"));
            }
        }
    }
    owner.shutdown(Duration::from_secs(10)).await.unwrap();
    findings.check(open().await.is_ok(), || "after the owner was shut down the folder stayed locked".to_owned());
    findings
}
