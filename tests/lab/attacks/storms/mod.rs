//! Peers that throttle and peers that are down, under the load of many callers, in virtual time: what is sent, when, and
//! whether any work is lost.

mod halopsa;
mod outage;
mod peer;
mod throttled;

use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack = Attack {
    name: "storms",
    promise: "a peer that throttles is asked no more and no earlier than it allows, one that is down is hardly asked, \
              and no work is lost",
    unit: "calls",
    run,
};

fn run(round: &Round) -> Findings {
    let mut findings = Findings::default();
    round.in_virtual_time(throttled::every_header(round, &mut findings));
    round.in_virtual_time(throttled::tight_limit(round, &mut findings));
    round.in_virtual_time(halopsa::rolling_window(round, &mut findings));
    for fault in outage::FAULTS {
        round.in_virtual_time(outage::ten_minutes(round, fault, &mut findings));
    }
    findings
}
