//! Secrets with names of their own: every kind of secret is given a text that occurs nowhere else, a hub lives through
//! good and bad days, and then these texts are looked for in whatever it has said or stored, in every form they can take.
//!
//! It runs in real time, over loopback, on the embedded store, in a process of its own: what is listened to is the whole
//! process, third-party crates included. The seed gives the secrets and the order of the bad days, not their timing.

mod days;
mod echo;
mod forms;
mod listen;
mod search;

use std::process::{Command, ExitCode};

use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack = Attack {
    name: "canary",
    promise: "no secret is in logs, events, history, results, errors, debug output, audit trail or the bytes of the store",
    unit: "secrets looked for",
    run,
};

/// The lines by which the process tells what it found.
const VIOLATION: &str = "violation: ";
const LOOKED_FOR: &str = "looked for: ";
const SEARCHED: &str = "searched bytes: ";

fn run(round: &Round) -> Findings {
    let mut findings = Findings::default();
    for number in 0..round.scale(1, 8) {
        one_life(round.seed.wrapping_mul(1_000).wrapping_add(number), &mut findings);
    }
    findings
}

fn one_life(seed: u64, findings: &mut Findings) {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).args(["child", "canary", &seed.to_string()]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    for line in told.lines() {
        if let Some(found) = line.strip_prefix(VIOLATION) {
            findings.violation(found);
        } else if let Some(count) = line.strip_prefix(LOOKED_FOR) {
            findings.attempts += count.parse::<u64>().unwrap();
        } else if let Some(bytes) = line.strip_prefix(SEARCHED) {
            findings.count("bytes searched", bytes.parse().unwrap());
        }
    }
    findings.check(output.status.success(), || {
        format!("the process ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
    });
}

/// The process that is listened to.
pub(super) fn child(words: &[String]) -> ExitCode {
    let Some(seed) = words.first().and_then(|seed| seed.parse().ok()) else { return ExitCode::from(2) };
    let log = listen::to_everything();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let evidence = runtime.block_on(days::live(seed, log));
    println!("{LOOKED_FOR}{}", evidence.secrets.len());
    println!("{SEARCHED}{}", evidence.places.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
    for hit in search::search(&evidence) {
        println!("{VIOLATION}{hit}");
    }
    ExitCode::SUCCESS
}
