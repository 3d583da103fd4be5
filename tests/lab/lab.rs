//! Runs attacks and tells what came of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::attacks::ATTACKS;
use crate::dice::Dice;
use crate::findings::Findings;
use crate::panics::text_of;
use crate::report::{self, Row};

/// One attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// What it tries to break, as the documentation says it.
    pub(crate) promise: &'static str,
    /// What its attempts are.
    pub(crate) unit: &'static str,
    pub(crate) run: fn(&Round) -> Findings,
}

/// One round of an attack.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) seed: u64,
    full: bool,
}

impl Round {
    /// The figure for the short form, or for the one at length.
    pub(crate) fn scale(&self, short: u64, full: u64) -> u64 {
        if self.full { full } else { short }
    }

    /// The command that does the same again.
    fn replay(&self, attack: &Attack) -> String {
        let full = if self.full { " --full" } else { "" };
        format!("cargo test --all-features --test lab -- --only {} --seed {}{full}", attack.name, self.seed)
    }

    pub(crate) fn dice(&self) -> Dice {
        Dice::new(self.seed)
    }

    /// Runs in real time on two threads.
    pub(crate) fn in_real_time<T>(&self, work: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap().block_on(work)
    }

    /// Runs on one thread, in time that passes at once when everybody waits, and without a network.
    pub(crate) fn in_virtual_time<T>(&self, work: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(work)
    }
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.list {
        println!("attacks:");
        for Attack { name, promise, .. } in ATTACKS {
            println!("{name:14} {promise}");
        }
        return ExitCode::SUCCESS;
    }
    let chosen = match choose(arguments.only.as_deref()) {
        Ok(chosen) => chosen,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let begun = Instant::now();
    let mut rows: Vec<Row> = chosen.iter().map(|attack| Row::new(attack, arguments.seed)).collect();
    for round in 0.. {
        for (attack, row) in chosen.iter().zip(&mut rows) {
            attempt(attack, &Round { seed: arguments.seed + round, full: arguments.full }, row);
        }
        if begun.elapsed() >= arguments.at_least {
            break;
        }
    }
    if let Some(path) = &arguments.report {
        report::write(path, &rows);
    }
    let violations: usize = rows.iter().map(|row| row.findings.violations.len()).sum();
    println!("\n{} attacks, {violations} violations, {:.0} s", rows.len(), begun.elapsed().as_secs_f64());
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn choose(only: Option<&[String]>) -> Result<Vec<&'static Attack>, String> {
    let Some(only) = only else { return Ok(ATTACKS.iter().collect()) };
    if let Some(unknown) = only.iter().find(|name| ATTACKS.iter().all(|attack| attack.name != name.as_str())) {
        return Err(format!("no attack is called {unknown}: see --list"));
    }
    Ok(ATTACKS.iter().filter(|attack| only.iter().any(|name| name == attack.name)).collect())
}

fn attempt(attack: &Attack, round: &Round, row: &mut Row) {
    let started = Instant::now();
    let findings = catch_unwind(AssertUnwindSafe(|| (attack.run)(round))).unwrap_or_else(|panic| Findings {
        violations: vec![format!("the attack itself panicked: {}", text_of(panic.as_ref()))],
        ..Findings::default()
    });
    let took = started.elapsed();
    tell(attack, round, &findings, took);
    row.took += took;
    if row.replay.is_empty() && !findings.violations.is_empty() {
        row.replay = round.replay(attack);
    }
    row.findings.add(findings);
}

fn tell(attack: &Attack, round: &Round, findings: &Findings, took: Duration) {
    let Attack { name, unit, .. } = attack;
    let verdict = if findings.violations.is_empty() { "ok" } else { "VIOLATED" };
    let (attempts, seconds) = (findings.attempts, took.as_secs_f64());
    println!("{name:14} {verdict:8} {attempts:>9} {unit}, seed {}, {seconds:.1} s", round.seed);
    for violation in findings.violations.iter().take(20) {
        println!("    {violation}");
    }
    if !findings.violations.is_empty() {
        println!("    replay: {}", round.replay(attack));
    }
}
