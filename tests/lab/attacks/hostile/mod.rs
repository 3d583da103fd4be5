//! Peers that misbehave, byte by byte, over the real transport: every door to the network (the Graph client, the HaloPSA
//! client, a raw call, the token endpoint) ends in time, within its size, with an error that says what it is.
//!
//! It runs in real time over loopback: the seed repeats what is sent, not how it is scheduled.

mod bytes;
mod doors;
mod leads;
mod server;
mod shapes;
mod weight;

use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack = Attack {
    name: "hostile",
    promise: "whatever a peer answers, a call ends within its deadline and its size, with a typed error",
    unit: "answers",
    run,
};

fn run(round: &Round) -> Findings {
    let mut findings = Findings::default();
    round.in_real_time(weight::heavy_answers(&mut findings));
    round.in_real_time(bytes::slow_and_broken(round, &mut findings));
    round.in_real_time(shapes::wrong_shapes(round, &mut findings));
    round.in_real_time(leads::led_elsewhere(&mut findings));
    findings
}
