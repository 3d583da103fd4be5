//! Actors that panic, are killed and are stopped, all over the tree.
//!
//! In virtual time a seed replays the course of everything but the order in which the children of an actor that dies end;
//! the part on two threads, at length only, replays the plan.

mod chaos;
mod meltdown;
mod root;
mod shutdown;

use std::time::Duration;

use super::tree::schedules;
use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack = Attack {
    name: "supervision",
    promise: "whichever actor dies, nothing acknowledged is lost, nobody waits for ever, and the neighbours go on",
    unit: "strikes",
    run,
};

/// How often one world is struck.
const STRIKES: u64 = 40;

fn run(round: &Round) -> Findings {
    let seed = |number: u64| round.seed.wrapping_mul(1_000_211).wrapping_add(number);
    let mut findings = schedules(round.scale(15, 250), |number| {
        let mut findings = Findings::default();
        round.in_virtual_time(chaos::world(seed(number), STRIKES, &mut findings));
        findings
    });
    for number in 0..round.scale(0, 10) {
        let world = chaos::world(seed(number), STRIKES, &mut findings);
        let ended = round.in_real_time(async { tokio::time::timeout(Duration::from_secs(120), world).await.is_ok() });
        findings.check(ended, || format!("world {number} on two threads never came to an end"));
    }
    findings.add(schedules(round.scale(6, 100), |number| {
        let mut findings = Findings::default();
        round.in_virtual_time(meltdown::world(seed(number), &mut findings));

        round.in_virtual_time(root::killed(seed(number), &mut findings));

        round.in_virtual_time(root::two_hubs(seed(number), &mut findings));
        findings
    }));
    let running = round.scale(100, 1_000);
    for case in shutdown::CASES {
        round.in_virtual_time(shutdown::world(round.dice().next() >> 1, *case, running, &mut findings));
    }
    shutdown::dropped(round, seed(0), &mut findings);
    findings
}
