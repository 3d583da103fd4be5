//! All attacks, in the order in which they run.

mod canary;
mod hostile;
mod locked;
mod storms;
mod tokens;

use std::process::ExitCode;

use crate::lab::Attack;

pub(crate) const ATTACKS: &[Attack] =
    &[locked::ATTACK, tokens::ATTACK, storms::ATTACK, hostile::ATTACK, canary::ATTACK];

/// The other life of this program: the process that an attack kills. The first word says whose.
pub(crate) fn child(words: &[String]) -> ExitCode {
    match words {
        [name, rest @ ..] if name == "canary" => canary::child(rest),
        [name, ..] => {
            eprintln!("no attack called {name} has a child");
            ExitCode::from(2)
        }
        [] => ExitCode::from(2),
    }
}
