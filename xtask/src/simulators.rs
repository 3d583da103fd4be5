//! The simulated providers as a process of their own, so that they outlive a crash of what they serve.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::document::Created;
use crate::http;
use crate::report::Failure;

const START_WITHIN: Duration = Duration::from_secs(30);

/// Where the counts stand in the answer of `/_sim/state`: the first of each that is there, a number or a list.
const USERS: &[&str] = &["/counts/users", "/users", "/graph/users"];
const TICKETS: &[&str] = &["/counts/tickets", "/tickets", "/halopsa/tickets"];
const TIME_ENTRIES: &[&str] = &["/counts/time_entries", "/time_entries", "/halopsa/time_entries"];

/// The first line the program prints.
#[derive(Debug, Deserialize)]
struct Addresses {
    state: String,
}

/// Running simulators; they end with this value.
pub(crate) struct Simulators {
    process: Child,
    addresses: Addresses,
}

impl Simulators {
    /// Starts the program and waits for its addresses.
    pub(crate) fn start(program: &Path) -> Result<Self, Failure> {
        let mut process = Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--seed", "7"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let line = process.stdout.take().map_or_else(|| Err(Failure::new("it has no output")), first_line);
        let addresses = line.and_then(|line| parse(&line));
        match addresses {
            Ok(addresses) => Ok(Self { process, addresses }),
            Err(failure) => {
                end(&mut process);
                Err(failure.during("starting the simulators"))
            }
        }
    }

    /// What `onboarding --simulators` takes.
    pub(crate) fn argument(&self) -> &str {
        authority(&self.addresses.state)
    }

    /// How many of each there are now.
    pub(crate) fn counts(&self) -> Result<Created, Failure> {
        let body = http::get(authority(&self.addresses.state), "/_sim/state")?;
        counts(&body)
    }
}

impl Drop for Simulators {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

fn end(process: &mut Child) {
    // It may have ended by itself, which the run before has told already.
    let _ = process.kill();
    let _ = process.wait();
}

/// The first line, then everything else into the void, so that the program never waits for a reader.
fn first_line(output: ChildStdout) -> Result<String, Failure> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(output).lines();
        let _ = sender.send(lines.next());
        lines.for_each(drop);
    });
    match receiver.recv_timeout(START_WITHIN) {
        Ok(Some(line)) => Ok(line?),
        Ok(None) => Err(Failure::new("they ended without a word")),
        Err(_) => Err(Failure::new(format!("they said nothing within {} s", START_WITHIN.as_secs()))),
    }
}

fn parse(line: &str) -> Result<Addresses, Failure> {
    serde_json::from_str(line).map_err(|error| Failure::new(format!("their first line is {line}: {error}")))
}

/// `host:port` of an address, with or without scheme and path.
fn authority(address: &str) -> &str {
    let rest = address.strip_prefix("http://").unwrap_or(address);
    rest.split('/').next().unwrap_or(rest)
}

fn counts(body: &str) -> Result<Created, Failure> {
    let state: Value = serde_json::from_str(body).map_err(|error| Failure::new(format!("/_sim/state: {error}")))?;
    let count = |pointers: &[&str]| {
        let value = pointers.iter().find_map(|pointer| state.pointer(pointer));
        let number =
            value.and_then(|value| value.as_array().map(Vec::len).or_else(|| usize::try_from(value.as_u64()?).ok()));
        number.ok_or_else(|| Failure::new(format!("/_sim/state has no count at {}", pointers.join(" or "))))
    };
    Ok(Created { users: count(USERS)?, tickets: count(TICKETS)?, time_entries: count(TIME_ENTRIES)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_numbers_or_lists() {
        let created = Created { users: 3, tickets: 1, time_entries: 0 };
        assert_eq!(counts(r#"{"counts":{"users":3,"tickets":1,"time_entries":0}}"#).unwrap(), created);
        assert_eq!(counts(r#"{"users":[1,2,3],"tickets":[1],"time_entries":[]}"#).unwrap(), created);
        assert!(counts(r#"{"users":3,"tickets":1}"#).unwrap_err().to_string().contains("time_entries"));
    }

    #[test]
    fn addresses_may_be_urls() {
        assert_eq!(authority("http://127.0.0.1:80/_sim/state"), "127.0.0.1:80");
        assert_eq!(authority("127.0.0.1:80"), "127.0.0.1:80");
        let line = r#"{"identity":"http://a","graph":"http://b","halopsa":"http://c","state":"http://d:1"}"#;
        assert_eq!(authority(&parse(line).unwrap().state), "d:1");
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_says_something_else_is_a_failure() {
        let failure = Simulators::start(Path::new("/bin/echo")).err().unwrap().to_string();
        assert!(failure.contains("their first line is --listen"), "{failure}");
    }
}
