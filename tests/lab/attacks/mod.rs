//! All attacks, in the order in which they run.

mod canary;
mod crash;
mod days;
mod hostile;
mod locked;
mod recovery;
mod rest;
mod store;
mod storms;
mod supervision;
mod tokens;
mod tree;

use std::process::ExitCode;

use crate::lab::Attack;

pub(crate) const ATTACKS: &[Attack] = &[
    locked::ATTACK,
    crash::ATTACK,
    store::damage::ATTACK,
    store::power::ATTACK,
    store::full_disk::ATTACK,
    store::broken_disk::ATTACK,
    tokens::ATTACK,
    storms::ATTACK,
    hostile::ATTACK,
    canary::ATTACK,
    supervision::ATTACK,
    rest::ATTACK,
    recovery::ATTACK,
    days::ATTACK,
];

/// The other life of this program: the process that an attack kills. The first word says whose.
pub(crate) fn child(words: &[String]) -> ExitCode {
    match words {
        [name, rest @ ..] if name == "canary" => canary::child(rest),
        [name, rest @ ..] if name == "crash" => crash::live(rest),
        [name, rest @ ..] if name == "full-disk" => store::full_disk::child(rest),
        [name, ..] => {
            eprintln!("no attack called {name} has a child");
            ExitCode::from(2)
        }
        [] => ExitCode::from(2),
    }
}
