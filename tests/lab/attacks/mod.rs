//! All attacks, in the order in which they run.

mod locked;
mod recovery;
mod rest;
mod supervision;
mod tree;

use std::process::ExitCode;

use crate::lab::Attack;

pub(crate) const ATTACKS: &[Attack] = &[locked::ATTACK, supervision::ATTACK, rest::ATTACK, recovery::ATTACK];

/// The other life of this program: the process that an attack kills. The first word says whose.
pub(crate) fn child(words: &[String]) -> ExitCode {
    match words {
        [name, ..] => {
            eprintln!("no attack called {name} has a child");
            ExitCode::from(2)
        }
        [] => ExitCode::from(2),
    }
}
