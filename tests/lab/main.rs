//! The lab: attacks on what the hub promises, one module per promise.
//!
//! ```text
//! cargo test --test lab                          the short form, as continuous integration runs it
//! cargo test --test lab -- --only power --full   one attack at length
//! cargo xtask soak                               everything at length, and the table
//! ```
//!
//! An attack is a function of a seed. What it prints when it finds something replays it.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(clippy::print_stderr, clippy::disallowed_methods)]

mod arguments;
mod attacks;
mod dice;
mod findings;
mod lab;
mod panics;
mod report;

use std::process::ExitCode;

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    // Some attacks need a process to kill: it is this program again.
    if let Some((word, rest)) = given.split_first()
        && word == "child"
    {
        return attacks::child(rest);
    }
    panics::hush();
    match arguments::Arguments::parse(&given) {
        Ok(arguments) => lab::run(&arguments),
        Err(message) => {
            eprintln!("{message}\n{}", arguments::USAGE);
            ExitCode::from(2)
        }
    }
}
