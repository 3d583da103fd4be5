//! The server that the Graph benches read from, for clients that are programs of their own.

use std::io::{Read as _, Write as _};

use crate::support::answering;

/// Prints its address and serves for as long as somebody holds our standard input.
pub(crate) fn until_input_ends() {
    println!("{}", answering::start());
    std::io::stdout().flush().unwrap();
    // Whoever started this process closes the pipe, or ends and thereby closes it.
    let _ = std::io::stdin().read(&mut [0]);
}
