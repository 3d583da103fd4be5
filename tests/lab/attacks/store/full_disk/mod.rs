//! A full disk: one the store filled by itself, or one a greedy neighbour filled under it.
//!
//! It runs on a real file system of a few MiB, which takes a user namespace: the attack starts itself again inside one
//! (`unshare` of util-linux), mounts a tmpfs there, and reads the findings from what the child prints. Where that is
//! not permitted the disk is played by the store's disk hook, which cannot make the engine itself fail: the figure
//! "on a real file system" then stays 0.
//!
//! Where a store is killed it lives in a process of its own, and the kill falls where it falls; else a seed replays.

mod disk;
mod scenario;
mod victim;

use std::process::{Command, ExitCode};

use self::disk::Disk;
use crate::dice::Dice;
use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack = Attack {
    name: "full-disk",
    promise: "on a full disk writes are refused and go on when there is room, reads go on, and nothing is lost",
    unit: "full disks",
    run,
};

fn run(round: &Round) -> Findings {
    let rounds = round.scale(6, 50);
    in_namespace(round.seed, rounds).unwrap_or_else(|| {
        let mut findings = round.in_real_time(scenarios(round.seed, rounds, &Disk::emulated()));
        findings.count("on a real file system", 0.0);
        findings
    })
}

async fn scenarios(seed: u64, rounds: u64, disk: &Disk) -> Findings {
    let (mut findings, dice) = (Findings::default(), Dice::new(seed));
    for _ in 0..rounds {
        findings.attempt();
        disk.clear();
        if let Err(wrong) = scenario::run(&mut findings, &dice, disk).await {
            findings.violation(wrong);
        }
    }
    findings
}

/// The findings of this program inside a namespace; `None` when there is none to be had.
fn in_namespace(seed: u64, rounds: u64) -> Option<Findings> {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]).arg(program);
    let output = command.args(["child", "full-disk", &seed.to_string(), &rounds.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.lines().any(|line| line == MOUNTED) {
        return None;
    }
    let mut findings = Findings::default();
    findings.count("on a real file system", 1.0);
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("attempts", number)) => findings.attempts = number.parse().unwrap(),
            Some(("violation", what)) => findings.violation(what),
            Some(("count", what)) => {
                let known = FIGURES.iter().find_map(|name| Some((*name, what.strip_prefix(name)?.trim())));
                let (name, figure) = known.unwrap();
                findings.count(name, figure.parse().unwrap());
            }
            _ => {}
        }
    }
    if !output.status.success() {
        findings.violation(format!(
            "the child ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    Some(findings)
}

const MOUNTED: &str = "mounted";

/// The names of the child's figures.
const FIGURES: [&str; 2] = [scenario::KILLED, scenario::REOPENED];

/// What runs inside the namespace, or the store that is to be killed there.
pub(crate) fn child(words: &[String]) -> ExitCode {
    match words {
        [word, folder, seed] if word == "victim" => victim::live(folder.as_ref(), seed.parse().unwrap()),
        [seed, rounds] => inside(seed.parse().unwrap(), rounds.parse().unwrap()),
        _ => ExitCode::from(2),
    }
}

fn inside(seed: u64, rounds: u64) -> ExitCode {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path()) else { return ExitCode::FAILURE };
    println!("{MOUNTED}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let findings = runtime.block_on(scenarios(seed, rounds, &disk));
    println!("attempts {}", findings.attempts);
    for violation in &findings.violations {
        println!("violation {}", violation.replace('\n', " "));
    }
    for (name, figure) in &findings.measured {
        println!("count {name} {figure}");
    }
    disk.unmount();
    ExitCode::SUCCESS
}
