//! Tokens under attack: crowds at one expiry, ten thousand connections that expire together, exchanges that hang, fail
//! or panic, clocks that jump, kills at every point of a rotation, and settings that are edited meanwhile.
//!
//! All but one run in virtual time, where the seed decides everything. The crowd in real time runs on two threads: there
//! the seed repeats the plan and not the interleaving.

mod crowd;
mod edits;
mod expiry;
mod mortal;
mod platform;
mod rotation;
mod trouble;

use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack = Attack {
    name: "tokens",
    promise: "one exchange per expiry at a bounded rate, and no rotated refresh token is lost that can be saved",
    unit: "exchanges",
    run,
};

fn run(round: &Round) -> Findings {
    let mut findings = Findings::default();
    round.in_virtual_time(crowd::one_expiry(&mut findings, false));
    round.in_real_time(crowd::one_expiry(&mut findings, true));
    round.in_virtual_time(trouble::next_caller_is_served(round, &mut findings));
    round.in_virtual_time(trouble::clocks_jump(round, &mut findings));
    round.in_virtual_time(rotation::killed_everywhere(round, &mut findings));
    round.in_virtual_time(edits::edited_everywhere(round, &mut findings));
    round.in_virtual_time(expiry::all_together(round, &mut findings));
    findings
}
